"""What Slack calls back: only what it has signed within five minutes is believed, and most of it isn't for us."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from mcp_responder.channels import Callback, Called, CalledBack, Deed, Services, load_kinds
from mcp_responder.model.errors import InvalidRequest, Unverified
from mcp_responder.plumbing.http import HttpClient

from .messages import NOW
from .server import Reply
from .slack_server import CHANNEL, SIGNING_SECRET, TOKEN, SlackServer, pressed, replied, signed, slack_server

AT = NOW.timestamp()


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with slack_server() as server:
        yield server


def a_channel(slack: SlackServer, signing_secret: str = SIGNING_SECRET) -> CalledBack:
    kind = load_kinds()["slack"]
    table = {"token": TOKEN, "channel": CHANNEL, "base_url": f"{slack.url}/api", "signing_secret": signing_secret}
    services = Services(http=HttpClient(), clock=lambda: NOW, stdout=io.StringIO())
    built = kind.build("slack", kind.read(table), services)
    assert isinstance(built, CalledBack)
    return built


@pytest.fixture
def channel(slack: SlackServer) -> CalledBack:
    return a_channel(slack)


def call(channel: CalledBack, what: Any, body: bytes, headers: dict[str, str] | None = None) -> Called:
    return channel.called(Callback(what=what, headers=signed(body, AT) if headers is None else headers, body=body))


def test_a_press_is_a_deed_of_the_one_who_pressed(channel: CalledBack) -> None:
    heard = call(channel, "actions", pressed("acknowledge", "INC-7", response_url="https://hooks.example/r"))
    assert heard.deed == Deed(verb="acknowledge", who="slack: Ada Lovelace", incident_id="INC-7")
    assert (heard.call_id, heard.answer_to) == ("t1", "https://hooks.example/r")


@pytest.mark.parametrize("word", ["missing_scope", "ratelimited", "user_not_found"])
def test_where_slack_names_nobody_the_short_name_does(slack: SlackServer, channel: CalledBack, word: str) -> None:
    slack.next_answers.append(word)
    heard = call(channel, "actions", pressed("resolve", "INC-7"))
    assert heard.deed is not None
    assert heard.deed.who == "slack: ada.l"


def test_people_are_asked_for_once(slack: SlackServer, channel: CalledBack) -> None:
    for _ in range(3):
        call(channel, "actions", pressed("resolve", "INC-7"))
    assert slack.methods() == ["users.info"]


def test_a_slow_slack_does_not_hold_up_the_answer(slack: SlackServer, channel: CalledBack) -> None:
    import time

    slack.next_answers.append(Reply(manner="hang"))
    started = time.monotonic()
    assert call(channel, "actions", pressed("resolve", "INC-7")).deed
    assert time.monotonic() - started < 2.5


def test_a_reply_in_a_thread_is_a_comment(channel: CalledBack) -> None:
    heard = call(channel, "events", replied("17.000018", "it&amp;s <https://g.example/1|the deploy>"))
    assert heard.call_id == "Ev1"
    assert heard.deed == Deed(
        verb="comment",
        who="slack: Ada Lovelace",
        reference=f"{CHANNEL}:17.000018",
        text="it&s https://g.example/1",
    )


@pytest.mark.parametrize(
    "event",
    [
        {"bot_id": "B1"},
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"subtype": "channel_join"},
        {"thread_ts": "99.000001"},
        {"thread_ts": None},
        {"user": None},
        {"text": ""},
        {"type": "reaction_added"},
    ],
)
def test_what_is_no_reply_of_a_person_is_left_alone(channel: CalledBack, event: dict[str, Any]) -> None:
    assert call(channel, "events", replied("17.000018", "hello", **event)) == Called()


def test_an_attached_file_is_named(channel: CalledBack) -> None:
    body = replied("17.1", "graph", subtype="file_share", files=[{"name": "pool.png"}, "odd"])
    deed = call(channel, "events", body).deed
    assert deed is not None
    assert deed.text == "graph\n(pool.png)"


def test_the_challenge_is_answered(channel: CalledBack) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a", "token": "x"}).encode()
    assert call(channel, "events", body) == Called(reply="3eZbrw1a")


BODY = pressed("resolve", "INC-7")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, {}),
        (BODY, signed(BODY, AT, "another secret")),
        (BODY, signed(BODY, AT - 301)),
        (BODY, signed(BODY, AT + 301)),
        (BODY + b" ", signed(BODY, AT)),
        (BODY, {**signed(BODY, AT), "x-slack-request-timestamp": str(int(AT) + 1)}),
        (BODY, {**signed(BODY, AT), "x-slack-request-timestamp": "soon"}),
        (BODY, {**signed(BODY, AT), "x-slack-request-timestamp": "9" * 5000}),
        (BODY, {**signed(BODY, AT), "x-slack-signature": "v0=é"}),
        (BODY, {**signed(BODY, AT), "x-slack-signature": ""}),
        (b"\xff\xfe", signed(b"\xff\xfe", AT)),
    ],
)
def test_what_is_not_signed_is_refused(slack: SlackServer, channel: CalledBack, body: bytes, headers: Any) -> None:
    with pytest.raises(Unverified) as caught:
        call(channel, "actions", body, headers)
    assert (caught.value.status, caught.value.code) == (403, "wrong_signature")
    assert SIGNING_SECRET not in str(caught.value)
    assert not slack.asked


def test_without_a_secret_nothing_is_believed(slack: SlackServer) -> None:
    with pytest.raises(Unverified, match="signing_secret"):
        call(a_channel(slack, signing_secret=""), "actions", BODY)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"type": "view_submission"},
        {"type": "block_actions", "actions": []},
        {"type": "block_actions", "actions": "odd"},
        {"type": "block_actions", "actions": [{"action_id": "drop_database", "value": "INC-7"}]},
        {"type": "block_actions", "actions": [{"action_id": "resolve", "value": None}]},
        [],
    ],
)
def test_other_actions_do_nothing(channel: CalledBack, payload: object) -> None:
    assert call(channel, "actions", urlencode({"payload": json.dumps(payload)}).encode()) == Called()


@pytest.mark.parametrize("body", [b"", b"payload=", b"payload=%7B", b"nothing"])
def test_a_body_that_is_no_json_is_refused(channel: CalledBack, body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="JSON"):
        call(channel, "actions", body)


def test_words_go_to_the_one_who_pressed_alone(slack: SlackServer, channel: CalledBack) -> None:
    channel.answer(Called(answer_to=f"{slack.url}/response/1"), "INC-7 was already acknowledged by <ann>.")
    [(_, told)] = slack.told
    assert told["response_type"] == "ephemeral"
    assert told["replace_original"] is False
    assert told["text"] == "INC-7 was already acknowledged by &lt;ann&gt;."


@pytest.mark.parametrize("where", ["", "http://127.0.0.1:1/x", "nonsense"])
def test_words_that_do_not_arrive_harm_nobody(channel: CalledBack, where: str) -> None:
    channel.answer(Called(answer_to=where), "words")
