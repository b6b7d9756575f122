"""``ledger`` and ``queues``: whether every event is accounted for, and what still waits."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

import msgspec

from mcp_responder.entrypoints.cli.failures import FAILED, OK
from mcp_responder.entrypoints.cli.service import read, the_service
from mcp_responder.entrypoints.cli.terminal import Terminal, complain
from mcp_responder.operations import LedgerView
from mcp_responder.ports import LaneDepth


class Queues(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks that wait, by lane."""

    lanes: dict[str, LaneDepth]


def ledger(args: Namespace, terminal: Terminal) -> int:
    """Every event has exactly one outcome; fails if the sums say otherwise."""
    body = the_service().get("/v1/ledger", {"since": args.since})
    view = read(body, LedgerView)
    if args.json:
        terminal.json(body)
    else:
        terminal.show(_ledger_lines(view))
    if view.balanced:
        return OK
    complain("The ledger doesn't balance: events were received that have no outcome; look at the hours, then at 'why'.")
    return FAILED


def queues(args: Namespace, terminal: Terminal) -> int:
    """What waits in each lane."""
    body = the_service().get("/v1/queues")
    if args.json:
        terminal.json(body)
        return OK
    lanes = read(body, Queues).lanes
    rows = [
        (name, str(lane.ready), str(lane.delayed), str(lane.leased), f"{lane.oldest:.0f} s" if lane.ready else "")
        for name, lane in sorted(lanes.items())
    ]
    terminal.show(terminal.table(("LANE", "READY", "DELAYED", "IN WORK", "OLDEST"), rows))
    return OK


def _ledger_lines(view: LedgerView) -> Iterator[str]:
    yield (
        f"received {view.received} = delivered {view.delivered} + merged {view.merged}"
        f" + suppressed {sum(view.suppressed.values())} + dead {view.dead} + in flight {view.in_flight}"
    )
    rules = ", ".join(f"{rule} {count}" for rule, count in sorted(view.suppressed.items()))
    if rules:
        yield f"suppressed: {rules}"
