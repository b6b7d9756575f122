"""What browsers are told."""

from __future__ import annotations

import pytest

from mcp_responder.entrypoints.web.headers import security_headers, with_cors
from tests.web.conftest import Stage
from tests.web.house import ORIGIN, UNKNOWN, Answer, Client, House

SECURITY = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def assert_secure(answer: Answer) -> None:
    for name, value in SECURITY.items():
        assert answer.headers.getlist(name) == [value]


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("GET", "/healthz", "", 200),
        ("GET", "/v1/alerts", "all", 200),
        ("GET", "/v1/alerts", "", 401),
        ("GET", "/nothing", "", 404),
        ("PUT", "/healthz", "", 405),
        ("GET", "/v1/incidents/I-1", "all", 500),
        ("OPTIONS", "/healthz", "", 405),
    ],
)
def test_every_answer_has_the_security_headers(
    client: Client, house: House, method: str, path: str, key: str, status: int
) -> None:
    house.breaks(UNKNOWN)
    answer = client.ask(method, path, key=key)
    assert answer.status == status
    assert_secure(answer)
    assert "strict-transport-security" not in answer.headers


def test_a_preflight_has_them_too(client: Client) -> None:
    asked = {"origin": ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    answer = client.ask("OPTIONS", "/v1/alerts", key="", headers=asked)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert_secure(answer)


def test_a_page_of_a_configured_origin_may_read_answers_and_errors(client: Client) -> None:
    for key in ("all", ""):
        answer = client.get("/v1/alerts", key=key, headers={"origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in answer.headers
        assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_a_page_of_another_origin_may_not(client: Client) -> None:
    answer = client.get("/v1/alerts", headers={"origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in answer.headers


def test_without_origins_there_is_nothing_around_the_door() -> None:
    async def door(*_: object) -> None:
        """Never asked."""

    assert with_cors(door, ()) is door


@pytest.mark.parametrize("settings", [{"behind_proxy": True}, {"tls_certificate": "a.pem", "tls_key": "b.pem"}])
def test_browsers_are_held_to_https_where_there_is_any(
    client: Client, stage: Stage, settings: dict[str, object]
) -> None:
    stage.app = House(**settings).door
    assert client.get("/healthz").headers["strict-transport-security"] == "max-age=31536000"


def test_raw_headers_are_for_anybody_to_append() -> None:
    assert {name.decode() for name, _ in security_headers(https=False)} == set(SECURITY)
    assert len(security_headers(https=True)) == len(SECURITY) + 1
