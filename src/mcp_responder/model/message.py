"""Message: what we tell about an incident. Receipt: what a channel answered."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from mcp_responder.model.alert import Link
from mcp_responder.model.analysis import Analysis
from mcp_responder.model.incident import Activity, Event, Incident, TimelineEntry


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a channel may say about an incident, as it stands now. A channel chooses and cuts.

    ``delivery_id`` is the same for every try of the same news on the same channel, so that the other side can tell a
    repeat. ``doubtful`` is set when an earlier try was cut off (a crash, a request without an answer) and may have
    arrived.
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


class ReceiptState(enum.StrEnum):
    DELIVERED = "delivered"
    RETRYING = "retrying"
    DEAD = "dead"


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """How far a channel is with an incident: there is one per incident and channel.

    ``reference`` is the other side's own key (thread, ticket, message id), for the update that follows. While it is
    retrying, ``news`` is the last that was delivered (0 for none), and ``retry_at`` when the next try is planned: news
    that comes meanwhile waits for that.
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
