"""An analysis and an incident as a report of about one screen."""

from __future__ import annotations

from collections.abc import Iterator

from mcp_responder.entrypoints.cli.terminal import STYLES, Terminal, relative, utc
from mcp_responder.model.analysis import Analysis, Claim, MadeBy, RootCause, Step
from mcp_responder.model.incident import TimelineEntry
from mcp_responder.model.message import Receipt
from mcp_responder.operations import IncidentView
from mcp_responder.plumbing.text import cut, one_line, printable

LONGEST_TEXT = 1000
LONGEST_QUOTE = 200
LONGEST_EVENT = 80
"""Of a line of the timeline: what it says at length stands elsewhere."""
MOST_STEPS = MOST_CLAIMS = 6
MOST_EVENTS = 10
MOST_OTHERS = 5


def incident_lines(incident: IncidentView, terminal: Terminal) -> Iterator[str]:
    """Everything about one incident that a person needs at night."""
    yield from terminal.title(incident.severity, incident.status, incident.service, incident.title)
    yield from terminal.field("", _circumstances(incident, terminal))
    yield ""
    if incident.analysis is None:
        yield from terminal.field("Analysis", "none yet")
    else:
        yield from analysis_lines(incident.analysis, terminal)
    yield ""
    events = [_event(entry, terminal) for entry in incident.timeline]
    yield from terminal.items("Timeline", events, MOST_EVENTS, newest=True)
    yield from terminal.items("Told", [_delivery(receipt, terminal) for receipt in incident.deliveries], MOST_EVENTS)
    yield from terminal.field("Alerts", f"mcp-responder why {incident.alerts[0].alert_id}" if incident.alerts else "")


def analysis_lines(analysis: Analysis, terminal: Terminal) -> Iterator[str]:
    """What is broken, why, what to do, and what that rests on."""
    yield from terminal.field("Summary", cut(analysis.summary, LONGEST_TEXT))
    yield from terminal.field("Cause", _cause(analysis.root_cause))
    others = [terminal.item("-", other) for other in analysis.root_cause.alternatives]
    yield from terminal.items("Or", others, MOST_OTHERS)
    yield from terminal.field("Impact", cut(analysis.impact, LONGEST_TEXT))
    yield from terminal.field("State", _state(analysis))
    steps = [_step(number, step, terminal) for number, step in enumerate(analysis.remediation, 1)]
    yield from terminal.items("Steps", steps, MOST_STEPS)
    yield from terminal.items("Watch", [terminal.item("-", text) for text in analysis.monitoring], MOST_OTHERS)
    titles = {evidence.evidence_id: evidence.title for evidence in analysis.evidence}
    claims = [_claim(claim, titles.get(claim.evidence, ""), terminal) for claim in analysis.claims]
    yield from terminal.items("Claims", claims, MOST_CLAIMS)
    yield from terminal.items("Gaps", [terminal.item("-", gap) for gap in _gaps(analysis)], MOST_OTHERS)
    yield from terminal.field("By", f"{_made_by(analysis.made_by)}, {terminal.ago(analysis.made_at)}")


def _circumstances(incident: IncidentView, terminal: Terminal) -> str:
    parts = (
        incident.id,
        incident.environment,
        incident.resource,
        f"from {incident.source}",
        f"{incident.alert_count} alert{'' if incident.alert_count == 1 else 's'}, {incident.firing_count} firing",
        f"opened {terminal.ago(incident.opened_at)}",
        f"last seen {terminal.ago(incident.last_seen)}",
        _done("acknowledged", incident.acknowledged_by, terminal.ago(incident.acknowledged_at)),
        _done("resolved", incident.resolved_by, terminal.ago(incident.resolved_at)),
        f"silenced until {utc(incident.silenced_until)} by {incident.silenced_by}" if incident.silenced_until else "",
        f"reopened {incident.reopened} times" if incident.reopened else "",
        f"owner {incident.owner}" if incident.owner else "",
    )
    return " | ".join(one_line(part) for part in parts if part)


def _done(what: str, by: str, when: str) -> str:
    return f"{what} {when} by {by}" if when else ""


def _cause(cause: RootCause) -> str:
    return f"{cause.statement} ({cause.category.value.replace('_', ' ')}, {cause.confidence:.0%} sure)"


def _state(analysis: Analysis) -> str:
    severity = analysis.severity
    return f"{analysis.state.value.replace('_', ' ')}; {severity.level}: {severity.reason}"


def _step(number: int, step: Step, terminal: Terminal) -> Iterator[str]:
    mark = f"{number}."
    yield from terminal.item(mark, f"{cut(step.step, LONGEST_TEXT)} [risk: {step.risk}]")
    # Commands aren't wrapped: they are copied.
    for line in printable(step.command).split("\n") if step.command else ():
        yield f"{' ' * len(mark)} $ {line}"


def _claim(claim: Claim, title: str, terminal: Terminal) -> Iterator[str]:
    mark = "verified" if claim.verified else "unproven"
    yield from terminal.item(mark, claim.statement, STYLES[mark])
    if claim.quote:
        where = one_line(f"{claim.evidence} {cut(title, LONGEST_QUOTE)}")
        yield from terminal.item(" " * len(mark), f'"{cut(one_line(claim.quote), LONGEST_QUOTE)}" ({where})')


def _gaps(analysis: Analysis) -> tuple[str, ...]:
    """What the analyst missed and what couldn't be looked at, each once."""
    return tuple(dict.fromkeys((*analysis.gaps, *(evidence.gap for evidence in analysis.evidence if evidence.gap))))


def _made_by(made_by: MadeBy) -> str:
    name = " ".join(filter(None, (made_by.analyst, made_by.model, made_by.prompt)))
    cost = f"{made_by.tokens} tokens, ${made_by.cost_usd:.4f}" if made_by.tokens else ""
    return ", ".join(filter(None, (name, cost, "from the cache" if made_by.cached else "", made_by.reason)))


def _event(entry: TimelineEntry, terminal: Terminal) -> Iterator[str]:
    words = entry.event.value.replace("_", " ")
    by = f" by {one_line(entry.by)}" if entry.by else ""
    channel = f" ({one_line(entry.channel)})" if entry.channel else ""
    text = f": {cut(one_line(entry.text), LONGEST_EVENT)}" if entry.text else ""
    when = f"{utc(entry.at)} {relative(entry.at, terminal.now):>10} "
    return terminal.item(when, words + by + channel + text)


def _delivery(receipt: Receipt, terminal: Terminal) -> Iterator[str]:
    tries = f" in {receipt.attempts} tries" if receipt.attempts > 1 else ""
    doubt = ", maybe twice" if receipt.doubtful else ""
    detail = f": {cut(one_line(receipt.detail), LONGEST_QUOTE)}" if receipt.detail else ""
    event = receipt.event.value.replace("_", " ")
    words = f"{receipt.channel}, {terminal.ago(receipt.at)}: {event}{tries}{doubt}{detail}"
    return terminal.item(receipt.state.value, f"{words} {receipt.url}", STYLES.get(receipt.state.value, ""))
