"""Firehose delivers logs to the real service: with its own header, its own answer, and more than a page can hold."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import pytest
import urllib3

from tests.service import KEY, Service, running

PATH = "/v1/sources/cloudwatch_logs"
EVENTS = 10_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("logs")) as service:
        yield service


def message(*messages: str, stream: str = "s-1") -> dict[str, Any]:
    now = int(datetime.now(UTC).timestamp() * 1000)
    events = [
        {"id": f"{crc32(stream.encode())}{10**24 + place}", "timestamp": now, "message": said}
        for place, said in enumerate(messages)
    ]
    names = {"owner": "210987654321", "logGroup": "/aws/lambda/checkout", "logStream": stream}
    return {"messageType": "DATA_MESSAGE", **names, "subscriptionFilters": ["f"], "logEvents": events}


def packed(body: dict[str, Any]) -> str:
    return b64encode(gzip.compress(json.dumps(body).encode())).decode()


def delivered(service: Service, *data: str, key: str = KEY) -> tuple[int, Any]:
    body = json.dumps({"requestId": "r-1", "timestamp": 1, "records": [{"data": one} for one in data]}).encode()
    headers = {
        **{
            "X-Amz-Firehose-Access-Key": key,
            "X-Amz-Firehose-Request-Id": "r-1",
            "X-Amz-Firehose-Protocol-Version": "1.0",
        },
        **{"Content-Type": "application/json", "Content-Encoding": "gzip"},
    }
    answer = urllib3.request("POST", service.url + PATH, body=gzip.compress(body), headers=headers, retries=False)
    return answer.status, json.loads(answer.data)


def test_firehose_brings_its_key_and_gets_its_answer(service: Service) -> None:
    status, answer = delivered(service, packed(message("INFO fine", "ERROR the provider refused the charge")))
    assert (status, answer["requestId"]) == (200, "r-1")
    assert isinstance(answer["timestamp"], int)
    titles = [alert["title"] for alert in service.get("/v1/alerts")["items"]]
    assert sorted(titles) == ["1 log event below WARN in /aws/lambda/checkout", "the provider refused the charge"]
    assert delivered(service, packed(message("x")), key="wrong")[0] == 401


def test_a_function_that_posts_the_event_gets_the_usual_answer(service: Service) -> None:
    status, answer = service.call(
        "POST", PATH, {"awslogs": {"data": packed(message("ERROR by a function", stream="s-2"))}}
    )
    assert status == 202
    assert len(answer["accepted"]) == 1


def test_a_bomb_is_too_large(service: Service) -> None:
    bomb = b64encode(gzip.compress(b" " * 20_000_000)).decode()
    status, problem = delivered(service, bomb)
    assert (status, problem["code"]) == (413, "too_large")


@pytest.mark.parametrize("level", ["INFO", "ERROR"])
def test_ten_thousand_events_come_in_at_once(service: Service, level: str) -> None:
    lines = (f"{level} order {place} could not be placed" for place in range(EVENTS))
    status, _ = delivered(service, packed(message(*lines, stream=f"s-{level}")))
    assert status == 200
    hours = service.settled()
    assert hours["received"] >= (EVENTS if level == "ERROR" else 1)
