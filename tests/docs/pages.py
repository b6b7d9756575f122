"""The pages, and what is marked in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(
    r"^(?P<indent> *)(?:<!-- (?P<mark>[^>]+?) -->\n(?P=indent))?```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


class Example(NamedTuple):
    """A fenced block. ``mark`` is the comment right above it."""

    language: str
    mark: str
    text: str


def pages() -> list[Path]:
    """Every page that people read."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def examples(page: Path) -> Iterator[Example]:
    for found in FENCED.finditer(page.read_text(encoding="utf-8")):
        lines = [line.removeprefix(found["indent"]) for line in found["text"].splitlines()]
        yield Example(found["language"], found["mark"] or "", "\n".join(lines) + "\n")


def without_code(text: str) -> str:
    """A page's prose: links in code aren't links."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL))
