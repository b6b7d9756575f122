"""The stores that are held to the contract."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from mcp_responder.storage.memory import MemoryStore
from mcp_responder.storage.sqlite.store import SqliteStore
from tests.contract.alarms import Sender, Store
from tests.contract.clock import FakeClock


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the stores write into the log: tracebacks are slow to draw, and nobody reads them here."""
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore(clock)
        return
    sqlite = SqliteStore(tmp_path, clock)
    yield sqlite
    sqlite.close()


@pytest.fixture
def sender(store: Store, clock: FakeClock) -> Sender:
    return Sender(store, clock)
