"""Does each claim stand in its evidence? Pure: whatever an analyst says about ``verified`` is overwritten here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from msgspec.structs import replace

from mcp_responder.model.analysis import Claim, Draft, Evidence

STATED_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])\d+(?:,\d{3})*(?:\.\d+)?")
SEEN_NUMBER = re.compile(r"\d+(?:\.\d+)?")
GROUPED_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
UNPROVEN_CONFIDENCE = 0.3
"""A cause that rests on no claim at all can't be surer than this."""


def prove(draft: Draft, evidence: Sequence[Evidence]) -> Draft:
    """Mark each claim that stands in its evidence; the confidence sinks with the share of those that don't."""
    witnesses = {item.evidence_id: _Witness(item) for item in evidence}
    claims = tuple(replace(claim, verified=_stands(claim, witnesses.get(claim.evidence))) for claim in draft.claims)
    cause = replace(draft.root_cause, confidence=_confidence(draft.root_cause.confidence, claims))
    return replace(draft, claims=claims, root_cause=cause)


def look_again(draft: Draft, evidence: Sequence[Evidence]) -> Draft:
    """A draft made of other evidence: its quotes are looked for in this one; what isn't found quotes nothing."""
    witnesses = [_Witness(item) for item in evidence]
    claims = tuple(replace(claim, evidence=_where(claim, witnesses)) for claim in draft.claims)
    return replace(draft, claims=claims)


def _where(claim: Claim, witnesses: Sequence[_Witness]) -> str:
    """The id of the evidence in which the quote stands; that which it named first, if it does there."""
    quote = _one_spaced(claim.quote)
    found = [witness.name for witness in witnesses if quote and quote in witness.words]
    return claim.evidence if claim.evidence in found else next(iter(found), "")


class _Witness:
    """One piece of evidence, prepared once for many claims."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    @property
    def name(self) -> str:
        return self._evidence.evidence_id

    @cached_property
    def words(self) -> str:
        return _one_spaced(self._evidence.content)

    @cached_property
    def numbers(self) -> frozenset[float]:
        item = self._evidence
        return _numbers_seen(f"{item.title}\n{item.query}\n{item.content}")


def _stands(claim: Claim, witness: _Witness | None) -> bool:
    quote = _one_spaced(claim.quote)
    if witness is None or not quote or quote not in witness.words:
        return False
    return _numbers_stated(claim.statement) <= witness.numbers


def _one_spaced(text: str) -> str:
    return " ".join(text.split())


def _numbers_stated(text: str) -> set[float]:
    return {float(number.replace(",", "")) for number in STATED_NUMBER.findall(text)}


def _numbers_seen(text: str) -> frozenset[float]:
    """Every way to read the digits: ``1,140`` is one number in prose and two in a list."""
    grouped = (number.replace(",", "") for number in GROUPED_NUMBER.findall(text))
    return frozenset(float(number) for number in (*SEEN_NUMBER.findall(text), *grouped))


def _confidence(stated: float, claims: Sequence[Claim]) -> float:
    if not claims:
        return min(stated, UNPROVEN_CONFIDENCE)
    return round(stated * sum(claim.verified for claim in claims) / len(claims), 3)
