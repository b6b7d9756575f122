"""An incident is analysed when it opens, and not again right after; if nobody can, people hear of it at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from mcp_responder.model.analysis import Analysis, Cost, MadeBy
from mcp_responder.model.errors import Permanent
from mcp_responder.model.incident import Event
from mcp_responder.pipeline.analyze import Analyzer
from mcp_responder.pipeline.route import everyone
from mcp_responder.ports import Subject
from mcp_responder.storage.memory import MemoryStore
from tests.contract.alarms import CHANNELS, Sender
from tests.contract.clock import FakeClock
from tests.contract.test_commit import analysis
from tests.promises import promise


class Desk:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.sender = Sender(self.store, self.clock)
        self.looked = 0
        self.error: Exception | None = None
        route = everyone(CHANNELS)
        self.analyzer = Analyzer(self.store, self.store, self.clock, route, self.look, timedelta(minutes=5))

    def look(self, subject: Subject) -> Analysis:
        self.looked += 1
        if self.error:
            raise self.error
        return replace(analysis(), made_at=subject.now, made_by=MadeBy(analyst="claude", model="sonnet"))

    def works(self) -> None:
        for leased in self.sender.receives():
            self.analyzer.analyze(leased)

    def flaps(self, **fields: Any) -> None:
        self.sender.resolves(source_id="cpu", **fields)
        self.clock.advance(seconds=30)
        self.sender.fires(source_id="cpu", **fields)
        self.works()


def test_an_alarm_that_flaps_is_analysed_once_in_five_minutes() -> None:
    desk = Desk()
    desk.sender.fires(source_id="cpu")
    desk.works()
    for _ in range(9):
        desk.flaps()
    assert desk.looked == 1
    assert desk.store.costs("") == (Cost(day=f"{desk.clock():%Y-%m-%d}", model="sonnet", throttled=9),)
    desk.clock.advance(seconds=60)
    desk.flaps()
    assert desk.looked == 2
    assert desk.sender.lanes().get("analysis", 0) == 0


@promise("analysis-lost-still-tells")
def test_what_nobody_can_analyse_is_told_at_once_without() -> None:
    desk = Desk()
    desk.error = Permanent("failed unexpectedly (KeyError)")
    incident = desk.sender.opens()
    desk.works()
    assert desk.looked == 1
    last = desk.store.timeline(incident.incident_id)[-1]
    assert (last.event, last.text) == (
        Event.ANALYSIS_FAILED,
        "nobody could analyse it: failed unexpectedly (KeyError)",
    )
    assert desk.store.dead_letters(1)[0].reason == last.text
    assert desk.sender.lanes()["channel:slack"] >= 1
