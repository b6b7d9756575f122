"""What every answer tells browsers: don't guess, don't embed, don't keep; and which web pages may ask at all."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from mcp_responder.entrypoints.web.problems import App, Receive, Scope, Send

RawHeaders = tuple[tuple[bytes, bytes], ...]

ALWAYS: RawHeaders = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
TRANSPORT: RawHeaders = ((b"strict-transport-security", b"max-age=31536000"),)

METHODS = ("GET", "HEAD", "POST", "DELETE")
ASKED_WITH = ("Authorization", "X-API-Key", "Idempotency-Key", "Content-Type", "Content-Encoding")
ANSWERED_WITH = ("Retry-After", "WWW-Authenticate", "Allow")


def security_headers(*, https: bool) -> RawHeaders:
    """For every response, raw. ``https``: whether it travels by TLS, ended here or at a proxy in front."""
    return ALWAYS + TRANSPORT if https else ALWAYS


class SecurityHeaders:
    """ASGI middleware that adds the security headers to every response."""

    def __init__(self, app: App, headers: RawHeaders) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self._app(scope, receive, secured)


class _Cors(CORSMiddleware):
    """A preflight is answered here, so its answer gets the security headers here."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        response.raw_headers.extend(ALWAYS)
        return response


def with_cors(app: App, origins: Sequence[str]) -> App:
    """The whole door, open to web pages of these origins; as it is when there are none. Never with credentials."""
    if not origins:
        return app
    return _Cors(
        app, allow_origins=origins, allow_methods=METHODS, allow_headers=ASKED_WITH, expose_headers=ANSWERED_WITH
    )
