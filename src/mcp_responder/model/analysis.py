"""Evidence is what was looked at; a Claim quotes it.

A Draft is what an analyst says; an Analysis is a Draft that the program has proved and signed.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from mcp_responder.model.alert import Severity

Statement = Annotated[str, Meta(max_length=400)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Category(enum.StrEnum):
    """What kind of cause it is."""

    RESOURCE_EXHAUSTION = "resource_exhaustion"
    CONFIGURATION_ERROR = "configuration_error"
    INFRASTRUCTURE = "infrastructure"
    DEPENDENCY_FAILURE = "dependency_failure"
    CODE_DEFECT = "code_defect"
    DATA_QUALITY = "data_quality"
    SECURITY = "security"
    HEALTHY = "healthy"
    UNKNOWN = "unknown"


class State(enum.StrEnum):
    """How things stand now."""

    ACTIVE = "active"
    RECOVERED = "recovered"
    FALSE_ALARM = "false_alarm"
    INCONCLUSIVE = "inconclusive"


class Risk(enum.StrEnum):
    """What a remediation step may break: ``none`` only looks, ``high`` may lose data or service."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. The program mints ``evidence_id`` (e1, e2, ...), never an analyst.

    ``gap`` is set when the look itself failed (and says what is missing); an empty ``content`` without a gap means
    "looked, and found nothing".
    """

    evidence_id: str
    kind: str
    """alert | history | similar | stack_trace | attached | ... : the provider's word for what it is."""
    title: str
    query: str = ""
    """What exactly was asked, so that a person can ask it again."""
    content: str = ""
    source_url: str = ""
    since: datetime | None = None
    until: datetime | None = None
    gap: str = ""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that rests on a quote from one piece of evidence; ``verified`` is set by ``pipeline.prove`` only."""

    statement: Statement
    evidence: str
    quote: str
    verified: bool = False


class RootCause(msgspec.Struct, frozen=True, kw_only=True):
    """The likely cause, and how sure the analyst is."""

    statement: Statement
    category: Category
    confidence: Share
    alternatives: tuple[str, ...] = ()


class SeverityAssessment(msgspec.Struct, frozen=True, kw_only=True):
    """The analyst's opinion of the severity; advice, it pages nobody."""

    level: Severity
    reason: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do about it."""

    step: str
    command: str = ""
    risk: Risk = Risk.NONE


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What an analyst hands in."""

    summary: str
    root_cause: RootCause
    state: State
    severity: SeverityAssessment
    impact: str
    remediation: tuple[Step, ...] = ()
    monitoring: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    gaps: tuple[str, ...] = ()


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that a model has read and written. What it read from its cache, or wrote into it, isn't in ``input``."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output + self.cache_read + self.cache_write

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
        )


class MadeBy(msgspec.Struct, frozen=True, kw_only=True):
    """Who made an analysis, at what cost (US dollars), and why this analyst and no other.

    ``cached``: the draft was made for an earlier incident of the same error, and cost nothing this time.
    """

    analyst: str
    model: str = ""
    prompt: str = ""
    tokens: int = 0
    usage: Usage = Usage()
    cost_usd: float = 0.0
    cached: bool = False
    reason: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A Draft and who made it."""

    draft: Draft
    made_by: MadeBy


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a model did and cost on one day (``YYYY-MM-DD``, in UTC); US dollars. Costs of one day and model add up.

    An analysis is answered by a call, or from the cache (``hits``), or by another analyst (``failures``, which may have
    cost calls); one that isn't made anew, because the incident's last one is so young, is ``throttled``.
    ``reserved_usd`` is what calls under way may cost.
    """

    day: str
    model: str
    calls: int = 0
    answers: int = 0
    hits: int = 0
    failures: int = 0
    throttled: int = 0
    usage: Usage = Usage()
    usd: float = 0.0
    saved_usd: float = 0.0
    reserved_usd: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            day=self.day,
            model=self.model,
            calls=self.calls + other.calls,
            answers=self.answers + other.answers,
            hits=self.hits + other.hits,
            failures=self.failures + other.failures,
            throttled=self.throttled + other.throttled,
            usage=self.usage + other.usage,
            usd=_dollars(self.usd + other.usd),
            saved_usd=_dollars(self.saved_usd + other.saved_usd),
            reserved_usd=_dollars(self.reserved_usd + other.reserved_usd),
        )


def _dollars(sum_of: float) -> float:
    """A millionth of a cent is kept: sums of many small amounts stay exact."""
    return round(sum_of, 8)


class CachedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that may serve for other incidents of the same error."""

    key: str
    answer: Answer
    at: datetime
    """When it was made."""


class Analysis(Draft, frozen=True, kw_only=True):
    """A Draft whose claims were checked against the evidence."""

    made_by: MadeBy
    made_at: datetime
    evidence: tuple[Evidence, ...] = ()
