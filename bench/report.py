"""Figures, their limits, and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.machine import REPOSITORY

PAGE = REPOSITORY / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
HEAD = ("figure", "ours", "peer", "measured", "must", "aim", "", "others")


@dataclass(frozen=True)
class Figure:
    """A line of the table. Without a ``must`` it is shown for the reader, and judged by nobody."""

    name: str
    ours: str
    measured: float
    unit: str
    peer: str = ""
    must: float | None = None
    aim: float | None = None
    less_is_better: bool = False
    others: float | None = None
    """Cores that others used in the worst of its runs."""
    broken: str = ""
    """What makes it missed whatever its value is."""

    @property
    def missed(self) -> bool:
        """Whether it isn't what it must be."""
        return bool(self.broken) or (self.must is not None and not self._reaches(self.must))

    @property
    def verdict(self) -> str:
        """For the table's last column."""
        if self.missed:
            return f"MISSED {self.broken}".strip()
        if self.must is None:
            return ""
        return "ok, aim reached" if self.aim is not None and self._reaches(self.aim) else "ok"

    def cells(self) -> tuple[str, ...]:
        """One text a column."""
        limits = (self._limit(self.must), self._limit(self.aim))
        others = "" if self.others is None else f"{self.others:.2f} cores"
        return (self.name, self.ours, self.peer, f"{short(self.measured)}{self.unit}", *limits, self.verdict, others)

    def _reaches(self, limit: float) -> bool:
        return self.measured <= limit if self.less_is_better else self.measured >= limit

    def _limit(self, limit: float | None) -> str:
        if limit is None:
            return ""
        return f"{'<=' if self.less_is_better else '>='} {limit:g}{self.unit}"


def short(value: float) -> str:
    """Three figures that tell."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(figures: Sequence[Figure]) -> str:
    """Markdown that can be read as plain text too."""
    rows = [HEAD, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
    lines.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join(lines)


def block(figures: Sequence[Figure], facts: Mapping[str, str], notes: Sequence[str], command: str) -> str:
    """What a run writes into the page."""
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    said = "".join(f"\n- {note}" for note in notes)
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC with `{command}`.\n\n{table(figures)}\n\n"
        f"{listed}\n{f'{chr(10)}Of this run:{chr(10)}{said}{chr(10)}' if said else ''}"
    )


def write(text: str) -> None:
    """Put a run's block into the page, in place of the last one."""
    page = PAGE.read_text(encoding="utf-8")
    marked = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    PAGE.write_text(marked.sub(lambda _: f"{BEGIN}\n{text}\n{END}", page), encoding="utf-8")
