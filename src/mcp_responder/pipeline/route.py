"""Who should hear of an incident, and where. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

import msgspec

from mcp_responder.model.alert import Severity
from mcp_responder.model.incident import Incident
from mcp_responder.pipeline.correlate import Route

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MATCHED = ("source", "service", "environment")
"""Fields of an incident that are compared with patterns."""


_HOURS = re.compile(
    r"(?:(?P<days>[A-Za-z]{3}(?:[-,][A-Za-z]{3})*) +)?"
    r"(?P<start>[0-9]{1,2}:[0-9]{2}) ?- ?(?P<end>[0-9]{1,2}:[0-9]{2})"
    r"(?: +(?P<zone>\S+))?"
)


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """A time of the week, in minutes of the local day. One that ends before it starts ends on the next day."""

    days: frozenset[int]
    """0 is Monday."""
    start: int
    end: int
    zone: str

    def covers(self, at: datetime) -> bool:
        """Whether a moment is in it; the end is not."""
        local = at.astimezone(ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        if self.start < self.end:
            return local.weekday() in self.days and self.start <= minute < self.end
        yesterday = (local - timedelta(days=1)).weekday()
        return (local.weekday() in self.days and minute >= self.start) or (yesterday in self.days and minute < self.end)


def read_hours(text: str) -> Hours:
    """``Mon-Fri 09:00-18:00 Europe/Berlin``: days, times and zone, of which days (all) and zone (UTC) may be left out.

    Raises ValueError with what is wrong, in words.
    """
    found = _HOURS.fullmatch(text.strip())
    if not found:
        raise ValueError(f"'{text}' can't be read; write it as 'Mon-Fri 09:00-18:00 Europe/Berlin'")
    zone = found["zone"] or "UTC"
    try:
        ZoneInfo(zone)
    except (LookupError, ValueError, OSError):
        raise ValueError(f"there is no time zone '{zone}'; write one as Europe/Berlin or UTC") from None
    start, end = _minute(found["start"]), _minute(found["end"])
    if start == end:
        raise ValueError(f"'{text}' begins when it ends; for the whole day write 00:00-24:00")
    return Hours(days=frozenset(_days(found["days"] or "mon-sun")), start=start, end=end, zone=zone)


def _minute(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or hours * 60 + minutes > 24 * 60:
        raise ValueError(f"'{text}' is no time of a day")
    return hours * 60 + minutes


def _days(text: str) -> Iterator[int]:
    for part in text.lower().split(","):
        first, last = part.split("-")[0], part.split("-")[-1]
        for name in (first, last):
            if name not in DAYS or part.count("-") > 1:
                raise ValueError(f"'{part}' is no day of the week; write Mon, Tue, ... or Mon-Fri")
        length = (DAYS.index(last) - DAYS.index(first)) % 7
        yield from ((DAYS.index(first) + day) % 7 for day in range(length + 1))


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One route: what it fits, and who is told. What is empty fits everything; patterns may hold ``*`` and ``?``."""

    severities: frozenset[Severity] = frozenset(Severity)
    patterns: Mapping[str, tuple[str, ...]] = {}
    """Field of an incident (see ``MATCHED``) -> patterns, of which one must fit."""
    labels: Mapping[str, tuple[str, ...]] = {}
    """Name of a label -> patterns, of which one must fit."""
    hours: tuple[Hours, ...] = ()
    channels: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    """Who is told when one of the channels can't be."""
    goes_on: bool = False
    """Whether the routes below it are looked at, too."""

    def fits(self, incident: Incident) -> bool:
        """Whether it is for the incident's latest news."""
        return (
            incident.severity in self.severities
            and all(_fits(getattr(incident, field), wanted) for field, wanted in self.patterns.items())
            and all(_fits(incident.labels.get(name, ""), wanted) for name, wanted in self.labels.items())
            and (not self.hours or any(span.covers(incident.news_at) for span in self.hours))
        )

    def holds(self, other: Rule) -> bool:
        """Whether it surely fits whatever the other one fits."""
        return (
            self.severities >= other.severities
            and all(other.patterns.get(field) == wanted for field, wanted in self.patterns.items())
            and all(other.labels.get(name) == wanted for name, wanted in self.labels.items())
            and (not self.hours or self.hours == other.hours)
        )

    @property
    def of_severity_only(self) -> bool:
        return not (self.patterns or self.labels or self.hours)


def _fits(value: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(value.casefold(), pattern.casefold()) for pattern in patterns)


class Routes:
    """The routes in their order: the first that fits decides, and those after it as long as they go on.

    Who was told of an incident hears how it goes on, whatever fits by then.
    """

    def __init__(self, rules: Iterable[Rule], channels: Iterable[str]) -> None:
        self.rules = tuple(rules)
        self._channels = tuple(channels)

    def __call__(self, incident: Incident) -> tuple[str, ...]:
        """The channels that hear of an incident's latest news."""
        if not self.rules:
            return self._channels
        known = (channel for channel in incident.channels if channel in self._channels)
        wanted = (channel for rule in self.deciding(incident) for channel in rule.channels)
        return tuple(dict.fromkeys((*wanted, *known)))

    def fallback(self, incident: Incident) -> tuple[str, ...]:
        """Who is told in place of a channel that can't be."""
        return tuple(dict.fromkeys(channel for rule in self.deciding(incident) for channel in rule.fallback))

    def deciding(self, incident: Incident) -> Iterator[Rule]:
        """The routes that an incident takes."""
        for rule in self.rules:
            if rule.fits(incident):
                yield rule
                if not rule.goes_on:
                    return

    def doubts(self) -> Iterator[str]:
        """What is legal and hardly meant, in sentences."""
        if not self.rules:
            return
        for number, rule in enumerate(self.rules):
            before = next((n for n, r in enumerate(self.rules[:number]) if not r.goes_on and r.holds(rule)), None)
            if before is not None:
                yield f"routes[{number}] is never reached: routes[{before}] takes all that it fits."
        for severity in Severity:
            if not any(rule.of_severity_only and severity in rule.severities for rule in self.rules):
                yield f"{severity}: what fits no route is told to nobody; end with a route that fits everything."
        reached = {channel for rule in self.rules for channel in (*rule.channels, *rule.fallback)}
        for channel in self._channels:
            if channel not in reached:
                yield f"channels.{channel}: no route leads to it, so it is never told."


def everyone(channels: tuple[str, ...]) -> Route:
    """Every configured channel hears of every incident."""
    return Routes((), channels)
