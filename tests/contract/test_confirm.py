"""A sender that asks for a confirmation gets it, once, and what became of it can be told: on every home."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.errors import LeaseLost, Permanent, Transient
from mcp_responder.model.task import Confirm
from mcp_responder.operations import Operations
from mcp_responder.pipeline.confirm import Confirmer, confirming
from mcp_responder.pipeline.retry import Schedule
from mcp_responder.pipeline.route import everyone
from mcp_responder.ports import VISIBILITY, Commit
from tests.contract.alarms import CHANNELS, DECIDE, Sender, Store, incoming
from tests.contract.clock import FakeClock

LANE = "confirmation"
ADDRESS = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"


class Stage:
    """An alert that asks, and a confirmer that does what the test says."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store, self.clock = store, clock
        self.asking = incoming(clock(), source="sns", status=Status.INFO, severity=Severity.LOW, title="Confirm it")
        self.alert_id = self.asking.alert.alert_id
        self.sender = Sender(store, clock, confirming(DECIDE, frozenset({self.alert_id})))
        self.operations = Operations(store, clock, everyone(CHANNELS))
        self.answers: list[Exception | None] = []
        self.fetched: list[str] = []
        self.address = ADDRESS
        self.seen: list[tuple[str, str, str]] = []
        schedule = Schedule(first=timedelta(seconds=10), give_up=timedelta(minutes=1))
        self.confirmer = Confirmer(
            store, clock, schedule, lambda: 1.0, self.address_of, self.fetch, lambda *seen: self.seen.append(seen)
        )

    def address_of(self, alert: Alert) -> str:
        assert alert.alert_id == self.alert_id
        return self.address

    def fetch(self, address: str) -> None:
        self.fetched.append(address)
        answer = self.answers.pop(0) if self.answers else None
        if answer:
            raise answer

    def arrives(self) -> None:
        self.sender.sends(self.asking)

    def work(self) -> int:
        """Do what is due; how many tasks there were."""
        done = 0
        while leased := self.store.receive(LANE, 1, 0):
            assert self.confirmer.confirm(leased[0]) == self.alert_id
            done += 1
        return done

    @property
    def outcome(self) -> str:
        return self.store.alert(self.alert_id).outcome

    def path(self) -> list[tuple[str, str]]:
        return [(step.what, step.detail) for step in self.operations.why(self.alert_id).path]

    def balanced(self) -> dict[str, Any]:
        ledger = self.operations.ledger(self.clock() - timedelta(days=1))
        assert ledger.balanced
        return {"dead": ledger.dead, "in_flight": ledger.in_flight, **ledger.suppressed}


@pytest.fixture
def stage(store: Store, clock: FakeClock) -> Stage:
    return Stage(store, clock)


def test_it_is_in_flight_until_it_is_confirmed(stage: Stage) -> None:
    stage.arrives()
    assert (stage.outcome, stage.balanced()) == ("in_flight", {"dead": 0, "in_flight": 1})
    assert stage.work() == 1
    assert stage.fetched == [ADDRESS]
    assert (stage.outcome, stage.balanced()) == ("suppressed:confirmed", {"dead": 0, "in_flight": 0, "confirmed": 1})
    assert stage.seen == [(stage.alert_id, "confirmed", "")]
    assert stage.path()[-1][0] == "suppressed:confirmed"


def test_a_second_sending_asks_for_nothing_more(stage: Stage) -> None:
    stage.arrives()
    stage.arrives()
    assert stage.work() == 1
    stage.arrives()
    assert (stage.work(), len(stage.fetched)) == (0, 1)


def test_the_alerts_beside_it_are_decided_as_ever(stage: Stage) -> None:
    other = incoming(stage.clock(), status=Status.INFO)
    firing = incoming(stage.clock())
    stage.sender.sends(other, stage.asking, firing)
    assert stage.store.alert(other.alert.alert_id).outcome == "suppressed:info"
    assert stage.store.alert(firing.alert.alert_id).incident_id
    assert stage.work() == 1
    assert stage.store.alert(firing.alert.alert_id).outcome == "in_flight"


def test_what_fails_for_a_while_is_tried_again(stage: Stage) -> None:
    stage.answers = [Transient("no connection."), Transient("no answer.")]
    stage.arrives()
    assert stage.work() == 1
    assert stage.outcome == "in_flight"
    assert stage.work() == 0
    stage.clock.advance(seconds=10)
    assert stage.work() == 1
    stage.clock.advance(seconds=20)
    assert stage.work() == 1
    assert (stage.outcome, len(stage.fetched)) == ("suppressed:confirmed", 3)
    assert [result for _, result, _ in stage.seen] == ["retried", "retried", "confirmed"]


def test_what_is_refused_is_a_dead_letter_that_why_tells_of(stage: Stage) -> None:
    stage.answers = [Permanent("it was answered with status 302.")]
    stage.arrives()
    assert stage.work() == 1
    assert (stage.outcome, stage.balanced()) == ("dead", {"dead": 1, "in_flight": 0})
    (letter,) = stage.store.dead_letters(10)
    assert (letter.task.work, letter.reason) == (Confirm(stage.alert_id), "it was answered with status 302.")
    assert ("not_confirmed", "it was answered with status 302.") in stage.path()


def test_after_the_schedule_it_is_given_up(stage: Stage) -> None:
    stage.answers = [Transient("no connection.")] * 20
    stage.arrives()
    for _ in range(10):
        stage.work()
        stage.clock.advance(seconds=30)
    assert stage.outcome == "dead"
    assert stage.balanced()["dead"] == 1


def test_the_address_is_checked_again_before_it_is_fetched(stage: Stage) -> None:
    stage.arrives()
    stage.address = ""
    assert stage.work() == 1
    assert (stage.outcome, stage.fetched) == ("dead", [])
    assert "settings" in dict(stage.path())["not_confirmed"]


def test_workers_that_are_lost_over_it_dont_go_on_for_ever(stage: Stage) -> None:
    stage.arrives()
    for _ in range(3):
        assert stage.store.receive(LANE, 1, 0)
        stage.clock.advance(seconds=VISIBILITY.total_seconds())
    assert stage.work() == 1
    assert (stage.outcome, stage.fetched) == ("dead", [])


def test_a_late_worker_settles_nothing(stage: Stage) -> None:
    stage.arrives()
    (late,) = stage.store.receive(LANE, 1, 0)
    stage.clock.advance(seconds=VISIBILITY.total_seconds())
    assert stage.work() == 1
    with pytest.raises(LeaseLost):
        stage.store.commit(Commit(alert_id=stage.alert_id, settle="dead", finished=late))
    assert stage.outcome == "suppressed:confirmed"
    assert stage.balanced() == {"dead": 0, "in_flight": 0, "confirmed": 1}


def test_an_outcome_is_settled_once_and_not_of_an_incidents_alerts(stage: Stage) -> None:
    stage.arrives()
    firing = stage.sender.fires()
    stage.store.commit(Commit(alert_id=firing.alert_id, settle="dead"))
    assert stage.store.alert(firing.alert_id).outcome == "in_flight"
    for outcome in ("dead", "suppressed:confirmed"):
        stage.store.commit(Commit(alert_id=stage.alert_id, settle=outcome))
    assert stage.outcome == "dead"
    assert stage.balanced()["dead"] == 1
