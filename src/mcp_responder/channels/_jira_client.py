"""Jira's REST API, version 3: one request, its JSON, and what a refusal means in Jira's own words."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import msgspec

from mcp_responder.channels._http import LONGEST_WORDS, error_for
from mcp_responder.model.errors import Permanent, Transient
from mcp_responder.plumbing.http import HttpClient, HttpFailure, HttpResponse, address_of
from mcp_responder.plumbing.secret import Secret
from mcp_responder.plumbing.text import hide, shown_line
from mcp_responder.ports import Clock

Json = dict[str, Any]

_ADVICE = {
    401: "Check email and token; a token with scopes needs api_url.",
    403: "Give the account the permission in the project.",
    404: "Check url and project, and that the account may see the project.",
}
"""What to look at, by status."""


class JiraRefusal(Permanent):
    """Jira said no. ``errors`` are its words by field, ``messages`` those about the whole."""

    def __init__(self, detail: str, status: int, errors: dict[str, str], messages: tuple[str, ...]) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = errors
        self.messages = messages


class JiraClient:
    """Asks one Jira as one account."""

    def __init__(self, base: str, email: str, token: Secret, http: HttpClient, clock: Clock, timeout: float) -> None:
        self._base = base.rstrip("/")
        self._http = http
        self._clock = clock
        self._timeout = timeout
        basic = base64.b64encode(f"{email}:{token.reveal()}".encode()).decode()
        self._secrets = (token.reveal(), basic)
        self._authorization = f"Basic {basic}"

    def get(self, path: str, **query: str | int) -> Any:
        """JSON of ``/rest/api/3/<path>``. Raises Transient or JiraRefusal."""
        return self.send("GET", f"{path}?{urlencode(query)}" if query else path)

    def send(self, method: str, path: str, body: Json | None = None, *, once: bool = False) -> Any:
        """The answer's JSON, or None. Raises Transient or JiraRefusal.

        ``once``: doing it twice would show, so a failure after which it may have been done all the same is doubtful.
        """
        url = f"{self._base}/rest/api/3/{path}"
        headers = {"accept": "application/json", "authorization": self._authorization}
        encoded = b""
        if body is not None:
            headers["content-type"] = "application/json"
            encoded = msgspec.json.encode(body)
        try:
            answer = self._http.request(method, url, encoded, headers, self._timeout)
        except HttpFailure as failure:
            raise Transient(str(failure), doubtful=failure.sent and once) from None
        if 200 <= answer.status < 300:
            return _json(answer)
        raise self._error(url, answer, once=once)

    def _error(self, url: str, answer: HttpResponse, *, once: bool) -> Exception:
        error = error_for(url, answer, self._clock(), self._secrets)
        if answer.status == 409 and not once:
            # Somebody else changes the issue at this moment.
            return Transient(str(error))
        if isinstance(error, Transient):
            # A gateway that has lost patience doesn't know whether Jira went on.
            return Transient(str(error), error.retry_after, doubtful=once and answer.status >= 500)
        errors, messages = self._words(_json(answer))
        said = " ".join((*messages, *(f"{words} ({field})" for field, words in errors.items())))
        detail = f"{address_of(url).place} answered {answer.status}: {shown_line(said, LONGEST_WORDS)}" if said else ""
        advice = _ADVICE.get(answer.status, "")
        return JiraRefusal(" ".join(filter(None, (detail or str(error), advice))), answer.status, errors, messages)

    def _words(self, body: Any) -> tuple[dict[str, str], tuple[str, ...]]:
        """Jira's words by field, and those about the whole."""
        table = body if isinstance(body, dict) else {}
        errors, messages = table.get("errors"), table.get("errorMessages")
        fields = errors if isinstance(errors, dict) else {}
        by_field = {self._line(field): self._line(words) for field, words in fields.items()}
        return by_field, tuple(map(self._line, messages)) if isinstance(messages, list) else ()

    def _line(self, words: object) -> str:
        return shown_line(hide(str(words), self._secrets), LONGEST_WORDS)


def _json(answer: HttpResponse) -> Any:
    """The decoded body; None if it has none or it isn't JSON, such as a page for people."""
    try:
        return msgspec.json.decode(answer.body) if answer.body else None
    except (msgspec.DecodeError, RecursionError):
        return None
