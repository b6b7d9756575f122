"""The API with everything around it that a test may want to hold: store, clock, keys, plug-ins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import urllib3

from mcp_responder.entrypoints.web.api import create_api
from mcp_responder.entrypoints.web.auth import Authenticator
from mcp_responder.entrypoints.web.headers import with_cors
from mcp_responder.entrypoints.web.problems import App
from mcp_responder.model.errors import ResponderError
from mcp_responder.model.message import Message, Receipt
from mcp_responder.operations import SCOPES, Operations
from mcp_responder.pipeline.route import everyone
from mcp_responder.plumbing.secret import Secret
from mcp_responder.ports import ChannelInfo, Delivered, SourceInfo
from mcp_responder.settings import Http, Settings
from mcp_responder.storage.memory import MemoryStore
from tests.contract.alarms import CHANNELS, Sender
from tests.contract.clock import FakeClock

ORIGIN = "https://status.example.com"
MASTER = "master-key-of-the-environment"
BODY_LIMIT = 20_000


class FakeChannel:
    """Keeps what it is told, and answers as it is told to."""

    info = ChannelInfo(kind="webhook", title="Webhook", longest_text=4000, updates=True)

    def __init__(self, name: str) -> None:
        self.name = name
        self.secret = "hunter2-of-the-channel"
        self.told: list[Message] = []
        self.fails_with: Exception | None = None

    def deliver(self, message: Message, previous: Receipt | None) -> Delivered:
        self.told.append(message)
        if self.fails_with:
            raise self.fails_with
        return Delivered(reference="ref-1", url="https://chat.example.com/1")


def a_source(name: str, *content_types: str) -> Any:
    info = SourceInfo(name=name, title=name.title(), content_types=content_types or ("application/json",))
    return SimpleNamespace(INFO=info, __doc__=f"{name}: point its webhook here.\n\nThen test it.\n")


class House:
    """One API over a store in memory. ``tokens`` has a key for each scope, named like it, and ``all``."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.sender = Sender(self.store, self.clock)
        self.operations = Operations(self.store, self.clock, everyone(CHANNELS))
        self.tokens = {scope: self.key(scope, scope) for scope in SCOPES} | {"all": self.key("all", *SCOPES)}
        self.authenticator = Authenticator(self.store.keys, self.clock, Secret(MASTER), "token-of-this-start")
        self.channel = FakeChannel("ops")
        self.channels: dict[str, Any] = {"ops": self.channel}
        self.sources = {"grafana": a_source("grafana"), "syslog": a_source("syslog", "text/plain")}
        self.reason = ""
        self.settings = Settings(http=Http(cors_origins=(ORIGIN,), body_limit=BODY_LIMIT), **settings)
        self.api = create_api(
            operations=self.operations,
            authenticator=self.authenticator,
            sources=self.sources,
            channels=self.channels,
            settings=self.settings,
            metrics=lambda: b"# HELP up It is.\nup 1\n",
            ready=lambda: self.reason,
            version="1.2.3",
            dead_letters=self.store.dead_letters,
            clock=self.clock,
        )
        self.door: App = with_cors(self.api, self.settings.http.cors_origins)

    def key(self, name: str, *scopes: str, expires_in: timedelta | None = None, per_minute: int = 0) -> str:
        """A new key's token."""
        token = self.operations.create_key(name, scopes, expires_in, per_minute).token
        assert token
        return token

    def fires(self, **fields: Any) -> str:
        """The id of an alert that the store has taken, sent just now."""
        return self.sender.fires(ago=timedelta(0), **fields).alert_id

    def opens(self, **fields: Any) -> str:
        """The id of the incident that a firing has opened."""
        return self.store.alert(self.fires(**fields)).incident_id

    def breaks(self, error: Exception) -> None:
        """From now on the store raises this."""

        def fail(*_: object) -> Any:
            raise error

        self.store.incident = fail  # type: ignore[assignment, method-assign]


class Answer:
    """What came back over the wire."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.data

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """The answer, which must be this problem."""
        assert (self.status, self.headers["content-type"]) == (status, "application/problem+json"), self.body
        problem: dict[str, Any] = self.json
        assert problem["code"] == code, problem
        assert problem["status"] == status
        assert problem["type"] == f"urn:mcp-responder:problem:{code}"
        assert problem["title"]
        assert problem["detail"]
        return problem


class Client:
    """Asks one house, with the key ``all`` unless told otherwise; an empty key sends none."""

    def __init__(self, url: str, house: House, http: urllib3.PoolManager) -> None:
        self.url = url
        self.house = house
        self._http = http

    def get(self, path: str, **options: Any) -> Answer:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: object = None, **options: Any) -> Answer:
        return self.ask("POST", path, body, **options)

    def items(self, path: str) -> list[Any]:
        """The items of a list that must be answered."""
        answer = self.get(path)
        assert answer.status == 200, answer.body
        items: list[Any] = answer.json["items"]
        return items

    def ask(
        self, method: str, path: str, body: object = None, *, key: str = "all", headers: dict[str, str] | None = None
    ) -> Answer:
        sent: Any = body if isinstance(body, bytes | Iterator | None) else json.dumps(body).encode()
        given = {"content-type": "application/json"} if sent is not None else {}
        if key:
            given["x-api-key"] = self.house.tokens.get(key, key)
        response = self._http.request(method, self.url + path, body=sent, headers=given | (headers or {}))
        return Answer(response)


UNKNOWN = ResponderError("password=hunter2 was wrong")
