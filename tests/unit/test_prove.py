"""A claim is true when its quote stands in its evidence and its numbers do too; nobody else's word counts."""

from __future__ import annotations

import pytest

from mcp_responder.model.alert import Severity
from mcp_responder.model.analysis import (
    Category,
    Claim,
    Draft,
    Evidence,
    RootCause,
    SeverityAssessment,
    State,
)
from mcp_responder.pipeline.prove import prove

SEEN = Evidence(
    evidence_id="e1",
    kind="attached",
    title="cart.log",
    content='pool  exhausted:\n 50 of 50 in use, took 1,140 ms, "p95"',
)


def draft(*claims: Claim, confidence: float = 0.8) -> Draft:
    return Draft(
        summary="s",
        root_cause=RootCause(statement="c", category=Category.UNKNOWN, confidence=confidence),
        state=State.ACTIVE,
        severity=SeverityAssessment(level=Severity.HIGH, reason="r"),
        impact="i",
        claims=claims,
    )


def claim(statement: str, quote: str, evidence: str = "e1", *, verified: bool = False) -> Claim:
    return Claim(statement=statement, evidence=evidence, quote=quote, verified=verified)


def verdict(made: Claim) -> bool:
    return prove(draft(made), [SEEN]).claims[0].verified


@pytest.mark.parametrize(
    ("statement", "quote"),
    [
        ("The pool is exhausted", "pool exhausted:"),
        ("50 connections are in use", "50 of 50 in use"),
        ("It took 1140 ms", "took 1,140 ms"),
        ("It took 1,140 ms", "took 1,140 ms"),
        ("The 95th is in p95", '"p95"'),
        ("White space differs", "exhausted: 50   of 50"),
    ],
)
def test_what_stands_in_the_evidence_is_verified(statement: str, quote: str) -> None:
    assert verdict(claim(statement, quote))


@pytest.mark.parametrize(
    ("statement", "quote", "evidence"),
    [
        ("The pool is exhausted", "", "e1"),
        ("The pool is exhausted", "   ", "e1"),
        ("The pool is exhausted", "pool is exhausted", "e1"),
        ("The pool is exhausted", "pool exhausted:", "e2"),
        ("51 connections are in use", "50 of 50 in use", "e1"),
        ("It took 114 ms", "took 1,140 ms", "e1"),
    ],
)
def test_what_does_not_stand_there_is_not(statement: str, quote: str, evidence: str) -> None:
    assert not verdict(claim(statement, quote, evidence))


def test_the_analyst_s_own_word_does_not_count() -> None:
    assert not verdict(claim("It rained", "rain", verified=True))


def test_confidence_sinks_with_the_share_of_unproven_claims() -> None:
    proven = prove(draft(claim("a", "pool exhausted:"), claim("b", "never said")), [SEEN])
    assert proven.root_cause.confidence == pytest.approx(0.4)


def test_all_proven_leaves_the_confidence() -> None:
    assert prove(draft(claim("a", "pool exhausted:")), [SEEN]).root_cause.confidence == pytest.approx(0.8)


def test_a_cause_without_claims_is_not_trusted_much() -> None:
    assert prove(draft(), [SEEN]).root_cause.confidence == pytest.approx(0.3)


def test_proving_twice_changes_no_claim() -> None:
    once = prove(draft(claim("a", "pool exhausted:")), [SEEN])
    assert prove(once, [SEEN]) == once
