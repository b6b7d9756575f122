"""A storm: 100,000 events of 200 signatures; 200 incidents, each told once, and every event accounted for."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from bench.events import fill
from bench.load import Client, LoadError
from bench.machine import Meter
from bench.measure import Plan
from bench.peers import Responder
from bench.receiver import Receiver
from bench.report import Figure

EVENTS, SIGNATURES, BATCH, SENDERS = 100_000, 200, 100, 8
LONGEST_SECONDS = 180.0


def measure(plan: Plan) -> list[Figure]:
    """Sent as fast as it is taken; the time ends when all are told and the ledger holds nothing in flight."""
    with Receiver() as receiver, Responder(receiver.url) as system:
        bodies = _bodies(system)
        plan.patience.wait()
        meter = Meter(system.roots)
        begin = time.perf_counter()
        _send(system, bodies)
        sent = time.perf_counter() - begin
        settled = _settled(system, receiver, begin)
        use = meter.read()
        complaints = list(_complaints(system, receiver))
    return [
        Figure(
            name="storm: 100,000 events of 200 signatures told and settled",
            ours=f"taken in {sent:.1f} s; {use.cpu / EVENTS * 1e6:.0f} us CPU each",
            measured=settled,
            unit=" s",
            must=60,
            aim=20,
            less_is_better=True,
            others=use.others,
            broken="; ".join(complaints),
        )
    ]


def _bodies(system: Responder) -> list[str]:
    template = system.traffic(own_incident=True).body(BATCH)
    return [fill(template, first, words=SIGNATURES) for first in range(0, EVENTS, BATCH)]


def _send(system: Responder, bodies: list[str]) -> None:
    traffic = system.traffic(own_incident=True)

    def send(mine: list[str]) -> None:
        with Client(system.url, traffic.headers) as client:
            for body in mine:
                status, answer = client.post(traffic.path, body)
                if status != 202 or len(json.loads(answer)["accepted"]) != BATCH:
                    raise LoadError(f"a batch was answered with {status}: {answer[:200]!r}")

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send, (bodies[number::SENDERS] for number in range(SENDERS))))


def _settled(system: Responder, receiver: Receiver, begin: float) -> float:
    """Seconds until every incident is told and nothing is in flight, or the longest that is waited."""
    while time.perf_counter() - begin < LONGEST_SECONDS:
        seconds = time.perf_counter() - begin
        if len(_told(receiver)) >= SIGNATURES and not _ledger(system)["in_flight"]:
            return seconds
        time.sleep(0.2)
    return LONGEST_SECONDS


def _complaints(system: Responder, receiver: Receiver) -> Iterator[str]:
    """What isn't as promised."""
    incidents, told = set(_incidents(system)), _told(receiver)
    if len(incidents) != SIGNATURES:
        yield f"{len(incidents)} incidents"
    if told != incidents:
        yield f"{len(told & incidents)} incidents told"
    twice = [name for name, times in _deliveries(receiver).items() if times > 1]
    if twice:
        yield f"{len(twice)} deliveries made twice"
    ledger = _ledger(system)
    if ledger["received"] != EVENTS or ledger["in_flight"] or not ledger["balanced"]:
        yield f"ledger: {ledger}"


def _deliveries(receiver: Receiver) -> Counter[tuple[str, str]]:
    """How often each piece of news came, an incident's opening counting as one whatever its delivery is called."""
    found: Counter[tuple[str, str]] = Counter()
    for _, body in list(receiver.arrivals):
        news = json.loads(body)
        opened = news["type"] == "incident.opened"
        found[news["incident"]["id"], "opened" if opened else news["id"]] += 1
    return found


def _told(receiver: Receiver) -> set[str]:
    return {incident for incident, _ in _deliveries(receiver)}


def _ledger(system: Responder) -> dict[str, Any]:
    ledger = system.ask("/v1/ledger")
    return {key: value for key, value in ledger.items() if key != "hours"}


def _incidents(system: Responder) -> Iterator[str]:
    """The ids of all incidents, page by page."""
    cursor = ""
    while True:
        page = system.ask(f"/v1/incidents?limit=100{f'&cursor={quote(cursor)}' if cursor else ''}")
        yield from (incident["id"] for incident in page["items"])
        cursor = page["next"] or ""
        if not cursor:
            return
