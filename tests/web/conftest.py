"""One server for all tests of this folder; each test puts its own house behind it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
import uvicorn
from structlog.testing import capture_logs

from mcp_responder.entrypoints.web.problems import App, Receive, Scope, Send
from tests.web.house import Client, House


class Stage:
    """An ASGI application that is another one for each test."""

    app: App

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def stage() -> Stage:
    return Stage()


@pytest.fixture(scope="session")
def url(stage: Stage) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    settings: dict[str, Any] = {"http": "httptools", "ws": "none", "lifespan": "off", "log_config": None}
    server = uvicorn.Server(uvicorn.Config(stage, access_log=False, **settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture(scope="session")
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What is logged, instead of being printed."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def client(url: str, stage: Stage, house: House, http: urllib3.PoolManager) -> Client:
    stage.app = house.door
    return Client(url, house, http)
