"""The handlers of the API: each translates, calls ``operations``, and encodes the view that comes back.

They are plain functions, run in threads: the core is synchronous. Every class lists its routes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from fastapi import Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.background import BackgroundTask

from mcp_responder.channels import Callback, Called, CalledBack, Deed
from mcp_responder.entrypoints.web.auth import Authenticator, Caller
from mcp_responder.entrypoints.web.openapi import Route
from mcp_responder.entrypoints.web.parameters import (
    AlertParameters,
    Comment,
    CostParameters,
    IncidentParameters,
    JsonBody,
    LedgerParameters,
    LimitParameters,
    NewKey,
    QueryOf,
    RawBody,
    Rotation,
    Silence,
    Who,
    moment,
    span,
)
from mcp_responder.entrypoints.web.problems import HttpProblem
from mcp_responder.model.alert import Severity
from mcp_responder.model.analysis import Analysis, Category, MadeBy, RootCause, SeverityAssessment, State
from mcp_responder.model.errors import InvalidRequest, NotFound, Permanent, Transient
from mcp_responder.model.incident import Activity, Event, Incident, IncidentSummary, TimelineEntry
from mcp_responder.model.message import Message
from mcp_responder.model.task import DeadLetter
from mcp_responder.operations import AlertView, CostsView, IncidentView, KeyView, LedgerView, Operations, Why
from mcp_responder.ports import Channel, Clock, LaneDepth, Page, Source

Item = TypeVar("Item")


# ---------------------------------------------------------------------------------------------------------- the views


class SourceView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who can send alerts; ``path`` is where to, ``key_headers`` may bring the API key beside the usual ones."""

    name: str
    title: str
    content_types: tuple[str, ...]
    path: str
    key_headers: tuple[str, ...] = ()


class SourceGuide(SourceView, frozen=True, kw_only=True):
    """A source with how to set it up."""

    guide: str


class ChannelView(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told. ``updates``: whether a second message edits the first; ``longest_text`` is in characters."""

    name: str
    kind: str
    title: str
    longest_text: int
    updates: bool


class ChannelTest(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for a test message. ``again``: whether the same may work later."""

    ok: bool
    detail: str
    reference: str = ""
    url: str = ""
    again: bool = False


class QueuesView(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks that wait, by lane; ages are in seconds."""

    lanes: dict[str, LaneDepth]


class Health(msgspec.Struct, frozen=True):
    """A service that can say so."""

    status: str


class Json(Response):
    """A view as JSON."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return msgspec.json.encode(content)


# ------------------------------------------------------------------------------------------------------- the handlers


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


AnyCaller = Annotated[Caller, Depends(_caller)]
AlertQuery = Annotated[AlertParameters, Depends(QueryOf(AlertParameters))]
IncidentQuery = Annotated[IncidentParameters, Depends(QueryOf(IncidentParameters))]
CostQuery = Annotated[CostParameters, Depends(QueryOf(CostParameters))]
LedgerQuery = Annotated[LedgerParameters, Depends(QueryOf(LedgerParameters))]
LimitQuery = Annotated[LimitParameters, Depends(QueryOf(LimitParameters))]
WhoBody = Annotated[Who, Depends(JsonBody(Who))]
SilenceBody = Annotated[Silence, Depends(JsonBody(Silence))]
CommentBody = Annotated[Comment, Depends(JsonBody(Comment))]
NewKeyBody = Annotated[NewKey, Depends(JsonBody(NewKey))]
RotationBody = Annotated[Rotation, Depends(JsonBody(Rotation))]


class AlertHandlers:
    """Alerts, and the ledger that counts them."""

    def __init__(self, operations: Operations, clock: Clock) -> None:
        self._operations = operations
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/alerts", self.list_alerts, Page[AlertView], "read"),
            Route("GET", "/v1/alerts/{alert_id}", self.get_alert, AlertView, "read"),
            Route("GET", "/v1/alerts/{alert_id}/why", self.why, Why, "read"),
            Route("GET", "/v1/ledger", self.get_ledger, LedgerView, "read"),
        )

    def list_alerts(self, parameters: AlertQuery) -> Response:
        """List alerts, newest first. Pass `next` as `cursor` to go on."""
        return Json(self._operations.alerts(parameters.query(self._clock())))

    def get_alert(self, alert_id: str) -> Response:
        """One alert, and what became of it."""
        return Json(self._operations.alert(alert_id))

    def why(self, alert_id: str) -> Response:
        """Why an alert ended as it did: its whole path."""
        return Json(self._operations.why(alert_id))

    def get_ledger(self, parameters: LedgerQuery) -> Response:
        """What became of everything that was received. Per hour of reception, and the sum."""
        return Json(self._operations.ledger(moment("since", parameters.since, self._clock())))


class IncidentHandlers:
    """Incidents, and what people do about them."""

    def __init__(self, operations: Operations, clock: Clock) -> None:
        self._operations = operations
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        one = "/v1/incidents/{incident_id}"
        return (
            Route("GET", "/v1/incidents", self.list_incidents, Page[IncidentSummary], "read"),
            Route("GET", one, self.get_incident, IncidentView, "read"),
            Route("POST", f"{one}/acknowledge", self.acknowledge, IncidentView, "respond", problems=(409,)),
            Route("POST", f"{one}/resolve", self.resolve, IncidentView, "respond", problems=(409,)),
            Route("POST", f"{one}/reopen", self.reopen, IncidentView, "respond", problems=(409,)),
            Route("POST", f"{one}/silence", self.silence, IncidentView, "respond", problems=(409,)),
            Route("POST", f"{one}/comment", self.comment, IncidentView, "respond"),
        )

    def list_incidents(self, parameters: IncidentQuery) -> Response:
        """List incidents, newest first. Pass `next` as `cursor` to go on."""
        return Json(self._operations.incidents(parameters.query(self._clock())))

    def get_incident(self, incident_id: str) -> Response:
        """One incident. With its newest alerts, its analysis once there is one, timeline and deliveries."""
        return Json(self._operations.incident(incident_id))

    def acknowledge(self, incident_id: str, caller: AnyCaller, body: WhoBody) -> Response:
        """Take an incident. Repeats fall silent; worse severity is still told."""
        return Json(self._operations.acknowledge(incident_id, who(caller, body)))

    def resolve(self, incident_id: str, caller: AnyCaller, body: WhoBody) -> Response:
        """Say that an incident is over."""
        return Json(self._operations.resolve(incident_id, who(caller, body)))

    def reopen(self, incident_id: str, caller: AnyCaller, body: WhoBody) -> Response:
        """Say that an incident isn't over after all."""
        return Json(self._operations.reopen(incident_id, who(caller, body)))

    def silence(self, incident_id: str, caller: AnyCaller, body: SilenceBody) -> Response:
        """Silence an incident for some minutes. Its end, worse severity, and what people do is still told."""
        return Json(self._operations.silence(incident_id, who(caller, body), body.minutes))

    def comment(self, incident_id: str, caller: AnyCaller, body: CommentBody) -> Response:
        """Write into an incident's timeline. Nobody is paged for it."""
        return Json(self._operations.comment(incident_id, who(caller, body), body.text))


def who(caller: Caller, body: Who) -> str:
    """Whose deed it is: the key's, or the person's whom it names."""
    return f"{body.by} (key '{caller.name}')" if body.by else caller.name


class CostHandlers:
    """What models cost."""

    def __init__(self, operations: Operations, clock: Clock) -> None:
        self._operations = operations
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", "/v1/costs", self.get_costs, CostsView, "read"),)

    def get_costs(self, parameters: CostQuery) -> Response:
        """What models did and cost. Per day (UTC) and model, and the sums, in US dollars."""
        return Json(self._operations.costs(moment("since", parameters.since, self._clock())))


class PlugInHandlers:
    """Sources and channels."""

    def __init__(self, sources: Mapping[str, Source], channels: Mapping[str, Channel], clock: Clock) -> None:
        self._sources = sources
        self._channels = channels
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/sources", self.list_sources, Page[SourceView], "read"),
            Route("GET", "/v1/sources/{name}", self.get_source, SourceGuide, "read"),
            Route("GET", "/v1/channels", self.list_channels, Page[ChannelView], "read"),
            Route("GET", "/v1/channels/{name}", self.get_channel, ChannelView, "read"),
            Route("POST", "/v1/channels/{name}/test", self.test_channel, ChannelTest, "admin"),
        )

    def list_sources(self) -> Response:
        """List the sources."""
        return Json(page(map(_source_view, self._sources.values())))

    def get_source(self, name: str) -> Response:
        """One source, with its set-up guide."""
        source = _named("source", name, self._sources)
        guide = (source.__doc__ or "").strip()
        return Json(SourceGuide(**msgspec.structs.asdict(_source_view(source)), guide=guide))

    def list_channels(self) -> Response:
        """List the channels that are configured."""
        return Json(page(map(_channel_view, self._channels.values())))

    def get_channel(self, name: str) -> Response:
        """One channel."""
        return Json(_channel_view(_named("channel", name, self._channels)))

    def test_channel(self, name: str) -> Response:
        """Send a test message now. It is clearly marked, and tried once; the answer is what came back."""
        channel = _named("channel", name, self._channels)
        try:
            delivered = channel.deliver(sample_message(self._clock()), None)
        except (Transient, Permanent) as error:
            return Json(ChannelTest(ok=False, detail=str(error), again=isinstance(error, Transient)))
        detail = delivered.detail or "Delivered."
        return Json(ChannelTest(ok=True, detail=detail, reference=delivered.reference, url=delivered.url))


def _named(what: str, name: str, known: Mapping[str, Item]) -> Item:
    if name not in known:
        raise NotFound(what, name)
    return known[name]


def page(items: Iterable[Item]) -> Page[Item]:
    """A list that is always whole."""
    return Page(items=tuple(items), next=None)


def _source_view(source: Source) -> SourceView:
    info = source.INFO
    return SourceView(
        name=info.name,
        title=info.title,
        content_types=info.content_types,
        path=f"/v1/sources/{info.name}",
        key_headers=info.key_headers,
    )


def _channel_view(channel: Channel) -> ChannelView:
    return ChannelView(name=channel.name, **msgspec.structs.asdict(channel.info))


def sample_message(now: datetime) -> Message:
    """A message that can't be taken for a real one."""
    incident = Incident(
        incident_id="TEST",
        identity="test",
        signature="test",
        source="mcp-responder",
        service="mcp-responder",
        resource="",
        environment="test",
        title="TEST: nothing is broken, somebody tries this channel",
        severity=Severity.LOW,
        news_at=now,
        opened_at=now,
    )
    return Message(
        delivery_id=f"test-{now:%Y%m%d%H%M%S%f}",
        incident=incident,
        news=1,
        event=Event.ANALYZED,
        activity=Activity(),
        analysis=sample_analysis(now),
        timeline=(TimelineEntry(at=now, event=Event.OPENED, text="A test message."),),
    )


def sample_analysis(now: datetime) -> Analysis:
    """What a report on nothing looks like."""
    return Analysis(
        summary="This is a test of the channel.",
        root_cause=RootCause(statement="Somebody asked for a test message.", category=Category.HEALTHY, confidence=1.0),
        state=State.FALSE_ALARM,
        severity=SeverityAssessment(level=Severity.LOW, reason="It is a test."),
        impact="None.",
        made_by=MadeBy(analyst="test"),
        made_at=now,
    )


MOST_CALLS = 10_000
"""Callbacks that are remembered, so that one that is sent again does nothing."""
PRESSED = RawBody(
    "application/x-www-form-urlencoded", {"type": "object", "properties": {"payload": {"type": "string"}}}
)
HAPPENED = RawBody("application/json", {"type": "object"})


class CallbackHandlers:
    """What the other sides of channels call. Their signature is the key."""

    def __init__(self, operations: Operations, channels: Mapping[str, Channel]) -> None:
        self._operations = operations
        self._channels = channels
        self._seen: dict[str, None] = {}
        self._lock = threading.Lock()

    def routes(self) -> tuple[Route, ...]:
        one = "/v1/channels/{name}"
        return (
            Route("POST", f"{one}/actions", self.take_action, "text/plain", problems=(400, 403)),
            Route("POST", f"{one}/events", self.take_event, "text/plain", problems=(400, 403)),
        )

    def take_action(self, name: str, request: Request, body: Annotated[bytes, Depends(PRESSED)]) -> Response:
        """A button of a message was pressed. For the channel's other side, which signs its requests."""
        return self._take(name, Callback(what="actions", headers=request.headers, body=body))

    def take_event(self, name: str, request: Request, body: Annotated[bytes, Depends(HAPPENED)]) -> Response:
        """Something happened where a channel tells. For the channel's other side, which signs its requests."""
        return self._take(name, Callback(what="events", headers=request.headers, body=body))

    def _take(self, name: str, callback: Callback) -> Response:
        channel = self._channels.get(name)
        if not isinstance(channel, CalledBack):
            raise NotFound("channel that takes callbacks", name)
        called = channel.called(callback)
        words = self._do_once(name, called, called.deed) if called.deed else ""
        told = BackgroundTask(channel.answer, called, words) if words and called.answer_to else None
        return PlainText(called.reply, background=told)

    def _do_once(self, name: str, called: Called, deed: Deed) -> str:
        """Do it unless it was done; why it can't be done, in words."""
        call = f"{name}:{called.call_id}"
        with self._lock:
            if call in self._seen:
                return ""
            self._seen[call] = None
            if len(self._seen) > MOST_CALLS:
                del self._seen[next(iter(self._seen))]
        try:
            return self._do(name, deed)
        except BaseException:
            # It is sent again, and then it is to be done.
            with self._lock:
                self._seen.pop(call, None)
            raise

    def _do(self, name: str, deed: Deed) -> str:
        operations = self._operations
        try:
            incident_id = deed.incident_id or operations.incident_of(name, deed.reference)
            match deed.verb:
                case "acknowledge":
                    operations.acknowledge(incident_id, deed.who)
                case "resolve":
                    operations.resolve(incident_id, deed.who)
                case "reopen":
                    operations.reopen(incident_id, deed.who)
                case "silence":
                    operations.silence(incident_id, deed.who, deed.minutes)
                case "comment":
                    operations.comment(incident_id, deed.who, deed.text)
        except InvalidRequest as refused:
            return refused.detail
        return ""


class PlainText(Response):
    """Words as they are."""

    media_type = "text/plain"


class KeyHandlers:
    """API keys. A token is told once, when it is made."""

    def __init__(self, operations: Operations, authenticator: Authenticator) -> None:
        self._operations = operations
        self._authenticator = authenticator

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/keys", self.list_keys, Page[KeyView], "admin"),
            Route("POST", "/v1/keys", self.create_key, KeyView, "admin", status=201, problems=(409,)),
            Route("POST", "/v1/keys/{name}/rotate", self.rotate_key, KeyView, "admin"),
            Route("DELETE", "/v1/keys/{name}", self.revoke_key, None, "admin", status=204),
        )

    def list_keys(self) -> Response:
        """List the API keys, without their tokens."""
        return Json(page(self._operations.keys()))

    def create_key(self, body: NewKeyBody) -> Response:
        """Make an API key. Its token is in this answer and never shown again."""
        expires_in = span(body.expires_in) if body.expires_in else None
        key = self._operations.create_key(body.name, tuple(dict.fromkeys(body.scopes)), expires_in, body.per_minute)
        self._authenticator.refresh()
        return Json(key, status_code=201)

    def rotate_key(self, name: str, body: RotationBody) -> Response:
        """Replace an API key. The new token is in this answer; the old one works on for the overlap."""
        overlap = span(body.overlap)
        assert overlap is not None  # noqa: S101 - the body's pattern says so
        key = self._operations.rotate_key(name, overlap)
        self._authenticator.refresh()
        return Json(key)

    def revoke_key(self, name: str) -> Response:
        """Revoke an API key. It, and what it replaced, stops working at once."""
        self._operations.revoke_key(name)
        self._authenticator.refresh()
        return Response(status_code=204)


class ServiceHandlers:
    """The service about itself."""

    def __init__(
        self,
        operations: Operations,
        metrics: Callable[[], bytes],
        ready: Callable[[], str],
        dead_letters: Callable[[int], Sequence[DeadLetter]] | None,
        *,
        metrics_open: bool,
    ) -> None:
        self._operations = operations
        self._metrics = metrics
        self._ready = ready
        self._dead_letters = dead_letters
        self._metrics_open = metrics_open

    def routes(self) -> tuple[Route, ...]:
        letters = Route("GET", "/v1/dead-letters", self.list_dead_letters, Page[DeadLetter], "read")
        scope = "" if self._metrics_open else "read"
        return (
            Route("GET", "/v1/queues", self.get_queues, QueuesView, "read"),
            *((letters,) if self._dead_letters else ()),
            Route("GET", "/healthz", self.is_alive, Health),
            Route("GET", "/readyz", self.is_ready, Health, problems=(503,)),
            Route("GET", "/metrics", self.get_metrics, "text/plain", scope),
        )

    def get_queues(self) -> Response:
        """How much work waits. By lane: due, planned for later, in somebody's hands."""
        return Json(QueuesView(lanes=self._operations.depth()))

    def list_dead_letters(self, parameters: LimitQuery) -> Response:
        """List the tasks that were given up, newest first, and why."""
        letters = self._dead_letters(parameters.limit) if self._dead_letters else ()
        return Json(page(letters))

    async def is_alive(self) -> Response:
        """Whether the process is alive."""
        return Json(Health("ok"))

    def is_ready(self) -> Response:
        """Whether alerts can be taken in now. If not, the problem says why."""
        reason = self._ready()
        if reason:
            raise HttpProblem("not_ready", reason, 503, retry_after=1)
        return Json(Health("ready"))

    def get_metrics(self) -> Response:
        """Metrics for Prometheus."""
        return Response(self._metrics(), headers={"content-type": CONTENT_TYPE_LATEST})
