"""Task: queued work. Tasks carry ids only, so a retry always acts on what is true now."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mcp_responder.model.alert import Severity


class Analyze(msgspec.Struct, frozen=True, tag="analyze"):
    """Find out why, and write it into the incident."""

    incident_id: str

    @property
    def lane(self) -> str:
        return "analysis"


class Notify(msgspec.Struct, frozen=True, tag="notify"):
    """Bring one channel up to date with one incident."""

    incident_id: str
    channel: str

    @property
    def lane(self) -> str:
        return f"channel:{self.channel}"


class Remind(msgspec.Struct, frozen=True, tag="remind"):
    """Tell again of a page that nobody has acknowledged by then."""

    incident_id: str

    @property
    def lane(self) -> str:
        return "reminder"


class Confirm(msgspec.Struct, frozen=True, tag="confirm"):
    """Tell the sender of an alert that it may go on sending, as the alert asks."""

    alert_id: str

    @property
    def lane(self) -> str:
        return "confirmation"


Work = Analyze | Notify | Remind | Confirm


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Work and when to do it.

    ``attempt`` counts planned tries from 1; crashed or lost workers don't count here, they count as receives.
    ``first_due`` is when the first attempt was due: what the retry schedule is measured from.
    """

    work: Work
    severity: Severity = Severity.MEDIUM
    attempt: int = 1
    not_before: datetime | None = None
    first_due: datetime | None = None
    doubtful: bool = False
    """An earlier try may have worked although it seemed to fail."""

    @property
    def group(self) -> str:
        """Tasks of one group are never worked on at the same time."""
        work = self.work
        return f"{work.lane}:{work.alert_id if isinstance(work, Confirm) else work.incident_id}"


class Leased(msgspec.Struct, frozen=True, kw_only=True):
    """A Task in somebody's hands: ``handle`` proves it until ``until``; ``receives`` counts this time too."""

    task: Task
    handle: str
    receives: int
    until: datetime


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A task that was given up, and why in words."""

    letter_id: str
    task: Task
    reason: str
    died_at: datetime
    receives: int
