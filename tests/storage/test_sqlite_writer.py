"""The one thread that writes: groups, failures, a full disk, and time."""

from __future__ import annotations

import threading
import time
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.errors import Conflict, Refused, Transient
from mcp_responder.model.incident import IncidentStatus
from mcp_responder.model.task import Analyze, Task
from mcp_responder.ports import Commit, Incoming, Query, Situation, Verdict
from mcp_responder.storage.sqlite.store import SqliteStore
from mcp_responder.storage.sqlite.transaction import CACHED_INCIDENTS
from mcp_responder.storage.sqlite.writer import BEHIND_BYTES, Job
from tests.contract.alarms import DECIDE, Sender, incoming
from tests.contract.clock import START, FakeClock

UNWRITABLE = "\ud800"
"""Half a surrogate pair: no database can hold it."""


class Gate:
    """Holds the writer inside a group, so that what is submitted meanwhile makes up the next one."""

    def __init__(self, store: SqliteStore) -> None:
        self._open = threading.Event()
        entered = threading.Event()

        def run(_: object) -> None:
            entered.set()
            self._open.wait(20)

        store.writer.submit(Job(run=run, done=lambda _result, _error: None))
        assert entered.wait(20)

    def open(self) -> None:
        self._open.set()


class Answers:
    """What the members of a group were told."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.errors: list[BaseException] = []
        self._left = threading.Semaphore(0)

    def __call__(self, result: Any, error: BaseException | None) -> None:
        if error is None:
            self.results.append(result)
        else:
            self.errors.append(error)
        self._left.release()

    def wait(self, count: int) -> None:
        for _ in range(count):
            assert self._left.acquire(timeout=20)


def submit_together(store: SqliteStore, batches: list[list[Incoming]], decide: Any = DECIDE) -> Answers:
    """Submit them as one group, and wait until each was answered."""
    answers, gate = Answers(), Gate(store)
    for batch in batches:
        store.submit_accept(batch, decide, answers, 0)
    gate.open()
    answers.wait(len(batches))
    return answers


def law_holds(store: SqliteStore) -> bool:
    return all(hour.balance == 0 for hour in store.ledger(START))


# -------------------------------------------------------------------------------------------------------------- groups


def test_those_who_wait_together_share_one_transaction(store: SqliteStore, sender: Sender) -> None:
    before = store.writer.groups
    answers = submit_together(store, [[sender.firing(service=f"s{n}")] for n in range(50)])
    assert len(answers.results) == 50
    assert store.writer.groups - before == 2


def test_members_of_a_group_see_what_earlier_ones_did(store: SqliteStore, sender: Sender) -> None:
    event = sender.firing()
    answers = submit_together(store, [[event], [event], [sender.firing()], [sender.resolved()], [sender.resolved()]])
    assert [accepted.repeat for (accepted,) in answers.results] == [False, True, False, False, False]
    outcomes = [record.outcome for record in store.alerts(Query()).items]
    assert outcomes == ["suppressed:nothing-open", "in_flight", "merged", "in_flight"]


def test_a_delivery_settles_what_its_own_group_has_accepted(store: SqliteStore, sender: Sender) -> None:
    incident = sender.opens(severity=Severity.HIGH)
    gate, answers = Gate(store), Answers()
    store.submit_accept([sender.firing(severity=Severity.CRITICAL)], DECIDE, answers, 0)
    store.submit_commit(Commit(incident_id=incident.incident_id, settle="delivered", settle_news=2), answers)
    gate.open()
    answers.wait(2)
    assert {record.outcome for record in store.alerts(Query()).items} == {"delivered"}
    assert law_holds(store)


def test_accepting_from_many_threads_loses_and_doubles_nothing(store: SqliteStore, clock: FakeClock) -> None:
    def accept(thread: int) -> list[bool]:
        sender = Sender(store, clock)
        events = [f"event {n}" if n % 4 == 0 else f"event {thread} {n}" for n in range(100)]
        return [sender.fires(name=name, service=f"s{n % 10}").repeat for n, name in enumerate(events)]

    with ThreadPoolExecutor(8) as pool:
        repeats = [repeat for found in pool.map(accept, range(8)) for repeat in found]
    assert repeats.count(True) == 7 * 25
    (hour,) = store.ledger(START)
    assert (hour.received, hour.balance) == (8 * 75 + 25, 0)
    incidents = store.incidents(Query(limit=100)).items
    assert len(incidents) == 10
    assert sum(record.activity.alerts for record in incidents) == hour.received


def test_of_many_changes_to_one_version_exactly_one_wins(store: SqliteStore, sender: Sender) -> None:
    incident = sender.opens()
    commit = Commit(incident=replace(incident, version=2))

    def change(_: int) -> bool:
        try:
            store.commit(commit)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(change, range(40))) == 1


def test_every_task_goes_to_one_of_many_receivers(store: SqliteStore) -> None:
    names = [f"inc_{n}" for n in range(200)]
    store.commit(Commit(tasks=tuple(Task(work=Analyze(name)) for name in names)))

    def work(_: int) -> list[str]:
        done = []
        while leased := store.receive("analysis", 3, 0):
            for one in leased:
                store.commit(Commit(finished=one))
                done.append(one.task.work.incident_id)
        return done

    with ThreadPoolExecutor(8) as pool:
        done = [name for found in pool.map(work, range(8)) for name in found]
    assert sorted(done) == sorted(names)
    assert store.depth() == {}


def test_what_was_submitted_before_closing_is_written(store: SqliteStore, sender: Sender, opens: Any) -> None:
    answers, gate = Answers(), Gate(store)
    for n in range(10):
        store.submit_accept([sender.firing(service=f"s{n}")], DECIDE, answers, 0)
    closing = threading.Thread(target=store.close)
    closing.start()
    gate.open()
    closing.join()
    assert len(answers.results) == 10
    assert len(opens().alerts(Query()).items) == 10


def test_after_closing_nothing_is_accepted(store: SqliteStore, sender: Sender) -> None:
    event = sender.firing()
    store.close()
    with pytest.raises(Transient, match="closing"):
        store.accept([event], DECIDE)


def test_those_who_wait_for_tasks_are_let_go_at_the_close(store: SqliteStore) -> None:
    came: list[object] = []
    waiter = threading.Thread(target=lambda: came.append(store.receive("analysis", 1, 60)))
    waiter.start()
    time.sleep(0.1)
    store.close()
    waiter.join(10)
    assert came == [[]]


def test_a_writer_that_is_behind_says_so(store: SqliteStore, sender: Sender) -> None:
    answers, gate = Answers(), Gate(store)
    store.submit_accept([sender.firing()], DECIDE, answers, BEHIND_BYTES + 1)
    with pytest.raises(Transient) as refused:
        store.submit_accept([sender.firing()], DECIDE, answers, 1)
    assert refused.value.retry_after == 1
    gate.open()
    answers.wait(1)
    sender.fires()


# ------------------------------------------------------------------------------------------------------------ failures


def test_one_bad_job_does_not_take_its_neighbours_along(store: SqliteStore, sender: Sender) -> None:
    bad = sender.firing(title="bad")
    bad = replace(bad, alert=replace(bad.alert, title=UNWRITABLE))
    good = [[sender.firing(service=f"s{n}")] for n in range(6)]
    answers = submit_together(store, [*good[:3], [sender.firing(service="lost"), bad], *good[3:]])
    assert len(answers.results) == 6
    assert [type(error) for error in answers.errors] == [UnicodeEncodeError]
    assert sorted(record.alert.service for record in store.alerts(Query()).items) == [f"s{n}" for n in range(6)]
    assert law_holds(store)


def test_a_refused_batch_does_not_take_its_neighbours_along(store: SqliteStore, sender: Sender) -> None:
    def refuse(alert: Alert, situation: Situation) -> Verdict:
        if alert.title == "refuse":
            raise Refused("no")
        return DECIDE(alert, situation)

    batches = [[sender.firing(service="a")], [sender.firing(), sender.firing(title="refuse")], [sender.firing()]]
    answers = submit_together(store, batches, refuse)
    assert len(answers.results) == 2
    assert [type(error) for error in answers.errors] == [Refused]
    assert store.ledger(START)[0].received == 2


def test_a_waiter_in_a_group_with_a_bad_job_still_gets_its_task(store: SqliteStore, sender: Sender) -> None:
    bad = sender.firing()
    bad = replace(bad, alert=replace(bad.alert, title=UNWRITABLE))
    gate, answers, leased = Gate(store), Answers(), Answers()
    store.submit_receive("analysis", 1, 20, leased)
    store.submit_accept([bad], DECIDE, answers, 0)
    store.submit_accept([sender.firing()], DECIDE, answers, 0)
    gate.open()
    answers.wait(2)
    leased.wait(1)
    assert [len(tasks) for tasks in leased.results] == [1]
    # It waits once, though its group was tried twice.
    store.commit(Commit(tasks=(Task(work=Analyze("inc_next")),)))
    assert len(store.receive("analysis", 1, 0)) == 1


def test_after_a_rollback_nothing_of_it_is_remembered(store: SqliteStore, sender: Sender, clock: FakeClock) -> None:
    incident = sender.opens(source_id="alarm-1")

    def stumble(alert: Alert, situation: Situation) -> Verdict:
        if alert.title == "stumble":
            raise ZeroDivisionError
        return DECIDE(alert, situation)

    undone = [
        sender.firing(service="new"),
        sender.resolved(source_id="alarm-1", ago=timedelta(0)),
        sender.firing(title="stumble"),
    ]
    with pytest.raises(ZeroDivisionError):
        store.accept(undone, stumble)
    assert store.incident(incident.incident_id).incident == incident
    new = sender.opens(service="new")
    assert new.alert_id != undone[0].alert.alert_id
    fires = sender.fires(source_id="alarm-1", ago=timedelta(seconds=5))
    assert store.alert(fires.alert_id).outcome == "merged"
    store.commit(Commit(incident=replace(incident, version=2)))
    sender.resolves(source_id="alarm-1")
    assert store.incident(incident.incident_id).incident.status is IncidentStatus.RESOLVED
    assert law_holds(store)


def test_more_incidents_than_are_cached_are_all_known(store: SqliteStore, clock: FakeClock) -> None:
    many = CACHED_INCIDENTS + 500
    for start in range(0, many, 500):
        store.accept([incoming(clock(), service=f"s{n}") for n in range(start, min(start + 500, many))], DECIDE)
    again = store.accept([incoming(clock(), service=f"s{n}") for n in range(600)], DECIDE)
    assert {accepted.verdict.outcome for accepted in again} == {"merged"}
    resolved = store.accept([incoming(clock(), service=f"s{n}", status=Status.RESOLVED) for n in range(600)], DECIDE)
    assert {accepted.verdict.changed[0].status for accepted in resolved} == {IncidentStatus.RESOLVED}
    assert law_holds(store)


# ----------------------------------------------------------------------------------------------------------- full disk


class FullDisk:
    """Lets the file grow no further, then again."""

    def __init__(self, store: SqliteStore) -> None:
        self._db = store._connection

    def fill(self) -> None:
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        self._db.execute(f"PRAGMA max_page_count = {pages}")

    def make_room(self) -> None:
        self._db.execute("PRAGMA max_page_count = 1073741823")


def big(sender: Sender, service: str) -> Incoming:
    return sender.firing(service=service, message="x" * 100_000)


def test_a_full_disk_is_transient_and_leaves_nothing_half_written(store: SqliteStore, sender: Sender) -> None:
    incident = sender.opens(service="before")
    before = store.ledger(START), store.depth(), store.incidents(Query())
    disk = FullDisk(store)
    disk.fill()
    batch = [sender.firing(service="before"), big(sender, "big"), sender.firing(service="after")]
    with pytest.raises(Transient) as refused:
        store.accept(batch, DECIDE)
    assert refused.value.retry_after == 5
    assert (store.ledger(START), store.depth(), store.incidents(Query())) == before
    disk.make_room()
    accepted = store.accept(batch, DECIDE)
    assert [one.repeat for one in accepted] == [False, False, False]
    assert store.incident(incident.incident_id).activity.alerts == 2
    assert len(store.incidents(Query()).items) == 3
    assert law_holds(store)


def test_everybody_of_a_group_hears_of_a_full_disk(store: SqliteStore, sender: Sender) -> None:
    sender.fires()
    disk = FullDisk(store)
    disk.fill()
    answers = submit_together(store, [[big(sender, f"s{n}")] for n in range(5)])
    assert [type(error) for error in answers.errors] == [Transient] * 5
    disk.make_room()
    assert len(submit_together(store, [[big(sender, f"s{n}")] for n in range(5)]).results) == 5
    assert store.ledger(START)[0].received == 6


def test_a_waiter_is_told_when_its_request_fell_on_a_full_disk(store: SqliteStore, sender: Sender) -> None:
    sender.fires()
    disk, gate, answers, leased = FullDisk(store), Gate(store), Answers(), Answers()
    store.submit_receive("channel:pager", 1, 60, leased)
    store.submit_accept([big(sender, "big")], DECIDE, answers, 0)
    (pages,) = disk._db.execute("PRAGMA page_count").fetchone()
    disk._db.execute(f"PRAGMA max_page_count = {pages}")
    gate.open()
    answers.wait(1)
    leased.wait(1)
    assert [type(error) for error in leased.errors] == [Transient]


def test_the_writer_rests_while_nothing_can_be_written(
    ticking: SqliteStore, logged: list[MutableMapping[str, Any]]
) -> None:
    task = Task(work=Analyze("inc_1"), not_before=ticking.writer._clock() + timedelta(milliseconds=50))
    ticking.commit(Commit(tasks=(task,)))
    # A delayed task that can't be promoted stands for whatever fails in a group without jobs.
    ticking._connection.execute(
        "CREATE TEMP TRIGGER full BEFORE UPDATE ON main.tasks BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    time.sleep(0.6)
    ticking._connection.execute("DROP TRIGGER full")
    assert 1 <= sum(entry["event"] == "write_failed" for entry in logged) <= 2
    assert len(ticking.receive("analysis", 1, 10)) == 1


# ---------------------------------------------------------------------------------------------------------------- time


def test_many_delayed_tasks_are_promoted_on_time(ticking: SqliteStore) -> None:
    count = 400
    now = ticking.writer._clock()
    due = {f"inc_{n}": now + timedelta(milliseconds=200 + 2 * n) for n in range(count)}
    tasks = tuple(Task(work=Analyze(name), not_before=at) for name, at in due.items())
    ticking.commit(Commit(tasks=tasks))
    came: dict[str, timedelta] = {}
    until = time.monotonic() + 30
    while len(came) < count and time.monotonic() < until:
        for leased in ticking.receive("analysis", 50, 5):
            name = leased.task.work.incident_id
            came[name] = ticking.writer._clock() - due[name]
    assert len(came) == count
    assert min(came.values()) >= timedelta(milliseconds=-1)
    assert sorted(came.values())[count // 2] < timedelta(seconds=1)


def test_a_waiter_is_woken_by_a_delay_that_ends(ticking: SqliteStore) -> None:
    task = Task(work=Analyze("inc_1"), not_before=ticking.writer._clock() + timedelta(milliseconds=200))
    ticking.commit(Commit(tasks=(task,)))
    began = time.monotonic()
    assert len(ticking.receive("analysis", 1, 20)) == 1
    assert 0.1 < time.monotonic() - began < 5


def test_an_idle_writer_sleeps(ticking: SqliteStore) -> None:
    ticking.commit(Commit(tasks=(Task(work=Analyze("x"), not_before=ticking.writer._clock() + timedelta(hours=1)),)))
    before = ticking.writer.groups
    assert ticking.receive("analysis", 1, 0.5) == []
    assert ticking.writer.groups - before < 5


def test_a_clock_set_forward_is_noticed_with_the_next_request(store: SqliteStore, clock: FakeClock) -> None:
    task = Task(work=Analyze("inc_1"), not_before=clock() + timedelta(days=1))
    store.commit(Commit(tasks=(task,)))
    clock.advance(days=2)
    assert len(store.receive("analysis", 1, 0)) == 1


def test_with_the_clock_set_back_leases_and_delays_last_as_long_as_planned(
    store: SqliteStore, clock: FakeClock
) -> None:
    store.commit(
        Commit(
            tasks=(
                Task(work=Analyze("leased")),
                Task(work=Analyze("delayed"), not_before=clock() + timedelta(minutes=1)),
            )
        )
    )
    (leased,) = store.receive("analysis", 1, 0)
    clock.advance(hours=-1)
    assert store.receive("analysis", 5, 0) == []
    clock.advance(minutes=1, seconds=1)
    assert [one.task.work.incident_id for one in store.receive("analysis", 5, 0)] == ["delayed"]
    clock.advance(minutes=14)
    assert [one.task.work.incident_id for one in store.receive("analysis", 5, 0)] == ["leased"]
    with pytest.raises(Conflict):
        store.commit(Commit(finished=leased))
