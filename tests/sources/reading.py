"""Reads fixtures through the sources, as the pipeline does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mcp_responder.model.alert import Alert
from mcp_responder.ports import Inner, Reading, Request, Signed, Source
from mcp_responder.sources import load_sources

FIXTURES = Path(__file__).parent / "fixtures"
SHARED = Path(__file__).parents[3] / "shared"
EXPECTED = ".expected.json"
RECEIVED = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bodies(source: str) -> list[Path]:
    """The fixtures of a source, without what is expected of them."""
    return sorted(path for path in (FIXTURES / source).glob("*.json") if not path.name.endswith(EXPECTED))


def detected(body: object) -> str:
    """The name of the first source that says that the body is its own."""
    return next(name for name, source in load_sources().items() if source.detects(body) and _marked(source, body))


def _marked(source: Source, body: object) -> bool:
    marks = source.INFO.marks
    return not marks or (isinstance(body, dict) and not marks.isdisjoint(body))


def request(raw: bytes, reading: Reading | None = None) -> Request:
    """A delivery of these bytes."""
    return Request(body=raw, headers={}, received_at=RECEIVED, reading=reading or Reading())


def read(source: str, body: object, reading: Reading | None = None) -> Alert:
    """The one alert that a body is."""
    raw = msgspec.json.encode(body)
    (alert,) = alerts_of(load_sources()[source].parse(body, raw, request(raw, reading)))
    return alert


def alerts_of(items: Sequence[Alert | Inner | Signed]) -> list[Alert]:
    """The alerts among what a source found, signed or not; what is to be detected again is left out."""
    opened = [item.inside() if isinstance(item, Signed) else item for item in items]
    return [item for item in opened if isinstance(item, Alert)]


def generic(**body: object) -> Alert:
    """A body read by the generic source."""
    return read("generic", body)


def shown(alert: Alert) -> dict[str, object]:
    """The fields that a source fills and that say something."""
    fields = msgspec.json.decode(msgspec.json.encode(alert))
    mine = ("source", "source_id", "event_id", "title", "message", "severity", "timestamp", "status", "service")
    more = ("resource", "environment", "account", "region", "owner", "labels", "links")
    return {name: fields[name] for name in (*mine, *more) if fields[name]}
