"""Which of the findings is the cause: the deepest that still lasts, best seen, nearest to what the alert is about."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mcp_responder.analysts.rules import (
    application,
    calm,
    cloud,
    cluster,
    containers,
    database,
    messaging,
    metrics,
    network,
    scheduling,
)
from mcp_responder.analysts.rules.case import Case, Kind, Level
from mcp_responder.analysts.rules.rule import Depth, Finding, Rule
from mcp_responder.model.analysis import State

RULES: tuple[Rule, ...] = (
    *scheduling.RULES,
    *containers.RULES,
    *cluster.RULES,
    *network.RULES,
    *database.RULES,
    *metrics.RULES,
    *messaging.RULES,
    *application.RULES,
    *cloud.RULES,
)
TO_THE_POINT = 12
"""What a rule gains that explains just what the alert complains about."""


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that fired."""

    rule: Rule
    finding: Finding
    score: int


def judge(case: Case) -> list[Ruling]:
    """The rulings, the likely cause first; a calm one when nothing lasts, and none when nothing is known."""
    rulings = _rulings(RULES, case)
    lasting = [ruling for ruling in rulings if ruling.rule.outlasts or not ruling.finding.over]
    observed = [ruling for ruling in lasting if _observed(ruling, case)]
    supposed = [ruling for ruling in lasting if ruling not in observed]
    if any(_is_loud(ruling, case) for ruling in observed):
        return [*observed, *supposed]
    return _rulings(calm.RULES, case) or [*observed, *supposed] or _past(rulings)


def _rulings(rules: Sequence[Rule], case: Case) -> list[Ruling]:
    fired = ((rule, rule.find(case)) for rule in rules)
    rulings = [
        Ruling(rule=rule, finding=finding, score=_score(rule, finding, case)) for rule, finding in fired if finding
    ]
    return sorted(rulings, key=lambda ruling: -ruling.score)


def _is_loud(ruling: Ruling, case: Case) -> bool:
    """Programs mention trouble in passing; while every monitor is well, only errors and deep causes contradict it."""
    level = ruling.finding.level
    watched_well = bool(case.monitors) and all(monitor.well for monitor in case.monitors)
    return level is not Level.INFO and (level is Level.ERROR or ruling.rule.depth > Depth.SUSPECT or not watched_well)


def _score(rule: Rule, finding: Finding, case: Case) -> int:
    answers = rule.explains and case.look(rule.explains, frozenset({Kind.ALERT}))
    return rule.depth + finding.strength + (TO_THE_POINT if answers else 0)


def _observed(ruling: Ruling, case: Case) -> bool:
    """Whether it rests on more than the alert's own words."""
    alert = {item.evidence for item in case.lines if item.kind is Kind.ALERT}
    return any(claim.evidence not in alert for claim in ruling.finding.claims)


def _past(rulings: Sequence[Ruling]) -> list[Ruling]:
    """What is over can still be told, as over."""
    return [
        msgspec.structs.replace(ruling, rule=msgspec.structs.replace(ruling.rule, state=State.RECOVERED))
        for ruling in rulings
    ]
