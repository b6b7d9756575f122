"""Alert: one event that somebody sent us, in one shape whatever the sender."""

from __future__ import annotations

import enum
from datetime import UTC, datetime

import msgspec

NEVER = datetime.fromtimestamp(0, UTC)
EMPTY_JSON = msgspec.Raw(b"null")


class Severity(enum.StrEnum):
    """How bad it is; the names are the API's."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"

    @property
    def rank(self) -> int:
        """0 for CRITICAL up to 3 for LOW: what is served first."""
        return SEVERITY_RANK[self]

    @property
    def pages(self) -> bool:
        """Whether people are told at once, before any analysis."""
        return self is Severity.CRITICAL or self is Severity.HIGH


SEVERITIES: tuple[Severity, ...] = tuple(Severity)
SEVERITY_RANK: dict[Severity, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}


class Status(enum.StrEnum):
    """What the event says about its alarm. ``info`` is kept and opens nothing."""

    FIRING = "firing"
    RESOLVED = "resolved"
    INFO = "info"


class Link(msgspec.Struct, frozen=True):
    """Somewhere to look: a console page, a runbook, a dashboard."""

    name: str
    url: str


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One received event.

    A source fills what it can read; ``pipeline.receive`` adds the identity (``alert_id``, ``signature``) and the
    circumstances (``received_at``, ``key``). ``source_id`` is the sender's own stable identity of the *alarm* (ARN,
    fingerprint, dedup key), ``event_id`` that of this one *event* (message id); either may be empty.
    """

    alert_id: str = ""
    source: str
    source_id: str = ""
    event_id: str = ""
    title: str
    message: str = ""
    severity: Severity = Severity.MEDIUM
    timestamp: datetime | None = None
    """The sender's time; None if it gave none (the API then shows ``received_at``)."""
    approximate: bool = False
    """``timestamp`` isn't this event's own: it is when its alarm began (which a later firing may say again), or when it
    was received."""
    raw_data: msgspec.Raw = EMPTY_JSON
    """The sender's own JSON, byte for byte."""
    signature: str = ""
    status: Status = Status.FIRING
    service: str = ""
    resource: str = ""
    environment: str = ""
    account: str = ""
    region: str = ""
    owner: str = ""
    labels: dict[str, str] = {}
    links: tuple[Link, ...] = ()
    received_at: datetime = NEVER
    key: str = ""
    """Name of the API key that brought it."""

    @property
    def own_time(self) -> datetime | None:
        """When this very event happened, by which events of one alarm can be ordered."""
        return None if self.approximate else self.timestamp
