"""The hot path of the HTTP door: a bare ASGI callable that takes alerts in and answers once they are durable."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from mcp_responder.entrypoints.web.auth import Authenticator
from mcp_responder.entrypoints.web.problems import HttpProblem, Scope, Send, problem_response
from mcp_responder.entrypoints.web.problems import Receive as Inbound
from mcp_responder.model.errors import InvalidRequest, NotFound
from mcp_responder.pipeline.receive import Receive, Rejected
from mcp_responder.ports import Accepted, Clock, Decide, Incoming, Request, Source
from mcp_responder.storage.sqlite.writer import Done

RawHeaders = Sequence[tuple[bytes, bytes]]
SubmitAccept = Callable[[Sequence[Incoming], Decide, Done, int], None]
Seen = Callable[[Sequence[Incoming], Sequence[Accepted], Sequence[Rejected], float], None]
"""Told of each request: alerts, what became of them, what was rejected, seconds from the first byte to durable."""

ANY = "/v1/alerts"
NAMED = "/v1/sources/"
CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Content coding -> zlib's window bits."""
MOST_MEMBERS = 100
"""Concatenated members of a compressed body: thousands of empty ones would hold up everybody for half a second."""

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


class Visit(msgspec.Struct, kw_only=True):
    """One request on its way through the door."""

    start: float
    caller: str
    headers: Mapping[str, str]
    source: str
    """Empty: to be detected."""
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
    ) -> None:
        self._receive = receive
        self._sources = sources
        self._submit = submit
        self._decide = decide
        self._authenticator = authenticator
        self._clock = clock
        self.body_limit = self._limit = body_limit
        self._public_url = public_url
        self._headers = [(b"content-type", b"application/json"), *headers]
        self._problem_headers = list(headers)
        self._seen = seen
        self._types = {name: frozenset(source.INFO.content_types) for name, source in sources.items()}
        self._types[""] = frozenset().union(*self._types.values())

    @staticmethod
    def serves(scope: Scope) -> bool:
        """Whether a request is for this door; anything else is the API's."""
        path: str = scope["path"]
        return scope["method"] == "POST" and (path == ANY or (path.startswith(NAMED) and "/" not in path[12:]))

    async def __call__(self, scope: Scope, receive: Inbound, send: Send) -> None:
        try:
            visit = self.admit(scope["headers"], scope["path"])
            self.read(visit, await self._body(visit.headers, receive))
            accepted = await self._accept(visit) if visit.incoming else []
            host = visit.headers.get("host") or _own_address(scope)
            body = self.view(visit, accepted, f"{scope['scheme']}://{host}")
        except Exception as error:  # noqa: BLE001 - a door answers whatever happens
            status, headers, problem = problem_response(error)
            await _answer(send, status, [*headers, *self._problem_headers], problem)
        else:
            await _answer(send, 202, self._headers, body)

    # The steps of a request, for whoever brings it.

    def admit(self, raw_headers: RawHeaders, path: str) -> Visit:
        """Whether the caller may send this here. Raises InvalidRequest."""
        start = time.perf_counter()
        caller = self._authenticator.authenticate(raw_headers, "ingest")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw_headers}
        source = self._source(path)
        self._check_type(headers.get("content-type", ""), source)
        return Visit(start=start, caller=caller.name, headers=headers, source=source)

    def read(self, visit: Visit, body: bytes) -> None:
        """Find the alerts in a body, as it was sent. Raises InvalidRequest."""
        if len(body) > self._limit:
            raise self._too_large()
        coding = visit.headers.get("content-encoding", "identity").strip().lower()
        decoded = body if coding == "identity" else self._decoded(body, coding)
        request = Request(body=decoded, headers=visit.headers, received_at=self._clock())
        received = self._receive(request, visit.source, visit.caller, visit.headers.get("idempotency-key", ""))
        visit.incoming, visit.rejected, visit.size = received.incoming, received.rejected, len(decoded)

    def submit(self, visit: Visit, done: Done) -> None:
        """Hand the alerts to the writer; ``done`` is told once they are durable. Raises Transient."""
        self._submit(visit.incoming, self._decide, done, visit.size)

    def view(self, visit: Visit, accepted: Sequence[Accepted], address: str) -> bytes:
        """The answer's body; ``address`` is the service's own as the caller knows it. Raises InvalidRequest."""
        self._seen(visit.incoming, accepted, visit.rejected, time.perf_counter() - visit.start)
        if visit.rejected and not accepted:
            raise _all_rejected(visit.rejected)
        return encode(_view(visit, accepted, self._public_url or address))

    def _source(self, path: str) -> str:
        if path == ANY:
            return ""
        name = path.removeprefix(NAMED)
        if name not in self._sources:
            raise NotFound("source", name)
        return name

    def _check_type(self, content_type: str, source: str) -> None:
        kind = content_type.partition(";")[0].strip().lower()
        if not kind or kind in self._types[source] or kind.endswith("+json"):
            return
        known = ", ".join(sorted(self._types[source]))
        raise InvalidRequest("unsupported_type", f"'{kind}' is not read here; send one of: {known}.", status=415)

    async def _body(self, headers: Mapping[str, str], receive: Inbound) -> bytes:
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limit:
            raise self._too_large()
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            body = await self._rest(body, receive)
        elif message["type"] == "http.disconnect":
            raise InvalidRequest("disconnected", "The connection was closed before the body was complete.")
        return body

    async def _rest(self, body: bytes, receive: Inbound) -> bytes:
        parts = bytearray(body)
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise InvalidRequest("disconnected", "The connection was closed before the body was complete.")
            parts += message.get("body", b"")
            if len(parts) > self._limit:
                raise self._too_large()
            more = message.get("more_body", False)
        return bytes(parts)

    def _decoded(self, body: bytes, coding: str) -> bytes:
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
                decoded += member.decompress(body, self._limit + 1 - len(decoded))
                if len(decoded) > self._limit:
                    raise self._too_large()
                if not member.eof:
                    raise InvalidRequest("malformed_coding", f"The {coding} body ends too early.")
                body = member.unused_data
        except zlib.error as error:
            raise InvalidRequest("malformed_coding", f"The body is not valid {coding}: {error}.") from error
        return bytes(decoded)

    def _too_large(self) -> InvalidRequest:
        return InvalidRequest(
            "too_large", f"The body is larger than {self._limit} bytes (after decompression). Split it.", status=413
        )

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
    # A single body that isn't even JSON, or breaks a limit, is its own kind of mistake.
    if len(rejected) == 1 and only.status in (400, 413):
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
