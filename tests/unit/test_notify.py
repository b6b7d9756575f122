"""One chain of tries for each incident and channel, and pauses that the other side asks for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mcp_responder.model.errors import Transient
from mcp_responder.model.message import Message, Receipt, ReceiptState
from mcp_responder.operations import Operations
from mcp_responder.pipeline.correlate import Correlate, Rules
from mcp_responder.pipeline.notify import Notifier
from mcp_responder.pipeline.retry import Schedule
from mcp_responder.ports import ChannelInfo, Delivered, Leased
from mcp_responder.storage.memory import MemoryStore
from tests.contract.alarms import Sender
from tests.contract.clock import FakeClock

LANE = "channel:hook"


class Hook:
    """A channel that does what the test says: an error to raise, or None to take it."""

    name = "hook"
    info = ChannelInfo(kind="hook", title="Hook", longest_text=100, updates=True)

    def __init__(self) -> None:
        self.answers: list[Exception | None] = []
        self.told: list[Message] = []

    def deliver(self, message: Message, previous: Receipt | None) -> Delivered:
        self.told.append(message)
        answer = self.answers.pop(0) if self.answers else None
        if answer:
            raise answer
        return Delivered(reference="ref")


class Stage:
    """A store, a channel and a notifier on one clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.hook = Hook()
        route = lambda _: ("hook",)  # noqa: E731
        self.sender = Sender(self.store, self.clock, Correlate(Rules(), route))
        self.operations = Operations(self.store, self.clock, route)
        schedule = Schedule(first=timedelta(seconds=10))
        self.notifier = Notifier(self.store, self.clock, schedule, route, "http://here", lambda: 1.0, lambda *_: None)

    def work(self) -> int:
        """Do what is due; how many tasks there were."""
        done = 0
        while leased := self.store.receive(LANE, 1, 0):
            self.notifier.notify(leased[0], self.hook)
            done += 1
        return done

    def waiting(self) -> list[Leased]:
        return self.store.receive(LANE, 100, 0)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_news_that_comes_while_a_retry_is_planned_waits_for_it(stage: Stage) -> None:
    stage.hook.answers = [Transient("down")]
    opened = stage.sender.fires()
    stage.work()
    incident_id = stage.sender.incident_of(opened).incident_id
    stage.operations.acknowledge(incident_id, "ann")
    stage.operations.resolve(incident_id, "ann")
    stage.work()
    assert len(stage.hook.told) == 1
    (receipt,) = stage.store.receipts(incident_id)
    assert (receipt.state, receipt.news) == (ReceiptState.RETRYING, 0)
    stage.clock.advance(seconds=11)
    assert stage.work() == 1
    assert [message.event for message in stage.hook.told] == ["opened", "resolved"]
    assert stage.sender.outcome_of(opened) == "delivered"
    assert stage.waiting() == []


def test_a_silence_is_told_and_then_nothing_until_it_ends(stage: Stage) -> None:
    opened = stage.sender.fires()
    stage.work()
    incident_id = stage.sender.incident_of(opened).incident_id
    stage.operations.silence(incident_id, "ann", 60)
    stage.work()
    stage.clock.advance(minutes=20)
    assert stage.sender.outcome_of(stage.sender.fires()) == "merged"
    stage.work()
    assert [message.event for message in stage.hook.told] == ["opened", "silenced"]
    stage.clock.advance(minutes=40)
    stage.work()
    assert len(stage.hook.told) == 2
    stage.sender.fires()
    stage.work()
    assert stage.hook.told[-1].event == "repeated"


def test_an_alert_whose_news_a_silence_keeps_is_told_when_it_ends(stage: Stage) -> None:
    opened = stage.sender.fires(source_id="db")
    incident_id = stage.sender.incident_of(opened).incident_id
    stage.operations.silence(incident_id, "ann", 60)
    stage.sender.resolves(source_id="db")
    stage.work()
    again = stage.sender.fires(source_id="db")
    assert stage.sender.outcome_of(again) == "suppressed:silenced"
    stage.work()
    assert [message.event for message in stage.hook.told] == ["resolved"]
    stage.clock.advance(minutes=61)
    stage.work()
    assert [(message.event, message.late_seconds) for message in stage.hook.told[1:]] == [("reopened", 0)]
    assert stage.sender.outcome_of(again) == "suppressed:silenced"
    assert stage.store.incident(incident_id).incident.status == "open"


def test_a_pause_that_the_other_side_asks_for_holds_all_of_the_channel(stage: Stage) -> None:
    stage.hook.answers = [Transient("slow down", retry_after=60)]
    stage.sender.fires(title="first")
    stage.work()
    second = stage.sender.fires(title="second")
    stage.work()
    stage.clock.advance(seconds=59)
    stage.work()
    assert len(stage.hook.told) == 1
    stage.clock.advance(seconds=2)
    stage.work()
    assert [message.incident.title for message in stage.hook.told[1:]] == ["first", "second"]
    assert stage.sender.outcome_of(second) == "delivered"


def test_a_try_that_may_have_arrived_marks_the_next_as_doubtful(stage: Stage) -> None:
    stage.hook.answers = [Transient("no answer", doubtful=True), Transient("refused")]
    stage.sender.fires()
    for _ in range(3):
        stage.work()
        stage.clock.advance(minutes=1)
    assert [message.doubtful for message in stage.hook.told] == [False, True, True]
    assert len({message.delivery_id for message in stage.hook.told}) == 1


def test_a_retry_that_failed_honestly_is_not_doubtful(stage: Stage) -> None:
    stage.hook.answers = [Transient("refused")]
    stage.sender.fires()
    stage.work()
    stage.clock.advance(minutes=1)
    stage.work()
    assert [message.doubtful for message in stage.hook.told] == [False, False]


def test_what_was_delivered_before_is_still_known_while_a_retry_is_planned(stage: Stage) -> None:
    opened = stage.sender.fires()
    stage.work()
    incident_id = stage.sender.incident_of(opened).incident_id
    stage.hook.answers = [Transient("down")]
    stage.operations.acknowledge(incident_id, "ann")
    stage.work()
    (receipt,) = stage.store.receipts(incident_id)
    assert (receipt.state, receipt.news, receipt.reference) == (ReceiptState.RETRYING, 1, "ref")
