"""Console: prints each incident as a report on the standard output of the service. Used when nothing is configured.

Set-up, in ``responder.toml``; it has no settings:

    [channels.console]
    kind = "console"

A page before the analysis, and the report with it, are printed whole; other news is two lines. Colour is used on a
terminal unless ``NO_COLOR`` is set; lines are 80 to 120 columns wide. Quotes that were found in the evidence are marked
``+``, unproven claims ``?``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import TextIO

import msgspec

from mcp_responder.channels import _digest
from mcp_responder.channels._kind import ChannelKind, Services
from mcp_responder.model.alert import Severity
from mcp_responder.model.analysis import Analysis, Claim, Evidence, MadeBy, RootCause, Step
from mcp_responder.model.errors import Transient
from mcp_responder.model.incident import Event, Incident, IncidentStatus
from mcp_responder.model.message import Message, Receipt
from mcp_responder.plumbing.text import cut, shown, shown_line, wrap
from mcp_responder.ports import ChannelInfo, Delivered

INFO = ChannelInfo(kind="console", title="Console", longest_text=40_000, updates=False)
NARROWEST, WIDEST = 80, 120
UNKNOWN_WIDTH = 100
"""Columns when it isn't a terminal."""
MARGIN = 10
"""Columns of a label."""
LONGEST_TITLE = 200
LONGEST_TEXT = 1000
LONGEST_QUOTE = 300
MOST_ITEMS = 8
"""Of any list; the rest is on the incident's page."""


class ConsoleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing to set."""


class Console:
    """Prints to one stream; each message is one write, so that messages never mix."""

    info = INFO

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name = name
        self._stream = stream
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"Console({self.name!r})"

    def deliver(self, message: Message, previous: Receipt | None) -> Delivered:
        """Print it. Raises Transient if the stream is gone."""
        if self._stream.closed:
            raise Transient("the console is closed")
        told = _analysis_mark(message.analysis) or (previous.reference if previous else "")
        paper = _Paper(_columns(self._stream), colour=_wants_colour(self._stream))
        whole = previous is None or told != previous.reference
        lines = (
            _storm(message, paper) if message.digest else _report(message, paper) if whole else _update(message, paper)
        )
        self._print("".join(_within(INFO.longest_text, lines)))
        return Delivered(reference=told)

    def _print(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        with self._lock:
            try:
                self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
                self._stream.flush()
            except (OSError, ValueError) as error:
                # ValueError: closed between the look and the write.
                raise Transient(f"the console can't be written to ({type(error).__name__})") from error


def _build(name: str, _settings: ConsoleSettings, services: Services) -> Console:
    return Console(name, services.stdout)


KIND = ChannelKind(info=INFO, guide=__doc__ or "", settings=ConsoleSettings, build=_build)


# ---------------------------------------------------------------------------------------------------------- the paper

_STYLES = {
    Severity.CRITICAL: "1;97;41",
    Severity.HIGH: "1;31",
    Severity.MEDIUM: "1;33",
    Severity.LOW: "1;36",
    IncidentStatus.RESOLVED: "1;32",
    IncidentStatus.ACKNOWLEDGED: "1;36",
    IncidentStatus.OPEN: "1",
}
_LABEL = "2"
_WARNING = "1;33"


class _Paper:
    """How wide to write, and whether in colour. Only text from here on may hold control characters."""

    def __init__(self, columns: int, *, colour: bool) -> None:
        self.columns = columns
        self._colour = colour

    def paint(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour else text

    def rule(self) -> str:
        return self.paint("-" * self.columns, _LABEL)

    def field(self, label: str, text: str, style: str = "") -> Iterator[str]:
        """A labelled paragraph; nothing if there is no text."""
        margin = self.paint(label.ljust(MARGIN), _LABEL)
        for line in wrap(shown(text, LONGEST_TEXT), self.columns - MARGIN):
            yield margin + (self.paint(line, style) if style else line)
            margin = " " * MARGIN

    def items(self, label: str, items: Sequence[Iterable[str]]) -> Iterator[str]:
        """A labelled list of ready lines, shortened to what can be read at night."""
        lines = [line for item in items[:MOST_ITEMS] for line in item]
        if len(items) > MOST_ITEMS:
            lines.append(f"... and {len(items) - MOST_ITEMS} more")
        for number, line in enumerate(lines):
            yield (" " * MARGIN if number else self.paint(label.ljust(MARGIN), _LABEL)) + line

    def item(self, mark: str, text: str) -> Iterator[str]:
        """One entry of a list, with its mark hanging."""
        room = self.columns - MARGIN - len(mark) - 1
        for line in wrap(shown(text, LONGEST_TEXT), room):
            yield f"{mark} {line}"
            mark = " " * len(mark)


def _within(longest: int, lines: Iterable[str]) -> Iterator[str]:
    """Whole lines, each with its end, as many as fit."""
    for line in lines:
        longest -= len(line) + 1
        if longest < len(_CUT_HERE):
            yield _CUT_HERE
            return
        yield line + "\n"


_CUT_HERE = "... cut here: too long\n"


def _wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _columns(stream: TextIO) -> int:
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return UNKNOWN_WIDTH
    return min(max(columns, NARROWEST), WIDEST)


# --------------------------------------------------------------------------------------------------------- the report


def _storm(message: Message, paper: _Paper) -> Iterator[str]:
    assert message.digest is not None  # noqa: S101 - asked for with one only
    yield paper.rule()
    yield from wrap(_digest.title(message.digest), paper.columns)
    for line in _digest.lines(message.digest):
        yield from paper.field("", line)
    yield from _marks(message, paper)
    yield from paper.field("Page", message.url)
    yield ""


def _report(message: Message, paper: _Paper) -> Iterator[str]:
    yield paper.rule()
    yield from _heading(message.incident, paper)
    yield from paper.field("", _circumstances(message))
    yield from _marks(message, paper)
    yield ""
    yield from _findings(message, paper)
    yield from paper.items("Links", [paper.item("-", f"{link.name} {link.url}") for link in message.links])
    yield from paper.field("Page", message.url or message.incident.incident_id)
    yield ""


def _update(message: Message, paper: _Paper) -> Iterator[str]:
    """Short: the same first line as a report has, and what is new."""
    yield from _heading(message.incident, paper)
    yield from paper.field("", f"{_news(message)}. {_counts(message)}. {message.url or message.incident.incident_id}")
    yield from _marks(message, paper)
    yield ""


def _heading(incident: Incident, paper: _Paper) -> Iterator[str]:
    severity, status = incident.severity.value, incident.status.value
    service, title = shown_line(incident.service, LONGEST_TITLE), shown_line(incident.title, LONGEST_TITLE)
    known = " | ".join(filter(None, (service, title)))
    head = f"{severity} | {status} | "
    first, *rest = wrap(head + known, paper.columns - MARGIN)
    yield first.replace(severity, paper.paint(severity, _STYLES[incident.severity]), 1).replace(
        f"| {status} ", f"| {paper.paint(status, _STYLES[incident.status])} ", 1
    )
    yield from (" " * MARGIN + line for line in rest)


def _circumstances(message: Message) -> str:
    incident = message.incident
    owner = f"owner {incident.owner}" if incident.owner else ""
    told_below = (Event.OPENED, Event.ANALYZED, Event.ANALYSIS_FAILED)
    news = "" if message.event in told_below else _news(message)
    names = (incident.environment, incident.resource, incident.source, owner)
    parts = (*(shown_line(name, LONGEST_TITLE) for name in names), _counts(message))
    return " | ".join(filter(None, (*parts, f"{_time(incident.opened_at)} opened", news)))


def _marks(message: Message, paper: _Paper) -> Iterator[str]:
    yield from paper.field("Note", message.instead, _WARNING)
    if message.doubtful:
        yield from paper.field("Note", "may be a repeat: an earlier try was cut off and may have arrived", _WARNING)
    if message.late_seconds:
        yield from paper.field("Note", f"late by {timedelta(seconds=message.late_seconds)}", _WARNING)


def _findings(message: Message, paper: _Paper) -> Iterator[str]:
    if message.analysis is not None:
        yield from _analysis(message, message.analysis, paper)
    elif message.event is Event.ANALYSIS_FAILED:
        yield from paper.field("Analysis", _news(message))
    elif message.incident.status is not IncidentStatus.RESOLVED:
        yield from paper.field("Analysis", "under way; the report follows")


def _analysis(message: Message, analysis: Analysis, paper: _Paper) -> Iterator[str]:
    yield from paper.field("Summary", analysis.summary)
    yield from paper.field("Cause", _cause(analysis.root_cause))
    yield from paper.items("Or", [paper.item("-", other) for other in analysis.root_cause.alternatives])
    yield from paper.field("Impact", analysis.impact)
    yield from paper.field("State", analysis.state.value)
    if analysis.severity.level is not message.incident.severity:
        yield from paper.field("Severity", f"{analysis.severity.level} by the analysis: {analysis.severity.reason}")
    steps = [_step(number, step, paper) for number, step in enumerate(analysis.remediation, 1)]
    yield from paper.items("Do", steps)
    yield from paper.items("Watch", [paper.item("-", text) for text in analysis.monitoring])
    titles = {evidence.evidence_id: evidence.title for evidence in analysis.evidence}
    yield from paper.items("Evidence", [_claim(claim, titles, paper) for claim in analysis.claims])
    yield from paper.items("Not seen", [paper.item("-", gap) for gap in _gaps(analysis)])
    yield from paper.field("By", _made_by(analysis.made_by))


def _cause(cause: RootCause) -> str:
    return f"{cause.statement} ({cause.category.value.replace('_', ' ')}, {cause.confidence:.0%} sure)"


def _step(number: int, step: Step, paper: _Paper) -> Iterator[str]:
    mark = f"{number}."
    yield from paper.item(mark, f"{step.step} [risk: {step.risk}]")
    # Commands aren't wrapped: they are copied.
    prompt = "$"
    for line in shown(step.command, LONGEST_TEXT).split("\n") if step.command else ():
        yield f"{' ' * len(mark)} {prompt} {line}"
        prompt = " "


def _claim(claim: Claim, titles: dict[str, str], paper: _Paper) -> Iterator[str]:
    yield from paper.item("+" if claim.verified else "?", ("" if claim.verified else "unproven: ") + claim.statement)
    if claim.quote:
        where = " ".join(filter(None, (claim.evidence, titles.get(claim.evidence, ""))))
        quote = shown_line(claim.quote, LONGEST_QUOTE)
        yield from paper.item(" ", f'"{quote}" ({shown_line(where, LONGEST_TITLE)})')


def _gaps(analysis: Analysis) -> tuple[str, ...]:
    """What the analyst missed and what couldn't be looked at, each once."""
    unseen = [_gap(evidence) for evidence in analysis.evidence if evidence.gap]
    return tuple(dict.fromkeys((*analysis.gaps, *unseen)))


def _gap(evidence: Evidence) -> str:
    return f"{cut(evidence.title or evidence.kind, LONGEST_TITLE)}: {evidence.gap}"


def _made_by(made_by: MadeBy) -> str:
    name = " ".join(filter(None, (made_by.analyst, made_by.model, made_by.prompt)))
    tokens = f"{made_by.tokens} tokens, ${made_by.cost_usd:.4f}" if made_by.tokens else ""
    details = "; ".join(filter(None, (tokens, "from the cache" if made_by.cached else "", made_by.reason)))
    return f"{name} ({details})" if details else name


def _news(message: Message) -> str:
    """What happened, when, by whom, in the words of the timeline."""
    entry = next((entry for entry in reversed(message.timeline) if entry.event is message.event), None)
    words = f"{_time(message.incident.news_at)} {message.event.value.replace('_', ' ')}"
    if entry is None:
        return words
    by = f" by {shown_line(entry.by, LONGEST_TITLE)}" if entry.by else ""
    return words + by + (f": {shown_line(entry.text, LONGEST_QUOTE)}" if entry.text else "")


def _counts(message: Message) -> str:
    alerts = message.activity.alerts
    return f"{alerts} alert{'' if alerts == 1 else 's'}, {message.activity.firing} firing"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"


def _analysis_mark(analysis: Analysis | None) -> str:
    """Names the analysis that was printed, so that news which overtook it doesn't swallow it."""
    return f"analysis {analysis.made_at.isoformat()}" if analysis else ""
