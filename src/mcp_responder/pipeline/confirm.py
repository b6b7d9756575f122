"""Tell a sender that waits for it that it may go on: fetch the address that its alert names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec.structs import replace

from mcp_responder.model.alert import Alert
from mcp_responder.model.errors import Permanent, Transient
from mcp_responder.model.task import Confirm, Leased, Task
from mcp_responder.pipeline.retry import Schedule, again
from mcp_responder.ports import MAX_RECEIVES, Clock, Commit, Decide, IncidentStore, Situation, Verdict

CONFIRMED = "suppressed:confirmed"
IN_FLIGHT = "in_flight"

Result = Literal["confirmed", "retried", "dead"]
Observe = Callable[[str, Result, str], None]
"""Told of each try: alert id, what came of it, why."""


def confirming(decide: Decide, asking: frozenset[str]) -> Decide:
    """The same decisions, but alerts that ask for a confirmation are in flight until it was given. Pure."""

    def with_tasks(alert: Alert, situation: Situation) -> Verdict:
        verdict = decide(alert, situation)
        if alert.alert_id not in asking or verdict.changed:
            return verdict
        task = Task(work=Confirm(alert.alert_id), severity=alert.severity)
        return replace(verdict, outcome="", tasks=(*verdict.tasks, task))

    return with_tasks


class Confirmer:
    """Works on Confirm tasks.

    ``address`` says where an alert's confirmation is fetched, or nothing if it mustn't be. ``fetch`` gets an address,
    follows no redirect, and raises Transient or Permanent. ``spread`` gives a random number between 0 and 1.
    """

    def __init__(
        self,
        store: IncidentStore,
        clock: Clock,
        schedule: Schedule,
        spread: Callable[[], float],
        address: Callable[[Alert], str],
        fetch: Callable[[str], None],
        observe: Observe,
    ) -> None:
        self._store = store
        self._clock = clock
        self._schedule = schedule
        self._spread = spread
        self._address = address
        self._fetch = fetch
        self._observe = observe

    def confirm(self, leased: Leased) -> str:
        """Do the task and commit what came of it; the id of the alert."""
        work = leased.task.work
        assert isinstance(work, Confirm)  # noqa: S101 - the lane carries nothing else
        record = self._store.alert(work.alert_id)
        if record.outcome != IN_FLIGHT:
            self._store.commit(Commit(finished=leased))
        elif leased.receives > MAX_RECEIVES:
            self._bury(leased, work.alert_id, f"its worker was lost, or failed, {MAX_RECEIVES} times while confirming")
        else:
            self._try(leased, record.alert)
        return work.alert_id

    def _try(self, leased: Leased, alert: Alert) -> None:
        try:
            self._fetch(self._checked(alert))
        except (Transient, Permanent) as error:
            self._failed(leased, alert.alert_id, error)
        else:
            self._store.commit(Commit(alert_id=alert.alert_id, settle=CONFIRMED, finished=leased))
            self._observe(alert.alert_id, "confirmed", "")

    def _checked(self, alert: Alert) -> str:
        # Settings may have changed since the alert came in.
        address = self._address(alert)
        if not address:
            raise Permanent("the settings no longer allow that this is confirmed without a person.")
        return address

    def _failed(self, leased: Leased, alert_id: str, error: Transient | Permanent) -> None:
        task = again(leased.task, error, self._clock(), self._schedule, self._spread())
        if task is None:
            self._bury(leased, alert_id, str(error))
        else:
            self._store.commit(Commit(tasks=(task,), finished=leased))
            self._observe(alert_id, "retried", str(error))

    def _bury(self, leased: Leased, alert_id: str, reason: str) -> None:
        self._store.commit(Commit(alert_id=alert_id, settle="dead", letter=reason, finished=leased))
        self._observe(alert_id, "dead", reason)
