"""Getters that are never surprised."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mcp_responder.plumbing.fields import array, dig, first_line, instant, mapping, number, one_line, text

ODD = [None, True, False, 0, -1, 1.5, float("inf"), float("nan"), 10**400, "", "x", "\x00", [], [None], {}, {"a": []}]


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_a_getter_answers_with_its_type_whatever_it_gets(value: object) -> None:
    assert isinstance(text(value), str)
    assert isinstance(mapping(value), dict)
    assert isinstance(array(value), list)
    assert isinstance(number(value), float | None)
    assert isinstance(instant(value), datetime | None)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (" a ", "a"),
        (5, "5"),
        (1.5, "1.5"),
        (True, ""),
        (None, ""),
        ([], ""),
        ({}, ""),
        (10**400, ""),
        (float("nan"), ""),
    ],
)
def test_text(value: object, words: str) -> None:
    assert text(value) == words


@pytest.mark.parametrize(
    ("path", "found"),
    [("a.b.0.c", 1), ("a.b.1.c", None), ("a.b.x", None), ("x.y", 2), ("x", None), ("", None), ("a.b.0.c.d", None)],
)
def test_dig(path: str, found: object) -> None:
    assert dig({"a": {"b": [{"c": 1}]}, "x.y": 2}, path) == found


@pytest.mark.parametrize("value", ["2026-13-01", "now", "12", 12, 0, -1, 1e300, "1" * 400, "0001-01-01T00:00:00Z", "²"])
def test_an_unreadable_or_impossible_time_is_none(value: object) -> None:
    assert instant(value) is None


def test_a_time_without_an_offset_is_utc() -> None:
    assert instant("2026-03-01T10:00:00.123456789") == datetime(2026, 3, 1, 10, 0, 0, 123456, UTC)


def test_one_line() -> None:
    assert one_line(" a\n\tb\x07 c ", 80) == "a b c"
    assert one_line("x" * 90, 80) == "x" * 79 + "…"
    assert one_line("\x00" * 10, 80) == ""


def test_first_line() -> None:
    assert first_line("\n\n one \r\ntwo") == "one"
