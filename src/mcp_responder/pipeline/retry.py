"""When to try again, or that it is time to give up."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import msgspec

from mcp_responder.model.alert import NEVER
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


LIMIT = 5
"""Failures in a row after which a channel is tried by one delivery at a time."""
LONGEST_PROBE = timedelta(minutes=1)


class Breaker:
    """What is known of one channel's other side: a pause that it has asked for, and failures in a row.

    After some failures one try at a time is let through, further and further apart, until one works. Used by several
    threads.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._lock = threading.Lock()
        self._asked = self._probe = NEVER
        self._failures = 0
        self.failing_since: datetime | None = None
        """The first of the failures in a row."""

    def wait(self, now: datetime) -> datetime | None:
        """Until when nobody may try. None lets the caller try, and if many have failed, nobody else meanwhile."""
        with self._lock:
            held = max(self._asked, self._probe)
            if now < held:
                return held
            if self._failures >= LIMIT:
                self._probe = now + self._pause()
            return None

    def worked(self) -> None:
        """The other side answered."""
        with self._lock:
            self._failures, self._probe = 0, NEVER
            self.failing_since = None

    def failed(self, now: datetime, retry_after: float | None) -> None:
        """The other side didn't answer, or asks for a pause of so many seconds."""
        with self._lock:
            self._failures += 1
            self.failing_since = self.failing_since or now
            if retry_after:
                self._asked = max(self._asked, now + timedelta(seconds=retry_after))
            if self._failures >= LIMIT:
                self._probe = now + self._pause()

    def _pause(self) -> timedelta:
        doubled: timedelta = self._schedule.first * 2 ** min(self._failures - LIMIT, 20)
        return min(doubled, self._schedule.longest, LONGEST_PROBE)
