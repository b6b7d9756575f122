"""Accepting, against Alertmanager, which keeps alerts in memory and uses all cores."""

from __future__ import annotations

from bench.measure import Contender, Plan, Run, middle, others, ratio, rounds
from bench.peers import Alertmanager, Responder
from bench.receiver import Receiver
from bench.report import Figure

OURS, PEER, PEER_GROUPS = "ours", "Alertmanager", "Alertmanager, each its own group"
BATCH = 100


def singles(plan: Plan) -> list[Figure]:
    """One event a request: rate, CPU and p99 of the same runs."""
    runs = _against_alertmanager(plan)
    ours, peer = runs[OURS], runs[PEER]
    return [
        _rate_figure("durable accept, 1 KB events of one signature, 64 connections", ours, peer, 0.3, 0.5),
        Figure(
            name="CPU per alert, all processes",
            ours=f"{middle(ours, _cpu):.0f} us",
            peer=f"{middle(peer, _cpu):.0f} us",
            measured=ratio(ours, peer, _cpu),
            unit="x",
            must=2,
            aim=1.2,
            less_is_better=True,
            others=others(ours, peer),
        ),
        Figure(
            name="p99 of accept",
            ours=f"{middle(ours, _p99):.1f} ms",
            peer=f"{middle(peer, _p99):.1f} ms",
            measured=ratio(ours, peer, _p99),
            unit="x",
            must=0.5,
            aim=0.2,
            less_is_better=True,
            others=others(ours, peer),
        ),
    ]


def batches(plan: Plan) -> list[Figure]:
    """A hundred events a request."""
    runs = _against_alertmanager(plan, batch=BATCH)
    return [_rate_figure("batches of 100, alerts", runs[OURS], runs[PEER], 0.35, 0.6)]


def own_incidents(plan: Plan) -> list[Figure]:
    """Each event opens an incident; Alertmanager is measured at its easiest, and with a group for each alert."""
    with Receiver() as receiver:
        runs = rounds(
            [
                Contender(OURS, lambda: Responder(receiver.url), own_incident=True),
                Contender(PEER, Alertmanager),
                Contender(PEER_GROUPS, Alertmanager, own_incident=True),
            ],
            plan,
        )
    ours = runs[OURS]
    return [
        _rate_figure("each event its own incident", ours, runs[PEER], 0.2, 0.35),
        _rate_figure("the same, each its own group there too", ours, runs[PEER_GROUPS], None, None),
    ]


def _against_alertmanager(plan: Plan, *, batch: int = 1) -> dict[str, list[Run]]:
    with Receiver() as receiver:
        return rounds(
            [Contender(OURS, lambda: Responder(receiver.url), batch), Contender(PEER, Alertmanager, batch)], plan
        )


def _rate_figure(name: str, ours: list[Run], peer: list[Run], must: float | None, aim: float | None) -> Figure:
    return Figure(
        name=name,
        ours=f"{middle(ours, _rate):,.0f}/s",
        peer=f"{middle(peer, _rate):,.0f}/s",
        measured=ratio(ours, peer, _rate),
        unit="x",
        must=must,
        aim=aim,
        others=others(ours, peer),
    )


def _rate(run: Run) -> float:
    return run.rate


def _cpu(run: Run) -> float:
    return run.cpu_us


def _p99(run: Run) -> float:
    return run.p99
