"""Bodies of AWS that nobody should send: too large, of other types, ten thousand of everything."""

from __future__ import annotations

import random
import time
from typing import Any

import msgspec
import pytest

from mcp_responder.model.alert import Alert
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.pipeline.receive import Limits, Receive
from mcp_responder.sources import load_sources
from mcp_responder.sources._links import MOST_LINKS, links_in
from tests.sources.reading import bodies, read, request
from tests.sources.test_aws_events import EVENTS, MESSAGES, event
from tests.sources.test_aws_texts import TEXTS, envelope

MEGABYTE = 1_000_000
SECONDS = 2.0
"""Far more than any of them takes; a quadratic one takes minutes."""
ALARM = {"AlarmName": "a", "AWSAccountId": "210987654321", "NewStateValue": "ALARM", "Region": "EU (Frankfurt)"}
ODD: tuple[object, ...] = (None, True, -1, 1e308, "", "x", [], ["x"], [[]], {}, {"x": []}, [None, {"id": 5}])

receive = Receive(load_sources(), ("signature", "service", "environment"), {}, Limits())


def large(filling: str) -> str:
    return filling * (MEGABYTE // len(filling))


def shown_without_links(alert: Alert) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(alert, raw_data=msgspec.Raw(b"0"), links=()))


FILLINGS = ("a", " ", "https://a.example/", "severity: ", "(((", "\n", "https://", "Runbook ", "[P1", "é\u202e", "x: ")


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("field", ["AlarmDescription", "AlarmName", "NewStateReason", "AlarmRule", "AWSAccountId"])
def test_a_text_of_a_megabyte_in_an_alarm_is_read_soon(field: str, filling: str) -> None:
    began = time.perf_counter()
    received = receive(request(msgspec.json.encode({**ALARM, field: large(filling)})), "", "key")
    assert time.perf_counter() - began < SECONDS
    assert all(len(shown_without_links(each.alert)) < 100_000 for each in received.incoming)


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("start", ["An AWS Backup job failed. ", "AWS Budget Notification", "StackId='arn:", ""])
def test_a_text_of_a_megabyte_in_a_notification_is_read_soon(start: str, filling: str) -> None:
    began = time.perf_counter()
    read("sns", envelope("AWS Elastic Beanstalk Notification", f"{start}{large(filling)}\nEnvironment: x"))
    read("aws_notification", {"Event Source": "db-instance", "Source ID": "x", "Event Message": large(filling)})
    detail = {"state": large(filling), "message": large(filling), "name": large(filling)}
    happened = read("eventbridge", {**event(large(filling), "x", detail), "account": large(filling)})
    assert time.perf_counter() - began < SECONDS
    assert len(shown_without_links(happened)) < 100_000


def test_ten_thousand_children_metrics_and_dimensions_are_named_in_part() -> None:
    arn = "arn:aws:cloudwatch:eu-central-1:210987654321:alarm:child-{}"
    children = [{"Arn": arn.format(number), "State": {"Value": "ALARM"}} for number in range(10_000)]
    dimensions = [{"name": f"n{number}", "value": "v"} for number in range(10_000)]
    metrics = [{"Id": f"m{number}", "Expression": "m1", "ReturnData": True} for number in range(10_000)]
    began = time.perf_counter()
    composite = read("cloudwatch_alarm", {**ALARM, "TriggeringChildren": children})
    wide = read("cloudwatch_alarm", {**ALARM, "Trigger": {"Metrics": metrics}})
    deep = read("cloudwatch_alarm", {**ALARM, "Trigger": {"MetricName": "m", "Dimensions": dimensions}})
    assert time.perf_counter() - began < SECONDS
    assert "child-19 (ALARM), and 9980 more" in composite.message
    assert len(composite.links) < 50
    assert max(len(composite.message), len(wide.message), len(deep.message)) < 10_000


def test_links_are_found_named_and_few() -> None:
    words = (
        "Runbook: https://wiki.example/a. See [the dashboard](https://grafana.example/d/1?x=(y)) or (https://b.example/c)."
        " <https://d.example|here>, https://wiki.example/a"
    )
    assert [(link.name, link.url) for link in links_in(words)] == [
        ("Runbook", "https://wiki.example/a"),
        ("Dashboard", "https://grafana.example/d/1?x=(y)"),
        ("Link", "https://b.example/c"),
        ("Link", "https://d.example"),
    ]
    assert len(links_in("https://a.example/%d " * 1000)) <= MOST_LINKS


SAMPLES: list[Any] = [
    *(event(*row[:4]) for row in EVENTS),
    *(body for body, _ in MESSAGES),
    *(envelope(*row[:2]) for row in TEXTS),
    *(
        msgspec.json.decode(path.read_bytes())
        for source in ("cloudwatch_alarm", "eventbridge")
        for path in bodies(source)
    ),
]


def swapped(value: Any, chance: random.Random) -> Any:
    """The value with some of its parts replaced by something of another type."""
    if chance.random() < 0.15:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {key: swapped(inner, chance) for key, inner in value.items()}
    return [swapped(inner, chance) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(20))
def test_swapped_types_give_alerts_or_a_refusal(seed: int) -> None:
    chance = random.Random(seed)
    for sample in SAMPLES:
        body = swapped(sample, chance)
        if not isinstance(body, dict):
            continue
        raw = msgspec.json.encode(body)
        for source in ("aws_notification", "cloudwatch_alarm", "eventbridge", "sns", ""):
            try:
                received = receive(request(raw), source, "key")
            except InvalidRequest:
                continue
            assert received.incoming or received.rejected
