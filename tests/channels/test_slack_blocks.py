"""Whatever an alert says: valid blocks by slack_sdk's rules and by Slack's documents, and no markup of its own."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mcp_responder.channels._slack_blocks import Rendered, plain, render, replies
from mcp_responder.channels._slack_text import code, code_block, escaped, from_slack, line, link, words
from mcp_responder.model.incident import Event
from mcp_responder.model.message import Message

from .messages import NOW, a_message, a_message_of, an_analysis, an_incident
from .slack_server import fault_of

SPECIAL = re.compile(r"<(?!(!date\^\d+\^\{date_short_pretty\} \{time\}\|)|https?://[^<>| ]+\|[^<>]*>)")
"""A control sequence that is neither a time of ours nor a link that shows its name."""
OF_HEADERS = ("🔴", "👀", "✅")
"""Headers are no markup, but their text is escaped like it."""
NASTY = st.text(st.one_of(st.characters(), st.sampled_from("<>&`*_~|!@#:\\\n\u202e")), max_size=4000)


def body_of(rendered: Rendered) -> dict[str, object]:
    """Raises what slack_sdk raises for blocks that aren't valid."""
    return {
        "text": rendered.text,
        "blocks": [block.to_dict() for block in rendered.blocks],
        "attachments": [attachment.to_dict() for attachment in rendered.attachments],
    }


def markup_in(value: object) -> list[str]:
    """Every text that Slack reads for markup, its header too."""
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for inner in value.values() for text in markup_in(inner)]
    return [text for inner in value for text in markup_in(inner)] if isinstance(value, list) else []


def check(message: Message) -> None:
    rendered = render(message, NOW, buttons=True)
    body = body_of(rendered)
    assert fault_of(body) == ""
    for text in (*markup_in(body), plain(message)):
        assert not SPECIAL.search(text), text
        assert text.startswith(OF_HEADERS) or text.count("```") % 2 == 0
    reply = replies(message, 0)
    assert reply is None or (len(reply.text) < 4000 and not SPECIAL.search(reply.text))


@settings(max_examples=150, deadline=None)
@given(text=NASTY, event=st.sampled_from([Event.OPENED, Event.ESCALATED, Event.ACKNOWLEDGED, Event.RESOLVED]))
def test_any_text_makes_a_valid_message(text: str, event: Event) -> None:
    check(replace(a_message_of(text), event=event))


@pytest.mark.parametrize(
    "text", ["&" * 50_000, "`" * 50_000, "<!channel>" * 5000, "\n" * 50_000, "```\n" * 9000, "決" * 50_000]
)
@pytest.mark.parametrize("repeat", [1, 500])
def test_the_longest_texts_and_lists_make_a_valid_message(text: str, repeat: int) -> None:
    check(a_message_of(text, repeat=repeat))


def test_the_worst_alert_still_says_what_to_do() -> None:
    message = a_message(
        analysis=replace(an_analysis("&" * 10_000), remediation=an_analysis().remediation * 50),
        incident=an_incident(title="&" * 10_000),
    )
    check(message)
    assert "deployctl rollback payments" in json.dumps(body_of(render(message, NOW, buttons=True)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> <@U1> <https://evil.example|ok>", "&lt;!channel&gt; &lt;@U1&gt; &lt;https://evil.example|ok&gt;"),
        ("a & b < c", "a &amp; b &lt; c"),
        ("*bold* _it_ ~gone~", "\u2217bold\u2217 \uff3fit\uff3f \u223cgone\u223c"),
        ("SELECT * FROM db_primary_eu * 2", "SELECT * FROM db_primary_eu * 2"),
        ("use `pg_locks` now", "use `pg_locks` now"),
        ("an odd ` tick", "an odd ' tick"),
        ("```all of it", "'''all of it"),
        ("two\nlines\x1b[31m", "two lines\\x1b[31m"),
    ],
)
def test_running_text_is_shown_as_it_is(text: str, shown: str) -> None:
    assert words(text, 200) == shown


def test_a_command_can_be_copied() -> None:
    assert code_block("for i in `ls`; do\n  echo *_$i\ndone", 200) == "```\nfor i in `ls`; do\n  echo *_$i\ndone\n```"
    assert code_block("a```b", 200) == "```\na'''b\n```"
    assert code_block("", 200) == ""
    assert code("pool`s <1>", 200) == "`pool's &lt;1&gt;`"


def test_a_link_leads_where_it_says() -> None:
    assert link("Run|book <1>", "https://wiki.example/a|b?x=1&y=<2>") == (
        "<https://wiki.example/a%7Cb?x=1&amp;y=%3C2%3E|Run¦book &lt;1&gt;>"
    )
    for address in (
        "javascript:alert(1)",
        "slack://channel",
        "",
        "https://e.example/" + "x" * 3000,
        "https://a\u202eb",
    ):
        assert link("Runbook", address) == "Runbook"


@settings(deadline=None)
@given(text=NASTY, limit=st.integers(10, 300))
def test_nothing_is_longer_than_its_limit(text: str, limit: int) -> None:
    for function in (escaped, line, words, code, code_block):
        assert len(function(text, limit)) <= limit
    assert words(text, limit).count("`") % 2 == 0


def test_what_people_write_is_read_without_slacks_markup() -> None:
    text = "see <https://wiki.example/a?b=1&amp;c=2|the page> &amp; &lt;this&gt; &amp;lt;"
    assert from_slack(text) == "see https://wiki.example/a?b=1&c=2 & <this> &lt;"
