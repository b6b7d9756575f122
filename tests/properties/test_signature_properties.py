"""Whatever text comes, a signature is found, and repeats."""

from __future__ import annotations

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from mcp_responder.model.signature import signature, signature_lines, signature_of_line, template
from mcp_responder.plumbing.traces import join_traces, parse_trace

PIECES = [
    *(
        "\n",
        "\n\tat ",
        '\n  File "a.py", line 3, in f',
        "Traceback (most recent call last):\n",
        "\nValueError: x",
        "--->",
    ),
    *("goroutine 3 [running]:\n", "panic: ", "#0 0x1f in f", "Caused by: ", " at ", "x.rb:3:in `f': m (E)", "Jan 3"),
    *("Unhandled exception:\n", "#1 /a.php(3): f()", "thread 'x' panicked at a.rs:1:2:\n", "user ", "for ", "10.0.0.1"),
    *("<*>", "{", "}", "=", '="', "0x", "-", "::", "/", "\\", "\\n", "****", "\x1c", "\udc80", "\u0661\u0662", "\xdf"),
]
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
WORDS = st.sampled_from(["disk", "is", "full", "on", "order", "failed", "with", "code", "after", "waiting", "for"])
NUMBERS = st.from_regex(r"-?[0-9]{1,9}(\.[0-9]{1,3})?", fullmatch=True)


@given(TEXTS, TEXTS)
def test_any_text_has_a_signature_and_it_repeats(title: str, message: str) -> None:
    found = signature(title, message)
    assert re.fullmatch("[0-9a-f]{16}", found)
    assert found == signature(title, message)
    assert isinstance(template(title), str)


@given(TEXTS)
def test_parsing_and_joining_never_raise_nor_lose_a_line(text: str) -> None:
    parse_trace(text)
    lines = text.split("\n")
    assert "\n".join(join_traces(lines)).split("\n") == [line.rstrip("\r") for line in lines]


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_as_many_signatures_as_lines_in_any_order(lines: list[bytes]) -> None:
    found = list(signature_lines(lines))
    assert len(found) == len(lines)
    assert found[::-1] == list(signature_lines(lines[::-1]))


@given(st.lists(WORDS, min_size=1, max_size=6), NUMBERS, st.lists(WORDS, max_size=6), st.randoms(use_true_random=False))
def test_other_digits_in_a_number_are_the_same_error(
    before: list[str], number: str, after: list[str], rng: random.Random
) -> None:
    other = re.sub("[0-9]", lambda _: rng.choice("0123456789"), number)
    lines = [" ".join([*before, text, *after]) for text in (number, other)]
    assert signature_of_line(lines[0]) == signature_of_line(lines[1])


@given(st.text(alphabet="ab0 -.:/=<>*{}\"'@_,#", max_size=60), st.integers(2000, 4000))
def test_a_long_line_is_as_good_as_a_short_one(piece: str, times: int) -> None:
    assert re.fullmatch("[0-9a-f]{16}", signature(piece * (times // (len(piece) + 1))))
