"""What the door counts and logs of the requests that it takes, and what a scrape shows."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from mcp_responder import app
from mcp_responder.model.alert import NEVER
from mcp_responder.model.analysis import Cost
from mcp_responder.operations import LEDGER_SPAN, Operations
from mcp_responder.pipeline.receive import Rejected
from mcp_responder.ports import Accepted, Incoming, LaneDepth

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LINES_A_SECOND = 20
RESULTS = {"answered": "answers", "cached": "hits", "failed": "failures", "throttled": "throttled"}
"""How an analysis ended -> the field of a Cost that counts it."""
NO_ROUTE = "suppressed:no-route"

log = structlog.get_logger()


class Watch:
    """Told of each ingest request: counts, and logs what changed an incident (in a storm only the first lines).

    Plain numbers of one thread: on the way in, the locks of a metrics library would cost more than the counting.
    """

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        """By source."""
        self.rejected: Counter[str] = Counter()
        """By code."""
        self.repeats = 0
        self.seconds = [0] * (len(BOUNDS) + 1)
        """Requests by the bound that they stayed under; the last are those beyond all."""
        self.seconds_in_all = 0.0
        self._second = 0
        self._lines = 0

    def __call__(
        self, incoming: Sequence[Incoming], accepted: Sequence[Accepted], rejected: Sequence[Rejected], seconds: float
    ) -> None:
        self.seconds[bisect_left(BOUNDS, seconds)] += 1
        self.seconds_in_all += seconds
        for item in rejected:
            self.rejected[item.error.code] += 1
        for answer, arrived in zip(accepted, incoming, strict=True):
            if answer.verdict is None:
                self.repeats += 1
                continue
            self.received[arrived.alert.source] += 1
            if answer.verdict.changed:
                self._changed(answer, arrived, seconds)

    def _changed(self, answer: Accepted, arrived: Incoming, seconds: float) -> None:
        second = int(arrived.alert.received_at.timestamp())
        if second != self._second:
            if self._lines > LINES_A_SECOND:
                log.info("lines_left_out", metrics={"lines": self._lines - LINES_A_SECOND})
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > LINES_A_SECOND or answer.verdict is None:
            return
        nobody = answer.verdict.outcome == NO_ROUTE
        for incident in answer.verdict.changed:
            (log.warning if nobody else log.info)(
                "nobody_told" if nobody else f"incident_{incident.event}",
                function="reception",
                alert_id=answer.alert_id,
                incident_id=incident.incident_id,
                source=arrived.alert.source,
                severity=incident.severity,
                metrics={"seconds": round(seconds, 4)},
            )


class DoorMetrics:
    """A scrape: what was counted, the state of ledger and queue, and the worker's latest report."""

    def __init__(self, operations: Operations, watch: Watch, lanes: Sequence[str]) -> None:
        self._operations = operations
        self._watch = watch
        self._idle = dict.fromkeys(lanes, LaneDepth(ready=0, delayed=0, leased=0, oldest=0.0))
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.worker = b""

    def text(self) -> bytes:
        """Prometheus's text format."""
        return generate_latest(self.registry) + self.worker

    def describe(self) -> list[Metric]:
        """Nothing is fixed beforehand."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._ledger()
        yield from self._queues()
        yield from self._costs()

    def _requests(self) -> Iterator[Metric]:
        watch = self._watch
        received = CounterMetricFamily(
            "responder_alerts_received", "Alerts accepted, repeats left out.", labels=["source"]
        )
        for source, count in watch.received.items():
            received.add_metric([source], count)
        rejected = CounterMetricFamily("responder_alerts_rejected", "Items refused.", labels=["code"])
        for code, count in watch.rejected.items():
            rejected.add_metric([code], count)
        bounds = [*map(str, BOUNDS), "+Inf"]
        yield received
        yield rejected
        yield CounterMetricFamily("responder_alerts_repeated", "Senders' retries.", value=watch.repeats)
        yield HistogramMetricFamily(
            "responder_accept_seconds",
            "From the first byte of a request to its durable commit.",
            buckets=list(zip(bounds, accumulate(watch.seconds), strict=True)),
            sum_value=watch.seconds_in_all,
        )

    def _ledger(self) -> Iterator[Metric]:
        ledger = self._operations.ledger(app.clock() - LEDGER_SPAN)
        counts = GaugeMetricFamily(
            "responder_ledger", "Events of the last two days by what became of them.", labels=["outcome"]
        )
        for outcome in ("received", "delivered", "merged", "dead", "in_flight"):
            counts.add_metric([outcome], getattr(ledger, outcome))
        for rule, count in ledger.suppressed.items():
            counts.add_metric([f"suppressed:{rule}"], count)
        yield counts
        yield GaugeMetricFamily(
            "responder_ledger_imbalance",
            "Hours of the last two days in which received isn't what became of it; must be 0.",
            value=sum(hour.balance != 0 for hour in ledger.hours),
        )

    def _queues(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("responder_queue_depth", "Tasks by lane and state.", labels=["lane", "state"])
        age = GaugeMetricFamily("responder_queue_age_seconds", "Age of the oldest due task.", labels=["lane"])
        for lane, tasks in {**self._idle, **self._operations.depth()}.items():
            for state in ("ready", "delayed", "leased"):
                depth.add_metric([lane, state], getattr(tasks, state))
            age.add_metric([lane], tasks.oldest)
        yield depth
        yield age

    def _costs(self) -> Iterator[Metric]:
        """Read from the store, so they survive a restart."""
        usd = CounterMetricFamily("responder_model_usd", "US dollars that a model has cost.", labels=["model"])
        saved = CounterMetricFamily(
            "responder_model_saved_usd", "US dollars that the cache has saved.", labels=["model"]
        )
        tokens = CounterMetricFamily("responder_model_tokens", "Tokens of a model.", labels=["model", "kind"])
        words = "Analyses by how they ended: answered, cached, failed (the rules answered), throttled."
        analyses = CounterMetricFamily("responder_model_analyses", words, labels=["model", "result"])
        for model, cost in self._by_model().items():
            usd.add_metric([model], cost.usd)
            saved.add_metric([model], cost.saved_usd)
            for kind in cost.usage.__struct_fields__:
                tokens.add_metric([model, kind], getattr(cost.usage, kind))
            for result, field in RESULTS.items():
                analyses.add_metric([model, result], getattr(cost, field))
        yield usd
        yield saved
        yield tokens
        yield analyses

    def _by_model(self) -> dict[str, Cost]:
        sums: dict[str, Cost] = {}
        for cost in self._operations.costs(NEVER).days:
            known = sums.get(cost.model)
            sums[cost.model] = known + cost if known else cost
        return sums
