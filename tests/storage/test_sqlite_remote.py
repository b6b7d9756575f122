"""The store from another process: short addresses, connections that break, and a writer in trouble."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_responder.entrypoints.door import not_ready
from mcp_responder.model.errors import Misconfigured, ResponderError, Transient
from mcp_responder.storage.sqlite import remote
from mcp_responder.storage.sqlite.remote import OwnerGoneError, RemoteStore, StoreServer
from mcp_responder.storage.sqlite.store import SqliteStore
from mcp_responder.storage.sqlite.writer import Completion, Job, complete
from tests.contract.alarms import Sender
from tests.contract.clock import FakeClock
from tests.service import eventually

LONG = "a-folder-with-a-name/" * 8


class Owner:
    """A store and its server, on a loop of their own thread, as the door has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = SqliteStore(folder, FakeClock())
        self.reports: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        def hand_over(completions: list[Completion]) -> None:
            self._loop.call_soon_threadsafe(complete, completions)

        self.store.writer.hand_over = hand_over  # type: ignore[assignment]
        self.server = StoreServer(self.store, self.folder, self.reports.append)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self.server.stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self.store.writer.hand_over = complete
        self.store.close()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()


@contextlib.contextmanager
def owner_in(folder: Path) -> Iterator[Owner]:
    owner = Owner(folder)
    owner.start()
    try:
        yield owner
    finally:
        owner.stop()


@contextlib.contextmanager
def remote_in(folder: Path) -> Iterator[RemoteStore]:
    store = RemoteStore(folder)
    try:
        yield store
    finally:
        store.hang_up()
        store.close()


def test_a_folder_with_a_path_too_long_for_a_socket_is_reached_by_a_short_one(tmp_path: Path) -> None:
    folder = tmp_path / LONG
    with owner_in(folder) as owner, remote_in(folder) as store:
        store.report(b"up 1")
        assert owner.reports == [b"up 1"]
        assert (folder / remote.SOCKET).stat().st_mode & 0o777 == 0o600
    assert not (folder / remote.SOCKET).exists()


def test_where_there_is_no_short_way_the_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "OPEN_FILES", tmp_path / "nothing")
    with pytest.raises(Misconfigured, match="name a shorter one") as caught, remote.address_in(tmp_path / LONG):
        pass
    assert caught.value.key == "data_dir"


def test_an_owner_who_is_not_there_is_gone(tmp_path: Path) -> None:
    with pytest.raises(OwnerGoneError):
        RemoteStore(tmp_path).report(b"")


def test_having_no_file_left_to_open_does_not_mean_that_the_owner_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with owner_in(tmp_path) as owner, remote_in(tmp_path) as store:

        def none_left(*_: object) -> socket.socket:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", none_left)
            with pytest.raises(Transient, match="can't be reached now"):
                store.report(b"1")
        store.report(b"2")
        assert owner.reports == [b"2"]


def test_an_answer_that_cannot_be_read_is_not_taken_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with owner_in(tmp_path) as owner, remote_in(tmp_path) as store:
        Sender(owner.store, FakeClock()).opens()

        def unreadable(_: object) -> bytes:
            raise MemoryError

        with monkeypatch.context() as patch:
            patch.setattr(remote, "_read", unreadable)
            with pytest.raises(MemoryError):
                store.receive("analysis", 1, 0)
        # What was leased by the answer that was lost is due again: nobody holds it.
        (leased,) = store.receive("analysis", 1, 5)
        store.release(leased)


def test_who_hangs_up_gives_back_what_it_holds(tmp_path: Path) -> None:
    with owner_in(tmp_path) as owner, remote_in(tmp_path) as store:
        Sender(owner.store, FakeClock()).opens()
        assert store.receive("analysis", 1, 5)
        store.hang_up()
        (again,) = store.receive("analysis", 1, 5)
        assert again.receives == 2


# ---------------------------------------------------------------------------------------------------------- readiness


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """A limit on the size of files is the full disk that one process can have for itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_store_that_can_be_written_is_ready(store: SqliteStore, sender: Sender) -> None:
    assert not_ready(store) == ""
    sender.fires()
    assert not_ready(store) == ""


def test_a_store_on_a_full_disk_is_not_ready_until_it_can_be_written_again(store: SqliteStore, sender: Sender) -> None:
    with full_disk():
        with pytest.raises(Transient):
            sender.fires()
        assert "can't be written" in not_ready(store)
        # Groups that write nothing prove nothing, and must not fail for it.
        assert store.receive("analysis", 1, 0) == []
        assert "can't be written" in not_ready(store)

    def ready() -> None:
        assert not_ready(store) == ""

    eventually(ready)
    sender.fires()


def test_a_refused_job_is_no_trouble(store: SqliteStore) -> None:
    def refuse(_: object) -> None:
        raise ResponderError("no")

    answered = threading.Event()
    store.writer.submit(Job(run=refuse, done=lambda *_: answered.set()))
    assert answered.wait(10)
    assert not_ready(store) == ""


def test_a_writer_that_is_behind_is_not_ready(store: SqliteStore) -> None:
    store.writer._submitted_bytes += 64 * 1024 * 1024
    assert "behind" in not_ready(store)
    store.writer._submitted_bytes -= 64 * 1024 * 1024
    assert not_ready(store) == ""


def test_a_closed_store_is_not_ready(store: SqliteStore) -> None:
    store.close()
    assert "closed" in not_ready(store)
