"""The store as another process sees it: reads by itself, writes through the process that owns the file.

Over a Unix socket in the data folder go frames: four bytes of length (big endian), then MessagePack of a ``Call`` or an
``Answer``. Each thread of the client has a connection of its own and one call under way, so there is nothing to match
up, and when a process dies, its connections tell the owner which leases have ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast
from uuid import uuid4

import msgspec

from mcp_responder.model.analysis import CachedAnswer, Cost
from mcp_responder.model.errors import Conflict, LeaseLost, Misconfigured, NotFound, ResponderError, Transient
from mcp_responder.model.task import Leased
from mcp_responder.ports import Accepted, Commit
from mcp_responder.storage.sqlite.reader import SqliteReader
from mcp_responder.storage.sqlite.store import SqliteStore

SOCKET = "writer.sock"
LENGTH = struct.Struct(">I")
LONGEST_ADDRESS = 100
"""Bytes of a path that every system takes as a socket's address (Linux 107, macOS 103)."""
OPEN_FILES = Path("/proc/self/fd")
SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""What this process lacks for now, which says nothing about the other side."""


class Receive(msgspec.Struct, frozen=True, tag=True):
    worker: str
    lane: str
    limit: int
    wait: float


class Retire(msgspec.Struct, frozen=True, tag=True):
    """This worker takes no more tasks: whoever waits in it is sent home."""

    worker: str


class Write(msgspec.Struct, frozen=True, tag=True):
    commit: Commit


class Release(msgspec.Struct, frozen=True, tag=True):
    handle: str
    counts: bool


class Report(msgspec.Struct, frozen=True, tag=True):
    """The worker's metrics, in Prometheus's text format."""

    metrics: bytes


class Cache(msgspec.Struct, frozen=True, tag=True):
    cached: CachedAnswer


class Book(msgspec.Struct, frozen=True, tag=True):
    cost: Cost


Call = Receive | Retire | Write | Release | Report | Cache | Book


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Leased tasks, or what went wrong: the error's class and words."""

    leased: tuple[Leased, ...] = ()
    error: str = ""
    detail: str = ""


encode = msgspec.msgpack.Encoder().encode
decode_call = msgspec.msgpack.Decoder(Call).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
ERRORS: dict[str, Callable[[str], ResponderError]] = {
    "LeaseLost": LeaseLost,
    "Conflict": Conflict,
    "Transient": Transient,
    "NotFound": lambda detail: NotFound("incident", detail),
}


@contextlib.contextmanager
def address_in(folder: Path) -> Iterator[str]:
    """The address of the socket in a folder, in few enough bytes however long the folder's path is.

    Raises Misconfigured on a system that has no short way to it.
    """
    plain = str(folder / SOCKET)
    if len(os.fsencode(plain)) <= LONGEST_ADDRESS:
        yield plain
        return
    if not OPEN_FILES.is_dir():
        fix = f"'{folder}' is too long a path for a socket ({LONGEST_ADDRESS} bytes at most); name a shorter one."
        raise Misconfigured("data_dir", "configuration", fix)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield str(OPEN_FILES / str(opened) / SOCKET)
    finally:
        os.close(opened)


class OwnerGoneError(ConnectionError):
    """The process that owns the store has ended; whatever was under way is void."""


class RemoteStore(SqliteReader):
    """The store for the worker's process. It never accepts alerts and holds no keys."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder
        self._name = uuid4().hex
        self._local = threading.local()

    def receive(self, lane: str, limit: int, wait: float) -> list[Leased]:
        return list(self._call(Receive(self._name, lane, limit, wait)).leased)

    def commit(self, commit: Commit) -> None:
        self._call(Write(commit))

    def release(self, leased: Leased, *, counts: bool = False) -> None:
        self._call(Release(leased.handle, counts))

    def retire(self) -> None:
        """End all waiting of this process. What was leased by then reaches its thread; nothing is leased after."""
        self._call(Retire(self._name))

    def report(self, metrics: bytes) -> None:
        """Hand the worker's metrics to the owner, who shows them."""
        self._call(Report(metrics))

    def cache_answer(self, cached: CachedAnswer) -> None:
        self._call(Cache(cached))

    def book(self, cost: Cost) -> None:
        self._call(Book(cost))

    def accept(self, batch: object, decide: object) -> list[Accepted]:
        raise NotImplementedError("alerts are accepted by the process that owns the store")

    def hang_up(self) -> None:
        """Close this thread's connection: what it holds is due again at once. The next call opens a new one."""
        connection: socket.socket | None = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()

    def _call(self, call: Call) -> Answer:
        answer = self._ask(self._connection(), encode(call))
        if answer.error:
            raise ERRORS.get(answer.error, ResponderError)(answer.detail)
        return answer

    def _ask(self, connection: socket.socket, frame: bytes) -> Answer:
        try:
            _send(connection, frame)
            return decode_answer(_read(connection))
        except OSError as error:
            self.hang_up()
            raise OwnerGoneError("the service's door is gone") from error
        except BaseException:
            # Half an answer may be left in it, and would be taken for the next call's.
            self.hang_up()
            raise

    def _connection(self) -> socket.socket:
        connection: socket.socket | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
        return connection

    def _connect(self) -> socket.socket:
        try:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with contextlib.ExitStack() as undo:
                undo.callback(connection.close)
                with address_in(self._folder) as address:
                    connection.connect(address)
                undo.pop_all()
        except OSError as error:
            if error.errno in SCARCE:
                raise Transient(f"the door can't be reached now ({error.strerror})") from error
            raise OwnerGoneError("the service's door is gone") from error
        return connection


def _send(connection: socket.socket, frame: bytes) -> None:
    connection.sendall(LENGTH.pack(len(frame)) + frame)


def _read(connection: socket.socket) -> bytes:
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise OwnerGoneError("the connection was closed")
        parts += part
    return bytes(parts)


class StoreServer:
    """Serves ``RemoteStore``s from the owner's event loop. ``on_metrics`` gets each report.

    The store's writer must hand its completions over on that loop.
    """

    def __init__(self, store: SqliteStore, folder: Path, on_metrics: Callable[[bytes], None]) -> None:
        self._store = store
        self._folder = folder
        self._path = folder / SOCKET
        self._on_metrics = on_metrics
        self._server: asyncio.Server | None = None
        self._sessions: set[Session] = set()

    async def start(self) -> None:
        """Raises Misconfigured if the folder's path is too long for a socket."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with address_in(self._folder) as address:
            listener.bind(address)
        self._path.chmod(0o600)
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: Session(self._store, self._on_metrics, self._sessions), sock=listener
        )

    def stop(self) -> None:
        if self._server:
            self._server.close()
        self._path.unlink(missing_ok=True)


class Session(asyncio.Protocol):
    """One connection: at most one call is under way. When it closes, its leases end and it waits no longer."""

    def __init__(self, store: SqliteStore, on_metrics: Callable[[bytes], None], sessions: set[Session]) -> None:
        self._store = store
        self._on_metrics = on_metrics
        self._sessions = sessions
        self._worker = ""
        self._buffer = bytearray()
        self._held: set[str] = set()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._sessions.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._sessions.discard(self)
        self._store.writer.withdraw(self._leased)
        for handle in self._held:
            self._store.submit_release(handle, _unheard, counts=True)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                return
            call = decode_call(self._buffer[LENGTH.size : end])
            del self._buffer[:end]
            self._serve(call)

    def _serve(self, call: Call) -> None:
        try:
            match call:
                case Receive(worker, lane, limit, wait):
                    self._worker = worker
                    self._store.submit_receive(lane, limit, wait, self._leased)
                case Retire(worker):
                    self._retire(worker)
                    self._answer(None, None)
                case Write(commit):
                    handle = commit.finished.handle if commit.finished else ""
                    self._store.submit_commit(commit, partial(self._ended, handle))
                case Release(handle, counts):
                    self._store.submit_release(handle, partial(self._ended, handle), counts=counts)
                case Cache(cached):
                    self._store.submit_cache_answer(cached, self._answer)
                case Book(cost):
                    self._store.submit_book(cost, self._answer)
                case Report(metrics):
                    self._on_metrics(metrics)
                    self._answer(None, None)
        except ResponderError as error:
            self._answer(None, error)

    def _retire(self, worker: str) -> None:
        for session in self._sessions:
            if session._worker == worker:
                self._store.writer.withdraw(session._leased)

    def _leased(self, leased: list[Leased] | None, error: BaseException | None) -> None:
        if self._transport is None:
            # Its holder died while it waited, and has seen none of these.
            for task in leased or ():
                self._store.submit_release(task.handle, _unheard, counts=False)
            return
        self._held.update(task.handle for task in leased or ())
        self._send(Answer(leased=tuple(leased or ())) if error is None else _failure(error))

    def _ended(self, handle: str, result: object, error: BaseException | None) -> None:
        # After a failure the task is still in the caller's hands.
        if error is None or isinstance(error, LeaseLost):
            self._held.discard(handle)
        self._answer(result, error)

    def _answer(self, _: object, error: BaseException | None) -> None:
        self._send(Answer() if error is None else _failure(error))

    def _send(self, answer: Answer) -> None:
        if self._transport is not None:
            frame = encode(answer)
            self._transport.write(LENGTH.pack(len(frame)) + frame)


def _failure(error: BaseException) -> Answer:
    return Answer(error=type(error).__name__, detail=str(error))


def _unheard(_: object, error: BaseException | None) -> None:
    """The holder is gone: nobody waits for this."""
