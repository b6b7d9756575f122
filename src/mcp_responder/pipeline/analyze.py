"""Find out why an incident happened, and write it into the incident with the notifications that follow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from mcp_responder.model import incident as changes
from mcp_responder.model.alert import Status
from mcp_responder.model.analysis import Analysis, Cost
from mcp_responder.model.errors import Conflict, LeaseLost, Permanent, Transient
from mcp_responder.model.incident import Change, Incident
from mcp_responder.model.task import Analyze, Leased
from mcp_responder.pipeline.correlate import Route, tell
from mcp_responder.ports import MAX_RECEIVES, Clock, Commit, CostBook, IncidentStore, Query, Subject

RECENT = 20
"""How many of the newest alerts of an incident are looked at."""

Investigate = Callable[[Subject], Analysis]


class Analyzer:
    """Works on Analyze tasks.

    An incident isn't analysed again within ``throttle`` of its last analysis: an alarm that flaps costs one.
    """

    def __init__(
        self,
        store: IncidentStore,
        book: CostBook,
        clock: Clock,
        route: Route,
        investigate: Investigate,
        throttle: timedelta,
    ) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._route = route
        self._investigate = investigate
        self._throttle = throttle

    def analyze(self, leased: Leased) -> Incident:
        """Do the task and commit what came of it; the incident that it is about.

        A task that its workers never survive is given up, and people hear of the incident without an analysis.
        """
        work = leased.task.work
        assert isinstance(work, Analyze)  # noqa: S101 - the lane carries nothing else
        if leased.receives > MAX_RECEIVES:
            return self._give_up(leased, f"its worker was lost, or failed, {MAX_RECEIVES} times while analysing")
        incident, last = self._store.incident(work.incident_id).incident, self._store.analysis(work.incident_id)
        if last and timedelta() <= self._clock() - last.made_at < self._throttle:
            self._store.commit(Commit(finished=leased))
            if last.made_by.model:
                day = f"{self._clock():%Y-%m-%d}"
                self._book.book(Cost(day=day, model=last.made_by.model, throttled=1))
            return incident
        try:
            analysis = self._investigate(self._subject(work.incident_id))
        except (Transient, Permanent) as error:
            return self._give_up(leased, f"nobody could analyse it: {error}")
        return self._commit(
            leased,
            work.incident_id,
            lambda incident: changes.analyzed(incident, self._clock(), analysis.root_cause.statement),
            analysis,
        )

    def _give_up(self, leased: Leased, reason: str) -> Incident:
        """People hear of the incident without an analysis."""
        work = leased.task.work
        assert isinstance(work, Analyze)  # noqa: S101
        return self._commit(
            leased,
            work.incident_id,
            lambda incident: changes.analysis_failed(incident, self._clock(), reason),
            None,
            reason,
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
            told, tasks = tell(done.incident, self._route)
            try:
                self._store.commit(
                    Commit(
                        incident=told,
                        entries=(done.entry,),
                        tasks=tasks,
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
