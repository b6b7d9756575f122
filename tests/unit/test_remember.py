"""The same error within the hour is answered by its last answer, proved again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from mcp_responder.model.alert import Severity
from mcp_responder.model.analysis import Analysis, Answer, Claim, Draft, Evidence, MadeBy, State
from mcp_responder.pipeline.investigate import investigate
from mcp_responder.pipeline.remember import Remembering
from mcp_responder.ports import Recipe, Subject
from mcp_responder.storage.memory import MemoryStore
from tests.contract.clock import FakeClock
from tests.contract.test_commit import analysis
from tests.unit.asking import subject

ABOUT = subject("disk full", "no space left on /var")
DRAFT = Draft(**{name: getattr(analysis(), name) for name in Draft.__struct_fields__})


class Costly:
    """Says the same each time, for 2 cents."""

    name = "claude"

    def __init__(self) -> None:
        self.asked = 0
        self.state = State.ACTIVE
        self.made_with = Recipe("sonnet", "v1")

    def recipe(self, subject: Subject) -> Recipe:
        return self.made_with

    def analyze(self, subject: Subject, evidence: Sequence[Evidence]) -> Answer:
        self.asked += 1
        claims = (
            Claim(statement="It is full.", evidence="e1", quote="no space left on /var"),
            Claim(statement="A log says so.", evidence="e2", quote="write failed"),
        )
        draft = replace(DRAFT, claims=claims, state=self.state)
        return Answer(draft=draft, made_by=MadeBy(analyst="claude", model="sonnet", tokens=900, cost_usd=0.02))


class Desk:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.costly = Costly()
        self.analyst = Remembering(self.costly, self.store, self.store, self.clock)

    def analyzes(self, **fields: Any) -> Analysis:
        alert = replace(ABOUT.alert, **fields)
        return investigate(replace(ABOUT, alert=alert, now=self.clock()), [], [self.analyst], 5)


def test_the_second_time_nobody_is_asked() -> None:
    desk = Desk()
    first = desk.analyzes()
    desk.clock.advance(minutes=59)
    second = desk.analyzes()
    assert desk.costly.asked == 1
    assert (first.made_by.cached, second.made_by.cached) == (False, True)
    assert (second.made_by.cost_usd, second.made_by.tokens) == (0.0, 0)
    assert second.made_by.reason == f"made for the same error at {desk.clock() - timedelta(minutes=59):%H:%M} UTC"
    (cost,) = desk.store.costs("")
    assert (cost.hits, cost.saved_usd) == (1, 0.02)


def test_an_answer_serves_for_an_hour() -> None:
    desk = Desk()
    desk.analyzes()
    desk.clock.advance(hours=1)
    assert not desk.analyzes().made_by.cached
    assert desk.costly.asked == 2


def test_a_clock_that_was_set_back_makes_no_answer_young() -> None:
    desk = Desk()
    desk.analyzes()
    desk.clock.advance(hours=-2)
    assert not desk.analyzes().made_by.cached


def test_another_error_source_urgency_prompt_or_model_is_asked_about() -> None:
    desk = Desk()
    desk.analyzes()
    desk.analyzes(signature="00ff")
    desk.analyzes(source="zabbix")
    desk.analyzes(severity=Severity.CRITICAL)
    desk.costly.made_with = Recipe("sonnet", "v2")
    desk.analyzes()
    desk.costly.made_with = Recipe("haiku", "v1")
    desk.analyzes()
    assert desk.costly.asked == 6


def test_another_service_with_the_same_error_is_answered() -> None:
    desk = Desk()
    desk.analyzes(service="cart")
    assert desk.analyzes(service="search").made_by.cached


def test_claims_that_no_longer_stand_are_unverified() -> None:
    desk = Desk()
    desk.analyzes()
    again = desk.analyzes(message="no space left on /data")
    assert [(claim.verified, claim.evidence) for claim in again.claims] == [(False, ""), (False, "")]
    assert again.root_cause.confidence == 0


def test_a_quote_is_found_where_it_stands_now() -> None:
    class Logs:
        name = "logs"

        def gather(self, subject: Subject) -> list[Evidence]:
            return [Evidence(evidence_id="", kind="logs", title=word, content=word) for word in ("ok", "write failed")]

    desk = Desk()
    desk.analyzes()
    again = investigate(replace(ABOUT, now=desk.clock()), [Logs()], [desk.analyst], 5)
    assert [(claim.verified, claim.evidence) for claim in again.claims] == [(True, "e1"), (True, "e3")]


def test_that_nothing_is_wrong_is_said_of_one_incident_only() -> None:
    desk = Desk()
    for state in (State.FALSE_ALARM, State.RECOVERED):
        desk.costly.state = state
        desk.analyzes()
    assert desk.costly.asked == 2
