"""An incident's legal state changes, and what each does to the version and the news."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from mcp_responder.model import incident as changes
from mcp_responder.model.alert import Alert, Severity
from mcp_responder.model.errors import Refused
from mcp_responder.model.incident import Change, Event, Incident, IncidentStatus

T0 = datetime(2026, 3, 1, 9, tzinfo=UTC)
T1 = T0 + timedelta(minutes=10)


def alert(severity: Severity = Severity.MEDIUM, at: datetime = T0, **fields: str) -> Alert:
    facts = {"alert_id": "a1", "source": "grafana", "title": "Disk is full", "signature": "s1", "service": "search"}
    return Alert(**{**facts, **fields}, severity=severity, received_at=at)


OPEN = changes.open_incident(alert(resource="i-1", environment="prod", owner="core"), "inc_1", "identity").incident
ACKNOWLEDGED = changes.acknowledge(OPEN, "kim", T0).incident
RESOLVED = changes.resolve(ACKNOWLEDGED, "kim", T0).incident
STATES = {"open": OPEN, "acknowledged": ACKNOWLEDGED, "resolved": RESOLVED}


def test_a_first_firing_opens_an_incident_with_its_facts() -> None:
    assert (
        Incident(
            incident_id="inc_1",
            identity="identity",
            signature="s1",
            source="grafana",
            service="search",
            resource="i-1",
            environment="prod",
            title="Disk is full",
            severity=Severity.MEDIUM,
            news_at=T0,
            opened_at=T0,
            owner="core",
            alert_id="a1",
        )
        == OPEN
    )
    assert (OPEN.status, OPEN.version, OPEN.news, OPEN.event) == (IncidentStatus.OPEN, 1, 1, Event.OPENED)


PERSONS: dict[str, Callable[[Incident], Change]] = {
    "acknowledge": lambda incident: changes.acknowledge(incident, "lee", T1),
    "resolve": lambda incident: changes.resolve(incident, "lee", T1),
    "reopen": lambda incident: changes.reopen(incident, "lee", T1),
}


@pytest.mark.parametrize(
    ("verb", "state", "becomes"),
    [
        ("acknowledge", "open", IncidentStatus.ACKNOWLEDGED),
        ("resolve", "open", IncidentStatus.RESOLVED),
        ("resolve", "acknowledged", IncidentStatus.RESOLVED),
        ("reopen", "resolved", IncidentStatus.OPEN),
    ],
)
def test_a_legal_change_is_news_and_a_version_further(verb: str, state: str, becomes: IncidentStatus) -> None:
    before = STATES[state]
    change = PERSONS[verb](before)
    after = change.incident
    assert after.status is becomes
    assert (after.version, after.news, after.news_at) == (before.version + 1, before.news + 1, T1)
    assert change.news
    assert (change.entry.at, change.entry.by, change.entry.event) == (T1, "lee", after.event)


@pytest.mark.parametrize(
    ("verb", "state", "says"),
    [
        ("acknowledge", "acknowledged", "inc_1 was already acknowledged by kim."),
        ("acknowledge", "resolved", "inc_1 is resolved; reopen it first."),
        ("resolve", "resolved", "inc_1 was already resolved by kim."),
        ("reopen", "open", "inc_1 is open; only a resolved incident can be reopened."),
        ("reopen", "acknowledged", "inc_1 is acknowledged; only a resolved incident can be reopened."),
    ],
)
def test_an_illegal_change_is_refused_with_a_reason(verb: str, state: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        PERSONS[verb](STATES[state])
    assert (refused.value.detail, refused.value.status) == (says, 409)


def test_a_change_leaves_the_old_incident_as_it_was() -> None:
    changes.acknowledge(OPEN, "lee", T1)
    assert (OPEN.status, OPEN.version) == (IncidentStatus.OPEN, 1)


def test_who_acknowledges_owns_it_unless_it_has_an_owner() -> None:
    ownerless = changes.open_incident(alert(), "inc_2", "identity").incident
    assert changes.acknowledge(ownerless, "lee", T1).incident.owner == "lee"
    acknowledged = changes.acknowledge(OPEN, "lee", T1).incident
    assert (acknowledged.owner, acknowledged.acknowledged_by, acknowledged.acknowledged_at) == ("core", "lee", T1)


def test_a_resolve_says_who_and_when() -> None:
    resolved = changes.resolve(OPEN, "lee", T1).incident
    assert (resolved.resolved_by, resolved.resolved_at) == ("lee", T1)


def test_a_resolve_by_an_alert_is_the_senders() -> None:
    change = changes.resolve_by_alert(OPEN, alert(at=T1))
    assert (change.incident.status, change.incident.resolved_by) == (IncidentStatus.RESOLVED, "grafana")
    assert (change.entry.event, change.entry.by, change.entry.alert_id) == (Event.RESOLVED, "grafana", "a1")


def test_a_reopened_incident_forgets_its_end_and_its_acknowledgement() -> None:
    for change in (changes.reopen(RESOLVED, "lee", T1), changes.reopen_by_alert(RESOLVED, alert(at=T1))):
        again = change.incident
        assert (again.resolved_at, again.resolved_by) == (None, "")
        assert (again.acknowledged_at, again.acknowledged_by) == (None, "")
        assert (again.status, again.reopened, again.event) == (IncidentStatus.OPEN, 1, Event.REOPENED)
        assert again.opened_at == T0


@pytest.mark.parametrize(("fires", "becomes"), [(Severity.HIGH, Severity.HIGH), (Severity.LOW, Severity.MEDIUM)])
def test_a_reopening_firing_can_only_worsen_the_severity(fires: Severity, becomes: Severity) -> None:
    assert changes.reopen_by_alert(RESOLVED, alert(fires)).incident.severity is becomes


def test_an_escalation_raises_the_severity_and_says_from_where() -> None:
    change = changes.escalate(ACKNOWLEDGED, alert(Severity.CRITICAL, T1))
    assert change.incident.severity is Severity.CRITICAL
    assert change.incident.status is IncidentStatus.ACKNOWLEDGED
    assert change.entry.text == "MEDIUM -> CRITICAL"
    assert change.incident.news == ACKNOWLEDGED.news + 1


def test_a_repeat_is_news_and_nothing_else() -> None:
    change = changes.repeat(OPEN, alert(at=T1))
    assert (change.incident.event, change.incident.news, change.incident.news_at) == (Event.REPEATED, 2, T1)
    assert (change.incident.status, change.incident.severity) == (OPEN.status, OPEN.severity)


def test_a_silence_keeps_what_the_machines_say_until_its_end() -> None:
    silenced = changes.silence(OPEN, "lee", T0, T1).incident
    assert (silenced.silenced_by, silenced.silenced_until, silenced.event) == ("lee", T1, Event.SILENCED)
    soon, late = T0 + timedelta(minutes=9), T1
    assert not silenced.silent
    assert changes.repeat(silenced, alert(at=soon)).incident.silent
    assert changes.analyzed(silenced, soon, "found").incident.silent
    assert not changes.repeat(silenced, alert(at=late)).incident.silent
    resolved = changes.resolve_by_alert(silenced, alert(at=soon)).incident
    assert not resolved.silent
    assert changes.reopen_by_alert(resolved, alert(at=soon)).incident.silent
    assert not changes.acknowledge(silenced, "kim", soon).incident.silent


def test_what_is_worse_and_a_persons_reopening_end_a_silence() -> None:
    silenced = changes.silence(OPEN, "lee", T0, T1).incident
    resolved = changes.resolve(silenced, "lee", T0).incident
    for change in (
        changes.escalate(silenced, alert(Severity.HIGH)),
        changes.reopen_by_alert(resolved, alert(Severity.HIGH)),
        changes.reopen(resolved, "kim", T0),
    ):
        assert (change.incident.silenced_until, change.incident.silenced_by) == (None, "")
        assert not change.incident.silent


def test_what_is_resolved_cant_be_silenced() -> None:
    with pytest.raises(Refused, match="inc_1 is resolved"):
        changes.silence(RESOLVED, "lee", T0, T1)


def test_a_comment_is_a_new_version_and_no_news() -> None:
    change = changes.comment(OPEN, "lee", T1, "looking")
    assert not change.news
    assert (change.incident.version, change.incident.news, change.incident.event) == (2, 1, Event.OPENED)
    assert (change.entry.text, change.entry.by) == ("looking", "lee")


@pytest.mark.parametrize("state", sorted(STATES))
def test_an_analysis_is_news_in_any_state_and_changes_none(state: str) -> None:
    before = STATES[state]
    for change in (changes.analyzed(before, T1, "found"), changes.analysis_failed(before, T1, "gave up")):
        assert change.incident.status is before.status
        assert change.incident.news == before.news + 1
        assert change.entry.event is change.incident.event
