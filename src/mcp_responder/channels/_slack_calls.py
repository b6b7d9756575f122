"""What Slack calls back: buttons that are pressed, and replies in threads. Only what it has signed is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from mcp_responder.channels._http import HttpSender
from mcp_responder.channels._kind import Callback, Called, Deed
from mcp_responder.channels._slack_blocks import BUTTONS
from mcp_responder.channels._slack_client import SlackApi
from mcp_responder.channels._slack_text import from_slack, line
from mcp_responder.model.errors import InvalidRequest, Permanent, ResponderError, Unverified
from mcp_responder.plumbing.fields import array, dig, mapping, text
from mcp_responder.plumbing.secret import Secret
from mcp_responder.plumbing.text import cut, shown_line
from mcp_responder.ports import Clock

NAME_SECONDS = 1.5
"""How long Slack may take to tell a person's name. It wants its own answer within three."""
MOST_NAMES = 1000
LONGEST_NAME = 80
LONGEST_COMMENT = 10_000
PEOPLES = ("", "file_share", "thread_broadcast")
"""Subtypes of messages that a person wrote; the others are edits, joins and the like."""


class Calls:
    """Reads callbacks for one channel. ``names`` asks Slack who somebody is."""

    def __init__(self, channel: str, signing_secret: Secret, clock: Clock, names: SlackApi, sender: HttpSender) -> None:
        self._channel = channel
        self._verifier = _verifier(signing_secret, clock) if signing_secret else None
        self._names = names
        self._sender = sender
        self._known: dict[str, str] = {}

    def read(self, callback: Callback) -> Called:
        """Raises Unverified and InvalidRequest."""
        self._verify(callback)
        return self._pressed(callback) if callback.what == "actions" else self._happened(callback)

    def answer(self, called: Called, words: str) -> None:
        """Words for the one who pressed. They are lost if Slack doesn't take them: nothing hangs on them."""
        body = {"response_type": "ephemeral", "replace_original": False, "text": line(words, 2000)}
        try:
            headers = {"content-type": "application/json"}
            self._sender.send("POST", called.answer_to, msgspec.json.encode(body), headers)
        except ResponderError:
            return

    def _verify(self, callback: Callback) -> None:
        if self._verifier is None:
            words = f"The channel '{self._channel}' has no signing_secret: set it, and nobody else's calls are taken."
            raise Unverified("callbacks_off", words)
        stamp = callback.headers.get("x-slack-request-timestamp")
        signature = callback.headers.get("x-slack-signature")
        try:
            valid = self._verifier.is_valid(callback.body, stamp, signature)
        except (ValueError, TypeError):
            # A time that is no number, a body that isn't UTF-8, a signature that isn't ASCII.
            valid = False
        if not valid:
            words = (
                "The signature isn't Slack's for this body, or is older than five minutes: "
                "check signing_secret and this machine's clock."
            )
            raise Unverified("wrong_signature", words)

    # -------------------------------------------------------------------------------------------------------- buttons

    def _pressed(self, callback: Callback) -> Called:
        payload = _decoded((parse_qs(callback.body.decode()).get("payload") or [""])[0])
        action = mapping(dig(payload, "actions.0"))
        verb, incident_id = text(action.get("action_id")), text(action.get("value"))
        if payload.get("type") != "block_actions" or verb not in BUTTONS or not incident_id:
            return Called()
        who = self._who(mapping(payload.get("user")))
        return Called(
            call_id=text(payload.get("trigger_id")) or callback.headers["x-slack-signature"],
            deed=msgspec.convert({"verb": verb, "who": who, "incident_id": incident_id}, Deed),
            answer_to=text(payload.get("response_url")),
        )

    # --------------------------------------------------------------------------------------------------------- events

    def _happened(self, callback: Callback) -> Called:
        body = _decoded(callback.body)
        if body.get("type") == "url_verification":
            return Called(reply=text(body.get("challenge")))
        event = mapping(body.get("event"))
        if body.get("type") != "event_callback" or not _is_persons_reply(event):
            return Called()
        return Called(
            call_id=text(body.get("event_id")) or callback.headers["x-slack-signature"],
            deed=Deed(
                verb="comment",
                who=self._who({"id": event.get("user")}),
                reference=f"{text(event.get('channel'))}:{text(event.get('thread_ts'))}",
                text=cut(_comment(event), LONGEST_COMMENT),
            ),
        )

    # --------------------------------------------------------------------------------------------------------- people

    def _who(self, user: Mapping[str, Any]) -> str:
        user_id = text(user.get("id"))
        known = self._known[user_id] if user_id in self._known else self._asked(user_id)
        name = known or text(user.get("name")) or user_id or "somebody"
        return f"{self._channel}: {shown_line(name, LONGEST_NAME)}"

    def _asked(self, user_id: str) -> str:
        """The name that a person goes by in the workspace; empty if Slack doesn't say it now."""
        if not user_id:
            return ""
        try:
            user = mapping(self._names.call("users_info", user=user_id).get("user"))
        except Permanent:
            name = ""
        except ResponderError:
            return ""
        else:
            profile = mapping(user.get("profile"))
            name = text(profile.get("display_name")) or text(user.get("real_name")) or text(user.get("name"))
        if len(self._known) >= MOST_NAMES:
            self._known.clear()
        self._known[user_id] = name
        return name


class _OurClock(SignatureClock):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock().timestamp()


def _verifier(secret: Secret, clock: Clock) -> SignatureVerifier:
    return SignatureVerifier(secret.reveal(), _OurClock(clock))


def _decoded(body: str | bytes) -> dict[str, object]:
    try:
        return mapping(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest("malformed_json", f"What Slack sends is JSON; this isn't: {error}.") from error


def _is_persons_reply(event: Mapping[str, Any]) -> bool:
    thread = text(event.get("thread_ts"))
    return (
        event.get("type") == "message"
        and text(event.get("subtype")) in PEOPLES
        and not event.get("bot_id")
        and bool(text(event.get("user")))
        and thread not in ("", text(event.get("ts")))
        and bool(_comment(event))
    )


def _comment(event: Mapping[str, Any]) -> str:
    """What was written, and what was only attached."""
    files = [text(mapping(file).get("name")) for file in array(event.get("files"))]
    attached = f"({', '.join(filter(None, files))})" if any(files) else ""
    return "\n".join(filter(None, (from_slack(text(event.get("text"))), attached)))
