"""The law after any history: every event has one outcome, and all stores tell the same story."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcp_responder.model import incident as changes
from mcp_responder.model.alert import SEVERITIES, Severity, Status
from mcp_responder.model.errors import ResponderError
from mcp_responder.model.incident import Change, Event, Incident
from mcp_responder.model.message import Receipt, ReceiptState
from mcp_responder.model.task import Analyze, Leased, Notify, Task
from mcp_responder.ports import Commit, Incoming, Query
from mcp_responder.storage.memory import MemoryStore
from mcp_responder.storage.sqlite.store import SqliteStore
from tests.contract.alarms import DECIDE, digest, incoming
from tests.contract.clock import START, FakeClock

ALL = Query(limit=10_000)
TITLES = ("Database is down", "Disk is full")
LANES = ("analysis", "channel:slack", "channel:jira")
CHANGES: dict[str, Callable[[Incident, FakeClock], Change]] = {
    "acknowledge": lambda incident, clock: changes.acknowledge(incident, "kim", clock()),
    "resolve": lambda incident, clock: changes.resolve(incident, "kim", clock()),
    "reopen": lambda incident, clock: changes.reopen(incident, "kim", clock()),
    "comment": lambda incident, clock: changes.comment(incident, "kim", clock(), "looking"),
    "analyzed": lambda incident, clock: changes.analyzed(incident, clock(), "found"),
}


class Event_(msgspec.Struct, frozen=True):  # noqa: N801 - Event is what happens to an incident
    status: Status
    title: str
    service: str
    source_id: str
    severity: Severity
    name: str
    unstable: bool
    ago: int | None


EVENTS = st.builds(
    Event_,
    status=st.sampled_from(
        [Status.FIRING, Status.FIRING, Status.FIRING, Status.RESOLVED, Status.RESOLVED, Status.INFO]
    ),
    title=st.sampled_from(TITLES),
    service=st.sampled_from(["payments", "payments", "search"]),
    source_id=st.sampled_from(["", "a", "b"]),
    severity=st.sampled_from(SEVERITIES),
    name=st.sampled_from(["", "", "", "", "one", "two"]),
    unstable=st.booleans(),
    ago=st.sampled_from([None, 0, 30, 240]),
)


class Histories(RuleBasedStateMachine):
    """The same random history for a memory store and a SQLite store, restarts included."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.folder = Path(tempfile.mkdtemp())
        self.memory = MemoryStore(self.clock)
        self.sqlite = SqliteStore(self.folder, self.clock)
        self.leases: list[tuple[Leased, Leased]] = []
        self.sent = 0

    def teardown(self) -> None:
        try:
            self.everything_is_the_same()
        finally:
            self.sqlite.close()
            shutil.rmtree(self.folder)

    def both(self, act: Callable[[MemoryStore | SqliteStore], object]) -> None:
        """Do it to both, and see the same answer or the same refusal."""
        mine, theirs = _answer(act, self.memory), _answer(act, self.sqlite)
        assert mine == theirs, _difference(mine, theirs)

    # ---------------------------------------------------------------------------------------------------------- rules

    @rule(events=st.lists(EVENTS, min_size=1, max_size=5))
    def accept(self, events: list[Event_]) -> None:
        batch = [self._incoming(event) for event in events]
        self.both(lambda store: store.accept(batch, DECIDE))

    def _incoming(self, event: Event_) -> Incoming:
        self.sent += 1
        return incoming(
            self.clock(),
            name=f"{event.name}/{event.title}/{event.status}" if event.name else f"event {self.sent}",
            unstable=event.unstable,
            status=event.status,
            title=event.title,
            service=event.service,
            source_id=event.source_id,
            severity=event.severity,
            timestamp=None if event.ago is None else self.clock() - timedelta(seconds=event.ago),
        )

    @rule(seconds=st.sampled_from([1, 61, 299, 300, 900, 1801, 4000]))
    def time_goes_by(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @rule(lane=st.sampled_from(LANES), limit=st.integers(1, 4))
    def receive(self, lane: str, limit: int) -> None:
        mine, theirs = (store.receive(lane, limit, 0) for store in (self.memory, self.sqlite))
        assert [(x.task, x.receives, x.until) for x in mine] == [(x.task, x.receives, x.until) for x in theirs]
        self.leases += zip(mine, theirs, strict=True)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), counts=st.booleans())
    def release(self, data: st.DataObject, counts: bool) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        for store, leased in zip((self.memory, self.sqlite), lease, strict=True):
            store.release(leased, counts=counts)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), letter=st.sampled_from(["", "", "spent"]), wait=st.sampled_from([None, 0, 2, 600]))
    def finish(self, data: st.DataObject, letter: str, wait: int | None) -> None:
        mine, theirs = data.draw(st.sampled_from(self.leases))
        incident_id = mine.task.work.incident_id
        incident = self.memory.incident(incident_id).incident
        retry = (Task(work=mine.task.work, attempt=mine.task.attempt + 1, not_before=self._later(wait)),)
        told = isinstance(mine.task.work, Notify)
        commit = Commit(
            incident_id=incident_id,
            tasks=retry if wait is not None else (),
            letter=letter,
            settle=("dead" if letter else "delivered") if told and wait is None else "",
            settle_news=incident.news,
            receipt=self._receipt(mine.task.work.channel, incident) if told else None,
        )
        leased_by = {id(self.memory): mine, id(self.sqlite): theirs}
        self.both(lambda store: store.commit(msgspec.structs.replace(commit, finished=leased_by[id(store)])))

    def _later(self, wait: int | None) -> object:
        return self.clock() + timedelta(seconds=wait) if wait else None

    def _receipt(self, channel: str, incident: Incident) -> Receipt:
        return Receipt(
            channel=channel, state=ReceiptState.DELIVERED, news=incident.news, event=incident.event, at=self.clock()
        )

    @precondition(lambda self: self.memory.incidents(ALL).items)
    @rule(data=st.data(), kind=st.sampled_from(sorted(CHANGES)), late=st.booleans())
    def change(self, data: st.DataObject, kind: str, late: bool) -> None:
        incident = self._some_incident(data)
        try:
            change = CHANGES[kind](incident, self.clock)
        except ResponderError:
            return
        changed = msgspec.structs.replace(change.incident, version=change.incident.version - late)
        tasks = (Task(work=Analyze(incident.incident_id), severity=incident.severity),)
        commit = Commit(incident=changed, entries=(change.entry,), tasks=tasks if change.news else ())
        self.both(lambda store: store.commit(commit))

    @precondition(lambda self: self.memory.incidents(ALL).items)
    @rule(data=st.data(), outcome=st.sampled_from(["delivered", "dead"]), back=st.integers(0, 2))
    def settle(self, data: st.DataObject, outcome: str, back: int) -> None:
        incident = self._some_incident(data)
        news = max(0, incident.news - back)
        commit = Commit(incident_id=incident.incident_id, settle=outcome, settle_news=news)
        self.both(lambda store: store.commit(commit))

    def _some_incident(self, data: st.DataObject) -> Incident:
        return data.draw(st.sampled_from([record.incident for record in self.memory.incidents(ALL).items]))

    @rule(events=st.lists(EVENTS, min_size=1, max_size=3))
    def fail_in_the_middle_of_a_batch(self, events: list[Event_]) -> None:
        batch = [self._incoming(event) for event in events]
        bad = msgspec.structs.replace(batch[-1].alert, alert_id=digest(f"bad {self.sent}"), title="\ud800")
        batch.append(msgspec.structs.replace(batch[-1], alert=bad))

        def stumble(alert: object, situation: object) -> object:
            if alert.title == bad.title:
                raise ZeroDivisionError
            return DECIDE(alert, situation)

        self.both(lambda store: store.accept(batch, stumble))

    @rule()
    def restart(self) -> None:
        self.sqlite.close()
        self.sqlite = SqliteStore(self.folder, self.clock)
        for mine, _ in self.leases:
            self.memory.release(mine, counts=True)

    # ----------------------------------------------------------------------------------------------------- invariants

    @invariant()
    def the_law_holds(self) -> None:
        mine, theirs = (store.ledger(START) for store in (self.memory, self.sqlite))
        assert [hour.balance for hour in theirs] == [0] * len(theirs)
        assert mine == theirs

    @invariant()
    def the_queues_are_the_same(self) -> None:
        self.both(lambda store: store.depth())
        self.both(lambda store: store.dead_letters(100))

    @invariant()
    def the_incidents_are_the_same(self) -> None:
        self.both(lambda store: store.incidents(ALL).items)

    def everything_is_the_same(self) -> None:
        self.both(lambda store: store.alerts(ALL).items)
        for record in self.memory.incidents(ALL).items:
            name = record.incident.incident_id
            self.both(lambda store, name=name: (store.timeline(name), store.receipts(name)))
            self.both(lambda store, name=name: store.alerts(Query(incident_id=name)).items)
        for title in TITLES:
            self.both(lambda store, title=title: store.history(digest(title), START))
        for severity in SEVERITIES:
            self.both(lambda store, severity=severity: set(store.similar(severity, START, 100)))
        assert {entry.event for r in self.memory.incidents(ALL).items for entry in self._timeline(r)} <= set(Event)

    def _timeline(self, record: object) -> object:
        return self.sqlite.timeline(record.incident.incident_id)


def _answer(act: Callable[[MemoryStore | SqliteStore], object], store: MemoryStore | SqliteStore) -> object:
    try:
        return act(store)
    except (ResponderError, ZeroDivisionError) as error:
        return type(error)


def _difference(mine: object, theirs: object) -> str:
    if isinstance(mine, (list, tuple)) and isinstance(theirs, (list, tuple)) and len(mine) == len(theirs):
        mine, theirs = next((one, other) for one, other in zip(mine, theirs, strict=True) if one != other)
    return f"memory: {mine}\nsqlite: {theirs}"


Histories.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=True,
    # Shrinking takes minutes, longer than a test may: add it by hand to look into a failure.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TestHistories = Histories.TestCase
