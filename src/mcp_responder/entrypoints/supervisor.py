"""``serve``: keeps a door and a worker alive, and ends both in order.

The parent holds nothing but two children. A child that dies is started again; when the parent dies, however it dies,
the children notice by a closed pipe and stop.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from types import FrameType

from mcp_responder.plumbing.process import PARENT_PIPE, PUBLIC_URL, READY_PIPE

SETTINGS_FILE = "MCP_RESPONDER_SETTINGS_FILE"
DOOR = "mcp_responder.entrypoints.door"
WORKER = "mcp_responder.entrypoints.worker"
STOP_SECONDS = 20.0
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
"""A child that lived this long is started again without a pause."""


class Stopped(BaseException):
    """SIGTERM or Ctrl-C has come."""


def serve(overrides: dict[str, str] | None = None) -> int:
    """Run the service until SIGTERM or Ctrl-C; the exit code. ``overrides`` are RESPONDER_ variables."""
    supervisor = Supervisor({**os.environ, **(overrides or {})})
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        return supervisor.run()
    except Stopped:
        return 0
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        supervisor.stop()


def _stop(_: int, __: FrameType | None) -> None:
    raise Stopped


class Supervisor:
    """Two children, the pipe that ties them to this process, and the file that their configuration is kept in."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._pipe, self._held = os.pipe()
        self._settings = nameless_file()
        self._environment = {**environment, PARENT_PIPE: str(self._pipe), SETTINGS_FILE: str(self._settings)}
        self._door: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Start both and keep them; returns the door's exit code if it can't even start."""
        failures = 0
        while True:
            started = time.monotonic()
            code = self._start_door()
            if code:
                if failures == 0:
                    return code
            else:
                self._keep_worker()
            failures = 1 if time.monotonic() - started > STEADY_SECONDS else failures + 1
            time.sleep(min(2.0**failures / 4, LONGEST_PAUSE))

    def _start_door(self) -> int:
        """Start the door and wait until it is ready: 0, or its exit code if it ended before."""
        ready, tell = os.pipe()
        environment = {**self._environment, READY_PIPE: str(tell)}
        self._door = self._start(DOOR, environment, tell)
        os.close(tell)
        with os.fdopen(ready) as lines:
            url = lines.readline().strip()
        if not url:
            return self._door.wait() or 1
        self._environment[PUBLIC_URL] = url
        return 0

    def _start(self, module: str, environment: dict[str, str], *pipes: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", module]
        return subprocess.Popen(command, env=environment, pass_fds=(self._pipe, self._settings, *pipes))

    def _keep_worker(self) -> None:
        """Keep a worker beside the door until the door ends."""
        pause = 0.0
        while self._door and self._door.poll() is None:
            started = time.monotonic()
            self._worker = self._start(WORKER, self._environment)
            self._wait_for_either()
            lived = time.monotonic() - started
            pause = 0.0 if lived > STEADY_SECONDS else min(max(0.1, pause * 2), LONGEST_PAUSE)
            self._wait_for_door(pause)

    def _wait_for_either(self) -> None:
        """Sleep until a child has ended."""
        children = [child for child in (self._door, self._worker) if child]
        while all(child.poll() is None for child in children):
            time.sleep(0.05)
        if self._worker and self._worker.poll() is None:
            # Without the door it can write nothing: to let it finish would only keep the door from coming back.
            self._worker.kill()
            self._worker.wait()

    def _wait_for_door(self, seconds: float) -> None:
        """Sleep, but not beyond the door's end."""
        end = time.monotonic() + seconds
        while self._door and self._door.poll() is None and time.monotonic() < end:
            time.sleep(0.05)

    def stop(self) -> None:
        """The worker first, so that what it finishes is still written."""
        for child in (self._worker, self._door):
            if child and child.poll() is None:
                self._end(child)
        os.close(self._held)
        os.close(self._settings)

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def nameless_file() -> int:
    """The number of a file that only this process and its children can open; it goes with the last of them."""
    if sys.platform == "linux":
        return os.memfd_create("settings")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


if __name__ == "__main__":
    sys.exit(serve())
