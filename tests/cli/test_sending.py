"""``send``: alerts made of options and files as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.scripted import ScriptedApi

TAKEN = {
    "accepted": [{"alert_id": "0f6", "source": "generic", "signature": "9f3", "status_url": "/v1/alerts/0f6"}],
    "rejected": [],
}


def test_an_alert_made_of_options(api: ScriptedApi, run: Run) -> None:
    api.answer("POST /v1/alerts", TAKEN, 202)
    ended = run("send", "--title", "Disk full", "--severity", "HIGH", "--source-id", "d1", "--label", "a=b=c")
    assert ended.code == 0
    assert ended.out.splitlines()[1].split() == ["0f6", "generic", f"{api.url}/v1/alerts/0f6"]
    asked = api.asked[0]
    assert asked.json == {"title": "Disk full", "severity": "HIGH", "source_id": "d1", "labels": {"a": "b=c"}}
    assert asked.headers["content-type"] == "application/json"


def test_a_file_goes_as_it_is(api: ScriptedApi, run: Run, folder: Path) -> None:
    api.answer("POST /v1/sources/cloudwatch_alarm", TAKEN, 202)
    body = b' {"AlarmName" : "x"}\r\n'
    (folder / "alarm.json").write_bytes(body)
    assert run("send", "alarm.json", "--source", "cloudwatch_alarm", "--idempotency-key", "k1").code == 0
    assert api.asked[0].body == body
    assert api.asked[0].headers["idempotency-key"] == "k1"


def test_standard_input(api: ScriptedApi, run: Run) -> None:
    api.answer("POST /v1/alerts", TAKEN, 202)
    ended = run("send", "-", "--json", stdin=b"it burns\xff")
    assert json.loads(ended.out) == TAKEN
    assert api.asked[0].body == b"it burns\xff"
    assert api.asked[0].headers["content-type"] == "text/plain"


def test_a_part_that_is_rejected_fails(api: ScriptedApi, run: Run) -> None:
    rejected = [{"index": 1, "error": {"code": "no_title", "detail": "There is no title."}}]
    api.answer("POST /v1/alerts", {**TAKEN, "rejected": rejected}, 202)
    ended = run("send", "--title", "x")
    assert ended.code == 1
    assert "0f6" in ended.out
    assert ended.err == "mcp-responder: Item 1 was rejected: There is no title.\n"


def test_no_alert_in_it_is_said(api: ScriptedApi, run: Run) -> None:
    api.answer("POST /v1/alerts", {"accepted": [], "rejected": []}, 202)
    ended = run("send", "--message", "x")
    assert (ended.code, ended.out) == (0, "")
    assert "no alert" in ended.err


@pytest.mark.parametrize(
    "words", [[], ["--service", "x"], ["nowhere.json"], ["-", "--title", "x"], ["--title", "x", "--label", "x"]]
)
def test_what_cannot_be_sent(api: ScriptedApi, run: Run, words: list[str]) -> None:
    ended = run("send", *words)
    assert ended.code == 2
    assert api.asked == []
