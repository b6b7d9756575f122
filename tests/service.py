"""The service as a user runs it: a process group of its own, a port of its own, a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import urllib3

KEY = "test-key"
PATIENCE = 30.0


class Service:
    """Starts, asks, kills. ``settings`` are RESPONDER_ variables without the prefix."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.url = ""
        self._settings = {
            "PORT": "0",
            "DATA_DIR": str(folder / "data"),
            "API_KEY": KEY,
            # Most stories are about each incident; those of storms take this away.
            "DIGEST__INCIDENTS": "0",
            # Else a task waits for half an hour.
            "REMINDERS__AFTER_MINUTES": "0",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._http = urllib3.PoolManager(maxsize=64, retries=False, timeout=urllib3.Timeout(30))
        self._starts = 0

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    def start(self) -> None:
        foreign = ("RESPONDER_", "ANTHROPIC_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        own = {f"RESPONDER_{name}": value for name, value in self._settings.items()}
        with (self.folder / "stdout").open("ab") as out, (self.folder / "stderr").open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mcp_responder.entrypoints.supervisor"],
                env={**inherited, **own},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.url = self._address()

    def _address(self) -> str:
        runtime = self.folder / "data" / "runtime.json"

        def ready() -> str:
            assert self._process is not None
            if self._process.poll() is not None:
                raise AssertionError(f"the service ended with {self._process.returncode}: {self.stderr}")
            told = json.loads(runtime.read_text())
            # A killed service leaves its file behind: only that of this start counts.
            assert self._is_ours(told["pid"])
            return str(told["url"])

        return eventually(ready)

    def _is_ours(self, pid: int) -> bool:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            return os.getpgid(pid) == self._process.pid
        return False

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = self._http.request(
            method,
            f"{self.url}{path}",
            body=raw,
            headers={
                "X-API-Key": KEY,
                "Content-Type": "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )
        return answer.status, json.loads(answer.data) if answer.data else None

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """The raw answer to a request with these headers and no others."""
        return self._http.request(method, f"{self.url}{path}", body=body, headers=headers)

    def send(self, *alerts: object) -> list[str]:
        """Post alerts; their ids."""
        status, answer = self.call("POST", "/v1/alerts", list(alerts))
        assert status == 202, answer
        return [item["alert_id"] for item in answer["accepted"]]

    def get(self, path: str) -> Any:
        status, answer = self.call("GET", path)
        assert status == 200, answer
        return answer

    def settled(self) -> dict[str, Any]:
        """The ledger, once nothing is in flight and no task is left."""

        def quiet() -> dict[str, Any]:
            lanes = self.get("/v1/queues")["lanes"].values()
            assert not any(lane["ready"] + lane["leased"] + lane["delayed"] for lane in lanes), lanes
            ledger: dict[str, Any] = self.get("/v1/ledger")
            assert ledger["in_flight"] == 0
            return ledger

        return eventually(quiet)

    def processes(self, module: str) -> list[int]:
        """The ids of this service's processes that run a module."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and self._is_ours(int(entry.name)):
                with contextlib.suppress(OSError):
                    command = (entry / "cmdline").read_bytes().split(b"\0")
                    if module.encode() in command:
                        found.append(int(entry.name))
        return found

    def worker(self) -> int:
        return eventually(lambda: self.processes("mcp_responder.entrypoints.worker")[0])

    def kill(self) -> None:
        """kill -9 of the whole group."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM, as a service manager sends it; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(40)


def eventually(check: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The check's answer, once it neither fails nor raises; its last complaint when patience ends."""
    end = time.monotonic() + patience
    while True:
        try:
            return check()
        except (AssertionError, LookupError, OSError, ValueError, urllib3.exceptions.HTTPError):
            if time.monotonic() > end:
                raise
        time.sleep(0.05)


@contextlib.contextmanager
def running(folder: Path, **settings: str) -> Iterator[Service]:
    service = Service(folder, **settings)
    service.start()
    try:
        yield service
    finally:
        service.kill()
