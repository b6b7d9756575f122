"""Messages to tell: an ordinary incident, and the worst ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from mcp_responder.model.alert import Link, Severity
from mcp_responder.model.analysis import (
    Analysis,
    Category,
    Claim,
    Evidence,
    MadeBy,
    Risk,
    RootCause,
    SeverityAssessment,
    State,
    Step,
)
from mcp_responder.model.incident import Activity, Event, Incident, IncidentStatus, TimelineEntry
from mcp_responder.model.message import Message, Receipt, ReceiptState
from mcp_responder.ports import Delivered

NOW = datetime(2026, 11, 22, 3, 12, 9, tzinfo=UTC)
PAGE = "http://127.0.0.1:8080/incidents/INC-7"
NEWS = (
    Event.OPENED,
    Event.ESCALATED,
    Event.REPEATED,
    Event.ACKNOWLEDGED,
    Event.RESOLVED,
    Event.REOPENED,
    Event.ANALYZED,
    Event.ANALYSIS_FAILED,
)

_STATUS = {Event.ACKNOWLEDGED: IncidentStatus.ACKNOWLEDGED, Event.RESOLVED: IncidentStatus.RESOLVED}


def an_incident(event: Event = Event.OPENED, *, title: str = "Connection pool exhausted on db-primary") -> Incident:
    return Incident(
        incident_id="INC-7",
        identity="payments-pool",
        signature="9f31c0",
        source="cloudwatch_alarm",
        service="payments-api",
        resource="db-primary",
        environment="production",
        title=title,
        severity=Severity.CRITICAL,
        status=_STATUS.get(event, IncidentStatus.OPEN),
        news=1 + NEWS.index(event),
        event=event,
        news_at=NOW,
        opened_at=NOW - timedelta(minutes=4),
        alert_id="a-1",
    )


def an_analysis(text: str = "") -> Analysis:
    """An ordinary one, or one in which every text is ``text``."""
    return Analysis(
        summary=text or "All 20 connections of the pool are held by requests that wait for a slow query.",
        root_cause=RootCause(
            statement=text or "A deploy at 03:05 removed the index that the order search needs.",
            category=Category.RESOURCE_EXHAUSTION,
            confidence=0.87,
            alternatives=(text or "a long-running report holds a lock",),
        ),
        state=State.ACTIVE,
        severity=SeverityAssessment(level=Severity.HIGH, reason=text or "reads from the cache still work"),
        impact=text or "Payments fail for every fourth customer.",
        remediation=(
            Step(step=text or "Look at who holds the connections", command=text or "psql -c 'select * from pg_locks'"),
            Step(step=text or "Roll the deploy back", command=text or "deployctl rollback payments", risk=Risk.LOW),
        ),
        monitoring=(text or "pool_in_use below 15 for ten minutes",),
        claims=(
            Claim(statement=text or "The pool is used up.", evidence="e1", quote=text or "pool 20/20", verified=True),
            Claim(statement=text or "The deploy removed an index.", evidence="e2", quote=text or "DROP INDEX"),
        ),
        gaps=(text or "no query plans were available",),
        made_by=MadeBy(analyst="rules", reason=text or "no API key is configured"),
        made_at=NOW,
        evidence=(
            Evidence(evidence_id="e1", kind="history", title=text or "Last 7 days", content=text or "pool 20/20 used"),
            Evidence(evidence_id="e2", kind="attached", title=text or "Deploys", gap=text or "access was denied"),
        ),
    )


def a_message(event: Event = Event.OPENED, *, analysis: Analysis | None = None, **changes: object) -> Message:
    """News of an ordinary incident."""
    message = Message(
        delivery_id=f"d-INC-7-{event}",
        incident=an_incident(event),
        news=1 + NEWS.index(event),
        event=event,
        activity=Activity(alerts=14, firing=3),
        analysis=analysis,
        timeline=(
            TimelineEntry(at=NOW - timedelta(minutes=4), event=Event.OPENED, by="cloudwatch_alarm", alert_id="a-1"),
            TimelineEntry(at=NOW, event=event, by="ann", text="on it"),
        ),
        links=(Link(name="Alarm", url="https://console.example.com/alarm/1"),),
        url=PAGE,
    )
    return msgspec.structs.replace(message, **changes)


def a_message_of(text: str, *, repeat: int = 1) -> Message:
    """One in which every text that comes from outside is ``text``, and every list has ``repeat`` times its entries."""
    analysis = an_analysis(text)
    longer = {
        name: getattr(analysis, name) * repeat for name in ("remediation", "monitoring", "claims", "gaps", "evidence")
    }
    incident = msgspec.structs.replace(
        an_incident(title=text), service=text, resource=text, environment=text, owner=text, source=text
    )
    entry = TimelineEntry(at=NOW, event=Event.OPENED, by=text, text=text)
    return a_message(
        incident=incident,
        analysis=msgspec.structs.replace(analysis, **longer),
        timeline=(entry,) * repeat,
        links=(Link(name=text, url="https://example.com/" + text),) * repeat,
    )


def receipt_of(message: Message, delivered: Delivered) -> Receipt:
    """What is kept of a delivery until the next."""
    return Receipt(
        channel="night",
        state=ReceiptState.DELIVERED,
        news=message.news,
        event=message.event,
        at=NOW,
        reference=delivered.reference,
        url=delivered.url,
    )
