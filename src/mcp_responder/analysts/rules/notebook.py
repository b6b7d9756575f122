"""What readers write into while they read: the facts so far, and the page at hand."""

from __future__ import annotations

import json
import re

import msgspec

from mcp_responder.analysts.rules.case import Kind, Level, Line, Monitor, Node, Pod, Rollout, Series, Span, TopQuery
from mcp_responder.model.analysis import Evidence

HEADER = re.compile(r"\A#\s*(\w+)\s+(\{.*\}|null)\s*\n?")
ERROR_LEVEL = re.compile(
    r"\b(?:ERROR|ERR|FATAL|CRITICAL|CRIT|SEVERE|PANIC|EMERG|ALERT)\b|\b(?:level|severity|status)\W{1,3}(?:error"
    r"|fatal|critical)"
    r"|\"level\":(?:50|60)|\b\w*(?:Error|Exception)\b(?::| at |$)|\[error\]|\berror=|^panic:|\bError\b"
)
WARNING_LEVEL = re.compile(r"\b(?:WARN|WARNING)\b|\blevel\W{1,3}warn|\[warn\]|\"level\":40")
QUIET_LEVEL = re.compile(
    r"\b(?:INFO|DEBUG|TRACE|NOTICE)\b|\blevel\W{1,3}(?:info|debug)|\[info\]|\"level\":(?:10|20|30)"
)
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
LEVEL_WORDS = {
    "error": Level.ERROR,
    "critical": Level.ERROR,
    "fatal": Level.ERROR,
    "emergency": Level.ERROR,
    "alert": Level.ERROR,
    "warn": Level.WARNING,
    "warning": Level.WARNING,
    "info": Level.INFO,
    "debug": Level.INFO,
    "normal": Level.INFO,
    "ok": Level.INFO,
    "10": Level.INFO,
    "20": Level.INFO,
    "30": Level.INFO,
    "40": Level.WARNING,
    "50": Level.ERROR,
    "60": Level.ERROR,
}
LONGEST_LINE = 1_000


class Notebook(msgspec.Struct):
    """Facts in the order in which they were read."""

    lines: list[Line] = []
    pods: dict[str, Pod] = {}
    nodes: dict[str, Node] = {}
    rollouts: dict[str, Rollout] = {}
    monitors: list[Monitor] = []
    series: list[Series] = []
    queries: list[TopQuery] = []
    spans: list[Span] = []
    names: dict[str, str] = {}
    titles: dict[str, str] = {}


class Page:
    """One piece of evidence: its words without the header in which a tool says what it was asked."""

    def __init__(self, evidence: Evidence) -> None:
        header = HEADER.match(evidence.content)
        self.evidence_id = evidence.evidence_id
        self.title = evidence.title
        self.content = evidence.content
        self.body = evidence.content[header.end() :] if header else evidence.content
        self.tool = header[1] if header else ""
        self.asked = _asked(header[2]) if header else {}

    @property
    def origin(self) -> str:
        """Whom the page is about."""
        return self.asked.get("pod_name") or self.asked.get("name") or ""

    @property
    def about(self) -> str:
        """The words by which it is known what the page is about."""
        return " ".join([self.title, *self.asked.values()])

    def quotable(self, text: str) -> str:
        """How ``text`` stands in the content, which may be JSON with its escapes; a part of it, or nothing."""
        forms = (text, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1])
        whole = next((form for form in forms if form and form in self.content), "")
        return whole or max((part for part in re.split(r"[\"\\\n]", text) if part in self.content), key=len, default="")

    def line(self, text: str, kind: Kind, quote: str = "", **facts: object) -> Line:
        """A line of this page, cut to a bearable length."""
        known = {"level": level_of(text), "at": time_of(text), "origin": self.origin} | facts
        line = Line(
            text=" ".join(text.split())[:LONGEST_LINE],
            quote=quote or self.quotable(text.strip()[:LONGEST_LINE]),
            evidence=self.evidence_id,
            kind=kind,
        )
        return msgspec.structs.replace(line, **known)


def _asked(query: str) -> dict[str, str]:
    try:
        told = json.loads(query) or {}
    except json.JSONDecodeError:
        return {}
    return {key: value for key, value in told.items() if isinstance(value, str)}


def level_of(text: str) -> Level:
    """An explicit level wins over what the words sound like."""
    head = text[:120]
    if QUIET_LEVEL.search(head):
        return Level.INFO
    if WARNING_LEVEL.search(head):
        return Level.WARNING
    return Level.ERROR if ERROR_LEVEL.search(text[:400]) else Level.NONE


def level_named(word: object) -> Level:
    """The level that a record gives itself."""
    return LEVEL_WORDS.get(str(word).lower(), Level.NONE)


def time_of(text: str) -> str:
    """The first time in a line, as it stands there."""
    found = TIME.search(text[:80])
    return found[0] if found else ""
