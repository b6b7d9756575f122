"""A real Prometheus with a real rule tells a real Alertmanager, which tells the service; as the how-to page says."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from mcp_responder.sources.alertmanager import MOST_ALERTS
from tests.channels.server import Reply, ScriptedServer, scripted_server
from tests.docs.pages import ROOT, examples
from tests.service import KEY, Service, eventually, running

PROMETHEUS, ALERTMANAGER = shutil.which("prometheus"), shutil.which("prometheus-alertmanager")
PAGE = ROOT / "docs/how-to/connect-prometheus.md"
QUICKLY = {"group_wait: 30s": "group_wait: 0s", "group_interval: 5m": "group_interval: 1s"}

with_prometheus = pytest.mark.skipif(
    not (PROMETHEUS and ALERTMANAGER),
    reason="Prometheus isn't here: apt-get install prometheus prometheus-alertmanager",
)


def from_the_page(name: str) -> str:
    (example,) = (example for example in examples(PAGE) if example.mark == f"file: {name}")
    return example.text


@contextmanager
def daemon(folder: Path, program: str | None, *arguments: str) -> Iterator[str]:
    """The program on a free port, with a folder of its own, until the end; its address."""
    assert program
    folder.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = "{}:{}".format(*free.getsockname())
    with (folder / "log").open("ab") as log:
        started = subprocess.Popen(
            [program, f"--web.listen-address={place}", *arguments], cwd=folder, stdout=log, stderr=log
        )
    try:

        def ready() -> None:
            assert started.poll() is None, (folder / "log").read_text()
            urlopen(f"http://{place}/-/ready", timeout=5).close()

        eventually(ready)
        yield f"http://{place}"
    finally:
        started.kill()
        started.wait()


@contextmanager
def alertmanager(folder: Path, service: Service) -> Iterator[str]:
    configuration = from_the_page("alertmanager.yml").replace("https://responder.example.com", service.url)
    for slow, quick in QUICKLY.items():
        assert slow in configuration
        configuration = configuration.replace(slow, quick)
    folder.mkdir()
    (folder / "key").write_text(KEY)
    (folder / "alertmanager.yml").write_text(
        configuration.replace("/etc/alertmanager/mcp-responder.key", str(folder / "key"))
    )
    own = ("--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address=")
    with daemon(folder, ALERTMANAGER, *own) as address:
        yield address


@contextmanager
def prometheus(folder: Path, watched: str, told: str) -> Iterator[str]:
    folder.mkdir()
    (folder / "rules.yml").write_text(from_the_page("rules.yml"))
    configuration = {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "kitchen", "static_configs": [{"targets": [watched]}]}],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [told.removeprefix("http://")]}]}]},
    }
    (folder / "prometheus.yml").write_text(json.dumps(configuration))
    with daemon(folder, PROMETHEUS, "--config.file=prometheus.yml", "--storage.tsdb.path=data") as address:
        yield address


class Kitchen:
    """What Prometheus watches, and who hears of it in the end."""

    def __init__(self, stove: ScriptedServer, service: Service, alertmanager: str) -> None:
        self._stove = stove
        self.service = service
        self.alertmanager = alertmanager

    def is_at(self, degrees: float) -> None:
        body = f"# TYPE kitchen_degrees gauge\nkitchen_degrees {degrees}\n".encode()
        self._stove.script(Reply(200, {"content-type": "text/plain; version=0.0.4"}, body))

    def alerts(self, status: str) -> list[dict[str, Any]]:
        return list(self.service.get(f"/v1/alerts?source=alertmanager&status={status}")["items"])


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    with ExitStack() as stack:
        (tmp_path / "service").mkdir()
        service = stack.enter_context(running(tmp_path / "service"))
        stove = stack.enter_context(scripted_server())
        told = stack.enter_context(alertmanager(tmp_path / "alertmanager", service))
        kitchen = Kitchen(stove, service, told)
        kitchen.is_at(20)
        stack.enter_context(prometheus(tmp_path / "prometheus", stove.place, told))
        yield kitchen


@with_prometheus
def test_a_rule_that_fires_opens_an_incident_and_its_end_resolves_it(kitchen: Kitchen) -> None:
    service = kitchen.service
    kitchen.is_at(95)
    firing = eventually(lambda: kitchen.alerts("firing")[0])
    assert firing["title"] == "The kitchen is too hot"
    assert (firing["severity"], firing["service"], firing["environment"]) == ("CRITICAL", "kitchen", "production")
    assert "measures 95 degrees" in firing["message"]
    assert firing["labels"]["alertname"] == "KitchenIsHot"
    assert {"Runbook", "Source", "Silence"} <= {link["name"] for link in firing["links"]}
    incident = service.get(f"/v1/incidents/{firing['incident']['id']}")
    assert incident["status"] == "open"

    (known,) = json.load(urlopen(f"{kitchen.alertmanager}/api/v2/alerts", timeout=5))
    assert firing["source_id"] == known["fingerprint"]
    # The same alert as a client posts it, without a fingerprint, is the same alarm.
    posted = {name: known[name] for name in ("labels", "annotations", "startsAt")}
    status, answer = service.call("POST", "/v1/sources/alertmanager", [posted])
    assert status == 202
    again = service.get(f"/v1/alerts/{answer['accepted'][0]['alert_id']}")
    assert (again["source_id"], again["outcome"]) == (known["fingerprint"], "merged")

    kitchen.is_at(20)
    ended = eventually(lambda: kitchen.alerts("resolved")[0])
    assert ended["source_id"] == firing["source_id"]
    assert ended["timestamp"] > firing["timestamp"]
    eventually(lambda: solved(service, incident["id"]))
    assert service.settled()["balanced"]


def solved(service: Service, incident_id: str) -> None:
    assert service.get(f"/v1/incidents/{incident_id}")["status"] == "resolved"


def test_a_group_too_large_for_others_is_taken_whole(tmp_path: Path) -> None:
    """What Alertmanager is refused it never sends again."""
    items = [
        {
            "status": "firing",
            "labels": {
                "alertname": "InstanceDown",
                "instance": f"10.0.{number // 250}.{number % 250}:9100",
                "job": "x",
            },
            "annotations": {"summary": "Instance down", "description": "text " * 60},
            "startsAt": "2026-03-01T11:00:00Z",
        }
        for number in range(MOST_ALERTS // 4)
    ]
    with running(tmp_path) as service:
        body = {"version": "4", "groupKey": "{}:{}", "receiver": "r", "status": "firing", "alerts": items}
        assert len(json.dumps(body)) > 256 * 1024
        status, answer = service.call("POST", "/v1/sources/alertmanager", body)
        assert status == 202, answer
        assert len(answer["accepted"]) == len(items)
        assert len(service.get("/v1/incidents")["items"]) == 1
