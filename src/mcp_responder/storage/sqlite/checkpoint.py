"""Copies the write-ahead log back into the file beside the writer, so that nobody's answer waits for it.

A checkpoint of SQLite's own comes at the end of some commit and holds it up for as long as it takes to copy and flush
thousands of pages. Here a thread with a connection of its own copies nearly all of them while the writer goes on; what
was written meanwhile is little, and the writer copies that itself, since only then can the log start again.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import structlog

from mcp_responder.storage.sqlite.database import connect

ROWS = 5000
"""So many changed rows make a log worth copying; about as many pages."""
CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"

log = structlog.get_logger()


class Checkpointer:
    """Told by the writer after each commit; all but the thread's own work happens in the writer's thread."""

    def __init__(self, file: Path, writing: sqlite3.Connection) -> None:
        self._connection = connect(file, cache_kib=64)
        self._writing = writing
        self._copied_at = 0
        """How many rows the writer had changed when the log was last copied."""
        self._copying = False
        self._nearly = False
        """Whether the thread has copied the log, up to what was written meanwhile."""
        self._wanted = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End, after the copying that goes on."""
        self._stopped = True
        self._wanted.set()
        self._thread.join()
        self._connection.close()

    def committed(self) -> None:
        """A transaction of the writer has ended."""
        if self._nearly:
            self._nearly = self._copying = False
            self._copied_at = self._writing.total_changes
            _copy(self._writing)
        elif not self._copying and self._writing.total_changes - self._copied_at > ROWS:
            self._copying = True
            self._wanted.set()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._stopped:
                return
            _copy(self._connection)
            self._nearly = True


def _copy(connection: sqlite3.Connection) -> None:
    try:
        connection.execute(CHECKPOINT).fetchall()
    except sqlite3.Error as error:
        # What is committed is safe in the log, which grows until a later copy works.
        log.warning("checkpoint_failed", error=str(error))
