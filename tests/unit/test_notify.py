"""One chain of tries for each incident and channel, and pauses that the other side asks for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mcp_responder.model.alert import Severity
from mcp_responder.model.errors import Permanent, Transient
from mcp_responder.model.message import Message, Receipt, ReceiptState
from mcp_responder.operations import Operations
from mcp_responder.pipeline.correlate import Correlate, Rules
from mcp_responder.pipeline.notify import Manners, Notifier
from mcp_responder.pipeline.remind import Reminder, Reminders
from mcp_responder.pipeline.retry import Schedule
from mcp_responder.pipeline.route import Routes, Rule
from mcp_responder.ports import ChannelInfo, Delivered, Leased
from mcp_responder.storage.memory import MemoryStore
from tests.contract.alarms import Sender
from tests.contract.clock import START, FakeClock
from tests.promises import promise

LANE = "channel:hook"


class Hook:
    """A channel that does what the test says: an error to raise, or None to take it."""

    name = "hook"
    info = ChannelInfo(kind="hook", title="Hook", longest_text=100, updates=True)

    def __init__(self) -> None:
        self.answers: list[Exception | None] = []
        self.told: list[Message] = []
        self.references: list[str] = []

    def deliver(self, message: Message, previous: Receipt | None) -> Delivered:
        self.told.append(message)
        self.references.append(previous.reference if previous else "")
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
        manners = Manners(schedule=Schedule(first=timedelta(seconds=10)))
        self.notifier = Notifier(self.store, self.clock, manners, route, "http://here", lambda: 1.0, lambda *_: None)

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


@promise("silence-keeps-quiet")
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


# ------------------------------------------------------------------------------------------------------------- a storm


def storm(stage: Stage, count: int, **fields: object) -> list[str]:
    """The alerts of as many incidents."""
    return [stage.sender.fires(title=f"error {chr(97 + number)}", **fields).alert_id for number in range(count)]


def test_what_is_too_much_for_a_minute_shares_one_message(stage: Stage) -> None:
    alerts = storm(stage, 25)
    stage.work()
    singles = [message for message in stage.hook.told if message.digest is None]
    (digest,) = [message.digest for message in stage.hook.told if message.digest]
    assert len(singles) == 10
    told = {message.incident.incident_id for message in singles} | {incident.id for incident in digest.incidents}
    assert len(told) == 25
    assert {stage.store.alert(alert_id).outcome for alert_id in alerts} == {"delivered"}
    assert stage.waiting() == []


def test_a_digest_is_edited_as_more_join_and_at_growing_intervals(stage: Stage) -> None:
    stage.hook.references = []
    storm(stage, 12)
    stage.work()
    for number in range(6):
        stage.sender.fires(title=f"more {chr(97 + number)}")
        stage.work()
        stage.clock.advance(seconds=1)
    stage.clock.advance(minutes=2)
    stage.work()
    digests = [message.digest for message in stage.hook.told if message.digest]
    assert [len(digest.incidents) for digest in digests] == [2, 5, 8]
    assert stage.hook.references[-1] == "ref"
    assert len({message.delivery_id for message in stage.hook.told}) == len(stage.hook.told)


def test_the_worst_of_a_storm_is_not_buried_in_it(stage: Stage) -> None:
    storm(stage, 12, severity=Severity.HIGH)
    stage.sender.fires(title="the database is gone", severity=Severity.CRITICAL)
    stage.work()
    alone = [message.incident.title for message in stage.hook.told if message.digest is None]
    assert alone[0] == "the database is gone"
    assert len(alone) == 11


def test_an_incident_of_a_digest_gets_its_own_message_when_it_is_worse_or_somebody_acts(stage: Stage) -> None:
    storm(stage, 13, severity=Severity.HIGH)
    stage.work()
    digest = stage.hook.told[-1].digest
    assert digest
    worse, acted, ended = (incident.id for incident in digest.incidents)
    titles = {incident.id: incident.title for incident in digest.incidents}
    stage.clock.advance(minutes=2)
    stage.sender.fires(title=titles[worse], severity=Severity.CRITICAL)
    stage.operations.acknowledge(acted, "ann")
    stage.operations.resolve(ended, "ann")
    stage.work()
    told = {(m.incident.incident_id, m.event) for m in stage.hook.told[11:] if not m.digest}
    assert told == {(worse, "escalated"), (acted, "acknowledged")}
    last = stage.hook.told[-1].digest
    assert last
    assert {incident.id: incident.status for incident in last.incidents}[ended] == "resolved"


def test_a_digest_that_fails_is_tried_again_and_loses_nobody(stage: Stage) -> None:
    alerts = storm(stage, 10)
    stage.work()
    stage.hook.answers = [Transient("down", doubtful=True)]
    alerts += storm(stage, 5, service="other")
    stage.work()
    assert [stage.store.alert(alert_id).outcome for alert_id in alerts[10:]] == ["in_flight"] * 5
    stage.clock.advance(seconds=20)
    stage.work()
    assert {stage.store.alert(alert_id).outcome for alert_id in alerts} == {"delivered"}
    digest = stage.hook.told[-1]
    assert digest.digest
    assert (len(digest.digest.incidents), digest.doubtful) == (5, True)


def test_a_digest_that_breaks_unexpectedly_gives_its_tasks_back(stage: Stage) -> None:
    storm(stage, 10)
    stage.work()
    stage.hook.answers = [KeyError("a bug")]
    storm(stage, 5, service="other")
    with pytest.raises(KeyError):
        stage.work()
    assert len(stage.waiting()) == 4


def test_a_quiet_time_ends_a_storm(stage: Stage) -> None:
    storm(stage, 12)
    stage.work()
    stage.clock.advance(minutes=11)
    stage.sender.fires(title="later")
    stage.work()
    assert stage.hook.told[-1].digest is None


# ------------------------------------------------------------------------------------------------------- the fallback


class Two(Stage):
    """With a second channel, which is the fallback of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.mail = Hook()
        self.mail.name = "mail"
        routes = Routes([Rule(channels=("hook",), fallback=("mail",))], ("hook", "mail"))
        self.sender = Sender(self.store, self.clock, Correlate(Rules(), routes))
        self.operations = Operations(self.store, self.clock, routes)
        manners = Manners(schedule=Schedule(first=timedelta(seconds=10)))
        self.notifier = Notifier(
            self.store, self.clock, manners, routes, "http://here", lambda: 1.0, lambda *_: None, routes.fallback
        )

    def work_both(self) -> None:
        self.work()
        while leased := self.store.receive("channel:mail", 1, 0):
            self.notifier.notify(leased[0], self.mail)


@promise("page-reaches-the-fallback")
def test_what_a_channel_refuses_for_good_is_told_by_the_fallback_at_once() -> None:
    stage = Two()
    stage.hook.answers = [Permanent("no such room")]
    opened = stage.sender.fires(severity=Severity.LOW)
    incident_id = stage.sender.incident_of(opened).incident_id
    stage.operations.acknowledge(incident_id, "ann")
    stage.work_both()
    (message,) = stage.mail.told
    assert message.instead == "hook didn't take it (no such room); told here instead."
    assert stage.sender.outcome_of(opened) == "delivered"
    stage.operations.resolve(incident_id, "ann")
    stage.work_both()
    assert [(message.event, message.instead) for message in stage.mail.told[1:]] == [("resolved", "")]


@promise("page-reaches-the-fallback")
def test_a_page_that_its_channel_cant_get_is_told_by_the_fallback_in_time() -> None:
    stage = Two()
    stage.hook.answers = [Transient("down")] * 100
    page, note = stage.sender.fires(title="page"), stage.sender.fires(title="note", severity=Severity.MEDIUM)
    stage.operations.acknowledge(stage.sender.incident_of(note).incident_id, "ann")
    for _ in range(12):
        stage.work_both()
        stage.clock.advance(seconds=30)
    (message,) = stage.mail.told
    assert message.incident.title == "page"
    assert message.instead == f"hook couldn't be reached since {START:%H:%M} UTC; told here instead."
    assert stage.sender.outcome_of(page) == "delivered"
    later = stage.sender.fires(title="later")
    stage.work_both()
    assert [message.incident.title for message in stage.mail.told] == ["page", "later"]
    assert stage.sender.outcome_of(later) == "delivered"


def test_when_everybody_is_down_for_two_hours_nothing_is_lost_and_what_is_late_says_so() -> None:
    stage = Two()
    stage.hook.answers = [Transient("down")] * 10_000
    stage.mail.answers = [Transient("down")] * 10_000
    alerts = [stage.sender.fires(title=f"error {chr(97 + number)}") for number in range(8)]
    for _ in range(240):
        stage.work_both()
        stage.clock.advance(seconds=30)
    assert {stage.sender.outcome_of(alert) for alert in alerts} == {"in_flight"}
    assert len(stage.hook.told) < 300
    stage.hook.answers, stage.mail.answers = [], []
    tried = len(stage.hook.told)
    for _ in range(40):
        stage.work_both()
        stage.clock.advance(seconds=30)
    assert {stage.sender.outcome_of(alert) for alert in alerts} == {"delivered"}
    assert all(message.late_seconds >= 7200 for message in stage.hook.told[tried:])
    told = {message.incident.title for message in stage.mail.told[-8:]}
    assert len(told) == 8
    assert stage.store.dead_letters(10) == ()


@promise("failing-channel-is-spared")
def test_a_channel_that_fails_is_tried_less_and_less_and_then_by_all_at_once(stage: Stage) -> None:
    stage.hook.answers = [Transient("down")] * 1000
    alerts = []
    for number in range(30):
        alerts.append(stage.sender.fires(title=f"error {chr(97 + number % 26)}", service=f"s{number}"))
        stage.work()
        stage.clock.advance(seconds=10)
    assert len(stage.hook.told) < 20
    stage.hook.answers = []
    before = len(stage.hook.told)
    stage.clock.advance(minutes=10)
    stage.work()
    stage.clock.advance(minutes=10)
    stage.work()
    assert {stage.sender.outcome_of(alert) for alert in alerts} == {"delivered"}
    assert len(stage.hook.told) > before


# ---------------------------------------------------------------------------------------------------------- reminders


def remind(stage: Stage, *, repeat: bool = False) -> int:
    """Do the reminders that are due, and tell; how many there were."""
    reminders = Reminders(repeat=repeat)
    reminder = Reminder(stage.store, stage.clock, lambda _: ("hook",), reminders)
    due = stage.store.receive("reminder", 10, 0)
    for leased in due:
        reminder.remind(leased)
    stage.work()
    return len(due)


@promise("page-is-reminded-of")
def test_a_page_that_nobody_acknowledges_is_told_again_after_half_an_hour(stage: Stage) -> None:
    stage.sender.fires(severity=Severity.HIGH)
    stage.work()
    stage.clock.advance(minutes=29)
    assert remind(stage) == 0
    stage.clock.advance(minutes=1)
    assert remind(stage) == 1
    assert [message.event for message in stage.hook.told] == ["opened", "reminded"]
    assert stage.hook.told[-1].timeline[-1].text == "still open, and nobody has acknowledged it for 30 minutes"
    stage.clock.advance(hours=5)
    assert remind(stage) == 0


def test_a_reminder_may_be_repeated_until_somebody_acknowledges(stage: Stage) -> None:
    opened = stage.sender.fires(severity=Severity.CRITICAL)
    stage.work()
    for _ in range(3):
        stage.clock.advance(minutes=30)
        assert remind(stage, repeat=True) == 1
    stage.operations.acknowledge(stage.sender.incident_of(opened).incident_id, "ann")
    stage.work()
    stage.clock.advance(minutes=30)
    assert remind(stage, repeat=True) == 1
    stage.clock.advance(hours=5)
    assert remind(stage, repeat=True) == 0
    assert [message.event for message in stage.hook.told] == ["opened", *["reminded"] * 3, "acknowledged"]


@pytest.mark.parametrize("verb", ["acknowledge", "resolve", "silence"])
def test_what_somebody_looks_after_is_not_reminded_of(stage: Stage, verb: str) -> None:
    opened = stage.sender.fires(severity=Severity.HIGH)
    stage.work()
    incident_id = stage.sender.incident_of(opened).incident_id
    more = (60,) if verb == "silence" else ()
    getattr(stage.operations, verb)(incident_id, "ann", *more)
    stage.work()
    stage.clock.advance(minutes=30)
    assert remind(stage) == 1
    assert "reminded" not in [message.event for message in stage.hook.told]


def test_what_is_no_page_has_no_reminder(stage: Stage) -> None:
    opened = stage.sender.fires(severity=Severity.MEDIUM)
    stage.operations.silence(stage.sender.incident_of(opened).incident_id, "ann", 1)
    stage.work()
    stage.clock.advance(hours=1)
    assert remind(stage) == 0


def test_an_escalation_has_a_reminder_of_its_own_but_not_both_at_once(stage: Stage) -> None:
    stage.sender.fires(severity=Severity.HIGH)
    stage.work()
    stage.clock.advance(minutes=5)
    stage.sender.fires(severity=Severity.CRITICAL)
    stage.work()
    stage.clock.advance(minutes=25)
    assert remind(stage) == 1
    stage.clock.advance(minutes=5)
    assert remind(stage) == 1
    assert [message.event for message in stage.hook.told] == ["opened", "escalated", "reminded"]
