"""The API's description (OpenAPI 3.1): paths from FastAPI, shapes from the very types that are encoded and decoded."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from mcp_responder.entrypoints.web.ingest import CODINGS, IngestView
from mcp_responder.entrypoints.web.parameters import JsonBody, QueryOf, RawBody
from mcp_responder.entrypoints.web.problems import MEDIA_TYPE
from mcp_responder.ports import SourceInfo

Json = dict[str, Any]
JSON = "application/json"

ABOUT = """\
Takes alerts in, says what is broken and why, and tells people.

Send an API key with every request: as `X-API-Key`, as `Authorization: Bearer`, or as the password of HTTP Basic. Each
operation names the scope that the key must have. Every error is a problem document (RFC 9457) with a stable `code`."""

TAGS = {
    "alerts": "Events that were sent to us, and what became of them.",
    "incidents": "What is broken, from the first alert to the last.",
    "sources": "Who can send alerts, and how.",
    "channels": "Who is told.",
    "keys": "API keys.",
    "service": "The service itself.",
}
SECURITY_SCHEMES: Json = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic", "description": "The key is the password; any user name."},
}
PROBLEMS = {
    400: "The body isn't valid JSON, or isn't coded as it says.",
    401: "No API key, an unknown one, or an expired one; the code says which.",
    403: "The key lacks the scope, or what is signed can't be verified.",
    404: "There is nothing of that name.",
    409: "Well formed, but the state of the thing forbids it.",
    413: "The body is too large, holds too many items, or is nested too deep.",
    415: "The type or coding of the body is not read here.",
    422: "A parameter or the body can't be used; the detail names it and what is allowed.",
    429: "The key's rate limit is spent.",
    500: "A mistake of ours; the service's log has it.",
    503: "Not now: try again later.",
}
OF_A_KEY = (401, 403, 429)
OF_A_BODY = (400, 413, 415, 422)
ALWAYS = (500, 503)
PROBLEM_HEADERS = {
    401: {"WWW-Authenticate": "How to send a key."},
    429: {"Retry-After": "Seconds to wait."},
    503: {"Retry-After": "Seconds to wait."},
}


class Route(msgspec.Struct, frozen=True):
    """One operation of the API. Its handler's docstring describes it; the first sentence is the summary."""

    method: str
    path: str
    handler: Callable[..., object]
    answers: Any
    """The type that is encoded as JSON, a media type if it isn't JSON, or None if the answer is empty."""
    scope: str = ""
    """What the key must be allowed; empty: open to all."""
    status: int = 200
    problems: tuple[int, ...] = ()
    """Statuses beside those that follow from scope, path, query and body."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong (RFC 9457). ``code`` is stable and for programs; some problems have further members."""

    type: str
    title: str
    status: int
    detail: str
    code: str


class Taken(msgspec.Struct, frozen=True):
    """The shapes that an operation reads."""

    query: type[msgspec.Struct] | None
    body: type[msgspec.Struct] | None
    raw: Json | None = None
    """Media types and schemas of a body that is read as it comes."""


def document(app: FastAPI, routes: Sequence[Route], version: str, sources: Sequence[SourceInfo]) -> bytes:
    """The description of ``routes``, which ``app`` serves, and of the ingest routes for ``sources``, as JSON."""
    described = get_openapi(
        title="mcp-responder", version=version, openapi_version="3.1.0", description=ABOUT, routes=app.routes
    )
    taken = [_taken(app, route) for route in routes]
    shapes = Shapes([Problem, IngestView, *_types(routes, taken)])
    for route, takes in zip(routes, taken, strict=True):
        operation = described["paths"][route.path][route.method.lower()]
        operation |= _operation(route, takes, shapes, operation.get("parameters", []))
    for path, operation in _ingest(shapes, sources):
        described["paths"].setdefault(path, {})["post"] = operation
    described["tags"] = [{"name": name, "description": words} for name, words in TAGS.items()]
    described["components"] = _components(shapes, sources)
    return _readable(msgspec.json.encode(described))


def _taken(app: FastAPI, route: Route) -> Taken:
    served = next(
        one
        for one in app.routes
        if isinstance(one, APIRoute) and one.path == route.path and one.methods == {route.method}
    )
    calls = [dependency.call for dependency in served.dependant.dependencies]
    query = next((call.kind for call in calls if isinstance(call, QueryOf)), None)
    body = next((call.kind for call in calls if isinstance(call, JsonBody)), None)
    raw = next((call.content for call in calls if isinstance(call, RawBody)), None)
    return Taken(query, body, raw)


def _types(routes: Iterable[Route], taken: Iterable[Taken]) -> Iterator[Any]:
    yield from (route.answers for route in routes if route.answers and not isinstance(route.answers, str))
    yield from (kind for takes in taken for kind in (takes.query, takes.body) if kind)


def _readable(described: bytes) -> bytes:
    """``Page[AlertView]`` is called ``AlertViewPage``, as names must be plain; and code is marked as in Markdown."""
    named = re.sub(rb'Page(?:_(\w+?)_|\[(\w+)\])(?=")', rb"\1\2Page", described)
    return named.replace(b"``", b"`")


# --------------------------------------------------------------------------------------------------------- operations


def _operation(route: Route, takes: Taken, shapes: Shapes, path_parameters: list[Json]) -> Json:
    operation: Json = {**_words(route), "responses": _responses(route, takes, shapes)}
    parameters = [*path_parameters, *(shapes.of_query(takes.query) if takes.query else ())]
    if parameters:
        operation["parameters"] = parameters
    if takes.body:
        needed = any(field.required for field in msgspec.structs.fields(takes.body))
        operation["requestBody"] = {"required": needed, "content": {JSON: {"schema": shapes.of(takes.body)}}}
    if takes.raw:
        operation["requestBody"] = {"required": True, "content": takes.raw}
    if route.scope:
        operation["security"] = _security(route.scope)
    return operation


def _words(route: Route) -> Json:
    text = inspect.getdoc(route.handler) or ""
    scope = f"Needs a key with the scope `{route.scope}`." if route.scope else "Open: needs no key."
    return {
        "operationId": route.handler.__name__,
        "tags": [tag for tag in TAGS if f"/{tag}" in route.path][:1] or ["service"],
        "summary": text.partition(".")[0].replace("\n", " "),
        "description": f"{text}\n\n{scope}",
    }


def _security(scope: str) -> list[Json]:
    return [{scheme: [scope]} for scheme in SECURITY_SCHEMES]


def _responses(route: Route, takes: Taken, shapes: Shapes) -> Json:
    statuses = {*ALWAYS, *route.problems}
    statuses.update(OF_A_KEY if route.scope else ())
    statuses.update(OF_A_BODY if takes.body else ())
    statuses.update((413,) if takes.raw else ())
    statuses.update((422,) if takes.query else ())
    statuses.update((404,) if "{" in route.path else ())
    return {str(route.status): _answer(route, shapes), **_problems(statuses)}


def _answer(route: Route, shapes: Shapes) -> Json:
    answer: Json = {"description": HTTPStatus(route.status).phrase}
    if isinstance(route.answers, str):
        answer["content"] = {route.answers: {"schema": {"type": "string"} if route.answers != JSON else {}}}
    elif route.answers:
        answer["content"] = {JSON: {"schema": shapes.of(route.answers)}}
    return answer


def _problems(statuses: Iterable[int]) -> Json:
    return {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(statuses)}


# ------------------------------------------------------------------------------------------------------------- ingest

ALERT_BODY: Json = {
    "type": ["object", "array"],
    "description": "One alert, an array of them, or what the source sends.",
}
ALERT_EXAMPLE: Json = {
    "title": "Database connection pool exhausted",
    "message": "FATAL: remaining connection slots are reserved",
    "severity": "CRITICAL",
    "service": "checkout",
    "source_id": "pool-checkout",
}
RETRY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key, with the same API key, is the same request: its alerts are stored once.",
    "schema": {"type": "string"},
}
CODING: Json = {
    "name": "Content-Encoding",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "enum": ["identity", *CODINGS]},
}
SOURCE: Json = {
    "name": "source",
    "in": "path",
    "required": True,
    "description": "A name from GET /v1/sources.",
    "schema": {"type": "string"},
}
ACCEPTS = """\
Answers once everything is durable. Each alert's `status_url` answers at once. What can't be used of a batch is listed
as rejected, and the rest is taken; when nothing could be, the answer is 422 with the same list. A body that is
authentic but no alert is 202 with empty lists."""


def _ingest(shapes: Shapes, sources: Sequence[SourceInfo]) -> Iterator[tuple[str, Json]]:
    """The two operations that a bare ASGI callable serves in front of FastAPI."""
    content_types = {kind for info in sources for kind in info.content_types}
    any_source: tuple[str, str, str, tuple[Json, ...]] = (
        "post_alerts",
        "Send alerts",
        "Whose they are is detected.",
        (),
    )
    words = "\n\n".join(("They are read as that source's.", *_peculiarities(sources)))
    one_source = ("post_to_source", "Send alerts of a source", words, (SOURCE,))
    for path, (name, summary, words, parameters) in zip(INGEST_PATHS, (any_source, one_source), strict=True):
        yield (
            path,
            {
                "operationId": name,
                "tags": ["alerts"],
                "summary": summary,
                "description": f"{summary}. {words}\n\n{ACCEPTS}\n\nNeeds a key with the scope `ingest`.",
                "security": [*_security("ingest"), *(_own_security(sources) if parameters else ())],
                "parameters": [*parameters, RETRY_KEY, CODING],
                "requestBody": {"required": True, "content": _alert_bodies(content_types)},
                "responses": _ingest_responses(shapes, sources if parameters else None),
            },
        )


INGEST_PATHS = ("/v1/alerts", "/v1/sources/{source}")


def _peculiarities(sources: Sequence[SourceInfo]) -> Iterator[str]:
    """What is otherwise at some sources' addresses."""
    larger = [f"`{info.name}` {info.largest_body}" for info in sources if info.largest_body]
    if larger:
        yield f"Where that is more than the general limit, bodies may have so many bytes: {', '.join(larger)}."
    headers = [
        f"`{info.name}` {' or '.join(map(header_name, info.key_headers))}" for info in sources if info.key_headers
    ]
    if headers:
        yield f"The key may also come in a header of the sender's own: {', '.join(headers)}."


def _own_security(sources: Sequence[SourceInfo]) -> list[Json]:
    return [{name: ["ingest"]} for name in _own_schemes(sources)]


def _own_schemes(sources: Sequence[SourceInfo]) -> Json:
    """Security schemes of headers that only some sender has, by their name."""
    return {
        f"{info.name}_{header.replace('-', '_')}": {"type": "apiKey", "in": "header", "name": header_name(header)}
        for info in sources
        for header in info.key_headers
    }


def header_name(header: str) -> str:
    """As vendors write it: X-Api-Key."""
    return "-".join(part.capitalize() for part in header.split("-"))


def _alert_bodies(content_types: Iterable[str]) -> Json:
    text = {kind: {"schema": {"type": "string"}} for kind in sorted(content_types) if kind != JSON}
    return {JSON: {"schema": ALERT_BODY, "example": ALERT_EXAMPLE}, **text}


def _ingest_responses(shapes: Shapes, sources: Sequence[SourceInfo] | None) -> Json:
    """``sources`` is None where they are detected."""
    responses: Json = {"202": {"description": "Durable.", "content": {JSON: {"schema": shapes.of(IngestView)}}}}
    named = ", ".join(f"`{info.name}`" for info in sources or () if info.reply)
    if named:
        words = f"Durable, in the words that the sender insists on: {named}."
        responses["200"] = {"description": words, "content": {JSON: {"schema": {"type": "object"}}}}
    return responses | _problems({*ALWAYS, *OF_A_KEY, *OF_A_BODY, *(() if sources is None else (404,))})


# --------------------------------------------------------------------------------------------------------- components


def _components(shapes: Shapes, sources: Sequence[SourceInfo]) -> Json:
    return {
        "schemas": shapes.components,
        "responses": {f"Problem{status}": _problem(status, shapes) for status in PROBLEMS},
        "securitySchemes": SECURITY_SCHEMES | _own_schemes(sources),
    }


def _problem(status: int, shapes: Shapes) -> Json:
    headers = PROBLEM_HEADERS.get(status, {})
    return {
        "description": PROBLEMS[status],
        "content": {MEDIA_TYPE: {"schema": shapes.of(Problem)}},
        **({"headers": {name: _header(words) for name, words in headers.items()}} if headers else {}),
    }


def _header(words: str) -> Json:
    return {"description": words, "schema": {"type": "string"}}


class Shapes:
    """JSON schemas of types. ``components`` are those that the others refer to."""

    def __init__(self, types: Sequence[Any]) -> None:
        self._types = list(types)
        schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
        self._schemas = list(schemas)
        self.components: dict[str, Json] = dict(components)
        self._mark_times()

    def of(self, kind: Any) -> Json:
        """A reference to the type's schema."""
        return self._schemas[self._types.index(kind)]

    def of_query(self, kind: type[msgspec.Struct]) -> Iterator[Json]:
        """The fields of a type as parameters. Nothing refers to its own schema, so that goes."""
        fields = (self.components.pop(kind.__name__, None) or msgspec.json.schema(kind))["properties"]
        for name, schema in fields.items():
            words = {"description": schema.pop("description")} if "description" in schema else {}
            yield {"name": name, "in": "query", "required": False, **words, "schema": schema}

    def _mark_times(self) -> None:
        # msgspec always writes times as RFC 3339, but says so only of those that must have an offset.
        for struct in _structs(msgspec.inspect.multi_type_info(self._types), set()):
            properties = self.components.get(struct.cls.__name__, {}).get("properties", {})
            for field in struct.fields:
                _mark_time(properties.get(field.encode_name, {}), field.type)


def _structs(kinds: Iterable[Any], seen: set[type]) -> Iterator[msgspec.inspect.StructType]:
    """All structs that are reached from some types."""
    for kind in kinds:
        if isinstance(kind, msgspec.inspect.StructType):
            if kind.cls in seen:
                continue
            seen.add(kind.cls)
            yield kind
        yield from _structs(_parts(kind), seen)


def _parts(kind: Any) -> Iterator[Any]:
    yield from (field.type for field in getattr(kind, "fields", ()))
    yield from getattr(kind, "types", ())
    yield from filter(None, (getattr(kind, name, None) for name in ("item_type", "value_type")))


def _mark_time(schema: Json, kind: msgspec.inspect.Type) -> None:
    kinds = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    if any(isinstance(one, msgspec.inspect.DateTimeType) for one in kinds):
        options = [option for option in schema.get("anyOf", [schema]) if option.get("type") == "string"]
        for option in options:
            option["format"] = "date-time"
