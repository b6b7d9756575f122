"""Opening and migrating the file, and the lock that says who may write it."""

from __future__ import annotations

import fcntl
import math
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import IO

from mcp_responder.model.errors import Misconfigured, Transient

FILE = "responder.db"
ROWS_AT_ONCE = (64, 16, 4, 1)
"""Sizes of inserts: few, so that the statements stay prepared."""
HOUR_MS = 3_600_000


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970, whole ones."""
    return math.floor(at.timestamp()) * 1000 + at.microsecond // 1000


def from_ms(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def connect(path: Path, *, cache_kib: int, read_only: bool = False) -> sqlite3.Connection:
    """A connection in write-ahead mode whose commits survive a power cut. Transactions are the caller's."""
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        timeout=10,
    )
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    if not read_only:
        # The log takes whole pages. An alert dirties one of an index, at any place, so small ones are half the writing.
        connection.execute("PRAGMA page_size = 2048")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # Somebody else copies the log back: see checkpoint.py.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        # A log that a storm has blown up is cut back at the next checkpoint.
        connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
    return connection


def insert(connection: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]], then: str = "") -> None:
    """Insert rows, many to a statement; ``then`` follows the values (ON CONFLICT ...).

    Each step of a statement gives up the interpreter's lock and has to queue for it again, so that a hundred rows
    by ``executemany`` wait a hundred times while another thread computes.
    """
    start = 0
    while start < len(rows):
        size = next(size for size in ROWS_AT_ONCE if size <= len(rows) - start)
        part = rows[start : start + size]
        row = f"({','.join('?' * len(part[0]))})"
        values = list(chain.from_iterable(part))
        connection.execute(f"INSERT INTO {table} VALUES {','.join([row] * size)} {then}", values)  # noqa: S608
        start += size


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file's tables up to this program, each numbered step in a transaction of its own.

    Raises Misconfigured if the file was written by a newer program.
    """
    steps = _steps()
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(steps):
        raise Misconfigured(
            "data_dir",
            FILE,
            f"was written by a newer version (its schema is {version}, this program knows {len(steps)}); "
            "start that version, or restore a backup from before the upgrade.",
        )
    for number, script in enumerate(steps[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")


def _steps() -> list[str]:
    folder = resources.files(__package__) / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [f.read_text(encoding="utf-8") for f in files]


class Ownership:
    """The exclusive right to write in a data folder, held until ``release`` or the process's end."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file: IO[bytes] = (folder / "lock").open("ab")
        except OSError as error:
            fix = f"'{folder}' can't be written to ({error.strerror}); name a folder that can be."
            raise Misconfigured("data_dir", "configuration", fix) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise Transient(f"{folder} is in use by a running service. Use that service, or stop it first.") from error

    def release(self) -> None:
        self._file.close()
