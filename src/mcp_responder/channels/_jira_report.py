"""What an issue and its comments say of an incident. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

import msgspec

from mcp_responder.channels import _adf as adf
from mcp_responder.channels import _digest
from mcp_responder.model.analysis import Analysis, Claim, Evidence, MadeBy, Step
from mcp_responder.model.incident import Event
from mcp_responder.model.message import Message
from mcp_responder.plumbing.text import shown_line

LONGEST_SUMMARY = 255
LONGEST_TEXT = 32_767
"""Characters of one text of Jira's. Counted here as bytes of JSON, so that it fits however Jira counts."""


class _Room(msgspec.Struct, frozen=True):
    """How long a text, a line and a list may be."""

    text: int
    line: int
    entries: int


_ROOMS = (_Room(4000, 1000, 30), _Room(1500, 500, 15), _Room(600, 300, 8), _Room(250, 150, 5), _Room(100, 80, 3))
"""Tried in turn until it fits; the last one always does."""


def name_of(message: Message) -> str:
    """What the issue is about: an incident, or all those of a storm."""
    digest = message.digest
    return f"storm-{digest.since:%Y%m%dT%H%M%S%f}" if digest else message.incident.incident_id


def summary(message: Message) -> str:
    """The issue's title: one line, never empty."""
    incident = message.incident
    if message.digest:
        return shown_line(f"[{incident.severity}] {_digest.title(message.digest)}", LONGEST_SUMMARY)
    named = ": ".join(filter(None, (shown_line(incident.service, 80), shown_line(incident.title, LONGEST_SUMMARY))))
    return shown_line(f"[{incident.severity}] {named or incident.incident_id}", LONGEST_SUMMARY)


def description(message: Message) -> adf.Doc:
    """All that is known, cut to what Jira takes."""

    def blocks(room: _Room) -> Iterator[adf.Block]:
        yield from _marks(message)
        if message.digest:
            for line in _digest.lines(message.digest):
                yield from adf.paragraph(adf.text(line, room.line))
            return
        yield from _circumstances(message, room)
        yield from _report(message, room)
        yield from _page(message)

    return _fitting(blocks)


def comment(message: Message, *, whole: bool, notes: Iterable[str] = ()) -> adf.Doc:
    """The news; ``whole``: with the report, because the description can't have it. ``notes`` are added to it."""
    notes = tuple(notes)

    def blocks(room: _Room) -> Iterator[adf.Block]:
        yield from adf.paragraph(*_news(message, room))
        yield from _marks(message)
        yield from _bullets(notes, room)
        yield from _report(message, room) if whole else ()
        yield from _footer(message)

    return _fitting(blocks)


def footer(message: Message) -> str:
    """Names incident and news at the end of a comment; the words by which the comment is found again."""
    return f"{name_of(message)} #{message.news}"


def text_field(words: str) -> adf.Doc:
    """Text for a field that takes a document."""
    return _fitting(lambda room: adf.paragraph(adf.lines(words, room.text)))


def _fitting(blocks: Callable[[_Room], Iterable[adf.Block]]) -> adf.Doc:
    for room in _ROOMS:
        document = adf.doc(tuple(blocks(room)))
        if len(msgspec.json.encode(document)) <= LONGEST_TEXT:
            break
    return document


# ------------------------------------------------------------------------------------------------------- what happened


def _circumstances(message: Message, room: _Room) -> Iterator[adf.Block]:
    incident, activity = message.incident, message.activity
    counted = f"{activity.alerts} alert{'' if activity.alerts == 1 else 's'}, {activity.firing} firing"
    last = f", the last at {_time(activity.last_seen)}" if activity.last_seen > incident.opened_at else ""
    facts = (
        ("Service", incident.service),
        ("Environment", incident.environment),
        ("Resource", incident.resource),
        ("Source", incident.source),
        ("Since", _time(incident.opened_at)),
        ("Count", f"{counted}{last} (by {_time(incident.news_at)})"),
        ("Owner", incident.owner),
    )
    yield from adf.paragraph(adf.strong(incident.title, room.line))
    yield from adf.bullets(
        adf.paragraph(adf.strong(f"{name}:", 20), adf.text(fact, room.line)) for name, fact in facts if fact
    )
    links = message.links[: room.entries]
    yield from adf.bullets(adf.paragraph(adf.link(link.name, link.url, room.line)) for link in links)


def _marks(message: Message) -> tuple[adf.Panel, ...]:
    doubt = "May be a repeat: an earlier try was cut off and may have arrived." if message.doubtful else ""
    late = f"Told late by {timedelta(seconds=message.late_seconds)}." if message.late_seconds else ""
    told = (doubt, late, message.instead)
    return adf.panel("warning", *(adf.paragraph(adf.text(mark, 400)) for mark in told))


def _news(message: Message, room: _Room) -> Iterator[tuple[adf.Inline, ...]]:
    """What happened, by whom, in the words of the timeline."""
    entry = next((entry for entry in reversed(message.timeline) if entry.event is message.event), None)
    by = f"by {entry.by}, " if entry and entry.by else ""
    yield adf.strong(message.event.value.replace("_", " ").capitalize(), 40)
    yield adf.text(f"{by}{_time(message.incident.news_at)}.", room.line)
    if entry and entry.text:
        yield adf.text(entry.text, room.line)
    if message.event is Event.ANALYZED and message.analysis:
        yield adf.text(_cause(message.analysis), room.line)
    yield adf.text(f"{message.activity.alerts} alerts, {message.activity.firing} firing.", room.line)


def _page(message: Message) -> Iterator[adf.Block]:
    name = f"Incident {message.incident.incident_id}"
    yield from adf.paragraph(adf.link(name, message.url, 300) if message.url else adf.text(name, 300))


def _footer(message: Message) -> Iterator[adf.Block]:
    named = footer(message)
    yield from adf.paragraph(adf.link(named, message.url, 300) if message.url else adf.text(named, 300))


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


# ---------------------------------------------------------------------------------------------------------- the report


def _report(message: Message, room: _Room) -> Iterator[adf.Block]:
    analysis = message.analysis
    if analysis is None:
        failed = message.event is Event.ANALYSIS_FAILED
        yield from adf.paragraph(
            adf.text("No analysis could be made." if failed else "The analysis is under way.", 100)
        )
        return
    titles = {evidence.evidence_id: evidence.title for evidence in analysis.evidence}
    yield from _section("Summary", adf.paragraph(adf.lines(analysis.summary, room.text)))
    yield from _section("Cause", adf.paragraph(adf.strong(_cause(analysis), room.text)))
    yield from _bullets((f"Or: {other}" for other in analysis.root_cause.alternatives), room)
    yield from adf.bullets(_claim(claim, titles, room) for claim in analysis.claims[: room.entries])
    yield from _section("Impact", adf.paragraph(adf.lines(analysis.impact, room.text)))
    yield from _section("What to do", adf.numbered(_step(step, room) for step in analysis.remediation[: room.entries]))
    yield from _section("What to watch", _bullets(analysis.monitoring, room))
    yield from _section("Not seen", _bullets(_gaps(analysis), room))
    yield from adf.paragraph(adf.text(f"Analysis by {_made_by(analysis.made_by)}.", room.line))


def _section(name: str, blocks: tuple[adf.Block, ...]) -> Iterator[adf.Block]:
    if blocks:
        yield from adf.heading(name)
        yield from blocks


def _bullets(texts: Iterable[str], room: _Room) -> tuple[adf.BulletList, ...]:
    listed = tuple(texts)[: room.entries]
    return adf.bullets(adf.paragraph(adf.text(text, room.line)) for text in listed)


def _cause(analysis: Analysis) -> str:
    cause = analysis.root_cause
    kind = cause.category.value.replace("_", " ")
    return f"{cause.statement} ({kind}, {cause.confidence:.0%} sure)"


def _claim(claim: Claim, titles: dict[str, str], room: _Room) -> tuple[adf.Paragraph | adf.CodeBlock, ...]:
    said = adf.text(("" if claim.verified else "Unproven: ") + claim.statement, room.line)
    where = titles.get(claim.evidence) or claim.evidence
    quoted = (adf.text(f"{where}:", room.line), adf.code(claim.quote, room.line)) if claim.quote else ()
    return adf.paragraph(said, *quoted)


def _step(step: Step, room: _Room) -> tuple[adf.Paragraph | adf.CodeBlock, ...]:
    told = adf.paragraph(adf.text(f"{step.step} [risk: {step.risk}]", room.line))
    return (*told, *adf.code_block(step.command, room.text))


def _gaps(analysis: Analysis) -> tuple[str, ...]:
    """What the analyst missed and what couldn't be looked at, each once."""
    return tuple(dict.fromkeys((*analysis.gaps, *(_gap(one) for one in analysis.evidence if one.gap))))


def _gap(evidence: Evidence) -> str:
    return f"{shown_line(evidence.title or evidence.kind, 200)}: {evidence.gap}"


def _made_by(made_by: MadeBy) -> str:
    name = " ".join(filter(None, (made_by.analyst, made_by.model)))
    return f"{name} ({made_by.reason})" if made_by.reason else name
