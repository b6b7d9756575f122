"""Incident: what is broken, from the first alert to the last; and its legal state changes.

    open ──acknowledge──> acknowledged
      │ ^                     │
      │ └──────reopen─────┐   │
      └──────resolve──> resolved <──resolve──┘

Each change is a pure function that returns a ``Change``: the new Incident, what to write into the timeline, and
whether it is news (``news`` counts up, and every channel is brought up to date with it).
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec

from mcp_responder.model.alert import NEVER, Alert, Severity
from mcp_responder.model.errors import Refused


class IncidentStatus(enum.StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Event(enum.StrEnum):
    """What happened to an incident; the words of timelines and messages."""

    OPENED = "opened"
    ESCALATED = "escalated"
    REPEATED = "repeated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    SILENCED = "silenced"
    COMMENTED = "commented"
    ANALYZED = "analyzed"
    ANALYSIS_FAILED = "analysis_failed"
    DELIVERED = "delivered"
    DELIVERY_RETRIED = "delivery_retried"
    DELIVERY_DIED = "delivery_died"
    REROUTED = "rerouted"
    REMINDED = "reminded"


QUIET = frozenset({Event.REPEATED, Event.REOPENED, Event.ANALYZED, Event.ANALYSIS_FAILED, Event.REMINDED})
"""News that a silence keeps in the timeline. What ends the incident, and what people do, is told all the same."""


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of an incident's history: when, what, who, and the words."""

    at: datetime
    event: Event
    by: str = ""
    text: str = ""
    alert_id: str = ""
    channel: str = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The decisions about one incident, guarded by ``version``. Counts and last-seen live beside it (Activity)."""

    incident_id: str
    identity: str
    """What makes two firings the same incident: signature, service and environment."""
    signature: str
    source: str
    service: str
    resource: str
    environment: str
    title: str
    severity: Severity
    status: IncidentStatus = IncidentStatus.OPEN
    version: int = 1
    news: int = 1
    """Counts what people should hear of. A channel is up to date when its receipt has this number."""
    event: Event = Event.OPENED
    """The latest news."""
    news_at: datetime
    opened_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    resolved_at: datetime | None = None
    resolved_by: str = ""
    reopened: int = 0
    reopened_at: datetime | None = None
    owner: str = ""
    alert_id: str = ""
    """The alert that opened it."""
    silenced_until: datetime | None = None
    silenced_by: str = ""
    channels: tuple[str, ...] = ()
    """Who hears of its latest news."""
    labels: Mapping[str, str] = {}
    """Those of its first alert that a route looks at."""

    @property
    def silent(self) -> bool:
        """Whether its latest news is kept in the timeline only."""
        return self.silenced_until is not None and self.news_at < self.silenced_until and self.event in QUIET


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """What a storm changes about an incident without touching its decisions."""

    alerts: int = 0
    last_seen: datetime = NEVER
    firing: int = 0
    """Alarms of this incident that fire now."""


class IncidentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as others see it: in lists, on its own page and in what channels send."""

    id: str
    title: str
    severity: Severity
    status: IncidentStatus
    service: str
    resource: str
    environment: str
    source: str
    signature: str
    owner: str
    alert_id: str
    news: int
    reopened: int
    opened_at: datetime
    last_seen: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str
    resolved_at: datetime | None
    resolved_by: str
    silenced_until: datetime | None
    silenced_by: str
    alert_count: int
    firing_count: int
    version: int


def summary(incident: Incident, activity: Activity) -> IncidentSummary:
    """Decisions and activity in one."""
    shared = {name: getattr(incident, name) for name in _SHARED}
    return IncidentSummary(
        **shared,
        id=incident.incident_id,
        last_seen=activity.last_seen,
        alert_count=activity.alerts,
        firing_count=activity.firing,
    )


_SHARED = set(Incident.__struct_fields__) & set(IncidentSummary.__struct_fields__)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A changed Incident, the timeline's line about it, and whether anybody is to be told."""

    incident: Incident
    entry: TimelineEntry
    news: bool = True


def open_incident(alert: Alert, incident_id: str, identity: str, labels: Collection[str] = ()) -> Change:
    """A first firing makes an incident, which keeps these labels."""
    incident = Incident(
        incident_id=incident_id,
        identity=identity,
        signature=alert.signature,
        source=alert.source,
        service=alert.service,
        resource=alert.resource,
        environment=alert.environment,
        title=alert.title,
        severity=alert.severity,
        news_at=alert.received_at,
        opened_at=alert.received_at,
        owner=alert.owner,
        alert_id=alert.alert_id,
        labels={name: alert.labels[name] for name in labels if name in alert.labels},
    )
    return Change(incident=incident, entry=_entry(Event.OPENED, alert))


def escalate(incident: Incident, alert: Alert) -> Change:
    """A worse firing raises the severity, and people hear of it even if somebody has acknowledged or silenced it."""
    text = f"{incident.severity} -> {alert.severity}"
    changed = _news(incident, Event.ESCALATED, alert.received_at, severity=alert.severity, **HEARD)
    return Change(incident=changed, entry=_entry(Event.ESCALATED, alert, text))


def repeat(incident: Incident, alert: Alert) -> Change:
    """Still firing after the merge window: worth an update."""
    return Change(incident=_news(incident, Event.REPEATED, alert.received_at), entry=_entry(Event.REPEATED, alert))


def reopen_by_alert(incident: Incident, alert: Alert) -> Change:
    """It fires again soon after it was resolved: the same incident goes on. Only worse ends a silence."""
    if alert.severity.rank < incident.severity.rank:
        changed = _reopened(incident, alert.received_at, severity=alert.severity, **HEARD)
    else:
        changed = _reopened(incident, alert.received_at)
    return Change(incident=changed, entry=_entry(Event.REOPENED, alert))


def resolve_by_alert(incident: Incident, alert: Alert) -> Change:
    """Its last firing has resolved."""
    changed = _resolved(incident, alert.received_at, alert.source)
    return Change(incident=changed, entry=_entry(Event.RESOLVED, alert))


def acknowledge(incident: Incident, who: str, at: datetime) -> Change:
    """Somebody takes it: repeats fall silent. Raises Refused unless it is open."""
    if incident.status is IncidentStatus.ACKNOWLEDGED:
        raise Refused(f"{incident.incident_id} was already acknowledged by {incident.acknowledged_by}.")
    if incident.status is IncidentStatus.RESOLVED:
        raise Refused(f"{incident.incident_id} is resolved; reopen it first.")
    changed = _news(
        incident,
        Event.ACKNOWLEDGED,
        at,
        status=IncidentStatus.ACKNOWLEDGED,
        acknowledged_at=at,
        acknowledged_by=who,
        owner=incident.owner or who,
    )
    return Change(incident=changed, entry=TimelineEntry(at=at, event=Event.ACKNOWLEDGED, by=who))


def resolve(incident: Incident, who: str, at: datetime) -> Change:
    """Somebody says it is over. Raises Refused if it is already resolved."""
    if incident.status is IncidentStatus.RESOLVED:
        raise Refused(f"{incident.incident_id} was already resolved by {incident.resolved_by}.")
    return Change(incident=_resolved(incident, at, who), entry=TimelineEntry(at=at, event=Event.RESOLVED, by=who))


def silence(incident: Incident, who: str, at: datetime, until: datetime) -> Change:
    """Somebody wants to hear no more of it for a while. Raises Refused if it is resolved."""
    if incident.status is IncidentStatus.RESOLVED:
        raise Refused(f"{incident.incident_id} is resolved; there is nothing to silence.")
    changed = _news(incident, Event.SILENCED, at, silenced_until=until, silenced_by=who)
    text = f"until {until:%Y-%m-%d %H:%M} UTC"
    return Change(incident=changed, entry=TimelineEntry(at=at, event=Event.SILENCED, by=who, text=text))


def reopen(incident: Incident, who: str, at: datetime) -> Change:
    """Somebody says it isn't over, which ends a silence. Raises Refused unless it is resolved."""
    if incident.status is not IncidentStatus.RESOLVED:
        raise Refused(f"{incident.incident_id} is {incident.status}; only a resolved incident can be reopened.")
    return Change(
        incident=_reopened(incident, at, **HEARD),
        entry=TimelineEntry(at=at, event=Event.REOPENED, by=who),
    )


def comment(incident: Incident, who: str, at: datetime, text: str) -> Change:
    """Words for the timeline; nobody is paged for them."""
    changed = msgspec.structs.replace(incident, version=incident.version + 1)
    return Change(incident=changed, entry=TimelineEntry(at=at, event=Event.COMMENTED, by=who, text=text), news=False)


def reroute(incident: Incident, channels: tuple[str, ...]) -> Incident:
    """Further channels hear of it, because one that should have can't."""
    return msgspec.structs.replace(
        incident, version=incident.version + 1, channels=tuple(dict.fromkeys((*incident.channels, *channels)))
    )


def remind(incident: Incident, at: datetime) -> Change:
    """Nobody has acknowledged it for long."""
    since = max(filter(None, (incident.opened_at, incident.reopened_at)))
    minutes = int((at - since).total_seconds() // 60)
    text = f"still open, and nobody has acknowledged it for {minutes} minutes"
    changed = _news(incident, Event.REMINDED, at)
    return Change(incident=changed, entry=TimelineEntry(at=at, event=Event.REMINDED, text=text))


def analyzed(incident: Incident, at: datetime, text: str) -> Change:
    """An analysis was made."""
    changed = _news(incident, Event.ANALYZED, at)
    return Change(incident=changed, entry=TimelineEntry(at=at, event=Event.ANALYZED, text=text))


def analysis_failed(incident: Incident, at: datetime, reason: str) -> Change:
    """The analysis was given up; people are told of the incident without it."""
    changed = _news(incident, Event.ANALYSIS_FAILED, at)
    return Change(incident=changed, entry=TimelineEntry(at=at, event=Event.ANALYSIS_FAILED, text=reason))


HEARD: dict[str, object] = {"silenced_until": None, "silenced_by": ""}
"""The end of a silence."""


def _news(incident: Incident, event: Event, at: datetime, **changes: object) -> Incident:
    return msgspec.structs.replace(
        incident, version=incident.version + 1, news=incident.news + 1, event=event, news_at=at, **changes
    )


def _resolved(incident: Incident, at: datetime, who: str) -> Incident:
    return _news(incident, Event.RESOLVED, at, status=IncidentStatus.RESOLVED, resolved_at=at, resolved_by=who)


def _reopened(incident: Incident, at: datetime, **changes: object) -> Incident:
    return _news(
        incident,
        Event.REOPENED,
        at,
        status=IncidentStatus.OPEN,
        acknowledged_at=None,
        acknowledged_by="",
        resolved_at=None,
        resolved_by="",
        reopened=incident.reopened + 1,
        reopened_at=at,
        **changes,
    )


def _entry(event: Event, alert: Alert, text: str = "") -> TimelineEntry:
    return TimelineEntry(at=alert.received_at, event=event, by=alert.source, text=text, alert_id=alert.alert_id)
