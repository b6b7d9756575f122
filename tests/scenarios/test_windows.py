"""What time does: windows so short that they are over when the next alert comes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.channels.server import ScriptedServer, scripted_server
from tests.scenarios.stories import a_service, alarm, events, incident_of, opened, outcome
from tests.service import Service, running

MOMENT = "0.001"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture(scope="module")
def service(server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(
        tmp_path_factory.mktemp("windows"),
        CHANNELS__WEBHOOK__URL=server.url,
        CORRELATION__MERGE_WINDOW_SECONDS=MOMENT,
        CORRELATION__REOPEN_WINDOW_SECONDS=MOMENT,
    ) as service:
        yield service


def test_a_repeat_after_the_window_is_told_again(service: Service, server: ScriptedServer) -> None:
    name = a_service()
    incident = opened(service, alarm(name))
    (repeat,) = service.send(alarm(name))
    service.settled()
    assert events(server, incident["id"])[-1] == "repeated"
    assert outcome(service, repeat) == "delivered"


def test_repeats_of_an_acknowledged_incident_are_silent(service: Service, server: ScriptedServer) -> None:
    name = a_service()
    incident = opened(service, alarm(name))
    service.call("POST", f"/v1/incidents/{incident['id']}/acknowledge")
    service.settled()
    repeats = service.send(alarm(name), alarm(name))
    service.settled()
    assert [outcome(service, alert_id) for alert_id in repeats] == ["merged", "merged"]
    assert events(server, incident["id"])[-1] == "acknowledged"


def test_a_firing_long_after_the_end_is_a_new_incident(service: Service) -> None:
    name = a_service()
    incident = opened(service, alarm(name, source_id=name))
    service.send(alarm(name, source_id=name, status="resolved"))
    service.settled()
    again = opened(service, alarm(name, source_id=name))
    assert again["id"] != incident["id"]
    assert again["reopened"] == 0
    assert incident_of(service, incident["alerts"][0]["alert_id"])["status"] == "resolved"
