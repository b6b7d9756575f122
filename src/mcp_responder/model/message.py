"""Message: what we tell about an incident. Receipt: what a channel answered."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from mcp_responder.model.alert import Link
from mcp_responder.model.analysis import Analysis
from mcp_responder.model.incident import Activity, Event, Incident, IncidentSummary, TimelineEntry


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents of a storm that share one message on a channel. More join while it lasts, and the message is edited."""

    since: datetime
    """When the first of them joined."""
    incidents: tuple[IncidentSummary, ...]
    """As they stand now: worst first, then oldest. Never empty."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a channel may say about an incident, as it stands now. A channel chooses and cuts.

    ``delivery_id`` is the same for every try of the same news on the same channel, so that the other side can tell a
    repeat. ``doubtful`` is set when an earlier try was cut off (a crash, a request without an answer) and may have
    arrived.

    With ``digest`` it is about all the incidents in that, and ``incident`` is the worst of them: say
    ``channels._digest.title`` and ``lines`` instead of what you say of one incident. The receipt that comes with it is
    the digest's own: edit the message that it refers to, as with an incident's.
    """

    delivery_id: str
    incident: Incident
    news: int
    event: Event
    activity: Activity
    analysis: Analysis | None
    timeline: tuple[TimelineEntry, ...] = ()
    links: tuple[Link, ...] = ()
    url: str = ""
    """The incident's own page."""
    doubtful: bool = False
    late_seconds: int = 0
    """How much later than planned it goes out; 0 when on time."""
    instead: str = ""
    """Why it is told here and not where it should be, as a sentence to show ("slack couldn't be reached since 10:02
    UTC; told here instead."); empty when this is its place."""
    digest: Digest | None = None


class ReceiptState(enum.StrEnum):
    DELIVERED = "delivered"
    RETRYING = "retrying"
    DEAD = "dead"


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """How far a channel is with an incident: there is one per incident and channel.

    ``reference`` is the other side's own key (thread, ticket, message id), for the update that follows. While it is
    retrying, ``news`` is the last that was delivered (0 for none), and ``retry_at`` when the next try is planned: news
    that comes meanwhile waits for that. With ``digest`` it was told in the digest of that name, and has no message of
    its own.
    """

    channel: str
    state: ReceiptState
    news: int
    event: Event
    at: datetime
    reference: str = ""
    url: str = ""
    attempts: int = 1
    doubtful: bool = False
    detail: str = ""
    retry_at: datetime | None = None
    digest: str = ""
