"""Every shared body of the AWS sources and of Alertmanager reads as the reviewed table says (``reviewed.json``)."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mcp_responder.pipeline.receive import Limits, Receive
from mcp_responder.plumbing.fields import instant
from mcp_responder.ports import Incoming
from mcp_responder.sources import load_sources
from tests.sources.reading import SHARED, request

PAYLOADS = SHARED / "payloads"
FOLDERS = ("sns", "cloudwatch_alarm", "cloudwatch_logs", "eventbridge", "alertmanager")
TABLE: list[Any] = msgspec.json.decode(Path(__file__).with_name("reviewed.json").read_bytes())
ROWS: list[dict[str, str]] = [row for row in TABLE if isinstance(row, dict)]
BODIES = {body: list(rows) for body, rows in groupby(ROWS, key=lambda row: row["body"])}
SHOWN = ("source", "status", "severity", "title", "service", "resource")

pytestmark = pytest.mark.skipif(not PAYLOADS.is_dir(), reason="the shared payloads aren't here")

receive = Receive(load_sources(), ("signature", "service", "environment"), {}, Limits())


def incoming(body: str) -> tuple[Incoming, ...]:
    received = receive(request((PAYLOADS / f"{body}.json").read_bytes()), "", "key")
    assert received.rejected == ()
    return received.incoming


@pytest.mark.parametrize("body", BODIES)
def test_a_body_reads_as_reviewed(body: str) -> None:
    alerts = [each.alert for each in incoming(body)]
    assert [{name: str(getattr(alert, name)) for name in SHOWN} for alert in alerts] == [
        {name: row[name] for name in SHOWN} for row in BODIES[body]
    ]
    assert [alert.timestamp for alert in alerts] == [instant(row["time"]) for row in BODIES[body]]


def test_rows_of_one_alarm_are_one_alarm_and_others_are_not() -> None:
    alarms, sent = defaultdict(set), {}
    for body, rows in BODIES.items():
        for row, each in zip(rows, incoming(body), strict=True):
            alarms[row["alarm"]].add(each.alarm)
            sent[row["alarm"]] = each.alert.source_id
    assert all(len(seen) == 1 for seen in alarms.values())
    assert len(set().union(*alarms.values())) == len(alarms)
    # What its sender calls it, where it has a name of its own.
    named = {alarm: source_id for alarm, source_id in sent.items() if len(alarm) > 1}
    assert named == {alarm: alarm for alarm in named}


def test_no_body_is_left_out() -> None:
    there = (path for folder in FOLDERS for path in (PAYLOADS / folder).glob("*.json"))
    assert {f"{path.parent.name}/{path.stem}" for path in there if ".headers" not in path.name} == set(BODIES)
