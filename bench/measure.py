"""Interleaved rounds: every system once, then all again, each start a fresh one, and repeated when others disturb."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.load import CONNECTIONS, LoadError, wrk
from bench.machine import Meter
from bench.peers import System

QUIET = 0.6
"""Cores that others may use before a run counts as disturbed."""
TRIES = 3
PATIENCE_SECONDS = 10.0
WARM_UP_SECONDS = 1
SAMPLES_FROM, WARM_UP_FROM, LOAD_FROM = 0, 1_000, 10_000_000
"""Numbers of the first events, so that no event is sent twice."""


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    rounds: int = 3
    seconds: int = 4


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
            run = quiet_run(contender, plan)
            runs[contender.name].append(run)
            print(
                f"    round {number}  {contender.name:<34} {run.rate:>8,.0f}/s  p50 {run.p50:.2f}  p99 {run.p99:.1f} ms"
                f"  {run.cpu_us:.0f} us CPU each  others {run.others:.2f} cores",
                flush=True,
            )
    return runs


def wait_for_quiet() -> None:
    """Give the neighbours some time to finish what they do."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        meter = Meter(())
        time.sleep(1.0)
        if meter.read().others <= QUIET:
            return


def quiet_run(contender: Contender, plan: Plan) -> Run:
    """A run in which others left the cores alone; of several tries without one, the quietest."""
    best: Run | None = None
    for _ in range(TRIES):
        wait_for_quiet()
        run = one_run(contender, plan.seconds)
        if best is None or run.others < best.others:
            best = run
        if best.others <= QUIET:
            break
        print(f"    disturbed: others used {run.others:.2f} cores beside {contender.name}", flush=True)
    assert best
    return best


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
