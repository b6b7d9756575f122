"""A Letter as plain text: for people who read mail so, for watches, and for screen readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mcp_responder.channels._mail_letter import Block, Letter, Section
from mcp_responder.plumbing.text import wrap

COLUMNS = 72
LONGEST = 24_000
"""Characters."""
CUT_HERE = "[Cut here: too long for a mail. The rest is on the incident's page.]"
_RULE = "-" * COLUMNS


def write(letter: Letter) -> str:
    """At most LONGEST characters; what was cut is said."""
    return "\n".join(_within(LONGEST, _lines(letter))) + "\n"


def _within(room: int, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        room -= len(line) + 1
        if room < len(CUT_HERE) + 1:
            yield CUT_HERE
            return
        yield line


def _lines(letter: Letter) -> Iterator[str]:
    yield from wrap(f"{letter.severity} ({letter.status}): {letter.title}", COLUMNS)
    yield from wrap(letter.place, COLUMNS)
    yield ""
    yield from wrap(f"{letter.news}.", COLUMNS)
    for fact in letter.facts:
        yield from wrap(f"{fact}.", COLUMNS)
    for warning in letter.warnings:
        yield from ("", *wrap(f"NOTE: {warning}", COLUMNS))
    if letter.url:
        yield from ("", letter.url)
    for section in letter.sections:
        yield from ("", section.title.upper(), *_entries(section))
    # Two hyphens and a blank: mail programs know by it that what follows is a signature.
    yield from ("", "-- ", *wrap(letter.signature, COLUMNS))


def _entries(section: Section) -> Iterator[str]:
    margin = max(len(block.mark) + 1 if block.mark else 0 for block in section.blocks)
    for block in section.blocks:
        yield from _hanging(block, margin)


def _hanging(block: Block, margin: int) -> Iterator[str]:
    note = f" ({block.note})" if block.note else ""
    mark = block.mark
    room = COLUMNS - 2 - margin
    quote = (f'"{block.quote}"',) if block.quote else ()
    for line in (line for text in (block.text + note, *quote) for line in wrap(text, room)):
        yield f"  {mark.ljust(margin)}{line}"
        mark = ""
    for line in block.code.split("\n") if block.code else ():
        yield f"{' ' * (margin + 6)}{line}"
    if block.url:
        yield f"  {' ' * margin}{block.url}"
