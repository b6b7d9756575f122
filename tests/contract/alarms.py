"""Alerts as a sender makes them, and a sender that hands them to a store."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Protocol

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.incident import Incident
from mcp_responder.model.task import Leased
from mcp_responder.pipeline.correlate import Correlate, Rules, alarm_of, identity_of
from mcp_responder.pipeline.route import everyone
from mcp_responder.ports import Accepted, AnalysisCache, CostBook, Decide, IncidentStore, Incoming, KeyStore, TaskQueue
from tests.contract.clock import FakeClock

CHANNELS = ("slack", "jira")
DECIDE = Correlate(Rules(), everyone(CHANNELS))
_names = itertools.count()


class Store(IncidentStore, TaskQueue, KeyStore, AnalysisCache, CostBook, Protocol):
    """All that a backend answers to."""


def digest(words: str) -> str:
    return blake2b(words.encode(), digest_size=12).hexdigest()


def incoming(received_at: datetime, *, name: str = "", unstable: bool = False, **fields: Any) -> Incoming:
    """An alert on its way in. Two with one ``name`` are the same event; without a name it is an event of its own."""
    facts: dict[str, Any] = {
        "title": "Database is down",
        "source": "grafana",
        "service": "payments",
        "severity": Severity.HIGH,
        **fields,
    }
    alert = Alert(
        alert_id=digest(name or f"event {next(_names)}"),
        signature=digest(facts["title"]),
        received_at=received_at,
        **facts,
    )
    identity = identity_of(alert, Rules().identity)
    return Incoming(alert=alert, identity=identity, alarm=alarm_of(alert, identity), unstable=unstable)


class Sender:
    """Hands alerts to a store, stamped with the clock's time. ``ago`` is how long ago the alarm says it happened."""

    def __init__(self, store: Store, clock: FakeClock, decide: Decide = DECIDE) -> None:
        self.store = store
        self.clock = clock
        self.decide = decide

    def firing(self, *, ago: timedelta | None = None, **fields: Any) -> Incoming:
        timestamp = None if ago is None else self.clock() - ago
        return incoming(self.clock(), timestamp=timestamp, **fields)

    def resolved(self, **fields: Any) -> Incoming:
        return self.firing(status=Status.RESOLVED, **fields)

    def sends(self, *batch: Incoming) -> list[Accepted]:
        return self.store.accept(batch, self.decide)

    def fires(self, **fields: Any) -> Accepted:
        return self.sends(self.firing(**fields))[0]

    def resolves(self, **fields: Any) -> Accepted:
        return self.sends(self.resolved(**fields))[0]

    def opens(self, **fields: Any) -> Incident:
        """A firing that makes an incident, as it is stored."""
        accepted = self.fires(**fields)
        return self.store.incident(self.store.alert(accepted.alert_id).incident_id).incident

    def incident_of(self, accepted: Accepted) -> Incident:
        return self.store.incident(self.store.alert(accepted.alert_id).incident_id).incident

    def outcome_of(self, accepted: Accepted) -> str:
        return self.store.alert(accepted.alert_id).outcome

    def receives(self, lane: str = "analysis", limit: int = 10) -> list[Leased]:
        return self.store.receive(lane, limit, 0)

    def lanes(self) -> dict[str, int]:
        """Tasks that wait or are worked on, by lane."""
        return {lane: d.ready + d.delayed + d.leased for lane, d in self.store.depth().items()}
