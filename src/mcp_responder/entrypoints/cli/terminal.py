"""How a command writes: JSON as one document, or lines for people, safe on their terminal.

Whatever goes through ``table``, ``field`` or ``items`` is made harmless here, so that no command can forget it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import NamedTuple, TextIO

from mcp_responder.plumbing.text import cut, one_line, printable, width, wrap

PIPE_COLUMNS = 100
NARROWEST, WIDEST = 60, 140
MARGIN = 11
"""Columns of a label."""
NARROWEST_CELL = 12
GAP = "  "

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"
STYLES = {
    "CRITICAL": "1;97;41",
    "HIGH": "1;31",
    "MEDIUM": "1;33",
    "LOW": CYAN,
    "open": BOLD,
    "firing": BOLD,
    "acknowledged": CYAN,
    "resolved": GREEN,
    "delivered": GREEN,
    "verified": GREEN,
    "active": "",
    "unproven": YELLOW,
    "in_flight": YELLOW,
    "expired": YELLOW,
    "dead": RED,
}
"""Words that have a colour wherever they are a cell of a table."""

# Legal in JSON as they are, but obeyed by terminals.
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Terminal:
    """Where a command writes, how wide, and whether in colour; and the time it is."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str], now: datetime | None = None) -> None:
        self._stream = stream
        self.is_tty = stream.isatty()
        self._colour = self.is_tty and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        columns = get_terminal_size((PIPE_COLUMNS, 24)).columns if self.is_tty else PIPE_COLUMNS
        self.columns = min(max(columns, NARROWEST), WIDEST)
        self.now = now or datetime.now(UTC)

    # ------------------------------------------------------------------------------------------------------ writing

    def show(self, lines: Iterable[str]) -> None:
        """Write lines that are fit to be seen."""
        text = "".join(f"{line.rstrip()}\n" for line in lines)
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def say(self, sentence: str) -> None:
        """Write one line, made harmless."""
        self.show((one_line(sentence),))

    def json(self, document: bytes) -> None:
        """Write one JSON document, as UTF-8 whatever the locale."""
        text = document.decode("utf-8", "replace").strip()
        self._stream.flush()
        self._stream.buffer.write(_OBEYED.sub(_escaped, text).encode() + b"\n")

    # ------------------------------------------------------------------------------------------------------- layout

    def paint(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour and style and text else text

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]], flexible: int = -1) -> Iterator[str]:
        """Aligned columns. On a terminal the ``flexible`` one is cut, so that a row stays a line."""
        cells = [[one_line(cell) for cell in row] for row in rows]
        widths = [max(map(width, column)) for column in zip(headings, *cells, strict=True)]
        if self.is_tty:
            others = sum(widths) - widths[flexible] + len(GAP) * (len(widths) - 1)
            widths[flexible] = max(min(widths[flexible], self.columns - others), NARROWEST_CELL)
        yield self.paint(GAP.join(map(_padded, headings, widths)).rstrip(), DIM)
        for row in cells:
            yield GAP.join(self._cell(text, size) for text, size in zip(row, widths, strict=True))

    def _cell(self, text: str, columns: int) -> str:
        padded = _padded(text, columns)
        return self.paint(text, STYLES[text]) + padded[len(text) :] if text in STYLES else padded

    def title(self, severity: str, status: str, *rest: str) -> Iterator[str]:
        """The line that says what this is about."""
        head = f"{self.paint(severity, STYLES.get(severity, ''))} | {self.paint(status, STYLES.get(status, ''))}"
        known = " | ".join(one_line(part) for part in rest if part)
        yield f"{head} | {self.paint(known, BOLD)}"

    def field(self, label: str, text: str) -> Iterator[str]:
        """A labelled paragraph; nothing if there is no text."""
        return self._labelled(label, wrap(printable(text), self.columns - MARGIN))

    def items(self, label: str, items: Sequence[Iterable[str]], most: int, *, newest: bool = False) -> Iterator[str]:
        """A labelled list of ready items; of too many the first are shown, or the last if those are the newest."""
        shown = items[-most:] if newest else items[:most]
        lines = [line for item in shown for line in item]
        if len(items) > most:
            words = f"... and {len(items) - most} {'earlier' if newest else 'more'}; see --json"
            lines.insert(0 if newest else len(lines), self.paint(words, DIM))
        return self._labelled(label, lines)

    def item(self, mark: str, text: str, style: str = "") -> Iterator[str]:
        """One entry of a list, with its mark hanging."""
        room = self.columns - MARGIN - len(mark) - 1
        for number, line in enumerate(wrap(printable(text), room)):
            yield f"{' ' * len(mark) if number else self.paint(mark, style)} {line}"

    def _labelled(self, label: str, lines: Iterable[str]) -> Iterator[str]:
        for number, line in enumerate(lines):
            yield (" " * MARGIN if number else self.paint(label.ljust(MARGIN), DIM)) + line

    # -------------------------------------------------------------------------------------------------------- times

    def ago(self, at: datetime | None) -> str:
        """How long ago, in words; nothing for no time."""
        return relative(at, self.now) if at else ""


def complain(sentence: str) -> None:
    """Say on standard error what happened, why, and what to do."""
    note(f"mcp-responder: {sentence}")


def note(sentence: str) -> None:
    """Say on standard error what isn't part of the output."""
    if sys.stderr is not None:
        encoding = sys.stderr.encoding or "utf-8"
        sys.stderr.write(one_line(sentence).encode(encoding, "backslashreplace").decode(encoding) + "\n")


class _Unit(NamedTuple):
    seconds: int
    name: str


_UNITS = (_Unit(86_400, "d"), _Unit(3600, "h"), _Unit(60, "min"), _Unit(1, "s"))


def relative(at: datetime, now: datetime) -> str:
    """``12 s ago``, ``3 min ago``, ``in 2 d``: whole units, rounded down."""
    seconds = int((now - at).total_seconds())
    unit = next((unit for unit in _UNITS if abs(seconds) >= unit.seconds), None)
    if unit is None:
        return "now"
    words = f"{abs(seconds) // unit.seconds} {unit.name}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def utc(at: datetime | None, precision: str = "seconds") -> str:
    """A time to the second, or as precise as asked; nothing for no time."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(' ', precision)}Z" if at else ""


def _padded(text: str, columns: int) -> str:
    room = columns
    while width(text) > columns:
        text, room = cut(text, room), room - 1
    return text + " " * (columns - width(text))


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"
