"""``IncidentStore.accept``: alerts, what was decided about them, and the tasks that follow."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mcp_responder.model import incident as changes
from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.errors import NotFound, Refused
from mcp_responder.model.incident import Event, IncidentStatus
from mcp_responder.pipeline.correlate import Correlate, Rules
from mcp_responder.pipeline.route import everyone
from mcp_responder.ports import Commit, Query, Situation, Verdict
from tests.contract.alarms import CHANNELS, DECIDE, Sender, Store, incoming
from tests.contract.clock import START, FakeClock
from tests.promises import promise

MINUTES_AGO = timedelta(minutes=10)


def events(store: Store, incident_id: str) -> list[Event]:
    return [entry.event for entry in store.timeline(incident_id)]


# --------------------------------------------------------------------------------------------------------- new ones


def test_a_first_firing_opens_an_incident_and_is_in_flight(sender: Sender, store: Store) -> None:
    accepted = sender.fires(title="Database is down", severity=Severity.HIGH)
    record = store.alert(accepted.alert_id)
    assert (record.outcome, record.incident_status, record.settled_at) == ("in_flight", IncidentStatus.OPEN, None)
    incident = store.incident(record.incident_id)
    assert incident.incident.alert_id == accepted.alert_id
    assert (incident.activity.alerts, incident.activity.firing, incident.activity.last_seen) == (1, 1, START)
    assert events(store, record.incident_id) == [Event.OPENED]


def test_the_alert_is_kept_whole(sender: Sender, store: Store) -> None:
    sent = sender.firing(
        title='Zahlung fehlgeschlagen 💥 "quoted"',
        message="a\nb\x00c",
        source_id="arn:aws:1",
        resource="i-1",
        labels={"team": "core"},
        region="eu-central-1",
        ago=MINUTES_AGO,
        severity=Severity.LOW,
    )
    sender.sends(sent)
    assert store.alert(sent.alert.alert_id).alert == sent.alert


@promise("people-are-told-before-the-analysis")
def test_people_hear_of_a_severe_one_at_once_and_it_is_analyzed(sender: Sender) -> None:
    sender.fires(severity=Severity.CRITICAL)
    assert sender.lanes() == {"analysis": 1, "channel:slack": 1, "channel:jira": 1}


def test_people_hear_of_a_mild_one_after_its_analysis(sender: Sender) -> None:
    accepted = sender.fires(severity=Severity.MEDIUM)
    assert sender.lanes() == {"analysis": 1}
    assert sender.outcome_of(accepted) == "in_flight"


def test_without_a_channel_it_is_suppressed_as_no_route_and_still_analyzed(store: Store, clock: FakeClock) -> None:
    sender = Sender(store, clock, Correlate(Rules(), everyone(())))
    assert sender.outcome_of(sender.fires()) == "suppressed:no-route"
    assert sender.lanes() == {"analysis": 1}


def test_an_info_is_kept_and_opens_nothing(sender: Sender, store: Store) -> None:
    accepted = sender.fires(status=Status.INFO)
    record = store.alert(accepted.alert_id)
    assert (record.outcome, record.incident_id, record.incident_status) == ("suppressed:info", "", None)
    assert record.settled_at == START
    assert sender.lanes() == {}


def test_a_resolve_of_nothing_open_is_suppressed(sender: Sender, store: Store) -> None:
    assert sender.outcome_of(sender.resolves()) == "suppressed:nothing-open"
    assert store.incidents(Query()).items == ()


def test_an_empty_batch_is_accepted(sender: Sender) -> None:
    assert sender.sends() == []


# ----------------------------------------------------------------------------------------------------------- repeats


@promise("same-alert-twice-is-stored-once")
def test_a_repeat_is_stored_once_and_answered_with_the_same_id(sender: Sender, store: Store, clock: FakeClock) -> None:
    first = sender.fires(name="event-1")
    clock.advance(days=3)
    again = sender.fires(name="event-1")
    assert (again.alert_id, again.repeat, again.verdict) == (first.alert_id, True, None)
    assert len(store.alerts(Query()).items) == 1
    assert store.alert(first.alert_id).alert.received_at == START
    assert store.incident(sender.incident_of(first).incident_id).activity.alerts == 1
    assert sender.lanes() == {"analysis": 1, "channel:slack": 1, "channel:jira": 1}


@promise("same-alert-twice-is-stored-once", "every-event-has-one-outcome")
def test_a_repeat_is_not_received_again_in_the_ledger(sender: Sender, store: Store) -> None:
    sender.fires(name="event-1")
    sender.fires(name="event-1")
    assert [hour.received for hour in store.ledger(START)] == [1]


def test_duplicates_within_one_batch_are_stored_once(sender: Sender, store: Store) -> None:
    event = sender.firing(name="event-1")
    first, second, other = sender.sends(event, event, sender.firing(name="event-2"))
    assert [first.repeat, second.repeat, other.repeat] == [False, True, False]
    assert first.alert_id == second.alert_id
    assert len(store.alerts(Query()).items) == 2


@promise("same-alert-twice-is-stored-once")
def test_the_same_bytes_within_five_minutes_are_one_event(sender: Sender, store: Store, clock: FakeClock) -> None:
    first = sender.fires(name="bytes", unstable=True)
    clock.advance(minutes=4, seconds=59)
    again = sender.fires(name="bytes", unstable=True)
    assert (again.alert_id, again.repeat) == (first.alert_id, True)
    assert len(store.alerts(Query()).items) == 1


def test_the_same_bytes_after_five_minutes_are_another_event(sender: Sender, store: Store, clock: FakeClock) -> None:
    first = sender.fires(name="bytes", unstable=True)
    clock.advance(minutes=5)
    second = sender.fires(name="bytes", unstable=True)
    assert not second.repeat
    assert second.alert_id != first.alert_id
    assert store.alert(second.alert_id).alert.received_at == clock()
    assert store.alert(second.alert_id).alert.alert_id == second.alert_id


def test_a_second_event_of_the_same_bytes_has_five_minutes_of_its_own(
    sender: Sender, store: Store, clock: FakeClock
) -> None:
    first = sender.fires(name="bytes", unstable=True)
    clock.advance(minutes=6)
    second = sender.fires(name="bytes", unstable=True)
    clock.advance(minutes=4)
    third = sender.fires(name="bytes", unstable=True)
    assert (third.alert_id, third.repeat) == (second.alert_id, True)
    clock.advance(minutes=2)
    fourth = sender.fires(name="bytes", unstable=True)
    assert not fourth.repeat
    assert len({first.alert_id, second.alert_id, fourth.alert_id}) == 3
    assert len(store.alerts(Query()).items) == 3


def test_a_repeat_does_not_stretch_the_five_minutes(sender: Sender, clock: FakeClock) -> None:
    sender.fires(name="bytes", unstable=True)
    repeats = []
    for _ in range(4):
        clock.advance(minutes=2)
        repeats.append(sender.fires(name="bytes", unstable=True).repeat)
    assert repeats == [True, True, False, True]


def test_the_same_bytes_twice_in_one_batch_after_the_window_are_one_event(sender: Sender, clock: FakeClock) -> None:
    sender.fires(name="bytes", unstable=True)
    clock.advance(minutes=6)
    event = sender.firing(name="bytes", unstable=True)
    first, second = sender.sends(event, event)
    assert (first.repeat, second.repeat) == (False, True)
    assert first.alert_id == second.alert_id


def test_with_the_clock_set_back_the_same_bytes_are_not_swallowed_until_it_has_caught_up(
    sender: Sender, clock: FakeClock
) -> None:
    sender.fires(name="bytes", unstable=True)
    clock.advance(seconds=-1)
    assert sender.fires(name="bytes", unstable=True).repeat
    clock.advance(hours=-1)
    assert not sender.fires(name="bytes", unstable=True).repeat


# ------------------------------------------------------------------------------------------------------------ batches


def test_later_items_of_a_batch_see_what_earlier_ones_did(sender: Sender, store: Store) -> None:
    first, second = sender.sends(sender.firing(), sender.firing())
    assert [sender.outcome_of(first), sender.outcome_of(second)] == ["in_flight", "merged"]
    assert sender.incident_of(first) == sender.incident_of(second)
    assert store.incident(sender.incident_of(first).incident_id).activity.alerts == 2


def test_a_batch_can_open_and_resolve_an_incident(sender: Sender, store: Store) -> None:
    fired, resolved = sender.sends(sender.firing(source_id="alarm-1"), sender.resolved(source_id="alarm-1"))
    record = store.incident(sender.incident_of(fired).incident_id)
    assert record.incident.status is IncidentStatus.RESOLVED
    assert record.activity.firing == 0
    assert sender.outcome_of(resolved) == "in_flight"
    assert events(store, record.incident.incident_id) == [Event.OPENED, Event.RESOLVED]


def test_a_batch_can_open_resolve_and_reopen_an_incident(sender: Sender, store: Store) -> None:
    fired, *_ = sender.sends(sender.firing(), sender.resolved(), sender.firing())
    record = store.incident(sender.incident_of(fired).incident_id)
    assert (record.incident.status, record.incident.reopened) == (IncidentStatus.OPEN, 1)
    assert (record.activity.alerts, record.activity.firing) == (3, 1)


def test_a_batch_in_which_deciding_fails_writes_nothing(sender: Sender, store: Store) -> None:
    def stumble(alert: Alert, situation: Situation) -> Verdict:
        if alert.title == "stumble":
            raise ZeroDivisionError
        return DECIDE(alert, situation)

    with pytest.raises(ZeroDivisionError):
        store.accept([sender.firing(), sender.firing(title="stumble")], stumble)
    assert_nothing_is_stored(store)


def test_a_batch_in_which_deciding_is_refused_writes_nothing(sender: Sender, store: Store) -> None:
    def refuse(alert: Alert, situation: Situation) -> Verdict:
        if alert.title == "refuse":
            raise Refused("no")
        return DECIDE(alert, situation)

    with pytest.raises(Refused):
        store.accept([sender.firing(), sender.firing(title="refuse")], refuse)
    assert_nothing_is_stored(store)


def test_a_batch_with_a_verdict_on_an_unknown_incident_writes_nothing(sender: Sender, store: Store) -> None:
    def merge(alert: Alert, situation: Situation) -> Verdict:
        return DECIDE(alert, situation) if alert.title != "lost" else Verdict(outcome="merged", incident_id="inc_lost")

    with pytest.raises(NotFound):
        store.accept([sender.firing(), sender.firing(title="lost")], merge)
    assert_nothing_is_stored(store)


def assert_nothing_is_stored(store: Store) -> None:
    assert store.alerts(Query()).items == ()
    assert store.incidents(Query()).items == ()
    assert store.depth() == {}
    assert store.ledger(START) == ()


def test_deciding_is_asked_in_the_order_of_the_batch(sender: Sender, store: Store) -> None:
    asked: list[str] = []

    def note(alert: Alert, situation: Situation) -> Verdict:
        asked.append(alert.title)
        return DECIDE(alert, situation)

    store.accept([sender.firing(title=title) for title in "abc"], note)
    assert asked == ["a", "b", "c"]


# ------------------------------------------------------------------------------------------------------ same incident


def test_two_sources_with_the_same_error_share_an_incident(sender: Sender, store: Store) -> None:
    first = sender.fires(source="grafana", source_id="g-1")
    second = sender.fires(source="cloudwatch", source_id="c-1")
    assert sender.incident_of(first) == sender.incident_of(second)
    assert store.incident(sender.incident_of(first).incident_id).activity.firing == 2


def test_the_same_source_id_of_two_sources_are_two_alarms(sender: Sender) -> None:
    fired = sender.fires(source="grafana", source_id="1")
    sender.fires(source="cloudwatch", source_id="1")
    sender.resolves(source="grafana", source_id="1")
    assert sender.incident_of(fired).status is IncidentStatus.OPEN


def test_another_service_is_another_incident(sender: Sender) -> None:
    assert sender.opens(service="payments").incident_id != sender.opens(service="search").incident_id


def test_an_alarm_that_fires_again_counts_once_among_the_firing(sender: Sender, store: Store) -> None:
    incident = sender.opens(source_id="alarm-1")
    sender.fires(source_id="alarm-1")
    sender.fires()
    sender.fires()
    activity = store.incident(incident.incident_id).activity
    assert (activity.alerts, activity.firing) == (4, 2)


def test_counts_and_last_seen_leave_the_version_alone(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens()
    clock.advance(minutes=1)
    sender.fires()
    record = store.incident(incident.incident_id)
    assert record.incident == incident
    assert record.activity.last_seen == clock()


def test_last_seen_never_goes_back(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens()
    late = [incoming(clock() + timedelta(seconds=30)), incoming(clock() + timedelta(seconds=10))]
    sender.sends(*late)
    assert store.incident(incident.incident_id).activity.last_seen == START + timedelta(seconds=30)
    sender.sends(incoming(clock() - timedelta(seconds=10)))
    assert store.incident(incident.incident_id).activity.last_seen == START + timedelta(seconds=30)


def test_a_worse_firing_escalates_and_people_hear_of_it(sender: Sender, store: Store) -> None:
    incident = sender.opens(severity=Severity.MEDIUM)
    accepted = sender.fires(severity=Severity.CRITICAL)
    worse = sender.incident_of(accepted)
    assert (worse.severity, worse.version, worse.news) == (Severity.CRITICAL, 2, 2)
    assert sender.outcome_of(accepted) == "in_flight"
    assert sender.lanes() == {"analysis": 1, "channel:slack": 1, "channel:jira": 1}
    assert store.incidents(Query(severity=Severity.CRITICAL)).items[0].incident == worse
    assert store.incidents(Query(severity=Severity.MEDIUM)).items == ()
    assert incident.incident_id == worse.incident_id


def test_a_milder_firing_does_not_calm_an_incident(sender: Sender) -> None:
    sender.opens(severity=Severity.CRITICAL)
    accepted = sender.fires(severity=Severity.LOW)
    assert sender.outcome_of(accepted) == "merged"
    assert sender.incident_of(accepted).severity is Severity.CRITICAL


@promise("incident-is-told-once")
def test_an_acknowledged_incident_takes_repeats_in_silence(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens()
    store.commit(Commit(incident=changes.acknowledge(incident, "kim", clock()).incident))
    waiting = sender.lanes()
    clock.advance(hours=5)
    assert sender.outcome_of(sender.fires()) == "merged"
    assert sender.lanes() == waiting


def test_an_acknowledged_incident_still_escalates(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens(severity=Severity.HIGH)
    store.commit(Commit(incident=changes.acknowledge(incident, "kim", clock()).incident))
    accepted = sender.fires(severity=Severity.CRITICAL)
    assert sender.outcome_of(accepted) == "in_flight"
    assert sender.incident_of(accepted).status is IncidentStatus.ACKNOWLEDGED


def test_a_repeat_after_the_merge_window_is_news(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens()
    clock.advance(minutes=4, seconds=59)
    assert sender.outcome_of(sender.fires()) == "merged"
    clock.advance(seconds=1)
    accepted = sender.fires()
    assert sender.outcome_of(accepted) == "in_flight"
    assert sender.incident_of(accepted).event is Event.REPEATED
    assert events(store, incident.incident_id) == [Event.OPENED, Event.REPEATED]
    assert sender.outcome_of(sender.fires()) == "merged"


# --------------------------------------------------------------------------------------------------------------- ends


def test_a_resolve_ends_the_incident_when_its_last_alarm_has_resolved(sender: Sender, store: Store) -> None:
    incident = sender.opens(source_id="alarm-1")
    sender.fires(source_id="alarm-2")
    first = sender.resolves(source_id="alarm-1")
    assert sender.outcome_of(first) == "merged"
    record = store.incident(incident.incident_id)
    assert (record.incident.status, record.activity.firing) == (IncidentStatus.OPEN, 1)
    second = sender.resolves(source_id="alarm-2")
    assert sender.outcome_of(second) == "in_flight"
    record = store.incident(incident.incident_id)
    assert (record.incident.status, record.activity.firing) == (IncidentStatus.RESOLVED, 0)
    assert record.incident.resolved_by == "grafana"


def test_an_alarm_without_a_name_is_resolved_by_its_identity(sender: Sender) -> None:
    fired = sender.fires()
    sender.fires()
    sender.resolves()
    assert sender.incident_of(fired).status is IncidentStatus.RESOLVED


def test_a_nameless_alarm_fires_on_while_a_named_one_resolves(sender: Sender) -> None:
    fired = sender.fires()
    sender.fires(source_id="alarm-1")
    sender.resolves(source_id="alarm-1")
    assert sender.incident_of(fired).status is IncidentStatus.OPEN
    sender.resolves()
    assert sender.incident_of(fired).status is IncidentStatus.RESOLVED


def test_a_second_resolve_finds_nothing_open(sender: Sender) -> None:
    sender.fires(source_id="alarm-1")
    sender.resolves(source_id="alarm-1")
    assert sender.outcome_of(sender.resolves(source_id="alarm-1")) == "suppressed:nothing-open"


def test_an_alarm_that_fires_in_two_incidents_ends_both(sender: Sender, store: Store) -> None:
    first = sender.opens(source_id="alarm-1", title="Disk is full")
    second = sender.opens(source_id="alarm-1", title="Disk is nearly full")
    assert first.incident_id != second.incident_id
    sender.resolves(source_id="alarm-1", title="Disk is fine")
    ended = [store.incident(i.incident_id) for i in (first, second)]
    assert [(r.incident.status, r.activity.firing) for r in ended] == [(IncidentStatus.RESOLVED, 0)] * 2


def test_an_alarm_that_fires_in_two_incidents_ends_the_one_where_it_is_alone(sender: Sender, store: Store) -> None:
    shared = sender.opens(source_id="alarm-1", title="Disk is full")
    sender.fires(source_id="alarm-2", title="Disk is full")
    alone = sender.opens(source_id="alarm-1", title="Disk is nearly full")
    accepted = sender.resolves(source_id="alarm-1")
    assert sender.incident_of(accepted).incident_id == alone.incident_id
    assert store.incident(shared.incident_id).activity.firing == 1
    assert store.incident(shared.incident_id).incident.status is IncidentStatus.OPEN


def test_two_new_incidents_of_one_alarm_in_a_batch_end_in_the_same_batch(sender: Sender, store: Store) -> None:
    sender.sends(
        sender.firing(source_id="alarm-1", title="Disk is full"),
        sender.firing(source_id="alarm-1", title="Disk is nearly full"),
        sender.resolved(source_id="alarm-1"),
    )
    assert {r.incident.status for r in store.incidents(Query()).items} == {IncidentStatus.RESOLVED}


def test_a_resolved_incident_has_no_firings_whoever_resolved_it(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens(source_id="alarm-1")
    sender.fires()
    store.commit(Commit(incident=changes.resolve(incident, "kim", clock()).incident))
    assert store.incident(incident.incident_id).activity.firing == 0
    assert sender.outcome_of(sender.resolves(source_id="alarm-1")) == "suppressed:nothing-open"


def test_an_alarm_without_a_name_that_fires_again_is_among_the_firing(
    sender: Sender, store: Store, clock: FakeClock
) -> None:
    incident = sender.opens()
    sender.fires(source_id="alarm-1")
    sender.resolves()
    assert store.incident(incident.incident_id).activity.firing == 1
    sender.fires()
    assert store.incident(incident.incident_id).activity.firing == 2
    store.commit(Commit(incident=changes.resolve(incident, "kim", clock()).incident))
    sender.fires()
    assert store.incident(incident.incident_id).activity.firing == 1


def test_a_firing_soon_after_the_end_reopens_the_incident(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens(severity=Severity.MEDIUM)
    sender.resolves()
    clock.advance(minutes=30)
    accepted = sender.fires(severity=Severity.HIGH)
    again = sender.incident_of(accepted)
    assert again.incident_id == incident.incident_id
    assert (again.status, again.reopened, again.severity) == (IncidentStatus.OPEN, 1, Severity.HIGH)
    assert store.incident(incident.incident_id).activity.firing == 1
    assert sender.outcome_of(accepted) == "in_flight"


def test_a_firing_long_after_the_end_is_a_new_incident(sender: Sender, store: Store, clock: FakeClock) -> None:
    incident = sender.opens()
    sender.resolves()
    clock.advance(minutes=30, seconds=1)
    new = sender.opens()
    assert new.incident_id != incident.incident_id
    assert store.incident(incident.incident_id).incident.status is IncidentStatus.RESOLVED
    assert len(store.incidents(Query()).items) == 2


def test_the_newest_incident_of_an_identity_is_the_one_that_goes_on(
    sender: Sender, store: Store, clock: FakeClock
) -> None:
    old = sender.opens()
    sender.resolves()
    clock.advance(hours=1)
    new = sender.opens()
    sender.resolves()
    stored = store.incident(old.incident_id).incident
    store.commit(Commit(incident=changes.reopen(stored, "kim", clock()).incident))
    assert sender.incident_of(sender.fires()).incident_id == new.incident_id


# ------------------------------------------------------------------------------------------------------- out of order


def test_a_firing_older_than_its_resolve_is_a_straggler(sender: Sender, store: Store) -> None:
    sender.resolves(source_id="alarm-1", ago=timedelta(seconds=10))
    accepted = sender.fires(source_id="alarm-1", ago=timedelta(seconds=40))
    assert sender.outcome_of(accepted) == "suppressed:out-of-order"
    assert store.incidents(Query()).items == ()


def test_a_firing_younger_than_its_resolve_is_a_new_one(sender: Sender) -> None:
    sender.resolves(source_id="alarm-1", ago=timedelta(seconds=40))
    assert sender.outcome_of(sender.fires(source_id="alarm-1", ago=timedelta(seconds=10))) == "in_flight"


def test_a_firing_as_old_as_its_resolve_is_a_new_one(sender: Sender) -> None:
    sender.resolves(source_id="alarm-1", ago=timedelta(seconds=40))
    assert sender.outcome_of(sender.fires(source_id="alarm-1", ago=timedelta(seconds=40))) == "in_flight"


def test_a_straggler_is_recognized_for_five_minutes(sender: Sender, clock: FakeClock) -> None:
    sender.resolves(source_id="alarm-1", ago=timedelta())
    clock.advance(minutes=4, seconds=59)
    straggler = sender.fires(source_id="alarm-1", ago=timedelta(hours=1))
    assert sender.outcome_of(straggler) == "suppressed:out-of-order"
    clock.advance(seconds=1)
    assert sender.outcome_of(sender.fires(source_id="alarm-1", ago=timedelta(hours=1))) == "in_flight"


def test_a_straggler_of_the_same_batch_is_recognized(sender: Sender) -> None:
    _, straggler = sender.sends(
        sender.resolved(source_id="alarm-1", ago=timedelta(0)),
        sender.firing(source_id="alarm-1", ago=timedelta(minutes=1)),
    )
    assert sender.outcome_of(straggler) == "suppressed:out-of-order"


def test_without_the_senders_time_nothing_is_out_of_order(sender: Sender) -> None:
    sender.resolves(source_id="alarm-1", ago=timedelta(0))
    assert sender.outcome_of(sender.fires(source_id="alarm-1")) == "in_flight"
    sender.resolves(source_id="alarm-2", service="search")
    accepted = sender.fires(source_id="alarm-2", service="search", ago=timedelta(hours=1))
    assert sender.outcome_of(accepted) == "in_flight"


def test_a_resolve_older_than_its_firing_ends_nothing(sender: Sender, store: Store) -> None:
    sender.fires(source_id="alarm-1", ago=timedelta(minutes=2))
    late = sender.resolves(source_id="alarm-1", ago=timedelta(minutes=10))
    assert sender.outcome_of(late) == "suppressed:out-of-order"
    (record,) = store.incidents(Query()).items
    assert (record.incident.status, record.activity.firing) == (IncidentStatus.OPEN, 1)
    sender.resolves(source_id="alarm-1", ago=timedelta(minutes=1))
    assert store.incident(record.incident.incident_id).incident.status is IncidentStatus.RESOLVED


def test_a_resolve_as_old_as_its_firing_ends_it(sender: Sender, store: Store) -> None:
    sender.fires(source_id="alarm-1", ago=timedelta(minutes=2))
    sender.resolves(source_id="alarm-1", ago=timedelta(minutes=2))
    (record,) = store.incidents(Query()).items
    assert record.incident.status is IncidentStatus.RESOLVED


def test_the_newest_firing_of_an_alarm_counts(sender: Sender, store: Store) -> None:
    sender.fires(source_id="alarm-1", ago=timedelta(minutes=9))
    sender.fires(source_id="alarm-1", ago=timedelta(minutes=3))
    late = sender.resolves(source_id="alarm-1", ago=timedelta(minutes=6))
    assert sender.outcome_of(late) == "suppressed:out-of-order"
    (record,) = store.incidents(Query()).items
    assert record.incident.status is IncidentStatus.OPEN


def test_a_late_resolve_is_recognized_for_an_hour(sender: Sender, store: Store, clock: FakeClock) -> None:
    # A clock that was set back must not keep an incident open for ever.
    sender.fires(source_id="alarm-1", ago=timedelta())
    clock.advance(minutes=60)
    sender.resolves(source_id="alarm-1", ago=timedelta(hours=2))
    (record,) = store.incidents(Query()).items
    assert record.incident.status is IncidentStatus.RESOLVED


def test_senders_without_an_alarms_id_have_no_common_clock(sender: Sender, store: Store) -> None:
    sender.fires(resource="web-1", ago=timedelta(minutes=2))
    sender.resolves(resource="web-1", ago=timedelta(minutes=10))
    (record,) = store.incidents(Query()).items
    assert record.incident.status is IncidentStatus.RESOLVED


def test_another_alarm_is_not_held_back_by_a_resolve(sender: Sender) -> None:
    sender.resolves(source_id="alarm-1", ago=timedelta(0))
    assert sender.outcome_of(sender.fires(source_id="alarm-2", ago=timedelta(minutes=1))) == "in_flight"


def test_a_late_resolve_does_not_hide_a_newer_one(sender: Sender) -> None:
    sender.resolves(source_id="alarm-1", ago=timedelta(seconds=10))
    sender.resolves(source_id="alarm-1", ago=timedelta(seconds=50))
    straggler = sender.fires(source_id="alarm-1", ago=timedelta(seconds=30))
    assert sender.outcome_of(straggler) == "suppressed:out-of-order"


def test_every_channel_gets_a_task_of_its_own(sender: Sender) -> None:
    incident = sender.opens()
    for channel in CHANNELS:
        (leased,) = sender.receives(f"channel:{channel}")
        assert (leased.task.work.incident_id, leased.task.severity) == (incident.incident_id, Severity.HIGH)
