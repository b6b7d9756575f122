"""The HTTP API's reference: from the OpenAPI document that the service itself hands out."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from fastapi.routing import APIRoute

from docs.generator.markdown import MADE, code, plain, table
from mcp_responder import app
from mcp_responder.entrypoints.web.api import create_api
from mcp_responder.entrypoints.web.auth import Authenticator
from mcp_responder.operations import Operations
from mcp_responder.pipeline.route import everyone
from mcp_responder.settings import Settings
from mcp_responder.storage.memory import MemoryStore

Json = dict[str, Any]

HEAD = f"""\
# HTTP API

{MADE}

The running service describes itself in OpenAPI 3.1 at `/openapi.json`; this page is made from it.

**Keys.** Send an API key with every request: as `X-API-Key`, as `Authorization: Bearer`, or as the password of HTTP
Basic. Each operation names the scope that the key must have. `/healthz` and `/readyz` are open; `/metrics` is open
while the service listens on loopback without a proxy, else it needs the scope `read`.

**Errors** are problem documents (RFC 9457, `application/problem+json`) with a stable `code`: see [errors](errors.md).

**Lists** are `{{"items": [...], "next": CURSOR or null}}`, newest first. Pass `next` as `cursor` to go on.

**Times** in answers are RFC 3339 in UTC. Times in queries are that, or how long ago: `15m`, `24h`, `7d`.
"""


@cache
def description() -> Json:
    """The OpenAPI document."""
    settings = Settings()
    store = MemoryStore(app.clock)
    operations = Operations(store, app.clock, everyone(()))
    api = create_api(
        operations=operations,
        authenticator=Authenticator(store.keys, app.clock),
        sources=app.build_sources(),
        channels={},
        settings=settings,
        metrics=lambda: b"",
        ready=lambda: "",
        version="0",
        dead_letters=store.dead_letters,
    )
    route = next(one for one in api.routes if isinstance(one, APIRoute) and one.path == "/openapi.json")
    return cast("Json", json.loads(route.endpoint().body))


def operations() -> Iterator[tuple[str, str, Json]]:
    """(method, path, operation) of each."""
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def page() -> str:
    """The reference."""
    return "\n".join((HEAD, *_overview(), *_groups(), *_statuses(), *_shapes()))


def _overview() -> Iterator[str]:
    rows = (
        (f"[`{method} {path}`](#{one['operationId']})", one["summary"], _scope(one)) for method, path, one in _all()
    )
    return table(("operation", "what it does", "scope"), rows)


def _all() -> list[tuple[str, str, Json]]:
    tags = [tag["name"] for tag in description()["tags"]]
    return sorted(operations(), key=lambda one: tags.index(one[2]["tags"][0]))


def _groups() -> Iterator[str]:
    for tag in description()["tags"]:
        yield from ("", f"## {tag['name'].capitalize()}", "", tag["description"])
        for method, path, operation in _all():
            if operation["tags"][0] == tag["name"]:
                yield from _operation(method, path, operation)


def _scope(operation: Json) -> str:
    schemes = operation.get("security", [])
    return code(next(iter(schemes[0].values()))[0]) if schemes else "open"


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    yield from ("", f'<a id="{operation["operationId"]}"></a>', "", f"### `{method} {path}`", "")
    yield plain(operation["description"])
    if operation.get("parameters"):
        rows = [(_parameter(one), _type(one["schema"]), _parameter_words(one)) for one in operation["parameters"]]
        yield from ("", *table(("parameter", "type", "what it is for"), rows))
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        yield from ("", f"**Body**: {'; '.join(f'`{kind}`: {_body(shape)}' for kind, shape in body.items())}.")
    problems = [status for status, answer in operation["responses"].items() if "$ref" in answer]
    yield from ("", f"{_answer(operation['responses'])} Problems: {', '.join(problems)}.")


def _parameter(one: Json) -> str:
    return f"{code(one['name'])} ({one['in']}{', required' if one['required'] else ''})"


def _parameter_words(one: Json) -> str:
    schema = one["schema"]
    default = f"Default: {code(str(schema['default']))}." if schema.get("default") not in (None, "") else ""
    return " ".join(filter(None, (one.get("description", ""), default)))


def _body(content: Json) -> str:
    words = content["schema"].get("description", "")
    return str(words).rstrip(".") or _type(content["schema"])


def _answer(responses: Json) -> str:
    status, answer = next((status, answer) for status, answer in responses.items() if "$ref" not in answer)
    kinds = answer.get("content", {})
    shapes = ", ".join(_type(content["schema"]) or code(kind) for kind, content in kinds.items())
    return f"**Answers** {status}{f' with {shapes}' if shapes else ', empty'}."


def _statuses() -> Iterator[str]:
    problems = description()["components"]["responses"]
    rows = ((name.removeprefix("Problem"), problem["description"]) for name, problem in problems.items())
    yield from ("", "## Problems", "", "What the statuses mean; the codes are on the page [errors](errors.md).", "")
    yield from table(("status", "what it means"), rows)


def _shapes() -> Iterator[str]:
    yield from ("", "## Shapes", "", "What is sent and answered. A field with a default may be left out of a body.")
    for name, schema in sorted(description()["components"]["schemas"].items()):
        about = plain(inspect.cleandoc(schema.get("description", "")))
        yield from ("", f"### {name}", "", *((about.replace("<", "&lt;"), "") if about else ()))
        if schema.get("properties"):
            rows = ((code(field), _type(one), _limits(one)) for field, one in schema["properties"].items())
            yield from table(("field", "type", ""), rows)
        elif "enum" in schema:
            yield f"One of {', '.join(code(value) for value in schema['enum'])}."


def _limits(schema: Json) -> str:
    words = {"maxLength": "at most {} characters", "maxItems": "at most {}", "minimum": "from {}", "maximum": "to {}"}
    said = ", ".join(form.format(schema[key]) for key, form in words.items() if key in schema)
    default = schema.get("default")
    defaults = f"default {code(json.dumps(default))}" if default not in (None, "", [], {}) else ""
    return "; ".join(filter(None, (str(schema.get("description", "")).rstrip("."), said, defaults)))


def _type(schema: Json) -> str:
    """A type in words: ``text``, ``number``, a link to a shape, a list of them."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(filter(None, map(_type, schema["anyOf"]))))
    if "enum" in schema:
        return ", ".join(code(str(value)) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"object of {_type(inner)}" if isinstance(inner, dict) and inner else "object"
    return _plain_type(schema)


def _plain_type(schema: Json) -> str:
    kind = schema.get("type", "")
    if isinstance(kind, list):
        return " or ".join(kind)
    names = {"string": "time" if schema.get("format") == "date-time" else "text", "integer": "whole number"}
    return str(names.get(kind, kind))
