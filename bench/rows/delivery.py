"""How long after the POST of a CRITICAL alert the webhook's receiver has it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles

from bench.events import WORD_LENGTH, fill, word
from bench.load import Client, LoadError
from bench.machine import Meter
from bench.measure import Plan
from bench.peers import Alertmanager, Responder, System
from bench.receiver import Receiver
from bench.report import Figure

PER_SECOND = 50
LAST_SECONDS = 10.0
"""How long the last deliveries are waited for."""
NAMED = re.compile(rb"Pool of ([g-z]{%d}) exhausted" % WORD_LENGTH)


@dataclass(frozen=True)
class Delays:
    """Of the alerts of one run, in milliseconds."""

    p50: float
    p99: float
    others: float


def measure(plan: Plan) -> list[Figure]:
    """Paced, each alert an incident (there: a group) of its own, told without waiting."""
    starts: dict[str, Callable[[str], System]] = {"ours": Responder, "Alertmanager": Alertmanager}
    runs: dict[str, list[Delays]] = {name: [] for name in starts}
    for number in range(1, plan.rounds + 1):
        for name, start in starts.items():
            delays = plan.patience.quietest(partial(_run, start, plan.seconds))
            runs[name].append(delays)
            print(
                f"    round {number}  {name:<14} p50 {delays.p50:.2f}  p99 {delays.p99:.2f} ms"
                f"  others {delays.others:.2f} cores",
                flush=True,
            )
    return [
        _figure("POST to delivered webhook, p50, CRITICAL, 50/s", runs, lambda delays: delays.p50, 3, 1.5),
        _figure("the same, p99", runs, lambda delays: delays.p99, None, None),
    ]


def _figure(
    name: str,
    runs: dict[str, list[Delays]],
    value: Callable[[Delays], float],
    must: float | None,
    aim: float | None,
) -> Figure:
    ours, peer = ([value(delays) for delays in runs[system]] for system in ("ours", "Alertmanager"))
    return Figure(
        name=name,
        ours=f"{median(ours):.2f} ms",
        peer=f"{median(peer):.2f} ms",
        measured=median(mine / theirs for mine, theirs in zip(ours, peer, strict=True)),
        unit="x",
        must=must,
        aim=aim,
        less_is_better=True,
        others=max(delays.others for several in runs.values() for delays in several),
    )


def _run(start: Callable[[str], System], seconds: int) -> Delays:
    with Receiver() as receiver, start(receiver.url) as system:
        warm_up, count = PER_SECOND, PER_SECOND * seconds
        _send(system, range(warm_up))
        _arrived(receiver, warm_up)
        meter = Meter(system.roots)
        sent = _send(system, range(warm_up, warm_up + count))
        use = meter.read()
        arrived = _arrived(receiver, warm_up + count)
    delays = [(arrived[name] - at) * 1000 for name, at in sent.items()]
    return Delays(median(delays), quantiles(delays, n=100, method="inclusive")[98], use.others)


def _send(system: System, numbers: range) -> dict[bytes, float]:
    """When each was posted, by its word; at a steady pace."""
    traffic = system.traffic(own_incident=True)
    bodies = {word(number).encode(): fill(traffic.body(1), number) for number in numbers}
    sent: dict[bytes, float] = {}
    with Client(system.url, traffic.headers) as client:
        begin = time.perf_counter()
        for position, (name, body) in enumerate(bodies.items()):
            time.sleep(max(0.0, begin + position / PER_SECOND - time.perf_counter()))
            sent[name] = time.perf_counter()
            system.check(*client.post(traffic.path, body))
    return sent


def _arrived(receiver: Receiver, count: int) -> dict[bytes, float]:
    """When each was delivered first, by its word. Raises LoadError if some never are."""
    end = time.monotonic() + LAST_SECONDS
    while True:
        first: dict[bytes, float] = {}
        for at, body in list(receiver.arrivals):
            for name in NAMED.findall(body):
                first.setdefault(name, at)
        if len(first) >= count:
            return first
        if time.monotonic() > end:
            raise LoadError(f"{count - len(first)} of {count} alerts weren't delivered within {LAST_SECONDS:.0f} s")
        time.sleep(0.1)
