"""Any JSON: how senders call things, and what is made of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mcp_responder.model.alert import Link, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.model.severity import SeverityRule
from mcp_responder.ports import Reading
from tests.sources.reading import generic, read

TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        *["title", "Title", "TITLE", "alertname", "alertName", "alert_name", "Alert Name", "alert-name", "summary"],
        *["subject", "headline", "name", "alert", "event", "monitor_name", "check", "ruleName", "short_description"],
    ],
)
def test_a_title_by_any_name(name: str) -> None:
    assert generic(**{name: "Disk full"}).title == "Disk full"


@pytest.mark.parametrize(
    "name",
    ["message", "MESSAGE", "msg", "description", "body", "text", "details", "reason", "error", "errorMessage"],
)
def test_a_message_by_any_name(name: str) -> None:
    alert = generic(**{"title": "Disk full", name: "only 1 % left"})
    assert (alert.title, alert.message) == ("Disk full", "only 1 % left")


@pytest.mark.parametrize(
    ("said", "severity"),
    [
        ("critical", Severity.CRITICAL),
        ("CRIT", Severity.CRITICAL),
        ("fatal", Severity.CRITICAL),
        ("page", Severity.CRITICAL),
        ("P1", Severity.CRITICAL),
        ("sev1", Severity.CRITICAL),
        ("SEV-1", Severity.CRITICAL),
        ("1", Severity.CRITICAL),
        (1, Severity.CRITICAL),
        (1.0, Severity.CRITICAL),
        ("1 - Critical", Severity.CRITICAL),
        ("error", Severity.HIGH),
        ("High", Severity.HIGH),
        ("P2", Severity.HIGH),
        (2, Severity.HIGH),
        ({"name": "High", "id": 7}, Severity.HIGH),
        ("warn", Severity.MEDIUM),
        ("warning", Severity.MEDIUM),
        ("P3 (moderate)", Severity.MEDIUM),
        (3, Severity.MEDIUM),
        ("info", Severity.LOW),
        ("P4", Severity.LOW),
        ("P5", Severity.LOW),
        (5, Severity.LOW),
        ("low", Severity.LOW),
    ],
)
@pytest.mark.parametrize("name", ["severity", "level", "priority", "sev", "Urgency"])
def test_a_severity_by_any_name_and_in_any_scale(name: str, said: object, severity: Severity) -> None:
    assert generic(**{"title": "x", name: said}).severity is severity


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (word, Status.FIRING)
        for word in ("firing", "triggered", "Alerting", "open", "PROBLEM", "critical", "down", "trigger")
    ]
    + [
        (word, Status.RESOLVED)
        for word in ("resolved", "OK", "closed", "Recovered", "up", "normal", "cleared", "resolve")
    ]
    + [(word, Status.INFO) for word in ("info", "informational", "maintenance", "acknowledged")]
    + [("incident.resolved", Status.RESOLVED), ("alert_opened", Status.FIRING), ("whatever", Status.FIRING)],
)
@pytest.mark.parametrize("name", ["status", "state", "action", "event_action", "eventAction"])
def test_a_status_by_any_name(name: str, said: str, status: Status) -> None:
    assert generic(**{"title": "x", name: said}).status is status


def test_an_alert_without_a_status_fires() -> None:
    assert generic(title="x").status is Status.FIRING
    assert generic(title="x", status=500, resolved=False).status is Status.FIRING


def test_a_status_that_says_nothing_leaves_it_to_the_next() -> None:
    assert generic(title="x", status="weird", state="ok").status is Status.RESOLVED
    assert generic(title="x", resolved=True).status is Status.RESOLVED
    assert generic(title="x", severity="cleared").status is Status.RESOLVED
    assert generic(monitor="web", event="down").status is Status.FIRING
    assert generic(monitor="web", event="up").status is Status.RESOLVED


def test_an_event_that_is_only_a_state_isnt_a_title() -> None:
    assert generic(monitor="web", event="down").title == "web"
    assert generic(event="Node lost").title == "Node lost"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *[("application", "service"), ("app", "service"), ("component", "service"), ("serviceName", "service")],
        *[("env", "environment"), ("stage", "environment"), ("host", "resource"), ("Instance ID", "resource")],
        *[("aws_region", "region"), ("accountId", "account"), ("team", "owner"), ("assignee", "owner")],
        *(
            (name, "source_id")
            for name in ("fingerprint", "dedup_key", "dedupKey", "alias", "incident_key", "alert_id")
        ),
        *((name, "source_id") for name in ("sourceId", "monitor_id", "check-id")),
        *((name, "event_id") for name in ("event_id", "messageId")),
    ],
)
def test_other_fields_by_other_names(name: str, field: str) -> None:
    assert getattr(generic(**{"title": "x", name: "value-1"}), field) == "value-1"


@pytest.mark.parametrize("name", ["service", "environment", "owner", "resource", "region"])
def test_a_field_that_is_an_object_is_called_by_its_name(name: str) -> None:
    assert getattr(generic(**{"title": "x", name: {"id": 7, "name": "checkout"}}), name) == "checkout"


@pytest.mark.parametrize(
    "said",
    [
        *[1772359200, "1772359200", 1772359200000, 1772359200000000, 1772359200000000000, 1772359200.0],
        *["2026-03-01T10:00:00Z", "2026-03-01T12:30:00+02:30", "2026-03-01T10:00:00.000+0000", "2026-03-01 10:00:00"],
        *["2026-03-01 10:00:00 UTC", "2026/03/01 10:00:00", "2026-03-01 10:00:00 +0000 UTC"],
        *["Sun, 01 Mar 2026 10:00:00 GMT", "Sun, 01 Mar 2026 11:00:00 +0100"],
    ],
)
@pytest.mark.parametrize("name", ["timestamp", "ts", "time", "@timestamp", "created_at", "startsAt"])
def test_a_time_by_any_name_and_in_any_form(name: str, said: object) -> None:
    assert generic(**{"title": "x", name: said}).timestamp == TEN


@pytest.mark.parametrize(
    "said", ["yesterday", "", None, 0, -5, True, [], {}, "0001-01-01T00:00:00Z", 10**30, "9" * 5000]
)
def test_a_time_that_cant_be_read_is_none(said: object) -> None:
    assert generic(title="x", timestamp=said).timestamp is None


def test_what_is_over_has_the_time_of_its_end() -> None:
    begun, ended = "2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z"
    assert generic(title="x", status="ok", startsAt=begun, endsAt=ended).timestamp == TEN
    assert generic(title="x", status="firing", startsAt=ended, endsAt=begun).timestamp == TEN
    assert generic(title="x", status="ok", timestamp=ended, endsAt=begun).timestamp == TEN


@pytest.mark.parametrize(
    "said",
    [
        {"team": "web", "tier": 1},
        ["team:web", "tier:1"],
        ["team=web", "tier=1"],
        "team:web, tier:1",
        [{"key": "team", "value": "web"}, {"name": "tier", "value": 1}],
    ],
)
def test_labels_in_any_form(said: object) -> None:
    assert generic(title="x", tags=said).labels == {"team": "web", "tier": "1"}


def test_scalars_that_nobody_knows_arent_labels() -> None:
    assert generic(title="x", favourite_colour="blue").labels == {}


def test_links_of_all_kinds_once_each_and_nothing_a_browser_would_run() -> None:
    alert = generic(
        title="x",
        url="https://a.example",
        runbook_url="https://b.example",
        links=[{"href": "https://c.example", "text": "Graph"}, "https://a.example", "javascript:alert(1)", 5],
        dashboardUrl={"cpu": "http://d.example", "bad": "ftp://e.example"},
    )
    assert set(alert.links) == {
        Link(name="Link", url="https://a.example"),
        Link(name="Runbook", url="https://b.example"),
        Link(name="Graph", url="https://c.example"),
        Link(name="cpu", url="http://d.example"),
    }


def test_everything_that_says_what_happened_is_in_the_message() -> None:
    alert = generic(title="Checkout fails", message="5xx", description="since the deploy", error="ECONNREFUSED", x="y")
    assert alert.message == "5xx\nsince the deploy\nECONNREFUSED"


def test_nothing_is_said_twice() -> None:
    assert (
        generic(title="Down", summary="Down", message="Site is down", description="Site is down").message
        == "Site is down"
    )


def test_a_title_is_cut_and_a_message_isnt() -> None:
    alert = generic(title="t" * 1000, message="m" * 10_000)
    assert len(alert.title) == 500
    assert len(alert.message) == 10_000


def test_without_a_title_the_first_line_of_the_message_is_the_title() -> None:
    alert = generic(message="  Disk full\nonly 1 % left")
    assert (alert.title, alert.message) == ("Disk full", "Disk full\nonly 1 % left")


def test_a_title_is_one_line_without_control_characters() -> None:
    assert generic(title="Disk\x1b[31m full\r\non web-1\x00").title == "Disk [31m full on web-1"


def test_a_body_that_nobody_understands_is_told_as_it_is() -> None:
    assert generic(foo="bar", n={"ok": True, "deep": [1, 2]}).title == "foo: bar, n.ok: true, n.deep.0: 1, n.deep.1: 2"


@pytest.mark.parametrize("body", [{}, {"a": None}, {"title": "", "b": {"c": []}}, {"title": "  "}, "  "])
def test_a_body_without_any_text_is_refused(body: object) -> None:
    with pytest.raises(InvalidRequest):
        read("generic", body)


@pytest.mark.parametrize(
    ("sent", "title", "status"),
    [
        ("[FIRING:2] HighLoad", "HighLoad", Status.FIRING),
        ("[Resolved] HighLoad", "HighLoad", Status.RESOLVED),
        ("[Triggered on {host:a}] HighLoad", "HighLoad", Status.FIRING),
        ("OK: HighLoad", "HighLoad", Status.RESOLVED),
        ("RECOVERY: HighLoad", "HighLoad", Status.RESOLVED),
        ("[api] HighLoad", "[api] HighLoad", Status.FIRING),
        ("[P1] HighLoad", "[P1] HighLoad", Status.FIRING),
    ],
)
def test_a_state_in_front_of_a_title_is_taken_off(sent: str, title: str, status: Status) -> None:
    alert = generic(title=sent)
    assert (alert.title, alert.status) == (title, status)


def test_wrapped_alerts_are_unwrapped() -> None:
    assert generic(alert={"title": "Disk full", "severity": "P1", "id": "a-1"}).source_id == "a-1"
    assert generic(data={"alert": {"name": "Disk full"}}).title == "Disk full"
    assert generic(payload={"summary": "Disk full", "severity": "error"}).severity is Severity.HIGH
    assert generic(alerts=[{"labels": {"alertname": "DiskFull"}, "status": "resolved"}]).title == "DiskFull"


def test_what_stands_outside_wins_over_what_is_wrapped() -> None:
    alert = generic(severity="low", alert={"severity": "critical", "title": "inner"}, title="outer")
    assert (alert.title, alert.severity) == ("outer", Severity.LOW)


def test_labels_and_annotations_tell_what_the_body_doesnt() -> None:
    alert = generic(
        status="firing",
        labels={"alertname": "PodCrashLooping", "severity": "warning", "pod": "api-1", "name": "not a title"},
        annotations={"summary": "api-1 restarts", "description": "5 times in 10 minutes"},
    )
    assert (alert.title, alert.severity, alert.resource) == ("PodCrashLooping", Severity.MEDIUM, "api-1")
    assert alert.message == "api-1 restarts\n5 times in 10 minutes"


def test_a_label_called_name_doesnt_name_the_alert() -> None:
    assert generic(message="Disk full", labels={"name": "web-1"}).title == "Disk full"


def test_a_fingerprint_names_the_alarm_and_not_the_event() -> None:
    alert = generic(title="x", fingerprint="f1", timestamp="2026-03-01T10:00:00Z")
    assert (alert.source_id, alert.event_id) == ("f1", "")


def test_an_event_and_its_end_are_two_events() -> None:
    assert generic(title="x", event_id="e1").event_id == generic(title="x", event_id="e1", status="firing").event_id
    assert generic(title="x", event_id="e1").event_id != generic(title="x", event_id="e1", status="ok").event_id


def test_a_bare_id_names_an_event_only_together_with_its_time() -> None:
    first = generic(title="x", id="disk-full", time="2026-03-01T10:00:00Z").event_id
    again = generic(title="x", id="disk-full", time="2026-03-01T10:00:00Z").event_id
    later = generic(title="x", id="disk-full", time="2026-03-01T11:00:00Z").event_id
    assert first == again != later
    assert generic(title="x", id="disk-full").event_id == ""
    assert generic(title="x", id="disk-full", started_at="2026-03-01T10:00:00Z").event_id == ""


@pytest.mark.parametrize("name", ["id", "uuid", "guid", "Guid"])
@pytest.mark.parametrize(
    ("said", "minted"),
    [
        *[("0c4a0b1e-6d2f-4f55-9d6a-55e1f6a1d0aa", True), ("01ARZ3NDEKTSV4RRFFQ69G5FAV", True)],
        *[("bb78c1407cea4519aa397afc059c793d", True), ("9f86d081884c7d65", True), ("01BZYIL05THJDFF2Y08X9SVMTU", True)],
        *[("prod-db-01-disk-full", False), ("checkout latency p99 above 2 s", False), ("1234567890123456", False)],
        *[(42, False), ("value-1", False), ("9f86d081", False), ("arn:aws:sns:eu-west-1:123456789012:a", False)],
    ],
)
def test_only_what_is_minted_names_an_event_alone(name: str, said: object, minted: bool) -> None:
    assert generic(**{"title": "x", name: said}).event_id == (f"{said}/firing" if minted else "")


def test_an_id_in_words_names_the_alarm() -> None:
    assert generic(title="x", id="prod-db-01-disk-full").source_id == "prod-db-01-disk-full"
    assert generic(title="x", id="prod-db-01-disk-full", fingerprint="f1").source_id == "f1"
    for said in (42, "42", "evt-17", "0c4a0b1e-6d2f-4f55-9d6a-55e1f6a1d0aa", "a-b" * 100_000):
        assert generic(title="x", id=said).source_id == ""


@pytest.mark.parametrize("name", ["timestamp", "ts", "time", "@timestamp", "eventTime", "datetime", "date"])
def test_the_events_own_time_is_its_own_wherever_it_stands(name: str) -> None:
    said = "2026-03-01T10:00:00Z"
    for body in ({name: said}, {"alert": {name: said}}, {name: said, "startsAt": "2026-03-01T09:00:00Z"}):
        alert = generic(title="x", **body)
        assert (alert.timestamp, alert.own_time) == (TEN, TEN)


@pytest.mark.parametrize("name", ["startsAt", "started_at", "created_at", "opened_at", "updatedAt"])
def test_a_begin_is_shown_and_is_not_the_events_own_time(name: str) -> None:
    for body in ({name: "2026-03-01T10:00:00Z"}, {name: "2026-03-01T10:00:00Z", "time": "soon"}):
        alert = generic(title="x", **body)
        assert (alert.timestamp, alert.own_time) == (TEN, None)
    ended = generic(title="x", status="ok", ended_at="2026-03-01T10:00:00Z")
    assert (ended.timestamp, ended.own_time) == (TEN, None)


def test_without_a_severity_the_words_decide() -> None:
    assert generic(title="Checkout is down").severity is Severity.CRITICAL
    assert generic(title="Checkout", message="latency above 2 s").severity is Severity.MEDIUM
    assert generic(title="[P2] Checkout").severity is Severity.HIGH
    assert generic(title="Hello").severity is Severity.MEDIUM
    assert generic(title="Disk full", environment="staging").severity is Severity.LOW
    assert generic(title="x", status="CRITICAL").severity is Severity.CRITICAL


def test_the_users_rules_come_before_the_shipped_ones() -> None:
    rules = (SeverityRule(pattern=r"checkout", severity=Severity.LOW),)
    assert read("generic", {"title": "Checkout is down"}, Reading(severities=rules)).severity is Severity.LOW


def test_the_users_mapping_comes_before_all_names() -> None:
    fields = {
        "title": ("problem.displayName", "nothing.here"),
        "message": ("problem.notes.0",),
        "severity": ("rank",),
        "status": ("problem.phase",),
        "source_id": ("problem.ref",),
        "timestamp": ("problem.seen",),
        "links": ("problem.page",),
        "labels.squad": ("custom.squad",),
    }
    body = {
        "title": "not me",
        "message": "nor me",
        "rank": "P1",
        "problem": {
            "displayName": "Disk full",
            "notes": ["on web-1"],
            "phase": "closed",
            "ref": 77,
            "seen": 1772359200,
            "page": "https://a.example",
        },
        "custom": {"squad": "storage"},
        "labels": {"squad": "x", "tier": "1"},
    }
    alert = read("generic", body, Reading(fields=fields))
    assert (alert.title, alert.message, alert.severity) == ("Disk full", "on web-1", Severity.CRITICAL)
    assert (alert.status, alert.source_id, alert.timestamp) == (Status.RESOLVED, "77", TEN)
    assert alert.labels == {"squad": "storage", "tier": "1"}
    assert [link.url for link in alert.links] == ["https://a.example"]


def test_a_text_is_an_alert_whose_first_line_is_the_title() -> None:
    alert = read("generic", "x" * 300 + "\nmore")
    assert len(alert.title) == 200
    assert alert.message == "x" * 300 + "\nmore"
