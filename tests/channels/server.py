"""A real HTTP server on loopback that does what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, TypeVar

Manner = Literal["answer", "close", "half", "hang", "drip", "garbage", "echo"]


@dataclass(frozen=True)
class Reply:
    """What to do with one request.

    ``answer`` with this status, headers and body after ``delay`` seconds; ``echo`` answers with the request's own
    address, headers and body; ``close`` hangs up without a word, ``half`` in the middle of the body; ``hang`` says
    nothing, ``drip`` sends a byte of the body now and then; ``garbage`` isn't HTTP.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    manner: Manner = "answer"


@dataclass(frozen=True)
class Asked:
    """One request as it came in; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


class ScriptedServer(ThreadingHTTPServer):
    """Answers with the scripted replies in order; the last one stays. Without a script: an empty 200."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._replies: deque[Reply] = deque()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    def script(self, *replies: Reply) -> None:
        """What comes next, instead of what was scripted before."""
        with self._lock:
            self._replies = deque(replies)

    def take(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            if not self._replies:
                return Reply()
            return self._replies.popleft() if len(self._replies) > 1 else self._replies[0]

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        with self._lock:
            self._sockets.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        with self._lock:
            self._sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """The client hung up: that is what some tests are about."""

    def stop(self) -> None:
        """Hang up on everybody, at once."""
        self.closing.set()
        self.shutdown()
        with self._lock:
            for connection in self._sockets:
                _hang_up(connection)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: ScriptedServer

    def log_message(self, *_: object) -> None:
        """Tests read ``asked``."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, body, id(self.connection))
        reply = self.server.take(asked)
        self.server.closing.wait(reply.delay)
        getattr(self, f"_{reply.manner}")(reply, asked)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - http.server's names

    def _answer(self, reply: Reply, asked: Asked) -> None:
        self._begin(reply, len(reply.body))
        self.wfile.write(reply.body)
        self.wfile.flush()

    def _echo(self, reply: Reply, asked: Asked) -> None:
        said = f"{asked.path} {asked.headers} ".encode() + asked.body
        self._answer(Reply(reply.status, body=said), asked)

    def _close(self, reply: Reply, asked: Asked) -> None:
        self.close_connection = True

    def _half(self, reply: Reply, asked: Asked) -> None:
        self._begin(reply, 1000)
        self.wfile.write(b"x" * 10)
        self.wfile.flush()
        self.close_connection = True

    def _hang(self, reply: Reply, asked: Asked) -> None:
        self.server.closing.wait(10)
        self.close_connection = True

    def _drip(self, reply: Reply, asked: Asked) -> None:
        self._begin(reply, 1000)
        while not self.server.closing.wait(0.05):
            self.wfile.write(b"x")
            self.wfile.flush()

    def _garbage(self, reply: Reply, asked: Asked) -> None:
        self.wfile.write(b"\x00\x01 what is this?\r\n\r\n")
        self.wfile.flush()
        self.close_connection = True

    def _begin(self, reply: Reply, length: int) -> None:
        self.send_response_only(reply.status)
        for name, value in {"content-length": str(length), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()


Server = TypeVar("Server", bound=ScriptedServer)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server, answering in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def scripted_server() -> AbstractContextManager[ScriptedServer]:
    return serving(ScriptedServer())


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
