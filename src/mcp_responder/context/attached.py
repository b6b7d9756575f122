"""Files that somebody put beside the alert: logs, kubectl output, JSON, CSV, whatever an engineer's tools print."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mcp_responder.model.analysis import Evidence
from mcp_responder.ports import Subject

LONGEST = 48_000
"""Characters of one file that are kept."""
LARGEST = 16_000_000
"""Bytes of one file that are read, from its end."""
OPENING_LINES = 25
TELLING = re.compile(
    r"error|exception|fail|fatal|panic|critical|severe|warn|traceback|caused by|refused|timed? ?out|denied|forbidden"
    r"|expired|exhausted|killed|evict|unable|cannot|can't|could not|unavailable|exceed|no such|not found|missing"
    r"|deadlock|oom|crash|down\b|slow|lag\b"
)
"""Sought in lower-cased lines: six times as fast as a search in any case."""
VARYING = re.compile(r"\S*\d\S*")


class Attached:
    """Reads every file of one folder, in the order of their names."""

    name = "attached"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def gather(self, subject: Subject) -> Iterator[Evidence]:
        """A piece of evidence for each file; what isn't text is a gap."""
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield self._evidence(path)

    def _evidence(self, path: Path) -> Evidence:
        title = path.relative_to(self._folder).as_posix()
        query = f"attached file {title}"
        text = _text(path)
        if text is None:
            gap = f"{title}: not text, was not read"
            return Evidence(evidence_id="", kind=self.name, title=title, query=query, gap=gap)
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return Evidence(
            evidence_id="", kind=self.name, title=title, query=query, content=_shortened(text), until=changed
        )


def _text(path: Path) -> str | None:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LARGEST))
        raw = file.read()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    return None if b"\0" in raw[:8192] else raw.decode("utf-8-sig", "replace")


def _shortened(text: str) -> str:
    """The opening, the most telling and the newest lines, in their order, and a note of what was cut."""
    if len(text) <= LONGEST:
        return text
    lines = text.splitlines()
    kept = sorted(_chosen(lines))
    note = f"[cut: {len(kept)} of {len(lines)} lines are shown, the first, the most telling and the newest]"
    return "\n".join([*(lines[place][:LONGEST] for place in kept), note])


def _chosen(lines: Sequence[str]) -> set[int]:
    newest = range(len(lines) - 1, -1, -1)
    chosen: set[int] = set()
    _fill(chosen, lines, range(min(OPENING_LINES, len(lines))), LONGEST // 8)
    _fill(chosen, lines, _telling(lines), LONGEST // 2)
    _fill(chosen, lines, newest, LONGEST)
    return chosen


def _fill(chosen: set[int], lines: Sequence[str], places: Sequence[int], limit: int) -> None:
    size = sum(len(lines[place]) + 1 for place in chosen)
    for place in places:
        size += 0 if place in chosen else len(lines[place]) + 1
        if size > limit:
            return
        chosen.add(place)


def _telling(lines: Sequence[str]) -> list[int]:
    """The first and the last line of each telling kind, the rarest kinds first: repetition tells little."""
    kinds: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        if TELLING.search(line.lower()):
            kinds.setdefault(VARYING.sub("#", line), []).append(place)
    rarest = sorted(kinds.values(), key=len)
    return [place for places in rarest for place in dict.fromkeys((places[0], places[-1]))]
