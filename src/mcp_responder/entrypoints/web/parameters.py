"""What the API's routes are given: parameters of the query, and JSON bodies; read, checked, and described once."""

# No postponed annotations here: FastAPI reads those of QueryOf and JsonBody, and can't resolve text on instances.

import enum
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin

import msgspec
from fastapi import Request
from msgspec import UNSET, Meta, UnsetType

from mcp_responder.entrypoints.web.problems import BadParameter, HttpProblem
from mcp_responder.model.alert import Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.model.incident import IncidentStatus
from mcp_responder.plumbing.fields import instant
from mcp_responder.ports import Query

Shape = TypeVar("Shape", bound=msgspec.Struct)

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
END = r"(?![\s\S])"
"""The end of a text to Python and to JavaScript; ``$`` would let Python pass a line feed."""
KEY_NAME = rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}{END}"

Limit = Annotated[int, Meta(ge=1, le=200, description="How many at most.")]
Moment = Annotated[
    str,
    Meta(
        description="A time in ISO 8601 (UTC if it has no offset), or how long ago: 15m, 24h, 7d.",
        examples=["2026-11-22T03:00:00Z", "24h"],
        max_length=64,
    ),
]
Span = Annotated[str, Meta(pattern=rf"^[1-9][0-9]{{0,4}}[smhdw]{END}", examples=["90d"])]
SpanOrNone = Annotated[str, Meta(pattern=rf"^[0-9]{{1,5}}[smhdw]{END}", examples=["24h", "0s"])]
Name = Annotated[str, Meta(max_length=200)]


# ---------------------------------------------------------------------------------------------------------- the query


class ListParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What both lists can be asked for; newest first."""

    limit: Limit = 50
    cursor: Annotated[str, Meta(description="The 'next' of an earlier answer.", max_length=1024)] | UnsetType = UNSET
    status: str | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    source: Name | UnsetType = UNSET
    service: Name | UnsetType = UNSET
    since: Moment | UnsetType = UNSET
    until: Moment | UnsetType = UNSET
    q: (
        Annotated[str, Meta(description="Words that all stand in title, service or resource.", max_length=200)]
        | UnsetType
    ) = UNSET

    def query(self, now: datetime) -> Query:
        """As the store is asked. Raises BadParameter."""
        return Query(
            limit=self.limit,
            cursor=self.cursor or "",
            status=self.status or "",
            severity=self.severity or None,
            source=self.source or "",
            service=self.service or "",
            since=moment("since", self.since, now) if self.since else None,
            until=moment("until", self.until, now) if self.until else None,
            words=_words(self.q) if self.q else (),
        )


class AlertParameters(ListParameters, frozen=True, kw_only=True):
    """Times are of reception."""

    status: Status | UnsetType = UNSET


class IncidentParameters(ListParameters, frozen=True, kw_only=True):
    """Times are of opening."""

    status: IncidentStatus | UnsetType = UNSET


class LedgerParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Whole hours, from the one that holds this time."""

    since: Moment = "7d"


class CostParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Whole days (UTC), from the one that holds this time."""

    since: Moment = "30d"


class LimitParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Of a list without pages."""

    limit: Limit = 50


def moment(name: str, text: str, now: datetime) -> datetime:
    """A time, or how long ago. Raises BadParameter, naming the parameter."""
    ago = span(text)
    # A plus sign that wasn't percent-encoded arrives as a blank.
    at = now - ago if ago is not None else instant(re.sub(r" (?=\d\d:?\d\d$)", "+", text) if "T" in text else text)
    if at is None:
        raise BadParameter(name, "must be a time in ISO 8601, or how long ago, like 15m, 24h or 7d")
    return at


def span(text: str) -> timedelta | None:
    """``15m``, ``24h``, ``7d``: a length of time, or None if it isn't one."""
    found = re.fullmatch(r"([0-9]{1,5})([smhdw])", text)
    return timedelta(**{UNITS[found[2]]: int(found[1])}) if found else None


def _words(text: str) -> tuple[str, ...]:
    words = tuple(re.findall(r"\w+", text))
    if text.strip() and not words:
        raise BadParameter("q", "must have at least one word")
    return words


class QueryOf(Generic[Shape]):
    """FastAPI dependency: the query as one of the shapes above. Raises BadParameter."""

    def __init__(self, kind: type[Shape]) -> None:
        self.kind = kind
        self.names = kind.__struct_fields__
        self._spelled = {
            one.name: {choice.lower(): choice for choice in _choices(one.type)} for one in msgspec.structs.fields(kind)
        }

    async def __call__(self, request: Request) -> Shape:
        given = request.query_params.multi_items()
        self._check_names([name for name, _ in given])
        try:
            return msgspec.convert({name: self._spell(name, text) for name, text in given}, self.kind, strict=False)
        except msgspec.ValidationError as error:
            raise self._explained(error) from error

    def _spell(self, name: str, text: str) -> str:
        """A choice as it is defined, however its letters were cased; any other text as it is."""
        return self._spelled[name].get(text.lower(), text)

    def _check_names(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.names:
                raise BadParameter(name, f"isn't known here; known: {', '.join(self.names)}")
            if names.count(name) > 1:
                raise BadParameter(name, "is given more than once")

    def _explained(self, error: msgspec.ValidationError) -> BadParameter:
        name, words = _explained(self.kind, error)
        return BadParameter(name, words)


def _explained(kind: type[msgspec.Struct], error: msgspec.ValidationError) -> tuple[str, str]:
    """Which field, and what is wrong with it or allowed there."""
    words, _, place = str(error).partition(" - at `$")
    field = place.rstrip("`").lstrip(".")
    name = field.partition("[")[0]
    choices = _choices(next((one.type for one in msgspec.structs.fields(kind) if one.name == name), None))
    if choices:
        return field, f"must be one of: {', '.join(choices)}"
    return field, f"can't be used: {words[:1].lower()}{words[1:].replace('`', chr(39))}"


def _choices(hint: Any) -> list[str]:
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return [choice.value for choice in hint]
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [choice for part in get_args(hint) for choice in _choices(part)]


# ----------------------------------------------------------------------------------------------------------- the body


class Who(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything is optional; so is the body itself."""

    by: Annotated[str, Meta(max_length=100, description="The person, when several share a key.")] = ""


class Comment(Who, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words for an incident's timeline."""

    text: Annotated[str, Meta(max_length=10_000, pattern=r"\S")]


class Silence(Who, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long an incident is to be quiet."""

    minutes: Annotated[int, Meta(ge=1, le=10_080, description="Up to a week.")]


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API key to be made. Without ``expires_in`` it works until it is revoked; 0 ``per_minute`` is no limit."""

    name: Annotated[str, Meta(pattern=KEY_NAME)]
    scopes: Annotated[tuple[Literal["ingest", "read", "respond", "admin"], ...], Meta(min_length=1)]
    expires_in: Span | UnsetType = UNSET
    per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``overlap`` is how long the old key goes on working."""

    overlap: SpanOrNone = "24h"


class JsonBody(Generic[Shape]):
    """FastAPI dependency: the body as one of the shapes above; none at all counts as ``{}``.

    Raises InvalidRequest: 400 malformed_json, 413 too_large, 415 unsupported_type, 422 invalid_body.
    """

    def __init__(self, kind: type[Shape]) -> None:
        self.kind = kind
        self._decode = msgspec.json.Decoder(kind).decode

    async def __call__(self, request: Request) -> Shape:
        body = (await _body(request, request.app.state.body_limit)).strip()
        if body:
            _check_type(request.headers)
        try:
            return self._decode(b"{}" if body in (b"", b"null") else body)
        except msgspec.ValidationError as error:
            field, words = _explained(self.kind, error)
            subject = f"The body's '{field}'" if field else "The body"
            raise HttpProblem("invalid_body", f"{subject} {words}.", 422, members={"field": field}) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest("malformed_json", f"The body is not valid JSON: {error}.") from error


class RawBody:
    """FastAPI dependency: the body as it came, exactly, for those who have it signed. ``schema`` describes it.

    Raises InvalidRequest: 413 too_large.
    """

    def __init__(self, media_type: str, schema: dict[str, Any]) -> None:
        self.content = {media_type: {"schema": schema}}

    async def __call__(self, request: Request) -> bytes:
        return await _body(request, request.app.state.body_limit)


async def _body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise InvalidRequest("too_large", f"The body is larger than {limit} bytes.", status=413)
    return bytes(body)


def _check_type(headers: Mapping[str, str]) -> None:
    if headers.get("content-encoding", "identity") != "identity":
        raise InvalidRequest("unsupported_coding", "The body must be sent without a content coding.", status=415)
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise InvalidRequest("unsupported_type", f"'{kind}' is not read here; send application/json.", status=415)
