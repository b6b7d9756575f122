"""Text from strangers made fit to show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_responder.plumbing.text import cut, hide, one_line, printable, shown, shown_line, width, wrap

any_text = st.text(st.characters(codec=None), max_size=200)


@given(any_text, st.integers(0, 50))
def test_cut_text_is_never_longer_than_allowed(text: str, limit: int) -> None:
    assert len(cut(text, limit)) <= limit
    assert cut(text, len(text)) == text


def test_what_was_cut_says_so() -> None:
    assert cut("0123456789", 5) == "0123…"


def test_a_letter_keeps_its_accent_or_goes_with_it() -> None:
    assert cut("abce\u0301\u0302defg", 6) == "abc…"


@given(any_text)
def test_printable_text_controls_nothing(text: str) -> None:
    safe = printable(text)
    assert not [c for c in safe if (c < " " and c != "\n") or "\x7f" <= c <= "\x9f" or "\u202a" <= c <= "\u202e"]
    assert printable(safe) == safe
    safe.encode()


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain", "plain"),
        ("Größe 決済 👩‍💻 نص", "Größe 決済 👩‍💻 نص"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\tb", "a    b"),
        ("\x1b[31m\x07", "\\x1b[31m\\x07"),
        ("\x9b\u202e\ufeff\U000e0041", "\\x9b\\u202e\\ufeff\\U000e0041"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_would_control_becomes_visible(text: str, safe: str) -> None:
    assert printable(text) == safe


def test_one_line_is_one_line() -> None:
    assert one_line(" a\n\n b\t\x00c\u2029d ") == "a b \\x00c d"


@given(any_text, st.integers(0, 50))
def test_shown_text_is_printable_and_short(text: str, limit: int) -> None:
    assert len(shown(text, limit)) <= limit
    assert len(shown_line(text, limit)) <= limit
    assert "\n" not in shown_line(text, limit)


def test_endless_text_costs_nothing_to_show() -> None:
    assert len(shown("\x00" * 10_000_000, 100)) == 100


def test_hidden_text_leaves_no_rest_of_a_longer_secret() -> None:
    assert hide("key=abcdef abc", ["abc", "abcdef", ""]) == "key=*** ***"


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("決済", 4), ("e\u0301", 1), ("👩\u200d", 2), ("", 0)])
def test_width_counts_columns(text: str, columns: int) -> None:
    assert width(text) == columns


@given(st.text(max_size=100), st.integers(2, 40))
def test_wrapped_lines_fit_and_lose_nothing(text: str, columns: int) -> None:
    lines = wrap(text, columns)
    assert all(width(line) <= columns for line in lines if "://" not in line)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_words_stay_whole_and_paragraphs_apart() -> None:
    assert wrap("one two three\n\nfour", 8) == ["one two", "three", "four"]


def test_long_words_are_broken_but_addresses_are_not() -> None:
    assert wrap("abcdefgh https://example.com/a/b/c x", 5) == ["abcde", "fgh", "https://example.com/a/b/c", "x"]
