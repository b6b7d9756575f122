"""The whole table against the real service: what the commands expect is what the API gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.service import Service, eventually, running


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    """A running service, found by its data folder."""
    with running(folder) as started:
        yield started


def test_from_sending_to_revoking(service: Service, run: Run) -> None:
    """The scripted API of the other tests can't drift from the real one unseen."""

    def asked(*words: str) -> Any:
        assert run(*words).code == 0
        return json.loads(run(*words, "--json").out)

    sent = run("send", "--title", "Pool exhausted", "--severity", "CRITICAL", "--service", "checkout", "--json")
    alert_id = json.loads(sent.out)["accepted"][0]["alert_id"]
    incident_id = asked("alerts", "show", alert_id)["incident"]["id"]

    def analysed() -> None:
        assert asked("incidents", "show", incident_id)["analysis"]

    eventually(analysed)
    since = ("--since", "1h", "--until", "2099-01-01", "--severity", "CRITICAL", "-q", "pool")
    assert asked("alerts", *since, "--status", "firing")["items"][0]["alert_id"] == alert_id
    assert asked("incidents", *since, "--status", "open")["items"][0]["id"] == incident_id
    assert asked("why", alert_id)["path"]
    assert asked("ledger", "--since", "1h")["received"] == 1
    assert "lanes" in asked("queues")
    assert asked("channels")["items"][0]["name"] == "console"
    assert asked("channels", "show", "console")["kind"] == "console"
    assert asked("channels", "test", "console")["ok"]
    for change in (("ack",), ("silence",), ("comment", "rolled back"), ("resolve",), ("reopen",)):
        assert run(change[0], incident_id, *change[1:]).code == 0
    assert run("reopen", incident_id).code == 1
    assert run("keys", "create", "ci", "--scopes", "ingest,read", "--expires-in", "90d", "--per-minute", "60").code == 0
    assert run("keys", "rotate", "ci", "--overlap", "2h").out.startswith("rsp_")
    assert {key["state"] for key in asked("keys")["items"] if key["name"] == "ci"} == {"active", "replaced"}
    assert run("keys", "revoke", "ci").code == 0
    assert run("incidents", "show", "nothing").code == 3


def test_sources_are_told_as_the_api_tells_them(service: Service, run: Run) -> None:
    told = json.loads(run("sources", "--json").out)
    assert told == service.get("/v1/sources")


def test_the_store_of_a_running_service_is_not_opened(service: Service, run: Run, folder: Path) -> None:
    (folder / "data" / "runtime.json").unlink()
    ended = run("keys")
    assert ended.code == 1
    assert "in use" in ended.err
