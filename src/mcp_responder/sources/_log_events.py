"""Events of a log: each one read, and those joined that are one: the lines of a stack trace, of a statement.

What any source of logs shares. The level decides whether an event is told; see ``_log_lines`` and ``_log_objects``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice, pairwise

from mcp_responder.model.alert import Severity
from mcp_responder.plumbing.fields import one_line
from mcp_responder.plumbing.masks import PLACEHOLDER
from mcp_responder.plumbing.traces import join_traces, may_hold_trace, parse_trace
from mcp_responder.sources import _log_objects as objects
from mcp_responder.sources._log_lines import Head, Told, judge_text, read_head
from mcp_responder.sources._reading import LONGEST_HEADLINE, label_text

LONGEST_MESSAGE = 32_000
"""Characters of an alert's message."""
LONGEST_GAP = 5.0
"""Seconds between two lines of one event."""
MOST_JOINED = 5000
"""Lines that are joined to one event."""
_LONGEST_LINE = 1000
_MOST_FIELDS = 40
_LONGEST_FIELD = 500

_PLATFORM = re.compile(
    r"(?:START RequestId: |END RequestId: |REPORT RequestId: |INIT_START |INIT_REPORT |RESTORE_START |RESTORE_REPORT "
    r"|(?:EXTENSION|TELEMETRY|LOGS)\tName: |XRAY TraceId: )"
)
_STARTED = re.compile(r"START RequestId: (\S+)")
_STATUS = re.compile(r"\bStatus: (timeout|error|failure)\b(?:.*?\bError Type: (?P<type>[\w.]+))?", re.DOTALL)
_DURATION = re.compile(r"\bDuration: (\d{1,12}(?:\.\d{1,6})?) ms")
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_REQUEST = re.compile(rf"\b[Rr]equest[ _-]?[Ii][Dd][\"']?\s?[:=]\s?[\"']?({_UUID})")
_ALONE = re.compile(rf".{{0,80}}?(?<![\w-])({_UUID})(?=[\s)\]]|$)")
"""In front of a line, behind its time."""
_XRAY = re.compile(r"\b1-[0-9a-f]{8}-[0-9a-f]{24}\b")
_CONTINUES = re.compile(
    r"[ \t]+\S|note: run with |.{0,150}?:\[\d+\]:(?:DETAIL|HINT|STATEMENT|CONTEXT|QUERY|LOCATION):  "
)
"""Indented, or what PostgreSQL or Rust adds to an error."""
_PANICKED = re.compile(r" panicked at \S+:\d+:\d+:$")
"""What Rust says in front of why."""
_ANNOUNCED = re.compile(r"\w*(?:Error|Exception)\b")


class Entry:
    """One log event as it was written; what costs time is found out when it is asked for."""

    def __init__(self, message: str) -> None:
        self.text = message.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        self.body, self._prefixed = _body_of(self.text)
        self.structured = bool(self.body)
        self.leaves = objects.leaves(self.body) if self.body else {}
        wrapped = self.body.get("log")
        if isinstance(wrapped, str) and not objects.BESIDE_LOG.isdisjoint(self.body):
            self._unwrap(Entry(wrapped))

    def _unwrap(self, inner: Entry) -> None:
        around = {name: value for name, value in self.body.items() if name not in ("log", "stream", "source")}
        self.body = {**around, **inner.body}
        self.leaves = objects.leaves(self.body)
        self.text, self.structured, self._prefixed = inner.text, inner.structured, inner._prefixed

    @cached_property
    def platform(self) -> bool:
        """Whether Lambda itself wrote it, in plain text."""
        return not self.structured and _PLATFORM.match(self.text) is not None

    @property
    def started(self) -> str:
        """The request that Lambda says begins here."""
        found = _STARTED.match(self.text) if self.platform else None
        return found[1] if found else ""

    @cached_property
    def head(self) -> Head:
        """What stands in front of its text; nothing in front of an object."""
        return Head() if self.structured and not self._prefixed else read_head(_first_line(self.text))


def _body_of(text: str) -> tuple[dict[str, object], bool]:
    """The object that a line is or, as Node on Lambda writes it, ends in; whether something stands in front."""
    if "{" not in text:
        return {}, False
    if body := objects.decoded(text.strip()):
        return body, False
    tail = text.find("\t{", 0, _LONGEST_LINE)
    body = objects.decoded(text[tail + 1 :].strip()) if tail >= 0 else {}
    return (body, True) if not objects.TELLING.isdisjoint(body) else ({}, False)


class Event:
    """One event of one or several entries; ``around`` is the request in which they stand, if the log says it."""

    def __init__(self, entries: Sequence[Entry], around: str = "") -> None:
        self._entry, self._around = entries[0], around
        self.leaves, self.structured = self._entry.leaves, self._entry.structured
        self._text = "" if self.structured else "\n".join(entry.text for entry in entries)
        self.level, self.word, self._title, self.echo = self._told()

    def _told(self) -> Told:
        """How bad it is, by its level if it has one, else by what it says."""
        entry = self._entry
        if entry.platform:
            return self._report()
        if self.structured and (told := objects.told(entry.body, self.leaves)):
            return told
        if entry.head.level:
            return Told(entry.head.level, entry.head.word)
        if self.structured and (told := objects.without_level(self.leaves)):
            return told
        return judge_text(self._spoken if self.structured else self._text)

    def _report(self) -> Told:
        """Of Lambda's own lines only a status that says so is a failure."""
        status = _STATUS.search(self._text)
        if not status:
            return Told(Severity.LOW)
        duration = _DURATION.search(self._text)
        milliseconds = float(duration[1]) if duration else 0.0
        title = objects.failed_run(status[1], milliseconds, status["type"] or "")
        return Told(Severity.HIGH, "", title, echo=True)

    @cached_property
    def title(self) -> str:
        """The telling line: the type and message of an error, else what is said behind time, level and ids."""
        words = self._title or self._thrown or (self._spoken if self.structured else self._line)
        words = _first_line(words) or _first_line(self.message)
        if self.request_id:
            words = words.replace(self.request_id, PLACEHOLDER)
        return one_line(words, LONGEST_HEADLINE)

    @cached_property
    def _thrown(self) -> str:
        """``type: message`` of the error that it brings."""
        if self._error_type and self._error_message:
            return f"{self._error_type}: {self._error_message}"
        trace = parse_trace((self._stack or self._words) if self.structured else self._text)
        if not trace or not trace.error_type:
            return self._error_type
        return f"{trace.error_type}: {trace.message}" if trace.message else trace.error_type

    @cached_property
    def _line(self) -> str:
        said = self._entry.head.rest
        # .NET writes the category behind the level, and what happened into the next line.
        second = self._text.partition("\n")[2].lstrip()
        return second if self._entry.head.word in _DOTNET and second and " " not in said else said

    @cached_property
    def _words(self) -> str:
        return objects.first(self.leaves, objects.MESSAGES)

    @cached_property
    def _error_type(self) -> str:
        return objects.meant(self.leaves, objects.ERROR_TYPES)

    @cached_property
    def _error_message(self) -> str:
        return objects.meant(self.leaves, objects.ERROR_MESSAGES)

    @cached_property
    def _stack(self) -> str:
        return objects.stack_of(self.leaves)

    @cached_property
    def _spoken(self) -> str:
        """The words of an object, and behind them its error."""
        words, error = self._words, self._error_message
        return f"{words}: {error}" if words and error and error not in words else words or error

    @cached_property
    def message(self) -> str:
        """The whole text; of an object its words, its error, its stack trace, and its other fields one to a line."""
        return _bounded("\n".join(self._parts()) if self.structured else self._text)

    def _parts(self) -> Iterator[str]:
        stack = self._stack
        thrown = self._thrown if self._error_type else self._error_message
        said = [words for words in dict.fromkeys((self._words, thrown)) if words and words not in stack]
        yield from said
        if stack and stack not in said:
            yield stack
        known = {*said, stack, self._error_type, self._error_message}
        named = ((name, value) for name, value in objects.fields(self.body) if objects.path_of(name) not in _TIMES)
        fields = ((name, label_text(value)) for name, value in named)
        others = ((name, words) for name, words in fields if words and words not in known and "\n" not in words)
        yield from (f"{name}: {one_line(words, _LONGEST_FIELD)}" for name, words in islice(others, _MOST_FIELDS))

    @cached_property
    def request_id(self) -> str:
        """The request in which it happened."""
        found = None
        if not self.structured or self._entry.head.rest:
            found = _REQUEST.search(self._entry.text, 0, _LONGEST_LINE) or _ALONE.match(self._entry.text)
        return objects.first(self.leaves, objects.REQUESTS) or (found[1] if found else self._around)

    @cached_property
    def trace_id(self) -> str:
        """The trace of X-Ray or another tracer."""
        said = objects.first(self.leaves, objects.TRACES)
        found = _XRAY.search(said or self._text[: 4 * _LONGEST_LINE])
        return found[0] if found else said

    @property
    def logger(self) -> str:
        """Who logged it."""
        return objects.first(self.leaves, objects.LOGGERS) or self._entry.head.logger

    @property
    def body(self) -> dict[str, object]:
        """The JSON object of the line."""
        return self._entry.body


_DOTNET = frozenset(("fail", "warn", "crit"))
_TIMES = frozenset(("timestamp", "time", "t", "ts", "datetime", "timemillis", "asctime", "date"))


def _bounded(text: str) -> str:
    """Both ends: what was thrown stands at one of the two."""
    text = text.strip("\n")
    if len(text) <= LONGEST_MESSAGE:
        return text
    end = LONGEST_MESSAGE // 2
    return f"{text[:end]}\n[{len(text) - 2 * end} characters are left out]\n{text[-end:]}"


def _first_line(text: str) -> str:
    return text.lstrip().partition("\n")[0].rstrip()


# ------------------------------------------------------------------------------------------------------------- joining


def joined(entries: Sequence[Entry], times: Sequence[float]) -> list[range]:
    """Which entries of one stream, in their order, are one event; ``times`` are seconds. All of them, each once."""
    starts = [0]
    for at, (before, after) in enumerate(pairwise(times), 1):
        if not (_joins(entries[at - 1]) and _joins(entries[at])) or after - before > LONGEST_GAP:
            starts.append(at)
    runs = [range(start, end) for start, end in pairwise([*starts, len(entries)]) if start < end]
    return [event for run in runs for event in (_events(entries, run) if len(run) > 1 else (run,))]


def _joins(entry: Entry) -> bool:
    return not entry.structured and not entry.platform


def _events(entries: Sequence[Entry], run: range) -> Iterator[range]:
    start, end = run.start, run.start
    for part in _traces(entries, run):
        if end > start and not (end - start < MOST_JOINED and _belongs(entries, range(start, end), part)):
            yield range(start, end)
            start = end
        end = part.stop
    yield range(start, end)


def _traces(entries: Sequence[Entry], run: range) -> Iterator[range]:
    """The entries that a stack trace holds together; all others alone."""
    lines: list[str] = []
    owners: list[int] = []
    for at in run:
        for line in entries[at].text.split("\n"):
            lines.append(line[:_LONGEST_LINE])
            owners.append(at)
    together: set[int] = set()
    place = 0
    for text in join_traces(lines):
        last = place + text.count("\n")
        together.update(range(owners[place] + 1, owners[last] + 1))
        place = last + 1
    start = run.start
    for at in run[1:]:
        if at not in together or at - start >= MOST_JOINED:
            yield range(start, at)
            start = at
    yield range(start, run.stop)


def _belongs(entries: Sequence[Entry], event: range, part: range) -> bool:
    """Whether a part goes on with the event before it: it is indented, or the bare trace of the error just told."""
    first, before = entries[part.start], entries[event.start]
    if _CONTINUES.match(first.text):
        return bool(before.text.strip())
    if len(event) > 1:
        return False
    if _PANICKED.search(before.text):
        return True
    if len(part) == 1 and "\n" not in first.text:
        return False
    trace = "\n".join(entries[at].text for at in part[:20])
    if not first.text.startswith("Traceback (most recent") and (
        may_hold_trace(before.text) or not may_hold_trace(trace)
    ):
        return False
    announced = first.head.bare or _ANNOUNCED.match(first.text)
    return bool(announced) and (before.head.level or judge_text(before.text).level) is not Severity.LOW
