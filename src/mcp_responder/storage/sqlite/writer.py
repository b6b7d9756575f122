"""The one thread that writes.

All requests that wait at the same moment share one durable transaction (group commit).
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from mcp_responder.model.errors import ResponderError, Transient
from mcp_responder.model.task import Leased
from mcp_responder.ports import VISIBILITY, Clock, Incoming
from mcp_responder.storage.sqlite.checkpoint import Checkpointer
from mcp_responder.storage.sqlite.database import to_ms
from mcp_responder.storage.sqlite.transaction import HalfWritten, Transaction

GROUP_BYTES = 1024 * 1024
"""A group is closed when it holds this much, so that no request waits behind a giant one."""
BEHIND_BYTES = 32 * 1024 * 1024
"""With this much waiting the writer is behind, and says so instead of taking more."""
SET_BACK_MS = 60_000
"""A clock that goes back this far was set."""
REST = 1.0
"""Seconds before the writer tries again by itself what has failed, such as promoting tasks on a full disk."""

Done = Callable[[Any, BaseException | None], None]
log = structlog.get_logger()


class Job(msgspec.Struct):
    """Something to do inside the next transaction. ``done`` gets its result, or its error, once that is durable."""

    run: Callable[[Transaction], Any]
    done: Done
    weight: int = 0
    batch: Sequence[Incoming] = ()
    """What ``run`` will accept: it is looked up for the whole group at once."""
    durable: bool = True
    """Whether it must survive a power cut (a lease need only survive a crash)."""


class Waiter(msgspec.Struct):
    """Somebody who waits for tasks of a lane, until a moment of the monotonic clock, which nobody sets."""

    lane: str
    limit: int
    deadline: float
    done: Done


Completion = tuple[Done, Any, BaseException | None]


def complete(completions: Sequence[Completion]) -> None:
    """Tell everybody of a group; one who can't be told doesn't keep the others waiting."""
    for done, result, error in completions:
        try:
            done(result, error)
        except Exception:
            log.exception("completion_failed")


class Writer:
    """Owns the writing connection. ``submit`` and ``wait_for_tasks`` may be called from any thread.

    ``hand_over`` passes a finished group's completions on; an event loop sets it, to be woken once a group.
    """

    def __init__(self, connection: sqlite3.Connection, checkpointer: Checkpointer, clock: Clock) -> None:
        self._db = connection
        self._checkpointer = checkpointer
        self._clock = clock
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._waiters: list[Waiter] = []
        self._submitting = threading.Lock()
        self._submitted_bytes = 0
        self._written_bytes = 0
        self._transaction = Transaction(connection)
        self._next_due: int | None = 0
        self._latest = 0
        """The latest time that a transaction had, in milliseconds."""
        self._rest = 0.0
        self._stale = False
        """Whether what the transaction remembers was undone."""
        self._failing = ""
        """Why the last write failed, until one has worked."""
        self._durable = True
        self._stopped = False
        self._empty: set[str] = set()
        """Lanes that are known to have nothing due, so that a storm doesn't look into them for every group."""
        self.hand_over: Callable[[Sequence[Completion]], None] = complete
        self.groups = 0
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what was submitted, then end."""
        with self._submitting:
            self._stopped = True
            self._jobs.put(None)
        self._thread.join()

    @property
    def trouble(self) -> str:
        """Why nothing can be written now; empty when it can."""
        if self._stopped or not self._thread.is_alive():
            return "The store is closed."
        if self._submitted_bytes - self._written_bytes > BEHIND_BYTES:
            return "The store is behind with writing."
        return f"The store can't be written ({self._failing})." if self._failing else ""

    def submit(self, job: Job) -> None:
        """Queue a job. Raises Transient if the writer is behind, for a job that brings more to write."""
        with self._submitting:
            if self._stopped:
                raise Transient("The store is closing; nothing was accepted.", retry_after=5)
            if job.weight and self._submitted_bytes - self._written_bytes > BEHIND_BYTES:
                raise Transient("The store is behind with writing; nothing was accepted.", retry_after=1)
            self._submitted_bytes += job.weight
            self._jobs.put(job)

    def wait_for_tasks(self, waiter: Waiter) -> None:
        """Lease tasks to the waiter as soon as there are any; an empty list at its deadline."""

        def joined(_: object, error: BaseException | None) -> None:
            if error is not None:
                waiter.done([], error)

        self.submit(Job(run=lambda _: self._waiters.append(waiter), done=joined, durable=False))

    def withdraw(self, done: Done) -> None:
        """End somebody's waiting now, empty-handed."""

        def run(_: Transaction) -> bool:
            before = len(self._waiters)
            self._waiters = [waiter for waiter in self._waiters if waiter.done != done]
            return len(self._waiters) < before

        def answer(waited: bool | None, error: BaseException | None) -> None:  # noqa: FBT001
            if waited:
                done([], error)

        self.submit(Job(run=run, done=answer, durable=False))

    def now(self) -> int:
        return to_ms(self._clock())

    def _run(self) -> None:
        going = True
        while going:
            jobs, going = self._take()
            completions = self._group(jobs)
            self._written_bytes += sum(job.weight for job in jobs)
            self.hand_over(completions)
        for waiter in self._waiters:
            waiter.done([], None)

    def _take(self) -> tuple[list[Job], bool]:
        """The jobs of the next group, and whether more will come; none when it is time for a delayed task."""
        jobs: list[Job] = []
        weight = 0
        try:
            job = self._jobs.get(timeout=self._patience())
            while job is not None:
                jobs.append(job)
                weight += job.weight
                if weight > GROUP_BYTES:
                    return jobs, True
                job = self._jobs.get_nowait()
        except queue.Empty:
            return jobs, True
        return jobs, False

    def _patience(self) -> float | None:
        waits = [waiter.deadline - time.monotonic() for waiter in self._waiters]
        if self._next_due is not None:
            waits.append((self._next_due - self.now()) / 1000 + 0.001)
        # The clock may be set: look again after a minute at the latest.
        return min(max(self._rest, min(waits)), 60.0) if waits else None

    def _group(self, jobs: list[Job]) -> list[Completion]:
        waiting = list(self._waiters)
        try:
            return self._attempt(jobs)
        except Exception as error:
            self._undo(waiting)
            if isinstance(error, sqlite3.OperationalError):
                self._failing = str(error)
            if len(jobs) < 2 or _is_full(error):
                if not isinstance(error, HalfWritten):
                    log.exception("write_failed", jobs=len(jobs))
                return [(job.done, None, _translated(error)) for job in jobs]
        # One bad job must not take its neighbours with it.
        return [completion for job in jobs for completion in self._group([job])]

    def _attempt(self, jobs: list[Job]) -> list[Completion]:
        transaction, now = self._transaction, self.now()
        if self._stale:
            transaction.forget()
            self._stale = False
        self._set_durability(any(job.durable for job in jobs))
        transaction.begin()
        if self._failing and self._durable:
            self._write_something()
        if now < self._latest - SET_BACK_MS:
            # What was planned by the wrong clock would come too late by as much.
            transaction.shift(now - self._latest)
            self._next_due = now
        self._latest = now
        promoted = self._next_due is not None and self._next_due <= now
        if promoted:
            transaction.promote(now)
        transaction.look_up([incoming for job in jobs for incoming in job.batch])
        completions = [self._perform(job) for job in jobs]
        completions += self._feed()
        transaction.flush()
        self._db.execute("COMMIT")
        if self._durable:
            self._failing = ""
        self._checkpointer.committed()
        transaction.settle_cache()
        self._plan(promoted)
        self._rest = 0.0
        self.groups += 1
        return completions

    def _write_something(self) -> None:
        """Else a group that has nothing to write would pass for proof that writing works again."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        self._db.execute(f"PRAGMA user_version = {version}")

    def _perform(self, job: Job) -> Completion:
        try:
            return (job.done, job.run(self._transaction), None)
        except ResponderError as error:
            # The verbs check before they write, so a refusal has left nothing behind.
            return (job.done, None, error)

    def _feed(self) -> list[Completion]:
        completions: list[Completion] = []
        still: list[Waiter] = []
        moment = time.monotonic()
        self._empty -= self._transaction.lanes_fed
        for waiter in self._waiters:
            leased = self._lease(waiter)
            if leased or waiter.deadline <= moment:
                completions.append((waiter.done, leased, None))
            else:
                still.append(waiter)
        self._waiters = still
        return completions

    def _lease(self, waiter: Waiter) -> list[Leased]:
        if waiter.lane in self._empty:
            return []
        leased = self._transaction.receive(waiter.lane, waiter.limit, self._clock() + VISIBILITY)
        if len(leased) < waiter.limit:
            self._empty.add(waiter.lane)
        return leased

    def _plan(self, promoted: bool) -> None:  # noqa: FBT001
        due = self._transaction.next_due
        if promoted or self._next_due is None or (due is not None and due < self._next_due):
            self._next_due = due

    def _set_durability(self, durable: bool) -> None:  # noqa: FBT001
        if durable != self._durable:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _undo(self, waiting: list[Waiter]) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")
        self._waiters = waiting
        self._empty.clear()
        self._rest = REST
        self._stale = True


def _is_full(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)


def _translated(error: Exception) -> Exception:
    if isinstance(error, HalfWritten):
        return error.refusal
    if isinstance(error, sqlite3.OperationalError):
        return Transient(f"The store can't be written now ({error}); nothing was accepted.", retry_after=5)
    return error
