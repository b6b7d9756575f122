"""API keys over HTTP, from the first to the last."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
import urllib3

from tests.promises import promise
from tests.scenarios.stories import a_service, alarm
from tests.service import KEY, Service, eventually, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("keys")) as service:
        yield service


def make(service: Service, name: str, *scopes: str, **more: object) -> str:
    status, key = service.call("POST", "/v1/keys", {"name": name, "scopes": scopes, **more})
    assert status == 201, key
    return str(key["token"])


def ask(service: Service, key: str, method: str = "POST", path: str = "/v1/alerts") -> tuple[int, str]:
    """The status, and the problem's code."""
    body = alarm(a_service()) if method == "POST" else None
    status, answer = service.call(method, path, body, X_API_Key=key)
    return status, answer.get("code", "")


@promise("keys-open-their-own-doors-only")
def test_a_key_does_what_its_scopes_say_and_nothing_else(service: Service) -> None:
    ingest, read = make(service, "sender", "ingest"), make(service, "reader", "read")
    assert ask(service, ingest) == (202, "")
    assert ask(service, ingest, "GET") == (403, "missing_scope")
    assert ask(service, read) == (403, "missing_scope")
    assert ask(service, read, "GET") == (200, "")
    assert ask(service, ingest, "GET", "/v1/keys") == ask(service, read, "GET", "/v1/keys") == (403, "missing_scope")


def test_an_alert_says_whose_key_brought_it(service: Service) -> None:
    key = make(service, "grafana", "ingest")
    _, answer = service.call("POST", "/v1/alerts", alarm(a_service()), X_API_Key=key)
    assert service.get(f"/v1/alerts/{answer['accepted'][0]['alert_id']}")["key"] == "grafana"


@promise("keys-open-their-own-doors-only")
def test_wrong_missing_and_expired_are_told_apart(service: Service) -> None:
    key = make(service, "brief", "ingest", expires_in="1s")
    assert ask(service, "rsp_nonsense") == (401, "wrong_key")
    assert urllib3.request("POST", f"{service.url}/v1/alerts", body=b"{}").json()["code"] == "missing_key"

    def expired() -> None:
        assert ask(service, key) == (401, "expired_key")

    eventually(expired, 10)


def test_after_a_rotation_two_keys_are_valid_until_the_overlap_ends(service: Service) -> None:
    old = make(service, "rotated", "ingest")
    new = service.call("POST", "/v1/keys/rotated/rotate", {"overlap": "1s"})[1]["token"]
    assert ask(service, new) == (202, "")

    def only_the_new() -> None:
        assert ask(service, old) == (401, "expired_key")

    eventually(only_the_new, 10)
    assert ask(service, new) == (202, "")


def test_during_the_overlap_both_keys_work(service: Service) -> None:
    old = make(service, "overlapping", "ingest")
    new = service.call("POST", "/v1/keys/overlapping/rotate", {"overlap": "1h"})[1]["token"]
    assert old != new
    assert ask(service, old) == ask(service, new) == (202, "")
    states = [key["state"] for key in service.get("/v1/keys")["items"] if key["name"] == "overlapping"]
    assert sorted(states) == ["active", "replaced"]


def test_a_revoked_key_stops_at_once(service: Service) -> None:
    key = make(service, "revoked", "ingest")
    assert ask(service, key) == (202, "")
    assert service.call("DELETE", "/v1/keys/revoked")[0] == 204
    assert ask(service, key) == (401, "wrong_key")


@promise("keys-open-their-own-doors-only")
def test_a_key_is_held_to_its_rate_and_told_when_to_come_back(service: Service) -> None:
    key = make(service, "slow", "ingest", per_minute=3)
    assert [ask(service, key)[0] for _ in range(3)] == [202] * 3
    refused = urllib3.request("POST", f"{service.url}/v1/alerts", json=alarm(a_service()), headers={"X-API-Key": key})
    assert (refused.status, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 20


@pytest.mark.parametrize("kind", ["X-API-Key", "Bearer", "Basic"])
def test_a_key_may_come_in_three_ways(service: Service, kind: str) -> None:
    basic = base64.b64encode(f"sns:{KEY}".encode()).decode()
    headers = {
        "X-API-Key": {"X-API-Key": KEY},
        "Bearer": {"Authorization": f"Bearer {KEY}"},
        "Basic": {"Authorization": f"Basic {basic}"},
    }
    assert urllib3.request("GET", f"{service.url}/v1/alerts", headers=headers[kind]).status == 200


def test_tokens_are_shown_once_and_stored_hashed(service: Service) -> None:
    token = make(service, "hidden", "read")
    assert token not in str(service.get("/v1/keys"))
    files = [file for file in service.folder.rglob("*") if file.is_file()]
    assert [file.name for file in files if token.encode() in file.read_bytes()] == []
