"""Slack: one message an incident, edited as things move, with buttons; what is new again comes in its thread.

Set-up with an app (its manifest is in docs/how-to/slack.md; make it at api.slack.com/apps, install it to the workspace,
and invite it to the channel with ``/invite``):

    [channels.slack]
    kind = "slack"
    token = "xoxb-..."            # OAuth & Permissions, Bot User OAuth Token
    channel = "C0123456789"       # the channel's details, at the bottom: Channel ID
    signing_secret = "..."        # Basic Information; without it there are no buttons

For buttons and for replies that become comments, Slack must reach this service over HTTPS. Request URLs of the app:

    Interactivity & Shortcuts     https://YOUR-HOST/v1/channels/slack/actions
    Event Subscriptions           https://YOUR-HOST/v1/channels/slack/events    (message.channels, message.groups)

    scope              without it
    chat:write         nothing works
    channels:history   a page that was cut off on its way may come twice; no replies are heard (private: groups:history)
    users:read         people appear by their short names or ids

Set-up with an incoming webhook, which is simpler and does less:

    [channels.slack]
    kind = "slack"
    url = "https://hooks.slack.com/services/..."

A webhook can't edit: there is one message at first, one with the analysis, one at the end; and if the incident is
reopened, the same again. It tells nothing of repeats, escalation, reminders and acknowledgement, and has no buttons.

The colour is the severity's, green when resolved. News that an edit would hide (still firing, escalated, reopened,
nobody has acknowledged) is also told in the thread, and all but the first in the channel. A button does what its name
says, in the name of the one who pressed it; whoever is in the channel may press. A reply in the thread becomes a
comment of the incident.

Slack's limits are kept: what is too long is cut, most important first. If Slack refuses the blocks all the same, the
message goes out as plain text. Slack's own words for what goes wrong, and what to do: docs/how-to/slack.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from mcp_responder.channels._http import HttpSender
from mcp_responder.channels._kind import Callback, Called, ChannelKind, Services
from mcp_responder.model.errors import Permanent, ResponderError
from mcp_responder.model.incident import IncidentStatus
from mcp_responder.model.message import Message, Receipt
from mcp_responder.plumbing.http import address_of
from mcp_responder.plumbing.secret import Secret
from mcp_responder.ports import Channel, ChannelInfo, Delivered

if TYPE_CHECKING:  # slack_sdk takes a tenth of a second, which nobody should wait for who doesn't tell anything.
    from mcp_responder.channels._slack_blocks import Rendered, Reply
    from mcp_responder.channels._slack_calls import Calls
    from mcp_responder.channels._slack_client import SlackApi

INFO = ChannelInfo(kind="slack", title="Slack", longest_text=13_000, updates=True)
API = "https://slack.com/api"
EVENT_TYPE = "incident_told"
"""Of the metadata by which a message is found again."""
PAGES_SEARCHED = 3
PAGE = 100
"""Messages that are looked through at once."""
CLOCKS_DIFFER = 60.0
"""Seconds by which Slack's clock may be behind ours."""


class SlackSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either ``token`` and ``channel``, or ``url``."""

    token: Secret = Secret("")
    """The bot's token (xoxb-...)."""
    channel: str = ""
    """Where to post: the channel's id (C...). A #name works too, but then nothing can be found again after a crash."""
    signing_secret: Secret = Secret("")
    """Proves that callbacks are Slack's; without it there are no buttons, and callbacks are refused."""
    url: Secret = Secret("")
    """Address of an incoming webhook, instead of token and channel; all of it is secret."""
    base_url: str = API
    """Where Slack's Web API is."""
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 10.0
    """How long Slack may take to connect and answer."""

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.token or self.channel):
            raise ValueError("set either token and channel, or url")
        if not self.url and not (self.token and self.channel):
            raise ValueError("token and channel go together; set both")
        for name, address in (("url", self.url.reveal()), ("base_url", self.base_url)):
            if address:
                _check_address(name, address)


def _check_address(name: str, address: str) -> None:
    try:
        address_of(address)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


class Place(NamedTuple):
    """Where a message is; written as a receipt's reference it is ``channel:ts``."""

    channel: str
    ts: str

    @classmethod
    def read(cls, reference: str) -> Place | None:
        channel, _, ts = reference.partition(":")
        return cls(channel, ts) if channel and ts else None

    @property
    def reference(self) -> str:
        return f"{self.channel}:{self.ts}"


class Written(NamedTuple):
    """What Slack answered to a message, and what it didn't take of it."""

    answer: Mapping[str, Any]
    detail: str = ""


# ---------------------------------------------------------------------------------------------------------- as an app


class SlackApp:
    """Posts as a bot, edits what it has posted, and is called back."""

    info = INFO

    def __init__(self, name: str, settings: SlackSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._services = services

    def __repr__(self) -> str:
        return f"SlackApp({self.name!r}, {self._settings.channel})"

    def deliver(self, message: Message, previous: Receipt | None) -> Delivered:
        """Post, or edit what was posted, and say in the thread what an edit hides. Raises Transient or Permanent."""
        known = Place.read(previous.reference) if previous else None
        place = known or (self._found(message) if message.doubtful else None)
        written = self._edited(place, message) if place else None
        if place and written:
            unsaid = self._reply(place, message, previous.news if previous and known else message.news - 1)
        else:
            unsaid = ""
            written = self._write("chat_postMessage", message, channel=self._settings.channel)
            place = Place(str(written.answer.get("channel", "")), str(written.answer.get("ts", "")))
        return Delivered(reference=place.reference, detail="; ".join(filter(None, (written.detail, unsaid))))

    def called(self, callback: Callback) -> Called:
        """Raises Unverified unless Slack has signed it, and InvalidRequest."""
        return self._calls.read(callback)

    def answer(self, called: Called, words: str) -> None:
        """Shows words to the one who pressed, and to nobody else."""
        self._calls.answer(called, words)

    # -------------------------------------------------------------------------------------------------------- posting

    def _edited(self, place: Place, message: Message) -> Written | None:
        """Edit it. None if it isn't there any more."""
        from mcp_responder.channels._slack_client import GONE, Refusal

        try:
            return self._write("chat_update", message, channel=place.channel, ts=place.ts)
        except Refusal as refusal:
            if refusal.word in GONE:
                return None
            raise

    def _write(self, method: str, message: Message, **where: str) -> Written:
        """Send it with everything, or in plain words if Slack finds fault with that."""
        from mcp_responder.channels._slack_blocks import plain
        from mcp_responder.channels._slack_client import TOO_MUCH, Refusal

        shared: dict[str, Any] = {**where, "metadata": self._metadata(message), "parse": "none", "link_names": False}
        if method == "chat_postMessage":
            shared |= {"unfurl_links": False, "unfurl_media": False}
        whole = self._rendered(message)
        try:
            blocks, attachments = whole.blocks, whole.attachments
            return Written(self._api.call(method, text=whole.text, blocks=blocks, attachments=attachments, **shared))
        except Refusal as refusal:
            if refusal.word not in TOO_MUCH:
                raise
            detail = f"sent as plain text: {refusal}"
        return Written(self._api.call(method, text=plain(message), blocks=[], attachments=[], **shared), detail)

    def _rendered(self, message: Message) -> Rendered:
        from mcp_responder.channels._slack_blocks import render

        return render(message, self._services.clock(), buttons=bool(self._settings.signing_secret))

    def _reply(self, place: Place, message: Message, told: int) -> str:
        """Say in the thread what came after news number ``told``, unless an earlier try already has.

        Answers why Slack won't ever take it; the message itself is edited by then.
        """
        from mcp_responder.channels._slack_blocks import replies

        reply = replies(message, told)
        if reply and not (message.doubtful and self._replied(place, message)):
            try:
                self._post_reply(place, message, reply)
            except Permanent as refusal:
                return f"not said in the thread: {refusal}"
        return ""

    def _post_reply(self, place: Place, message: Message, reply: Reply) -> None:
        self._api.call(
            "chat_postMessage",
            channel=place.channel,
            thread_ts=place.ts,
            reply_broadcast=reply.broadcast,
            text=reply.text,
            metadata=self._metadata(message),
            parse="none",
            link_names=False,
            unfurl_links=False,
            unfurl_media=False,
        )

    # -------------------------------------------------------------------------------------------------- finding again

    def _metadata(self, message: Message) -> dict[str, Any]:
        payload = {"incident": _subject(message), "delivery": message.delivery_id}
        return {"event_type": EVENT_TYPE, "event_payload": payload}

    def _found(self, message: Message) -> Place | None:
        """The message about this incident that an earlier try may have posted."""
        channel = self._settings.channel
        oldest = f"{message.incident.opened_at.timestamp() - CLOCKS_DIFFER:.6f}"
        for one in self._messages("conversations_history", channel=channel, oldest=oldest):
            told = _told_in(one)
            first = one.get("thread_ts", one.get("ts")) == one.get("ts")
            if first and told.get("incident") == _subject(message) and one.get("ts"):
                return Place(channel, str(one["ts"]))
        return None

    def _replied(self, place: Place, message: Message) -> bool:
        replies = self._messages("conversations_replies", channel=place.channel, ts=place.ts)
        return any(
            one.get("ts") != place.ts and _told_in(one).get("delivery") == message.delivery_id for one in replies
        )

    def _messages(self, method: str, **where: str) -> list[Mapping[str, Any]]:
        """Recent messages. None if Slack won't say: a page goes out rather twice than never."""
        found: list[Mapping[str, Any]] = []
        cursor = ""
        try:
            for _ in range(PAGES_SEARCHED):
                answer = self._api.call(method, limit=PAGE, include_all_metadata=True, cursor=cursor or None, **where)
                found += [one for one in _list(answer.get("messages")) if isinstance(one, dict)]
                cursor = str(_object(answer.get("response_metadata")).get("next_cursor") or "")
                if not cursor:
                    break
        except ResponderError:
            return found
        return found

    # ------------------------------------------------------------------------------------------------------ the parts

    @cached_property
    def _api(self) -> SlackApi:
        return self._api_within(self._settings.timeout_seconds)

    @cached_property
    def _calls(self) -> Calls:
        from mcp_responder.channels._slack_calls import NAME_SECONDS, Calls

        services = self._services
        sender = HttpSender(services.http, services.clock, self._settings.timeout_seconds, self._secrets)
        return Calls(self.name, self._settings.signing_secret, services.clock, self._api_within(NAME_SECONDS), sender)

    @property
    def _secrets(self) -> tuple[str, ...]:
        return self._settings.token.reveal(), self._settings.signing_secret.reveal()

    def _api_within(self, seconds: float) -> SlackApi:
        from mcp_responder.channels._slack_client import SlackApi

        services = self._services
        sender = HttpSender(services.http, services.clock, seconds, self._secrets)
        return SlackApi(sender, services.clock, self._settings.token.reveal(), self._settings.base_url)


def _subject(message: Message) -> str:
    """What a message is about, in its metadata."""
    return f"storm of {message.digest.since.isoformat()}" if message.digest else message.incident.incident_id


def _told_in(one: Mapping[str, Any]) -> Mapping[str, Any]:
    """What our metadata says in a message of Slack's; empty if it isn't ours."""
    metadata = _object(one.get("metadata"))
    return _object(metadata.get("event_payload")) if metadata.get("event_type") == EVENT_TYPE else {}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


# ------------------------------------------------------------------------------------------- as an incoming webhook


class SlackWebhook:
    """Posts to one address, and can do nothing else. What was told is kept in the receipt's reference."""

    info = msgspec.structs.replace(INFO, updates=False)

    def __init__(self, name: str, settings: SlackSettings, services: Services) -> None:
        self.name = name
        self._url = settings.url
        self._clock = services.clock
        self._sender = HttpSender(services.http, services.clock, settings.timeout_seconds)

    def __repr__(self) -> str:
        return f"SlackWebhook({self.name!r}, {address_of(self._url.reveal()).place})"

    def deliver(self, message: Message, previous: Receipt | None) -> Delivered:
        """Post what is worth a message of its own, or nothing. Raises Transient or Permanent."""
        told = previous.reference if previous else ""
        now = _standing(message)
        if not _worth_telling(told, now):
            return Delivered(reference=told)
        # What was told of the analysis isn't said again at the end.
        over = now.startswith("resolved") and told != ""
        detail = self._post(msgspec.structs.replace(message, analysis=None) if over else message)
        return Delivered(reference=now, detail=detail)

    def _post(self, message: Message) -> str:
        """What Slack didn't take of it."""
        from mcp_responder.channels._slack_blocks import plain, render
        from mcp_responder.channels._slack_client import TOO_MUCH

        whole = render(message, self._clock(), buttons=False)
        body = {
            "text": whole.text,
            "blocks": [block.to_dict() for block in whole.blocks],
            "attachments": [attachment.to_dict() for attachment in whole.attachments],
        }
        try:
            self._send(body)
        except Permanent as refusal:
            if not any(str(refusal).endswith(f": {word}") for word in TOO_MUCH):
                raise self._explained(refusal) from None
            self._send({"text": plain(message)})
            return f"sent as plain text: {refusal}"
        return ""

    def _send(self, body: object) -> None:
        headers = {"content-type": "application/json"}
        self._sender.send("POST", self._url.reveal(), msgspec.json.encode(body), headers)

    def _explained(self, refusal: Permanent) -> Permanent:
        from mcp_responder.channels._slack_client import HINTS

        hint = next((hint for word, hint in HINTS.items() if str(refusal).endswith(f": {word}")), "")
        return Permanent(f"{refusal}; {hint}.") if hint else refusal


def _standing(message: Message) -> str:
    """What a message says: ``open`` or ``resolved``, and which analysis."""
    if message.digest:
        over = all(incident.status is IncidentStatus.RESOLVED for incident in message.digest.incidents)
        return "resolved" if over else "open"
    status = "resolved" if message.incident.status is IncidentStatus.RESOLVED else "open"
    return f"{status} {message.analysis.made_at.isoformat()}" if message.analysis else status


def _worth_telling(told: str, now: str) -> bool:
    before, _, known = told.partition(" ")
    status, _, analysis = now.partition(" ")
    return status != before or (status == "open" and analysis not in ("", known))


def _build(name: str, settings: SlackSettings, services: Services) -> Channel:
    return (SlackWebhook if settings.url else SlackApp)(name, settings, services)


KIND = ChannelKind(info=INFO, guide=__doc__ or "", settings=SlackSettings, build=_build)
