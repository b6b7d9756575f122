"""kill -9, SIGTERM: what was answered with 202 is there, and nobody is told twice in silence."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import urllib3

from tests.channels.server import Reply, ScriptedServer, scripted_server
from tests.promises import promise
from tests.service import Service, eventually, running

WRITERS = 32
KILL_AFTER = 400


def alert(number: int, kind: int) -> dict[str, object]:
    return {
        "title": "Checkout is failing",
        "service": f"service-{kind}",
        "severity": "CRITICAL",
        "event_id": f"event-{number}",
        "message": f"attempt {number}",
    }


class Writers:
    """Threads that post until the service dies, and remember what was answered with 202."""

    def __init__(self, service: Service, kinds: int) -> None:
        self.acknowledged: dict[str, str] = {}
        self._service = service
        self._kinds = kinds
        self._lock = threading.Lock()
        self._next = 0
        self.enough = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(WRITERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _number(self) -> int:
        with self._lock:
            self._next += 1
            return self._next

    def _write(self) -> None:
        while True:
            number = self._number()
            try:
                status, answer = self._service.call("POST", "/v1/alerts", alert(number, number % self._kinds))
            except (urllib3.exceptions.HTTPError, OSError, ValueError):
                return
            if status == 202:
                with self._lock:
                    self.acknowledged[answer["accepted"][0]["alert_id"]] = f"event-{number}"
                if len(self.acknowledged) >= KILL_AFTER:
                    self.enough.set()


def bodies(server: ScriptedServer) -> list[dict[str, Any]]:
    """What the webhook heard."""
    return [json.loads(asked.body) for asked in server.asked]


def told(server: ScriptedServer) -> set[str]:
    """The incidents that the webhook heard of: of a fast analysis together with the opening, in one delivery."""
    return {body["incident"]["id"] for body in bodies(server)}


def deliveries(server: ScriptedServer, *, doubtful: bool) -> Counter[str]:
    """How often each delivery came that was marked as a doubtful repeat, or wasn't."""
    return Counter(body["id"] for body in bodies(server) if body["doubtful"] is doubtful)


@promise("accepted-alert-is-never-lost", "incident-is-told-once")
def test_kill_9_of_the_whole_group_under_32_writers_loses_no_answered_alert(tmp_path: Path) -> None:
    kinds = 20
    with scripted_server() as server:
        service = Service(tmp_path, CHANNELS__WEBHOOK__URL=server.url)
        service.start()
        writers = Writers(service, kinds)
        writers.start()
        assert writers.enough.wait(60)
        service.kill()
        writers.join()
        service.start()
        try:
            missing = [a for a in writers.acknowledged if service.call("GET", f"/v1/alerts/{a}")[0] != 200]
            ledger = service.settled()
        finally:
            service.kill()
    assert missing == []
    assert ledger["balanced"]
    assert ledger["received"] >= len(writers.acknowledged)
    assert len(told(server)) == kinds
    assert max(deliveries(server, doubtful=False).values()) == 1
    assert all(count == 1 for count in deliveries(server, doubtful=True).values())


@promise("same-alert-twice-is-stored-once")
def test_a_sender_that_repeats_after_the_crash_is_recognised(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        first = service.send(alert(1, 1))
        service.kill()
        service.start()
        assert service.send(alert(1, 1)) == first
        assert service.get("/v1/ledger")["received"] == 1


@promise("dead-worker-is-noticed-at-once")
def test_a_task_in_the_hands_of_a_killed_worker_is_taken_up_at_once(tmp_path: Path) -> None:
    """The worker is stopped with the lease in its hands, then killed: nobody waits for the 15 minutes to pass."""
    with running(tmp_path) as service:
        worker = service.worker()
        service.send(alert(1, 1))
        service.settled()
        os.kill(worker, signal.SIGSTOP)
        (alert_id,) = service.send({**alert(2, 2), "severity": "LOW"})
        eventually(lambda: leased(service))
        os.kill(worker, signal.SIGKILL)
        ledger = service.settled()
        assert service.worker() != worker
        found = service.get(f"/v1/alerts/{alert_id}")
        assert found["outcome"] == "delivered"
        assert ledger["balanced"]
        assert service.get(f"/v1/incidents/{found['incident']['id']}")["analysis"]


def leased(service: Service) -> None:
    assert service.get("/v1/queues")["lanes"]["analysis"]["leased"] == 1


@promise("sigterm-drains")
def test_sigterm_finishes_the_delivery_under_way(tmp_path: Path) -> None:
    with scripted_server() as server:
        server.script(Reply(delay=1.0))
        with running(tmp_path, CHANNELS__WEBHOOK__URL=server.url) as service:
            service.worker()
            (alert_id,) = service.send(alert(1, 1))
            eventually(lambda: server.asked[0])
            assert service.stop() == 0
            service.start()
            assert service.settled()["balanced"]
            assert service.get(f"/v1/alerts/{alert_id}")["outcome"] == "delivered"
    assert len(told(server)) == 1
    assert not deliveries(server, doubtful=True)
    assert max(deliveries(server, doubtful=False).values()) == 1


def test_a_dead_parent_takes_its_children_along(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        worker = service.worker()
        (door,) = service.processes("mcp_responder.entrypoints.door")
        (parent,) = service.processes("mcp_responder.entrypoints.supervisor")
        os.kill(parent, signal.SIGKILL)

        def gone() -> None:
            assert not any(Path(f"/proc/{pid}/cmdline").exists() and _lives(pid) for pid in (door, worker))

        eventually(gone)


def _lives(pid: int) -> bool:
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
