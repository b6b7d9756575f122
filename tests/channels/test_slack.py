"""Slack as an app: one message an incident, edited; threads; doubt; Slack's error words. slack_sdk is real."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from mcp_responder.channels import Services, load_kinds
from mcp_responder.model.errors import Permanent, Transient
from mcp_responder.model.incident import Event, IncidentStatus, TimelineEntry, summary
from mcp_responder.model.message import Digest, Message, Receipt
from mcp_responder.plumbing.http import HttpClient
from mcp_responder.ports import Channel

from .messages import NOW, a_message, an_analysis, an_incident, receipt_of
from .server import Reply
from .slack_server import CHANNEL, SIGNING_SECRET, TOKEN, WEBHOOK, SlackServer, blocks_of, slack_server


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with slack_server() as server:
        yield server


def a_channel(slack: SlackServer, **changes: str) -> Channel:
    kind = load_kinds()["slack"]
    table = {"token": TOKEN, "channel": CHANNEL, "signing_secret": SIGNING_SECRET, "base_url": f"{slack.url}/api"}
    settings = kind.read({**table, "timeout_seconds": 1, **changes})
    return kind.build("slack", settings, Services(http=HttpClient(), clock=lambda: NOW, stdout=io.StringIO()))


@pytest.fixture
def channel(slack: SlackServer) -> Channel:
    return a_channel(slack)


def tell(channel: Channel, message: Message, previous: Receipt | None = None) -> Receipt:
    return receipt_of(message, channel.deliver(message, previous))


def buttons(message: dict[str, Any]) -> list[str]:
    actions = [block for block in blocks_of(message) if block["type"] == "actions"]
    assert all(element["value"] == "INC-7" for block in actions for element in block["elements"])
    return [element["action_id"] for block in actions for element in block["elements"]]


def colours(message: dict[str, Any]) -> set[str]:
    return {attachment["color"] for attachment in message["attachments"]}


# ------------------------------------------------------------------------------------------------ one message, edited


def test_a_page_has_what_a_lock_screen_shows_first(slack: SlackServer, channel: Channel) -> None:
    receipt = tell(channel, a_message())
    message = slack.first()
    assert message["text"] == "CRITICAL payments-api: Connection pool exhausted on db-primary"
    assert receipt.reference == f"{CHANNEL}:{message['ts']}"
    assert blocks_of(message)[0]["type"] == "header"
    assert buttons(message) == ["acknowledge", "resolve", "silence"]
    assert slack.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_the_message_is_edited_from_the_page_to_the_end(slack: SlackServer, channel: Channel) -> None:
    receipt = tell(channel, a_message())
    red = colours(slack.first())
    receipt = tell(channel, a_message(Event.ANALYZED, analysis=an_analysis()), receipt)
    assert "removed the index" in json.dumps(slack.first())
    assert "1 of 2 claims verified" in json.dumps(slack.first())
    taken = replace(an_incident(Event.ACKNOWLEDGED), acknowledged_by="slack: Ada", acknowledged_at=NOW)
    receipt = tell(channel, a_message(Event.ACKNOWLEDGED, incident=taken), receipt)
    assert buttons(slack.first()) == ["resolve", "silence"]
    assert "*slack: Ada*" in json.dumps(slack.first())
    over = replace(an_incident(Event.RESOLVED), resolved_by="cloudwatch_alarm", resolved_at=NOW)
    tell(channel, a_message(Event.RESOLVED, incident=over), receipt)
    assert buttons(slack.first()) == ["reopen"]
    assert colours(slack.first()) != red
    assert slack.first()["text"].startswith("RESOLVED: CRITICAL payments-api")
    assert slack.methods() == ["chat.postMessage", *["chat.update"] * 3]


@pytest.mark.parametrize(
    ("event", "broadcast"),
    [(Event.REPEATED, False), (Event.ESCALATED, True), (Event.REOPENED, True), (Event.REMINDED, True)],
)
def test_news_that_an_edit_hides_is_in_the_thread(
    slack: SlackServer, channel: Channel, event: Event, broadcast: bool
) -> None:
    receipt = tell(channel, a_message())
    news = replace(a_message(Event.REPEATED), event=event, timeline=(TimelineEntry(at=NOW, event=event),), news=2)
    tell(channel, news, receipt)
    [reply] = slack.thread()
    assert reply["thread_ts"] == slack.first()["ts"]
    assert reply["reply_broadcast"] is broadcast
    assert not broadcast or "CRITICAL payments-api" in reply["text"]


def test_escalation_is_told_although_later_news_overtook_it(slack: SlackServer, channel: Channel) -> None:
    receipt = tell(channel, a_message())
    events = (Event.OPENED, Event.ESCALATED, Event.COMMENTED, Event.ANALYZED)
    timeline = tuple(TimelineEntry(at=NOW, event=event, by="grafana") for event in events)
    receipt = tell(channel, a_message(Event.ANALYZED, timeline=timeline, news=3, analysis=an_analysis()), receipt)
    assert ["Escalated" in reply["text"] for reply in slack.thread()] == [True]
    tell(channel, a_message(Event.ACKNOWLEDGED, timeline=timeline, news=4), receipt)
    assert len(slack.thread()) == 1


def test_a_message_that_was_deleted_is_posted_anew(slack: SlackServer, channel: Channel) -> None:
    receipt = tell(channel, a_message())
    slack.messages.clear()
    again = tell(channel, a_message(Event.RESOLVED), receipt)
    assert again.reference == f"{CHANNEL}:{slack.first()['ts']}" != receipt.reference


def test_without_a_signing_secret_there_are_no_buttons(slack: SlackServer) -> None:
    tell(a_channel(slack, signing_secret=""), a_message())
    assert buttons(slack.first()) == []


def test_a_silence_is_shown_and_cannot_be_pressed_again(slack: SlackServer, channel: Channel) -> None:
    silent = replace(an_incident(), silenced_until=NOW + timedelta(hours=1), silenced_by="slack: Ada")
    tell(channel, a_message(incident=silent))
    assert buttons(slack.first()) == ["acknowledge", "resolve"]
    assert "Silenced" in json.dumps(slack.first())


def test_a_storm_is_one_message_that_is_edited(slack: SlackServer, channel: Channel) -> None:
    first = a_message()
    several = tuple(
        replace(summary(first.incident, first.activity), id=f"INC-{number}", service=f"<service> {number}")
        for number in range(40)
    )
    storm = replace(first, digest=Digest(since=NOW, incidents=several), instead="mail couldn't be reached.")
    receipt = tell(channel, storm)
    assert "40 incidents" in slack.first()["text"]
    assert "couldn't be reached" in json.dumps(slack.first())
    assert buttons(slack.first()) == []
    over = tuple(replace(one, status=IncidentStatus.RESOLVED) for one in several)
    tell(channel, replace(storm, digest=Digest(since=NOW, incidents=over), event=Event.REPEATED), receipt)
    assert "40 resolved" in json.dumps(slack.first())
    assert slack.thread() == []


# ------------------------------------------------------------------------------------------------------------- doubt


def test_a_page_that_arrived_without_an_answer_is_found_again(slack: SlackServer, channel: Channel) -> None:
    for number in range(5):
        tell(channel, a_message(incident=replace(an_incident(), incident_id=f"INC-other-{number}")))
    slack.next_answers.append("lost")
    with pytest.raises(Transient) as caught:
        channel.deliver(a_message(), None)
    assert caught.value.doubtful
    ours = [one for one in slack.messages if one["metadata"]["event_payload"]["incident"] == "INC-7"]
    receipt = tell(channel, a_message(Event.ANALYZED, doubtful=True, analysis=an_analysis()))
    assert [one for one in slack.messages if one["metadata"]["event_payload"]["incident"] == "INC-7"] == ours
    assert receipt.reference == f"{CHANNEL}:{ours[0]['ts']}"
    assert ours[0]["edited"]


def test_a_reply_that_arrived_without_an_answer_is_not_said_twice(slack: SlackServer, channel: Channel) -> None:
    receipt = tell(channel, a_message())
    slack.next_answers.extend((Reply(manner="close"), "lost"))
    escalated = a_message(Event.ESCALATED, news=2)
    with pytest.raises(Transient):
        channel.deliver(escalated, receipt)
    slack.next_answers.clear()
    slack.next_answers.append(Reply(200, body=json.dumps({"ok": True}).encode()))
    slack.next_answers.append("lost")
    with pytest.raises(Transient):
        channel.deliver(escalated, receipt)
    assert len(slack.thread()) == 1
    tell(channel, replace(escalated, doubtful=True), receipt)
    assert len(slack.thread()) == 1


@pytest.mark.parametrize("word", ["missing_scope", "channel_not_found", "ratelimited", "internal_error"])
def test_a_page_goes_out_rather_twice_than_never(slack: SlackServer, channel: Channel, word: str) -> None:
    slack.next_answers.append(word)
    tell(channel, a_message(doubtful=True))
    assert "may be a repeat" in slack.first()["text"]


# ------------------------------------------------------------------------------------------------------- error words


@pytest.mark.parametrize(
    "word", ["ratelimited", "internal_error", "service_unavailable", "request_timeout", "fatal_error"]
)
def test_what_passes_is_tried_again(slack: SlackServer, channel: Channel, word: str) -> None:
    slack.next_answers.append(word)
    with pytest.raises(Transient, match=word):
        channel.deliver(a_message(), None)


def test_a_pause_that_slack_asks_for_is_kept(slack: SlackServer, channel: Channel) -> None:
    limited = Reply(429, {"Retry-After": "30"}, b'{"ok": false, "error": "ratelimited"}')
    slack.next_answers.append(limited)
    with pytest.raises(Transient) as caught:
        channel.deliver(a_message(), None)
    assert caught.value.retry_after == 30
    assert len(slack.asked) == 1


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("channel_not_found", "/invite"),
        ("not_in_channel", "/invite"),
        ("is_archived", "unarchive"),
        ("invalid_auth", "xoxb-"),
        ("token_revoked", "install the app again"),
        ("account_inactive", "install"),
        ("something_new", ""),
    ],
)
def test_what_lasts_is_given_up_with_advice(slack: SlackServer, channel: Channel, word: str, advice: str) -> None:
    slack.next_answers.append(word)
    with pytest.raises(Permanent, match=word) as caught:
        channel.deliver(a_message(), None)
    assert advice in str(caught.value)
    assert len(slack.asked) == 1


def test_the_missing_scope_is_named(slack: SlackServer, channel: Channel) -> None:
    body = {"ok": False, "error": "missing_scope", "needed": "chat:write", "provided": "incoming-webhook"}
    slack.next_answers.append(Reply(200, body=json.dumps(body).encode()))
    with pytest.raises(Permanent, match="needed: chat:write"):
        channel.deliver(a_message(), None)


@pytest.mark.parametrize("word", ["msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_attachments"])
def test_what_slack_finds_fault_with_goes_out_as_plain_text(slack: SlackServer, channel: Channel, word: str) -> None:
    slack.next_answers.append(word)
    delivered = channel.deliver(a_message(analysis=an_analysis()), None)
    message = slack.first()
    assert blocks_of(message) == []
    for said in ("CRITICAL payments-api: Connection pool", "INC-7", "removed the index"):
        assert said in message["text"]
    assert word in delivered.detail


def test_if_plain_text_is_refused_too_it_is_given_up(slack: SlackServer, channel: Channel) -> None:
    slack.next_answers.extend(["invalid_blocks", "invalid_blocks"])
    with pytest.raises(Permanent, match="invalid_blocks"):
        channel.deliver(a_message(), None)
    assert len(slack.asked) == 2


@pytest.mark.parametrize(
    "body", [b"", b"<html>log in to the hotel's network</html>", b"[]", b"null", b"7", b"{", b'{"ok": 1, ' * 50_000]
)
def test_an_answer_that_is_not_slacks_is_no_success(slack: SlackServer, channel: Channel, body: bytes) -> None:
    slack.next_answers.append(Reply(200, body=body))
    with pytest.raises(Transient) as caught:
        channel.deliver(a_message(), None)
    assert caught.value.doubtful
    assert len(str(caught.value)) < 400


def test_a_reply_that_slack_forbids_does_not_bury_the_edit(slack: SlackServer, channel: Channel) -> None:
    receipt = tell(channel, a_message())
    slack.next_answers.extend([Reply(200, body=b'{"ok": true}'), "restricted_action"])
    delivered = channel.deliver(a_message(Event.ESCALATED, news=2), receipt)
    assert delivered.reference == receipt.reference
    assert "restricted_action" in delivered.detail


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channel": ""}, "go together"),
        ({"token": "", "signing_secret": ""}, "go together"),
        ({"url": "https://hooks.slack.com/services/x"}, "either"),
        ({"base_url": "slack.com/api"}, "http"),
    ],
)
def test_half_a_configuration_is_refused(slack: SlackServer, changes: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        a_channel(slack, **changes)
    assert TOKEN not in str(caught.value)


# --------------------------------------------------------------------------------------------- as an incoming webhook


def a_webhook(slack: SlackServer) -> Channel:
    return a_channel(slack, token="", channel="", signing_secret="", url=f"{slack.url}{WEBHOOK}")


def test_a_webhook_tells_the_page_the_analysis_and_the_end(slack: SlackServer) -> None:
    channel = a_webhook(slack)
    receipt = tell(channel, a_message())
    for event in (Event.REPEATED, Event.ESCALATED, Event.ACKNOWLEDGED):
        receipt = tell(channel, a_message(event), receipt)
    assert len(slack.posted) == 1
    receipt = tell(channel, a_message(Event.ANALYZED, analysis=an_analysis()), receipt)
    receipt = tell(channel, a_message(Event.ACKNOWLEDGED, analysis=an_analysis()), receipt)
    receipt = tell(channel, a_message(Event.RESOLVED, analysis=an_analysis()), receipt)
    receipt = tell(channel, a_message(Event.RESOLVED, analysis=an_analysis()), receipt)
    assert ["removed the index" in json.dumps(body) for body in slack.posted] == [False, True, False]
    assert slack.posted[2]["text"].startswith("RESOLVED: ")
    assert not [block for body in slack.posted for block in blocks_of(body) if block["type"] == "actions"]
    tell(channel, a_message(Event.REOPENED, analysis=an_analysis()), receipt)
    assert len(slack.posted) == 4


def test_a_webhook_goes_on_in_plain_text_and_explains_what_lasts(slack: SlackServer) -> None:
    channel = a_webhook(slack)
    slack.next_answers.append(Reply(400, body=b"invalid_blocks"))
    assert "invalid_blocks" in channel.deliver(a_message(), None).detail
    assert slack.posted[0].keys() == {"text"}
    slack.next_answers.append(Reply(404, body=b"no_service"))
    with pytest.raises(Permanent, match="make a new one") as caught:
        channel.deliver(a_message(), None)
    assert WEBHOOK.rpartition("/")[2] not in str(caught.value)
