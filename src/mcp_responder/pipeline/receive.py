"""Raw request -> Alerts with an identity. Pure: the same bytes at the same time always give the same answer."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

import msgspec

from mcp_responder.model.alert import Alert
from mcp_responder.model.errors import InvalidRequest, TakesLong, Unverified
from mcp_responder.model.signature import signature
from mcp_responder.pipeline.correlate import alarm_of, identity_of
from mcp_responder.plumbing.minted import is_minted
from mcp_responder.ports import Incoming, Inner, Reading, Request, Signed, Source, Vouch, unchecked

ENVELOPES = 3
"""How deep an alert may be wrapped."""

Value = TypeVar("Value")

MALFORMED = "malformed_json"
TOO_LARGE = 413

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
    asking: frozenset[str] = frozenset()
    """Ids of alerts whose sender waits for a confirmation."""


class Receive:
    """Turns requests into alerts that are ready for the store.

    ``sources`` is in the order of detection; the last one takes any JSON. ``identity`` are the fields that make an
    incident, ``readings`` say how a source is to be read, ``vouch`` verifies what is signed.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        identity: tuple[str, ...],
        readings: Mapping[str, Reading],
        limits: Limits,
        vouch: Vouch = unchecked,
    ) -> None:
        self._sources = sources
        self._detection = tuple(sources.values())
        self._unmarked = tuple(source for source in self._detection if not source.INFO.marks)
        self._marks = frozenset().union(*(source.INFO.marks for source in self._detection))
        self._readings = {name: reading for name, reading in readings.items() if reading != Reading()}
        self._identity = identity
        self._limits = limits
        self._vouch = vouch
        self._event_headers = tuple(filter(None, (source.INFO.event_header for source in self._detection)))

    def __call__(
        self, request: Request, source: str, key: str, idempotency_key: str = "", *, keyless: bool = False
    ) -> Received:
        """Read a request for the named source, or for the one that is detected when ``source`` is empty.

        ``key`` is the name of the API key that brought it. With ``keyless`` there was none: all of it must be signed,
        by who is listed. Raises InvalidRequest if the body as a whole can't be read, CertificateMissing and other
        Transients if it can't be verified now, and TakesLong if it is hurried and would take long.
        """
        named = self._sources[source] if source else None
        items = self._items(request)
        incoming: list[Incoming] = []
        rejected: list[Rejected] = []
        opened: list[Alert | Inner] = []
        event_id = self._event_id(request)
        for index, raw in enumerate(items):
            try:
                self._check_depth(raw, outside=raw is not request.body)
                alerts = self._read(raw, named, request, ENVELOPES, opened, keyless=keyless)
            except InvalidRequest as error:
                if keyless:
                    raise
                rejected.append(Rejected(index=index, error=error))
                continue
            if event_id:
                alerts = _named_by(event_id, alerts, len(incoming))
            retry_key = f"{key}\0{idempotency_key}\0{index}" if idempotency_key else ""
            incoming += self._identified(alerts, request, key, retry_key)
        if keyless and not opened:
            raise _unsigned()
        asking = self._asking(incoming, opened) if opened else frozenset()
        return Received(incoming=tuple(incoming), rejected=tuple(rejected), asking=asking)

    def _event_id(self, request: Request) -> str:
        for header in self._event_headers:
            if header in request.headers:
                return request.headers[header]
        return ""

    def _asking(self, incoming: Sequence[Incoming], opened: Sequence[Alert | Inner]) -> frozenset[str]:
        """Which of them ask for a confirmation that may be given: only those that were signed themselves."""
        signed = {bytes(item.raw_data) for item in opened if isinstance(item, Alert)}
        ours, others = set[str](), set[str]()
        for one in incoming:
            (ours if bytes(one.alert.raw_data) in signed else others).add(one.alert.alert_id)
        asking = (one.alert for one in incoming if one.alert.alert_id in ours - others)
        return frozenset(alert.alert_id for alert in asking if self.confirmation(alert))

    def confirmation(self, alert: Alert) -> str:
        """The address to fetch for an alert whose sender asks for a confirmation that may be given; else empty."""
        source = self._sources.get(alert.source)
        if source is None or source.INFO.confirmation is None:
            return ""
        return source.INFO.confirmation(alert, self._readings.get(alert.source, Reading()))

    def _items(self, request: Request) -> Sequence[bytes]:
        """The JSON values of a request: those of an array, or the one."""
        # Windows' tools put a mark in front of UTF-8.
        body = request.body.removeprefix(BOM_UTF8)
        text = body.lstrip()
        if not text:
            raise InvalidRequest("empty_body", "The request has no body; send one alert or an array of them as JSON.")
        if _is_plain_text(request) and not _is_json(body):
            return (encode(body.decode("utf-8", "replace")),)
        return self._bodies(text) if text.startswith(b"[") else (body,)

    def _check_depth(self, body: bytes, outside: int = 0) -> None:
        limit = self._limits.depth - outside
        if body.count(b"[") + body.count(b"{") > limit and _depth(body) > limit:
            raise _too_deep()

    def _read(
        self,
        raw: bytes,
        named: Source | None,
        request: Request,
        envelopes: int,
        opened: list[Alert | Inner],
        *,
        keyless: bool = False,
    ) -> list[Alert]:
        """The alerts of one JSON value; what was in a signed one is added to ``opened``."""
        body, raw = _decoded(decode, raw)
        items = (self._ask_signed if keyless else self._parse)(body, raw, named, request)
        if keyless:
            for item in items:
                _check_listed(item)
        return _salvaged(items, lambda item: self._open(item, request, envelopes, opened))

    def _open(
        self, item: Alert | Inner | Signed, request: Request, envelopes: int, opened: list[Alert | Inner]
    ) -> list[Alert]:
        if isinstance(item, Alert):
            return [item]
        if isinstance(item, Inner):
            return self._unwrap(item, request, envelopes, opened)
        self._vouch(item)
        inside = item.inside()
        opened.append(inside)
        return [inside] if isinstance(inside, Alert) else self._unwrap(inside, request, envelopes, opened)

    def _ask_signed(
        self, body: object, raw: bytes, named: Source | None, request: Request
    ) -> Sequence[Alert | Inner | Signed]:
        """What the named source has to verify. Whoever sends this may be anybody: no other source works for him."""
        if named is None or named.INFO.signs is None or not named.INFO.signs(body):
            raise _unsigned()
        return self._ask(named, body, raw, request)

    def _parse(
        self, body: object, raw: bytes, named: Source | None, request: Request
    ) -> Sequence[Alert | Inner | Signed]:
        plain, reader = self._detection[-1], self._reader(body, named)
        if reader is not plain:
            if (found := self._try(reader, body, raw, request)) is not None:
                return found
            detected = self._detect(body)
            if detected is not plain and detected is not reader:
                found = self._try(detected, body, raw, request)
            if found is not None:
                return found
        # Rather a strange message than a dropped page.
        return self._ask(plain, body, raw, request)

    def _try(
        self, source: Source, body: object, raw: bytes, request: Request
    ) -> Sequence[Alert | Inner | Signed] | None:
        """What a source reads; None if it can't. Raises InvalidRequest for what is too much, whoever reads it."""
        try:
            return self._ask(source, body, raw, request)
        except InvalidRequest as error:
            if error.status == TOO_LARGE:
                raise
            return None

    def _reader(self, body: object, named: Source | None) -> Source:
        """The named source, unless the body is another one's: addresses are pasted into the wrong settings."""
        plain = self._detection[-1]
        if named is None:
            return self._detect(body)
        if named is plain or named.detects(body):
            return named
        detected = self._detect(body)
        return named if detected is plain else detected

    def _ask(self, source: Source, body: object, raw: bytes, request: Request) -> Sequence[Alert | Inner | Signed]:
        if source.INFO.unpacks:
            if request.hurried:
                raise TakesLong("It holds more than its size says.")
            request = msgspec.structs.replace(request, knows=self._knows)
        reading = self._readings.get(source.INFO.name)
        return source.parse(body, raw, msgspec.structs.replace(request, reading=reading) if reading else request)

    def _detect(self, body: object) -> Source:
        # Most bodies bear nobody's mark, and there are many sources to ask.
        unmarked = isinstance(body, dict) and self._marks.isdisjoint(body)
        for source in self._unmarked if unmarked else self._detection:
            if source.detects(body):
                return source
        return self._detection[-1]

    def _knows(self, body: object) -> bool:
        return self._detect(body) is not self._detection[-1]

    def _unwrap(self, inner: Inner, request: Request, envelopes: int, opened: list[Alert | Inner]) -> list[Alert]:
        try:
            alerts = self._inside(inner, request, envelopes, opened)
        except Unverified:
            raise
        except InvalidRequest:
            if inner.otherwise is None:
                raise
            return [inner.otherwise]
        placed = [_placed(alert, inner.otherwise) for alert in alerts] if inner.otherwise else alerts
        return _named_by(inner.event_id, placed, 0) if inner.event_id else placed

    def _inside(self, inner: Inner, request: Request, envelopes: int, opened: list[Alert | Inner]) -> list[Alert]:
        if envelopes == 0:
            raise InvalidRequest("too_many_envelopes", f"More than {ENVELOPES} envelopes around an alert.", status=422)
        self._check_depth(inner.body)
        titled = msgspec.structs.replace(request, title=inner.title)
        bodies = self._bodies(inner.body)
        return _salvaged(bodies, lambda body: self._read(body, None, titled, envelopes - 1, opened))

    def _bodies(self, text: bytes) -> Sequence[bytes]:
        """The JSON values of an array, or the one."""
        if not text.startswith(b"["):
            return (text,)
        items, _ = _decoded(decode_items, text)
        if len(items) > self._limits.items:
            raise InvalidRequest(
                "too_many_items",
                f"The request holds {len(items)} alerts; at most {self._limits.items} are taken at once. Split it.",
                status=413,
            )
        return [bytes(item) for item in items]

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


def _salvaged(parts: Sequence[Value], read: Callable[[Value], list[Alert]]) -> list[Alert]:
    """The alerts of all parts that can be read: the others are no reason to drop them. Raises InvalidRequest if there
    is none, and Unverified for any that is forged."""
    alerts: list[Alert] = []
    refused: InvalidRequest | None = None
    for part in parts:
        try:
            alerts += read(part)
        except Unverified:
            raise
        except InvalidRequest as error:
            refused = error
    if refused and not alerts:
        raise refused
    return alerts


def _check_listed(item: Alert | Inner | Signed) -> None:
    """Whether it may come in without an API key. Raises Unverified."""
    if not isinstance(item, Signed) or not item.required:
        raise _unsigned()
    if not item.listed:
        words = f"It came without an API key, and {item.signer} isn't listed: list it in the settings, or send a key."
        raise Unverified("missing_key", words, status=401)


def _unsigned() -> Unverified:
    words = "It came without an API key and isn't signed: send a key, as X-API-Key or the password of HTTP Basic."
    return Unverified("missing_key", words, status=401)


def _placed(alert: Alert, envelope: Alert) -> Alert:
    """When it was and from which account and region, said by the envelope where the alert doesn't."""
    if alert.timestamp and alert.account and alert.region:
        return alert
    return msgspec.structs.replace(
        alert,
        timestamp=alert.timestamp or envelope.timestamp,
        account=alert.account or envelope.account,
        region=alert.region or envelope.region,
    )


def _named_by(event_id: str, alerts: Sequence[Alert], first: int) -> list[Alert]:
    """The alerts; those without an event id have the delivery's, with their place, which begins at ``first``."""
    return [
        alert if alert.event_id else msgspec.structs.replace(alert, event_id=f"{event_id}\0{position}")
        for position, alert in enumerate(alerts, first)
    ]


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
