"""Errors as problem documents (RFC 9457), the same for every door: what happened, why, and what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from math import ceil
from typing import Any

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from mcp_responder.model.errors import InvalidRequest, Transient
from mcp_responder.plumbing.text import cut

MEDIA_TYPE = "application/problem+json"
KIND = "urn:mcp-responder:problem:"
"""What the ``type`` of a problem begins with; its code follows."""
PATIENCE = 5.0
"""Seconds after which to try again when nobody knows better."""
LONGEST_DETAIL = 2000

# Basic first: senders that wait to be asked for it (Amazon SNS) look at the first challenge only.
CHALLENGES = (
    (b"www-authenticate", b'Basic realm="mcp-responder", charset="UTF-8"'),
    (b"www-authenticate", b'Bearer realm="mcp-responder"'),
)

Headers = list[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = structlog.get_logger()


class HttpProblem(InvalidRequest):
    """An InvalidRequest with more to say: further ``members`` of the document, and ``headers``."""

    def __init__(
        self,
        code: str,
        detail: str,
        status: int,
        *,
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, detail, status=status, retry_after=retry_after)
        self.members = members or {}
        self.headers = headers or {}


class BadParameter(HttpProblem):
    """A parameter of the query can't be used; names it and says what is allowed."""

    def __init__(self, name: str, detail: str) -> None:
        members = {"parameter": name}
        super().__init__("invalid_parameter", f"The parameter '{name}' {detail}.", 422, members=members)


def problem_response(error: BaseException) -> tuple[int, Headers, bytes]:
    """Status, raw headers (without Content-Length) and body that answer an error.

    InvalidRequest tells all it knows, with the ``members`` and ``headers`` that it may have. Transient is 503 with
    Retry-After. Anything else is our own fault: 500 without a word of it, and it is logged.
    """
    problem = _told(error)
    body = msgspec.json.encode(_document(problem))
    return problem.status, _headers(problem), body


def _told(error: BaseException) -> InvalidRequest:
    if isinstance(error, InvalidRequest):
        return error
    if isinstance(error, Transient):
        return InvalidRequest("unavailable", str(error), status=503, retry_after=error.retry_after or PATIENCE)
    log.error("request_failed", error=type(error).__name__, exc_info=error)
    return InvalidRequest("internal_error", "Something went wrong in the service; its log says what.", status=500)


def _document(problem: InvalidRequest) -> dict[str, object]:
    return {
        "type": KIND + problem.code,
        "title": problem.code.replace("_", " ").capitalize(),
        "status": problem.status,
        "detail": _plain(problem.detail),
        "code": problem.code,
        **getattr(problem, "members", {}),
    }


def _plain(words: str) -> str:
    # Lone surrogates come in by names that others chose, and can't be encoded.
    return cut(words.encode("utf-8", "replace").decode(), LONGEST_DETAIL)


def _headers(problem: InvalidRequest) -> Headers:
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers += CHALLENGES
    if problem.retry_after is not None:
        headers.append((b"retry-after", str(max(1, ceil(problem.retry_after))).encode()))
    named: Mapping[str, str] = getattr(problem, "headers", {})
    return headers + [(name.lower().encode(), value.encode("latin-1")) for name, value in named.items()]


def http_problem(error: HTTPException) -> HttpProblem:
    """What the web framework itself refuses: unknown paths, mostly."""
    if error.status_code == HTTPStatus.NOT_FOUND:
        return HttpProblem("unknown_path", "There is nothing at this path; /openapi.json lists what there is.", 404)
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_").replace("-", "_")
    return HttpProblem(code, f"{status.description or status.phrase}.", status, headers=error.headers)


async def send_problem(error: BaseException, send: Send) -> None:
    """Answer an error by ASGI."""
    status, headers, body = problem_response(error)
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class LastResort:
    """ASGI middleware: whatever an application raises becomes a problem document."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:
                raise
            await send_problem(error, send)
