"""Two webhooks, of which one misbehaves: it is tried again, or given up, and the other one never waits for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_responder.plumbing.secret import Secret
from mcp_responder.plumbing.signing import NotAuthentic, signing_key, verify
from tests.channels.server import Reply, ScriptedServer, scripted_server
from tests.promises import promise
from tests.scenarios.stories import a_service, alarm, incident_of, opened, outcome, told
from tests.service import Service, eventually, running

SECRET = "whsec_c2VjcmV0IG9mIHRoZSBzdG9yaWVz"
SOON = 5.0
"""Seconds that are much, much less than the ten for which the other webhook hangs."""


@pytest.fixture(scope="module")
def steady() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture(scope="module")
def moody() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture
def well_again(moody: ScriptedServer) -> Iterator[None]:
    yield
    moody.script(Reply())


@pytest.fixture(scope="module")
def service(
    steady: ScriptedServer, moody: ScriptedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    settings = {
        "CHANNELS__STEADY__KIND": "webhook",
        "CHANNELS__STEADY__URL": f"{steady.url}/hooks/steady-token",
        "CHANNELS__STEADY__SECRET": SECRET,
        "CHANNELS__MOODY__KIND": "webhook",
        "CHANNELS__MOODY__URL": f"{moody.url}/hooks/moody-token",
        "CHANNELS__CONSOLE__KIND": "console",
        "RETRY__FIRST_SECONDS": "0.2",
    }
    with running(tmp_path_factory.mktemp("channels"), **settings) as service:
        yield service


def delivery(incident: Any, channel: str) -> dict[str, Any]:
    return next(receipt for receipt in incident["deliveries"] if receipt["channel"] == channel)


def lines(incident: Any, event: str, channel: str) -> list[str]:
    return [
        line.get("text", "")
        for line in incident["timeline"]
        if line["event"] == event and line.get("channel") == channel
    ]


@promise("webhook-is-signed")
def test_a_receiver_can_verify_each_delivery(service: Service, steady: ScriptedServer) -> None:
    incident = opened(service, alarm(a_service()))
    asked = [one for one in steady.asked if json.loads(one.body)["incident"]["id"] == incident["id"]]
    keys = (signing_key(Secret(SECRET)),)
    assert asked
    for one in asked:
        verify(keys, one.headers, one.body, time.time())
        assert one.headers["webhook-id"] == json.loads(one.body)["id"]
        with pytest.raises(NotAuthentic):
            verify(keys, one.headers, one.body.replace(b"CRITICAL", b"MEDIUM"), time.time())


@pytest.mark.usefixtures("well_again")
def test_a_webhook_that_answers_500_twice_is_told_once_and_the_timeline_shows_the_tries(
    service: Service, moody: ScriptedServer
) -> None:
    moody.script(Reply(500), Reply(500), Reply(200))
    incident = opened(service, alarm(a_service(), severity="MEDIUM"))
    bodies = told(moody, incident["id"])
    assert [body["type"] for body in bodies] == ["incident.analyzed"] * 3
    assert len({body["id"] for body in bodies}) == 1
    assert delivery(incident, "moody")["attempts"] == 3
    assert len(lines(incident, "delivery_retried", "moody")) == 2
    assert all("answered 500" in words for words in lines(incident, "delivery_retried", "moody"))
    assert lines(incident, "delivered", "moody") == ["analyzed"]
    assert "moody-token" not in json.dumps(incident)


@promise("dead-channel-delays-nobody")
@pytest.mark.usefixtures("well_again")
def test_a_webhook_that_hangs_delays_neither_console_nor_the_other(
    service: Service, steady: ScriptedServer, moody: ScriptedServer
) -> None:
    moody.script(*[Reply(manner="hang")] * 8, Reply(200))
    start = time.monotonic()
    alert_ids = service.send(*(alarm(a_service("hanging")) for _ in range(8)))
    incidents = [service.get(f"/v1/alerts/{alert_id}")["incident"]["id"] for alert_id in alert_ids]

    def heard() -> None:
        assert all(told(steady, incident)[-1]["analysis"] for incident in incidents)
        assert all(f"/v1/incidents/{incident}" in service.stdout for incident in incidents)

    eventually(heard, SOON)
    assert time.monotonic() - start < SOON
    assert [outcome(service, alert_id) for alert_id in alert_ids] == ["delivered"] * 8
    moody.closing.set()
    moody.closing.clear()


@promise("refused-delivery-is-a-dead-letter", "every-event-has-one-outcome")
@pytest.mark.usefixtures("well_again")
def test_a_webhook_that_answers_400_is_a_dead_letter_at_once(service: Service, moody: ScriptedServer) -> None:
    moody.script(Reply(400, body=b"no such hook: /hooks/moody-token"))
    incident = opened(service, alarm(a_service(), severity="LOW"))
    assert len(told(moody, incident["id"])) == 1
    receipt = delivery(incident, "moody")
    assert (receipt["state"], delivery(incident, "steady")["state"]) == ("dead", "delivered")
    assert "answered 400" in receipt["detail"]
    letters = [letter for letter in service.get("/v1/dead-letters")["items"] if incident["id"] in json.dumps(letter)]
    assert [letter["reason"] for letter in letters] == [receipt["detail"]]
    assert "moody-token" not in json.dumps([incident, letters])
    assert incident["alerts"][0]["outcome"] == "delivered"
    assert service.get("/v1/ledger")["balanced"]


@promise("refused-delivery-is-a-dead-letter", "why-tells-the-whole-path")
def test_what_nobody_would_hear_is_dead_and_why_says_so(tmp_path: Path) -> None:
    with scripted_server() as server, running(tmp_path, CHANNELS__WEBHOOK__URL=server.url) as service:
        server.script(Reply(410))
        incident = opened(service, alarm(a_service()))
        (alert,) = incident["alerts"]
        why = service.get(f"/v1/alerts/{alert['alert_id']}/why")
        ledger = service.get("/v1/ledger")
        assert (alert["outcome"], ledger["dead"], ledger["balanced"]) == ("dead", 1, True)
        assert [step["what"] for step in why["path"]][-2:] == ["delivery_died", "dead"]
        assert "answered 410" in why["path"][-2]["detail"]

        server.script(Reply(200))
        service.send(alarm(incident["service"], severity="CRITICAL", status="resolved"))
        ledger = service.settled()
        assert (ledger["dead"], ledger["balanced"]) == (0, True)


@promise("removed-channel-loses-nothing")
def test_what_waits_for_a_removed_channel_is_buried_and_told_to_those_configured_now(tmp_path: Path) -> None:
    with scripted_server() as server:
        server.script(Reply(503, {"retry-after": "3600"}))
        service = Service(tmp_path, CHANNELS__OLD__KIND="webhook", CHANNELS__OLD__URL=server.url)
        service.start()
        try:
            (alert_id,) = service.send(alarm(a_service(), severity="LOW"))
            eventually(lambda: waits(service))
            assert outcome(service, alert_id) == "in_flight"
        finally:
            service.kill()
        make_due(tmp_path / "data" / "responder.db")
        with running(tmp_path) as service:
            ledger = service.settled()
            incident = incident_of(service, alert_id)
            assert f"/v1/incidents/{incident['id']}" in service.stdout
            (letter,) = service.get("/v1/dead-letters")["items"]
    assert (ledger["balanced"], ledger["delivered"]) == (True, 1)
    assert delivery(incident, "old")["state"] == "dead"
    assert delivery(incident, "console")["state"] == "delivered"
    assert letter["reason"] == "the channel 'old' is no longer configured"


def waits(service: Service) -> None:
    assert service.get("/v1/queues")["lanes"]["channel:old"]["delayed"] == 1


def make_due(database: Path) -> None:
    """Let the hour pass that the webhook has asked for."""
    import sqlite3

    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE tasks SET due = 0")
    connection.close()
