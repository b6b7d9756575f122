"""``demo --noisy-day``: a day of 1,000 alerts in some seconds, and what throttle and cache save on it.

The day is made up, the same one each time, of what fills real alert channels:

- outages that spread: an error of something shared shows in one service after the other, each of which says it a few
  times within minutes and now and then later;
- alarms that flap: a check fails and recovers every few minutes for an hour or two;
- single errors, some of which nobody ever sees again.

All of it passes the real reception, correlation, store, analysis and cache, with a clock that jumps from alert to
alert. Only the model is a stand-in, behind the real client: it answers each request at once. Nobody is told anything.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from mcp_responder import app
from mcp_responder.analysts.claude import ClaudeAnalyst
from mcp_responder.analysts.claude_settings import ClaudeSettings
from mcp_responder.analysts.rules import RulesAnalyst
from mcp_responder.context.history import History
from mcp_responder.context.similar import Similar
from mcp_responder.context.stack_trace import StackTrace
from mcp_responder.model.analysis import Analysis
from mcp_responder.operations import CostsView, LedgerView, costs_view, ledger_view
from mcp_responder.pipeline.analyze import Analyzer
from mcp_responder.pipeline.investigate import investigate
from mcp_responder.pipeline.remember import Remembering
from mcp_responder.pipeline.route import everyone
from mcp_responder.plumbing.http import HttpClient, HttpResponse
from mcp_responder.plumbing.secret import Secret
from mcp_responder.ports import Request, Subject
from mcp_responder.settings import Settings
from mcp_responder.storage.memory import MemoryStore

SEED = 20_261_122
ALERTS = 1000
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
GATHER_SECONDS = 5.0
SERVICES = ("cart", "checkout", "orders", "search", "login", "mail", "stock", "prices", "invoices", "reports")
SHARED = (
    ("Connection refused by the orders database", "dial tcp 10.0.3.7:5432: connect: connection refused", "CRITICAL"),
    ("Timed out waiting for the message broker", "amqp: no answer from rabbit-1 within 30 s", "HIGH"),
    ("Certificate of the payment gateway has expired", "x509: certificate has expired: not after 2026-11-22", "HIGH"),
    ("Cache is unreachable", "redis: dial tcp 10.0.4.2:6379: i/o timeout", "MEDIUM"),
    ("Name resolution fails", "lookup api.internal: server misbehaving (SERVFAIL)", "HIGH"),
    ("Quota of the geocoding service is exceeded", "429 Too Many Requests: daily quota reached", "LOW"),
)
FLAPPING = (
    ("CPU above 90 % on the batch workers", "cpu_usage 93 > 90 for 5 m", "MEDIUM"),
    ("Queue of thumbnails is long", "queue_depth 4200 > 4000", "LOW"),
    ("Latency of the search is high", "p99 2.4 s > 2 s for 5 m", "HIGH"),
    ("Disk of the build agent is nearly full", "disk_used 91 % > 90 % on /var", "LOW"),
)
WORDS = ("import", "export", "sync", "index", "backup", "renewal", "billing", "rollup", "archive", "digest", "audit")
FAULTS = ("has failed", "was killed", "ran too long", "found bad records", "lost its lock", "was refused")


class Event(NamedTuple):
    """An alert as its sender posts it, and when."""

    at: datetime
    body: dict[str, object]


class Day(NamedTuple):
    """What became of it."""

    ledger: LedgerView
    costs: CostsView

    @property
    def cut(self) -> float:
        """Share of the alerts that the throttle has merged in silence."""
        return self.ledger.merged / self.ledger.received


# ---------------------------------------------------------------------------------------------------------- the alerts


def noisy_day(seed: int = SEED, alerts: int = ALERTS) -> list[Event]:
    """The first so many alerts of endless trouble, laid over one day."""
    chance = random.Random(seed)
    events: list[Event] = []
    while len(events) < alerts:
        start = MIDNIGHT + timedelta(minutes=chance.uniform(0, 22 * 60))
        trouble = chance.choices((_outage, _flapping, _single), weights=(4, 3, 9))[0]
        events += trouble(chance, start)
    return sorted(events[:alerts], key=lambda event: event.at)


def _outage(chance: random.Random, start: datetime) -> Iterator[Event]:
    title, message, severity = chance.choice(SHARED)
    hit = chance.sample(SERVICES, chance.randint(3, 8))
    for service in hit:
        at = start + timedelta(minutes=chance.uniform(0, 25))
        for _ in range(chance.randint(2, 6)):
            yield _event(at, title, message, severity, service)
            at += timedelta(seconds=chance.choice((20, 60, 90, 180, 600)))
        yield _event(at + timedelta(minutes=2), title, "Recovered.", severity, service, status="resolved")


def _flapping(chance: random.Random, start: datetime) -> Iterator[Event]:
    title, message, severity = chance.choice(FLAPPING)
    at = start
    for _ in range(chance.randint(4, 10)):
        yield _event(at, title, message, severity, "platform")
        if chance.random() < 0.5:
            yield _event(at + timedelta(seconds=60), title, message, severity, "platform")
        at += timedelta(minutes=chance.uniform(2, 8))
        yield _event(at, title, "Recovered.", severity, "platform", status="resolved")
        at += timedelta(minutes=chance.uniform(1, 10))


def _single(chance: random.Random, start: datetime) -> Iterator[Event]:
    title = f"Job {chance.choice(WORDS)}-{chance.choice(WORDS)} {chance.choice(FAULTS)}"
    severity = chance.choice(("MEDIUM", "LOW"))
    yield _event(start, title, "exit status 1", severity, "jobs")


def _event(at: datetime, title: str, message: str, severity: str, service: str, status: str = "firing") -> Event:
    facts = {"title": title, "message": message, "severity": severity, "service": service, "status": status}
    return Event(
        at, {**facts, "source_id": f"{title}/{service}", "timestamp": at.isoformat(), "event_id": f"{at}{service}"}
    )


# ------------------------------------------------------------------------------------------------------------- the day


class Jumping:
    """A clock that goes where it is set."""

    def __init__(self) -> None:
        self.now = MIDNIGHT

    def __call__(self) -> datetime:
        return self.now


class StandIn(HttpClient):
    """Answers as the Messages API does: always the same analysis, which quotes the alert's first line."""

    def request(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> HttpResponse:
        asked = json.loads(body)
        title = json.loads(asked["messages"][0]["content"].partition("\n")[0].removeprefix("Alert: "))
        message = {
            "id": "msg_stand_in",
            "type": "message",
            "role": "assistant",
            "model": asked["model"],
            "content": [{"type": "text", "text": json.dumps(_answer(title))}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": len(body) // 3, "output_tokens": 600},
        }
        return HttpResponse(200, {"content-type": "application/json"}, json.dumps(message).encode())


def _answer(title: str) -> dict[str, object]:
    return {
        "summary": title,
        "root_cause": {"statement": title, "category": "unknown", "confidence": 0.5, "alternatives": []},
        "state": "active",
        "severity": {"level": "MEDIUM", "reason": "It is a stand-in that says so."},
        "impact": "Not measured.",
        "remediation": [],
        "monitoring": [],
        "claims": [{"statement": title, "evidence": "e1", "quote": title}],
        "gaps": [],
    }


def live(events: list[Event], settings: Settings) -> Day:
    """Let the day pass."""
    clock = Jumping()
    store = MemoryStore(clock)
    route = everyone(("nobody",))
    receive = app.build_receive(settings, app.build_sources())
    decide = app.build_decide(settings, route)
    claude = ClaudeAnalyst(ClaudeSettings(api_key=Secret("stand-in"), daily_budget_usd=1000), store, clock, StandIn())
    analysts = (Remembering(claude, store, store, clock), RulesAnalyst())
    providers = (History(store), Similar(store), StackTrace())

    def look_into(subject: Subject) -> Analysis:
        return investigate(subject, providers, analysts, GATHER_SECONDS)

    throttle = timedelta(seconds=settings.analysis.throttle_seconds)
    analyzer = Analyzer(store, store, clock, route, look_into, throttle)
    for event in events:
        clock.now = event.at
        body = json.dumps(event.body).encode()
        store.accept(receive(Request(body=body, headers={}, received_at=event.at), "generic", "demo").incoming, decide)
        for leased in store.receive("analysis", 10, 0):
            analyzer.analyze(leased)
    return Day(ledger_view(store.ledger(MIDNIGHT)), costs_view(store.costs("")))


def run() -> int:
    """Print what the throttle and the cache have saved; 0 if as much as they should."""
    day = live(noisy_day(), Settings())
    ledger, costs = day.ledger, day.costs
    hit_rate = costs.hit_rate or 0.0
    lines = (
        f"A noisy day: {ledger.received} alerts, seed {SEED}, a stand-in for the model.",
        "",
        f"  {ledger.merged} alerts merged in silence: the throttle cuts the volume by {day.cut:.0%} (30 to 50 %).",
        f"  {costs.answers + costs.hits} analyses: {costs.hits} from the cache, {hit_rate:.0%} (at least 60 %); "
        f"{costs.throttled} more weren't needed, so soon after the last.",
        f"  {costs.calls} calls for ${costs.usd:.2f}; the cache has saved ${costs.saved_usd:.2f}.",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if hit_rate >= 0.6 and 0.3 <= day.cut <= 0.5 and not costs.failures else 1
