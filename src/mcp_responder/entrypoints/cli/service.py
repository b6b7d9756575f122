"""Finds the running service and asks it over HTTP.

RESPONDER_URL names it, with RESPONDER_API_KEY as the key; else the service of this data folder is used, which leaves
its address and a key in ``runtime.json`` while it runs.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, quote, urlencode, urljoin, urlsplit

import msgspec

from mcp_responder import __version__
from mcp_responder.entrypoints.cli.failures import Failed, NoServer, UsageError
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.settings import Settings, load

RUNTIME_FILE = "runtime.json"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
START = "start one with 'mcp-responder serve', or set RESPONDER_URL"

Shape = TypeVar("Shape")


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """What a running service tells its own machine about itself."""

    url: str
    token: str = ""
    pid: int = 0


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error as the API tells it (RFC 9457)."""

    detail: str = ""
    title: str = ""
    code: str = ""


class Service:
    """One mcp-responder service. Its answers are the bodies, as they came."""

    def __init__(self, url: str, key: str, tls: ssl.SSLContext | None = None) -> None:
        self._address = _address(url)
        self._key = key or self._address.password or ""
        self._tls = tls

    @property
    def name(self) -> str:
        """Its address, without any key."""
        host = self._address.hostname or ""
        host = f"[{host}]" if ":" in host else host
        port = f":{self._address.port}" if self._address.port else ""
        return f"{self._address.scheme}://{host}{port}{self._address.path.rstrip('/')}"

    def link(self, path: str) -> str:
        """The whole address of a path of the API."""
        return path if "://" in path else self.name + urljoin("/", path)

    def get(self, path: str, parameters: Mapping[str, object] | None = None) -> bytes:
        given = {name: value for name, value in (parameters or {}).items() if value not in (None, "")}
        return self._ask("GET", f"{path}?{urlencode(given)}" if given else path)

    def post(self, path: str, body: object = None) -> bytes:
        return self.send(path, msgspec.json.encode(body), {"Content-Type": "application/json"})

    def send(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Post these exact bytes."""
        return self._ask("POST", path, body, headers)

    def delete(self, path: str) -> bytes:
        return self._ask("DELETE", path)

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        connection = self._connect()
        try:
            connection.request(
                method, self._address.path.rstrip("/") + path, body, {**self._headers(), **(headers or {})}
            )
            response = connection.getresponse()
            answer = response.read()
        except (OSError, HTTPException) as error:
            raise Failed(
                f"{self.name} broke off before its answer was complete ({_reason(error)}); try again."
            ) from error
        finally:
            connection.close()
        if 200 <= response.status < 300:
            return answer
        raise self._refusal(response.status, response.headers.get("Location", ""), answer)

    def _headers(self) -> dict[str, str]:
        key = {"X-API-Key": self._key} if self._key else {}
        return {"Accept": "application/json", "User-Agent": f"mcp-responder/{__version__}", **key}

    def _connect(self) -> HTTPConnection:
        connection = self._connection()
        try:
            connection.connect()
        except OSError as error:
            raise NoServer(f"No service answers at {self.name} ({_reason(error)}); {START}.") from error
        if connection.sock:
            connection.sock.settimeout(ANSWER_SECONDS)
        return connection

    def _connection(self) -> HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if self._address.scheme == "https":
            return HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=self._tls)
        return HTTPConnection(host, port, timeout=CONNECT_SECONDS)

    def _refusal(self, status: int, location: str, answer: bytes) -> Exception:
        if 300 <= status < 400:
            return Failed(f"{self.name} has moved to {location or 'another address'}; set RESPONDER_URL to that.")
        try:
            problem = msgspec.json.decode(answer, type=Problem)
        except msgspec.DecodeError:
            problem = Problem()
        detail = problem.detail or problem.title
        if not detail:
            return Failed(f"{self.name} answered {status}, but not as mcp-responder does; check RESPONDER_URL.")
        return InvalidRequest(problem.code or "refused", detail, status=status)


def find_service(environment: Mapping[str, str], folder: Path) -> Service:
    """The service that commands talk to. Raises NoServer if none is known, Misconfigured if settings are wrong."""
    key = environment.get("RESPONDER_API_KEY", "")
    url = environment.get("RESPONDER_URL", "")
    if url:
        return Service(url, key)
    settings = load(environment, folder).settings
    runtime = _runtime(folder / settings.data_dir / RUNTIME_FILE)
    return Service(runtime.url, key or runtime.token, _own_tls(runtime.url, settings))


def the_service() -> Service:
    """The service of this environment and working directory."""
    return find_service(os.environ, Path.cwd())


def read(body: bytes, shape: type[Shape]) -> Shape:
    """An answer as one of the shapes that the operations give. Raises Failed if it is none."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        raise Failed(f"The service answered in an unknown form ({error}); is it of another version?") from error


def segment(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="")


def _address(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise UsageError("RESPONDER_URL is no web address; write it like http://127.0.0.1:8080.")
    return parts


def _runtime(path: Path) -> Runtime:
    try:
        owner = path.stat().st_uid
        runtime = msgspec.json.decode(path.read_bytes(), type=Runtime)
    except FileNotFoundError as error:
        raise NoServer(f"No service runs here (there is no {path}); {START}.") from error
    except OSError as error:
        raise NoServer(
            f"The service's {path} can't be read ({_reason(error)}); set RESPONDER_URL and a key."
        ) from error
    except msgspec.DecodeError as error:
        raise NoServer(
            f"The service's {path} is damaged ({error}); restart the service, or set RESPONDER_URL."
        ) from error
    # A file that somebody else left in a shared folder could send our key to him.
    if os.geteuid() not in (owner, 0) and owner != 0:
        raise NoServer(f"{path} belongs to another user and isn't trusted; set RESPONDER_URL.")
    return runtime


def _own_tls(url: str, settings: Settings) -> ssl.SSLContext | None:
    """How to trust the service of this machine: it has our certificate, made out to the name that others use."""
    if not (url.startswith("https:") and settings.tls_certificate):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls_certificate)
    except OSError as error:
        raise NoServer(f"tls_certificate '{settings.tls_certificate}' can't be read ({_reason(error)}).") from error
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, socket.gaierror):
        return "no such host"
    words = error.strerror if isinstance(error, OSError) else str(error)
    return (words or str(error) or type(error).__name__).lower()
