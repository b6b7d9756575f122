"""An incident as Slack shows it: a header, a coloured page of facts with buttons, and the analysis below it.

Everything keeps Slack's limits: 50 blocks a message, 3,000 characters a section, 150 a header. Slack also refuses more
than some 13,000 characters in all blocks together, which is documented nowhere: ``BUDGET`` stays well below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec
from slack_sdk.models.attachments import BlockAttachment
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from mcp_responder.channels import _digest
from mcp_responder.channels._slack_text import code, code_block, line, link, moment, words
from mcp_responder.model.alert import Severity
from mcp_responder.model.analysis import Analysis, RootCause, Step
from mcp_responder.model.incident import Event, Incident, IncidentStatus, TimelineEntry
from mcp_responder.model.message import Digest, Message

BUDGET = 8000
"""Characters of the analysis, after escaping."""
LONGEST_SECTION = 3000
LONGEST_HEADER = 150
LONGEST_HEADLINE = 400
LONGEST_TITLE = 600
LONGEST_NAME = 120
LONGEST_TEXT = 700
LONGEST_COMMAND = 900
MOST_ITEMS = 6
"""Of any list; the rest is on the incident's page."""
MOST_LINKS = 5
MOST_REPLIES = 3

RESOLVED_COLOUR = "#2eb67d"
COLOURS = {
    Severity.CRITICAL: "#c4162a",
    Severity.HIGH: "#f2711c",
    Severity.MEDIUM: "#e0b400",
    Severity.LOW: "#3274d9",
}
SIGNS = {Severity.CRITICAL: "🔴", Severity.HIGH: "🟠", Severity.MEDIUM: "🟡", Severity.LOW: "🔵"}
BUTTONS = {
    "acknowledge": ("Acknowledge", "primary"),
    "resolve": ("Resolve", None),
    "silence": ("Silence 1 h", None),
    "reopen": ("Reopen", None),
}
"""Action -> what is on its button, and its style."""
IN_THREAD = {
    Event.ESCALATED: "🔺 *Escalated*",
    Event.REPEATED: "🔁 *Still firing*",
    Event.REOPENED: "↩️ *Reopened*",
    Event.REMINDED: "⏰ *Nobody has acknowledged it yet*",
}
"""News that an edited message alone would hide."""
BROADCAST = (Event.ESCALATED, Event.REOPENED, Event.REMINDED)
"""News that everybody in the channel should see again."""
NO_NEWS = (Event.COMMENTED, Event.DELIVERED, Event.DELIVERY_RETRIED, Event.DELIVERY_DIED)


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """One message. ``text`` is what lock screens and screen readers get."""

    text: str
    blocks: Sequence[Block]
    attachments: Sequence[BlockAttachment]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One message in the thread, or in the channel too."""

    text: str
    broadcast: bool


def render(message: Message, now: datetime, *, buttons: bool) -> Rendered:
    """The whole message; ``buttons`` only where somebody listens to them."""
    incident, headline = message.incident, headline_of(message)
    if message.digest:
        pages = [list(_storm(message, message.digest))]
        header = PlainTextObject(text=line(f"🌩️ {_digest.title(message.digest)}", LONGEST_HEADER), emoji=False)
    else:
        pages = [list(_page(message, now, buttons=buttons))]
        header = _header(incident)
    if message.analysis and not message.digest:
        pages.append(list(_within(BUDGET, _analysis(message, message.analysis))))
    return Rendered(
        text=_marked(headline, message),
        blocks=[HeaderBlock(text=header)],
        attachments=[BlockAttachment(blocks=blocks, color=colour_of(incident), fallback=headline) for blocks in pages],
    )


def plain(message: Message) -> str:
    """The same in a few words, for a Slack that takes nothing else."""
    cause = message.analysis.root_cause.statement if message.analysis and not message.digest else ""
    parts = (_marked(headline_of(message), message), words(cause, LONGEST_TEXT), message.incident.incident_id)
    return "\n".join(filter(None, (*parts, link("Details", message.url) if message.url else "")))


def replies(message: Message, told: int) -> Reply | None:
    """What belongs into the thread of a message that showed the news up to number ``told``."""
    if message.digest:
        return None
    news = [entry for entry in message.timeline if entry.event not in NO_NEWS]
    fresh = [entry for entry in news[-max(message.news - told, 1) :] if entry.event in IN_THREAD][-MOST_REPLIES:]
    if not fresh and message.event in IN_THREAD:
        fresh = [TimelineEntry(at=message.incident.news_at, event=message.event)]
    if not fresh:
        return None
    broadcast = any(entry.event in BROADCAST for entry in fresh)
    told_lines = [_told(entry, message) for entry in fresh]
    first = [f"{SIGNS[message.incident.severity]} {headline_of(message)}"] if broadcast else []
    return Reply(text="\n".join([*first, *told_lines, *map(_plain_mark, marks(message))]), broadcast=broadcast)


def headline_of(message: Message) -> str:
    """What fits on a lock screen: how bad, where, what."""
    if message.digest:
        return words(_digest.title(message.digest), LONGEST_HEADLINE)
    incident = message.incident
    status = "RESOLVED: " if incident.status is IncidentStatus.RESOLVED else ""
    service = f"{words(incident.service, LONGEST_NAME)}: " if incident.service.strip() else ""
    return f"{status}{incident.severity} {service}{words(incident.title, LONGEST_HEADLINE)}"


def colour_of(incident: Incident) -> str:
    return RESOLVED_COLOUR if incident.status is IncidentStatus.RESOLVED else COLOURS[incident.severity]


def marks(message: Message) -> Iterator[str]:
    """What is to be said of the delivery itself."""
    if message.doubtful:
        yield "⚠️ may be a repeat: an earlier try was cut off and may have arrived"
    if message.late_seconds:
        yield f"⏱️ late by {timedelta(seconds=message.late_seconds)}"
    if message.instead:
        yield f"↪️ {words(message.instead, LONGEST_TEXT)}"


# ----------------------------------------------------------------------------------------------------------- the page


def _header(incident: Incident) -> PlainTextObject:
    if incident.status is IncidentStatus.RESOLVED:
        before = f"✅ Resolved · {incident.severity}"
    elif incident.status is IncidentStatus.ACKNOWLEDGED:
        before = f"👀 {incident.severity} · acknowledged"
    else:
        before = f"{SIGNS[incident.severity]} {incident.severity}"
    return PlainTextObject(text=line(f"{before} · {_subject(incident)}", LONGEST_HEADER), emoji=False)


def _subject(incident: Incident) -> str:
    # Escaping makes it at most five times as long; what doesn't fit is said in full below.
    return " · ".join(filter(None, (incident.service[:LONGEST_NAME], incident.title[:LONGEST_TITLE])))


def _page(message: Message, now: datetime, *, buttons: bool) -> Iterator[Block]:
    incident = message.incident
    if len(incident.title) + len(incident.service) > LONGEST_HEADER - 40:
        yield _section(f"*{words(incident.title, LONGEST_TITLE)}*")
    yield SectionBlock(fields=[_markup(f"*{name}*\n{value}") for name, value in _facts(message)])
    yield from _context([*_states(message, now), *marks(message)])
    if actions := _actions(incident, now) if buttons else ():
        yield ActionsBlock(elements=[_button(action, incident.incident_id) for action in actions])
    yield from _context([_links(message)])


def _storm(message: Message, digest: Digest) -> Iterator[Block]:
    """Many incidents in one message."""
    yield from _sections(f"*{words(_digest.title(digest), LONGEST_TITLE)}*", map(_text, _digest.lines(digest)))
    yield from _context(list(marks(message)))


def _facts(message: Message) -> Iterator[tuple[str, str]]:
    incident, activity = message.incident, message.activity
    for name, value in (
        ("Service", incident.service),
        ("Environment", incident.environment),
        ("Resource", incident.resource),
        ("Source", incident.source),
    ):
        if shown := code(value, LONGEST_NAME):
            yield name, shown
    yield "Alerts", f"{activity.alerts}, {activity.firing} firing now"
    yield "Since", moment(incident.opened_at)


def _states(message: Message, now: datetime) -> Iterator[str]:
    """Who did what, and how things stand."""
    incident = message.incident
    if incident.status is IncidentStatus.RESOLVED:
        yield _deed("✅ Resolved", incident.resolved_by, incident.resolved_at)
    elif incident.status is IncidentStatus.ACKNOWLEDGED:
        yield _deed("👀 Acknowledged", incident.acknowledged_by, incident.acknowledged_at)
    elif incident.owner:
        yield f"Owner: {words(incident.owner, LONGEST_NAME)}"
    if incident.silenced_until and incident.silenced_until > now:
        yield f"{_deed('🔕 Silenced', incident.silenced_by)} until {moment(incident.silenced_until)}"
    if incident.reopened:
        yield f"↩️ reopened {incident.reopened} time{'' if incident.reopened == 1 else 's'}"
    if incident.status is not IncidentStatus.RESOLVED and not message.analysis:
        failed = message.event is Event.ANALYSIS_FAILED
        yield "The analysis failed." if failed else "🔎 The analysis is under way and will appear here."


def _deed(what: str, who: str, at: datetime | None = None) -> str:
    by = f" by *{words(who, LONGEST_NAME)}*" if who.strip() else ""
    return f"{what}{by}{f' {moment(at)}' if at else ''}"


def _actions(incident: Incident, now: datetime) -> tuple[str, ...]:
    """What can be done about it as it stands."""
    if incident.status is IncidentStatus.RESOLVED:
        return ("reopen",)
    silent = incident.silenced_until is not None and incident.silenced_until > now
    first = ("acknowledge",) if incident.status is IncidentStatus.OPEN else ()
    return (*first, "resolve", *(() if silent else ("silence",)))


def _button(action: str, incident_id: str) -> ButtonElement:
    text, style = BUTTONS[action]
    return ButtonElement(text=text, action_id=action, value=incident_id, style=style)


def _links(message: Message) -> str:
    own = link(message.incident.incident_id, message.url) if message.url else message.incident.incident_id
    others = [link(one.name, one.url, LONGEST_NAME) for one in message.links[:MOST_LINKS]]
    text = own
    for other in others:
        # Addresses are never cut: what doesn't fit is left out.
        if len(text) + len(other) + 3 <= LONGEST_SECTION - 1000:
            text = f"{text} · {other}"
    return text


def _told(entry: TimelineEntry, message: Message) -> str:
    by = f" by {words(entry.by, LONGEST_NAME)}" if entry.by.strip() else ""
    text = f": {words(entry.text, LONGEST_TEXT)}" if entry.text.strip() else ""
    counts = f", {message.activity.alerts} alerts so far" if entry.event is Event.REPEATED else ""
    return f"{IN_THREAD[entry.event]}{by}{text}{counts}"


def _marked(headline: str, message: Message) -> str:
    notes = "; ".join(map(_plain_mark, marks(message)))
    return f"{headline} ({notes})" if notes else headline


def _plain_mark(mark: str) -> str:
    return mark.partition(" ")[2]


# ------------------------------------------------------------------------------------------------------- the analysis


def _analysis(message: Message, analysis: Analysis) -> Iterator[Block]:
    cause = analysis.root_cause
    yield from _sections(_heading("Cause", _sureness(cause)), [_text(cause.statement)])
    if cause.alternatives:
        yield from _sections(_heading("Or perhaps"), _bullets(cause.alternatives))
    yield from _sections(_heading("Impact"), [_text(analysis.impact)])
    yield from _sections(_heading("Do"), _steps(analysis.remediation))
    yield from _sections(_heading("Summary"), [_text(analysis.summary)])
    yield from _sections(_heading("Watch"), _bullets(analysis.monitoring))
    yield from _sections(_heading("Not seen"), _bullets(_gaps(analysis)))
    if analysis.severity.level is not message.incident.severity:
        opinion = f"{analysis.severity.level}: {analysis.severity.reason}"
        yield from _sections(_heading("Severity by the analysis"), [_text(opinion)])
    yield from _context([_proof(analysis)])


def _heading(name: str, more: str = "") -> str:
    return f"*{name}*{f'  ({more})' if more else ''}"


def _sureness(cause: RootCause) -> str:
    return f"{cause.category.value.replace('_', ' ')}, {cause.confidence:.0%} sure"


def _text(text: str) -> str:
    return words(text, LONGEST_TEXT)


def _bullets(items: Sequence[str]) -> list[str]:
    shown = [f"•  {words(item, LONGEST_TEXT)}" for item in items[:MOST_ITEMS] if item.strip()]
    return [*shown, *_more(items)]


def _steps(steps: Sequence[Step]) -> list[str]:
    return [*(_step(number, step) for number, step in enumerate(steps[:MOST_ITEMS], 1)), *_more(steps)]


def _step(number: int, step: Step) -> str:
    risk = "" if step.risk.value == "none" else f"  _(risk: {step.risk.value})_"
    command = code_block(step.command, LONGEST_COMMAND)
    return f"{number}.  {words(step.step, LONGEST_TEXT)}{risk}" + (f"\n{command}" if command else "")


def _more(items: Sequence[object]) -> list[str]:
    return [f"_and {len(items) - MOST_ITEMS} more_"] if len(items) > MOST_ITEMS else []


def _gaps(analysis: Analysis) -> tuple[str, ...]:
    """What the analyst missed and what couldn't be looked at, each once."""
    unseen = (f"{one.title[:LONGEST_NAME] or one.kind}: {one.gap}" for one in analysis.evidence if one.gap)
    return tuple(dict.fromkeys((*analysis.gaps, *unseen)))


def _proof(analysis: Analysis) -> str:
    made_by, claims = analysis.made_by, analysis.claims
    name = " ".join(filter(None, (made_by.analyst, made_by.model)))
    verified = f"{sum(claim.verified for claim in claims)} of {len(claims)} claims verified" if claims else ""
    parts = (f"Analysis by {name}", verified, "from the cache" if made_by.cached else "", made_by.reason)
    return words(" · ".join(filter(None, parts)), LONGEST_TEXT)


# ----------------------------------------------------------------------------------------------------------- the blocks


def _sections(heading: str, paragraphs: Iterable[str]) -> Iterator[Block]:
    """Sections that hold the paragraphs under a heading; none if there is nothing to say."""
    text = heading
    for paragraph in filter(None, paragraphs):
        if len(text) + 1 + len(paragraph) > LONGEST_SECTION:
            yield _section(text)
            text = paragraph
        else:
            text = f"{text}\n{paragraph}"
    if text != heading:
        yield _section(text)


def _section(text: str) -> SectionBlock:
    return SectionBlock(text=_markup(text))


def _context(texts: Sequence[str]) -> Iterator[Block]:
    if texts:
        yield ContextBlock(elements=[_markup("\n".join(texts))])


def _markup(text: str) -> MarkdownTextObject:
    """``verbatim``: Slack makes no links or mentions of what merely looks like one."""
    return MarkdownTextObject(text=text, verbatim=True)


def _within(budget: int, blocks: Iterable[Block]) -> Iterator[Block]:
    """As many blocks as fit, most important first."""
    for block in blocks:
        budget -= len(str(block.to_dict()))
        if budget < 0:
            yield from _context(["… cut here: the rest is on the incident's page"])
            return
        yield block
