"""What a source asks of the door for its own address: a header for its key, larger bodies, an answer of its own."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import urllib3
import uvicorn

from mcp_responder.entrypoints.web.api import create_api
from mcp_responder.entrypoints.web.ingest import Ingest
from mcp_responder.entrypoints.web.shortcut import shortcut
from mcp_responder.model.alert import Alert
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.pipeline.correlate import Correlate, Rules
from mcp_responder.pipeline.receive import Limits, Receive
from mcp_responder.pipeline.route import everyone
from mcp_responder.ports import Query, Request, SourceInfo
from mcp_responder.sources import generic
from tests.web.house import Client, House

LIMIT, LARGER = 4_000, 40_000
NAMED, OTHER = "/v1/sources/firehose", "/v1/sources/generic"


def reply(request: Request) -> Mapping[str, object]:
    return {"requestId": request.headers.get("x-request-id", ""), "at": request.received_at.isoformat()}


def parse(body: Any, raw: bytes, request: Request) -> list[Alert]:
    if not isinstance(body, dict) or "records" not in body:
        raise InvalidRequest("no_records", "There are no records.", status=422)
    return [Alert(source="firehose", title=record, raw_data=msgspec.Raw(raw)) for record in body["records"]]


FIREHOSE: Any = SimpleNamespace(
    INFO=SourceInfo(
        name="firehose",
        title="Firehose",
        key_headers=("x-amz-firehose-access-key",),
        largest_body=LARGER,
        reply=reply,
    ),
    __doc__="Point it here.",
    detects=lambda body: isinstance(body, dict) and "records" in body,
    parse=parse,
)
SOURCES: dict[str, Any] = {"firehose": FIREHOSE, "generic": generic}


def ingest(house: House) -> Ingest:
    decide = Correlate(Rules(), everyone(("ops",)))

    def submit(incoming: Any, _: Any, done: Any, __: int) -> None:
        done(house.store.accept(incoming, decide), None)

    return Ingest(
        receive=Receive(SOURCES, ("signature",), {}, Limits()),
        sources=SOURCES,
        submit=submit,
        decide=decide,
        authenticator=house.authenticator,
        clock=house.clock,
        body_limit=LIMIT,
        public_url="",
        headers=[],
        seen=lambda *_: None,
    )


@pytest.fixture(params=["the short way", "the long way"])
def door(request: pytest.FixtureRequest, house: House, http: urllib3.PoolManager) -> Iterator[Client]:
    its = ingest(house)
    listener = socket.create_server(("127.0.0.1", 0))
    protocol: Any = shortcut(its, ()) if request.param == "the short way" else "httptools"
    settings: dict[str, Any] = {"http": protocol, "ws": "none", "lifespan": "off", "log_config": None}
    server = uvicorn.Server(uvicorn.Config(its, access_log=False, **settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield Client(f"http://127.0.0.1:{listener.getsockname()[1]}", house, http)
    server.should_exit = True
    thread.join()
    listener.close()


def body(size: int) -> bytes:
    empty = len(json.dumps({"records": ["Disk full"], "more": ""}))
    return json.dumps({"records": ["Disk full"], "more": "x" * (size - empty)}).encode()


def test_the_key_may_come_in_the_senders_own_header(door: Client) -> None:
    token = door.house.tokens["ingest"]
    headers = {"X-Amz-Firehose-Access-Key": token}
    assert door.post(NAMED, body(100), key="", headers=headers).status == 200
    assert [item.alert.key for item in door.house.store.alerts(Query()).items] == ["ingest"]


def test_that_header_is_nothing_elsewhere_and_a_wrong_key_in_it_is_wrong(door: Client) -> None:
    token = door.house.tokens["ingest"]
    headers = {"X-Amz-Firehose-Access-Key": token}
    door.post(OTHER, body(100), key="", headers=headers).problem(401, "missing_key")
    door.post("/v1/alerts", body(100), key="", headers=headers).problem(401, "missing_key")
    door.post(NAMED, body(100), key="", headers={"X-Amz-Firehose-Access-Key": token + "x"}).problem(401, "wrong_key")
    door.post(NAMED, body(100), key="", headers={"X-Amz-Firehose-Access-Key": ""}).problem(401, "missing_key")


def test_the_usual_headers_go_first(door: Client) -> None:
    headers = {"X-Amz-Firehose-Access-Key": door.house.tokens["read"]}
    assert door.post(NAMED, body(100), key="ingest", headers=headers).status == 200


@pytest.mark.parametrize(("path", "limit"), [(NAMED, LARGER), (OTHER, LIMIT), ("/v1/alerts", LIMIT)])
def test_larger_bodies_are_taken_at_its_own_address_only(door: Client, path: str, limit: int) -> None:
    assert door.post(path, body(limit)).status in (200, 202)
    assert f"{limit} bytes" in door.post(path, body(limit + 1)).problem(413, "too_large")["detail"]
    packed = {"content-encoding": "gzip"}
    assert door.post(path, gzip.compress(body(limit)), headers=packed).status in (200, 202)
    door.post(path, gzip.compress(body(limit + 1)), headers=packed).problem(413, "too_large")


def test_of_what_is_read_beside_the_loop_only_so_much_waits(door: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_responder.entrypoints.web.ingest.MOST_WAITING", 10)
    refused = door.post(NAMED, gzip.compress(body(100)), headers={"content-encoding": "gzip"})
    refused.problem(503, "unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert door.post(NAMED, body(100)).status == 200
    monkeypatch.undo()
    assert door.post(NAMED, gzip.compress(body(100)), headers={"content-encoding": "gzip"}).status == 200


def test_the_sender_gets_the_answer_that_it_insists_on(door: Client) -> None:
    answer = door.post(NAMED, body(100), headers={"X-Request-Id": "r-1"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == {"requestId": "r-1", "at": door.house.clock().isoformat()}
    nothing = door.post(NAMED, {"records": []}, headers={"X-Request-Id": "r-2"})
    assert (nothing.status, nothing.json["requestId"]) == (200, "r-2")
    assert door.post("/v1/alerts", body(100)).status == 202


def test_a_body_that_cant_be_read_is_a_problem_all_the_same(door: Client) -> None:
    door.post(NAMED, b"{", headers={"X-Request-Id": "r-1"}).problem(400, "malformed_json")
    door.post("/v1/sources/nobody", body(100)).problem(404, "not_found")


def test_the_description_says_so() -> None:
    house = House()
    api = create_api(
        operations=house.operations,
        authenticator=house.authenticator,
        sources=SOURCES,
        channels={},
        settings=house.settings,
        metrics=bytes,
        ready=str,
        version="1",
    )
    (route,) = (route for route in api.routes if getattr(route, "path", "") == "/openapi.json")
    document = json.loads(route.endpoint().body)  # type: ignore[attr-defined]
    own, anybodys = (document["paths"][path]["post"] for path in ("/v1/sources/{source}", "/v1/alerts"))
    scheme = document["components"]["securitySchemes"]["firehose_x_amz_firehose_access_key"]
    assert scheme == {"type": "apiKey", "in": "header", "name": "X-Amz-Firehose-Access-Key"}
    assert {"firehose_x_amz_firehose_access_key": ["ingest"]} in own["security"]
    assert f"`firehose` {LARGER}" in own["description"]
    assert "`firehose`" in own["responses"]["200"]["description"]
    assert "200" not in anybodys["responses"]
    assert len(anybodys["security"]) == 3
