"""Accepting, against Alerta on PostgreSQL, which like us answers when the alert is durable."""

from __future__ import annotations

from bench.measure import Contender, Plan, middle, others, ratio, rounds
from bench.peers import Alerta, Responder
from bench.receiver import Receiver
from bench.report import Figure

OURS, PEER = "ours", "Alerta on PostgreSQL"


def measure(plan: Plan) -> list[Figure]:
    """One event a request, 64 connections."""
    with Receiver() as receiver:
        runs = rounds([Contender(OURS, lambda: Responder(receiver.url)), Contender(PEER, Alerta)], plan)
    ours, peer = runs[OURS], runs[PEER]
    return [
        Figure(
            name="durable accept against Alerta on PostgreSQL",
            ours=f"{middle(ours, lambda run: run.rate):,.0f}/s",
            peer=f"{middle(peer, lambda run: run.rate):,.0f}/s",
            measured=ratio(ours, peer, lambda run: run.rate),
            unit="x",
            must=40,
            aim=100,
            others=others(ours, peer),
        )
    ]
