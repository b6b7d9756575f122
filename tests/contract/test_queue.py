"""``TaskQueue``: at least once, invisible while leased, a handle that fences."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from mcp_responder.model.alert import Severity
from mcp_responder.model.errors import LeaseLost
from mcp_responder.model.task import Analyze, Leased, Notify, Task
from mcp_responder.ports import VISIBILITY, Commit, LaneDepth
from tests.contract.alarms import Sender, Store
from tests.contract.clock import START, FakeClock
from tests.promises import promise


def queues(store: Store, *tasks: Task) -> None:
    store.commit(Commit(tasks=tasks))


def analyze(incident_id: str, **fields: object) -> Task:
    return Task(work=Analyze(incident_id), **fields)


def names(leased: list[Leased]) -> list[str]:
    return [one.task.work.incident_id for one in leased]


# -------------------------------------------------------------------------------------------------------------- leases


def test_an_empty_lane_has_nothing(sender: Sender) -> None:
    assert sender.receives("analysis") == []


@promise("accepted-alert-is-never-lost")
def test_a_leased_task_is_invisible_for_the_visibility_timeout(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1"))
    (leased,) = sender.receives()
    assert (leased.until, leased.receives) == (START + VISIBILITY, 1)
    clock.advance(minutes=14, seconds=59)
    assert sender.receives() == []
    clock.advance(seconds=1)
    (again,) = sender.receives()
    assert (again.task, again.receives) == (leased.task, 2)
    assert again.handle != leased.handle


def test_every_receive_counts_and_a_task_may_come_with_more_than_allowed(
    sender: Sender, store: Store, clock: FakeClock
) -> None:
    queues(store, analyze("inc_1"))
    receives = []
    for _ in range(5):
        receives.append(sender.receives()[0].receives)
        clock.advance(minutes=15)
    assert receives == [1, 2, 3, 4, 5]


def test_a_late_handle_is_fenced_while_another_works(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1"))
    (late,) = sender.receives()
    clock.advance(minutes=15)
    (fresh,) = sender.receives()
    with pytest.raises(LeaseLost):
        store.commit(Commit(finished=late))
    store.commit(Commit(finished=fresh))
    assert sender.lanes() == {}


def test_a_late_handle_is_fenced_even_if_nobody_took_over(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1"))
    (late,) = sender.receives()
    clock.advance(minutes=15)
    with pytest.raises(LeaseLost):
        store.commit(Commit(finished=late))
    assert sender.lanes() == {"analysis": 1}


def test_a_task_is_finished_once(sender: Sender, store: Store) -> None:
    queues(store, analyze("inc_1"))
    (leased,) = sender.receives()
    store.commit(Commit(finished=leased))
    with pytest.raises(LeaseLost):
        store.commit(Commit(finished=leased))


def test_a_retry_is_a_new_task_committed_with_the_failure(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1"))
    (leased,) = sender.receives()
    retry = analyze("inc_1", attempt=2, not_before=clock() + timedelta(seconds=2), first_due=clock())
    store.commit(Commit(finished=leased, tasks=(retry,)))
    assert sender.receives() == []
    clock.advance(seconds=2)
    (again,) = sender.receives()
    assert (again.task, again.receives) == (retry, 1)


# ------------------------------------------------------------------------------------------------------------- release


def test_a_released_task_is_due_at_once_and_the_receive_is_taken_back(sender: Sender, store: Store) -> None:
    queues(store, analyze("inc_1"))
    (leased,) = sender.receives()
    store.release(leased)
    (again,) = sender.receives()
    assert (again.task, again.receives) == (leased.task, 1)


def test_a_release_that_counts_keeps_the_receive(sender: Sender, store: Store) -> None:
    queues(store, analyze("inc_1"))
    (leased,) = sender.receives()
    store.release(leased, counts=True)
    assert sender.receives()[0].receives == 2


def test_a_released_handle_is_fenced(sender: Sender, store: Store) -> None:
    queues(store, analyze("inc_1"))
    (leased,) = sender.receives()
    store.release(leased)
    with pytest.raises(LeaseLost):
        store.commit(Commit(finished=leased))


@pytest.mark.parametrize("counts", [True, False])
def test_a_release_after_the_lease_was_lost_does_nothing(
    sender: Sender, store: Store, clock: FakeClock, counts: bool
) -> None:
    queues(store, analyze("inc_1"))
    (late,) = sender.receives()
    clock.advance(minutes=15)
    (fresh,) = sender.receives()
    store.release(late, counts=counts)
    assert sender.receives() == []
    store.commit(Commit(finished=fresh))


def test_a_release_of_a_finished_task_does_nothing(sender: Sender, store: Store) -> None:
    queues(store, analyze("inc_1"))
    (leased,) = sender.receives()
    store.commit(Commit(finished=leased))
    store.release(leased)
    assert sender.lanes() == {}


def test_a_released_task_keeps_its_place(sender: Sender, store: Store) -> None:
    queues(store, analyze("inc_1"), analyze("inc_2"))
    (first,) = sender.receives(limit=1)
    store.release(first)
    assert names(sender.receives()) == ["inc_1", "inc_2"]


# --------------------------------------------------------------------------------------------------------------- order


def test_the_worst_come_first_then_the_oldest(sender: Sender, store: Store) -> None:
    severities = [Severity.LOW, Severity.HIGH, Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.CRITICAL]
    queues(store, *(analyze(f"inc_{n}", severity=severity) for n, severity in enumerate(severities)))
    assert names(sender.receives()) == ["inc_2", "inc_5", "inc_1", "inc_3", "inc_4", "inc_0"]


def test_no_more_than_the_limit_are_handed_out(sender: Sender, store: Store) -> None:
    queues(store, *(analyze(f"inc_{n}") for n in range(5)))
    assert names(sender.receives(limit=3)) == ["inc_0", "inc_1", "inc_2"]
    assert names(sender.receives(limit=3)) == ["inc_3", "inc_4"]


def test_no_two_tasks_of_a_group_are_leased_together(sender: Sender, store: Store) -> None:
    queues(store, analyze("inc_1"), analyze("inc_1", attempt=2))
    (first,) = sender.receives()
    assert first.task.attempt == 1
    assert sender.receives() == []
    store.commit(Commit(finished=first))
    (second,) = sender.receives()
    assert second.task.attempt == 2


def test_a_group_with_much_to_do_does_not_hold_up_the_others(sender: Sender, store: Store) -> None:
    queues(store, *(analyze("inc_1", attempt=n) for n in range(1, 8)), analyze("inc_2"), analyze("inc_3"))
    assert names(sender.receives(limit=3)) == ["inc_1", "inc_2", "inc_3"]


def test_a_group_with_much_to_do_does_not_hide_the_others_later(sender: Sender, store: Store) -> None:
    queues(store, *(analyze("inc_1", attempt=n) for n in range(1, 8)), analyze("inc_2"))
    assert names(sender.receives(limit=1)) == ["inc_1"]
    assert names(sender.receives(limit=1)) == ["inc_2"]


def test_the_best_of_each_group_come_in_order(sender: Sender, store: Store) -> None:
    queues(store, analyze("inc_1"), analyze("inc_2"), analyze("inc_1", attempt=2))
    assert names(sender.receives()) == ["inc_1", "inc_2"]


@pytest.mark.parametrize("end", ["finish", "release", "run out"])
def test_the_next_of_a_group_comes_when_the_lease_ends(
    sender: Sender, store: Store, clock: FakeClock, end: str
) -> None:
    queues(store, analyze("inc_1"), analyze("inc_1", attempt=2))
    (leased,) = sender.receives()
    assert sender.receives() == []
    if end == "finish":
        store.commit(Commit(finished=leased))
    elif end == "release":
        store.release(leased)
    else:
        clock.advance(minutes=15)
    assert len(sender.receives()) == 1


def test_lanes_are_independent(sender: Sender, store: Store) -> None:
    queues(store, analyze("inc_1"), Task(work=Notify("inc_1", "slack")), Task(work=Notify("inc_1", "jira")))
    assert len(sender.receives("analysis")) == 1
    assert sender.receives("analysis") == []
    (slack,) = sender.receives("channel:slack")
    assert slack.task.work == Notify("inc_1", "slack")
    assert len(sender.receives("channel:jira")) == 1
    assert sender.receives("channel:nobody") == []


# --------------------------------------------------------------------------------------------------------------- delay


def test_a_delayed_task_comes_when_it_is_due(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1", not_before=clock() + timedelta(minutes=20)))
    clock.advance(minutes=19, seconds=59)
    assert sender.receives() == []
    clock.advance(seconds=1)
    assert names(sender.receives()) == ["inc_1"]


def test_a_delay_that_is_over_already_is_none(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1", not_before=clock() - timedelta(hours=1)))
    assert names(sender.receives()) == ["inc_1"]


def test_a_delayed_task_does_not_hold_up_others_of_its_group(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1", not_before=clock() + timedelta(hours=1)), analyze("inc_1", attempt=2))
    assert [leased.task.attempt for leased in sender.receives()] == [2]


def test_many_delayed_tasks_come_each_in_its_time(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, *(analyze(f"inc_{n}", not_before=START + timedelta(seconds=n + 1)) for n in range(60)[::-1]))
    came = []
    for _ in range(60):
        clock.advance(seconds=1)
        came += names(sender.receives(limit=100))
    assert came == [f"inc_{n}" for n in range(60)]


def test_a_clock_set_back_delays_and_loses_nothing(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1"))
    clock.advance(hours=-2)
    (leased,) = sender.receives()
    store.commit(Commit(finished=leased))
    queues(store, analyze("inc_2", not_before=clock() + timedelta(seconds=1)))
    clock.advance(seconds=1)
    assert names(sender.receives()) == ["inc_2"]


def test_a_clock_set_forward_makes_delayed_tasks_due(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1", not_before=clock() + timedelta(minutes=1)))
    assert sender.receives() == []
    clock.advance(days=400)
    assert names(sender.receives()) == ["inc_1"]


# ------------------------------------------------------------------------------------------------------------- waiting


def later(act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(0.15, act)
    timer.start()
    return timer


def test_waiting_ends_empty_handed_when_the_time_is_over(store: Store) -> None:
    began = time.monotonic()
    assert store.receive("analysis", 1, 0.1) == []
    assert 0.1 <= time.monotonic() - began < 5


def test_a_clock_set_back_does_not_prolong_the_waiting(store: Store, clock: FakeClock) -> None:
    setter = later(lambda: clock.advance(hours=-1))
    began = time.monotonic()
    assert store.receive("analysis", 1, 0.3) == []
    assert time.monotonic() - began < 5
    setter.join()


def test_waiting_ends_at_once_when_a_task_is_committed(store: Store) -> None:
    committer = later(lambda: queues(store, analyze("inc_1")))
    began = time.monotonic()
    assert names(store.receive("analysis", 10, 20)) == ["inc_1"]
    assert time.monotonic() - began < 5
    committer.join()


def test_waiting_ends_at_once_when_an_alert_is_accepted(sender: Sender, store: Store) -> None:
    accepter = later(sender.fires)
    assert len(store.receive("channel:slack", 10, 20)) == 1
    accepter.join()


def test_waiting_ends_at_once_when_a_task_is_released(sender: Sender, store: Store) -> None:
    queues(store, analyze("inc_1"))
    (leased,) = sender.receives()
    releaser = later(lambda: store.release(leased))
    assert names(store.receive("analysis", 10, 20)) == ["inc_1"]
    releaser.join()


def test_waiting_ends_at_once_when_the_rest_of_a_group_comes_free(sender: Sender, store: Store) -> None:
    queues(store, analyze("inc_1"), analyze("inc_1", attempt=2))
    (leased,) = sender.receives()
    finisher = later(lambda: store.commit(Commit(finished=leased)))
    assert names(store.receive("analysis", 10, 20)) == ["inc_1"]
    finisher.join()


def test_a_task_of_another_lane_does_not_end_the_waiting(store: Store) -> None:
    committer = later(lambda: queues(store, Task(work=Notify("inc_1", "slack"))))
    assert store.receive("analysis", 10, 0.4) == []
    committer.join()


def test_a_task_is_handed_to_one_of_those_who_wait(store: Store) -> None:
    came: list[list[Leased]] = []
    waiters = [threading.Thread(target=lambda: came.append(store.receive("analysis", 10, 0.5))) for _ in range(4)]
    for waiter in waiters:
        waiter.start()
    time.sleep(0.1)
    queues(store, analyze("inc_1"))
    for waiter in waiters:
        waiter.join()
    assert sorted(len(leased) for leased in came) == [0, 0, 0, 1]


# --------------------------------------------------------------------------------------------------------------- depth


def test_depth_tells_what_waits_and_how_long(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1"), analyze("inc_2"), Task(work=Notify("inc_1", "slack")))
    clock.advance(seconds=30)
    queues(store, analyze("inc_3"), analyze("inc_4", not_before=clock() + timedelta(minutes=1)))
    sender.receives(limit=1)
    clock.advance(seconds=15)
    assert store.depth() == {
        "analysis": LaneDepth(ready=2, delayed=1, leased=1, oldest=45.0),
        "channel:slack": LaneDepth(ready=1, delayed=0, leased=0, oldest=45.0),
    }


def test_depth_counts_ended_delays_and_leases_as_ready(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1"), analyze("inc_2", not_before=clock() + timedelta(minutes=1)))
    sender.receives()
    clock.advance(minutes=15)
    assert store.depth() == {"analysis": LaneDepth(ready=2, delayed=0, leased=0, oldest=14 * 60.0)}


def test_an_idle_lane_has_no_oldest(sender: Sender, store: Store, clock: FakeClock) -> None:
    queues(store, analyze("inc_1"))
    sender.receives()
    clock.advance(seconds=5)
    assert store.depth() == {"analysis": LaneDepth(ready=0, delayed=0, leased=1, oldest=0.0)}
