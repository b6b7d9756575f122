"""Whatever an alert says, what Jira gets is a document within its limits."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_responder.channels import _adf as adf
from mcp_responder.channels._jira_report import LONGEST_SUMMARY, LONGEST_TEXT, comment, description, summary, text_field
from mcp_responder.model.incident import Event

from .adf_checker import check, nodes, text_of
from .conformance import HOSTILE
from .messages import NEWS, a_message, a_message_of, an_analysis

SCHEMA = os.environ.get("ADF_SCHEMA", "")
"""Atlassian's own schema: dist/json-schema/v1/full.json of the npm package @atlaskit/adf-schema."""

ANY_TEXT = st.text(st.characters(codec=None), max_size=300)
"""Half surrogates and controls, too."""


def plain(document: adf.Doc) -> dict[str, Any]:
    encoded = msgspec.json.encode(document)
    assert len(encoded) <= LONGEST_TEXT
    decoded: dict[str, Any] = json.loads(encoded)
    check(decoded)
    return decoded


@settings(max_examples=150, deadline=None)
@given(text=ANY_TEXT, times=st.integers(1, 2000), repeat=st.integers(1, 30), event=st.sampled_from(NEWS))
def test_any_text_makes_a_valid_document(text: str, times: int, repeat: int, event: Event) -> None:
    message = msgspec.structs.replace(a_message_of(text * times, repeat=repeat), event=event)
    plain(description(message))
    plain(comment(message, whole=True, notes=[text] * repeat))
    plain(comment(message, whole=False))
    plain(text_field(text * times))
    line = summary(message)
    assert line.strip()
    assert len(line) <= LONGEST_SUMMARY
    assert "\n" not in line
    line.encode()


@given(text=ANY_TEXT, limit=st.integers(1, 50))
def test_a_text_is_never_longer_than_its_limit_nor_empty(text: str, limit: int) -> None:
    for parts in (adf.text(text, limit), adf.lines(text, limit), adf.link(text, "https://example.com/", limit)):
        texts = [part.text for part in parts if isinstance(part, adf.Text)]
        assert all(texts)
        assert sum(map(len, texts)) <= limit


@pytest.mark.parametrize(
    "character", ["\x00", "\x1b", "\x85", "\u202e", "\ud800", "\ufffe", "\uffff", "\ufdd0"], ids=ascii
)
def test_what_jira_refuses_or_hides_is_gone(character: str) -> None:
    said = text_of(plain(description(a_message_of(f"before{character}after"))))
    assert character not in said
    assert "before" in said
    assert "after" in said


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://example.com/a b",
        'https://example.com/"onclick',
        "https://example.com/\u202e",
        "https://",
        "https://example.com/" + "x" * 2000,
        "",
    ],
)
def test_only_a_clean_address_becomes_a_link(url: str) -> None:
    document = plain(adf.doc(adf.paragraph(adf.link("Alarm", url, 100))))
    assert not [node for node in nodes(document) if node.get("marks")]
    assert "Alarm" in text_of(document)


def test_line_ends_stay_where_they_mean_something() -> None:
    document = plain(adf.doc(adf.paragraph(adf.lines("one\r\n\ntwo\n", 100)), adf.code_block("ls\n  -l\n", 100)))
    assert text_of(document) == "one\n\ntwo\nls\n  -l"


def test_markup_of_other_targets_is_text() -> None:
    said = text_of(plain(description(a_message_of("{code} [click](http://evil.example) *bold* <b>x</b> @everyone"))))
    assert "{code} [click](http://evil.example) *bold* <b>x</b> @everyone" in said


def test_an_ordinary_report_is_cut_nowhere() -> None:
    assert "…" not in text_of(plain(description(a_message(Event.ANALYZED, analysis=an_analysis()))))


def test_a_long_report_keeps_all_its_sections() -> None:
    said = text_of(plain(description(a_message_of("words and \U0001f525" * 5000, repeat=100))))
    for section in ("Summary", "Cause", "Impact", "What to do", "What to watch", "Not seen", "Incident INC-7"):
        assert section in said


@pytest.mark.skipif(not SCHEMA, reason="ADF_SCHEMA doesn't name Atlassian's schema")
@pytest.mark.parametrize("text", ["", "words", HOSTILE, "\n\n", "x" * 100_000, "🔥\ud800" * 5000], ids=range(6))
def test_atlassians_own_schema_agrees(text: str) -> None:
    schema = json.loads(Path(SCHEMA).read_text(encoding="utf-8"))
    validator = jsonschema.Draft4Validator(schema)
    message = a_message_of(text, repeat=3) if text != "words" else a_message(Event.ANALYZED, analysis=an_analysis())
    for document in (description(message), comment(message, whole=True), text_field(text)):
        validator.validate(plain(document))
