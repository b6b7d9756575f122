"""How often this signature came in the last seven days, and whether this hour is unusual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from mcp_responder.model.analysis import Evidence
from mcp_responder.ports import HourCount, IncidentStore, Subject

WINDOW = timedelta(days=7)


class History:
    """Counts the alert's signature hour by hour."""

    name = "history"

    def __init__(self, store: IncidentStore) -> None:
        self._store = store

    def gather(self, subject: Subject) -> Iterator[Evidence]:
        """One piece of evidence; without content when the signature is new."""
        since = subject.now - WINDOW
        counts = self._store.history(subject.alert.signature, since)
        yield Evidence(
            evidence_id="",
            kind=self.name,
            title="This signature in the last 7 days",
            query=f"history of signature {subject.alert.signature} since {_hour(since)}",
            content="\n".join(_told(counts, subject.now)) if counts else "",
            since=since,
            until=subject.now,
        )


def _told(counts: Sequence[HourCount], now: datetime) -> Iterator[str]:
    total = sum(item.count for item in counts)
    busiest = max(counts, key=lambda item: item.count)
    yield f"count: {total}"
    yield f"first hour: {_hour(counts[0].hour)}"
    yield f"last hour: {_hour(counts[-1].hour)}"
    yield f"frequency: {total / WINDOW.days:.1f} a day, in {len(counts)} different hours"
    yield f"busiest hour: {_hour(busiest.hour)} with {busiest.count}"
    yield f"this hour: {_this_hour(counts, now)} (average hour: {total / (WINDOW / timedelta(hours=1)):.2f})"


def _this_hour(counts: Sequence[HourCount], now: datetime) -> int:
    hour = now.replace(minute=0, second=0, microsecond=0)
    return sum(item.count for item in counts if item.hour == hour)


def _hour(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:00 UTC")
