"""Routes on the real service: who hears of what, what nobody hears of, and who is told instead."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.channels.server import Reply, ScriptedServer, scripted_server
from tests.promises import promise
from tests.scenarios.stories import a_service, alarm, events, incident_of, opened, outcome, told
from tests.service import Service, eventually, running

ROUTES = """[
    {severity = ["CRITICAL"], channels = ["day"], fallback = ["night"]},
    {service = "search*", channels = ["night"]},
    {severity = ["HIGH", "MEDIUM"], labels = {team = "core"}, channels = ["day"]},
]"""


@pytest.fixture(scope="module")
def day() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture(scope="module")
def night() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture(scope="module")
def service(day: ScriptedServer, night: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "CHANNELS__DAY__KIND": "webhook",
        "CHANNELS__DAY__URL": day.url,
        "CHANNELS__NIGHT__KIND": "webhook",
        "CHANNELS__NIGHT__URL": night.url,
        "ROUTES": ROUTES.replace("\n", ""),
        "RETRY__FIRST_SECONDS": "0.2",
        "RETRY__FALLBACK_SECONDS": "1",
        "LOG__LEVEL": "info",
    }
    with running(tmp_path_factory.mktemp("routes"), **settings) as service:
        yield service


def test_each_incident_goes_where_its_route_leads(service: Service, day: ScriptedServer, night: ScriptedServer) -> None:
    page = opened(service, alarm(a_service()))
    search = opened(service, alarm(a_service("search"), severity="LOW"))
    core = opened(service, alarm(a_service(), severity="MEDIUM", labels={"team": "core", "tier": "1"}))
    assert [bool(told(day, one["id"])) for one in (page, search, core)] == [True, False, True]
    assert [bool(told(night, one["id"])) for one in (page, search, core)] == [False, True, False]


@promise("no-route-is-said")
def test_what_no_route_leads_anywhere_is_said(service: Service, day: ScriptedServer, night: ScriptedServer) -> None:
    (alert_id,) = service.send(alarm(a_service(), severity="LOW"))
    service.settled()
    assert outcome(service, alert_id) == "suppressed:no-route"
    assert not told(day, (incident := incident_of(service, alert_id))["id"]) + told(night, incident["id"])
    (line,) = [line for line in service.stderr.splitlines() if "nobody_told" in line and alert_id in line]
    assert json.loads(line)["level"].lower() == "warning"
    metrics = service._http.request("GET", f"{service.url}/metrics").data.decode()
    assert 'responder_ledger{outcome="suppressed:no-route"}' in metrics


@promise("page-reaches-the-fallback")
def test_a_page_that_its_channel_refuses_is_told_at_once_by_the_fallback(
    service: Service, day: ScriptedServer, night: ScriptedServer
) -> None:
    day.script(*[Reply(403)] * 20, Reply(200))
    incident = opened(service, alarm(a_service()))
    day.script(Reply())
    assert told(night, incident["id"])[0]["instead"].startswith("day didn't take it (")
    rerouted = [line for line in incident["timeline"] if line["event"] == "rerouted"]
    assert [line["channel"] for line in rerouted] == ["night"]


@promise("page-reaches-the-fallback")
def test_a_page_that_its_channel_fails_to_take_for_long_is_told_by_the_fallback(
    service: Service, day: ScriptedServer, night: ScriptedServer
) -> None:
    day.script(*[Reply(503)] * 50, Reply(200))
    (alert_id,) = service.send(alarm(a_service()))
    incident_id = service.get(f"/v1/alerts/{alert_id}")["incident"]["id"]

    def arrived() -> str:
        return str(told(night, incident_id)[0]["instead"])

    assert "day couldn't be reached since" in eventually(arrived)
    day.script(Reply())
    service.call("POST", f"/v1/incidents/{incident_id}/resolve")
    service.settled()
    assert events(day, incident_id)[-1] == events(night, incident_id)[-1] == "resolved"
    assert outcome(service, alert_id) == "delivered"
