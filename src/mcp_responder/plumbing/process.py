"""What a child process needs: to notice that its parent is gone, and to be asked to stop."""

from __future__ import annotations

import os
import signal
import threading

PARENT_PIPE = "MCP_RESPONDER_PARENT_PIPE"
"""Environment variable with the number of a pipe's reading end, whose writing end only the parent holds."""


def die_with_parent() -> None:
    """Ask this process to stop, as by SIGTERM, as soon as the parent has ended, however it ended."""
    pipe = os.environ.get(PARENT_PIPE)
    if pipe:
        threading.Thread(target=_watch, args=(int(pipe),), name="parent", daemon=True).start()


def _watch(pipe: int) -> None:
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
