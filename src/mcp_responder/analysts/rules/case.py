"""What the evidence says, in one form whatever tool printed it: lines, pods, nodes, rollouts, monitors, series."""

from __future__ import annotations

import enum
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import lru_cache

import msgspec

from mcp_responder.model.analysis import Claim
from mcp_responder.plumbing.text import cut
from mcp_responder.ports import Subject

HALF_WORD = re.compile(r"\S*…$")
QUOTES = "\"'`"
LONGEST_STATEMENT = 400
LONGEST_SEEN = 230
RUNNING_WORDS = ("Running", "Succeeded", "Completed")


class Kind(enum.StrEnum):
    """Who speaks in a line. Tools speak of themselves, manifests of what is wished: neither is a symptom."""

    STATUS = "status"
    EVENT = "event"
    LOG = "log"
    ALERT = "alert"
    MANIFEST = "manifest"
    TOOL = "tool"


SPOKEN = frozenset({Kind.STATUS, Kind.EVENT, Kind.LOG, Kind.ALERT})
OBSERVED = SPOKEN - {Kind.ALERT}


class Level(enum.IntEnum):
    """How loud a line is."""

    NONE = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said. ``quote`` stands letter for letter in the evidence; ``over`` means it has passed."""

    text: str
    quote: str
    evidence: str
    kind: Kind
    level: Level = Level.NONE
    origin: str = ""
    """The pod, host, service or file that says it."""
    at: str = ""
    count: int = 1
    over: bool = False
    relevant: bool = False
    """It is about what the alert is about."""

    def relevant_to(self, terms: frozenset[str]) -> bool:
        """Whether one of the names stands in it."""
        return any(term in f"{self.origin} {self.text}".lower() for term in terms)

    def claim(self, statement: str = "") -> Claim:
        """That this was said, or ``statement``, resting on it."""
        said = f"{self.origin or self.kind} {VERBS[self.kind]}: {self.text}"
        # Whole words only: half a number would be another number.
        whole = HALF_WORD.sub("…", cut(statement or said, LONGEST_STATEMENT))
        return Claim(statement=whole, evidence=self.evidence, quote=self.quote)


VERBS = {
    Kind.STATUS: "shows",
    Kind.EVENT: "has the event",
    Kind.LOG: "logs",
    Kind.ALERT: "says",
    Kind.MANIFEST: "is configured with",
    Kind.TOOL: "answers",
}


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod as last seen."""

    name: str
    ready: bool
    phase: str
    restarts: int
    line: Line

    @property
    def well(self) -> bool:
        """Nothing to be done about it."""
        return self.ready or self.phase in RUNNING_WORDS[1:]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node as last seen; ``troubles`` are conditions such as ``DiskPressure`` or ``NotReady``."""

    name: str
    troubles: tuple[str, ...]
    line: Line


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment, stateful set or daemon set: how many replicas it wants and has."""

    name: str
    desired: int
    ready: int
    line: Line


class Monitor(msgspec.Struct, frozen=True, kw_only=True):
    """A monitor or alarm of another system."""

    name: str
    well: bool
    line: Line


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over time; never empty."""

    name: str
    resource: str
    unit: str
    times: tuple[str, ...]
    values: tuple[float, ...]
    evidence: str
    quote: str

    @property
    def first(self) -> float:
        return self.values[0]

    @property
    def last(self) -> float:
        return self.values[-1]

    @property
    def peak(self) -> float:
        return max(self.values)

    @property
    def trough(self) -> float:
        return min(self.values)

    @property
    def onset(self) -> int:
        """Where it has gone a quarter of its way from the first value to its farthest."""
        farthest = max(self.values, key=lambda value: abs(value - self.first))
        quarter = abs(farthest - self.first) / 4
        return next((place for place, value in enumerate(self.values) if abs(value - self.first) > quarter), 0)

    def when(self, place: int) -> str:
        """The time of a value, as the evidence has it."""
        return self.times[place] if place < len(self.times) else ""

    def claim(self, statement: str) -> Claim:
        """A statement that rests on this series' own numbers."""
        return Claim(statement=cut(statement, LONGEST_STATEMENT), evidence=self.evidence, quote=self.quote)


class TopQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that loads a database, and what it waits for, worst first."""

    statement: str
    load: float
    waits: tuple[tuple[str, float], ...]
    line: Line


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A span of a trace; ``depth`` is its indentation."""

    name: str
    service: str
    milliseconds: float
    depth: int
    line: Line
    statement: str = ""


class Sight(msgspec.Struct, frozen=True):
    """A line in which a pattern was found."""

    line: Line
    match: re.Match[str]

    def __getitem__(self, group: str) -> str:
        """What a named group has found, without stops, and without quotes that belong to nothing inside of it."""
        found = (self.match.groupdict().get(group) or "").strip("., ;")
        for quote in QUOTES:
            dangles = found.count(quote) == 1 and quote in (found[0], found[-1])
            wraps = found.count(quote) == 2 and found[0] == found[-1] == quote
            if dangles or wraps:
                found = found.strip(quote).strip("., ;")
        return found


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """All that was read. ``terms`` are the names that the alert is about; ``names`` what to put into commands."""

    subject: Subject
    lines: tuple[Line, ...]
    pods: Mapping[str, Pod]
    nodes: Mapping[str, Node]
    rollouts: Mapping[str, Rollout]
    monitors: tuple[Monitor, ...]
    series: Mapping[str, Series]
    queries: tuple[TopQuery, ...]
    spans: tuple[Span, ...]
    terms: frozenset[str]
    names: Mapping[str, str]
    alert_state: str
    gaps: tuple[str, ...]
    text: str
    """All lines joined, and where each begins: one search over it is much faster than one for each line."""
    starts: tuple[int, ...]

    def sights(self, pattern: str, kinds: frozenset[Kind] = SPOKEN) -> list[Sight]:
        """Lines in which the pattern is found, the most telling first."""
        found = (sight for sight in self._found(pattern) if sight.line.kind in kinds)
        return sorted(found, key=lambda sight: _rank(sight.line))

    def look(self, pattern: str, kinds: frozenset[Kind] = SPOKEN) -> Sight | None:
        """The most telling of the sights."""
        return next(iter(self.sights(pattern, kinds)), None)

    def errors(self) -> list[Line]:
        """What is logged as an error and has not passed, the most telling first."""
        loud = [line for line in self.lines if line.kind is Kind.LOG and line.level is Level.ERROR and not line.over]
        return sorted(loud, key=_rank)

    def said(self, kind: Kind) -> Iterator[Line]:
        """All lines of one kind, in order."""
        return (line for line in self.lines if line.kind is kind)

    def _found(self, pattern: str) -> Iterator[Sight]:
        last = -1
        for match in compiled(pattern).finditer(self.text):
            place = bisect_right(self.starts, match.start()) - 1
            if place != last:
                last = place
                yield Sight(self.lines[place], match)


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """Patterns look at single lines, in any case."""
    return re.compile(pattern, re.IGNORECASE | re.MULTILINE)


def _rank(line: Line) -> tuple[bool, bool, bool, int]:
    return (line.over, not line.relevant, line.kind is Kind.ALERT, -line.level)
