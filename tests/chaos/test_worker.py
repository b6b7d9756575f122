"""The worker's threads when something goes wrong around them."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Callable, Iterator, MutableMapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from mcp_responder.entrypoints import worker as module
from mcp_responder.entrypoints.worker import Metrics, Steady, Worker, passes
from mcp_responder.model.errors import Permanent, ResponderError, Transient
from mcp_responder.model.task import Leased, Notify, Task
from mcp_responder.ports import ChannelInfo, Delivered, LaneDepth
from tests.channels.messages import a_message
from tests.contract.clock import START
from tests.promises import promise
from tests.service import eventually

LANE = "channel:webhook"
DEPTH = LaneDepth(ready=1, delayed=0, leased=0, oldest=0)


class FakeStore:
    """Hands out one task again and again until it is done; ``fails`` are raised by the calls that come next."""

    def __init__(self) -> None:
        self.fails: list[Exception] = []
        self.released: list[bool] = []
        self.lanes: dict[str, LaneDepth] = {}
        self.hung_up = 0
        self.asked: set[str] = set()
        self.done = threading.Event()
        self._lock = threading.Lock()

    def receive(self, lane: str, limit: int, wait: float) -> list[Leased]:
        with self._lock:
            self.asked.add(lane)
            if self.fails:
                raise self.fails.pop()
        if self.done.wait(0.005):
            return []
        task = Task(work=Notify("inc_1", "webhook"))
        return [Leased(task=task, handle="1", receives=1, until=START + timedelta(minutes=15))]

    def release(self, leased: Leased, *, counts: bool = False) -> None:
        self.released.append(counts)

    def hang_up(self) -> None:
        self.hung_up += 1

    def retire(self) -> None:
        pass

    def report(self, metrics: bytes) -> None:
        pass

    def depth(self) -> dict[str, LaneDepth]:
        with self._lock:
            if self.fails:
                raise self.fails.pop()
        return self.lanes


@pytest.fixture(autouse=True)
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MutableMapping[str, Any]]]:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.01)
    monkeypatch.setattr(module, "ADOPT_SECONDS", 0.02)
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def worker(store: FakeStore) -> Iterator[Worker]:
    store_of_any_kind: Any = store
    worker = Worker(store_of_any_kind, Metrics(), threading.Event())
    yield worker
    worker.stop()
    store.done.set()
    worker.drain()


def failing_with(store: FakeStore, *errors: Exception) -> Callable[[Leased], Any]:
    """Work that fails with each of these, and then is done."""
    left = list(errors)

    def work(_: Leased) -> Any:
        if left:
            raise left.pop(0)
        store.done.set()
        return SimpleNamespace(alert_id="a", incident_id="inc_1")

    return work


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    return error


PASSING = [
    sqlite3.OperationalError("disk I/O error"),
    sqlite_error(sqlite3.SQLITE_BUSY),
    sqlite_error(sqlite3.SQLITE_CANTOPEN),
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.EIO, "Input/output error"),
    MemoryError(),
]
LASTING = [KeyError("x"), sqlite_error(sqlite3.SQLITE_ERROR), FileNotFoundError(errno.ENOENT, "x"), OSError("x")]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_the_machine_lacks_for_a_while_is_waited_for_and_never_counted(
    store: FakeStore, worker: Worker, error: Exception
) -> None:
    assert passes(error)
    worker.serve(LANE, failing_with(store, *[error] * 10), 1)
    assert store.done.wait(10)
    assert store.released == [False] * 10


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_the_task_is_to_blame_for_counts(store: FakeStore, worker: Worker, error: Exception) -> None:
    worker.serve(LANE, failing_with(store, error), 1)
    assert store.done.wait(10)
    assert store.released == [True]


@pytest.mark.parametrize("error", [ResponderError("odd"), ValueError("odd"), *PASSING], ids=repr)
def test_a_lane_survives_an_odd_error_of_the_store_and_says_so(
    store: FakeStore, worker: Worker, logged: list[MutableMapping[str, Any]], error: Exception
) -> None:
    store.fails = [error, error]
    worker.serve(LANE, failing_with(store), 1)
    assert store.done.wait(10)
    assert store.hung_up == 2
    assert [(entry["event"], entry["lane"]) for entry in logged][:2] == [("lane_failed", LANE)] * 2


def test_a_lane_survives_a_release_that_fails(store: FakeStore, worker: Worker) -> None:
    whole = store.release

    def release(leased: Leased, *, counts: bool = False) -> None:
        store.release = whole  # type: ignore[method-assign]
        raise ResponderError("odd")

    store.release = release  # type: ignore[method-assign]
    worker.serve(LANE, failing_with(store, KeyError("x")), 1)
    assert store.done.wait(10)
    assert store.hung_up == 1


@promise("removed-channel-loses-nothing")
def test_a_lane_that_nobody_serves_is_adopted_while_running(store: FakeStore, worker: Worker) -> None:
    worker.serve(LANE, failing_with(store), 1)
    running = threading.Thread(target=worker.run, args=(failing_with(store),))
    store.fails = [sqlite3.OperationalError("disk I/O error")]
    running.start()
    store.lanes = {LANE: DEPTH, "channel:old": DEPTH, "analysis": DEPTH}

    def adopted() -> None:
        assert store.asked == {LANE, "channel:old"}

    eventually(adopted)
    worker.stop()
    running.join()
    assert len(worker._threads) == 2


# ------------------------------------------------------------------------------------------------- a faulty channel


class Faulty:
    name = "webhook"
    info = ChannelInfo(kind="webhook", title="Webhook", longest_text=100, updates=False)

    def __init__(self, error: Exception) -> None:
        self._error = error

    def deliver(self, *_: object) -> Delivered:
        raise self._error


def test_a_channel_that_fails_unexpectedly_is_tried_again_later_and_named_in_truth(
    logged: list[MutableMapping[str, Any]],
) -> None:
    channel = Steady(Faulty(ZeroDivisionError("T0K3N")), Metrics())
    with pytest.raises(Transient, match="failed unexpectedly \\(ZeroDivisionError\\)") as caught:
        channel.deliver(a_message(), None)
    assert caught.value.doubtful
    assert "T0K3N" not in str(caught.value)
    assert [entry["event"] for entry in logged] == ["channel_failed"]


@pytest.mark.parametrize("error", [Transient("later"), Permanent("never")])
def test_what_a_channel_says_in_order_is_left_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        Steady(Faulty(error), Metrics()).deliver(a_message(), None)
    assert caught.value is error
