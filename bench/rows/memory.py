"""How large the processes are once 100,000 distinct alerts have gone through them."""

from __future__ import annotations

from bench.load import wrk
from bench.machine import Memory, memory_of, memory_of_tree
from bench.measure import LOAD_FROM, Plan
from bench.peers import Alertmanager, NotInstalledError, Responder, System
from bench.receiver import Receiver
from bench.report import Figure

ALERTS = 100_000
CHUNK_SECONDS = 1
CHUNK_NUMBERS = 1_000_000
"""More than a chunk sends, so that no number comes twice."""
FLAT_MB = 10
"""The second half may not add more."""


def measure(_: Plan) -> list[Figure]:
    """Events of one signature, one a request."""
    with Receiver() as receiver, Responder(receiver.url) as ours:
        start = memory_of(ours.door)
        _send(ours, ALERTS // 2, LOAD_FROM)
        half = memory_of(ours.door)
        _send(ours, ALERTS, 2 * LOAD_FROM)
        full, every = memory_of(ours.door), memory_of_tree(*ours.roots)
    peer = _peer()
    grew = full.rss - half.rss
    return [
        Figure(
            name="RSS of the door after 100,000 distinct alerts",
            ours=f"{_shown(full)}; {start.rss:.0f} at start, {half.rss:.0f} at half",
            peer=peer,
            measured=full.rss,
            unit=" MB",
            must=120,
            aim=60,
            less_is_better=True,
            broken=f"not flat: the second half added {grew:.0f} MB" if grew > FLAT_MB else "",
        ),
        Figure(
            name="RSS of all processes after them",
            ours=_shown(every),
            peer=peer,
            measured=every.rss,
            unit=" MB",
            must=250,
            aim=150,
            less_is_better=True,
        ),
    ]


def _send(system: System, until: int, first: int) -> None:
    """Load, in chunks, until that many are stored; ``first`` is the first event's number."""
    template = system.traffic(own_incident=False).request(1)
    stored = 0
    while stored < until:
        wrk(system.url, template, CHUNK_SECONDS, first)
        stored = system.settled(stored + 1)
        first += CHUNK_NUMBERS


def _peer() -> str:
    try:
        with Alertmanager() as peer:
            _send(peer, ALERTS, LOAD_FROM)
            return f"Alertmanager {_shown(memory_of_tree(*peer.roots))}"
    except NotInstalledError:
        return ""


def _shown(memory: Memory) -> str:
    return f"{memory.rss:.0f} MB (PSS {memory.pss:.0f})"
