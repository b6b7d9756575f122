"""Slack's Web API through slack_sdk's client, over our own HTTP: its time-outs, TLS and connections, no redirects.

slack_sdk builds the requests and reads the answers. Only the step that carries one request over the network is
replaced, so its own retries, its proxies and its log, which would show messages, are out of the way.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from mcp_responder.channels._http import HttpSender, retry_after
from mcp_responder.model.errors import Permanent, ResponderError, Transient
from mcp_responder.plumbing.text import hide, shown_line
from mcp_responder.ports import Clock

LONGEST_WORDS = 200
AGAIN = frozenset(
    {
        *("ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "service_unavailable"),
        *("request_timeout", "fatal_error", "team_added_to_org", "accesslimited", "async_job_queue_failed"),
    }
)
"""Errors that pass."""
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found"})
"""The message that was to be edited can't be any more."""
TOO_MUCH = frozenset(
    {
        *("msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format", "invalid_attachments"),
        *("too_many_attachments", "no_text", "attachment_payload_limit_exceeded", "invalid_payload"),
    }
)
"""What is written is refused, not that it is written: a shorter text may get through."""
HINTS = {
    "channel_not_found": "check `channel`; if it is private, invite the bot: /invite @its-name",
    "not_in_channel": "invite the bot: /invite @its-name",
    "is_archived": "the channel is archived: unarchive it, or set another `channel`",
    "invalid_auth": "the token isn't valid: copy the Bot User OAuth Token (xoxb-...) into `token`",
    "not_authed": "the token is empty: copy the Bot User OAuth Token (xoxb-...) into `token`",
    "token_revoked": "the token was revoked: install the app again, and set the new `token`",
    "token_expired": "the token has expired: turn token rotation off, or set the new `token`",
    "account_inactive": "the app or its workspace is switched off: install it again, and set the new `token`",
    "missing_scope": "add the scope under OAuth & Permissions, and install the app again",
    "not_allowed_token_type": "`token` must be a bot's (xoxb-...)",
    "restricted_action": "the workspace's rules forbid the bot to post there",
    "ekm_access_denied": "the workspace's administrators have suspended posting",
    "no_permission": "the bot may not do that there: invite it, and check its scopes",
    "msg_too_long": "the message is too long for Slack, even shortened; please report it",
    "invalid_blocks": "Slack can't read our message; please report it",
    "no_service": "the incoming webhook is disabled or removed: make a new one, and set `url`",
    "invalid_token": "the incoming webhook's address is wrong: copy it again into `url`",
    "action_prohibited": "the workspace's rules forbid the webhook to post there",
}
"""What to do about an error, for people."""


class Refusal(Permanent):
    """Slack's own word for why it won't ever do it."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


class SlackApi(WebClient):
    """slack_sdk's client; ``call`` raises Transient or Permanent, never with the token in its words."""

    def __init__(self, sender: HttpSender, clock: Clock, token: str, base_url: str) -> None:
        silent = logging.Logger("slack_sdk.silent", logging.CRITICAL + 1)
        super().__init__(token=token, base_url=base_url, retry_handlers=[], logger=silent)
        self._sender = sender
        self._clock = clock

    def call(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """What a method of the Web API, such as ``chat_postMessage``, answers. Raises Transient or Permanent."""
        try:
            answer = getattr(self, method)(**arguments)
        except SlackApiError as error:
            raise self._failure(error) from None
        return answer.data if isinstance(answer.data, dict) else {}

    def _failure(self, error: SlackApiError) -> ResponderError:
        data = error.response.data if isinstance(error.response.data, dict) else {}
        word = str(data.get("error", "")) or "no error was named"
        wait = retry_after(error.response.headers, self._clock())
        return failure(word, _more(data), wait, (self.token or "",))

    def _perform_urllib_http_request(self, *, url: str, args: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Carry one request: what slack_sdk would do with urllib, whatever it is called there."""
        if args["json"]:
            body, kind = msgspec.json.encode(args["json"]), "application/json; charset=utf-8"
        else:
            body, kind = urlencode(args["params"] or {}).encode(), "application/x-www-form-urlencoded"
        headers = {"content-type": kind, "authorization": f"Bearer {self.token}"}
        response = self._sender.send("POST", url, body, headers)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return {"status": 200, "headers": headers, "body": _object(response.body)}


def failure(word: str, more: str, wait: float | None, secrets: tuple[str, ...]) -> ResponderError:
    """What one of Slack's error words means: try again later, or never."""
    told = ", ".join(filter(None, (shown_line(hide(text, secrets), LONGEST_WORDS) for text in (word, more))))
    if not _is_word(word):
        # Not Slack at all: a proxy's page, mostly.
        return Transient(f"Slack's answer can't be read: {told}", doubtful=True)
    hint = HINTS.get(word, "")
    detail = f"Slack refused it: {told}{f'; {hint}' if hint else ''}."
    return Transient(detail, retry_after=wait) if word in AGAIN else Refusal(word, detail)


def _object(body: bytes) -> str:
    """The answer if it is an object in JSON, which slack_sdk takes for granted; else an error that holds it."""
    try:
        if isinstance(msgspec.json.decode(body), dict):
            return body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    words = shown_line(body.decode(errors="replace"), LONGEST_WORDS) or "it is empty"
    return msgspec.json.encode({"ok": False, "error": f"<{words}>"}).decode()


def _is_word(word: str) -> bool:
    return word.replace("_", "").replace("-", "").isalnum() and len(word) < 80


def _more(data: Mapping[str, Any]) -> str:
    """What Slack adds to some errors: the missing scope, the place of a mistake."""
    metadata = data.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, dict) else None
    needed = f"needed: {data['needed']}" if data.get("needed") else ""
    first = str(messages[0]) if isinstance(messages, list) and messages else ""
    return " ".join(filter(None, (needed, first)))
