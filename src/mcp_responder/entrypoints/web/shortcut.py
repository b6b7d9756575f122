"""A short way through uvicorn for alerts.

For each request uvicorn makes a task, an event, a scope and two writes: most of what accepting one alert costs. A plain
POST of alerts needs none of that. Its parser, its connections, its time-outs and its order of pipelined requests stay
uvicorn's; whatever isn't plain goes the long way, with the same ``Ingest`` at its end.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mcp_responder.entrypoints.web.ingest import ANY, NAMED, Ingest, Visit, status_of
from mcp_responder.entrypoints.web.problems import problem_response
from mcp_responder.model.errors import CertificateMissing, InvalidRequest, TakesLong

STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
ANY_URL, NAMED_URL = ANY.encode(), NAMED.encode()
ODD = frozenset(b"%?#")
"""Characters of an address that needs taking apart."""


class ShortCycle:
    """A request on the short way: to uvicorn it looks like a cycle that nobody waits for."""

    def __init__(self, visit: Visit, *, keep_alive: bool) -> None:
        self.visit = visit
        self.keep_alive = keep_alive
        self.parts: list[bytes] = []
        self.response_complete = False
        self.disconnected = False
        self.message_event = self

    @property
    def body(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    def set(self) -> None:
        """uvicorn wakes who waits for the body or the end: nobody does."""


def shortcut(ingest: Ingest, headers: tuple[tuple[bytes, bytes], ...]) -> type[HttpToolsProtocol]:
    """The protocol to hand to uvicorn. ``headers`` go with every answer."""
    ready = b"".join(b"%s: %s\r\n" % header for header in headers)
    accepted = b"content-type: application/json\r\n" + ready

    class Shortcut(HttpToolsProtocol):
        """uvicorn's protocol, with plain posts of alerts on the short way."""

        def on_headers_complete(self) -> None:
            visit = self._admitted() if self._is_plain() else None
            if visit is None:
                super().on_headers_complete()
            else:
                cycle = ShortCycle(visit, keep_alive=self.parser.should_keep_alive())
                self.cycle = cycle  # type: ignore[assignment]

        def _admitted(self) -> Visit | None:
            """None for whom is to be refused: the long way does that before the body has come."""
            try:
                return ingest.admit(self.headers, self.url.decode("ascii"))
            except InvalidRequest:
                return None

        def _is_plain(self) -> bool:
            url, parser = self.url, self.parser
            ours = url == ANY_URL or (url.startswith(NAMED_URL) and b"/" not in url[len(NAMED_URL) :])
            return (
                ours
                and parser.get_method() == b"POST"
                and parser.get_http_version() == "1.1"
                and not self.expect_100_continue
                and not parser.should_upgrade()
                and url.isascii()
                and ODD.isdisjoint(url)
                # Behind an unfinished request this one has to queue: that is uvicorn's business.
                and (self.cycle is None or self.cycle.response_complete)
                and self._is_of_known_size()
            )

        def _is_of_known_size(self) -> bool:
            """A body of a declared length that fits: it can be gathered without a look at its size."""
            length = next((value for name, value in self.headers if name == b"content-length"), b"")
            return length.isdigit() and int(length) <= ingest.limit(self.url.decode("ascii"))

        def on_body(self, body: bytes) -> None:
            cycle: Any = self.cycle
            if not isinstance(cycle, ShortCycle):
                super().on_body(body)
            elif not cycle.response_complete:
                cycle.parts.append(body)

        def on_message_complete(self) -> None:
            cycle: Any = self.cycle
            if not isinstance(cycle, ShortCycle):
                super().on_message_complete()
            elif not cycle.response_complete:
                self._take(cycle)

        def _take(self, cycle: ShortCycle) -> None:
            try:
                ingest.read(cycle.visit, cycle.body)
            except (CertificateMissing, TakesLong):
                task = asyncio.get_running_loop().create_task(self._take_patiently(cycle))
                # Else nobody would keep it from being collected.
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
            except Exception as error:  # noqa: BLE001 - a door answers whatever happens
                self._refuse(cycle, error)
            else:
                self._submit(cycle)

        async def _take_patiently(self, cycle: ShortCycle) -> None:
            try:
                await ingest.read_patiently(cycle.visit, cycle.body)
            except Exception as error:  # noqa: BLE001 - a door answers whatever happens
                self._refuse(cycle, error)
            else:
                self._submit(cycle)

        def _submit(self, cycle: ShortCycle) -> None:
            visit = cycle.visit
            try:
                if visit.incoming:
                    ingest.submit(visit, lambda result, error: self._answer(cycle, result, error))
                    return
            except Exception as error:  # noqa: BLE001 - a door answers whatever happens
                self._refuse(cycle, error)
            else:
                self._answer(cycle, [], None)

        def _answer(self, cycle: ShortCycle, result: Any, error: BaseException | None) -> None:
            if error is not None:
                self._refuse(cycle, error)
                return
            visit = cycle.visit
            try:
                host = visit.headers.get("host") or "{}:{}".format(*(self.server or ("", "")))
                body = ingest.view(visit, result, f"{self.scheme}://{host}")
            except Exception as refusal:  # noqa: BLE001 - a door answers whatever happens
                self._refuse(cycle, refusal)
            else:
                self._finish(cycle, status_of(visit), accepted, body)

        def _refuse(self, cycle: ShortCycle, error: BaseException) -> None:
            status, extra, body = problem_response(error)
            self._finish(cycle, status, b"".join(b"%s: %s\r\n" % header for header in extra) + ready, body)

        def _finish(self, cycle: ShortCycle, status: int, head: bytes, body: bytes) -> None:
            cycle.response_complete = True
            if self.transport.is_closing():
                return
            dates = b"".join(b"%s: %s\r\n" % header for header in self.server_state.default_headers)
            end = b"" if cycle.keep_alive else b"connection: close\r\n"
            length = b"content-length: %d\r\n\r\n" % len(body)
            self.transport.write(b"".join((STATUS[status], dates, head, end, length, body)))
            if not cycle.keep_alive:
                self.transport.close()
            self.on_response_complete()

    return Shortcut
