"""Metrics: from the very objects that the door and the worker count with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from docs.generator.markdown import MADE, code, table
from mcp_responder import app
from mcp_responder.entrypoints.web.watch import DoorMetrics, Watch
from mcp_responder.entrypoints.worker import Metrics
from mcp_responder.operations import Operations
from mcp_responder.pipeline.route import everyone
from mcp_responder.storage.memory import MemoryStore

HEAD = f"""\
# Metrics

{MADE}

`GET /metrics`, in Prometheus's text format, for the door and the worker together. It is open while the service listens
on loopback without a proxy; else it needs a key with the scope `read`. Counters begin at 0 with each start of their
process; the ledger and the queues are read from the store and survive.

Histograms have the usual `_bucket`, `_sum` and `_count`.
"""
ALERTS = (
    (
        "responder_ledger_imbalance > 0",
        "An hour's events don't add up: a bug, maybe a lost alert.",
        "[Read the ledger](../how-to/read-the-ledger.md), keep the data folder, report it.",
    ),
    (
        'increase(responder_ledger{outcome="dead"}[15m]) > 0',
        "An alert reached nobody.",
        "`GET /v1/dead-letters` says why.",
    ),
    (
        "responder_queue_age_seconds > 60",
        "Work waits: the worker is down, or too slow.",
        "Look at `mcp-responder queues` and at the service's log.",
    ),
    (
        "histogram_quantile(0.99, rate(responder_accept_seconds_bucket[5m])) > 0.25",
        "Accepting is slow.",
        "Look at the disk, and at what else runs on the machine.",
    ),
    (
        "increase(responder_alerts_rejected_total[15m]) > 0",
        "Some sender's items can't be read.",
        "The label `code` says why: [errors](errors.md).",
    ),
    ("absent(responder_ledger)", "The service is down.", "Start it. Senders that retry lose nothing."),
)


class Counted(NamedTuple):
    """One metric."""

    name: str
    kind: str
    labels: tuple[str, ...]
    words: str


def metrics() -> list[Counted]:
    """All metrics, under the names that Prometheus sees."""
    door = DoorMetrics(Operations(MemoryStore(app.clock), app.clock, everyone(())), Watch(), ())
    worker = Metrics()
    counters = [value for owner in (door, worker) for value in vars(owner).values() if hasattr(value, "_labelnames")]
    described = [(one.describe()[0], one._labelnames) for one in counters]
    gauges = [(family, family._labelnames) for family in _families(door)]
    return [_counted(family, labels) for family, labels in (*described, *gauges)]


def _families(door: DoorMetrics) -> Iterator[Any]:
    return iter(door.collect())


def _counted(family: Any, labels: Sequence[str]) -> Counted:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return Counted(name, family.type, tuple(labels), family.documentation)


def page() -> str:
    """The reference."""
    rows = ((code(one.name), one.kind, ", ".join(map(code, one.labels)), one.words) for one in metrics())
    watch = ((code(condition), words, action) for condition, words, action in ALERTS)
    return "\n".join(
        (
            HEAD,
            *table(("name", "type", "labels", "what it says"), rows),
            "",
            "## What to alert on",
            "",
            *table(("condition", "what it means", "what to do"), watch),
        )
    )
