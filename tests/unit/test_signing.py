"""Signatures and the secrets behind them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_responder.plumbing.secret import Secret, read_secret
from mcp_responder.plumbing.signing import NotAuthentic, sign, signing_key, verify

NOW = 1614265330
KEY = signing_key(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))


def test_the_example_of_the_standard_is_signed_as_there() -> None:
    headers = sign([KEY], "msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.binary(max_size=200), st.text(st.characters(codec="ascii"), min_size=1), st.integers(0, 10**11))
def test_what_was_signed_is_verified(body: bytes, message_id: str, at: int) -> None:
    verify([b"other", KEY], sign([KEY], message_id, at, body), body, at)


@pytest.mark.parametrize("known", ["old", "new"])
def test_while_a_secret_is_rotated_either_side_may_be_behind(known: str) -> None:
    headers = sign([b"new", b"old"], "d-1", NOW, b"body")
    assert headers["webhook-signature"].count("v1,") == 2
    verify([known.encode()], headers, b"body", NOW)
    verify([b"older", known.encode()], sign([known.encode()], "d-1", NOW, b"body"), b"body", NOW)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "d-2"},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": str(NOW - 301)},
        {"webhook-timestamp": str(NOW + 301)},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "-5"},
        {"webhook-timestamp": "١٢٣"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": ""},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,é \ud800".encode(errors="replace").decode()},
        {"webhook-signature": "v2,AAAA v1,AAAA"},
        {"webhook-id": ""},
    ],
    ids=str,
)
def test_anything_else_is_not_authentic(changed: dict[str, str]) -> None:
    with pytest.raises(NotAuthentic):
        verify([KEY], sign([KEY], "d-1", NOW, b"body") | changed, b"body", NOW)


def test_the_tolerance_can_be_set() -> None:
    headers = sign([KEY], "d-1", NOW, b"body")
    verify([KEY], headers, b"body", NOW + 900, tolerance=1000)
    with pytest.raises(NotAuthentic, match="more than 10 s"):
        verify([KEY], headers, b"body", NOW + 11, tolerance=10)


def test_without_keys_or_headers_nothing_is_authentic() -> None:
    with pytest.raises(NotAuthentic):
        verify([], sign([KEY], "d-1", NOW, b"body"), b"body", NOW)
    with pytest.raises(NotAuthentic, match="missing"):
        verify([KEY], {}, b"body", NOW)


def test_a_secret_is_base64_after_its_prefix_or_any_text() -> None:
    assert signing_key(Secret("whsec_a2V5")) == b"key"
    assert signing_key(Secret("whsec_a2V5MQ")) == b"key1"
    assert signing_key(Secret("schlüssel")) == "schlüssel".encode()


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_T0K3N!", "whsec_é"])
def test_a_secret_that_is_none_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="a signing secret") as caught:
        signing_key(Secret(text))
    assert "T0K3N" not in str(caught.value)


class _Settings(msgspec.Struct):
    token: Secret
    many: tuple[Secret, ...] = ()


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret("T0K3N")
    settings = msgspec.convert({"token": "T0K3N", "many": ["T0K3N"]}, _Settings, dec_hook=read_secret)
    assert "T0K3N" not in f"{secret} {secret!r} {secret!s:>10} {[secret]} {settings} {settings!r}"
    assert settings.token.reveal() == "T0K3N"
    assert msgspec.json.encode(settings, enc_hook=str) == b'{"token":"***","many":["***"]}'
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)


def test_secrets_compare_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a")
    assert not Secret("")


def test_only_text_becomes_a_secret() -> None:
    with pytest.raises(msgspec.ValidationError, match="token"):
        msgspec.convert({"token": 7}, _Settings, dec_hook=read_secret)
    with pytest.raises(NotImplementedError):
        read_secret(complex, "1")
