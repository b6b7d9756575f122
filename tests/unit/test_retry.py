"""When to try again, or that it is time to give up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mcp_responder.model.errors import Permanent, Transient
from mcp_responder.model.task import Notify, Task
from mcp_responder.pipeline.retry import Schedule, again

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
TASK = Task(work=Notify("inc_1", "slack"))
SCHEDULE = Schedule(first=timedelta(seconds=2), longest=timedelta(minutes=10), give_up=timedelta(hours=24))
LATER = Transient("later")


def wait(attempt: int, spread: float = 1.0, error: Exception = LATER) -> timedelta:
    task = again(replace(TASK, attempt=attempt), error, NOW, SCHEDULE, spread)
    assert task is not None
    assert task.not_before is not None
    return task.not_before - NOW


def test_the_next_try_is_the_same_work_one_attempt_further() -> None:
    task = again(TASK, LATER, NOW, SCHEDULE, 1.0)
    assert task == replace(TASK, attempt=2, not_before=NOW + timedelta(seconds=2), first_due=NOW)


def test_only_what_may_pass_is_tried_again() -> None:
    assert again(TASK, Permanent("never"), NOW, SCHEDULE, 1.0) is None
    assert again(TASK, ValueError("a bug"), NOW, SCHEDULE, 1.0) is None


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (3, 8), (9, 512), (10, 600), (11, 600), (5000, 600)])
def test_waits_double_up_to_the_longest(attempt: int, seconds: int) -> None:
    assert wait(attempt) == timedelta(seconds=seconds)


def test_the_spread_pulls_a_wait_to_three_quarters() -> None:
    assert wait(3, spread=0.0) == timedelta(seconds=6)
    assert wait(3, spread=0.5) == timedelta(seconds=7)


def test_the_other_sides_retry_after_is_obeyed() -> None:
    assert wait(1, error=Transient("busy", retry_after=90)) == timedelta(seconds=90)
    assert wait(1, error=Transient("busy", retry_after=3600)) == timedelta(hours=1)


def test_a_retry_after_shorter_than_the_wait_does_not_hurry() -> None:
    assert wait(4, error=Transient("busy", retry_after=1)) == timedelta(seconds=16)
    assert wait(1, error=Transient("busy", retry_after=0)) == timedelta(seconds=2)


def test_the_schedule_is_measured_from_the_first_try() -> None:
    first_due = NOW - timedelta(hours=23, minutes=59)
    last = again(replace(TASK, attempt=200, first_due=first_due), LATER, NOW, SCHEDULE, 1.0)
    assert last is not None
    assert (last.first_due, last.not_before) == (first_due, first_due + timedelta(hours=24))


def test_a_retry_after_beyond_the_end_is_cut_to_the_end() -> None:
    task = again(TASK, Transient("busy", retry_after=10**6), NOW, SCHEDULE, 1.0)
    assert task is not None
    assert task.not_before == NOW + timedelta(hours=24)


def test_when_the_schedule_is_spent_it_is_given_up() -> None:
    assert again(replace(TASK, first_due=NOW - timedelta(hours=24)), LATER, NOW, SCHEDULE, 1.0) is None


@given(st.floats(0, 1), st.one_of(st.none(), st.floats(0, 1e6)))
def test_every_task_is_given_up_at_the_end_of_its_schedule_and_not_before(spread: float, retry_after: float) -> None:
    now, task, tries = NOW, TASK, 0
    while True:
        retry = again(task, Transient("busy", retry_after=retry_after), now, SCHEDULE, spread)
        if retry is None:
            break
        assert retry.not_before is not None
        assert now < retry.not_before <= NOW + SCHEDULE.give_up
        task, now, tries = retry, retry.not_before, tries + 1
    assert now == NOW + SCHEDULE.give_up
    assert task.attempt == tries + 1
