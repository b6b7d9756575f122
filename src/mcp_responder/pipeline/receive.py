"""Raw request -> Alerts with an identity. Pure: the same bytes at the same time always give the same answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

import msgspec

from mcp_responder.model.alert import Alert
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.model.signature import signature
from mcp_responder.pipeline.correlate import alarm_of, identity_of
from mcp_responder.ports import Incoming, Inner, Reading, Request, Source

ENVELOPES = 3
"""How deep an alert may be wrapped."""

Value = TypeVar("Value")

decode = msgspec.json.Decoder().decode
decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may hold."""

    items: int = 1000
    depth: int = 64


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """An item that can't be used: its index in the request, and why."""

    index: int
    error: InvalidRequest


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What was in a request. Both empty: authentic, but no alert."""

    incoming: tuple[Incoming, ...]
    rejected: tuple[Rejected, ...]


class Receive:
    """Turns requests into alerts that are ready for the store.

    ``sources`` is in the order of detection; the last one takes any JSON. ``identity`` are the fields that make an
    incident, ``readings`` say how a source is to be read.
    """

    def __init__(
        self, sources: Mapping[str, Source], identity: tuple[str, ...], readings: Mapping[str, Reading], limits: Limits
    ) -> None:
        self._sources = sources
        self._detection = tuple(sources.values())
        self._readings = {name: reading for name, reading in readings.items() if reading != Reading()}
        self._identity = identity
        self._limits = limits

    def __call__(self, request: Request, source: str, key: str, idempotency_key: str = "") -> Received:
        """Read a request for the named source, or for the one that is detected when ``source`` is empty.

        ``key`` is the name of the API key that brought it. Raises InvalidRequest if the body as a whole can't be read.
        """
        named = self._sources[source] if source else None
        items = self._items(request.body)
        incoming: list[Incoming] = []
        rejected: list[Rejected] = []
        for index, raw in enumerate(items):
            try:
                self._check_depth(raw, outside=raw is not request.body)
                alerts = self._read(raw, named, request, ENVELOPES)
            except InvalidRequest as error:
                rejected.append(Rejected(index=index, error=error))
                continue
            retry_key = f"{key}\0{idempotency_key}\0{index}" if idempotency_key else ""
            for position, alert in enumerate(alerts):
                incoming.append(self._identify(alert, request, key, f"{retry_key}\0{position}" if retry_key else ""))
        return Received(incoming=tuple(incoming), rejected=tuple(rejected))

    def _items(self, body: bytes) -> Sequence[bytes]:
        """The JSON values of a request: those of an array, or the one."""
        text = body.lstrip()
        if not text:
            raise InvalidRequest("empty_body", "The request has no body; send one alert or an array of them as JSON.")
        if not text.startswith(b"["):
            return (body,)
        items, _ = _decoded(decode_items, body)
        if len(items) > self._limits.items:
            raise InvalidRequest(
                "too_many_items",
                f"The request holds {len(items)} alerts; at most {self._limits.items} are taken at once. Split it.",
                status=413,
            )
        return [bytes(item) for item in items]

    def _check_depth(self, body: bytes, outside: int = 0) -> None:
        limit = self._limits.depth - outside
        if body.count(b"[") + body.count(b"{") > limit and _depth(body) > limit:
            raise _too_deep()

    def _read(self, raw: bytes, named: Source | None, request: Request, envelopes: int) -> list[Alert]:
        body, raw = _decoded(decode, raw)
        found = self._parse(named or self._detect(body), body, raw, request)
        alerts: list[Alert] = []
        for item in found:
            alerts += self._unwrap(item, request, envelopes) if isinstance(item, Inner) else [item]
        return alerts

    def _detect(self, body: object) -> Source:
        for source in self._detection:
            if source.detects(body):
                return source
        return self._detection[-1]

    def _parse(self, source: Source, body: object, raw: bytes, request: Request) -> Sequence[Alert | Inner]:
        plain = self._detection[-1]
        reading = self._readings.get(source.INFO.name)
        if reading:
            request = msgspec.structs.replace(request, reading=reading)
        try:
            return source.parse(body, raw, request)
        except InvalidRequest:
            if source is plain:
                raise
        # Rather a strange message than a dropped page.
        return plain.parse(body, raw, request)

    def _unwrap(self, inner: Inner, request: Request, envelopes: int) -> list[Alert]:
        if envelopes == 0:
            raise InvalidRequest("too_many_envelopes", f"More than {ENVELOPES} envelopes around an alert.", status=422)
        self._check_depth(inner.body)
        alerts = self._read(inner.body, None, request, envelopes - 1)
        if not inner.event_id:
            return alerts
        return [
            msgspec.structs.replace(alert, event_id=alert.event_id or f"{inner.event_id}\0{position}")
            for position, alert in enumerate(alerts)
        ]

    def _identify(self, alert: Alert, request: Request, key: str, retry_key: str) -> Incoming:
        unstable = False
        if retry_key:
            name = retry_key.encode(errors="surrogatepass")
        elif alert.event_id:
            name = f"{alert.source}\0{alert.event_id}".encode(errors="surrogatepass")
        else:
            # Several alerts may come out of the same bytes: what tells them apart joins the name.
            name = f"{alert.source}\0{alert.source_id}\0{alert.title}\0".encode(errors="surrogatepass")
            name += bytes(alert.raw_data)
            unstable = alert.timestamp is None
        identified = msgspec.structs.replace(
            alert,
            alert_id=blake2b(name, digest_size=12).hexdigest(),
            signature=signature(alert.title, alert.message),
            timestamp=alert.timestamp or request.received_at,
            received_at=request.received_at,
            key=key,
        )
        identity = identity_of(identified, self._identity)
        return Incoming(alert=identified, identity=identity, alarm=alarm_of(identified, identity), unstable=unstable)


def _decoded(read: Callable[[bytes], Value], raw: bytes) -> tuple[Value, bytes]:
    """A JSON value and its text, in which letters that can't be read are mended."""
    try:
        return read(raw), raw
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        failure = error
    # A sender that cuts a text in the middle of a letter must not lose its page.
    mended = _ESCAPE.sub(_whole_escape, raw.decode("utf-8", "replace")).encode()
    try:
        return read(mended), mended
    except (msgspec.DecodeError, RecursionError):
        raise _malformed(failure) from failure


_ESCAPE = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL)
"""An escape in a JSON text; the group is half of a surrogate pair."""


def _whole_escape(found: re.Match[str]) -> str:
    return "\\ufffd" if found[1] else found[0]


def _malformed(error: Exception) -> InvalidRequest:
    if isinstance(error, RecursionError):
        return _too_deep()
    return InvalidRequest("malformed_json", f"The body is not valid JSON: {error}.")


def _too_deep() -> InvalidRequest:
    return InvalidRequest("too_deep", "The JSON is nested too deep to be an alert.", status=413)


def _depth(body: bytes) -> int:
    """Deepest nesting of brackets; those inside of strings don't count."""
    deepest = level = 0
    for byte in _STRING.sub(b"", body).translate(None, _NO_BRACKETS):
        level += 1 if byte in b"[{" else -1
        deepest = max(deepest, level)
    return deepest


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
