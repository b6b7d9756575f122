"""The store of the process that owns the file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from mcp_responder.model.analysis import CachedAnswer, Cost
from mcp_responder.model.task import Leased
from mcp_responder.ports import Accepted, ApiKey, Clock, Commit, Decide, Incoming
from mcp_responder.storage.sqlite.checkpoint import Checkpointer
from mcp_responder.storage.sqlite.database import FILE, Ownership, connect, migrate
from mcp_responder.storage.sqlite.reader import SqliteReader
from mcp_responder.storage.sqlite.transaction import Transaction
from mcp_responder.storage.sqlite.writer import Done, Job, Waiter, Writer

WRITER_CACHE_KIB = 8192
ALERT_WEIGHT = 2048
"""Bytes that an alert counts for in a group, beside its own."""

Result = TypeVar("Result")


class SqliteStore(SqliteReader):
    """All that is remembered, in one file: every port of a store.

    The plain methods block until the write is durable. A door with an event loop uses the ``submit_*`` ones, whose
    ``done(result, error)`` is called through ``writer.hand_over``. Raises Transient if another process owns the folder.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        with ExitStack() as undo:
            self._ownership = Ownership(folder)
            undo.callback(self._ownership.release)
            # SQLite gives its log the mode of the file, so that is set before there is a log.
            (folder / FILE).touch(mode=0o600)
            (folder / FILE).chmod(0o600)
            self._connection = connect(folder / FILE, cache_kib=WRITER_CACHE_KIB)
            undo.callback(self._connection.close)
            migrate(self._connection)
            super().__init__(folder, clock)
            self._checkpointer = Checkpointer(folder / FILE, self._connection)
            self._checkpointer.start()
            undo.callback(self._checkpointer.stop)
            self.writer = Writer(self._connection, self._checkpointer, clock)
            self.writer.start()
            undo.callback(self.writer.stop)
            self._do(lambda transaction: transaction.release_all(self.writer.now()))
            undo.pop_all()

    def close(self) -> None:
        """Write what waits, and let the folder go."""
        self.writer.stop()
        self._checkpointer.stop()
        super().close()
        self._connection.close()
        self._ownership.release()

    # ------------------------------------------------------------------------------------------------------- verbs

    def accept(self, batch: Sequence[Incoming], decide: Decide) -> list[Accepted]:
        accepted: list[Accepted] = self._wait(lambda done: self.submit_accept(batch, decide, done, 0))
        return accepted

    def submit_accept(self, batch: Sequence[Incoming], decide: Decide, done: Done, size: int) -> None:
        """``size`` is that of the batch in bytes."""

        def run(transaction: Transaction) -> list[Accepted]:
            return transaction.accept(batch, decide)

        self.writer.submit(Job(run=run, done=done, weight=size + ALERT_WEIGHT * len(batch), batch=batch))

    def commit(self, commit: Commit) -> None:
        self._wait(lambda done: self.submit_commit(commit, done))

    def submit_commit(self, commit: Commit, done: Done) -> None:
        self.writer.submit(Job(run=lambda transaction: transaction.commit(commit, self.writer.now()), done=done))

    def receive(self, lane: str, limit: int, wait: float) -> list[Leased]:
        leased: list[Leased] = self._wait(lambda done: self.submit_receive(lane, limit, wait, done))
        return leased

    def submit_receive(self, lane: str, limit: int, wait: float, done: Done) -> None:
        deadline = time.monotonic() + wait
        self.writer.wait_for_tasks(Waiter(lane=lane, limit=limit, deadline=deadline, done=done))

    def release(self, leased: Leased, *, counts: bool = False) -> None:
        self._wait(lambda done: self.submit_release(leased.handle, done, counts=counts))

    def submit_release(self, handle: str, done: Done, *, counts: bool) -> None:
        """See ``release``; the handle is enough, for when its holder is gone."""

        def run(transaction: Transaction) -> None:
            transaction.release(handle, self.writer.now(), counts=counts)

        self.writer.submit(Job(run=run, done=done, durable=False))

    def put_key(self, key: ApiKey) -> None:
        self._do(lambda transaction: transaction.put_key(key))

    def delete_keys(self, name: str) -> int:
        return self._do(lambda transaction: transaction.delete_keys(name))

    def cache_answer(self, cached: CachedAnswer) -> None:
        self._wait(lambda done: self.submit_cache_answer(cached, done))

    def submit_cache_answer(self, cached: CachedAnswer, done: Done) -> None:
        self.writer.submit(Job(run=lambda transaction: transaction.cache_answer(cached, self.writer.now()), done=done))

    def book(self, cost: Cost) -> None:
        self._wait(lambda done: self.submit_book(cost, done))

    def submit_book(self, cost: Cost, done: Done) -> None:
        self.writer.submit(Job(run=lambda transaction: transaction.book(cost), done=done))

    def _do(self, run: Callable[[Transaction], Result]) -> Result:
        result: Result = self._wait(lambda done: self.writer.submit(Job(run=run, done=done)))
        return result

    def _wait(self, submit: Callable[[Done], None]) -> Any:
        finished = threading.Event()
        answer: list[Any] = []

        def done(result: object, error: BaseException | None) -> None:
            answer.extend((result, error))
            finished.set()

        submit(done)
        finished.wait()
        if answer[1] is not None:
            raise answer[1]
        return answer[0]
