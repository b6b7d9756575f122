"""SQLite stores in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from mcp_responder.ports import Clock
from mcp_responder.storage.sqlite.store import SqliteStore
from tests.contract.alarms import Sender
from tests.contract.clock import FakeClock

Open = Callable[..., SqliteStore]


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the store writes into the log."""
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def opens(tmp_path: Path, clock: FakeClock) -> Iterator[Open]:
    """Opens the store of the test's folder; closes whatever the test left open."""
    with ExitStack() as stack:

        def open_store(clock: Clock = clock) -> SqliteStore:
            store = SqliteStore(tmp_path, clock)
            stack.callback(_close_once(store))
            return store

        yield open_store


def _close_once(store: SqliteStore) -> Callable[[], None]:
    def close() -> None:
        if not store.writer._stopped:
            store.close()

    return close


@pytest.fixture
def store(opens: Open) -> SqliteStore:
    return opens()


@pytest.fixture
def ticking(opens: Open) -> SqliteStore:
    """A store whose clock goes."""
    return opens(lambda: datetime.now(UTC))


@pytest.fixture
def sender(store: SqliteStore, clock: FakeClock) -> Sender:
    return Sender(store, clock)
