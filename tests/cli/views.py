"""What the API shows, ready to be served: one alert, one incident, and some with hostile text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from mcp_responder.model.alert import Link, Severity, Status
from mcp_responder.model.incident import Event, IncidentStatus, IncidentSummary, TimelineEntry
from mcp_responder.model.message import Receipt, ReceiptState
from mcp_responder.operations import AlertView, IncidentRef, IncidentView, PathStep, Why
from tests.channels.messages import an_analysis

NOW = datetime(2026, 11, 22, 3, 12, 9, tzinfo=UTC)
OPENED = NOW - timedelta(minutes=4)
HOSTILE = "\x1b[2Jgone\x9b31m\u202e\nsecond line"


def an_alert(title: str = "Connection pool exhausted", **changes: object) -> AlertView:
    alert = AlertView(
        alert_id="0f6cc3a1b2",
        source="generic",
        source_id="pool-alarm",
        title=title,
        message="20 of 20 in use",
        severity=Severity.CRITICAL,
        timestamp=OPENED,
        raw_data=msgspec.Raw(b'{"title":"x"}'),
        signature="9f31c0",
        status=Status.FIRING,
        service="payments-api",
        resource="db-primary",
        environment="production",
        account="",
        region="",
        owner="",
        labels={"team": "payments"},
        links=(Link(name="Runbook", url="https://runbooks.example/pool"),),
        received_at=OPENED,
        key="ci",
        outcome="delivered",
        incident=IncidentRef(id="inc_0f6cc3a1b2", status=IncidentStatus.OPEN),
    )
    return msgspec.structs.replace(alert, **changes)


def a_summary(title: str = "Connection pool exhausted", **changes: object) -> IncidentSummary:
    whole = an_incident(title, **changes)
    return IncidentSummary(**{name: getattr(whole, name) for name in IncidentSummary.__struct_fields__})


def an_incident(title: str = "Connection pool exhausted", **changes: object) -> IncidentView:
    incident = IncidentView(
        id="inc_0f6cc3a1b2",
        title=title,
        severity=Severity.CRITICAL,
        status=IncidentStatus.OPEN,
        service="payments-api",
        resource="db-primary",
        environment="production",
        source="generic",
        signature="9f31c0",
        owner="",
        opened_at=OPENED,
        last_seen=NOW - timedelta(seconds=12),
        acknowledged_at=None,
        acknowledged_by="",
        resolved_at=None,
        resolved_by="",
        silenced_until=None,
        silenced_by="",
        reopened=0,
        alert_id="0f6cc3a1b2",
        news=1,
        alert_count=41,
        firing_count=1,
        version=3,
        alerts=(an_alert(title),),
        analysis=an_analysis(),
        timeline=(
            TimelineEntry(at=OPENED, event=Event.OPENED, by="generic", alert_id="0f6cc3a1b2"),
            TimelineEntry(at=NOW - timedelta(minutes=3), event=Event.ANALYZED, text="pool exhausted"),
        ),
        deliveries=(
            Receipt(
                channel="webhook",
                state=ReceiptState.DELIVERED,
                news=2,
                event=Event.ANALYZED,
                at=NOW - timedelta(minutes=3),
                attempts=2,
                url="https://ops.example/7",
            ),
        ),
    )
    return msgspec.structs.replace(incident, **changes)


def a_path() -> Why:
    return Why(
        alert_id="0f6cc3a1b2",
        outcome="delivered",
        explanation="A channel took the news that this event caused.",
        incident=IncidentRef(id="inc_0f6cc3a1b2", status=IncidentStatus.OPEN),
        path=(
            PathStep(at=OPENED, what="received", detail="from generic with key 'ci'"),
            PathStep(at=NOW, what="delivered", detail="webhook"),
        ),
    )
