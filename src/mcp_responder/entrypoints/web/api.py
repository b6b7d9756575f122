"""The HTTP API beside ingest, as one application: routes, rights, errors, headers."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Match

from mcp_responder.entrypoints.web.auth import Authenticator
from mcp_responder.entrypoints.web.handlers import (
    AlertHandlers,
    CallbackHandlers,
    CostHandlers,
    IncidentHandlers,
    KeyHandlers,
    PlugInHandlers,
    ServiceHandlers,
)
from mcp_responder.entrypoints.web.headers import SecurityHeaders, security_headers
from mcp_responder.entrypoints.web.ingest import Ingest
from mcp_responder.entrypoints.web.openapi import JSON, Route, document
from mcp_responder.entrypoints.web.problems import (
    App,
    BadParameter,
    HttpProblem,
    LastResort,
    Receive,
    Scope,
    Send,
    http_problem,
    problem_response,
)
from mcp_responder.model.errors import InvalidRequest, Transient
from mcp_responder.model.task import DeadLetter
from mcp_responder.operations import Operations
from mcp_responder.ports import Channel, Clock, Source, SourceInfo
from mcp_responder.settings import Settings

NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""Else FastAPI reports exceptions, with their words, to whatever collector the environment names."""


def now() -> datetime:
    """The present time."""
    return datetime.now(UTC)


def create_api(
    *,
    operations: Operations,
    authenticator: Authenticator,
    sources: Mapping[str, Source],
    channels: Mapping[str, Channel],
    settings: Settings,
    metrics: Callable[[], bytes],
    ready: Callable[[], str],
    version: str,
    dead_letters: Callable[[int], Sequence[DeadLetter]] | None = None,
    clock: Clock = now,
) -> FastAPI:
    """The API as an ASGI application. It describes the ingest routes too, but doesn't serve them.

    ``metrics`` gives Prometheus's text. ``ready`` says why no alerts can be taken now, or nothing. ``dead_letters``
    gives the newest so many; without it that route is left out.
    """
    groups = (
        AlertHandlers(operations, clock),
        IncidentHandlers(operations, clock),
        CostHandlers(operations, clock),
        PlugInHandlers(sources, channels, clock),
        CallbackHandlers(operations, channels),
        KeyHandlers(operations, authenticator),
        ServiceHandlers(operations, metrics, ready, dead_letters, metrics_open=_is_private(settings)),
    )
    routes = tuple(route for group in groups for route in group.routes())
    api = _application(settings)
    for route in (*routes, _description(api, routes, version, [source.INFO for source in sources.values()])):
        _serve(api, route, authenticator)
    return api


def _is_private(settings: Settings) -> bool:
    """Whether only this machine can ask. A proxy may pass anybody's questions on."""
    if settings.behind_proxy:
        return False
    try:
        return ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        return settings.host == "localhost"


def _application(settings: Settings) -> FastAPI:
    https = bool(settings.tls_certificate) or settings.behind_proxy
    api = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
        middleware=[
            Middleware(SecurityHeaders, security_headers(https=https)),
            Middleware(HeadAsGet),
            Middleware(LastResort),
        ],
        exception_handlers={
            InvalidRequest: _refuse,
            Transient: _refuse,
            HTTPException: _refuse_http,
            RequestValidationError: _refuse_parameter,
        },
    )
    api.state.body_limit = settings.http.body_limit
    return api


def _description(api: FastAPI, routes: Sequence[Route], version: str, sources: Sequence[SourceInfo]) -> Route:
    """The route of the description: made when it is first asked for, and kept as bytes."""
    described = functools.cache(lambda: document(api, routes, version, sources))

    def get_description() -> Response:
        return Response(described(), media_type=JSON)

    return Route("GET", "/openapi.json", get_description, None)


def _serve(api: FastAPI, route: Route, authenticator: Authenticator) -> None:
    api.add_api_route(
        route.path,
        route.handler,
        methods=[route.method],
        status_code=route.status,
        response_model=None,
        operation_id=route.handler.__name__,
        dependencies=[Depends(_allowed(authenticator, route.scope))] if route.scope else [],
        include_in_schema=route.path != "/openapi.json",
    )


def _allowed(authenticator: Authenticator, scope: str) -> Callable[[Request], Awaitable[None]]:
    """FastAPI runs a route's own dependencies first: nobody's body is read before it is known whose it is."""

    async def check(request: Request) -> None:
        request.state.caller = authenticator.authenticate(request.scope["headers"], scope)

    return check


# --------------------------------------------------------------------------------------------------------- the errors


def _answer(error: Exception) -> Response:
    status, headers, body = problem_response(error)
    response = Response(body, status)
    response.raw_headers.extend(headers)
    return response


async def _refuse(_: Request, error: Exception) -> Response:
    return _answer(error)


async def _refuse_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    return _answer(_wrong_method(request) if error.status_code == 405 else http_problem(error))


async def _refuse_parameter(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    return _answer(BadParameter(name, f"can't be used: {first['msg'].lower()}"))


def _wrong_method(request: Request) -> HttpProblem:
    allowed = ", ".join(sorted(_methods(request)))
    detail = f"{request.method} isn't possible here; possible: {allowed}."
    return HttpProblem("method_not_allowed", detail, 405, headers={"Allow": allowed})


def _methods(request: Request) -> set[str]:
    scope = request.scope
    routes = [route for route in request.app.routes if route.matches(scope)[0] is not Match.NONE]
    methods = {method for route in routes for method in route.methods}
    return methods | ({"HEAD"} if "GET" in methods else set()) | ({"POST"} if _is_ingest(scope) else set())


def _is_ingest(scope: Scope) -> bool:
    return Ingest.serves({**scope, "method": "POST"})


class HeadAsGet:
    """ASGI middleware: HEAD is answered as GET, of which the server leaves the body out."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
