"""The one HTTP client: kept-alive, timed, no retries, no redirects, TLS 1.2 or later, answers bounded.

It may go through a proxy, and insist on the keys of certain hosts (pins).
"""

from __future__ import annotations

import base64
import hashlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import unquote
from urllib.request import getproxies_environment, proxy_bypass

import msgspec
import urllib3
from urllib3 import exceptions as failures
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import make_headers, parse_url

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

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL; the usual port is left out."""
        usual = self.port == (443 if self.scheme == "https" else 80)
        return self.host if usual else self.place

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


Pins = Mapping[str, tuple[str, ...]]
"""Host, or ``*.`` and a domain -> ``sha256/`` and the base64 SHA-256 of each public key (SPKI) that it may have."""


class _TimedTls(_Timed, ssl.SSLSocket):
    """The same inside TLS; the handshake is timed as a whole. Hosts with pins must have one of their keys."""

    pins: Pins = {}

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as it is declared there
        super().do_handshake(block)
        wanted = _pins_of(self.server_hostname or "", self.pins)
        if wanted and pin_of(self.getpeercert(binary_form=True) or b"") not in wanted:
            refusal = ssl.SSLCertVerificationError(1, "pinned")
            refusal.verify_message = "its key isn't one of those that are pinned"
            raise refusal


def _pins_of(host: str, pins: Pins) -> tuple[str, ...]:
    domain = host.partition(".")[2]
    return pins.get(host.lower()) or pins.get(f"*.{domain.lower()}") or ()


def pin_of(certificate: bytes) -> str:
    """The pin of a certificate's public key; DER."""
    # Loading it takes some 20 ms, and few configurations need it.
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_der_x509_certificate(certificate).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return f"sha256/{base64.b64encode(digest).decode()}"


def tls_context(pins: Pins | None = None, given: ssl.SSLContext | None = None) -> ssl.SSLContext:
    """What every connection of this service is made with: TLS 1.2 or later, verified, and pinned where that is set."""
    context = given or ssl.create_default_context()
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    context.sslsocket_class = type("_Pinned", (_TimedTls,), {"pins": pins}) if pins else _TimedTls
    return context


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
    ``proxy`` is the address of one for all hosts; None goes by HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment.
    """

    def __init__(
        self,
        *,
        connect_seconds: float = 5.0,
        longest_response: int = 1_000_000,
        connections: int = 16,
        tls: ssl.SSLContext | None = None,
        pins: Pins | None = None,
        proxy: str | None = None,
    ) -> None:
        self._connect_seconds = connect_seconds
        self._longest_response = longest_response
        self._given_tls = tls
        self._pins = pins
        self._proxy = proxy
        self._connections = connections
        self._pools: dict[str, urllib3.PoolManager] = {}
        """By the proxy that is gone through; "" is none."""
        self._lock = threading.Lock()

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
            sent = _exchange.sent and not isinstance(error, failures.ProxyError)
            raise HttpFailure(_words(error, address.place, timeout), sent=sent) from None

    def close(self) -> None:
        """Close the idle connections."""
        for manager in self._pools.values():
            manager.clear()

    def _send(
        self, method: str, address: Address, body: bytes, headers: Mapping[str, str], timeout: float
    ) -> urllib3.BaseHTTPResponse:
        proxy = self._proxy_for(address)
        # A proxy of plain HTTP is asked for whole addresses.
        relayed = bool(proxy) and address.scheme == "http"
        return self._pool(address, proxy).urlopen(
            method,
            f"http://{address.authority}{address.target}" if relayed else address.target,
            body=body,
            headers=_headers(address, headers) | ({"host": address.authority} if relayed else {}),
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=min(self._connect_seconds, timeout), total=timeout),
            preload_content=False,
            decode_content=False,
        )

    def _proxy_for(self, address: Address) -> str:
        if self._proxy is not None:
            return self._proxy
        proxies = getproxies_environment()
        proxy = proxies.get(address.scheme) or proxies.get("all") or ""
        return "" if not proxy or proxy_bypass(address.authority) else proxy

    def _pool(self, address: Address, proxy: str) -> HTTPConnectionPool:
        with self._lock:
            manager = self._pools.get(proxy) or self._pools.setdefault(proxy, self._manager(proxy))
        tls = {"ssl_context": self._tls} if address.scheme == "https" else None
        return manager.connection_from_host(address.host, address.port, address.scheme, pool_kwargs=tls)

    def _manager(self, proxy: str) -> urllib3.PoolManager:
        manager = urllib3.PoolManager(num_pools=64, maxsize=self._connections)
        if proxy:
            at = address_of(proxy)
            secret = parse_url(proxy).auth
            manager = urllib3.ProxyManager(
                f"{at.scheme}://{at.authority}",
                num_pools=64,
                maxsize=self._connections,
                proxy_headers=make_headers(proxy_basic_auth=unquote(secret)) if secret else None,
            )
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Made on first use and once: reading the system's certificates takes some 30 ms.
        return tls_context(self._pins, self._given_tls)

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
    (failures.ProxyError, "no connection to {place} through the proxy{reason}"),
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
