"""The one HTTP client: kept-alive, timed, no retries, no redirects, TLS 1.2 or later, answers bounded."""

from __future__ import annotations

import base64
import logging
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import unquote

import msgspec
import urllib3
from urllib3 import exceptions as failures
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import parse_url

from mcp_responder import __version__

USER_AGENT = f"mcp-responder/{__version__}"

# Its messages hold whole addresses, and an address may hold a token.
logging.getLogger("urllib3.connectionpool").setLevel(logging.CRITICAL)


class HttpFailure(Exception):
    """No usable answer came back. The words name host and port only: the rest of an address may be secret.

    ``sent``: the other side may have got the request, and done what it asks for.
    """

    def __init__(self, words: str, *, sent: bool = False) -> None:
        super().__init__(words)
        self.sent = sent


class HttpResponse(msgspec.Struct, frozen=True):
    """What the other side answered; header names match in any case, a body beyond the client's limit is cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Address(msgspec.Struct, frozen=True):
    """A URL taken apart; its user and password have become the value of an ``Authorization`` header."""

    scheme: str
    host: str
    port: int
    target: str
    authorization: str

    @property
    def place(self) -> str:
        """Host and port: all of an address that may be shown."""
        return f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return self.place


@lru_cache(maxsize=256)
def address_of(url: str) -> Address:
    """Take an http or https URL apart. Raises ValueError, which doesn't repeat the URL."""
    try:
        parsed = parse_url(url)
    except failures.LocationValueError:
        raise ValueError("the address can't be read") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("the address must begin with http:// or https:// and a host")
    return Address(
        scheme=parsed.scheme,
        host=parsed.host,
        port=parsed.port or (443 if parsed.scheme == "https" else 80),
        target=parsed.request_uri,
        authorization=_basic(parsed.auth) if parsed.auth else "",
    )


class _Exchange(threading.local):
    """The request that this thread has under way: when it must be over, and whether the other side may have it."""

    deadline = 0.0
    sent = False

    def begin(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.sent = False

    def left(self) -> float:
        """Seconds until the deadline. Raises TimeoutError when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


_exchange = _Exchange()


class _Timed(socket.socket):
    """Waits no longer than until the request's deadline.

    A socket's own time-out starts anew with each byte, so a server that drips them would hold a thread for hours.
    """

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(_exchange.left())
        return super().recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(_exchange.left())
        _exchange.sent = True
        super().sendall(*arguments)


class _TimedTls(_Timed, ssl.SSLSocket):
    """The same inside TLS; the handshake is timed as a whole."""


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _timed(super()._new_conn())


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _timed(super()._new_conn())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _timed(plain: socket.socket) -> socket.socket:
    timeout = plain.gettimeout()
    timed = _Timed(plain.family, plain.type, plain.proto, plain.detach())
    timed.settimeout(timeout)
    return timed


class HttpClient:
    """Sends one request and brings one answer, from any thread.

    ``timeout`` bounds all of it: sending, waiting for the answer, and reading it. ``tls`` replaces the default context.
    """

    def __init__(
        self,
        *,
        connect_seconds: float = 5.0,
        longest_response: int = 1_000_000,
        connections: int = 16,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connect_seconds = connect_seconds
        self._longest_response = longest_response
        self._given_tls = tls
        self._pools = urllib3.PoolManager(num_pools=64, maxsize=connections)
        self._pools.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def request(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> HttpResponse:
        """The answer, whatever its status. Raises HttpFailure if none came in time."""
        try:
            address = address_of(url)
        except ValueError as error:
            raise HttpFailure(str(error)) from None
        _exchange.begin(timeout)
        try:
            return self._received(self._send(method, address, body, headers or {}, timeout))
        except (failures.HTTPError, OSError) as error:
            # Without its cause: urllib3's words may repeat the address.
            raise HttpFailure(_words(error, address.place, timeout), sent=_exchange.sent) from None

    def close(self) -> None:
        """Close the idle connections."""
        self._pools.clear()

    def _send(
        self, method: str, address: Address, body: bytes, headers: Mapping[str, str], timeout: float
    ) -> urllib3.BaseHTTPResponse:
        return self._pool(address).urlopen(
            method,
            address.target,
            body=body,
            headers=_headers(address, headers),
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=min(self._connect_seconds, timeout), total=timeout),
            preload_content=False,
            decode_content=False,
        )

    def _pool(self, address: Address) -> HTTPConnectionPool:
        tls = {"ssl_context": self._tls} if address.scheme == "https" else None
        return self._pools.connection_from_host(address.host, address.port, address.scheme, pool_kwargs=tls)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Made on first use and once: reading the system's certificates takes some 30 ms.
        context = self._given_tls or ssl.create_default_context()
        context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        context.sslsocket_class = _TimedTls
        return context

    def _received(self, response: urllib3.BaseHTTPResponse) -> HttpResponse:
        chunks = []
        left = self._longest_response
        while left > 0 and (chunk := response.read1(min(left, 65536))):
            chunks.append(chunk)
            left -= len(chunk)
        _give_back(response, spent=left <= 0)
        return HttpResponse(response.status, response.headers, b"".join(chunks))


def _give_back(response: urllib3.BaseHTTPResponse, *, spent: bool) -> None:
    # A connection with an unread rest can't carry another request.
    if spent:
        response.close()
    response.release_conn()


def _headers(address: Address, headers: Mapping[str, str]) -> dict[str, str]:
    complete = {"user-agent": USER_AGENT, "accept-encoding": "identity", **headers}
    if address.authorization:
        complete.setdefault("authorization", address.authorization)
    return complete


def _basic(userinfo: str) -> str:
    return "Basic " + base64.b64encode(unquote(userinfo).encode()).decode()


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (failures.NameResolutionError, "the name of {place} can't be resolved"),
    (failures.NewConnectionError, "no connection to {place}{reason}"),
    (failures.ConnectTimeoutError, "no connection to {place} within {timeout:g} s"),
    (failures.ReadTimeoutError, "no complete answer from {place} within {timeout:g} s"),
    (TimeoutError, "no complete answer from {place} within {timeout:g} s"),
    (failures.SSLError, "no TLS connection to {place}{reason}"),
    (failures.ProtocolError, "the connection to {place} broke before its answer was complete{reason}"),
)
"""What to say of each failure; the first that fits counts."""


def _words(error: Exception, place: str, timeout: float) -> str:
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), "no answer from {place}{reason}")
    return words.format(place=place, timeout=timeout, reason=_reason(error))


def _reason(error: BaseException) -> str:
    """What the operating system or the TLS library calls it: texts that can't repeat an address."""
    for cause in (error, error.__cause__, error.__context__, *error.args):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f" ({cause.verify_message})"
        if isinstance(cause, OSError) and cause.strerror:
            return f" ({cause.strerror})"
    return ""
