"""Rulings to a Draft: the sentences, the steps with names filled in, the confidence, the gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from mcp_responder.analysts.rules import metrics
from mcp_responder.analysts.rules.case import LONGEST_STATEMENT, Case, Kind, Level, Line
from mcp_responder.analysts.rules.judging import Ruling
from mcp_responder.analysts.rules.rule import Depth
from mcp_responder.model.alert import Severity
from mcp_responder.model.analysis import Category, Claim, Draft, RootCause, SeverityAssessment, State, Step
from mcp_responder.plumbing.text import cut

CONFIDENCES = {
    Depth.SYMPTOM: 0.35,
    Depth.SUSPECT: 0.55,
    Depth.DEPENDENCY: 0.7,
    Depth.RESOURCE: 0.75,
    Depth.NAMED: 0.85,
}
ALERT_ONLY = 0.6
"""Factor when nothing but the alert's own words supports it."""
RIVALRY = 6
MOST_CLAIMS = 12
MOST_ALTERNATIVES = 3
LEAST_ROOM = 40
LONGEST_ASIDE = 110
UNKNOWN_STEPS = (
    Step(step="Look at what changed shortly before: deployments, configuration, traffic."),
    Step(step="Attach the service's logs and the resource's metrics around the alert, and analyse again."),
)


def draft(case: Case, rulings: Sequence[Ruling]) -> Draft:
    """Fill every field, honestly: without a ruling the answer is that the cause isn't known."""
    return _answer(case, rulings) if rulings else _no_answer(case)


def _answer(case: Case, rulings: Sequence[Ruling]) -> Draft:
    best, rest = rulings[0], rulings[1:]
    healthy = best.rule.category is Category.HEALTHY
    statement = _statement(case, best, rest)
    return Draft(
        summary=cut(f"{case.subject.alert.title}: {best.finding.cause}.", LONGEST_STATEMENT),
        root_cause=RootCause(
            statement=statement,
            category=best.rule.category,
            confidence=_confidence(case, rulings),
            alternatives=tuple(cut(ruling.finding.cause, 200) for ruling in rest[:MOST_ALTERNATIVES]),
        ),
        state=best.rule.state,
        severity=_severity(case, healthy=healthy),
        impact="None is seen." if healthy else _impact(case),
        remediation=tuple(_filled(step, case.names) for step in best.rule.steps),
        monitoring=tuple(dict.fromkeys(ruling.rule.watch for ruling in rulings[:2] if ruling.rule.watch)),
        claims=tuple(_claims(case, rulings)),
        gaps=tuple(_gaps(case)),
    )


def _no_answer(case: Case) -> Draft:
    looked = len({line.evidence for line in case.lines})
    warned = [line for line in case.lines if line.kind is not Kind.ALERT and line.level is Level.WARNING]
    hint = f' The loudest line is "{warned[0].text}".' if warned else ""
    statement = cut(f"The cause is unknown: nothing in the evidence names one.{hint}", LONGEST_STATEMENT)
    return Draft(
        summary=cut(
            f"{case.subject.alert.title}: the cause is unknown. {looked} pieces of evidence were read.",
            LONGEST_STATEMENT,
        ),
        root_cause=RootCause(statement=statement, category=Category.UNKNOWN, confidence=0.1),
        state=State.INCONCLUSIVE,
        severity=_severity(case, healthy=False),
        impact=_impact(case),
        remediation=UNKNOWN_STEPS,
        monitoring=("Add the service's logs and metrics to what is gathered.",),
        claims=tuple(line.claim() for line in (warned or case.lines)[:1] if line.quote),
        gaps=tuple(_gaps(case)),
    )


def _statement(case: Case, best: Ruling, rest: Sequence[Ruling]) -> str:
    """The cause, what shows it, and with the room that is left what else went wrong."""
    finding = best.finding
    parts = [f"{finding.cause}."]
    if finding.seen and finding.seen not in finding.cause:
        parts.append(f'Seen: "{finding.seen}".')
    for aside in _asides(case, best, rest):
        room = LONGEST_STATEMENT - len(" ".join(parts)) - 1
        if room < LEAST_ROOM:
            break
        parts.append(cut(aside, min(room, LONGEST_ASIDE)))
    return cut(" ".join(parts), LONGEST_STATEMENT)


def _asides(case: Case, best: Ruling, rest: Sequence[Ruling]) -> Iterator[str]:
    if best.rule.category is Category.HEALTHY:
        return
    yield from (f"Also: {ruling.finding.cause}." for ruling in rest if _rivals(ruling, best))
    seen = {claim.quote for claim in best.finding.claims}
    yield from (
        f'Also logged: "{line.text}".' for line in case.errors() if _apart(line, best) and line.quote not in seen
    )


def _rivals(ruling: Ruling, best: Ruling) -> bool:
    return ruling.rule.depth >= Depth.RESOURCE and ruling.score >= best.score - 4 * RIVALRY


def _apart(line: Line, best: Ruling) -> bool:
    return line.text not in best.finding.seen and line.text not in best.finding.cause


def _confidence(case: Case, rulings: Sequence[Ruling]) -> float:
    confidence = CONFIDENCES[rulings[0].rule.depth]
    alert = {line.evidence for line in case.lines if line.kind is Kind.ALERT}
    if all(claim.evidence in alert for claim in rulings[0].finding.claims):
        confidence *= ALERT_ONLY
    if len(rulings) > 1 and rulings[1].score > rulings[0].score - RIVALRY:
        confidence -= 0.1
    return round(confidence, 2)


def _severity(case: Case, *, healthy: bool) -> SeverityAssessment:
    stated = case.subject.alert.severity
    if healthy:
        return SeverityAssessment(level=Severity.LOW, reason="Nothing is wrong any more, as far as the evidence goes.")
    down = [name for name, rollout in case.rollouts.items() if rollout.desired and not rollout.ready]
    if down and not stated.pages:
        return SeverityAssessment(level=Severity.HIGH, reason=f"{down[0]} has no ready replica.")
    return SeverityAssessment(level=stated, reason="As the alert says; the evidence gives no reason to change it.")


def _impact(case: Case) -> str:
    """What suffers, as far as it was seen."""
    lacking = [rollout for rollout in case.rollouts.values() if rollout.ready < rollout.desired]
    alarms = [monitor.name for monitor in case.monitors if not monitor.well]
    sick = [pod.name for pod in case.pods.values() if not pod.well]
    told = [f"{item.name} has {item.ready} of {item.desired} replicas" for item in lacking[:2]]
    told += [f"monitor {name} is alerting" for name in alarms[:2]]
    told += [f"pod {name} isn't ready" for name in sick[:2]]
    service = case.subject.alert.service or case.names.get("service") or "the service"
    return "; ".join(told) + "." if told else f"Not measured: nothing was seen of the requests to {service}."


def _filled(step: Step, names: Mapping[str, str]) -> Step:
    """Names that are known go into the command; the others stay as words to replace."""
    command = step.command
    for name in ("pod", "namespace", "deployment", "node", "database", "name", "service_account"):
        command = command.replace(f"{{{name}}}", names.get(name) or name.upper())
    return replace(step, command=command)


def _claims(case: Case, rulings: Sequence[Ruling]) -> Iterator[Claim]:
    """The cause's own claims, one of each further finding, then what else was seen; none twice."""
    wanted = [*rulings[0].finding.claims, *(claim for ruling in rulings[1:4] for claim in ruling.finding.claims[:1])]
    if rulings[0].rule.category is not Category.HEALTHY:
        wanted += [*_sick(case), *_events(case), *metrics.background(case)]
    told: set[tuple[str, str]] = set()
    for claim in wanted:
        key = (claim.evidence, claim.statement)
        if claim.quote and key not in told and len(told) < MOST_CLAIMS:
            told.add(key)
            yield claim


def _events(case: Case) -> Iterator[Claim]:
    """What happened to the resource, beyond the everyday."""
    return (line.claim() for line in case.said(Kind.EVENT) if line.level is not Level.INFO)


def _sick(case: Case) -> Iterator[Claim]:
    yield from (pod.line.claim() for pod in case.pods.values() if not pod.well)
    yield from (monitor.line.claim() for monitor in case.monitors if not monitor.well)
    yield from (rollout.line.claim() for rollout in case.rollouts.values() if rollout.ready < rollout.desired)


def _gaps(case: Case) -> Iterator[str]:
    yield from case.gaps
    kinds = {str(line.kind) for line in case.lines}
    if kinds <= {"alert"}:
        yield "Only the alert's own words were there to go by: no logs, events or metrics."
    elif "log" not in kinds:
        yield "No log lines were seen."
