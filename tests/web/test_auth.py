"""Who is let in, and what the others are told."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from mcp_responder.entrypoints.web.auth import Authenticator, token_of
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.operations import SCOPES
from mcp_responder.plumbing.secret import Secret
from tests.web.house import MASTER, House

RawHeaders = list[tuple[bytes, bytes]]


def with_key(token: str) -> RawHeaders:
    return [(b"host", b"here"), (b"x-api-key", token.encode())]


def basic(user: str, password: str) -> RawHeaders:
    return [(b"authorization", b"Basic " + base64.b64encode(f"{user}:{password}".encode()))]


def refused(house: House, headers: RawHeaders, scope: str = "read") -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        house.authenticator.authenticate(headers, scope)
    return caught.value


@pytest.mark.parametrize(
    "headers",
    [
        with_key("secret:token"),
        [(b"authorization", b"Bearer secret:token")],
        [(b"authorization", b"bearer  secret:token")],
        basic("", "secret:token"),
        basic("anybody", "secret:token"),
        [(b"authorization", b"Bearer another"), (b"x-api-key", b"secret:token")],
        [(b"x-api-key", b""), (b"authorization", b"Bearer secret:token")],
    ],
)
def test_a_key_travels_in_any_of_three_headers(headers: RawHeaders) -> None:
    assert token_of(headers) == b"secret:token"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        with_key(""),
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Basic %%%")],
        [(b"authorization", b"Basic QQ")],
        basic("user-only", ""),
        [(b"authorization", b'Digest username="x"')],
    ],
)
def test_no_usable_key_is_told_how_to_send_one(house: House, headers: RawHeaders) -> None:
    error = refused(house, headers)
    assert (error.status, error.code) == (401, "missing_key")
    assert "X-API-Key" in error.detail


@pytest.mark.parametrize("token", ["wrong", "rsp_", "\udcff", "x" * 10_000])
def test_an_unknown_key_is_wrong(house: House, token: str) -> None:
    error = refused(house, [(b"x-api-key", token.encode(errors="surrogateescape"))])
    assert (error.status, error.code) == (401, "wrong_key")
    assert token not in error.detail


def test_the_caller_has_the_name_and_scopes_of_its_key(house: House) -> None:
    caller = house.authenticator.authenticate(with_key(house.tokens["respond"]), "respond")
    assert (caller.name, caller.scopes) == ("respond", ("respond",))


def test_an_expired_key_is_told_apart_from_a_wrong_one(house: House) -> None:
    token = house.key("brief", "read", expires_in=timedelta(hours=1))
    house.authenticator.refresh()
    assert house.authenticator.authenticate(with_key(token), "read").name == "brief"
    house.clock.advance(hours=1)
    error = refused(house, with_key(token))
    assert (error.status, error.code) == (401, "expired_key")
    assert "'brief' expired on 2026-03-01 10:00" in error.detail


def test_two_keys_work_while_one_replaces_the_other(house: House) -> None:
    new = house.operations.rotate_key("read", timedelta(hours=1)).token
    house.authenticator.refresh()
    assert new
    for token in (new, house.tokens["read"]):
        assert house.authenticator.authenticate(with_key(token), "read").name == "read"
    house.clock.advance(hours=2)
    assert house.authenticator.authenticate(with_key(new), "read").name == "read"
    assert "replaced by a newer one" in refused(house, with_key(house.tokens["read"])).detail


def test_a_missing_scope_says_what_is_needed_and_what_there_is(house: House) -> None:
    token = house.key("ci", "ingest", "read")
    house.authenticator.refresh()
    error = refused(house, with_key(token), "admin")
    assert (error.status, error.code) == (403, "missing_scope")
    assert "scope admin" in error.detail
    assert "'ci' has: ingest, read" in error.detail


def test_scopes_are_independent(house: House) -> None:
    for scope in SCOPES:
        for other in SCOPES:
            if other != scope:
                assert refused(house, with_key(house.tokens[scope]), other).code == "missing_scope"


def test_a_key_has_its_rate_and_is_told_how_long_to_wait(house: House) -> None:
    token = house.key("slow", "ingest", per_minute=6)
    house.authenticator.refresh()
    for _ in range(6):
        house.authenticator.authenticate(with_key(token), "ingest")
    error = refused(house, with_key(token), "ingest")
    assert (error.status, error.code, error.retry_after) == (429, "rate_limited", 10)
    house.clock.advance(seconds=4)
    assert refused(house, with_key(token), "ingest").retry_after == pytest.approx(6)
    house.clock.advance(seconds=6)
    house.authenticator.authenticate(with_key(token), "ingest")


def test_an_idle_key_saves_no_more_than_a_minute(house: House) -> None:
    token = house.key("slow", "ingest", per_minute=2)
    house.authenticator.refresh()
    house.clock.advance(days=1)
    for _ in range(2):
        house.authenticator.authenticate(with_key(token), "ingest")
    assert refused(house, with_key(token), "ingest").code == "rate_limited"


def test_a_clock_that_is_set_back_gives_nothing_away_and_locks_nobody_out(house: House) -> None:
    token = house.key("slow", "ingest", per_minute=60)
    house.authenticator.refresh()
    for _ in range(60):
        house.authenticator.authenticate(with_key(token), "ingest")
    house.clock.advance(days=-1)
    assert refused(house, with_key(token), "ingest").code == "rate_limited"
    house.clock.advance(seconds=1)
    house.authenticator.authenticate(with_key(token), "ingest")


def test_a_change_of_other_keys_or_a_rotation_doesnt_refill_an_allowance(house: House) -> None:
    token = house.key("slow", "ingest", per_minute=1)
    house.authenticator.refresh()
    house.authenticator.authenticate(with_key(token), "ingest")
    new = house.operations.rotate_key("slow", timedelta(hours=1)).token
    house.authenticator.refresh()
    assert new
    for one in (token, new):
        assert refused(house, with_key(one), "ingest").code == "rate_limited"


def test_a_key_without_a_limit_is_never_told_to_wait(house: House) -> None:
    for _ in range(1000):
        house.authenticator.authenticate(with_key(house.tokens["read"]), "read")


def test_a_revoked_key_ends_with_the_refresh(house: House) -> None:
    headers = with_key(house.tokens["read"])
    house.authenticator.authenticate(headers, "read")
    house.operations.revoke_key("read")
    house.authenticator.refresh()
    assert refused(house, headers).code == "wrong_key"


def test_the_keys_of_the_environment_and_of_the_command_line_may_do_everything(house: House) -> None:
    for token, name in ((MASTER, "master"), ("token-of-this-start", "local")):
        for scope in SCOPES:
            assert house.authenticator.authenticate(with_key(token), scope).name == name


def test_an_empty_master_key_lets_nobody_in(house: House) -> None:
    authenticator = Authenticator(house.store.keys, house.clock, Secret(""), "")
    with pytest.raises(InvalidRequest, match="Send an API key"):
        authenticator.authenticate(with_key(""), "read")
