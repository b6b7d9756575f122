"""wrk as the source of load, and a plain client for what must be counted exactly."""

from __future__ import annotations

import http.client
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

SCRIPT = Path(__file__).with_name("load.lua")
CONNECTIONS = 64
TIMEOUT = 30.0
"""Seconds; the slowest peer answers within one."""


class LoadError(Exception):
    """The load wasn't what the row says, so its figures mean nothing."""


@dataclass(frozen=True)
class Load:
    """What wrk saw; times in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float


def wrk(url: str, template: str, seconds: int, first: int, connections: int = CONNECTIONS) -> Load:
    """Send requests made from a template over keep-alive connections. Raises LoadError if any was refused."""
    with tempfile.NamedTemporaryFile("w", suffix=".http", newline="") as file:
        file.write(template)
        file.flush()
        # One thread: it makes more requests than any of the systems answers, and leaves them the other core.
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{TIMEOUT:.0f}s", "-s", str(SCRIPT)]
        ran = subprocess.run(
            [*command, url, "--", file.name, str(first)],
            capture_output=True,
            text=True,
            timeout=seconds + 2 * TIMEOUT,
            check=False,
        )
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise LoadError(f"wrk failed: {ran.stderr.strip() or ran.stdout.strip()}")
    saw = json.loads(lines[0])
    if saw["refused"] or saw["broken"]:
        raise LoadError(f"{saw['refused']} of {saw['requests']} requests were refused, {saw['broken']} broken")
    return Load(saw["requests"], saw["microseconds"] / 1e6, saw["p50"] / 1e3, saw["p99"] / 1e3)


class Client:
    """One keep-alive connection."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT)
        self._headers = {"Content-Type": "application/json", **(headers or {})}

    def __enter__(self) -> Client:
        self._connection.connect()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._connection.close()

    def post(self, path: str, body: str) -> tuple[int, bytes]:
        """Status and body of the answer."""
        return self._ask("POST", path, body.encode())

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of the answer."""
        return self._ask("GET", path, None)

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()
