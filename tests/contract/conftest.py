"""The stores that are held to the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_responder.storage.memory import MemoryStore
from mcp_responder.storage.sqlite.store import SqliteStore
from tests.contract.alarms import Sender, Store
from tests.contract.clock import FakeClock


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
