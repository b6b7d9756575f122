"""Two hundred incidents at once: some are told by themselves, the rest in one message that is edited."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from tests.channels.server import scripted_server
from tests.promises import promise
from tests.service import Service, eventually, running

INCIDENTS = 200
ALONE = 10
PATIENCE = 90.0


def alarm(number: int) -> dict[str, str]:
    severity = "CRITICAL" if number % 50 == 0 else "HIGH"
    return {"title": "Pool exhausted", "service": f"service-{number}", "severity": severity, "source_id": f"a{number}"}


def calm(service: Service) -> Any:
    """The ledger, once the last edit of the digest is over."""

    def quiet() -> Any:
        lanes = service.get("/v1/queues")["lanes"].values()
        assert not any(lane["ready"] + lane["leased"] + lane["delayed"] for lane in lanes), lanes
        return service.get("/v1/ledger")

    return eventually(quiet, PATIENCE)


@promise("storm-is-one-digest", "every-event-has-one-outcome")
def test_a_storm_is_a_digest_and_everybody_is_in_it(tmp_path: Path) -> None:
    with scripted_server() as server:
        settings = {"CHANNELS__WEBHOOK__URL": server.url, "DIGEST__INCIDENTS": str(ALONE)}
        with running(tmp_path, **settings) as service:
            alert_ids = service.send(*(alarm(number) for number in range(INCIDENTS)))
            ledger = calm(service)
            incidents = {one["id"]: one for one in service.get("/v1/incidents?limit=200")["items"]}
            one = service.get(f"/v1/incidents/{next(iter(incidents))}")
            bodies = [json.loads(asked.body) for asked in server.asked]
            pages = {body["incident"]["id"] for body in bodies if body["digest"] is None}
            service.send(*({**alarm(number), "status": "resolved"} for number in range(INCIDENTS)))
            calm(service)
            bodies = [json.loads(asked.body) for asked in server.asked]
    assert len(alert_ids) == len(incidents) == ledger["delivered"] == INCIDENTS
    assert one["deliveries"][0]["state"] == "delivered"
    digests = [body for body in bodies if body["digest"]]
    members = {incident["id"]: incident for body in digests for incident in body["digest"]["incidents"]}
    assert ALONE < len(pages) <= ALONE + 4
    assert pages | members.keys() == incidents.keys()
    assert not pages & members.keys()
    assert {one["id"] for one in incidents.values() if one["severity"] == "CRITICAL"} <= pages
    assert len(digests) <= 12
    assert Counter(body["id"] for body in bodies).most_common(1)[0][1] == 1
    assert {incident["status"] for incident in members.values()} == {"resolved"}
    last = {body["incident"]["id"]: body["incident"]["status"] for body in bodies if not body["digest"]}
    assert last == dict.fromkeys(pages, "resolved")


@promise("storm-is-one-digest")
def test_a_storm_survives_the_death_of_its_worker(tmp_path: Path) -> None:
    with scripted_server() as server:
        settings = {"CHANNELS__WEBHOOK__URL": server.url, "DIGEST__INCIDENTS": "3"}
        with running(tmp_path, **settings) as service:
            service.send(*(alarm(number) for number in range(60)))
            eventually(lambda: server.asked[0])
            os.kill(service.worker(), signal.SIGKILL)
            service.send(*(alarm(number) for number in range(60, 120)))
            ledger = calm(service)
            incidents = {one["id"] for one in service.get("/v1/incidents?limit=200")["items"]}
            bodies = [json.loads(asked.body) for asked in server.asked]
    told = {one["id"] for body in bodies for one in (body["digest"] or {"incidents": [body["incident"]]})["incidents"]}
    assert told == incidents
    assert (ledger["delivered"], ledger["balanced"]) == (120, True)
