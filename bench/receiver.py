"""A webhook's other side: notes when each delivery arrived, and takes them all."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from types import TracebackType

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
END_OF_HEAD = b"\r\n\r\n"


class Receiver:
    """Serves in a thread of its own. ``arrivals`` are (time of the whole request, its body), oldest first."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[float, bytes]] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)

    def __enter__(self) -> Receiver:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        listen = self._loop.create_server(lambda: _Delivery(self.arrivals), "127.0.0.1", 0)
        server = self._loop.run_until_complete(listen)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.close()


class _Delivery(asyncio.Protocol):
    """A sender's connection."""

    def __init__(self, arrivals: list[tuple[float, bytes]]) -> None:
        self._arrivals = arrivals
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._received += data
        while (body := self._whole()) is not None:
            self._arrivals.append((now, body))
            assert isinstance(self._transport, asyncio.Transport)
            self._transport.write(ANSWER)

    def _whole(self) -> bytes | None:
        """The body of the first request, once all of it is here."""
        head, end, rest = self._received.partition(END_OF_HEAD)
        length = LENGTH.search(head)
        size = int(length[1]) if length else 0
        if not end or len(rest) < size:
            return None
        self._received = rest[size:]
        return rest[:size]
