"""A door or a worker that is started again: with the same configuration, at once, and in a folder far down."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_responder.entrypoints.once import SETTINGS_FILE, load_once
from mcp_responder.entrypoints.supervisor import nameless_file
from mcp_responder.model.errors import Misconfigured
from mcp_responder.plumbing.secret import Secret
from mcp_responder.settings import load
from tests.channels.server import Reply, ScriptedServer, scripted_server
from tests.promises import promise
from tests.service import Service, eventually, running

DOOR = "mcp_responder.entrypoints.door"
ALERT = {"title": "Checkout is failing", "severity": "CRITICAL", "service": "shop"}
SECRET = "hunter2-of-the-webhook"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture
def kept() -> Iterator[int]:
    number = nameless_file()
    yield number
    os.close(number)


# ------------------------------------------------------------------------------------------------- read once per start


def test_the_configuration_is_read_by_the_first_and_taken_over_by_the_next(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "responder.toml"
    file.write_text(
        f"""
        port = 8081
        api_key = "{SECRET}"
        [channels.ops]
        kind = "webhook"
        url = "https://ops.example.com/"
        secrets = ["{SECRET}"]
        [sources.generic.fields]
        service = ["a.b", "c"]
        [[severities]]
        pattern = "backup"
        severity = "LOW"
        """,
        encoding="utf-8",
    )
    environment = {SETTINGS_FILE: str(kept), "RESPONDER_HTTP__BODY_LIMIT": "4096"}
    first = load_once(environment, tmp_path)
    file.write_text("port = 'nonsense'", encoding="utf-8")
    again = load_once({SETTINGS_FILE: str(kept)}, tmp_path)
    assert again == first
    assert again.settings.http.body_limit == 4096
    assert again.settings.api_key == Secret(SECRET)
    assert SECRET not in repr(again.settings.api_key)


def test_without_a_supervisor_the_configuration_is_read_each_time(tmp_path: Path) -> None:
    environment = {"RESPONDER_PORT": "1"}
    assert load_once(environment, tmp_path) == load(environment, tmp_path)


def test_a_configuration_that_cannot_be_used_is_not_kept(tmp_path: Path, kept: int) -> None:
    environment = {SETTINGS_FILE: str(kept)}
    (tmp_path / "responder.toml").write_text("prot = 1", encoding="utf-8")
    with pytest.raises(Misconfigured):
        load_once(environment, tmp_path)
    (tmp_path / "responder.toml").write_text("port = 1", encoding="utf-8")
    assert load_once(environment, tmp_path).settings.port == 1


def configure(folder: Path, name: str, url: str) -> None:
    table = f"[channels.{name}]\nkind = 'webhook'\nurl = '{url}'\nsecret = '{SECRET}'\n"
    (folder / "responder.toml").write_text(table, encoding="utf-8")


@promise("accepted-alert-is-never-lost", "no-secret-in-log")
def test_a_worker_that_is_started_again_tells_whom_the_door_tells(tmp_path: Path, server: ScriptedServer) -> None:
    configure(tmp_path, "day", server.url)
    with running(tmp_path) as service:
        worker = service.worker()
        configure(tmp_path, "night", "http://127.0.0.1:9/")
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: service.processes("mcp_responder.entrypoints.worker").remove(service.worker()))
        (alert_id,) = service.send(ALERT)
        assert service.settled()["delivered"] == 1
        assert service.get(f"/v1/alerts/{alert_id}")["outcome"] == "delivered"
        assert server.asked
        for pid in (service.worker(), *service.processes(DOOR)):
            shown = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
            assert SECRET.encode() not in shown
        assert SECRET not in service.stderr


def test_a_door_that_is_started_again_keeps_the_configuration_too(tmp_path: Path, server: ScriptedServer) -> None:
    configure(tmp_path, "day", server.url)
    with running(tmp_path) as service:
        service.worker()
        (tmp_path / "responder.toml").write_text("nonsense", encoding="utf-8")
        restart_door(service)
        service.send(ALERT)
        assert service.settled()["delivered"] == 1


def restart_door(service: Service) -> float:
    """Kill the door, and wait for the next; how many seconds that took."""
    (door,) = service.processes(DOOR)
    started = time.monotonic()
    os.kill(door, signal.SIGKILL)

    def back() -> None:
        told = json.loads((service.folder / "data" / "runtime.json").read_text())
        assert told["pid"] != door
        service.url = told["url"]
        assert service.call("GET", "/readyz")[0] == 200

    eventually(back)
    return time.monotonic() - started


def test_a_dead_door_is_back_before_a_slow_delivery_is_over(tmp_path: Path, server: ScriptedServer) -> None:
    server.script(Reply(delay=9.0), Reply())
    with running(tmp_path, CHANNELS__WEBHOOK__URL=server.url) as service:
        worker = service.worker()
        service.send(ALERT)
        eventually(lambda: server.asked[0])
        assert restart_door(service) < 7
        assert service.worker() != worker
        assert service.settled()["balanced"]
    assert [json.loads(asked.body)["doubtful"] for asked in server.asked][:2] == [False, True]


def test_a_data_folder_far_down_is_served(tmp_path: Path) -> None:
    folder = tmp_path / ("far-down/" * 16)
    folder.mkdir(parents=True)
    with running(folder) as service:
        service.send(ALERT)
        assert service.settled()["delivered"] == 1
