"""Is this alert a repeat, part of an open incident, its end, or something new?

Pure: the store calls it inside ``accept``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b

import msgspec

from mcp_responder.model import incident as changes
from mcp_responder.model.alert import Alert, Status
from mcp_responder.model.incident import Change, Incident, IncidentStatus
from mcp_responder.model.task import Analyze, Notify, Task
from mcp_responder.ports import Situation, Verdict

INFO = Verdict(outcome="suppressed:info")
NOTHING_OPEN = Verdict(outcome="suppressed:nothing-open")
OUT_OF_ORDER = Verdict(outcome="suppressed:out-of-order")

Route = Callable[[Incident], tuple[str, ...]]
"""Which channels hear of an incident."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of correlation."""

    identity: tuple[str, ...] = ("signature", "service", "environment")
    """Fields of Alert that together make an incident."""
    merge_window: timedelta = timedelta(minutes=5)
    """A repeat this soon after the last news is merged in silence."""
    reopen_window: timedelta = timedelta(minutes=30)
    """A firing this soon after the end reopens the incident; later it makes a new one."""


def identity_of(alert: Alert, fields: tuple[str, ...]) -> str:
    """What makes two firings the same incident."""
    return _digest(*[getattr(alert, field) for field in fields])


def alarm_of(alert: Alert, identity: str) -> str:
    """What fires: the sender's own stable identity; without one, the resource's part in the incident."""
    if alert.source_id:
        return _digest(alert.source, alert.source_id)
    return _digest(identity, alert.resource) if alert.resource else identity


@lru_cache(maxsize=4096)
def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=12).hexdigest()


class Correlate:
    """``decide`` with its settings: rules, routes, and the labels that routes look at."""

    def __init__(self, rules: Rules, route: Route, labels: Collection[str] = ()) -> None:
        self._rules = rules
        self._route = route
        self._labels = tuple(labels)

    def __call__(self, alert: Alert, situation: Situation) -> Verdict:
        if alert.status is Status.INFO:
            return INFO
        if situation.resolved_later or situation.fired_later:
            return OUT_OF_ORDER
        if alert.status is Status.RESOLVED:
            return self._resolved(alert, situation)
        return self._firing(alert, situation.latest)

    def _firing(self, alert: Alert, latest: Incident | None) -> Verdict:
        if latest is None:
            return self._opened(alert)
        if latest.status is IncidentStatus.RESOLVED:
            return self._after_the_end(alert, latest)
        if alert.severity.rank < latest.severity.rank:
            return self._told(alert, changes.escalate(latest, alert))
        muted = latest.status is IncidentStatus.ACKNOWLEDGED
        if not muted and alert.received_at - latest.news_at >= self._rules.merge_window:
            told = changes.repeat(latest, alert)
            if not told.incident.silent:
                return self._told(alert, told)
        return Verdict(outcome="merged", incident_id=latest.incident_id, firing=True)

    def _after_the_end(self, alert: Alert, latest: Incident) -> Verdict:
        ended = latest.resolved_at or latest.opened_at
        if alert.received_at - ended > self._rules.reopen_window:
            return self._opened(alert)
        return self._told(alert, changes.reopen_by_alert(latest, alert), analyze=True)

    def _opened(self, alert: Alert) -> Verdict:
        # An alert opens one incident at most, so the incident's name can come from the alert's. The time in front keeps
        # the names of a storm together: an index is written in one place then.
        name = f"inc_{int(alert.received_at.timestamp()):08x}{alert.alert_id[:12]}"
        change = changes.open_incident(alert, name, identity_of(alert, self._rules.identity), self._labels)
        return self._told(alert, change, analyze=True, wait_for_analysis=not alert.severity.pages)

    def _told(self, alert: Alert, change: Change, *, analyze: bool = False, wait_for_analysis: bool = False) -> Verdict:
        incident, tasks = tell(change.incident, self._route)
        if wait_for_analysis:
            tasks = ()
        if analyze:
            tasks += (Task(work=Analyze(incident.incident_id), severity=incident.severity),)
        return Verdict(
            outcome="suppressed:silenced" if incident.silent else "" if incident.channels else "suppressed:no-route",
            incident_id=incident.incident_id,
            firing=alert.status is Status.FIRING,
            changed=(incident,),
            entries=((incident.incident_id, change.entry),),
            tasks=tasks,
        )

    def _resolved(self, alert: Alert, situation: Situation) -> Verdict:
        latest = situation.latest
        nameless = not alert.source_id and not alert.resource
        if nameless and not situation.firing_in and latest and latest.status is not IncidentStatus.RESOLVED:
            # It names neither alarm nor resource: it speaks of the incident as a whole.
            return self._told(alert, changes.resolve_by_alert(latest, alert))
        ended = [
            self._told(alert, changes.resolve_by_alert(incident, alert))
            for incident, others in zip(situation.firing_in, situation.others_firing, strict=True)
            if not others
        ]
        if not ended:
            first = situation.firing_in[0] if situation.firing_in else None
            return Verdict(outcome="merged", incident_id=first.incident_id) if first else NOTHING_OPEN
        # An end that people hear of decides what becomes of the alert.
        ended.sort(key=lambda verdict: verdict.outcome)
        return Verdict(
            outcome=ended[0].outcome,
            incident_id=ended[0].incident_id,
            changed=tuple(incident for verdict in ended for incident in verdict.changed),
            entries=tuple(entry for verdict in ended for entry in verdict.entries),
            tasks=tuple(task for verdict in ended for task in verdict.tasks),
        )


def tell(incident: Incident, route: Route) -> tuple[Incident, tuple[Task, ...]]:
    """The incident with who hears of its latest news, and what that takes: nothing if a silence keeps it."""
    channels = route(incident)
    if channels != incident.channels:
        incident = msgspec.structs.replace(incident, channels=channels)
    return incident, () if incident.silent else notify(incident, channels)


def notify(incident: Incident, channels: tuple[str, ...], at: datetime | None = None) -> tuple[Task, ...]:
    """One task a channel, so that a dead one can't delay the others."""
    return tuple(
        Task(work=Notify(incident.incident_id, channel), severity=incident.severity, not_before=at, first_due=at)
        for channel in channels
    )
