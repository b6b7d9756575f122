"""What of long texts goes into a prompt: the most telling and the newest lines, in their order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

TELLING = re.compile(
    r"error|exception|fail|fatal|panic|critical|severe|warn|traceback|caused by|refused|time[d ]|denied|forbidden"
    r"|expired|exhausted|killed|evict|unable|cannot|can't|could not|unavailable|exceed|no such|not found|missing"
    r"|deadlock|oom|crash|\bdown\b|slow|\blag\b"
)
"""Sought in lower-cased lines."""
VARYING = re.compile(r"\S*\d\S*")
LONGEST_LINE = 2000


def excerpts(texts: Sequence[str], room: int) -> list[str]:
    """Each text, or an excerpt, so that together they have at most ``room`` characters. Short texts stay whole."""
    allowed: dict[int, int] = {}
    shortest_first = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    for number, place in enumerate(shortest_first):
        share = room // (len(texts) - number)
        allowed[place] = min(len(texts[place]), share)
        room -= allowed[place]
    return [excerpt(text, allowed[place]) for place, text in enumerate(texts)]


def excerpt(text: str, limit: int) -> str:
    """At most ``limit`` characters of whole lines: half for those that tell most, the rest for the newest."""
    if len(text) <= limit:
        return text
    lines = [line[:LONGEST_LINE] for line in text.splitlines()]
    note = "[some lines are left out here]"
    kept: set[int] = set()
    left = _take(kept, lines, _telling(lines), max(0, limit - len(note) - 1) // 2)
    _take(kept, lines, range(len(lines) - 1, -1, -1), left + max(0, limit - len(note) - 1) // 2)
    chosen = [lines[place] for place in sorted(kept)]
    return "\n".join([*chosen, note])[:limit]


def _take(kept: set[int], lines: Sequence[str], places: Iterable[int], room: int) -> int:
    """Keep lines while there is room; what is left of it."""
    for place in places:
        if place in kept:
            continue
        size = len(lines[place]) + 1
        if size > room:
            break
        kept.add(place)
        room -= size
    return room


def _telling(lines: Sequence[str]) -> list[int]:
    """The last and the first line of each telling kind, the rarest kinds first: repetition tells little."""
    kinds: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        if TELLING.search(line.lower()):
            kinds.setdefault(VARYING.sub("#", line), []).append(place)
    return [place for places in sorted(kinds.values(), key=len) for place in dict.fromkeys((places[-1], places[0]))]
