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


class MadeBy(msgspec.Struct, frozen=True, kw_only=True):
    """Who made an analysis, at what cost (US dollars), and why this analyst and no other."""

    analyst: str
    model: str = ""
    prompt: str = ""
    tokens: int = 0
    cost_usd: float = 0.0
    cached: bool = False
    reason: str = ""


class Analysis(Draft, frozen=True, kw_only=True):
    """A Draft whose claims were checked against the evidence."""

    made_by: MadeBy
    made_at: datetime
    evidence: tuple[Evidence, ...] = ()
