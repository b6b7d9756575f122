"""When to try again, or that it is time to give up. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from mcp_responder.model.errors import Transient
from mcp_responder.model.task import Task


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """How patient a channel is: waits double from ``first`` up to ``longest``; after ``give_up`` it is dead."""

    first: timedelta = timedelta(seconds=2)
    longest: timedelta = timedelta(minutes=10)
    give_up: timedelta = timedelta(hours=24)


def again(task: Task, error: Exception, now: datetime, schedule: Schedule, spread: float) -> Task | None:
    """The next try of a task that failed, or None when it is to be buried.

    Only Transient errors are worth another try. ``spread`` (0 to 1) is the caller's random number: it pulls the wait
    to between 75 % and 100 %, so that a crowd doesn't come back in step. The other side's ``retry_after`` is obeyed.
    """
    first_due = task.first_due or now
    if not isinstance(error, Transient) or now - first_due >= schedule.give_up:
        return None
    wait = min(schedule.first * 2 ** min(task.attempt - 1, 30), schedule.longest) * (0.75 + 0.25 * spread)
    if error.retry_after is not None:
        wait = max(wait, timedelta(seconds=error.retry_after))
    # The last try falls on the end of the schedule, not beyond it.
    not_before = min(now + wait, first_due + schedule.give_up)
    return msgspec.structs.replace(
        task,
        attempt=task.attempt + 1,
        not_before=not_before,
        first_due=first_due,
        doubtful=task.doubtful or error.doubtful,
    )
