"""Bad days of channels and workers, on a clock that the test moves: a real store, a real webhook, hours in a second."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import urllib3

from mcp_responder.analysts.rules import RulesAnalyst
from mcp_responder.channels import Services, load_kinds
from mcp_responder.model.alert import Severity
from mcp_responder.model.analysis import Analysis
from mcp_responder.operations import Operations
from mcp_responder.pipeline.analyze import Analyzer
from mcp_responder.pipeline.correlate import Correlate, Rules
from mcp_responder.pipeline.investigate import investigate
from mcp_responder.pipeline.notify import Manners, Notifier
from mcp_responder.pipeline.route import everyone
from mcp_responder.plumbing.http import HttpClient
from mcp_responder.ports import VISIBILITY, Query, Subject
from mcp_responder.storage.sqlite.store import SqliteStore
from tests.channels.server import Reply, ScriptedServer, scripted_server
from tests.contract.alarms import Sender
from tests.contract.clock import START, FakeClock
from tests.promises import promise
from tests.service import KEY, Service, eventually, running

LANE = "channel:webhook"
ROUTE = everyone(("webhook",))


class House:
    """Everything behind the door, without processes."""

    def __init__(self, folder: Path, server: ScriptedServer) -> None:
        self.clock = FakeClock()
        self.server = server
        self.store = SqliteStore(folder, self.clock)
        self.sender = Sender(self.store, self.clock, Correlate(Rules(), ROUTE))
        self.operations = Operations(self.store, self.clock, ROUTE)
        kind = load_kinds()["webhook"]
        services = Services(http=HttpClient(), clock=self.clock, stdout=StringIO())
        self.channel = kind.build("webhook", kind.read({"url": server.url}), services)
        self.notifier = Notifier(
            self.store, self.clock, Manners(alone=0), ROUTE, "https://ops.example.com", lambda: 1.0, lambda *_: None
        )
        self.analyzer = Analyzer(self.store, self.store, self.clock, ROUTE, _look_into, timedelta(minutes=5))

    def notify(self) -> int:
        """Work on what is due for the webhook; how many tasks."""
        leased = self.store.receive(LANE, 10, 0)
        for task in leased:
            self.notifier.notify(task, self.channel)
        return len(leased)

    def analyze(self) -> None:
        for task in self.store.receive("analysis", 10, 0):
            self.analyzer.analyze(task)

    def wait(self, span: timedelta, step: timedelta) -> None:
        """Let time pass, with a worker that looks for work at every step."""
        end = self.clock() + span
        while self.clock() < end:
            self.clock.now += step
            self.notify()

    def loses_its_worker(self, lane: str) -> None:
        """A worker takes what is due, and is never heard of again."""
        assert len(self.store.receive(lane, 10, 0)) == 1
        self.clock.now += VISIBILITY + timedelta(seconds=1)

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(asked.body) for asked in self.server.asked]

    def ledger(self) -> dict[str, int]:
        ledger = self.operations.ledger(START - timedelta(hours=1))
        assert ledger.balanced
        counts = {name: getattr(ledger, name) for name in ("delivered", "merged", "dead", "in_flight")}
        return {name: count for name, count in counts.items() if count}


def _look_into(subject: Subject) -> Analysis:
    return investigate(subject, (), (RulesAnalyst(),), 5)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture
def house(tmp_path: Path, server: ScriptedServer) -> Iterator[House]:
    house = House(tmp_path, server)
    yield house
    house.store.close()


@promise("people-are-told-before-the-analysis")
@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.HIGH])
def test_what_pages_is_told_at_once_and_again_with_its_analysis(house: House, severity: Severity) -> None:
    house.sender.fires(severity=severity)
    house.notify()
    house.analyze()
    house.notify()
    assert [(body["type"], bool(body["analysis"])) for body in house.told] == [
        ("incident.opened", False),
        ("incident.analyzed", True),
    ]


@pytest.mark.parametrize("severity", [Severity.MEDIUM, Severity.LOW])
def test_what_does_not_page_waits_for_its_analysis(house: House, severity: Severity) -> None:
    alert = house.sender.fires(severity=severity)
    assert house.notify() == 0
    assert house.sender.outcome_of(alert) == "in_flight"
    house.analyze()
    house.notify()
    assert [(body["type"], bool(body["analysis"])) for body in house.told] == [("incident.analyzed", True)]


@promise("down-channel-is-told-later")
def test_a_channel_down_for_two_hours_is_tried_on_and_then_told_how_late(house: House, server: ScriptedServer) -> None:
    server.script(Reply(503))
    alert = house.sender.fires()
    house.notify()
    house.wait(timedelta(hours=2), step=timedelta(seconds=30))
    tries = len(server.asked)
    assert 15 <= tries <= 25
    assert house.ledger() == {"in_flight": 1}

    server.script(Reply(200))
    house.wait(timedelta(minutes=10), step=timedelta(seconds=30))
    assert len(server.asked) == tries + 1
    last = house.told[-1]
    assert {body["id"] for body in house.told} == {last["id"]}
    assert timedelta(hours=2) <= timedelta(seconds=last["late_seconds"]) <= timedelta(hours=2, minutes=10)
    assert last["doubtful"] is False
    assert house.sender.outcome_of(alert) == "delivered"
    assert house.ledger() == {"delivered": 1}
    (receipt,) = house.store.receipts(house.sender.incident_of(alert).incident_id)
    assert receipt.attempts == tries + 1


@promise("down-channel-is-told-later", "every-event-has-one-outcome")
def test_a_channel_down_for_more_than_a_day_is_a_dead_letter(house: House, server: ScriptedServer) -> None:
    server.script(Reply(503, body=b"maintenance"))
    alert = house.sender.fires()
    house.notify()
    house.wait(timedelta(hours=23, minutes=50), step=timedelta(minutes=5))
    assert house.ledger() == {"in_flight": 1}
    house.wait(timedelta(minutes=20), step=timedelta(minutes=5))
    asked = len(server.asked)
    house.wait(timedelta(hours=2), step=timedelta(minutes=5))
    assert len(server.asked) == asked
    (letter,) = house.store.dead_letters(10)
    assert letter.reason.endswith("answered 503: maintenance")
    assert timedelta(hours=24) <= letter.died_at - START <= timedelta(hours=24, minutes=10)
    assert house.sender.outcome_of(alert) == "dead"
    assert house.ledger() == {"dead": 1}
    assert house.operations.why(alert.alert_id).path[-1].what == "dead"


def test_news_that_came_while_a_channel_was_down_is_told_once_as_the_latest(
    house: House, server: ScriptedServer
) -> None:
    server.script(Reply(503))
    house.sender.fires(severity=Severity.CRITICAL)
    house.notify()
    house.analyze()
    incident = house.operations.incidents(Query()).items[0]
    house.operations.acknowledge(incident.id, "kim")
    house.notify()
    asked = len(server.asked)
    server.script(Reply(200))
    house.wait(timedelta(minutes=20), step=timedelta(seconds=30))
    (last,) = house.told[asked:]
    assert last["type"] == "incident.acknowledged"
    assert last["analysis"]
    assert house.ledger() == {"delivered": 1}
    assert house.notify() == 0


@promise("retry-after-is-obeyed")
@pytest.mark.parametrize("dated", [False, True])
def test_a_channel_that_asks_for_an_hour_is_left_alone_for_an_hour(
    house: House, server: ScriptedServer, dated: bool
) -> None:
    asks = format_datetime(START + timedelta(hours=1), usegmt=True) if dated else "3600"
    server.script(Reply(429, {"retry-after": asks}), Reply(200))
    house.sender.fires()
    house.notify()
    house.wait(timedelta(minutes=59, seconds=59), step=timedelta(seconds=3599))
    assert len(server.asked) == 1
    house.wait(timedelta(seconds=1), step=timedelta(seconds=1))
    assert len(server.asked) == 2
    assert house.ledger() == {"delivered": 1}


def test_a_channel_that_asks_for_longer_than_a_day_is_asked_once_more_and_given_up(
    house: House, server: ScriptedServer
) -> None:
    server.script(Reply(503, {"retry-after": "999999"}))
    house.sender.fires()
    house.notify()
    house.wait(timedelta(hours=23, minutes=59), step=timedelta(minutes=1))
    assert len(server.asked) == 1
    house.wait(timedelta(minutes=1), step=timedelta(minutes=1))
    assert len(server.asked) == 2
    assert house.ledger() == {"dead": 1}


@promise("refused-delivery-is-a-dead-letter")
def test_a_delivery_whose_worker_is_lost_three_times_is_buried(house: House, server: ScriptedServer) -> None:
    alert = house.sender.fires()
    for _ in range(3):
        house.loses_its_worker(LANE)
    assert house.notify() == 1
    assert server.asked == []
    (letter,) = house.store.dead_letters(10)
    assert letter.reason == "its worker was lost, or failed, 3 times while delivering"
    assert house.sender.outcome_of(alert) == "dead"
    assert house.ledger() == {"dead": 1}


def test_a_delivery_after_a_lost_worker_says_that_it_may_be_a_repeat(house: House) -> None:
    house.sender.fires()
    house.loses_its_worker(LANE)
    house.notify()
    assert [body["doubtful"] for body in house.told] == [True]


@promise("analysis-lost-still-tells")
def test_after_three_lost_analyses_people_are_told_without_one(house: House) -> None:
    alert = house.sender.fires(severity=Severity.MEDIUM)
    for _ in range(3):
        house.loses_its_worker("analysis")
    house.analyze()
    house.notify()
    (body,) = house.told
    assert (body["type"], body["analysis"]) == ("incident.analysis_failed", None)
    assert "its worker was lost, or failed, 3 times" in body["timeline"][-1]["text"]
    assert house.sender.outcome_of(alert) == "delivered"
    assert [letter.reason for letter in house.store.dead_letters(10)] == [
        "its worker was lost, or failed, 3 times while analysing"
    ]
    assert house.ledger() == {"delivered": 1}


@promise("removed-channel-loses-nothing")
def test_what_a_removed_channel_was_told_already_needs_no_burial(house: House, server: ScriptedServer) -> None:
    house.sender.fires(severity=Severity.CRITICAL)
    house.analyze()
    first, *_ = house.store.receive(LANE, 1, 0)
    house.notifier.notify(first, house.channel)
    (second,) = house.store.receive(LANE, 10, 0)
    house.notifier.notify(second, None)
    assert house.store.dead_letters(10) == ()
    assert len(server.asked) == 1


# ------------------------------------------------------------------------------------------------------- a full disk

TROUBLE = {"title": "Database is down", "severity": "CRITICAL", "service": "shop"}


@contextlib.contextmanager
def full_disk(process: int) -> Iterator[None]:
    """A limit on the size of files is the full disk that one process can have for itself."""
    _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (1, hard))
    yield
    resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))


@pytest.fixture
def slow(server: ScriptedServer, tmp_path: Path) -> Iterator[Service]:
    """A service whose webhook takes a second to answer."""
    server.script(Reply(delay=1.0))
    with running(tmp_path, CHANNELS__WEBHOOK__URL=server.url) as service:
        service.worker()
        yield service


@promise("full-disk-repeats-no-delivery", "accepted-alert-is-never-lost")
def test_a_full_disk_is_a_503_and_nothing_is_told_twice_for_it(slow: Service, server: ScriptedServer) -> None:
    (door,) = slow.processes("mcp_responder.entrypoints.door")
    (alert_id,) = slow.send(TROUBLE)
    eventually(lambda: server.asked[0])
    with full_disk(door):
        refused = urllib3.request(
            "POST", f"{slow.url}/v1/alerts", json={"title": "Disk full"}, headers={"X-API-Key": KEY}, timeout=30
        )
        assert (refused.status, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        assert slow.call("GET", f"/v1/alerts/{alert_id}")[0] == 200
        eventually(lambda: slow.stderr.index("store_waits"))
    ledger = slow.settled()
    told = Counter(json.loads(asked.body)["id"] for asked in server.asked)
    assert (ledger["received"], ledger["delivered"], ledger["balanced"]) == (1, 1, True)
    assert max(told.values()) == 1
    assert slow.send({"title": "Disk full"})
    assert slow.settled()["delivered"] == 2


@promise("dead-worker-is-noticed-at-once")
def test_what_a_worker_could_not_write_before_it_died_is_taken_up_at_once(
    slow: Service, server: ScriptedServer
) -> None:
    """The failed commit must not make the door forget whose the task is."""
    (door,) = slow.processes("mcp_responder.entrypoints.door")
    (alert_id,) = slow.send(TROUBLE)
    eventually(lambda: server.asked[0])
    with full_disk(door):
        eventually(lambda: slow.stderr.index("store_waits"))
    os.kill(slow.worker(), signal.SIGKILL)
    assert slow.settled()["balanced"]
    assert slow.get(f"/v1/alerts/{alert_id}")["outcome"] == "delivered"
