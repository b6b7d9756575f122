"""A Slack that keeps its documents: methods of the Web API, an incoming webhook, limits of messages, error words."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections import deque
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import parse_qs, urlencode

from .server import Asked, Reply, ScriptedServer, serving

TOKEN = "xoxb-17-of-the-tests"
CHANNEL = "C0NIGHT"
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
WEBHOOK = "/services/T0/B0/secret-of-the-webhook"
MOST_BLOCKS = 50
MOST_CHARACTERS = 13_172
"""Of all blocks together; measured by others, documented nowhere."""
LIMITS = {"header": 150, "section": 3000, "context": 3000}


class SlackServer(ScriptedServer):
    """``messages`` are what the channel holds; ``next_answers`` come before what Slack would say."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.posted: list[dict[str, Any]] = []
        """What came through the webhook."""
        self.told: list[tuple[str, dict[str, Any]]] = []
        """What came to response URLs."""
        self.next_answers: deque[str | Reply] = deque()
        """Error words, replies, or "lost": done, and never answered."""
        self.people = {"U1": {"id": "U1", "name": "ada.l", "real_name": "Ada Lovelace", "profile": {}}}
        self._slack = threading.Lock()
        self._last = 17

    def take(self, asked: Asked) -> Reply:
        with self._slack:
            self.asked.append(asked)
            scripted = self.next_answers.popleft() if self.next_answers else ""
            if isinstance(scripted, Reply):
                return scripted
            if scripted and scripted != "lost":
                return _refused(scripted)
            reply = self._answer_to(asked)
            return Reply(manner="close") if scripted == "lost" else reply

    def _answer_to(self, asked: Asked) -> Reply:
        if asked.path == WEBHOOK:
            return self._webhook(json.loads(asked.body))
        if asked.path.startswith("/response/"):
            self.told.append((asked.path, json.loads(asked.body)))
            return Reply(200, body=b"ok")
        method = asked.path.removeprefix("/api/")
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return _refused("invalid_auth")
        handler = getattr(self, "_" + method.replace(".", "_"), None)
        return handler(_arguments(asked)) if handler else _refused("unknown_method")

    def _webhook(self, body: dict[str, Any]) -> Reply:
        fault = fault_of(body)
        if fault:
            return Reply(400, body=fault.encode())
        self.posted.append(body)
        return Reply(200, {"content-type": "text/html"}, b"ok")

    def _chat_postMessage(self, given: dict[str, Any]) -> Reply:  # noqa: N802 - Slack's name
        fault = "channel_not_found" if given.get("channel") != CHANNEL else fault_of(given)
        if fault:
            return _refused(fault)
        self._last += 1
        ts = f"{time.time():.0f}.{self._last:06d}"
        self.messages.append({**given, "ts": ts})
        return _done(channel=CHANNEL, ts=ts, message={"text": given["text"]})

    def _chat_update(self, given: dict[str, Any]) -> Reply:
        fault = fault_of(given)
        if fault:
            return _refused(fault)
        known = next((one for one in self.messages if one["ts"] == given.get("ts")), None)
        if known is None:
            return _refused("message_not_found")
        known.update(given, edited=True)
        return _done(channel=CHANNEL, ts=given["ts"], text=given["text"])

    def _conversations_history(self, given: dict[str, Any]) -> Reply:
        if given.get("channel") != CHANNEL:
            return _refused("channel_not_found")
        return self._page(self._top(float(given.get("oldest", 0))), given)

    def _top(self, oldest: float) -> list[dict[str, Any]]:
        in_channel = [one for one in self.messages if "thread_ts" not in one or one.get("reply_broadcast")]
        return [one for one in reversed(in_channel) if float(one["ts"]) >= oldest]

    def _conversations_replies(self, given: dict[str, Any]) -> Reply:
        thread = [one for one in self.messages if given["ts"] in (one["ts"], one.get("thread_ts"))]
        return self._page(thread, given) if thread else _refused("thread_not_found")

    def _page(self, messages: list[dict[str, Any]], given: dict[str, Any]) -> Reply:
        """Two at a time, whatever was asked for: pages are to be turned."""
        start = int(given.get("cursor") or 0)
        shown = messages[start : start + 2]
        if given.get("include_all_metadata") not in ("1", "true", "True"):
            shown = [{key: value for key, value in one.items() if key != "metadata"} for one in shown]
        more = start + 2 < len(messages)
        cursor = {"response_metadata": {"next_cursor": str(start + 2)}} if more else {}
        return _done(messages=shown, has_more=more, **cursor)

    def _users_info(self, given: dict[str, Any]) -> Reply:
        person = self.people.get(given.get("user", ""))
        return _done(user=person) if person else _refused("user_not_found")

    # What tests look at.

    def first(self) -> dict[str, Any]:
        """The only message that isn't in a thread."""
        [message] = [one for one in self.messages if "thread_ts" not in one]
        return message

    def thread(self) -> list[dict[str, Any]]:
        return [one for one in self.messages if "thread_ts" in one]

    def methods(self) -> list[str]:
        return [asked.path.rpartition("/")[2] for asked in self.asked]


def fault_of(given: dict[str, Any]) -> str:
    """The word with which Slack refuses a message; empty if it is fine."""
    if not given.get("text") and not given.get("blocks"):
        return "no_text"
    if len(given.get("text", "")) > 40_000:
        return "msg_too_long"
    blocks = blocks_of(given)
    if len(blocks) > MOST_BLOCKS or not all(map(_is_valid, blocks)):
        return "invalid_blocks"
    return "msg_blocks_too_long" if len(json.dumps(blocks, ensure_ascii=False)) > MOST_CHARACTERS else ""


def blocks_of(given: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [block for attachment in given.get("attachments", ()) for block in attachment.get("blocks", ())]
    return [*given.get("blocks", ()), *inner]


def _is_valid(block: dict[str, Any]) -> bool:
    kind = block["type"]
    fields, elements = block.get("fields", []), block.get("elements", [])
    texts = [block["text"]] if "text" in block else []
    return (
        kind in ("header", "section", "context", "actions", "divider")
        and (kind != "header" or block["text"]["type"] == "plain_text")
        and (kind != "section" or bool(texts or fields))
        and all(0 < len(one["text"]) <= LIMITS.get(kind, 0) for one in texts)
        and len(fields) <= 10
        and all(0 < len(one["text"]) <= 2000 for one in fields)
        and (kind not in ("context", "actions") or 0 < len(elements) <= (10 if kind == "context" else 25))
        and all(0 < len(one["text"]) <= LIMITS["context"] for one in elements if kind == "context")
        and all(
            0 < len(one["text"]["text"]) <= 75 and len(one["value"]) <= 2000 for one in elements if kind == "actions"
        )
    )


def _arguments(asked: Asked) -> dict[str, Any]:
    if asked.headers["content-type"].startswith("application/json"):
        given: dict[str, Any] = json.loads(asked.body)
        return given
    return {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}


def _done(**more: Any) -> Reply:
    return Reply(200, {"content-type": "application/json; charset=utf-8"}, json.dumps({"ok": True, **more}).encode())


def _refused(word: str) -> Reply:
    return Reply(200, {"content-type": "application/json"}, json.dumps({"ok": False, "error": word}).encode())


def slack_server() -> AbstractContextManager[SlackServer]:
    return serving(SlackServer())


# ------------------------------------------------------------------------------------------------ what Slack calls back


def signed(body: bytes, at: float, secret: str = SIGNING_SECRET) -> dict[str, str]:
    """The headers with which Slack proves a request, by its own documents and not by slack_sdk."""
    base = f"v0:{int(at)}:".encode() + body
    signature = hmac.new(secret.encode(), base, "sha256").hexdigest()
    return {"x-slack-request-timestamp": str(int(at)), "x-slack-signature": f"v0={signature}"}


def pressed(action: str, incident_id: str, *, user: str = "U1", response_url: str = "", trigger: str = "t1") -> bytes:
    """The body when somebody presses a button."""
    payload = {
        "type": "block_actions",
        "user": {"id": user, "username": "ada.l", "name": "ada.l", "team_id": "T0"},
        "api_app_id": "A0",
        "container": {"type": "message_attachment", "message_ts": "17.000018", "channel_id": CHANNEL},
        "trigger_id": trigger,
        "channel": {"id": CHANNEL, "name": "night"},
        "response_url": response_url,
        "actions": [{"type": "button", "action_id": action, "block_id": "b", "value": incident_id, "action_ts": "1.2"}],
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


def replied(thread: str, words: str, *, event_id: str = "Ev1", **event: Any) -> bytes:
    """The body when somebody writes into a thread."""
    message = {"type": "message", "channel": CHANNEL, "user": "U1", "text": words, "ts": "99.000001"}
    inner = {**message, "thread_ts": thread, "channel_type": "channel", **event}
    return json.dumps({"type": "event_callback", "event_id": event_id, "team_id": "T0", "event": inner}).encode()
