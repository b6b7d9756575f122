"""The hot path of the HTTP door: a bare ASGI callable that takes alerts in and answers once they are durable."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec

from mcp_responder.entrypoints.web.auth import Authenticator, Bucket, token_of
from mcp_responder.entrypoints.web.problems import HttpProblem, Scope, Send, problem_response
from mcp_responder.entrypoints.web.problems import Receive as Inbound
from mcp_responder.model.errors import CertificateMissing, InvalidRequest, NotFound, TakesLong, Transient
from mcp_responder.operations import SIGNATURE
from mcp_responder.pipeline.confirm import confirming
from mcp_responder.pipeline.receive import Receive, Rejected
from mcp_responder.ports import Accepted, Clock, Decide, Incoming, Request, Source
from mcp_responder.storage.sqlite.writer import Done

RawHeaders = Sequence[tuple[bytes, bytes]]
SubmitAccept = Callable[[Sequence[Incoming], Decide, Done, int], None]
Seen = Callable[[Sequence[Incoming], Sequence[Accepted], Sequence[Rejected], float], None]
"""Told of each request: alerts, what became of them, what was rejected, seconds from the first byte to durable."""
Fetch = Callable[[CertificateMissing], Awaitable[None]]
"""Waits until a certificate is here, or isn't to be had."""

ANY = "/v1/alerts"
NAMED = "/v1/sources/"
CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Content coding -> zlib's window bits."""
MOST_MEMBERS = 100
"""Concatenated members of a compressed body: thousands of empty ones would hold up everybody for half a second."""
HURRIED = 256 * 1024
"""Bytes of a body that is read at once, in the event loop. What is larger, compressed or packed is read beside it."""
READERS = 2
"""Threads that read beside the event loop."""
MOST_WAITING = 64 * 1024 * 1024
"""Bytes of bodies that wait for them."""
RETRY_AFTER = 2.0
MOST_CERTIFICATES = 4
"""Certificates that are fetched for one request."""

encode = msgspec.json.Encoder().encode


class AcceptedView(msgspec.Struct, frozen=True):
    """An alert that is durable now."""

    alert_id: str
    source: str
    signature: str
    status_url: str


class ErrorView(msgspec.Struct, frozen=True):
    """Why an item can't be used: a word for programs, a sentence for people."""

    code: str
    detail: str


class RejectedView(msgspec.Struct, frozen=True):
    """An item that wasn't taken, by its index in the request."""

    index: int
    error: ErrorView


class IngestView(msgspec.Struct, frozen=True):
    """The answer to a request with alerts."""

    accepted: tuple[AcceptedView, ...]
    rejected: tuple[RejectedView, ...]


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken at one path."""

    source: str = ""
    """Empty: to be detected."""
    content_types: frozenset[str] = frozenset()
    limit: int
    """Bytes of a body, after decompression."""
    key_headers: frozenset[bytes] = frozenset()
    allowance: Bucket | None = None
    """How often it may be used without an API key, by what is signed; None: never."""
    reply: Callable[[Request], Mapping[str, object]] | None = None


class Visit(msgspec.Struct, kw_only=True):
    """One request on its way through the door."""

    start: float
    caller: str
    headers: Mapping[str, str]
    address: Address
    keyless: bool = False
    """It came without an API key: its signature must do."""
    asking: frozenset[str] = frozenset()
    """Ids of alerts whose sender waits for a confirmation."""
    reply: bytes | None = None
    """The body of the 200 that this sender insists on; None: a 202 with what became of the alerts."""
    incoming: Sequence[Incoming] = ()
    rejected: Sequence[Rejected] = ()
    size: int = 0
    """Bytes after decompression."""


class Ingest:
    """Serves ``POST /v1/alerts`` and ``POST /v1/sources/{source}``."""

    def __init__(
        self,
        *,
        receive: Receive,
        sources: Mapping[str, Source],
        submit: SubmitAccept,
        decide: Decide,
        authenticator: Authenticator,
        clock: Clock,
        body_limit: int,
        public_url: str,
        headers: RawHeaders,
        seen: Seen,
        keyless: Mapping[str, int] | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        self._receive = receive
        self._sources = sources
        self._submit = submit
        self._decide = decide
        self._authenticator = authenticator
        self._clock = clock
        self._limit = body_limit
        self._public_url = public_url
        self._headers = [(b"content-type", b"application/json"), *headers]
        self._problem_headers = list(headers)
        self._event_headers = [info.INFO.event_header.encode() for info in sources.values() if info.INFO.event_header]
        self._seen = seen
        self._fetch = fetch
        self._waiting = 0
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._addresses = _addresses(sources, body_limit, keyless or {})

    @staticmethod
    def serves(scope: Scope) -> bool:
        """Whether a request is for this door; anything else is the API's."""
        path: str = scope["path"]
        return scope["method"] == "POST" and (path == ANY or (path.startswith(NAMED) and "/" not in path[12:]))

    async def __call__(self, scope: Scope, receive: Inbound, send: Send) -> None:
        try:
            visit = self.admit(scope["headers"], scope["path"])
            await self.read_patiently(visit, await self._body(visit, receive))
            accepted = await self._accept(visit) if visit.incoming else []
            host = visit.headers.get("host") or _own_address(scope)
            body = self.view(visit, accepted, f"{scope['scheme']}://{host}")
        except Exception as error:  # noqa: BLE001 - a door answers whatever happens
            status, headers, problem = problem_response(error)
            await _answer(send, status, [*headers, *self._problem_headers], problem)
        else:
            await _answer(send, status_of(visit), self._headers, body)

    # The steps of a request, for whoever brings it.

    def admit(self, raw_headers: RawHeaders, path: str) -> Visit:
        """Whether the caller may send this here. Raises InvalidRequest."""
        start = time.perf_counter()
        address = self._addresses.get(path)
        if address and address.allowance and not token_of(raw_headers):
            return self._admit_keyless(raw_headers, address, start)
        caller = self._authenticator.authenticate(raw_headers, "ingest", address.key_headers if address else ())
        if address is None:
            raise NotFound("source", path.removeprefix(NAMED))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw_headers}
        _check_type(headers.get("content-type", ""), address)
        return Visit(start=start, caller=caller.name, headers=headers, address=address)

    def _admit_keyless(self, raw_headers: RawHeaders, address: Address, start: float) -> Visit:
        # Headers aren't signed: what they say of the event counts for nothing.
        unsigned = (b"idempotency-key", *self._event_headers)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in raw_headers if name not in unsigned
        }
        _check_type(headers.get("content-type", ""), address)
        return Visit(start=start, caller=SIGNATURE, headers=headers, address=address, keyless=True)

    def limit(self, path: str) -> int:
        """Bytes that a body for this path may have."""
        address = self._addresses.get(path)
        return address.limit if address else self._limit

    def read(self, visit: Visit, body: bytes) -> None:
        """Find the alerts in a body, as it was sent. Raises InvalidRequest, and TakesLong if that isn't done soon."""
        if len(body) > HURRIED:
            raise TakesLong("The body is large.")
        self._read(visit, body, hurried=True)
        _count(visit)

    def _read(self, visit: Visit, body: bytes, *, hurried: bool) -> None:
        """For any thread."""
        address = visit.address
        if len(body) > address.limit:
            raise _too_large(address.limit)
        coding = visit.headers.get("content-encoding", "identity").strip().lower()
        if hurried and coding != "identity":
            raise TakesLong("The body is compressed.")
        decoded = body if coding == "identity" else _decoded(body, coding, address.limit)
        request = Request(body=decoded, headers=visit.headers, received_at=self._clock(), hurried=hurried)
        retry_key = visit.headers.get("idempotency-key", "")
        received = self._receive(request, address.source, visit.caller, retry_key, keyless=visit.keyless)
        visit.incoming, visit.rejected, visit.size = received.incoming, received.rejected, len(decoded)
        visit.asking = received.asking
        if address.reply and (answer := address.reply(request)):
            visit.reply = encode(answer)

    async def read_patiently(self, visit: Visit, body: bytes) -> None:
        """The same, with the time and the certificates that it takes. Raises Transient too, if one can't be had."""
        for _ in range(MOST_CERTIFICATES):
            try:
                await self._read_in_time(visit, body)
            except CertificateMissing as missing:
                if self._fetch is None:
                    raise
                await self._fetch(missing)
            else:
                return
        await self._read_in_time(visit, body)

    async def _read_in_time(self, visit: Visit, body: bytes) -> None:
        try:
            self.read(visit, body)
        except TakesLong:
            await self._read_beside(visit, body)
            _count(visit)

    async def _read_beside(self, visit: Visit, body: bytes) -> None:
        if self._waiting + len(body) > MOST_WAITING:
            raise Transient("Too many large bodies are being read. Send it again.", retry_after=RETRY_AFTER)
        self._waiting += len(body)
        try:
            reading = partial(self._read, visit, body, hurried=False)
            await asyncio.get_running_loop().run_in_executor(self._readers, reading)
        finally:
            self._waiting -= len(body)

    def submit(self, visit: Visit, done: Done) -> None:
        """Hand the alerts to the writer; ``done`` is told once they are durable. Raises Transient."""
        decide = confirming(self._decide, visit.asking) if visit.asking else self._decide
        self._submit(visit.incoming, decide, done, visit.size)

    def view(self, visit: Visit, accepted: Sequence[Accepted], address: str) -> bytes:
        """The answer's body; ``address`` is the service's own as the caller knows it. Raises InvalidRequest."""
        self._seen(visit.incoming, accepted, visit.rejected, time.perf_counter() - visit.start)
        if visit.rejected and not accepted:
            raise _all_rejected(visit.rejected)
        return encode(_view(visit, accepted, self._public_url or address)) if visit.reply is None else visit.reply

    async def _body(self, visit: Visit, receive: Inbound) -> bytes:
        limit, length = visit.address.limit, visit.headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            raise _too_large(limit)
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            body = await _rest(body, receive, limit)
        elif message["type"] == "http.disconnect":
            raise InvalidRequest("disconnected", "The connection was closed before the body was complete.")
        return body

    async def _accept(self, visit: Visit) -> list[Accepted]:
        future: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()

        def done(result: list[Accepted], error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.submit(visit, done)
        return await future


def _addresses(sources: Mapping[str, Source], body_limit: int, keyless: Mapping[str, int]) -> dict[str, Address]:
    """Path -> what is taken there."""
    infos = [source.INFO for source in sources.values()]
    every_type = frozenset(kind for info in infos for kind in info.content_types)
    named = {
        f"{NAMED}{info.name}": Address(
            source=info.name,
            content_types=frozenset(info.content_types),
            limit=max(body_limit, info.largest_body),
            key_headers=frozenset(name.encode() for name in info.key_headers),
            allowance=Bucket(keyless[info.name]) if info.name in keyless else None,
            reply=info.reply,
        )
        for info in infos
    }
    return {ANY: Address(content_types=every_type, limit=body_limit), **named}


def _count(visit: Visit) -> None:
    """Only what was verified counts, so that forgeries can't use up what is there for the true sender. For the event
    loop's thread. Raises InvalidRequest."""
    allowance = visit.address.allowance if visit.keyless else None
    wait = allowance.take(time.monotonic()) if allowance and allowance.per_minute else 0
    if allowance and wait:
        words = f"Without an API key {allowance.per_minute} requests a minute are taken here."
        raise InvalidRequest("rate_limited", words, status=429, retry_after=wait)


def _check_type(content_type: str, address: Address) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if not kind or kind in address.content_types or kind.endswith("+json"):
        return
    known = ", ".join(sorted(address.content_types))
    raise InvalidRequest("unsupported_type", f"'{kind}' is not read here; send one of: {known}.", status=415)


async def _rest(body: bytes, receive: Inbound, limit: int) -> bytes:
    parts = bytearray(body)
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("disconnected", "The connection was closed before the body was complete.")
        parts += message.get("body", b"")
        if len(parts) > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return bytes(parts)


def _decoded(body: bytes, coding: str, limit: int) -> bytes:
    bits = CODINGS.get(coding)
    if bits is None:
        known = ", ".join(sorted(CODINGS))
        raise InvalidRequest("unsupported_coding", f"'{coding}' can't be decoded; known: {known}.", status=415)
    decoded = bytearray()
    members = 0
    try:
        while body:
            # A member at a time, and never more than the limit: a bomb isn't unpacked.
            members += 1
            if members > MOST_MEMBERS:
                raise InvalidRequest("malformed_coding", f"The {coding} body has more than {MOST_MEMBERS} members.")
            member = zlib.decompressobj(bits)
            decoded += member.decompress(body, limit + 1 - len(decoded))
            if len(decoded) > limit:
                raise _too_large(limit)
            if not member.eof:
                raise InvalidRequest("malformed_coding", f"The {coding} body ends too early.")
            body = member.unused_data
    except zlib.error as error:
        raise InvalidRequest("malformed_coding", f"The body is not valid {coding}: {error}.") from error
    return bytes(decoded)


def _too_large(limit: int) -> InvalidRequest:
    words = f"The body is larger than {limit} bytes (after decompression). Split it."
    return InvalidRequest("too_large", words, status=413)


def status_of(visit: Visit) -> int:
    """The status with which the alerts of a visit are accepted."""
    return 202 if visit.reply is None else 200


def _view(visit: Visit, accepted: Sequence[Accepted], base: str) -> IngestView:
    return IngestView(
        tuple(
            AcceptedView(
                item.alert_id, incoming.alert.source, incoming.alert.signature, f"{base}/v1/alerts/{item.alert_id}"
            )
            for item, incoming in zip(accepted, visit.incoming, strict=True)
        ),
        _rejected_views(visit.rejected),
    )


def _rejected_views(rejected: Iterable[Rejected]) -> tuple[RejectedView, ...]:
    return tuple(RejectedView(item.index, ErrorView(item.error.code, item.error.detail)) for item in rejected)


def _all_rejected(rejected: Sequence[Rejected]) -> InvalidRequest:
    only = rejected[0].error
    # A single body that isn't even JSON, is forged, or breaks a limit, is its own kind of mistake.
    if len(rejected) == 1 and only.status in (400, 403, 413):
        return only
    members = {"accepted": (), "rejected": _rejected_views(rejected)}
    return HttpProblem("all_rejected", f"No alert could be read: {only.detail}", 422, members=members)


def _own_address(scope: Scope) -> str:
    """For a sender that names no host, as in HTTP/1.0."""
    host, port = scope["server"]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _answer(send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})
