"""What a child process needs: to notice that its parent is gone, to be asked to stop, and threads that take turns."""

from __future__ import annotations

import os
import signal
import sys
import threading

PARENT_PIPE = "MCP_RESPONDER_PARENT_PIPE"
"""Environment variable with the number of a pipe's reading end, whose writing end only the parent holds."""

READY_PIPE = "MCP_RESPONDER_READY_PIPE"
"""Number of a pipe's writing end: a line with the service's URL goes there once it is ready."""
PUBLIC_URL = "MCP_RESPONDER_PUBLIC_URL"
"""The address that the door listens on, for the worker's links."""
SWITCH_SECONDS = 0.0005


def die_with_parent() -> None:
    """Ask this process to stop, as by SIGTERM, as soon as the parent has ended, however it ended."""
    pipe = os.environ.get(PARENT_PIPE)
    if pipe:
        threading.Thread(target=_watch, args=(int(pipe),), name="parent", daemon=True).start()


def _watch(pipe: int) -> None:
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def take_turns() -> None:
    """Let a thread that only computes hand the interpreter over soon.

    Whoever answers or tells people wants it many times for one request, and waits for Python's own interval, 5 ms, each
    time.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
