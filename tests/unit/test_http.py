"""Addresses taken apart."""

from __future__ import annotations

import pytest

from mcp_responder.plumbing.http import address_of


@pytest.mark.parametrize(
    ("url", "place", "target"),
    [
        ("http://ops.example.com", "ops.example.com:80", "/"),
        ("https://OPS.example.com/a b?c=d#e", "ops.example.com:443", "/a%20b?c=d"),
        ("https://ann:pw@ops.example.com:8443/x", "ops.example.com:8443", "/x"),
        ("http://[::1]:9/x", "[::1]:9", "/x"),
    ],
)
def test_an_address_has_a_place_and_a_target(url: str, place: str, target: str) -> None:
    address = address_of(url)
    assert (address.place, address.target) == (place, target)


def test_user_and_password_become_basic_authorization() -> None:
    assert address_of("http://ann:p%3Aw@h/").authorization == "Basic YW5uOnA6dw=="
    assert address_of("http://h/").authorization == ""


def test_only_the_place_is_shown() -> None:
    assert repr(address_of("http://ann:pw@h/T0K3N")) == "h:80"


@pytest.mark.parametrize(
    "url", ["", "h", "//h/x", "ftp://h/T0K3N", "http:///T0K3N", "http://h:99999/T0K3N", "http://[x"]
)
def test_what_is_no_http_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="the address") as caught:
        address_of(url)
    assert "T0K3N" not in str(caught.value)
