"""Alerts, lists, and the ledger."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest

from mcp_responder.model.alert import Severity, Status
from tests.web.house import Client, House

FIELDS = """
alert_id source source_id title message severity timestamp raw_data signature status service resource environment
account region owner labels links received_at key outcome incident
"""


def titles(client: Client, query: str) -> list[str]:
    return [alert["title"] for alert in client.items(f"/v1/alerts?{query}")]


def test_an_alert_is_shown_by_the_names_of_the_specification(client: Client, house: House) -> None:
    alert_id = house.fires(title="Disk full", severity=Severity.CRITICAL, labels={"team": "a"})
    alert = client.get(f"/v1/alerts/{alert_id}").json
    assert set(alert) == set(FIELDS.split())
    assert (alert["alert_id"], alert["severity"], alert["status"]) == (alert_id, "CRITICAL", "firing")
    assert alert["timestamp"] == alert["received_at"] == "2026-03-01T09:00:00Z"
    assert alert["outcome"] == "in_flight"
    assert alert["incident"] == {"id": house.store.alert(alert_id).incident_id, "status": "open"}


def test_an_alert_without_an_incident_says_so(client: Client, house: House) -> None:
    alert = client.get(f"/v1/alerts/{house.fires(status=Status.INFO)}").json
    assert (alert["incident"], alert["outcome"]) == (None, "suppressed:info")


@pytest.mark.parametrize("name", ["nothing", "%00", "..%2f..%2fetc", "\u00e9", "a" * 2000, "ab%20cd"])
def test_an_unknown_alert_is_not_found(client: Client, name: str) -> None:
    answer = client.get(f"/v1/alerts/{quote(name, safe='%')}")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_why_tells_the_path_of_an_event(client: Client, house: House) -> None:
    why = client.get(f"/v1/alerts/{house.fires()}/why").json
    assert why["outcome"] == "in_flight"
    assert [step["what"] for step in why["path"]][:3] == ["received", "recognised", "correlated"]


def test_a_list_goes_on_from_its_cursor(client: Client, house: House) -> None:
    for number in range(5):
        house.fires(title=f"alarm {number}")
    first = client.get("/v1/alerts?limit=2").json
    second = client.get(f"/v1/alerts?limit=2&cursor={first['next']}").json
    third = client.get(f"/v1/alerts?limit=2&cursor={second['next']}").json
    shown = [alert["title"] for page in (first, second, third) for alert in page["items"]]
    assert shown == [f"alarm {number}" for number in (4, 3, 2, 1, 0)]
    assert third["next"] is None


def test_a_list_is_narrowed_by_its_parameters(client: Client, house: House) -> None:
    house.fires(title="one", severity=Severity.LOW, service="checkout", source="grafana")
    house.fires(title="two", severity=Severity.HIGH, service="search", source="datadog")
    house.fires(title="three", status=Status.INFO, service="search", source="grafana")
    assert titles(client, "severity=LOW") == ["one"]
    assert titles(client, "service=search") == ["three", "two"]
    assert titles(client, "source=grafana") == ["three", "one"]
    assert titles(client, "status=info") == ["three"]
    assert titles(client, "service=search&source=datadog&severity=HIGH&status=firing") == ["two"]


def test_words_are_looked_for_whole_and_in_any_case(client: Client, house: House) -> None:
    house.fires(title="Connection-pool exhausted", service="checkout")
    house.fires(title="Pools are fine", service="search")
    assert titles(client, "q=POOL") == ["Connection-pool exhausted"]
    assert titles(client, "q=connection-pool%20checkout") == ["Connection-pool exhausted"]
    assert titles(client, "q=pool+search") == []
    assert len(titles(client, "q=")) == 2


@pytest.mark.parametrize(
    "since",
    [
        "30m",
        "1800s",
        "2026-03-01T09:30:00Z",
        "2026-03-01T10:30:00%2B01:00",
        "2026-03-01T10:30:00+01:00",
        "2026-03-01T09:30",
    ],
)
def test_times_are_absolute_or_how_long_ago(client: Client, house: House, since: str) -> None:
    house.fires(title="early")
    house.clock.advance(hours=1)
    house.fires(title="late")
    assert titles(client, f"since={since}") == ["late"]
    assert titles(client, f"until={since}") == ["early"]


def test_the_longest_span_is_possible(client: Client, house: House) -> None:
    house.fires(title="any")
    assert titles(client, "since=99999w") == ["any"]


@pytest.mark.parametrize("path", ["/v1/alerts", "/v1/incidents"])
@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ("limit=0", "limit", ">= 1"),
        ("limit=201", "limit", "<= 200"),
        ("limit=many", "limit", "int"),
        ("limit=", "limit", "int"),
        ("limit=99999999999999999999", "limit", "int"),
        ("severity=urgent", "severity", "CRITICAL, HIGH, MEDIUM, LOW"),
        ("severity=null", "severity", "CRITICAL"),
        ("severity=", "severity", "CRITICAL"),
        ("status=broken", "status", "resolved"),
        ("since=yesterday", "since", "ISO 8601"),
        ("since=0001-01-01T00:00:00Z", "since", "ISO 8601"),
        ("until=7", "until", "24h"),
        ("q=%21%3F", "q", "at least one word"),
        ("q=" + "x" * 201, "q", "200"),
        ("severty=HIGH", "severty", "known: limit, cursor, status"),
        ("severity=HIGH&severity=LOW", "severity", "more than once"),
        ("cursor=%21", "cursor", "next"),
    ],
)
def test_a_parameter_that_cant_be_used_is_named_with_what_is_allowed(
    client: Client, path: str, query: str, name: str, words: str
) -> None:
    answer = client.get(f"{path}?{query}")
    problem = answer.problem(422, "bad_cursor" if name == "cursor" else "invalid_parameter")
    assert f"'{name}'" in problem["detail"]
    assert words in problem["detail"]


def test_each_list_has_its_own_statuses(client: Client) -> None:
    assert "firing, resolved, info" in client.get("/v1/alerts?status=open").json["detail"]
    assert "open, acknowledged, resolved" in client.get("/v1/incidents?status=firing").json["detail"]


def test_the_ledger_balances_what_was_received(client: Client, house: House) -> None:
    house.fires()
    house.fires(status=Status.INFO)
    house.clock.advance(hours=3)
    house.fires()
    ledger = client.get("/v1/ledger").json
    assert (ledger["balanced"], ledger["received"], ledger["suppressed"]) == (True, 3, {"info": 1})
    assert client.get("/v1/ledger?since=1h").json["received"] == 1
    client.get("/v1/ledger?since=ever").problem(422, "invalid_parameter")


def test_an_alert_stays_as_it_was_sent(client: Client, house: House) -> None:
    import msgspec

    raw = b'{"b": 1.50, "a": "\\u00e9"}'
    alert_id = house.fires(raw_data=msgspec.Raw(raw))
    assert raw in client.get(f"/v1/alerts/{alert_id}").body


def test_the_answer_is_of_now(client: Client, house: House) -> None:
    house.clock.advance(days=1)
    assert client.items("/v1/alerts?since=1m") == []
    house.sender.fires(ago=timedelta(days=1))
    assert len(client.items("/v1/alerts?since=1m")) == 1
