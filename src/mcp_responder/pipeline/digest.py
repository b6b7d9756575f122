"""When too many incidents are new on a channel at once, the rest of them share one message, which is edited."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

from mcp_responder.model.alert import NEVER, Severity
from mcp_responder.model.incident import Event, Incident, IncidentSummary
from mcp_responder.model.message import Digest, Receipt, ReceiptState

WINDOW = timedelta(minutes=1)
"""Over which new incidents are counted."""
LASTS = timedelta(minutes=10)
"""How long after the last edit a digest is gone on with; after that, a new one begins."""
MOST = 250
"""Incidents of one digest, so that it can name them all; those beyond begin the next."""
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(seconds=20)
"""Between two edits; the pause doubles with each, so that a long storm isn't a storm of messages."""
LOUD = frozenset({Event.ESCALATED, Event.ACKNOWLEDGED, Event.SILENCED})
"""What gives an incident of a digest a message of its own."""


class Storm:
    """What one channel is newly told of, and the digest of what is too much. Used by several threads.

    It is kept in memory: after a restart the count begins anew, and further incidents go into a new digest.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._new: dict[str, tuple[datetime, bool, bool]] = {}
        """Incident -> when it was new here, whether it is CRITICAL, and whether it got a message of its own."""
        self._busy = False
        self._next = self._last = NEVER
        self._members: dict[str, IncidentSummary] = {}
        self._since = NEVER
        self._edits = 0
        self.name = ""
        """Of the digest that is gone on with."""
        self.receipt: Receipt | None = None
        """Of that digest."""

    def takes(self, incident: Incident, previous: Receipt | None, now: datetime) -> bool:
        """Whether the incident's news belongs into the digest. An incident that is new here is counted.

        CRITICAL ones are counted apart: however much of the rest there is, they aren't buried in it.
        """
        if not self._limit or not shared(incident, previous):
            return False
        with self._lock:
            if previous and previous.digest == self.name and now - self._last < LASTS:
                return True
            self._new = {name: seen for name, seen in self._new.items() if now - seen[0] < LASTS}
            critical = incident.severity is Severity.CRITICAL
            if incident.incident_id not in self._new:
                alike = [at for at, was_critical, _ in self._new.values() if was_critical is critical]
                alone = sum(now - at < WINDOW for at in alike) < self._limit
                self._new[incident.incident_id] = (now, critical, alone)
            return not self._new[incident.incident_id][2]

    def begin(self, now: datetime) -> datetime | None:
        """None lets the caller write the digest, until ``end``; else when to come again."""
        with self._lock:
            if self._busy or now < self._next:
                return self._next if now < self._next else now + FIRST_PAUSE
            if not self._members or now - self._last >= LASTS or len(self._members) >= MOST:
                self._members, self._since, self._edits, self.receipt = {}, now, 0, None
                self.name = f"digest_{int(now.timestamp() * 1000):x}"
            self._busy = True
            return None

    def draft(self, joining: Iterable[IncidentSummary]) -> Digest:
        """The digest with these incidents as they stand now."""
        members = {**self._members, **{incident.id: incident for incident in joining}}
        order = sorted(members.values(), key=lambda incident: (incident.severity.rank, incident.opened_at))
        return Digest(since=self._since, incidents=tuple(order))

    @property
    def edition(self) -> str:
        """The name of the next edit."""
        return f"{self.name}.{self._edits + 1}"

    def end(self, now: datetime, told: tuple[Digest, Receipt] | None) -> None:
        """What was told, and the receipt of it; None if it couldn't be."""
        with self._lock:
            self._busy = False
            self._next = now + min(FIRST_PAUSE * 2 ** min(self._edits, 10), LONGEST_PAUSE)
            self._edits += 1
            if told:
                self._members = {incident.id: incident for incident in told[0].incidents}
                self._last, self.receipt = now, told[1]


def shared(incident: Incident, previous: Receipt | None) -> bool:
    """Whether an incident may go into a digest: it has no message of its own here, and this news needs none."""
    if previous is None:
        return True
    if previous.digest:
        return incident.event not in LOUD
    told = previous.state is not ReceiptState.DEAD and previous.news > 0
    return not told and not previous.reference
