"""Incidents, and what people do about them."""

from __future__ import annotations

import pytest

from mcp_responder.model.alert import Severity
from tests.web.house import BODY_LIMIT, Client, House


def test_an_incident_is_shown_with_everything_around_it(client: Client, house: House) -> None:
    incident_id = house.opens(title="Disk full")
    incident = client.get(f"/v1/incidents/{incident_id}").json
    assert (incident["id"], incident["status"], incident["analysis"]) == (incident_id, "open", None)
    assert [alert["title"] for alert in incident["alerts"]] == ["Disk full"]
    assert [entry["event"] for entry in incident["timeline"]] == ["opened"]
    assert incident["deliveries"] == []


def test_incidents_are_listed_and_narrowed(client: Client, house: House) -> None:
    low = house.opens(title="one", severity=Severity.LOW)
    high = house.opens(title="two", severity=Severity.HIGH)
    assert [incident["id"] for incident in client.items("/v1/incidents")] == [high, low]
    assert [incident["id"] for incident in client.items("/v1/incidents?severity=LOW")] == [low]
    client.post(f"/v1/incidents/{low}/acknowledge")
    assert [incident["id"] for incident in client.items("/v1/incidents?status=acknowledged")] == [low]


def test_a_way_through_all_states(client: Client, house: House) -> None:
    at = f"/v1/incidents/{house.opens()}"
    assert client.post(f"{at}/acknowledge").json["status"] == "acknowledged"
    assert client.post(f"{at}/resolve", {}).json["status"] == "resolved"
    assert client.post(f"{at}/reopen", {"by": "ann"}).json["status"] == "open"
    commented = client.post(f"{at}/comment", {"text": "on it"}).json
    assert commented["timeline"][-1]["text"] == "on it"
    assert [entry["event"] for entry in commented["timeline"]][1:] == [
        "acknowledged",
        "resolved",
        "reopened",
        "commented",
    ]


def test_an_incident_is_silenced_for_some_minutes(client: Client, house: House) -> None:
    at = f"/v1/incidents/{house.opens()}"
    silenced = client.post(f"{at}/silence", {"minutes": 30, "by": "ann"}).json
    assert silenced["silenced_by"] == "ann (key 'all')"
    assert silenced["silenced_until"] == client.get(at).json["silenced_until"]
    assert silenced["timeline"][-1]["event"] == "silenced"
    for minutes in (0, 10_081, "many", None):
        problem = client.post(f"{at}/silence", {"minutes": minutes}).problem(422, "invalid_body")
        assert "'minutes'" in problem["detail"]
    client.post(f"{at}/resolve")
    client.post(f"{at}/silence", {"minutes": 30}).problem(409, "illegal_change")


@pytest.mark.parametrize("body", [None, b"", b"  ", b"null", b"{}", b'{"by":""}'])
def test_a_verb_needs_no_body(client: Client, house: House, body: bytes | None) -> None:
    answer = client.post(f"/v1/incidents/{house.opens()}/acknowledge", body)
    assert answer.status == 200
    assert answer.json["acknowledged_by"] == "all"


def test_the_key_and_the_person_are_kept(client: Client, house: House) -> None:
    answer = client.post(f"/v1/incidents/{house.opens()}/acknowledge", {"by": "ann@laptop"}, key="respond")
    assert answer.json["acknowledged_by"] == "ann@laptop (key 'respond')"


@pytest.mark.parametrize(("first", "second"), [("acknowledge", "acknowledge"), ("resolve", "resolve"), ("", "reopen")])
def test_an_illegal_change_is_refused_with_the_reason(client: Client, house: House, first: str, second: str) -> None:
    at = f"/v1/incidents/{house.opens()}"
    if first:
        assert client.post(f"{at}/{first}").status == 200
    problem = client.post(f"{at}/{second}").problem(409, "illegal_change")
    assert at.rpartition("/")[2] in problem["detail"]


@pytest.mark.parametrize("verb", ["acknowledge", "resolve", "reopen", "comment"])
def test_an_unknown_incident_is_not_found(client: Client, verb: str) -> None:
    client.post(f"/v1/incidents/nothing/{verb}", {"text": "x"} if verb == "comment" else {}).problem(404, "not_found")


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b"", 422, "invalid_body", "'text'"),
        (b"{}", 422, "invalid_body", "'text'"),
        (b'{"text": ""}', 422, "invalid_body", "'text'"),
        (b'{"text": " \\n "}', 422, "invalid_body", "'text'"),
        (b'{"text": 7}', 422, "invalid_body", "'text'"),
        (b'{"text": "x", "txt": 1}', 422, "invalid_body", "'txt'"),
        (b'{"text": "x", "by": "%s"}' % (b"y" * 101), 422, "invalid_body", "100"),
        (b'{"text": "%s"}' % (b"y" * 10_001), 422, "invalid_body", "10000"),
        (b'["text"]', 422, "invalid_body", "object"),
        (b'"text"', 422, "invalid_body", "object"),
        (b"text", 400, "malformed_json", "JSON"),
        (b'{"text": "x"', 400, "malformed_json", "JSON"),
        (b'{"text": "\xff"}', 400, "malformed_json", "JSON"),
        (b'{"text": "\\ud800"}', 400, "malformed_json", "JSON"),
        (b"[" * 5_000, 422, "invalid_body", "object"),
        (b'{"text":' + b"[" * 5_000, 422, "invalid_body", "'text'"),
    ],
)
def test_a_comment_that_cant_be_used_is_told_why(
    client: Client, house: House, body: bytes, status: int, code: str, words: str
) -> None:
    answer = client.post(f"/v1/incidents/{house.opens()}/comment", body)
    assert words in answer.problem(status, code)["detail"]


def test_a_comment_of_the_longest_length_is_kept(client: Client, house: House) -> None:
    text = "ä" * 5_000 + " " + "z" * 4_999
    body = f'{{"text": "{text}"}}'.encode()
    answer = client.post(f"/v1/incidents/{house.opens()}/comment", body)
    assert answer.json["timeline"][-1]["text"] == text


def test_a_body_beyond_the_limit_is_refused(client: Client, house: House) -> None:
    body = b'{"text": "%s"}' % (b" " * BODY_LIMIT)
    problem = client.post(f"/v1/incidents/{house.opens()}/comment", body).problem(413, "too_large")
    assert str(BODY_LIMIT) in problem["detail"]


def test_a_body_of_unknown_length_is_read_no_further_than_the_limit(client: Client, house: House) -> None:
    body = (b"x" * 1000 for _ in range(10 * BODY_LIMIT // 1000))
    client.post(f"/v1/incidents/{house.opens()}/comment", body).problem(413, "too_large")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_another_type_of_body_is_refused(client: Client, house: House, kind: str) -> None:
    answer = client.post(f"/v1/incidents/{house.opens()}/comment", {"text": "x"}, headers={"content-type": kind})
    assert "application/json" in answer.problem(415, "unsupported_type")["detail"]


def test_a_coded_body_is_refused(client: Client, house: House) -> None:
    answer = client.post(f"/v1/incidents/{house.opens()}/comment", {"text": "x"}, headers={"content-encoding": "gzip"})
    answer.problem(415, "unsupported_coding")


@pytest.mark.parametrize("kind", ["application/json", "application/vnd.example+json", "APPLICATION/JSON"])
def test_any_json_type_will_do(client: Client, house: House, kind: str) -> None:
    answer = client.post(f"/v1/incidents/{house.opens()}/comment", {"text": "x"}, headers={"content-type": kind})
    assert answer.status == 200


def test_rights_come_before_the_body(client: Client, house: House) -> None:
    at = f"/v1/incidents/{house.opens()}/comment"
    client.post(at, b"{", key="").problem(401, "missing_key")
    client.post(at, b"{", key="read").problem(403, "missing_scope")
