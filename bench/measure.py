"""Interleaved rounds: every system once, then all again, each start a fresh one, and repeated when others disturb."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Protocol, TypeVar

from bench.load import CONNECTIONS, LoadError, wrk
from bench.machine import Meter
from bench.peers import System

QUIET = 0.6
"""Cores that others may use before a run counts as disturbed."""
TRIES = 3
WAIT_SECONDS = 10.0
PATIENCE_SECONDS = 300.0
WARM_UP_SECONDS = 1
SAMPLES_FROM, WARM_UP_FROM, LOAD_FROM = 0, 1_000, 10_000_000
"""Numbers of the first events, so that no event is sent twice."""


class Disturbed(Protocol):
    """The result of a run, which says how many cores others used."""

    @property
    def others(self) -> float:
        """In cores."""


Measured = TypeVar("Measured", bound=Disturbed)


class Patience:
    """How much time may be spent on the noise of neighbours, in all: waiting for quiet, and measuring again."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def wait(self) -> None:
        """Give the neighbours some time to finish what they do."""
        begin = time.monotonic()
        others = QUIET + 1
        while others > QUIET and time.monotonic() - begin < min(WAIT_SECONDS, self._left):
            meter = Meter(())
            time.sleep(1.0)
            others = meter.read().others
        self._left -= time.monotonic() - begin

    def quietest(self, run: Callable[[], Measured]) -> Measured:
        """A run in which others left the cores alone; of several tries without one, the quietest."""
        tries: list[Measured] = []
        while True:
            self.wait()
            begin = time.monotonic()
            tries.append(run())
            if tries[-1].others <= QUIET:
                return tries[-1]
            self._left -= time.monotonic() - begin
            if len(tries) == TRIES or self._left <= 0:
                return min(tries, key=lambda tried: tried.others)


@dataclass(frozen=True)
class Plan:
    """How long to measure, and how patiently."""

    rounds: int = 3
    seconds: int = 4
    patience: Patience = field(default_factory=lambda: Patience(PATIENCE_SECONDS))


@dataclass(frozen=True)
class Run:
    """One run of one system. Rate and CPU are per event, times in milliseconds; ``others`` is in cores."""

    rate: float
    p50: float
    p99: float
    cpu_us: float
    others: float


@dataclass(frozen=True)
class Contender:
    """A system and what is sent to it."""

    name: str
    start: Callable[[], System]
    batch: int = 1
    own_incident: bool = False


def rounds(contenders: Sequence[Contender], plan: Plan) -> dict[str, list[Run]]:
    """The runs of each contender, in the order of the rounds."""
    runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for number in range(1, plan.rounds + 1):
        for contender in contenders:
            run = plan.patience.quietest(partial(one_run, contender, plan.seconds))
            runs[contender.name].append(run)
            print(
                f"    round {number}  {contender.name:<34} {run.rate:>8,.0f}/s  p50 {run.p50:.2f}  p99 {run.p99:.1f} ms"
                f"  {run.cpu_us:.0f} us CPU each  others {run.others:.2f} cores",
                flush=True,
            )
    return runs


def one_run(contender: Contender, seconds: int) -> Run:
    """Start, look at answers, warm up, measure, and compare what is stored with what was answered."""
    with contender.start() as system:
        template = system.traffic(own_incident=contender.own_incident).request(contender.batch)
        system.sample(SAMPLES_FROM, own_incident=contender.own_incident)
        wrk(system.url, template, WARM_UP_SECONDS, WARM_UP_FROM)
        before = system.settled(1)
        meter = Meter(system.roots)
        load = wrk(system.url, template, seconds, LOAD_FROM)
        use = meter.read()
        if not load.requests:
            raise LoadError(f"{contender.name} answered nothing within {seconds} s")
        events = load.requests * contender.batch
        check_stored(contender, events, system.settled(before + events) - before)
    return Run(events / load.seconds, load.p50, load.p99, use.cpu / events * 1e6, use.others)


def check_stored(contender: Contender, answered: int, stored: int) -> None:
    """wrk stops without reading the last answers: at most one request a connection is stored and not counted."""
    if not answered <= stored <= answered + CONNECTIONS * contender.batch:
        raise LoadError(f"{contender.name} answered for {answered} events and stored {stored}")


def ratio(runs: Sequence[Run], of: Sequence[Run], figure: Callable[[Run], float]) -> float:
    """The median of the rounds' ratios."""
    return median(figure(ours) / figure(theirs) for ours, theirs in zip(runs, of, strict=True))


def middle(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    """The median of the rounds."""
    return median(map(figure, runs))


def others(*several: Sequence[Run]) -> float:
    """Cores that others used in the worst of the runs."""
    return max(run.others for runs in several for run in runs)
