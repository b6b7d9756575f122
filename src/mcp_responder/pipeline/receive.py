"""Raw request -> Alerts with an identity. Pure: the same bytes at the same time always give the same answer."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import TypeVar

import msgspec

from mcp_responder.model.alert import Alert
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.model.signature import signature
from mcp_responder.pipeline.correlate import alarm_of, identity_of
from mcp_responder.plumbing.minted import is_minted
from mcp_responder.ports import Incoming, Inner, Reading, Request, Source

ENVELOPES = 3
"""How deep an alert may be wrapped."""

Value = TypeVar("Value")

MALFORMED = "malformed_json"

encode = msgspec.json.Encoder().encode
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
        items = self._items(request)
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
            incoming += self._identified(alerts, request, key, retry_key)
        return Received(incoming=tuple(incoming), rejected=tuple(rejected))

    def _items(self, request: Request) -> Sequence[bytes]:
        """The JSON values of a request: those of an array, or the one."""
        # Windows' tools put a mark in front of UTF-8.
        body = request.body.removeprefix(BOM_UTF8)
        text = body.lstrip()
        if not text:
            raise InvalidRequest("empty_body", "The request has no body; send one alert or an array of them as JSON.")
        if _is_plain_text(request) and not _is_json(body):
            return (encode(body.decode("utf-8", "replace")),)
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
        alerts: list[Alert] = []
        refused: InvalidRequest | None = None
        for item in self._parse(body, raw, named, request):
            try:
                alerts += self._unwrap(item, request, envelopes) if isinstance(item, Inner) else [item]
            except InvalidRequest as error:
                refused = error
        # What can't be read in an envelope with several is no reason to drop the others.
        if refused and not alerts:
            raise refused
        return alerts

    def _parse(self, body: object, raw: bytes, named: Source | None, request: Request) -> Sequence[Alert | Inner]:
        plain, reader = self._detection[-1], self._reader(body, named)
        if reader is not plain:
            with suppress(InvalidRequest):
                return self._ask(reader, body, raw, request)
            detected = self._detect(body)
            if detected is not plain and detected is not reader:
                with suppress(InvalidRequest):
                    return self._ask(detected, body, raw, request)
        # Rather a strange message than a dropped page.
        return self._ask(plain, body, raw, request)

    def _reader(self, body: object, named: Source | None) -> Source:
        """The named source, unless the body is another one's: addresses are pasted into the wrong settings."""
        plain = self._detection[-1]
        if named is None:
            return self._detect(body)
        if named is plain or named.detects(body):
            return named
        detected = self._detect(body)
        return named if detected is plain else detected

    def _ask(self, source: Source, body: object, raw: bytes, request: Request) -> Sequence[Alert | Inner]:
        reading = self._readings.get(source.INFO.name)
        return source.parse(body, raw, msgspec.structs.replace(request, reading=reading) if reading else request)

    def _detect(self, body: object) -> Source:
        for source in self._detection:
            if source.detects(body):
                return source
        return self._detection[-1]

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

    def _identified(self, alerts: Sequence[Alert], request: Request, key: str, retry_key: str) -> list[Incoming]:
        """The alerts of one item."""
        if retry_key:
            names = [f"{retry_key}\0{position}".encode(errors="surrogatepass") for position in range(len(alerts))]
        elif len(alerts) == 1:
            # Nearly always.
            return [self._identify(alerts[0], self._name(alerts[0], key), request, key)]
        else:
            names = _told_apart(alerts, [self._name(alert, key) for alert in alerts])
        pairs = zip(alerts, names, strict=True)
        return [self._identify(alert, name, request, key, stable=bool(retry_key)) for alert, name in pairs]

    def _name(self, alert: Alert, key: str) -> bytes:
        """What the sender's own words make of this one event: the same for a second sending."""
        parts: tuple[str, ...]
        if not alert.event_id:
            # Several alerts may come out of the same bytes, and a batch may say of the same bytes that it is over.
            parts = (alert.source, alert.source_id, alert.title, alert.status, alert.severity, "")
            return "\0".join(parts).encode(errors="surrogatepass") + bytes(alert.raw_data)
        if alert.source != self._detection[-1].INFO.name:
            # A sender that is known: its ids are the same by whatever route.
            parts = (alert.source, alert.event_id)
        elif is_minted(_OWN_PART.split(alert.event_id, 1)[0]):
            parts = (alert.source, alert.event_id, key)
        else:
            # Two programs behind one key may both count their events from 1.
            parts = (alert.source, alert.event_id, key, alert.title, alert.service)
        return "\0".join(parts).encode(errors="surrogatepass")

    def _identify(self, alert: Alert, name: bytes, request: Request, key: str, *, stable: bool = False) -> Incoming:
        identified = msgspec.structs.replace(
            alert,
            alert_id=blake2b(name, digest_size=12).hexdigest(),
            signature=signature(alert.title, alert.message),
            timestamp=alert.timestamp or request.received_at,
            approximate=alert.approximate or alert.timestamp is None,
            received_at=request.received_at,
            key=key,
        )
        identity = identity_of(identified, self._identity)
        unstable = not (stable or alert.event_id or alert.own_time)
        return Incoming(alert=identified, identity=identity, alarm=alarm_of(identified, identity), unstable=unstable)


def _told_apart(alerts: Sequence[Alert], names: Sequence[bytes]) -> list[bytes]:
    """The names, with its place in that of an alert that nothing else tells from one before."""
    known: set[bytes] = set()
    different: list[bytes] = []
    for position, (alert, name) in enumerate(zip(alerts, names, strict=True)):
        same = name in known and not alert.event_id
        known.add(name)
        different.append(name + f"\0{position}".encode() if same else name)
    return different


_OWN_PART = re.compile("[/\0]")
"""What follows on a sender's id: "id/resolved", or the place in an envelope."""


def _is_plain_text(request: Request) -> bool:
    return request.headers.get("content-type", "")[:10].lower() == "text/plain"


def _is_json(body: bytes) -> bool:
    try:
        _decoded(decode, body)
    except InvalidRequest as error:
        return error.code != MALFORMED
    return True


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
    return InvalidRequest(MALFORMED, f"The body is not valid JSON: {error}.")


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
