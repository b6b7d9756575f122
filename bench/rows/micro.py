"""Where the time of accepting goes: reading an event, and the store, each alone in this process."""

from __future__ import annotations

import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.events import NEXT, fill, responder_event
from bench.machine import WORK
from bench.measure import Plan
from bench.report import Figure
from mcp_responder import app
from mcp_responder.pipeline.receive import Receive
from mcp_responder.pipeline.route import everyone
from mcp_responder.ports import Incoming, Request
from mcp_responder.settings import Settings
from mcp_responder.storage.sqlite.store import SqliteStore

EVENTS, BATCH, REPEATS = 5_000, 100, 5


def parse(_: Plan) -> list[Figure]:
    """CPU time of ``pipeline.receive`` for a 1 KB event; of several repeats the median."""
    return [
        _cost("reading a 1 KB event, one signature", own_incident=False),
        _cost("reading a 1 KB event, each its own signature", own_incident=True),
    ]


def store(plan: Plan) -> list[Figure]:
    """``SqliteStore.accept`` with batches of 100, each durable before the next; of the rounds the median."""
    return [
        _rate("store alone, batches of 100, one signature", plan.rounds, own_incident=False),
        _rate("store alone, batches of 100, each its own incident", plan.rounds, own_incident=True),
    ]


def _cost(name: str, *, own_incident: bool) -> Figure:
    receive = _receive()
    event = responder_event(own_incident=own_incident)
    costs = []
    for repeat in range(REPEATS):
        requests = [_request(fill(NEXT + event, repeat * EVENTS + number)) for number in range(EVENTS)]
        begin = time.process_time()
        for request in requests:
            receive(request, "", "bench")
        costs.append((time.process_time() - begin) / EVENTS * 1e6)
    return Figure(name=name, ours="CPU an event", measured=median(costs), unit=" us", less_is_better=True)


def _rate(name: str, rounds: int, *, own_incident: bool) -> Figure:
    batches = _batches(own_incident=own_incident)
    rates = [_fill_store(batches) for _ in range(rounds)]
    return Figure(name=name, ours="alerts a second", measured=median(rates), unit="/s")


def _fill_store(batches: list[tuple[Incoming, ...]]) -> float:
    WORK.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="store-", dir=WORK))
    decide = app.build_decide(Settings(), everyone(("webhook",)))
    try:
        opened = SqliteStore(folder, app.clock)
        try:
            begin = time.perf_counter()
            for batch in batches:
                opened.accept(batch, decide)
            return sum(map(len, batches)) / (time.perf_counter() - begin)
        finally:
            opened.close()
    finally:
        shutil.rmtree(folder)


def _batches(*, own_incident: bool) -> list[tuple[Incoming, ...]]:
    receive = _receive()
    event = NEXT + responder_event(own_incident=own_incident)
    incoming = [receive(_request(fill(event, number)), "", "bench").incoming[0] for number in range(4 * EVENTS)]
    return [tuple(incoming[first : first + BATCH]) for first in range(0, len(incoming), BATCH)]


def _receive() -> Receive:
    return app.build_receive(Settings(), app.build_sources())


def _request(body: str) -> Request:
    headers = {"content-type": "application/json"}
    return Request(body=body.encode(), headers=headers, received_at=datetime.now(UTC))
