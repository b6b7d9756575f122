"""Checked getters over JSON that somebody else wrote.

Every getter answers with the empty value of its type when the field is missing or odd; none of them ever raises.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""Senders write "no time" as year 1 or 1970: whatever is before counts as none."""
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

# Seconds are below the first bound, then milliseconds, microseconds; nanoseconds above.
_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))
_LARGEST_NUMBER = 1e20
_ZONE_NAME = re.compile(r"(?<=[\d ])\s*(?:UTC|GMT|Z)$", re.IGNORECASE)
_OFFSET_BEFORE_NAME = re.compile(r"([+-]\d\d:?\d\d)\s+[A-Za-z]+$")


def text(value: object) -> str:
    """A string without surrounding blanks, or a number in digits."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(value) if -_LARGEST_NUMBER < value < _LARGEST_NUMBER else ""


def mapping(value: object) -> dict[str, object]:
    """A JSON object."""
    return value if isinstance(value, dict) else {}


def array(value: object) -> list[object]:
    """A JSON array."""
    return value if isinstance(value, list) else []


def number(value: object) -> float | None:
    """A number, also when it is written as text."""
    if isinstance(value, bool):
        return None
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def dig(body: object, path: str) -> object:
    """What stands at a dotted path (``a.b.0.c``), or None. A key that itself has dots wins over the path through it."""
    if isinstance(body, dict) and path in body:
        return body[path]
    head, dot, rest = path.partition(".")
    inner = _step(body, head)
    return dig(inner, rest) if dot and inner is not None else inner


def _step(body: object, name: str) -> object:
    if isinstance(body, dict):
        return body.get(name)
    if isinstance(body, list) and name.isdecimal() and len(name) < 6 and int(name) < len(body):
        return body[int(name)]
    return None


def one_line(words: str, limit: int) -> str:
    """The words on one line, without control characters, cut to ``limit`` characters."""
    words = words[: 4 * limit]
    if not words.isprintable():
        words = "".join(letter if letter.isprintable() else " " for letter in words)
    if "  " in words:
        words = " ".join(words.split())
    words = words.strip()
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def first_line(words: str) -> str:
    """The first line that isn't blank."""
    return words.strip().partition("\n")[0].rstrip()


def instant(value: object) -> datetime | None:
    """A time in UTC: epoch seconds, ms, µs or ns, ISO 8601 with any offset (none means UTC), or RFC 2822."""
    if isinstance(value, str):
        return _written(value) if len(value) <= 64 else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _epoch(value)
    return None


def _epoch(amount: float) -> datetime | None:
    for bound, unit in _UNITS:
        if 0 < amount < bound:
            return _plausible(datetime.fromtimestamp(amount / unit, UTC))
    return None


@lru_cache(maxsize=1024)
def _written(words: str) -> datetime | None:
    try:
        return _plausible(datetime.fromisoformat(words))
    except ValueError:
        return _unusual(words.strip())


def _unusual(words: str) -> datetime | None:
    amount = number(words)
    if amount is not None:
        return _epoch(amount)
    tidy = _OFFSET_BEFORE_NAME.sub(r"\1", words).replace("/", "-")
    try:
        return _plausible(datetime.fromisoformat(_ZONE_NAME.sub("", tidy)))
    except ValueError:
        return _mail_date(words)


def _mail_date(words: str) -> datetime | None:
    from email.utils import parsedate_to_datetime

    try:
        return _plausible(parsedate_to_datetime(words))
    except (ValueError, OverflowError, IndexError):
        return None


def _plausible(moment: datetime) -> datetime | None:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    # Compared before the conversion: astimezone overflows at the ends of the calendar.
    return aware.astimezone(UTC) if EARLIEST < aware < LATEST else None
