"""Every shape the core needs from outside. The docstrings are the law that each implementation is tested against.

They are written so that SQLite and memory, and SQS with DynamoDB, can keep them: work is delivered at least once,
order is not promised, and state changes only together with the tasks that it causes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from mcp_responder.model.alert import Alert, Severity
from mcp_responder.model.analysis import Analysis, Answer, CachedAnswer, Cost, Evidence
from mcp_responder.model.incident import Activity, Incident, IncidentStatus, TimelineEntry
from mcp_responder.model.message import Message, Receipt
from mcp_responder.model.severity import SeverityRule
from mcp_responder.model.task import DeadLetter, Leased, Task

Item = TypeVar("Item")

Clock = Callable[[], datetime]
"""Returns the present time, aware, in UTC."""


# --------------------------------------------------------------------------------------------------------------- HEAR


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one source is read. A source with settings of its own derives its type from this one."""

    fields: dict[str, tuple[str, ...]] = {}
    """Field of the alert -> dotted paths in the sender's JSON, tried before the source's own."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How the user wants this source to be read, from the configuration."""

    fields: dict[str, tuple[str, ...]] = {}
    """Field of Alert -> dotted paths in the body, tried before the source's own."""
    severities: tuple[SeverityRule, ...] = ()
    """Tried before the shipped rules; the first match decides."""
    own: SourceSettings | None = None
    """The source's own settings, if it has any and they aren't the defaults."""


def _nobody(_body: object) -> bool:
    return False


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A raw delivery as a door received it."""

    body: bytes
    """The exact bytes, after transfer and content decoding."""
    headers: Mapping[str, str]
    """Names in lower case."""
    received_at: datetime
    reading: Reading = Reading()
    title: str = ""
    """What an envelope around it is titled, for a body that has no title."""
    hurried: bool = False
    """Everybody waits while it is read: what takes long is left for later."""
    knows: Callable[[object], bool] = _nobody
    """Whether a source knows this decoded JSON as its own; the one that takes any JSON doesn't count. For those that
    unpack."""


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    """A body inside an envelope, or an array of them, to be detected again."""

    body: bytes
    event_id: str = ""
    """The envelope's own message id."""
    title: str = ""
    """The envelope's own title."""
    otherwise: Alert | None = None
    """What to take when nothing can be read in it."""


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """A signature (RSA, PKCS 1 v1.5), and what is needed to verify it."""

    text: bytes = b""
    """What was signed."""
    signature: bytes = b""
    digest: Literal["sha1", "sha256"] = "sha256"
    certificate_url: str = ""
    """An address that may be fetched."""
    certificate_names: tuple[str, ...] = ()
    """DNS names, of which the certificate must have one."""
    flaw: str = ""
    """Why it can't be verified at all, as a sentence; empty: it can."""


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What its sender has signed: to be verified before what is inside is even read."""

    inside: Callable[[], Alert | Inner]
    """Reads it."""
    signer: str
    """Who it says that it is from, in words for people."""
    seal: Seal
    required: bool = True
    """Whether the user insists on it."""
    listed: bool = False
    """Whether the user has named this signer: then it needs no API key."""


Vouch = Callable[[Signed], None]
"""Verifies. Answers from what it knows, and waits for nothing.

Raises Unverified if the signature isn't the signer's, CertificateMissing if that can be told only after a fetch, and
another Transient if the fetch has failed just now.
"""


def unchecked(_: Signed) -> None:
    """A Vouch that believes everything: for files that a person tries out, never for a door."""


class SourceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a source says of itself. The set-up guide is its module's docstring."""

    name: str
    """Its slug: the file's name and the last part of its URL."""
    title: str
    content_types: tuple[str, ...] = ("application/json",)
    marks: frozenset[str] = frozenset()
    """Names at the top of a body of which each of its bodies has one: it isn't asked about others. Empty: about all."""
    key_headers: tuple[str, ...] = ()
    """Headers, in lower case, in which its sender brings the API key when it can send none of the usual ones."""
    largest_body: int = 0
    """Bytes that its own address takes after decompression, where that is more than the general limit."""
    unpacks: bool = False
    """Whether its bodies may hold far more than their size says; they are never read in a hurry."""
    reply: Callable[[Request], Mapping[str, object]] | None = None
    """Makes the 200 that this sender insists on of its request; None, or nothing in it: the usual 202. Pure."""
    resolves: bool = True
    """Whether its sender ever says that something is over; a log doesn't."""
    settings: type[SourceSettings] = SourceSettings
    """Its table in the configuration; a docstring under each field says what it is for."""
    event_header: str = ""
    """Header, in lower case, in which its sender names the event when the body is another one's and names none."""
    signs: Callable[[object], bool] | None = None
    """Whether all of this decoded JSON is signed, as it says: nothing else is read that came without an API key.
    Cheap. None: its sender signs nothing."""
    confirmation: Callable[[Alert, Reading], str] | None = None
    """The address to fetch so that its sender goes on, if this alert of its asks for that; else empty. Pure."""


class Source(Protocol):
    """Turns one sender's requests into Alerts: a module of ``sources/``. Pure: no I/O, no clock."""

    INFO: SourceInfo

    def detects(self, body: object) -> bool:
        """Whether this decoded JSON is of this sender. Cheap, and true of no other source's bodies."""
        ...

    def parse(self, body: object, raw: bytes, request: Request) -> Sequence[Alert | Inner | Signed]:
        """Read one decoded JSON value, of which ``raw`` is the exact text.

        Empty when it is authentic but no alert. Raises InvalidRequest when nothing can be read from it; a missing or
        odd field is never a reason. Leaves ``alert_id``, ``signature`` and ``key`` to the pipeline.
        """
        ...


# --------------------------------------------------------------------------------------------------------------- LOOK


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What an analysis is about: the alert that opened the incident, the incident, and the newest alerts."""

    alert: Alert
    incident: Incident | None
    activity: Activity
    recent: tuple[Alert, ...] = ()
    now: datetime


class ContextProvider(Protocol):
    """Looks somewhere, and brings back what it saw."""

    name: str

    def gather(self, subject: Subject) -> Iterable[Evidence]:
        """Evidence, with ids left empty. "Looked, nothing there" is Evidence without content; a look that failed is
        Evidence with a ``gap``. May raise anything: the pipeline turns that into a gap."""
        ...


# -------------------------------------------------------------------------------------------------------------- THINK


class Recipe(NamedTuple):
    """What an analyst makes its answers with: another recipe gives another answer."""

    model: str
    prompt: str


class Analyst(Protocol):
    """Says why."""

    name: str

    def analyze(self, subject: Subject, evidence: Sequence[Evidence]) -> Answer:
        """A Draft whose claims quote the evidence by id. Raises Transient or Permanent, in words for people, when it
        can't."""
        ...


# --------------------------------------------------------------------------------------------------------------- TELL


class ChannelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel says of itself; limits are characters."""

    kind: str
    """Its slug: the file's name."""
    title: str
    longest_text: int
    updates: bool
    """Whether a second delivery edits the first (else it is a further message that refers to it)."""


class Channel(Protocol):
    """Tells people."""

    name: str
    """Its name in the configuration; unique."""
    info: ChannelInfo

    def deliver(self, message: Message, previous: Receipt | None) -> Delivered:
        """Bring the other side up to date. Raises Transient (maybe with ``retry_after``) or Permanent, never with a
        secret in its words. Text beyond the limits is cut, never a reason to fail."""
        ...


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """What the other side called it."""

    reference: str = ""
    url: str = ""
    detail: str = ""
    """What it didn't take although the message arrived, in words for the receipt."""


# ----------------------------------------------------------------------------------------------------------- REMEMBER


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What the store knows when an alert is decided on. Items earlier in the same batch are already in it."""

    latest: Incident | None
    """The newest incident of the alert's identity, whatever its status."""
    firing_in: tuple[Incident, ...] = ()
    """Unresolved incidents in which this very alarm (``source`` and ``source_id``) fires."""
    others_firing: tuple[bool, ...] = ()
    """For each of ``firing_in``: whether any other alarm fires in it too."""
    resolved_later: bool = False
    """This alarm's resolve, later by the sender's clock than this firing, came in during the last five minutes."""
    fired_later: bool = False
    """This alarm's firing, later by the sender's clock than this resolve, came in during the last hour."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided about one alert, to be written as one act.

    ``outcome`` is empty while people are still to be told (the alert is *in flight*), else ``merged`` or
    ``suppressed:<rule>``.
    """

    outcome: str
    incident_id: str = ""
    firing: bool = False
    """The alarm now fires in that incident."""
    changed: tuple[Incident, ...] = ()
    """New or changed incidents."""
    entries: tuple[tuple[str, TimelineEntry], ...] = ()
    """(incident_id, line) for the timelines."""
    tasks: tuple[Task, ...] = ()


Decide = Callable[[Alert, Situation], Verdict]


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one alert of a batch: ``repeat`` means that this very event was here before."""

    alert_id: str
    repeat: bool
    verdict: Verdict | None


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """One alert on its way into the store.

    ``identity`` names its incident and ``alarm`` its firing (see ``pipeline.correlate``). With ``unstable`` the event
    had neither id nor time: its ``alert_id`` names the content, and counts as the same event for five minutes only.
    """

    alert: Alert
    identity: str
    alarm: str
    unstable: bool = False


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A change and the work that it causes, written as one act or not at all."""

    incident: Incident | None = None
    """Its version must be the stored one plus 1 (or 1 for none stored)."""
    entries: tuple[TimelineEntry, ...] = ()
    tasks: tuple[Task, ...] = ()
    incident_id: str = ""
    """Of what follows; may be left out when ``incident`` is given."""
    analysis: Analysis | None = None
    receipt: Receipt | None = None
    settle: str = ""
    """``delivered`` or ``dead``: the outcome of the incident's alerts in flight, up to ``settle_news``. Of an alert
    without an incident: ``dead`` or ``suppressed:<rule>``."""
    settle_news: int = 0
    alert_id: str = ""
    """An alert without an incident: then ``settle`` is its outcome, if it is in flight."""
    letter: str = ""
    """Why the finished task is a dead letter."""
    finished: Leased | None = None
    """The task that is done with this commit. If its lease was lost, the commit is refused with LeaseLost."""


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stored alert: ``outcome`` is ``in_flight``, ``delivered``, ``merged``, ``suppressed:<rule>`` or ``dead``."""

    alert: Alert
    outcome: str
    incident_id: str
    incident_status: IncidentStatus | None
    settled_at: datetime | None


class IncidentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stored incident and what happened around it."""

    incident: Incident
    activity: Activity


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What to list; newest first. Times are of reception (alerts) or opening (incidents), ``since`` inclusive and
    ``until`` exclusive. ``words`` must all stand, as whole words in any case, in title, service or resource."""

    limit: int = 50
    cursor: str = ""
    status: str = ""
    severity: Severity | None = None
    source: str = ""
    service: str = ""
    since: datetime | None = None
    until: datetime | None = None
    words: tuple[str, ...] = ()
    incident_id: str = ""
    """Alerts only."""


class Page(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """A stretch of a list; ``next`` is the cursor of the one after, None at the end."""

    items: tuple[Item, ...]
    next: str | None


class HourCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often a signature came in one hour (of reception)."""

    hour: datetime
    count: int


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts that look alike: one signature on one service."""

    signature: str
    service: str
    title: str
    count: int
    incidents: int
    last_seen: datetime


class LedgerHour(msgspec.Struct, frozen=True, kw_only=True):
    """The law of one hour of reception: received = delivered + merged + suppressed + dead + in flight."""

    hour: datetime
    received: int
    delivered: int
    merged: int
    suppressed: dict[str, int]
    dead: int
    in_flight: int
    """Counted from the alerts themselves, not derived."""

    @property
    def balance(self) -> int:
        """0 when the law holds."""
        gone = self.delivered + self.merged + sum(self.suppressed.values()) + self.dead
        return self.received - gone - self.in_flight


class IncidentStore(Protocol):
    """Remembers. Every write is durable when the call returns."""

    def accept(self, batch: Sequence[Incoming], decide: Decide) -> list[Accepted]:
        """Write alerts, what was decided about them, and the tasks that follow; all of the batch or nothing.

        ``decide`` is called in order, with the situation as the earlier alerts left it; it is pure, and may be called
        again. An alert whose ``alert_id`` is stored is a repeat: nothing is written, and its stored id is answered.
        A resolved alert ends its alarm's firings; a resolved incident has none.
        """
        ...

    def commit(self, commit: Commit) -> None:
        """Write a change with its tasks. Raises Conflict, having written nothing, if the stored incident's version is
        not one below the given one, and LeaseLost if the lease of ``finished`` was lost."""
        ...

    def alert(self, alert_id: str) -> AlertRecord:
        """Raises NotFound."""
        ...

    def alerts(self, query: Query) -> Page[AlertRecord]: ...

    def incident(self, incident_id: str) -> IncidentRecord:
        """Raises NotFound."""
        ...

    def incidents(self, query: Query) -> Page[IncidentRecord]: ...

    def timeline(self, incident_id: str) -> tuple[TimelineEntry, ...]:
        """Oldest first."""
        ...

    def analysis(self, incident_id: str) -> Analysis | None:
        """The latest."""
        ...

    def receipts(self, incident_id: str) -> tuple[Receipt, ...]: ...

    def incident_of(self, channel: str, reference: str) -> str:
        """The id of the incident whose receipt has that reference. Raises NotFound, also for an empty one."""
        ...

    def history(self, signature: str, since: datetime) -> tuple[HourCount, ...]:
        """Hours in which the signature came, oldest first; hours without are left out."""
        ...

    def similar(self, severity: Severity, since: datetime, limit: int) -> tuple[Cluster, ...]:
        """Alerts of that severity received since, clustered by signature and service, largest first."""
        ...

    def ledger(self, since: datetime) -> tuple[LedgerHour, ...]: ...


class TaskQueue(Protocol):
    """Hands out tasks with SQS's semantics: at least once, invisible while leased, a handle that fences.

    Tasks come in through ``IncidentStore.accept`` and ``commit`` only, and are finished by ``commit``.
    """

    def receive(self, lane: str, limit: int, wait: float) -> list[Leased]:
        """Up to ``limit`` due tasks of a lane, worst severity first, then oldest; waits up to ``wait`` seconds for
        the first. Each is leased for the visibility timeout, and its receive count, which survives a crash, goes up.
        No two tasks of one ``group`` are leased at the same time. A task may come with more receives than allowed:
        it is to be buried, not worked on. A lease also ends as soon as its holder is seen to be gone."""
        ...

    def release(self, leased: Leased, *, counts: bool = False) -> None:
        """Give a task back, due at once. The receive is taken back unless it ``counts``. Does nothing if the lease
        was lost."""
        ...

    def depth(self) -> Mapping[str, LaneDepth]:
        """By lane."""
        ...

    def dead_letters(self, limit: int) -> tuple[DeadLetter, ...]:
        """Newest first."""
        ...


class AnalysisCache(Protocol):
    """Keeps answers for a day, so that the same error needn't be analysed twice."""

    def cached_answer(self, key: str) -> CachedAnswer | None:
        """The newest under this key, if it is kept."""
        ...

    def cache_answer(self, cached: CachedAnswer) -> None:
        """Keep it, in the place of an older one; forget those that are older than ``CACHE_KEPT``."""
        ...


class CostBook(Protocol):
    """Remembers what models did and cost."""

    def book(self, cost: Cost) -> None:
        """Add to what is booked for that day and model. Additions from many sides at once all count."""
        ...

    def costs(self, since: str) -> tuple[Cost, ...]:
        """By day (from ``since``, inclusive) and model, in this order."""
        ...


class LaneDepth(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks that wait: due now, planned for later, in somebody's hands; age in seconds of the oldest due one."""

    ready: int
    delayed: int
    leased: int
    oldest: float


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key without its secret. ``hash`` is the SHA-256 of the whole token, in hex."""

    name: str
    hash: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    per_minute: int = 0
    """Requests a minute; 0 is no limit."""
    replaced: bool = False
    """A rotation has made a newer key of this name; this one works until it expires."""


class KeyStore(Protocol):
    """Keeps API keys. Names are unique among keys that aren't ``replaced``."""

    def keys(self) -> tuple[ApiKey, ...]: ...

    def put_key(self, key: ApiKey) -> None:
        """Add, or overwrite the one with this hash."""
        ...

    def delete_keys(self, name: str) -> int:
        """Forget all keys of that name; how many there were."""
        ...


REORDER_WINDOW = timedelta(minutes=5)
"""How long after its resolve a firing that is older by the sender's clock is taken for a straggler."""
LATE_RESOLVE_WINDOW = timedelta(hours=1)
"""How long after a firing a resolve that is older by the sender's clock ends nothing: SNS tries again for an hour."""
VISIBILITY = timedelta(minutes=15)
"""A lease's ceiling."""
CACHE_KEPT = timedelta(hours=24)
"""How long an answer is kept in the analysis cache."""
MAX_RECEIVES = 3
"""Receives after which a task is a dead letter."""
SAME_BYTES_WINDOW = timedelta(minutes=5)
"""How long identical bytes without id and time count as one event."""
