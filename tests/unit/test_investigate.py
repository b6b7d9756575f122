"""Evidence is gathered in time or its absence is told; the first analyst who can answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence

import pytest
import structlog

from mcp_responder.analysts.rules import RulesAnalyst
from mcp_responder.model.analysis import Answer, Evidence
from mcp_responder.model.errors import Misconfigured, Permanent, Transient
from mcp_responder.pipeline.investigate import gather, investigate
from mcp_responder.ports import Subject
from tests.unit.asking import NOW, subject


class Told:
    """A provider that brings what it was given."""

    def __init__(self, name: str, *contents: str) -> None:
        self.name = name
        self._contents = contents

    def gather(self, subject: Subject) -> Iterator[Evidence]:
        for content in self._contents:
            yield Evidence(evidence_id="", kind=self.name, title=self.name, content=content)


class Broken:
    name = "broken"

    def gather(self, subject: Subject) -> Iterable[Evidence]:
        raise ZeroDivisionError("no such luck")


class Hanging:
    """Brings one thing and then nothing, for as long as the test lasts."""

    name = "hanging"

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def gather(self, subject: Subject) -> Iterator[Evidence]:
        yield Evidence(evidence_id="", kind=self.name, title="early", content="came in time")
        self.let_go.wait(20)


class Unable:
    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        self._error = error

    def analyze(self, subject: Subject, evidence: Sequence[Evidence]) -> Answer:
        raise self._error


ABOUT = subject("cart is down", "connect ECONNREFUSED db.internal:5432")


def test_the_alert_comes_first_and_ids_are_minted_in_order() -> None:
    found = gather(ABOUT, [Told("logs", "a", "b"), Told("metrics", "c")], 5)
    assert [item.evidence_id for item in found] == ["e1", "e2", "e3", "e4"]
    assert [item.kind for item in found] == ["alert", "logs", "logs", "metrics"]
    assert "db.internal:5432" in found[0].content


def test_a_provider_that_raises_is_a_gap() -> None:
    found = gather(ABOUT, [Broken(), Told("logs", "a")], 5)
    assert "ZeroDivisionError: no such luck" in found[1].gap
    assert found[2].content == "a"


def test_a_late_provider_is_a_gap_and_what_it_brought_is_kept() -> None:
    hanging = Hanging()
    begun = time.monotonic()
    found = gather(ABOUT, [hanging, Told("logs", "a")], 0.2)
    hanging.let_go.set()
    assert time.monotonic() - begun < 5
    assert [item.content for item in found[1:]] == ["came in time", "", "a"]
    assert "deadline" in found[2].gap


def test_providers_look_at_the_same_time() -> None:
    barrier = threading.Barrier(3, timeout=5)

    class Together(Told):
        def gather(self, subject: Subject) -> Iterator[Evidence]:
            barrier.wait()
            yield from super().gather(subject)

    found = gather(ABOUT, [Together(name, name) for name in ("a", "b", "c")], 5)
    assert [item.content for item in found[1:]] == ["a", "b", "c"]


def test_the_next_analyst_answers_and_the_reason_is_kept() -> None:
    analysts = [Unable("claude", Transient("overloaded")), Unable("other", Permanent("no key")), RulesAnalyst()]
    analysis = investigate(ABOUT, [], analysts, 5)
    assert analysis.made_by.analyst == "rules"
    assert analysis.made_by.reason == "claude: overloaded; other: no key"
    assert analysis.made_at == NOW
    assert analysis.evidence[0].kind == "alert"
    assert all(claim.verified for claim in analysis.claims)
    assert "db.internal:5432" in analysis.root_cause.statement


def test_a_mistake_in_an_analyst_leaves_the_answer_to_the_next() -> None:
    with structlog.testing.capture_logs() as logged:
        analysis = investigate(ABOUT, [], [Unable("claude", KeyError("sk-ant-secret")), RulesAnalyst()], 5)
    assert analysis.made_by.analyst == "rules"
    assert analysis.made_by.reason == "claude: failed unexpectedly (KeyError); see the log"
    assert [entry["analyst"] for entry in logged if entry["event"] == "analyst_failed"] == ["claude"]


def test_a_mistake_of_the_last_analyst_is_for_good() -> None:
    with structlog.testing.capture_logs(), pytest.raises(Permanent, match="KeyError"):
        investigate(ABOUT, [], [Unable("rules", KeyError("x"))], 5)


def test_analysts_see_no_secrets_and_their_quotes_are_proved_against_what_they_saw() -> None:
    about = subject("login fails", "dial postgres://app:hunter2@db.internal:5432: refused")
    seen: list[str] = []

    class Quoting(RulesAnalyst):
        def analyze(self, subject: Subject, evidence: Sequence[Evidence]) -> Answer:
            seen.append(f"{subject} {evidence}")
            return super().analyze(subject, evidence)

    analysis = investigate(about, [Told("logs", "login refused, password=hunter2")], [Quoting()], 5)
    assert "hunter2" not in seen[0]
    assert "hunter2" not in str(analysis)
    assert "postgres://app:<password>@db.internal:5432" in analysis.evidence[0].content
    assert all(claim.verified for claim in analysis.claims)


def test_the_last_failure_is_raised_when_nobody_can() -> None:
    with pytest.raises(Permanent, match="no key"):
        investigate(ABOUT, [], [Unable("a", Transient("busy")), Unable("b", Permanent("no key"))], 5)


def test_no_analyst_at_all_is_a_misconfiguration() -> None:
    with pytest.raises(Misconfigured):
        investigate(ABOUT, [], [], 5)


def test_gaps_reach_the_draft() -> None:
    analysis = investigate(ABOUT, [Broken()], [RulesAnalyst()], 5)
    assert any("no such luck" in gap for gap in analysis.gaps)
