"""What takes long to read holds up nobody, and no request holds more than can be read in a few seconds."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3

from mcp_responder import app
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.plumbing import masks
from mcp_responder.ports import Request
from mcp_responder.settings import Settings
from mcp_responder.sources._packed import MOST_EVENTS, MOST_RECORDS
from tests.promises import promise
from tests.service import KEY, Service, running
from tests.sources.reading import FIXTURES

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
LOGS, ANY = "/v1/sources/cloudwatch_logs", "/v1/alerts"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), HTTP__BODY_LIMIT=str(4 * 1024 * 1024)) as service:
        yield service


@pytest.fixture(scope="module")
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


def logs(count: int, words: str = "INFO: served") -> dict[str, Any]:
    events = [{"id": str(n), "timestamp": 1772359200000 + n, "message": f"{words} {n}"} for n in range(count)]
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": "/aws/lambda/checkout",
        "logStream": "s",
        "logEvents": events,
    }


def packed(message: dict[str, Any]) -> str:
    return base64.b64encode(gzip.compress(json.dumps(message).encode())).decode()


def firehose(*data: str) -> dict[str, Any]:
    return {"requestId": "r-1", "timestamp": 1772359200000, "records": [{"data": one} for one in data]}


def findings(count: int) -> dict[str, Any]:
    event = {"detail-type": "Security Hub Findings - Imported", "source": "aws.securityhub", "id": "e-1"}
    return {**event, "detail": {"findings": [{"Id": str(n), "Title": "Open port"} for n in range(count)]}}


def frames(of: int) -> list[str]:
    return [f"\tat com.shop.Cart{of}x{n}.pay(Cart.java:{n})" for n in range(60)]


class Poster:
    def __init__(self, service: Service, http: urllib3.PoolManager) -> None:
        self._url, self._http = service.url, http

    def __call__(self, body: object, path: str = ANY, **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "X-API-Key": KEY, **headers}
        return self._http.request("POST", self._url + path, body=raw, headers=sent)


@pytest.fixture
def post(service: Service, http: urllib3.PoolManager) -> Poster:
    return Poster(service, http)


# ---------------------------------------------------------------------------------------------------------------- caps


@promise("hostile-body-is-a-4xx")
@pytest.mark.parametrize("path", [LOGS, LOGS + "?by=the-long-way", ANY])
@pytest.mark.parametrize(
    "body",
    [
        logs(MOST_EVENTS + 1),
        {"awslogs": {"data": packed(logs(MOST_EVENTS + 1))}},
        {"awslogs": {"data": packed({"messageType": "DATA_MESSAGE", "logEvents": ["ERROR"] * 150_000})}},
        firehose(packed(logs(MOST_EVENTS // 2)), packed(logs(MOST_EVENTS // 2 + 1))),
        firehose(base64.b64encode(b"ERROR x\n" * (MOST_EVENTS + 1)).decode()),
        firehose(*["eA=="] * (MOST_RECORDS + 1)),
        {"Records": [{"kinesis": {"data": "eA=="}}] * (MOST_RECORDS + 1)},
        {"Records": [{"eventSource": "aws:sqs", "body": "x"}] * (MOST_RECORDS + 1)},
        findings(MOST_RECORDS + 1),
    ],
    ids=["plain", "awslogs", "bomb", "two-records", "lines", "records", "kinesis", "queue", "findings"],
)
def test_too_many_in_one_request_are_refused_at_once(post: Poster, body: object, path: str) -> None:
    start = time.monotonic()
    answer = post(body, path)
    assert (answer.status, answer.json()["code"]) == (413, "too_many_items"), answer.data
    assert "smaller batches" in answer.json()["detail"]
    assert time.monotonic() - start < 5


def test_as_many_as_may_come_do(post: Poster) -> None:
    answer = post(firehose(packed(logs(MOST_EVENTS // 2, "a")), packed(logs(MOST_EVENTS // 2, "b"))), LOGS)
    assert answer.status == 200, answer.data


# ---------------------------------------------------------------------------------------------------- beside the loop


SLOW = packed(logs(MOST_EVENTS, "INFO: GET /cart took a while {"))
LARGE = [
    {"title": f"Disk full on web-{n}", "message": "\n".join(("java.lang.IllegalStateException: no cart", *frames(n)))}
    for n in range(1000)
]


@pytest.mark.parametrize(
    ("body", "path", "headers"),
    [
        ({"awslogs": {"data": SLOW}}, LOGS, {}),
        ({"awslogs": {"data": SLOW}}, ANY, {}),
        ({"awslogs": {"data": SLOW}}, ANY + "?by=the-long-way", {}),
        ({"Records": [{"eventSource": "aws:sqs", "body": json.dumps({"awslogs": {"data": SLOW}})}]}, ANY, {}),
        (gzip.compress(json.dumps(firehose(SLOW)).encode()), LOGS, {"Content-Encoding": "gzip"}),
        (json.dumps(LARGE).encode(), ANY, {}),
    ],
    ids=["packed", "packed-detected", "long-way", "packed-in-a-queue", "compressed", "large"],
)
def test_while_a_large_body_is_read_the_others_are_answered(
    service: Service, http: urllib3.PoolManager, post: Poster, body: Any, path: str, headers: dict[str, str]
) -> None:
    longest = 0.0
    with ThreadPoolExecutor(1) as threads:
        start = time.monotonic()
        posted = threads.submit(post, body, path, **headers)
        while not posted.done():
            asked = time.monotonic()
            assert http.request("GET", service.url + "/healthz").status == 200
            longest = max(longest, time.monotonic() - asked)
        took = time.monotonic() - start
    assert posted.result().status in (200, 202), posted.result().data
    assert longest < max(0.25, took / 4), (longest, took)


def test_threads_read_the_same_as_one() -> None:
    """What is remembered of words and sentences is shared, and forgotten now and then."""
    receive = app.build_receive(Settings(), app.build_sources())
    values = [{"title": f"Job {n:x} of w{n}q{n % 7} failed", "service": f"shop-{n % 5}"} for n in range(3000)]
    bodies = [json.dumps(values[n : n + 100]).encode() for n in range(0, 3000, 100)]
    bodies += [path.read_bytes() for path in sorted((FIXTURES / "cloudwatch_logs").glob("*.json"))]

    def read(body: bytes) -> object:
        request = Request(body=body, headers={"content-type": "application/json"}, received_at=NOW)
        try:
            return receive(request, "", "key")
        except InvalidRequest as error:
            return error.code

    masks._masked_words.clear()
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(8) as threads:
        patch.setattr(masks, "REMEMBERED_WORDS", 50)
        together = list(threads.map(read, bodies * 3))
    assert together == list(map(read, bodies)) * 3
