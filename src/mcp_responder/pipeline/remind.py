"""A page that nobody acknowledges is told again: a task, planned when it is told, looks at what is true then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from mcp_responder.model import incident as changes
from mcp_responder.model.errors import Conflict, LeaseLost
from mcp_responder.model.incident import Event, Incident, IncidentStatus, TimelineEntry
from mcp_responder.model.task import Leased, Remind, Task
from mcp_responder.pipeline.correlate import Route, tell
from mcp_responder.ports import Clock, Commit, IncidentStore

PAGES = frozenset({Event.OPENED, Event.REOPENED, Event.ESCALATED})
"""News after which somebody should acknowledge."""


class Reminders(msgspec.Struct, frozen=True, kw_only=True):
    """When people are reminded."""

    after: timedelta = timedelta(minutes=30)
    """Zero is never."""
    repeat: bool = False

    def planned(self, incident: Incident) -> tuple[Task, ...]:
        """What is to be done about a page that is being told."""
        pages = incident.severity.pages and incident.event in PAGES and incident.status is IncidentStatus.OPEN
        return self.next(incident) if self.after and pages else ()

    def next(self, incident: Incident) -> tuple[Task, ...]:
        """The reminder that comes after the latest news."""
        due = incident.news_at + self.after
        work = Remind(incident.incident_id)
        return (Task(work=work, severity=incident.severity, not_before=due, first_due=due),)


class Reminder:
    """Works on Remind tasks."""

    def __init__(self, store: IncidentStore, clock: Clock, route: Route, reminders: Reminders) -> None:
        self._store = store
        self._clock = clock
        self._route = route
        self._reminders = reminders

    def remind(self, leased: Leased) -> Incident:
        """Do the task and commit what came of it; the incident that it is about."""
        work = leased.task.work
        assert isinstance(work, Remind)  # noqa: S101 - the lane carries nothing else
        while True:
            incident = self._store.incident(work.incident_id).incident
            if not self._wanted(incident, self._store.timeline(work.incident_id)):
                self._store.commit(Commit(finished=leased))
                return incident
            change = changes.remind(incident, self._clock())
            told, tasks = tell(change.incident, self._route)
            if self._reminders.repeat:
                tasks += self._reminders.next(told)
            try:
                self._store.commit(Commit(incident=told, entries=(change.entry,), tasks=tasks, finished=leased))
            except LeaseLost:
                raise
            except Conflict:
                continue
            return told

    def _wanted(self, incident: Incident, timeline: Sequence[TimelineEntry]) -> bool:
        """Whether it is still an open page, and each channel's task hasn't reminded of it just now."""
        last = next((entry.at for entry in reversed(timeline) if entry.event is Event.REMINDED), None)
        lately = last is not None and self._clock() - last < self._reminders.after / 2
        return incident.status is IncidentStatus.OPEN and incident.severity.pages and not lately
