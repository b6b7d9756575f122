"""Find out why an incident happened, and write it into the incident with the notifications that follow."""

from __future__ import annotations

from collections.abc import Callable

from mcp_responder.model import incident as changes
from mcp_responder.model.alert import Status
from mcp_responder.model.analysis import Analysis
from mcp_responder.model.errors import Conflict, LeaseLost
from mcp_responder.model.incident import Change, Incident
from mcp_responder.model.task import Analyze, Leased
from mcp_responder.pipeline.correlate import Route, notify
from mcp_responder.ports import MAX_RECEIVES, Clock, Commit, IncidentStore, Query, Subject

RECENT = 20
"""How many of the newest alerts of an incident are looked at."""

Investigate = Callable[[Subject], Analysis]


class Analyzer:
    """Works on Analyze tasks."""

    def __init__(self, store: IncidentStore, clock: Clock, route: Route, investigate: Investigate) -> None:
        self._store = store
        self._clock = clock
        self._route = route
        self._investigate = investigate

    def analyze(self, leased: Leased) -> Incident:
        """Do the task and commit what came of it; the incident that it is about.

        A task that its workers never survive is given up, and people hear of the incident without an analysis.
        """
        work = leased.task.work
        assert isinstance(work, Analyze)  # noqa: S101 - the lane carries nothing else
        if leased.receives > MAX_RECEIVES:
            reason = f"its worker was lost, or failed, {MAX_RECEIVES} times while analysing"
            return self._commit(
                leased,
                work.incident_id,
                lambda incident: changes.analysis_failed(incident, self._clock(), reason),
                None,
                reason,
            )
        analysis = self._investigate(self._subject(work.incident_id))
        return self._commit(
            leased,
            work.incident_id,
            lambda incident: changes.analyzed(incident, self._clock(), analysis.root_cause.statement),
            analysis,
        )

    def _subject(self, incident_id: str) -> Subject:
        record = self._store.incident(incident_id)
        recent = self._store.alerts(Query(limit=RECENT, incident_id=incident_id)).items
        return Subject(
            alert=self._store.alert(record.incident.alert_id).alert,
            incident=record.incident,
            activity=record.activity,
            recent=tuple(item.alert for item in recent if item.alert.status is Status.FIRING),
            now=self._clock(),
        )

    def _commit(
        self,
        leased: Leased,
        incident_id: str,
        change: Callable[[Incident], Change],
        analysis: Analysis | None,
        letter: str = "",
    ) -> Incident:
        """Apply the change to the incident as it is now; when somebody was faster, apply it again."""
        while True:
            incident = self._store.incident(incident_id).incident
            done = change(incident)
            try:
                self._store.commit(
                    Commit(
                        incident=done.incident,
                        entries=(done.entry,),
                        tasks=notify(done.incident, self._route(done.incident)),
                        analysis=analysis,
                        letter=letter,
                        finished=leased,
                    )
                )
            except LeaseLost:
                raise
            except Conflict:
                continue
            return done.incident
