"""An incident in Slack, through the real service: paged, analysed, taken by a button, talked about, ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.channels.slack_server import (
    CHANNEL,
    SIGNING_SECRET,
    TOKEN,
    SlackServer,
    blocks_of,
    pressed,
    replied,
    signed,
    slack_server,
)
from tests.scenarios.stories import a_service, alarm
from tests.service import Service, eventually, running

ACTIONS, EVENTS = "/v1/channels/slack/actions", "/v1/channels/slack/events"
SECOND = 1.0


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackServer]:
    with slack_server() as server:
        yield server


@pytest.fixture(scope="module")
def service(slack: SlackServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "CHANNELS__SLACK__TOKEN": TOKEN,
        "CHANNELS__SLACK__CHANNEL": CHANNEL,
        "CHANNELS__SLACK__SIGNING_SECRET": SIGNING_SECRET,
        "CHANNELS__SLACK__BASE_URL": f"{slack.url}/api",
        "RETRY__FIRST_SECONDS": "0.2",
    }
    with running(tmp_path_factory.mktemp("slack"), **settings) as service:
        yield service


def shown(slack: SlackServer, incident_id: str) -> dict[str, Any]:
    """The one message of an incident."""
    ours = [one for one in slack.messages if one["metadata"]["event_payload"]["incident"] == incident_id]
    [message] = [one for one in ours if "thread_ts" not in one]
    return message


def opened(service: Service, slack: SlackServer, name: str) -> str:
    """The id of a new incident that Slack shows with its analysis."""
    [alert_id] = service.send(alarm(a_service(name)))
    incident_id: str = service.get(f"/v1/alerts/{alert_id}")["incident"]["id"]

    def analysed() -> None:
        assert "Analysis by" in json.dumps(shown(slack, incident_id))

    eventually(analysed)
    return incident_id


def calls(service: Service, path: str, body: bytes, at: float | None = None, **headers: str) -> tuple[int, str]:
    """What the service answers to a signed call that has no API key."""
    proof = signed(body, time.time() if at is None else at) | headers
    kind = "application/json" if path == EVENTS else "application/x-www-form-urlencoded"
    answer = service.ask("POST", path, body, {"content-type": kind, **proof})
    return answer.status, answer.data.decode()


def test_a_critical_alarm_is_in_slack_within_a_second(service: Service, slack: SlackServer) -> None:
    opened(service, slack, "warm")
    before = len(slack.messages)
    started = time.monotonic()
    service.send(alarm(a_service("quick")))
    eventually(lambda: slack.messages[before], SECOND)
    assert time.monotonic() - started < SECOND


def test_a_press_acknowledges_and_the_message_shows_by_whom(service: Service, slack: SlackServer) -> None:
    incident_id = opened(service, slack, "pressed")
    started = time.monotonic()
    assert calls(service, ACTIONS, pressed("acknowledge", incident_id, trigger="p1")) == (200, "")
    assert time.monotonic() - started < 3
    view = service.get(f"/v1/incidents/{incident_id}")
    assert (view["status"], view["acknowledged_by"]) == ("acknowledged", "slack: Ada Lovelace")

    def edited() -> None:
        assert "Acknowledged by *slack: Ada Lovelace*" in json.dumps(shown(slack, incident_id))

    eventually(edited)
    offered = [one for block in blocks_of(shown(slack, incident_id)) for one in block.get("elements", ())]
    assert "acknowledge" not in [one.get("action_id") for one in offered]

    # A second press comes too late, and only the one who pressed hears why.
    again = pressed("acknowledge", incident_id, trigger="p2", response_url=f"{slack.url}/response/p2")
    assert calls(service, ACTIONS, again) == (200, "")
    told = eventually(lambda: slack.told[-1])
    assert told[0] == "/response/p2"
    assert "already acknowledged" in told[1]["text"]


def test_a_press_silences_and_another_one_resolves(service: Service, slack: SlackServer) -> None:
    incident_id = opened(service, slack, "ended")
    assert calls(service, ACTIONS, pressed("silence", incident_id, trigger="s1"))[0] == 200
    assert service.get(f"/v1/incidents/{incident_id}")["silenced_by"] == "slack: Ada Lovelace"
    assert calls(service, ACTIONS, pressed("resolve", incident_id, trigger="s2"))[0] == 200

    def over() -> None:
        assert shown(slack, incident_id)["text"].startswith("RESOLVED: ")

    eventually(over)
    assert calls(service, ACTIONS, pressed("reopen", incident_id, trigger="s3"))[0] == 200
    assert service.get(f"/v1/incidents/{incident_id}")["status"] == "open"


def test_a_reply_in_the_thread_is_in_the_timeline_once(service: Service, slack: SlackServer) -> None:
    incident_id = opened(service, slack, "talked")
    thread = shown(slack, incident_id)["ts"]
    eventually(lambda: service.get(f"/v1/incidents/{incident_id}")["deliveries"][0]["reference"].index(thread))
    body = replied(thread, "rolling back", event_id="Ev7")
    for number in range(3):
        assert calls(service, EVENTS, body, **{"x-slack-retry-num": str(number)})[0] == 200
    assert calls(service, EVENTS, replied("17.999999", "about something else", event_id="Ev8"))[0] == 200
    timeline = service.get(f"/v1/incidents/{incident_id}")["timeline"]
    comments = [(entry["by"], entry["text"]) for entry in timeline if entry["event"] == "commented"]
    assert comments == [("slack: Ada Lovelace", "rolling back")]


def test_slack_can_check_the_address(service: Service) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a"}).encode()
    assert calls(service, EVENTS, body) == (200, "3eZbrw1a")


def test_what_slack_has_not_signed_changes_nothing(service: Service, slack: SlackServer) -> None:
    incident_id = opened(service, slack, "forged")
    body = pressed("resolve", incident_id, trigger="f1")
    now = time.time()
    for headers in ({}, signed(body, now, "guess"), signed(body, now - 600), signed(body + b"&", now)):
        assert service.ask("POST", ACTIONS, body, headers).status == 403
    assert service.get(f"/v1/incidents/{incident_id}")["status"] == "open"
    assert SIGNING_SECRET not in service.stderr
    assert TOKEN not in service.stderr


def test_a_page_without_an_answer_is_not_told_twice(service: Service, slack: SlackServer) -> None:
    slack.next_answers.append("lost")
    [alert_id] = service.send(alarm(a_service("lost")))
    incident_id = service.get(f"/v1/alerts/{alert_id}")["incident"]["id"]

    def told() -> None:
        assert "Analysis by" in json.dumps(shown(slack, incident_id))
        assert service.get(f"/v1/incidents/{incident_id}")["deliveries"][0]["state"] == "delivered"

    eventually(told)
    assert shown(slack, incident_id)["edited"]
