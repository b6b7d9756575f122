"""Administration: API keys, channels, sources."""

from __future__ import annotations

import json

import pytest

from mcp_responder.model.errors import Permanent, Transient
from tests.web.house import Client, House


def test_a_key_is_made_and_works_at_once(client: Client) -> None:
    answer = client.post("/v1/keys", {"name": "ci", "scopes": ["read", "read"], "expires_in": "90d", "per_minute": 5})
    assert answer.status == 201
    assert answer.headers["cache-control"] == "no-store"
    key = answer.json
    assert (key["name"], key["scopes"], key["expires_at"]) == ("ci", ["read"], "2026-05-30T09:00:00Z")
    assert client.get("/v1/alerts", key=key["token"]).status == 200


def test_a_token_is_told_once_and_stored_as_a_hash(client: Client, house: House) -> None:
    token = client.post("/v1/keys", {"name": "ci", "scopes": ["read"]}).json["token"]
    listed = client.get("/v1/keys")
    assert token not in listed.body.decode()
    assert {key["token"] for key in listed.json["items"]} == {None}
    assert token not in str(house.store.keys())


def test_a_key_without_an_end_works_on(client: Client) -> None:
    assert client.post("/v1/keys", {"name": "ci", "scopes": ["read"]}).json["expires_at"] is None


def test_a_name_is_taken_once(client: Client) -> None:
    client.post("/v1/keys", {"name": "read", "scopes": ["read"]}).problem(409, "key_exists")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"scopes": ["read"]}, "'name'"),
        ({"name": "", "scopes": ["read"]}, "'name'"),
        ({"name": "a\n", "scopes": ["read"]}, "'name'"),
        ({"name": "../a", "scopes": ["read"]}, "'name'"),
        ({"name": "a" * 65, "scopes": ["read"]}, "'name'"),
        ({"name": "a", "scopes": []}, "'scopes'"),
        ({"name": "a", "scopes": ["root"]}, "'scopes[0]' must be one of: ingest, read, respond, admin"),
        ({"name": "a", "scopes": "read"}, "'scopes'"),
        ({"name": "a", "scopes": ["read"], "expires_in": "0d"}, "'expires_in'"),
        ({"name": "a", "scopes": ["read"], "expires_in": "1d\n"}, "'expires_in'"),
        ({"name": "a", "scopes": ["read"], "expires_in": None}, "'expires_in'"),
        ({"name": "a", "scopes": ["read"], "per_minute": -1}, "'per_minute'"),
        ({"name": "a", "scopes": ["read"], "expires": "1d"}, "'expires'"),
    ],
)
def test_a_key_that_cant_be_made_is_told_why(client: Client, body: object, words: str) -> None:
    assert words in client.post("/v1/keys", body).problem(422, "invalid_body")["detail"]


def test_a_rotated_key_and_the_new_one_both_work_for_the_overlap(client: Client, house: House) -> None:
    new = client.post("/v1/keys/read/rotate").json["token"]
    assert client.get("/v1/alerts", key="read").status == client.get("/v1/alerts", key=new).status == 200
    house.clock.advance(hours=24)
    client.get("/v1/alerts", key="read").problem(401, "expired_key")
    assert client.get("/v1/alerts", key=new).status == 200


def test_a_key_can_be_replaced_at_once(client: Client) -> None:
    assert client.post("/v1/keys/read/rotate", {"overlap": "0s"}).status == 200
    client.get("/v1/alerts", key="read").problem(401, "expired_key")


def test_a_revoked_key_is_wrong_at_once(client: Client) -> None:
    answer = client.ask("DELETE", "/v1/keys/read")
    assert (answer.status, answer.body) == (204, b"")
    client.get("/v1/alerts", key="read").problem(401, "wrong_key")
    client.ask("DELETE", "/v1/keys/read").problem(404, "not_found")
    client.post("/v1/keys/read/rotate").problem(404, "not_found")


def test_a_key_that_is_used_too_often_waits(client: Client, house: House) -> None:
    token = client.post("/v1/keys", {"name": "slow", "scopes": ["read"], "per_minute": 1}).json["token"]
    assert client.get("/v1/alerts", key=token).status == 200
    answer = client.get("/v1/alerts", key=token)
    answer.problem(429, "rate_limited")
    assert answer.headers["retry-after"] == "60"


def test_only_admins_administer(client: Client) -> None:
    for key in ("ingest", "read", "respond"):
        client.get("/v1/keys", key=key).problem(403, "missing_scope")
        client.post("/v1/keys", {"name": "x", "scopes": ["admin"]}, key=key).problem(403, "missing_scope")
        client.post("/v1/channels/ops/test", key=key).problem(403, "missing_scope")


def test_channels_are_shown_without_their_secrets(client: Client) -> None:
    expected = {"name": "ops", "kind": "webhook", "title": "Webhook", "longest_text": 4000, "updates": True}
    assert client.items("/v1/channels") == [expected]
    assert client.get("/v1/channels/ops").json == expected
    client.get("/v1/channels/other").problem(404, "not_found")


def test_a_test_message_says_that_it_is_one(client: Client, house: House) -> None:
    answer = client.post("/v1/channels/ops/test").json
    assert answer == {
        "ok": True,
        "detail": "Delivered.",
        "reference": "ref-1",
        "url": "https://chat.example.com/1",
        "again": False,
    }
    [message] = house.channel.told
    assert message.incident.title.startswith("TEST")
    assert message.incident.severity == "LOW"


@pytest.mark.parametrize(("error", "again"), [(Transient("answered 503"), True), (Permanent("answered 404"), False)])
def test_a_test_message_that_fails_says_what_came_back(
    client: Client, house: House, error: Exception, again: bool
) -> None:
    house.channel.fails_with = error
    answer = client.post("/v1/channels/ops/test")
    assert answer.status == 200
    assert (answer.json["ok"], answer.json["detail"], answer.json["again"]) == (False, str(error), again)


def test_a_test_of_no_channel_is_not_found(client: Client) -> None:
    client.post("/v1/channels/other/test").problem(404, "not_found")


def test_sources_are_shown_with_their_guides(client: Client) -> None:
    assert [source["name"] for source in client.items("/v1/sources")] == ["grafana", "syslog"]
    source = client.get("/v1/sources/syslog").json
    assert (source["path"], source["content_types"]) == ("/v1/sources/syslog", ["text/plain"])
    assert source["guide"] == "syslog: point its webhook here.\n\nThen test it."
    client.get("/v1/sources/other").problem(404, "not_found")


def test_no_answer_of_an_admin_shows_a_hash(client: Client, house: House) -> None:
    hashes = [key.hash for key in house.store.keys()]
    body = json.dumps(client.items("/v1/keys"))
    assert not any(one in body for one in hashes)
