"""What a rule is: data, and one small function that finds its kind of failure in a case."""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from mcp_responder.analysts.rules.case import LONGEST_SEEN, SPOKEN, Case, Kind, Level, Line, Sight
from mcp_responder.model.analysis import Category, Claim, Risk, State, Step
from mcp_responder.plumbing.text import cut


class Depth(enum.IntEnum):
    """How near to the root a finding is. What is found deeper explains what is found higher."""

    SYMPTOM = 30
    """Something suffers: a time-out, a restart, an error page."""
    SUSPECT = 45
    """Explains symptoms, and is often a consequence itself."""
    DEPENDENCY = 65
    """Something else that is needed doesn't answer."""
    RESOURCE = 72
    """Something ran out."""
    NAMED = 80
    """One thing, named, is wrong, missing or mistyped."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A failure that was found. ``cause`` is one sentence without its full stop; ``seen`` what shows it."""

    cause: str
    claims: tuple[Claim, ...]
    seen: str = ""
    strength: int = 0
    """Added to the rule's depth: how strong the sight is."""
    over: bool = False
    level: Level = Level.ERROR
    """How loud it was said; what was measured counts as loud."""


Finder = Callable[[Case], Finding | None]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of failure: how to find it, what to do about it, what to watch from now on."""

    name: str
    category: Category
    depth: Depth
    find: Finder
    steps: tuple[Step, ...] = ()
    watch: str = ""
    explains: str = ""
    """Words of an alert that this kind of failure answers directly: it then counts for more."""
    outlasts: bool = False
    """It counts even when it is over: what it broke, it has broken."""
    state: State = State.ACTIVE


def spot(pattern: str, cause: str, kinds: frozenset[Kind] = SPOKEN) -> Finder:
    """A finder for what one line gives away; the pattern's named groups fill the braces of ``cause``."""

    def find(case: Case) -> Finding | None:
        sight = case.look(pattern, kinds)
        return sighted(sight, cause) if sight else None

    return find


def sighted(sight: Sight, cause: str) -> Finding:
    """A finding that rests on one line."""
    groups = {name: sight[name] for name in sight.match.groupdict()}
    return told(sight.line, " ".join(cause.format(**groups).split()).rstrip(" :"))


def told(line: Line, cause: str) -> Finding:
    """A finding whose cause was put into words already."""
    where = f" ({line.origin})" if line.origin and line.origin not in cause else ""
    return Finding(
        cause=f"{cause}{where}",
        claims=(line.claim(),),
        seen=cut(line.text, LONGEST_SEEN),
        strength=strength(line),
        over=line.over,
        level=line.level,
    )


RELEVANCE = 15


def strength(line: Line) -> int:
    """What was observed outweighs what the alert supposes; what the alert is about outweighs the rest."""
    observed = {Kind.STATUS: 5, Kind.EVENT: 5, Kind.LOG: 4}.get(line.kind, 0)
    return observed + int(line.level) + RELEVANCE * line.relevant + min(line.count.bit_length(), 4)


def look_at(step: str, command: str = "") -> Step:
    """A step that only looks."""
    return Step(step=step, command=command, risk=Risk.NONE)


def change(step: str, command: str = "", risk: Risk = Risk.LOW) -> Step:
    """A step that changes something."""
    return Step(step=step, command=command, risk=risk)
