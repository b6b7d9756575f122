"""``IncidentStore.commit``: a change and the work that it causes, written as one act or not at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from mcp_responder.model import incident as changes
from mcp_responder.model.alert import NEVER, Severity, Status
from mcp_responder.model.analysis import (
    Analysis,
    Category,
    Claim,
    Evidence,
    MadeBy,
    RootCause,
    SeverityAssessment,
    State,
)
from mcp_responder.model.errors import Conflict, LeaseLost, NotFound
from mcp_responder.model.incident import Event, Incident, IncidentStatus, TimelineEntry
from mcp_responder.model.message import Receipt, ReceiptState
from mcp_responder.model.task import Analyze, Notify, Task
from mcp_responder.ports import Commit, Query
from tests.contract.alarms import Sender, Store, digest
from tests.contract.clock import START, FakeClock
from tests.promises import promise


def analysis(summary: str = "The disk is full.") -> Analysis:
    return Analysis(
        summary=summary,
        root_cause=RootCause(statement="no space", category=Category.RESOURCE_EXHAUSTION, confidence=0.75),
        state=State.ACTIVE,
        severity=SeverityAssessment(level=Severity.HIGH, reason="writes fail"),
        impact="payments",
        claims=(Claim(statement="full", evidence="e1", quote="100 %", verified=True),),
        made_by=MadeBy(analyst="rules"),
        made_at=START,
        evidence=(Evidence(evidence_id="e1", kind="alert", title="alert", content="disk 100 %"),),
    )


def receipt(news: int = 1, channel: str = "slack", **fields: object) -> Receipt:
    return Receipt(channel=channel, state=ReceiptState.DELIVERED, news=news, event=Event.OPENED, at=START, **fields)


def settled(store: Store) -> tuple[int, int, int, int]:
    """Of the first hour: delivered, dead, in flight, and the balance."""
    (hour,) = store.ledger(START)
    return hour.delivered, hour.dead, hour.in_flight, hour.balance


# ------------------------------------------------------------------------------------------------------ what is written


def test_a_change_its_words_and_its_tasks_are_written_together(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens()
    change = changes.acknowledge(incident, "kim", clock())
    task = Task(work=Notify(incident.incident_id, "pager"))
    store.commit(Commit(incident=change.incident, entries=(change.entry,), tasks=(task,)))
    assert store.incident(incident.incident_id).incident == change.incident
    assert store.timeline(incident.incident_id)[-1] == change.entry
    assert [leased.task for leased in sender.receives("channel:pager")] == [task]


def test_the_timeline_is_oldest_first(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens()
    for text in ("one", "two", "three"):
        change = changes.comment(store.incident(incident.incident_id).incident, "kim", clock(), text)
        store.commit(Commit(incident=change.incident, entries=(change.entry,)))
    assert [entry.text for entry in store.timeline(incident.incident_id)][1:] == ["one", "two", "three"]


def test_a_timeline_belongs_to_one_incident(sender: Sender, store: Store) -> None:
    first, second = sender.opens(), sender.opens(service="search")
    entry = TimelineEntry(at=START, event=Event.DELIVERED, channel="slack")
    store.commit(Commit(incident_id=first.incident_id, entries=(entry,)))
    assert len(store.timeline(first.incident_id)) == 2
    assert len(store.timeline(second.incident_id)) == 1


def test_a_new_incident_can_be_committed_as_version_one(sender: Sender, store: Store) -> None:
    incident = replace(sender.opens(), incident_id="inc_new", identity=digest("new"))
    store.commit(Commit(incident=incident, tasks=(Task(work=Analyze("inc_new")),)))
    record = store.incident("inc_new")
    assert record.incident == incident
    assert (record.activity.alerts, record.activity.firing, record.activity.last_seen) == (0, 0, NEVER)


def test_the_latest_analysis_is_kept(sender: Sender, store: Store) -> None:
    incident = sender.opens()
    assert store.analysis(incident.incident_id) is None
    store.commit(Commit(incident_id=incident.incident_id, analysis=analysis("first")))
    store.commit(Commit(incident_id=incident.incident_id, analysis=analysis("second")))
    assert store.analysis(incident.incident_id) == analysis("second")


def test_there_is_one_receipt_for_a_channel_and_an_incident(sender: Sender, store: Store) -> None:
    first, second = sender.opens(), sender.opens(service="search")
    store.commit(Commit(incident_id=first.incident_id, receipt=receipt(1, "slack")))
    store.commit(Commit(incident_id=first.incident_id, receipt=receipt(1, "jira", reference="OPS-1")))
    store.commit(Commit(incident_id=first.incident_id, receipt=receipt(2, "slack")))
    found = {r.channel: r for r in store.receipts(first.incident_id)}
    assert found == {"slack": receipt(2, "slack"), "jira": receipt(1, "jira", reference="OPS-1")}
    assert store.receipts(second.incident_id) == ()


def test_an_incident_is_found_by_what_a_channel_calls_it(sender: Sender, store: Store) -> None:
    first, second = sender.opens(), sender.opens(service="search")
    store.commit(Commit(incident_id=first.incident_id, receipt=receipt(1, "slack", reference="C1:17.1")))
    store.commit(Commit(incident_id=second.incident_id, receipt=receipt(1, "slack", reference="C1:17.2")))
    store.commit(Commit(incident_id=second.incident_id, receipt=receipt(1, "jira")))
    assert store.incident_of("slack", "C1:17.1") == first.incident_id
    assert store.incident_of("slack", "C1:17.2") == second.incident_id
    store.commit(Commit(incident_id=second.incident_id, receipt=receipt(2, "slack", reference="C1:17.3")))
    assert store.incident_of("slack", "C1:17.3") == second.incident_id
    for channel, reference in (("slack", "C1:17.2"), ("jira", "C1:17.1"), ("jira", ""), ("slack", "' OR 1=1 --")):
        with pytest.raises(NotFound):
            store.incident_of(channel, reference)


def test_what_an_incident_that_is_not_there_has_is_nothing(store: Store) -> None:
    assert store.timeline("inc_none") == ()
    assert store.analysis("inc_none") is None
    assert store.receipts("inc_none") == ()


def test_a_commit_about_an_incident_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        store.commit(Commit(incident_id="inc_none", analysis=analysis(), tasks=(Task(work=Analyze("inc_none")),)))
    assert store.depth() == {}


# ----------------------------------------------------------------------------------------------------------- conflicts


def everything_about(store: Store, incident: Incident) -> tuple[object, ...]:
    name = incident.incident_id
    facts = store.incident(name), store.timeline(name), store.analysis(name), store.receipts(name)
    return (*facts, store.depth(), store.dead_letters(10), store.alerts(Query()), store.ledger(START))


@pytest.mark.parametrize("off", [-1, 0, 2, 7])
def test_a_commit_on_a_version_that_is_not_the_next_is_a_conflict_and_writes_nothing(
    sender: Sender, store: Store, clock: FakeClock, off: int
) -> None:
    incident = sender.opens()
    (leased,) = sender.receives()
    before = everything_about(store, incident)
    change = changes.acknowledge(incident, "kim", clock())
    with pytest.raises(Conflict):
        store.commit(
            Commit(
                incident=replace(change.incident, version=incident.version + off),
                entries=(change.entry,),
                tasks=(Task(work=Notify(incident.incident_id, "pager")),),
                analysis=analysis(),
                receipt=receipt(),
                settle="delivered",
                settle_news=9,
                letter="dead",
                finished=leased,
            )
        )
    assert everything_about(store, incident) == before


def test_an_unknown_incident_at_a_later_version_is_a_conflict(sender: Sender, store: Store) -> None:
    stranger = replace(sender.opens(), incident_id="inc_stranger", version=5)
    with pytest.raises(Conflict):
        store.commit(Commit(incident=stranger))
    assert len(store.incidents(Query()).items) == 1


def test_the_slower_of_two_changes_is_a_conflict_and_can_be_redone(
    sender: Sender, store: Store, clock: FakeClock
) -> None:
    incident = sender.opens()
    store.commit(Commit(incident=changes.acknowledge(incident, "kim", clock()).incident))
    with pytest.raises(Conflict):
        store.commit(Commit(incident=changes.resolve(incident, "lee", clock()).incident))
    fresh = store.incident(incident.incident_id).incident
    store.commit(Commit(incident=changes.resolve(fresh, "lee", clock()).incident))
    assert store.incident(incident.incident_id).incident.status is IncidentStatus.RESOLVED


def test_a_storm_does_not_conflict_with_a_finishing_analysis(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens()
    for _ in range(20):
        sender.fires()
    change = changes.analyzed(incident, clock(), "found")
    store.commit(Commit(incident=change.incident, analysis=analysis()))
    assert store.incident(incident.incident_id).activity.alerts == 21


def test_a_commit_with_a_lost_lease_is_refused_and_writes_nothing(
    sender: Sender, store: Store, clock: FakeClock
) -> None:
    incident = sender.opens()
    (late,) = sender.receives()
    clock.advance(minutes=15)
    sender.receives()
    before = everything_about(store, incident)
    change = changes.analyzed(incident, clock(), "late")
    with pytest.raises(LeaseLost):
        store.commit(
            Commit(
                incident=change.incident,
                entries=(change.entry,),
                analysis=analysis(),
                tasks=(Task(work=Notify(incident.incident_id, "pager")),),
                settle="delivered",
                settle_news=9,
                finished=late,
                letter="dead",
            )
        )
    assert everything_about(store, incident) == before


# -------------------------------------------------------------------------------------------------------------- settle


@promise("every-event-has-one-outcome")
def test_a_delivery_settles_the_alerts_in_flight(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens()
    assert settled(store) == (0, 0, 1, 0)
    clock.advance(minutes=2)
    store.commit(Commit(incident_id=incident.incident_id, settle="delivered", settle_news=1))
    record = store.alert(incident.alert_id)
    assert (record.outcome, record.settled_at) == ("delivered", clock())
    assert settled(store) == (1, 0, 0, 0)


def test_a_delivery_settles_up_to_the_news_that_it_told(sender: Sender, store: Store) -> None:
    incident = sender.opens(severity=Severity.HIGH)
    second = sender.fires(severity=Severity.CRITICAL)
    store.commit(Commit(incident_id=incident.incident_id, settle="delivered", settle_news=1))
    assert store.alert(incident.alert_id).outcome == "delivered"
    assert sender.outcome_of(second) == "in_flight"
    assert settled(store) == (1, 0, 1, 0)


def test_a_delivery_leaves_other_incidents_in_flight(sender: Sender, store: Store) -> None:
    incident, other = sender.opens(), sender.opens(service="search")
    store.commit(Commit(incident_id=incident.incident_id, settle="delivered", settle_news=9))
    assert store.alert(other.alert_id).outcome == "in_flight"


@promise("every-event-has-one-outcome")
def test_a_second_delivery_settles_nothing_twice(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens()
    store.commit(Commit(incident_id=incident.incident_id, settle="delivered", settle_news=1))
    first = store.alert(incident.alert_id)
    clock.advance(minutes=1)
    for outcome in ("delivered", "dead"):
        store.commit(Commit(incident_id=incident.incident_id, settle=outcome, settle_news=1))
    assert store.alert(incident.alert_id) == first
    assert settled(store) == (1, 0, 0, 0)


def test_what_could_not_be_delivered_is_dead(sender: Sender, store: Store) -> None:
    incident = sender.opens()
    store.commit(Commit(incident_id=incident.incident_id, settle="dead", settle_news=1))
    assert store.alert(incident.alert_id).outcome == "dead"
    assert settled(store) == (0, 1, 0, 0)


@promise("every-event-has-one-outcome")
def test_a_dead_letter_that_is_delivered_after_all_keeps_the_law(
    sender: Sender, store: Store, clock: FakeClock
) -> None:
    incident = sender.opens(severity=Severity.HIGH)
    clock.advance(minutes=1)
    second = sender.fires(severity=Severity.CRITICAL)
    store.commit(Commit(incident_id=incident.incident_id, settle="dead", settle_news=1))
    assert settled(store) == (0, 1, 1, 0)
    clock.advance(hours=3)
    store.commit(Commit(incident_id=incident.incident_id, settle="delivered", settle_news=2))
    assert sender.outcome_of(second) == "delivered"
    assert settled(store) == (2, 0, 0, 0)


def test_merged_alerts_stay_merged(sender: Sender, store: Store) -> None:
    incident = sender.opens()
    merged = sender.fires()
    store.commit(Commit(incident_id=incident.incident_id, settle="delivered", settle_news=9))
    assert sender.outcome_of(merged) == "merged"


def test_outcomes_count_for_the_hour_of_reception(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens()
    clock.advance(minutes=59, seconds=59)
    sender.fires()
    clock.advance(seconds=1)
    sender.fires()
    store.commit(Commit(incident_id=incident.incident_id, settle="delivered", settle_news=9))
    hours = store.ledger(START)
    assert [hour.hour for hour in hours] == [START, START + timedelta(hours=1)]
    assert [(hour.received, hour.delivered, hour.merged) for hour in hours] == [(2, 2, 0), (1, 0, 1)]
    assert [hour.hour for hour in store.ledger(START + timedelta(minutes=61))] == [START + timedelta(hours=1)]


def test_the_ledger_names_what_was_suppressed(sender: Sender, store: Store) -> None:
    sender.resolves()
    sender.resolves()
    sender.fires(status=Status.INFO)
    (hour,) = store.ledger(START)
    assert (hour.received, hour.suppressed) == (3, {"nothing-open": 2, "info": 1})


# -------------------------------------------------------------------------------------------------------- dead letters


@promise("refused-delivery-is-a-dead-letter")
def test_a_dead_letter_keeps_its_task_and_the_reason(sender: Sender, store: Store, clock: FakeClock) -> None:
    sender.fires()
    sender.receives()
    clock.advance(minutes=15)
    (leased,) = sender.receives()
    store.commit(Commit(finished=leased, letter="the worker was lost"))
    (letter,) = store.dead_letters(10)
    assert (letter.task, letter.reason, letter.died_at) == (leased.task, "the worker was lost", clock())
    assert letter.receives == 2
    assert "analysis" not in sender.lanes()


def test_dead_letters_are_newest_first_and_have_names_of_their_own(sender: Sender, store: Store) -> None:
    for service in ("a", "b", "c"):
        sender.fires(service=service)
    for number, leased in enumerate(sender.receives()):
        store.commit(Commit(finished=leased, letter=f"reason {number}"))
    letters = store.dead_letters(10)
    assert [letter.reason for letter in letters] == ["reason 2", "reason 1", "reason 0"]
    assert len({letter.letter_id for letter in letters}) == 3
    assert store.dead_letters(2) == letters[:2]


def test_a_finished_task_without_a_letter_leaves_none(sender: Sender, store: Store) -> None:
    sender.fires()
    (leased,) = sender.receives()
    store.commit(Commit(finished=leased))
    assert store.dead_letters(10) == ()
    assert "analysis" not in sender.lanes()
