"""What the service says of itself: metrics, and a log without a word of what it was told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import urllib3

from tests.channels.server import Reply, ScriptedServer, scripted_server
from tests.promises import promise
from tests.scenarios.stories import a_service, alarm, opened
from tests.service import KEY, Service, eventually, running

PAYLOAD = "Xylophone-in-the-payload"
"""A word that stands in every part of what is sent."""
TOKEN = "token-in-the-webhook-address"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture(scope="module")
def service(server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "CHANNELS__WEBHOOK__URL": f"{server.url}/{TOKEN}",
        "CHANNELS__WEBHOOK__SECRET": "secret-of-the-webhook",
        "RETRY__FIRST_SECONDS": "0.05",
        "LOG__LEVEL": "debug",
    }
    with running(tmp_path_factory.mktemp("observed"), **settings) as service:
        yield service


def metrics(service: Service) -> str:
    answer = urllib3.request("GET", f"{service.url}/metrics")
    assert answer.status == 200
    return answer.data.decode()


def samples(service: Service) -> dict[str, float]:
    found = re.findall(r"^(responder_\S+?(?:\{.*?\})?) (\S+)$", metrics(service), re.MULTILINE)
    return {name: float(value) for name, value in found}


def log(service: Service) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.stderr.splitlines()]


def test_metrics_are_open_on_loopback_and_tell_of_ledger_queues_and_times(service: Service) -> None:
    service.send(alarm(a_service()), {**alarm(a_service()), "status": "info"})
    service.call("POST", "/v1/alerts", [{}, alarm(a_service())])
    service.settled()

    def complete() -> dict[str, float]:
        found = samples(service)
        # The worker reports every two seconds.
        assert found['responder_task_seconds_count{lane="analysis"}'] >= 2
        assert found['responder_task_seconds_count{lane="channel:webhook"}'] >= 2
        return found

    found = eventually(complete)
    ledger = service.get("/v1/ledger")
    assert found["responder_ledger_imbalance"] == 0
    assert found['responder_ledger{outcome="received"}'] == ledger["received"]
    assert found['responder_ledger{outcome="delivered"}'] == ledger["delivered"]
    assert found['responder_ledger{outcome="suppressed:info"}'] >= 1
    assert found['responder_queue_depth{lane="analysis",state="ready"}'] == 0
    assert found['responder_queue_age_seconds{lane="channel:webhook"}'] == 0
    assert found['responder_alerts_received_total{source="generic"}'] == ledger["received"]
    assert found['responder_alerts_rejected_total{code="empty_alert"}'] >= 1
    assert found["responder_accept_seconds_count"] >= 2


def test_deliveries_are_counted_by_result_and_class_of_error(service: Service, server: ScriptedServer) -> None:
    server.script(Reply(500), Reply(200))
    opened(service, alarm(a_service(), severity="LOW"))

    def counted() -> None:
        found = samples(service)
        assert found['responder_deliveries_total{channel="webhook",result="delivered"}'] >= 1
        assert found['responder_deliveries_total{channel="webhook",result="retried"}'] >= 1
        assert found['responder_delivery_errors_total{channel="webhook",error="Transient"}'] >= 1

    eventually(counted)


def test_every_line_of_the_log_has_the_agreed_fields(service: Service) -> None:
    incident = opened(service, alarm(a_service()))
    (alert,) = incident["alerts"]

    def of_this_alert() -> list[dict[str, Any]]:
        found = [line for line in log(service) if line.get("alert_id") == alert["alert_id"]]
        assert {line["function"] for line in found} == {"reception", "analysis", "distribution"}
        return found

    about = eventually(of_this_alert)
    assert all(line["incident_id"] == incident["id"] for line in about)
    assert all(line["metrics"]["seconds"] >= 0 for line in about)
    for line in log(service):
        assert list(line)[:4] == ["timestamp", "level", "function", "message"]
        assert datetime.fromisoformat(line["timestamp"]).tzinfo
        assert line["level"] in ("DEBUG", "INFO", "WARNING", "ERROR")
        assert re.fullmatch("[a-z_]+", line["message"])


@promise("no-secret-in-log")
def test_the_log_holds_no_payload_and_no_key(service: Service, server: ScriptedServer) -> None:
    key = service.call("POST", "/v1/keys", {"name": "sender", "scopes": ["ingest"]})[1]["token"]
    server.script(Reply(500, body=f"{TOKEN} {PAYLOAD}".encode()), Reply(400, body=PAYLOAD.encode()), Reply(200))
    words = dict.fromkeys(("message", "source_id", "owner", "resource", "environment", PAYLOAD), PAYLOAD)
    told = alarm(f"{PAYLOAD}-service", **{**words, "title": f"{PAYLOAD} has failed", "labels": {PAYLOAD: PAYLOAD}})
    for body in (
        told,
        [told, {}, 7],
        f'{{"title": "{PAYLOAD}", "broken'.encode(),
        [[PAYLOAD]],
        f'{{"a": 1e999, "{PAYLOAD}": 0'.encode(),
    ):
        service.call("POST", "/v1/alerts", body, X_API_Key=key, Idempotency_Key=PAYLOAD)
    service.call("POST", "/v1/alerts", told, X_API_Key=f"wrong-{key}")
    service.call("GET", f"/v1/alerts?q={PAYLOAD}&nonsense={PAYLOAD}")
    service.call("POST", f"/v1/sources/{PAYLOAD}", told)
    service.settled()
    written = service.stderr
    secrets = {PAYLOAD, TOKEN, KEY, key, "secret-of-the-webhook", json.loads(runtime(service))["token"]}
    assert {secret for secret in secrets if secret in written} == set()
    assert "Traceback" not in written


def runtime(service: Service) -> str:
    return (service.folder / "data" / "runtime.json").read_text(encoding="utf-8")
