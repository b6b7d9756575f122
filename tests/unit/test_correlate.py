"""What is decided about an alert, given what the store knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from mcp_responder.model import incident as changes
from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.incident import Event, Incident, IncidentStatus
from mcp_responder.model.task import Analyze, Notify
from mcp_responder.pipeline.correlate import Correlate, Rules, alarm_of, identity_of
from mcp_responder.pipeline.route import everyone
from mcp_responder.ports import Situation, Verdict

T0 = datetime(2026, 3, 1, 9, tzinfo=UTC)
RULES = Rules(merge_window=timedelta(minutes=5), reopen_window=timedelta(minutes=30))
DECIDE = Correlate(RULES, everyone(("slack", "jira")))
NOTHING = Situation(latest=None)


def alert(severity: Severity = Severity.HIGH, *, minutes: float = 0, **fields: object) -> Alert:
    return Alert(
        alert_id="0123456789abcdef01234567",
        source="grafana",
        title="Disk is full",
        signature="s1",
        severity=severity,
        received_at=T0 + timedelta(minutes=minutes),
        **fields,
    )


OPEN = changes.open_incident(alert(), "inc_1", "identity").incident
ACKNOWLEDGED = changes.acknowledge(OPEN, "kim", T0).incident
RESOLVED = changes.resolve(OPEN, "kim", T0).incident


def after(incident: Incident, *, minutes: float = 0, severity: Severity = Severity.HIGH) -> Verdict:
    return DECIDE(alert(severity, minutes=minutes), Situation(latest=incident))


def work(verdict: Verdict) -> list[object]:
    return [task.work for task in verdict.tasks]


def ends(*incidents: Incident, others: tuple[bool, ...] | None = None) -> Verdict:
    situation = Situation(
        latest=incidents[0] if incidents else None,
        firing_in=incidents,
        others_firing=others or (False,) * len(incidents),
    )
    return DECIDE(alert(status=Status.RESOLVED), situation)


# ------------------------------------------------------------------------------------------------------------ identity


def test_identity_is_made_of_the_configured_fields() -> None:
    one, other = alert(service="a", resource="x"), alert(service="a", resource="y")
    assert identity_of(one, RULES.identity) == identity_of(other, RULES.identity)
    assert identity_of(one, ("signature", "resource")) != identity_of(other, ("signature", "resource"))


@pytest.mark.parametrize("field", ["signature", "service", "environment"])
def test_each_field_of_identity_tells_incidents_apart(field: str) -> None:
    one = alert()
    assert identity_of(one, RULES.identity) != identity_of(replace(one, **{field: "other"}), RULES.identity)


def test_fields_of_identity_do_not_run_together() -> None:
    one, other = alert(service="ab", environment="c"), alert(service="a", environment="bc")
    assert identity_of(one, RULES.identity) != identity_of(other, RULES.identity)


def test_an_alarm_is_its_source_and_the_senders_name_of_it() -> None:
    named = alert(source_id="arn:1")
    assert alarm_of(named, "i1") == alarm_of(named, "i2")
    assert alarm_of(named, "i1") != alarm_of(replace(named, source="cloudwatch"), "i1")


def test_an_alarm_without_a_name_is_its_incidents() -> None:
    assert alarm_of(alert(), "identity") == "identity"


def test_identity_takes_any_text() -> None:
    assert len(identity_of(alert(service="\ud800 \x00 💥"), RULES.identity)) == 24


# ------------------------------------------------------------------------------------------------------------- firings


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.HIGH])
def test_a_severe_first_firing_is_told_at_once_and_analyzed(severity: Severity) -> None:
    verdict = DECIDE(alert(severity), NOTHING)
    (incident,) = verdict.changed
    name = incident.incident_id
    assert work(verdict) == [Notify(name, "slack"), Notify(name, "jira"), Analyze(name)]
    assert (verdict.outcome, verdict.incident_id, verdict.firing) == ("", name, True)
    assert {task.severity for task in verdict.tasks} == {severity}


@pytest.mark.parametrize("severity", [Severity.MEDIUM, Severity.LOW])
def test_a_mild_first_firing_waits_for_its_analysis(severity: Severity) -> None:
    verdict = DECIDE(alert(severity), NOTHING)
    assert work(verdict) == [Analyze(verdict.incident_id)]
    assert verdict.outcome == ""


def test_an_incidents_name_is_when_and_by_which_alert_it_was_opened() -> None:
    first = alert()
    received = int(first.received_at.timestamp())
    assert DECIDE(first, NOTHING).incident_id == f"inc_{received:08x}{first.alert_id[:12]}"


def test_deciding_again_decides_the_same() -> None:
    assert DECIDE(alert(), NOTHING) == DECIDE(alert(), NOTHING)


def test_within_the_merge_window_a_repeat_is_merged() -> None:
    assert after(OPEN, minutes=4.99) == Verdict(outcome="merged", incident_id="inc_1", firing=True)


def test_at_the_end_of_the_merge_window_a_repeat_is_told_without_an_analysis() -> None:
    verdict = after(OPEN, minutes=5)
    assert verdict.changed[0].event is Event.REPEATED
    assert work(verdict) == [Notify("inc_1", "slack"), Notify("inc_1", "jira")]


def test_the_merge_window_counts_from_the_last_news() -> None:
    told = changes.repeat(OPEN, alert(minutes=10)).incident
    assert after(told, minutes=14).outcome == "merged"


def test_with_the_clock_set_back_a_repeat_is_merged() -> None:
    assert after(OPEN, minutes=-60).outcome == "merged"


def test_a_worse_firing_escalates_at_once() -> None:
    verdict = after(OPEN, severity=Severity.CRITICAL)
    assert (verdict.changed[0].severity, verdict.changed[0].event) == (Severity.CRITICAL, Event.ESCALATED)
    assert {task.severity for task in verdict.tasks} == {Severity.CRITICAL}


def test_an_acknowledged_incident_is_silent_however_long() -> None:
    assert after(ACKNOWLEDGED, minutes=600).outcome == "merged"


def test_an_acknowledged_incident_escalates() -> None:
    verdict = after(ACKNOWLEDGED, severity=Severity.CRITICAL)
    assert (verdict.outcome, verdict.changed[0].status) == ("", IncidentStatus.ACKNOWLEDGED)


def test_up_to_the_end_of_the_reopen_window_a_firing_reopens_and_is_analyzed_again() -> None:
    verdict = after(RESOLVED, minutes=30)
    assert (verdict.incident_id, verdict.changed[0].event) == ("inc_1", Event.REOPENED)
    assert work(verdict) == [Notify("inc_1", "slack"), Notify("inc_1", "jira"), Analyze("inc_1")]


def test_after_the_reopen_window_a_firing_opens_a_new_incident() -> None:
    verdict = after(RESOLVED, minutes=30.01)
    assert verdict.changed[0].event is Event.OPENED
    assert verdict.incident_id != "inc_1"


def test_a_straggler_is_suppressed() -> None:
    situation = Situation(latest=RESOLVED, resolved_later=True)
    assert DECIDE(alert(), situation) == Verdict(outcome="suppressed:out-of-order")


def test_an_info_is_suppressed_whatever_is_open() -> None:
    assert DECIDE(alert(status=Status.INFO), Situation(latest=OPEN)) == Verdict(outcome="suppressed:info")


def test_without_channels_the_incident_is_kept_and_analyzed() -> None:
    verdict = Correlate(RULES, everyone(()))(alert(), NOTHING)
    assert verdict.outcome == "suppressed:no-route"
    assert work(verdict) == [Analyze(verdict.incident_id)]


# ------------------------------------------------------------------------------------------------------------ resolves


def test_a_resolve_of_nothing_is_suppressed() -> None:
    assert ends() == Verdict(outcome="suppressed:nothing-open")


def test_a_resolve_is_told_when_it_is_the_last() -> None:
    verdict = ends(OPEN)
    assert (verdict.outcome, verdict.incident_id, verdict.firing) == ("", "inc_1", False)
    assert verdict.changed[0].status is IncidentStatus.RESOLVED
    assert work(verdict) == [Notify("inc_1", "slack"), Notify("inc_1", "jira")]


def test_a_resolve_while_others_fire_is_merged() -> None:
    assert ends(OPEN, others=(True,)) == Verdict(outcome="merged", incident_id="inc_1")


def test_a_resolve_ends_all_incidents_of_its_alarm() -> None:
    second = replace(OPEN, incident_id="inc_2")
    verdict = ends(OPEN, second)
    assert [incident.incident_id for incident in verdict.changed] == ["inc_1", "inc_2"]
    assert [name for name, _ in verdict.entries] == ["inc_1", "inc_2"]
    assert len(verdict.tasks) == 4


def test_a_resolve_belongs_to_the_incident_that_it_ends() -> None:
    verdict = ends(OPEN, replace(OPEN, incident_id="inc_2"), others=(True, False))
    assert (verdict.incident_id, verdict.outcome) == ("inc_2", "")
    assert [incident.incident_id for incident in verdict.changed] == ["inc_2"]


def test_a_resolve_belongs_to_the_incident_that_people_hear_of() -> None:
    quiet, loud = OPEN, replace(OPEN, incident_id="inc_2", service="loud")
    decide = Correlate(RULES, lambda incident: ("slack",) if incident.service == "loud" else ())
    verdict = decide(
        alert(status=Status.RESOLVED),
        Situation(latest=quiet, firing_in=(quiet, loud), others_firing=(False, False)),
    )
    assert (verdict.outcome, verdict.incident_id) == ("", "inc_2")
    assert verdict.changed[0].incident_id == "inc_2"
    assert {incident.incident_id for incident in verdict.changed} == {"inc_1", "inc_2"}
