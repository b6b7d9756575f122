"""All that a person or an agent may do. Dashboard, API, MCP server and CLI call this, so they can't disagree."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Protocol

import msgspec

from mcp_responder.model import incident as changes
from mcp_responder.model.alert import Link, Severity, Status
from mcp_responder.model.analysis import Analysis, Cost
from mcp_responder.model.errors import Conflict, InvalidRequest, NotFound
from mcp_responder.model.incident import (
    Change,
    Event,
    Incident,
    IncidentStatus,
    IncidentSummary,
    TimelineEntry,
    summary,
)
from mcp_responder.model.message import Receipt
from mcp_responder.model.task import Confirm
from mcp_responder.pipeline.correlate import Route, notify, tell
from mcp_responder.ports import (
    AlertRecord,
    ApiKey,
    Clock,
    Commit,
    CostBook,
    IncidentStore,
    KeyStore,
    LaneDepth,
    LedgerHour,
    Page,
    Query,
    TaskQueue,
)

SCOPES = ("ingest", "read", "respond", "admin")
MASTER = "master"
"""What the key of the configuration (RESPONDER_API_KEY) is called."""
LOCAL = "local"
"""What the command line on this machine is called."""
SIGNATURE = "signature"
"""What is written for the key of requests that need none, because they are signed."""
LEDGER_SPAN = timedelta(days=2)
"""How far back the ledger's law is watched while the service runs."""
LETTERS_LOOKED_AT = 200
ALERTS_SHOWN = 50
"""Alerts that come with an incident; the rest are a query away."""


class IncidentRef(msgspec.Struct, frozen=True, kw_only=True):
    """The incident that an alert belongs to."""

    id: str
    status: IncidentStatus


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as everybody sees it. ``outcome`` is in_flight, delivered, merged, suppressed:<rule> or dead."""

    alert_id: str
    source: str
    source_id: str
    title: str
    message: str
    severity: Severity
    timestamp: datetime
    raw_data: msgspec.Raw
    signature: str
    status: Status
    service: str
    resource: str
    environment: str
    account: str
    region: str
    owner: str
    labels: dict[str, str]
    links: tuple[Link, ...]
    received_at: datetime
    key: str
    outcome: str
    incident: IncidentRef | None


class IncidentView(IncidentSummary, frozen=True, kw_only=True):
    """An incident with everything around it. ``alerts`` are the newest 50; ``analysis`` is null until it is made."""

    alerts: tuple[AlertView, ...]
    analysis: Analysis | None
    timeline: tuple[TimelineEntry, ...]
    deliveries: tuple[Receipt, ...]


class PathStep(msgspec.Struct, frozen=True, kw_only=True):
    """One stop on an event's way."""

    at: datetime
    what: str
    detail: str = ""


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The whole path of one event, and how it ended."""

    alert_id: str
    outcome: str
    explanation: str
    incident: IncidentRef | None
    path: tuple[PathStep, ...]


class LedgerView(msgspec.Struct, frozen=True, kw_only=True):
    """received = delivered + merged + suppressed + dead + in_flight; ``balanced`` says whether it holds."""

    balanced: bool
    received: int
    delivered: int
    merged: int
    suppressed: dict[str, int]
    dead: int
    in_flight: int
    hours: tuple[LedgerHour, ...]


class CostsView(msgspec.Struct, frozen=True, kw_only=True):
    """What models did and cost, in US dollars: the sums, and each day (UTC) and model.

    ``hit_rate`` is the share of the model's analyses that came from the cache; null without any.
    """

    calls: int
    answers: int
    hits: int
    failures: int
    throttled: int
    hit_rate: float | None
    usd: float
    saved_usd: float
    days: tuple[Cost, ...]


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """An API key without its secret. ``state`` is active, replaced or expired; ``token`` is set only when just made."""

    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    per_minute: int
    state: str
    token: str | None = None


class Store(IncidentStore, TaskQueue, KeyStore, CostBook, Protocol):
    """What the operations need of a home."""


class Operations:
    """The verbs. ``who`` is the name of the person or key that asks, and is kept."""

    def __init__(self, store: Store, clock: Clock, route: Route) -> None:
        self._store = store
        self._clock = clock
        self._route = route
        self._rotating = threading.Lock()

    # ------------------------------------------------------------------------------------------------------- alerts

    def alert(self, alert_id: str) -> AlertView:
        """Raises NotFound."""
        return alert_view(self._store.alert(alert_id))

    def alerts(self, query: Query) -> Page[AlertView]:
        page = self._store.alerts(query)
        return Page(items=tuple(alert_view(record) for record in page.items), next=page.next)

    def why(self, alert_id: str) -> Why:
        """The path of one event. Raises NotFound."""
        record = self._store.alert(alert_id)
        timeline = self._store.timeline(record.incident_id) if record.incident_id else ()
        return Why(
            alert_id=alert_id,
            outcome=record.outcome,
            explanation=explain(record),
            incident=_ref(record),
            path=(*_arrival(record), *_told(record, timeline), *self._unconfirmed(record), *_end(record)),
        )

    def _unconfirmed(self, record: AlertRecord) -> tuple[PathStep, ...]:
        """Why the confirmation that its sender asks for couldn't be given."""
        if record.outcome != "dead" or record.incident_id:
            return ()
        letters = self._store.dead_letters(LETTERS_LOOKED_AT)
        task = Confirm(record.alert.alert_id)
        return tuple(
            PathStep(at=letter.died_at, what="not_confirmed", detail=letter.reason)
            for letter in letters
            if letter.task.work == task
        )

    # ---------------------------------------------------------------------------------------------------- incidents

    def incident(self, incident_id: str) -> IncidentView:
        """Raises NotFound."""
        record = self._store.incident(incident_id)
        alerts = self._store.alerts(Query(limit=ALERTS_SHOWN, incident_id=incident_id))
        return IncidentView(
            **msgspec.structs.asdict(summary(record.incident, record.activity)),
            alerts=tuple(alert_view(alert) for alert in alerts.items),
            analysis=self._store.analysis(incident_id),
            timeline=self._store.timeline(incident_id),
            deliveries=self._store.receipts(incident_id),
        )

    def incidents(self, query: Query) -> Page[IncidentSummary]:
        page = self._store.incidents(query)
        return Page(items=tuple(summary(record.incident, record.activity) for record in page.items), next=page.next)

    def acknowledge(self, incident_id: str, who: str) -> IncidentView:
        """Raises Refused unless it is open."""
        return self._change(incident_id, lambda incident: changes.acknowledge(incident, who, self._clock()))

    def resolve(self, incident_id: str, who: str) -> IncidentView:
        """Raises Refused if it is resolved."""
        return self._change(incident_id, lambda incident: changes.resolve(incident, who, self._clock()))

    def reopen(self, incident_id: str, who: str) -> IncidentView:
        """Raises Refused unless it is resolved."""
        return self._change(incident_id, lambda incident: changes.reopen(incident, who, self._clock()))

    def silence(self, incident_id: str, who: str, minutes: int) -> IncidentView:
        """Keep its news in the timeline for a while; then channels are brought up to date. Raises Refused if it is
        resolved."""
        until = self._clock() + timedelta(minutes=minutes)
        return self._change(
            incident_id, lambda incident: changes.silence(incident, who, self._clock(), until), again_at=until
        )

    def comment(self, incident_id: str, who: str, text: str) -> IncidentView:
        return self._change(incident_id, lambda incident: changes.comment(incident, who, self._clock(), text))

    def incident_of(self, channel: str, reference: str) -> str:
        """The id of the incident that a channel's other side knows by that reference. Raises NotFound."""
        return self._store.incident_of(channel, reference)

    def _change(
        self, incident_id: str, change: Callable[[Incident], Change], again_at: datetime | None = None
    ) -> IncidentView:
        while True:
            done = change(self._store.incident(incident_id).incident)
            incident, tasks = tell(done.incident, self._route) if done.news else (done.incident, ())
            if again_at:
                tasks += notify(incident, incident.channels, again_at)
            try:
                self._store.commit(Commit(incident=incident, entries=(done.entry,), tasks=tasks))
            except Conflict:
                continue
            return self.incident(incident_id)

    # ------------------------------------------------------------------------------------------------------ service

    def ledger(self, since: datetime) -> LedgerView:
        return ledger_view(self._store.ledger(since))

    def costs(self, since: datetime) -> CostsView:
        """From the day (UTC) that holds this moment."""
        return costs_view(self._store.costs(f"{since.astimezone(UTC):%Y-%m-%d}"))

    def depth(self) -> dict[str, LaneDepth]:
        return dict(self._store.depth())

    def keys(self) -> tuple[KeyView, ...]:
        now = self._clock()
        return tuple(_key_view(key, now) for key in self._store.keys())

    def create_key(
        self, name: str, scopes: Sequence[str], expires_in: timedelta | None = None, per_minute: int = 0
    ) -> KeyView:
        """A new key, with its token, which is never shown again. Raises InvalidRequest if the name is taken."""
        if name.lower() in (MASTER, LOCAL, SIGNATURE):
            detail = f"The name '{name}' is the service's own: in timelines it stands for a built-in key. Use another."
            raise InvalidRequest("reserved_name", detail, status=422)
        if any(key.name == name and not key.replaced for key in self._store.keys()):
            raise InvalidRequest("key_exists", f"There is already a key '{name}'; rotate it instead.", status=409)
        if not scopes or not set(scopes) <= set(SCOPES):
            raise InvalidRequest("bad_scope", f"Scopes are some of: {', '.join(SCOPES)}.", status=422)
        now = self._clock()
        return self._put_new_key(
            ApiKey(
                name=name,
                hash="",
                scopes=tuple(scopes),
                created_at=now,
                expires_at=now + expires_in if expires_in else None,
                per_minute=per_minute,
            )
        )

    def rotate_key(self, name: str, overlap: timedelta) -> KeyView:
        """A second key of this name; the old one works on for ``overlap``, older ones end now. Raises NotFound.

        Each step leaves a key that works and can be rotated, should the process die right after it.
        """
        with self._rotating:
            now = self._clock()
            old, *older = self._keys_of(name)
            self._end_keys(older, now)
            self._store.put_key(msgspec.structs.replace(old, replaced=True))
            # A new key lives as long as the old one was meant to: one that has expired is mended by this.
            expires_at = now + (old.expires_at - old.created_at) if old.expires_at else None
            made = self._put_new_key(
                msgspec.structs.replace(old, replaced=False, created_at=now, expires_at=expires_at)
            )
            self._end_keys([msgspec.structs.replace(old, replaced=True)], now + overlap)
            return made

    def _keys_of(self, name: str) -> list[ApiKey]:
        """The keys of a name, the one in use first, then the newest. Raises NotFound."""
        keys = [key for key in self._store.keys() if key.name == name]
        if not keys:
            raise NotFound("API key", name)
        return sorted(keys, key=lambda key: (not key.replaced, key.created_at), reverse=True)

    def _end_keys(self, keys: Sequence[ApiKey], end: datetime) -> None:
        for key in keys:
            if key.expires_at is None or key.expires_at > end:
                self._store.put_key(msgspec.structs.replace(key, expires_at=end))

    def revoke_key(self, name: str) -> None:
        """No key of that name works from now on. Raises NotFound."""
        if not self._store.delete_keys(name):
            raise NotFound("API key", name)

    def _put_new_key(self, key: ApiKey) -> KeyView:
        token = f"rsp_{secrets.token_urlsafe(32)}"
        named = msgspec.structs.replace(key, hash=hash_token(token))
        self._store.put_key(named)
        return msgspec.structs.replace(_key_view(named, self._clock()), token=token)


def hash_token(token: str) -> str:
    """How a token is stored. It is 256 random bits, so a plain hash can't be searched backwards."""
    return sha256(token.encode(errors="surrogatepass")).hexdigest()


def alert_view(record: AlertRecord) -> AlertView:
    fields = {name: getattr(record.alert, name) for name in AlertView.__struct_fields__ if name not in NOT_IN_ALERT}
    return AlertView(**fields, outcome=record.outcome, incident=_ref(record))


NOT_IN_ALERT = ("outcome", "incident")


def _ref(record: AlertRecord) -> IncidentRef | None:
    return IncidentRef(id=record.incident_id, status=record.incident_status) if record.incident_status else None


def explain(record: AlertRecord) -> str:
    """An outcome in words."""
    if record.outcome.startswith("suppressed:"):
        rule = record.outcome.removeprefix("suppressed:")
        return SUPPRESSED.get(rule, f"Nobody was told, by the rule '{rule}'.")
    return OUTCOMES[record.outcome]


OUTCOMES = {
    "in_flight": "What it causes is still to be done, such as telling people; see the path for what it waits for.",
    "delivered": "A channel took the news that this event caused.",
    "merged": "It belongs to an incident that people know of already.",
    "dead": "What it causes couldn't be done, such as telling people, and the tries are spent; see the dead letters.",
}
SUPPRESSED = {
    "info": "Its sender says it is information, not an alarm: kept, and nobody was told.",
    "nothing-open": "It resolves an alarm that doesn't fire here.",
    "out-of-order": "A straggler: the same alarm's resolve, later by the sender's clock, was here first.",
    "no-route": "No route leads it to a channel.",
    "silenced": "Somebody has silenced the incident that it belongs to: kept in its timeline, and nobody was told.",
    "confirmed": "Its sender asked for a confirmation, and got it. Nobody was told.",
}


def _arrival(record: AlertRecord) -> list[PathStep]:
    alert = record.alert
    steps = [
        PathStep(at=alert.received_at, what="received", detail=f"from {alert.source} with key '{alert.key}'"),
        PathStep(at=alert.received_at, what="recognised", detail=f"{alert.status}, signature {alert.signature}"),
    ]
    if alert.timestamp and alert.timestamp < alert.received_at:
        steps.insert(0, PathStep(at=alert.timestamp, what="sent", detail="the sender's time"))
    if record.incident_id:
        steps.append(PathStep(at=alert.received_at, what="correlated", detail=record.incident_id))
    return steps


QUIET = (Event.ACKNOWLEDGED, Event.COMMENTED)


def _told(record: AlertRecord, timeline: Sequence[TimelineEntry]) -> list[PathStep]:
    """What this event caused: its incident's timeline from its arrival to its end."""
    alert = record.alert
    until = record.settled_at if record.outcome in ("delivered", "dead") else None
    return [
        PathStep(at=entry.at, what=entry.event.value, detail=": ".join(filter(None, (entry.channel, entry.text))))
        for entry in timeline
        if (entry.alert_id == alert.alert_id)
        or (
            record.outcome != "merged"
            and not entry.alert_id
            and entry.event not in QUIET
            and entry.at >= alert.received_at
            and (until is None or entry.at <= until)
        )
    ]


def _end(record: AlertRecord) -> list[PathStep]:
    if record.settled_at is None:
        return []
    # Stores keep when it was settled to the millisecond; it never ends before it came.
    end = max(record.settled_at, record.alert.received_at)
    return [PathStep(at=end, what=record.outcome, detail=explain(record))]


def costs_view(days: Sequence[Cost]) -> CostsView:
    """Days and their sum."""
    total = sum(days, start=Cost(day="", model=""))
    analyses = total.answers + total.hits
    return CostsView(
        calls=total.calls,
        answers=total.answers,
        hits=total.hits,
        failures=total.failures,
        throttled=total.throttled,
        hit_rate=round(total.hits / analyses, 4) if analyses else None,
        usd=total.usd,
        saved_usd=total.saved_usd,
        days=tuple(days),
    )


def ledger_view(hours: Sequence[LedgerHour]) -> LedgerView:
    """Hours and their sum."""
    suppressed: dict[str, int] = {}
    for hour in hours:
        for rule, count in hour.suppressed.items():
            suppressed[rule] = suppressed.get(rule, 0) + count
    return LedgerView(
        balanced=all(hour.balance == 0 for hour in hours),
        received=sum(hour.received for hour in hours),
        delivered=sum(hour.delivered for hour in hours),
        merged=sum(hour.merged for hour in hours),
        suppressed=suppressed,
        dead=sum(hour.dead for hour in hours),
        in_flight=sum(hour.in_flight for hour in hours),
        hours=tuple(hours),
    )


def _key_view(key: ApiKey, now: datetime) -> KeyView:
    expired = key.expires_at is not None and key.expires_at <= now
    return KeyView(
        name=key.name,
        scopes=key.scopes,
        created_at=key.created_at,
        expires_at=key.expires_at,
        per_minute=key.per_minute,
        state="expired" if expired else "replaced" if key.replaced else "active",
    )
