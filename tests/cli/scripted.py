"""A service that answers as the API does, from a table that a test fills."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

import msgspec


class Asked(NamedTuple):
    """One request as it came in; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ScriptedApi(ThreadingHTTPServer):
    """Knows the answers that it was given, and 404 for the rest."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.answers: dict[str, tuple[int, bytes, dict[str, str]]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, request: str, body: object, status: int = 200, **headers: str) -> None:
        """Answer ``GET /v1/alerts`` (whatever its query) so from now on; bytes are sent as they are."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self.answers[request] = (status, raw, headers)

    def refuse(self, request: str, status: int, code: str, detail: str) -> None:
        problem = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail}
        self.answer(request, problem, status, **{"Content-Type": "application/problem+json"})

    def reply(self, asked: Asked) -> tuple[int, bytes, dict[str, str]]:
        self.asked.append(asked)
        unknown = {"title": "not_found", "detail": f"There is no {asked.path}."}
        known = self.answers.get(f"{asked.method} {asked.path.partition('?')[0]}")
        return known or (404, msgspec.json.encode(unknown), {})


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedApi

    def log_message(self, *_: object) -> None:
        """Tests read ``asked``."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer, more = self.server.reply(Asked(self.command, self.path, headers, body))
        self.send_response(status)
        length = {} if "Content-Length" in more else {"Content-Length": str(len(answer))}
        for name, value in {**length, **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_DELETE = do_POST  # noqa: N815  http.server's names


@contextmanager
def scripted_api() -> Iterator[ScriptedApi]:
    server = ScriptedApi()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
