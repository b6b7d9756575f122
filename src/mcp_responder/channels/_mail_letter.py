"""What a mail about an incident says, in which order: a Letter, which is then written as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from mcp_responder.channels import _digest
from mcp_responder.model.alert import NEVER, Link, Severity
from mcp_responder.model.analysis import Analysis, Claim, MadeBy, RootCause, Step
from mcp_responder.model.incident import Event, Incident, IncidentStatus, TimelineEntry
from mcp_responder.model.message import Digest, Message
from mcp_responder.plumbing.text import shown, shown_line

LONGEST_SERVICE = 60
LONGEST_TITLE = 140
"""Characters of a subject's title; the mail itself has more of it."""
LONGEST_HEADLINE = 300
LONGEST_NAME = 200
LONGEST_TEXT = 1000
LONGEST_COMMAND = 2000
LONGEST_QUOTE = 300
LONGEST_URL = 2000
MOST_ITEMS = 8
"""Of any list; the rest is on the incident's page."""

_SHORT = frozenset({Event.ACKNOWLEDGED, Event.SILENCED, Event.RESOLVED, Event.REPEATED})
"""News that needs no second report."""
_DELIVERIES = frozenset({Event.DELIVERED, Event.DELIVERY_RETRIED})
"""Not what anybody did about it."""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A paragraph, or an entry of a list, with whatever belongs to it. All of it is fit to show, none of it markup."""

    text: str = ""
    mark: str = ""
    """What hangs before it: a number, a tick."""
    note: str = ""
    """In small type after it."""
    code: str = ""
    """To be copied: its lines are never wrapped by us."""
    quote: str = ""
    url: str = ""
    """Where it leads, http or https only."""


class Section(msgspec.Struct, frozen=True):
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a mail shows, as plain text that is fit to show."""

    subject: str
    severity: Severity
    status: IncidentStatus
    title: str
    place: str
    """Service and environment."""
    news: str
    """What happened, in a sentence."""
    facts: tuple[str, ...]
    """Since when, how often."""
    warnings: tuple[str, ...]
    """Late, doubtful."""
    sections: tuple[Section, ...]
    url: str
    """The incident's page; may be empty."""
    preview: str
    """What a list of mails shows beside the subject."""
    signature: str
    """Who says all that."""


def letter(message: Message, now: datetime, *, reported: bool) -> Letter:
    """What to say of the news. ``reported``: the analysis, if there is one, was in an earlier mail."""
    if message.digest:
        return _of_a_storm(message, message.digest)
    incident = message.incident
    news = _news(message)
    cause = message.analysis.root_cause if message.analysis else None
    whole = not (reported and message.event in _SHORT)
    return Letter(
        subject=subject(incident),
        severity=incident.severity,
        status=incident.status,
        title=shown_line(incident.title, LONGEST_HEADLINE) or "(no title)",
        place=_joined(shown_line(incident.service, LONGEST_NAME), shown_line(incident.environment, LONGEST_NAME)),
        news=news,
        facts=tuple(_facts(message, now)),
        warnings=tuple(_warnings(message)),
        sections=tuple(_some(_report(message) if whole else _update(message))),
        url=web_address(message.url),
        preview=_joined(news, _line(cause.statement) if cause else "", *_facts(message, now)),
        signature=_signature(message),
    )


def _of_a_storm(message: Message, digest: Digest) -> Letter:
    said = tuple(shown_line(line, LONGEST_TEXT) for line in _digest.lines(digest))
    headline = shown_line(_digest.title(digest), LONGEST_TEXT)
    return Letter(
        subject=f"[{message.incident.severity}] Storm since {_time(digest.since)} UTC",
        severity=message.incident.severity,
        status=message.incident.status,
        title=headline,
        place="",
        news="Many incidents at once: they share this mail, and its replies, while that lasts",
        facts=(),
        warnings=tuple(_warnings(message)),
        sections=(Section("Storm", tuple(Block(text=line) for line in said)),),
        url="",
        preview=_joined(headline, *said),
        signature="Sent by mcp-responder. All times are in UTC.",
    )


def subject(incident: Incident) -> str:
    """The same for every mail about an incident, unless it becomes worse: programs thread by it, people sort by it."""
    service = shown_line(incident.service, LONGEST_SERVICE)
    title = shown_line(incident.title, LONGEST_TITLE) or incident.incident_id
    return f"[{incident.severity}] {service}: {title}" if service else f"[{incident.severity}] {title}"


def web_address(url: str) -> str:
    """The URL if it leads to a web server and nowhere else, else nothing."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return ""
    fit = url.isprintable() and not any(character in url for character in ' "<>\\^`{|}')
    return url if fit and host and parts.scheme in ("http", "https") and len(url) <= LONGEST_URL else ""


# --------------------------------------------------------------------------------------------------------- the sections


def _report(message: Message) -> Iterator[Section]:
    incident, analysis = message.incident, message.analysis
    if analysis is not None:
        yield from _analysis(analysis, incident)
    elif message.event is not Event.ANALYSIS_FAILED and incident.status is not IncidentStatus.RESOLVED:
        yield Section("Cause", (Block(text="Being looked into. The report follows as a reply to this mail."),))
    yield _details(message)
    yield _history(message)
    yield _links(message.links)


def _update(message: Message) -> Iterator[Section]:
    """Short: what was found is told again in one line."""
    if message.analysis:
        yield Section("Cause", (_cause(message.analysis.root_cause),))
    yield _history(message)


def _analysis(analysis: Analysis, incident: Incident) -> Iterator[Section]:
    cause = analysis.root_cause
    others = (Block(text=f"Or: {_text(other)}") for other in cause.alternatives)
    yield Section("In short", (Block(text=_text(analysis.summary)),))
    yield Section("Cause", (_cause(cause), *_first(others, len(cause.alternatives))))
    yield Section("Impact", (Block(text=_text(analysis.impact)),))
    steps = (_step(number, step) for number, step in enumerate(analysis.remediation, 1))
    yield Section("What to do", _first(steps, len(analysis.remediation)))
    watched = (Block(mark="•", text=_text(one)) for one in analysis.monitoring)
    yield Section("What to watch", _first(watched, len(analysis.monitoring)))
    titles = {evidence.evidence_id: evidence.title for evidence in analysis.evidence}
    yield Section("Evidence", _first((_claim(one, titles) for one in analysis.claims), len(analysis.claims)))
    gaps = _gaps(analysis)
    yield Section("What could not be seen", _first((Block(mark="•", text=_text(gap)) for gap in gaps), len(gaps)))
    opinion = analysis.severity
    if opinion.level is not incident.severity:
        yield Section("Severity", (Block(text=f"{opinion.level} by the analysis: {_text(opinion.reason)}"),))


def _cause(cause: RootCause) -> Block:
    note = f"{cause.confidence:.0%} sure, {cause.category.value.replace('_', ' ')}"
    return Block(text=_text(cause.statement), note=note)


def _step(number: int, step: Step) -> Block:
    return Block(
        mark=f"{number}.", text=_text(step.step), note=f"risk: {step.risk}", code=shown(step.command, LONGEST_COMMAND)
    )


def _claim(claim: Claim, titles: dict[str, str]) -> Block:
    where = _line(" ".join(filter(None, (claim.evidence, titles.get(claim.evidence, "")))))
    proof = f"found in {where}" if claim.verified else f"unproven: not found in {where}"
    return Block(
        mark="✓" if claim.verified else "?",
        text=_text(claim.statement),
        quote=shown_line(claim.quote, LONGEST_QUOTE),
        note=proof if where else "",
    )


def _gaps(analysis: Analysis) -> tuple[str, ...]:
    """What the analyst missed and what couldn't be looked at, each once."""
    unseen = (f"{evidence.title or evidence.kind}: {evidence.gap}" for evidence in analysis.evidence if evidence.gap)
    return tuple(dict.fromkeys((*analysis.gaps, *unseen)))


def _details(message: Message) -> Section:
    incident = message.incident
    facts = {
        "Resource": incident.resource,
        "Owner": incident.owner,
        "State": message.analysis.state.value if message.analysis else "",
        "Reported by": incident.source,
        "Incident": incident.incident_id,
    }
    return Section("Details", tuple(Block(mark=f"{name}:", text=_line(fact)) for name, fact in facts.items() if fact))


def _history(message: Message) -> Section:
    """The latest of what happened and who did it, oldest first."""
    entries = [entry for entry in message.timeline if entry.event not in _DELIVERIES]
    latest = tuple(_entry(entry, message.incident.opened_at) for entry in entries[-MOST_ITEMS:])
    left_out = len(entries) - len(latest)
    earlier = (Block(text=f"... {left_out} earlier on the incident's page"),) if left_out else ()
    return Section("Who did what", (*earlier, *latest))


def _entry(entry: TimelineEntry, opened_at: datetime) -> Block:
    by = f" by {_line(entry.by)}" if entry.by else ""
    words = f": {shown_line(entry.text, LONGEST_QUOTE)}" if entry.text else ""
    at = f"{entry.at:%H:%M:%S}" if entry.at.date() == opened_at.date() else _time(entry.at)
    return Block(mark=at, text=f"{_words(entry.event)}{by}{words}")


def _links(links: tuple[Link, ...]) -> Section:
    return Section("Links", _first(map(_link, links), len(links)))


def _link(link: Link) -> Block:
    """By name, and the host that it really leads to. What isn't an address of the web is only shown."""
    url = web_address(link.url)
    if not url:
        return Block(text=_joined(_line(link.name), shown_line(link.url, LONGEST_NAME)))
    host = urlsplit(url).hostname or ""
    return Block(text=_line(link.name) or host, note=host if link.name else "", url=url)


def _first(blocks: Iterable[Block], count: int) -> tuple[Block, ...]:
    shown_ones = tuple(block for block, _ in zip(blocks, range(MOST_ITEMS), strict=False))
    rest = count - len(shown_ones)
    return (*shown_ones, Block(text=f"... and {rest} more on the incident's page")) if rest else shown_ones


def _some(sections: Iterable[Section]) -> Iterator[Section]:
    """Those that say something."""
    for section in sections:
        blocks = tuple(block for block in section.blocks if block.text or block.code or block.url)
        if blocks:
            yield Section(section.title, blocks)


# ------------------------------------------------------------------------------------------------------------ the words


def _news(message: Message) -> str:
    """What happened, by whom, in a sentence."""
    incident = message.incident
    entry = next((one for one in reversed(message.timeline) if one.event is message.event), None)
    by = f" by {_line(entry.by)}" if entry and entry.by else ""
    why = f": {shown_line(entry.text, LONGEST_QUOTE)}" if entry and entry.text else ""
    match message.event:
        case Event.OPENED:
            return f"New incident{f', reported{by}' if by else ''}"
        case Event.ANALYZED:
            return "The analysis is made"
        case Event.ANALYSIS_FAILED:
            return f"The analysis failed{why}"
        case Event.REPEATED:
            return "Still firing"
        case Event.REMINDED:
            return f"Reminder{why}"
        case Event.RESOLVED:
            return f"Resolved{by} after {_duration(_end(incident) - incident.opened_at)}{why}"
        case _:
            return f"{_words(message.event).capitalize()}{by}{why}"


def _facts(message: Message, now: datetime) -> Iterator[str]:
    incident, activity = message.incident, message.activity
    if incident.status is IncidentStatus.RESOLVED:
        yield f"{_time(incident.opened_at)} to {_time(_end(incident))} UTC"
    else:
        yield f"Since {_time(incident.opened_at)} UTC ({_duration(now - incident.opened_at)})"
    last = f", last at {activity.last_seen:%H:%M:%S}" if activity.last_seen != NEVER else ""
    alerts = f"{activity.alerts} alert{'' if activity.alerts == 1 else 's'}"
    reopened = (
        f", reopened {incident.reopened} time{'' if incident.reopened == 1 else 's'}" if incident.reopened else ""
    )
    yield f"{alerts}{last}, {activity.firing} firing now{reopened}"


def _warnings(message: Message) -> Iterator[str]:
    if message.instead:
        yield _text(message.instead)
    if message.doubtful:
        yield "This mail may be a repeat: an earlier try was cut off and may have arrived."
    if message.late_seconds:
        yield f"This mail is late by {timedelta(seconds=message.late_seconds)}: it couldn't be sent before."


def _signature(message: Message) -> str:
    by = f"Analysis by {_made_by(message.analysis.made_by)}. " if message.analysis else ""
    return f"{by}Sent by mcp-responder about {message.incident.incident_id}. All times are in UTC."


def _made_by(made_by: MadeBy) -> str:
    name = " ".join(filter(None, (made_by.analyst, made_by.model, made_by.prompt)))
    tokens = f"{made_by.tokens} tokens, ${made_by.cost_usd:.4f}" if made_by.tokens else ""
    details = "; ".join(filter(None, (tokens, "from the cache" if made_by.cached else "", made_by.reason)))
    return _line(f"{name} ({details})" if details else name)


def _end(incident: Incident) -> datetime:
    return incident.resolved_at or incident.news_at


def _words(event: Event) -> str:
    return event.value.replace("_", " ")


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _duration(span: timedelta) -> str:
    """In the two largest units that matter: 35 s, 4 min, 1 h 12 min, 3 d 2 h."""
    minutes, seconds = divmod(max(int(span.total_seconds()), 0), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = (f"{days} d", f"{hours} h") if days else (f"{hours} h", f"{minutes} min") if hours else (f"{minutes} min",)
    return " ".join(part for part in parts if part[0] != "0") if days or hours or minutes else f"{seconds} s"


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def _line(text: str) -> str:
    return shown_line(text, LONGEST_NAME)


def _text(text: str) -> str:
    return shown(text.strip(), LONGEST_TEXT)
