"""Bring one channel up to date with one incident, and keep the receipt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from mcp_responder.model.errors import Permanent, Transient
from mcp_responder.model.incident import Event, Incident, TimelineEntry
from mcp_responder.model.message import Message, Receipt, ReceiptState
from mcp_responder.model.task import Leased, Notify, Task
from mcp_responder.pipeline.correlate import Route, notify
from mcp_responder.pipeline.retry import Schedule, again
from mcp_responder.ports import MAX_RECEIVES, Channel, Clock, Commit, Delivered, IncidentRecord, IncidentStore

Observe = Callable[[str, str, str, float], None]
"""Told of each try: channel, result (delivered, retried, dead), class of the error, seconds since the news."""
LATE = timedelta(minutes=1)
"""A delivery later than this says so."""


class Notifier:
    """Works on Notify tasks. ``spread`` gives a random number between 0 and 1 for the waits between tries."""

    def __init__(
        self,
        store: IncidentStore,
        clock: Clock,
        schedule: Schedule,
        route: Route,
        public_url: str,
        spread: Callable[[], float],
        observe: Observe,
    ) -> None:
        self._store = store
        self._clock = clock
        self._schedule = schedule
        self._route = route
        self._public_url = public_url
        self._spread = spread
        self._observe = observe
        self._held: dict[str, datetime] = {}
        """Channels whose other side has asked for a pause, and until when."""

    def notify(self, leased: Leased, channel: Channel | None) -> Incident:
        """Do the task and commit what came of it; the incident that it is about.

        ``channel`` is None if its name isn't configured any more.
        """
        work = leased.task.work
        assert isinstance(work, Notify)  # noqa: S101 - the lane carries nothing else
        record = self._store.incident(work.incident_id)
        incident = record.incident
        previous = self._previous(work)
        if previous and previous.state is ReceiptState.DELIVERED and previous.news >= incident.news:
            self._store.commit(Commit(finished=leased))
        elif channel is None:
            self._hand_on(leased, incident, f"the channel '{work.channel}' is no longer configured")
        elif leased.receives > MAX_RECEIVES:
            self._bury(leased, incident, f"its worker was lost, or failed, {MAX_RECEIVES} times while delivering")
        elif previous and previous.retry_at and self._clock() < previous.retry_at and not leased.task.not_before:
            # The planned try will bring the channel up to date with this news, too.
            self._store.commit(Commit(finished=leased))
        elif (held := self._held.get(work.channel)) and self._clock() < held:
            self._postpone(leased, incident, previous, held)
        else:
            self._deliver(leased, channel, previous, self._message(leased, work, record))
        return incident

    def _previous(self, work: Notify) -> Receipt | None:
        receipts = self._store.receipts(work.incident_id)
        return next((receipt for receipt in receipts if receipt.channel == work.channel), None)

    def _message(self, leased: Leased, work: Notify, record: IncidentRecord) -> Message:
        incident = record.incident
        planned = leased.task.first_due or incident.news_at
        late = self._clock() - planned
        return Message(
            delivery_id=f"{incident.incident_id}.{work.channel}.{incident.news}",
            incident=incident,
            news=incident.news,
            event=incident.event,
            activity=record.activity,
            analysis=self._store.analysis(work.incident_id),
            timeline=self._store.timeline(work.incident_id),
            links=self._store.alert(incident.alert_id).alert.links,
            url=f"{self._public_url}/v1/incidents/{incident.incident_id}",
            doubtful=leased.receives > 1 or leased.task.doubtful,
            late_seconds=int(late.total_seconds()) if late > LATE else 0,
        )

    def _deliver(self, leased: Leased, channel: Channel, previous: Receipt | None, message: Message) -> None:
        try:
            delivered = channel.deliver(message, previous)
        except (Transient, Permanent) as error:
            self._failed(leased, message.incident, previous, error)
        else:
            self._delivered(leased, message, delivered)

    def _delivered(self, leased: Leased, message: Message, delivered: Delivered) -> None:
        now = self._clock()
        receipt = self._receipt(leased, message.incident, ReceiptState.DELIVERED, now, delivered)
        text = f"{message.event}{' (perhaps a repeat)' if message.doubtful else ''}"
        entry = TimelineEntry(at=now, event=Event.DELIVERED, channel=receipt.channel, text=text)
        self._store.commit(
            Commit(
                incident_id=message.incident.incident_id,
                entries=(entry,),
                receipt=receipt,
                settle="delivered",
                settle_news=message.news,
                finished=leased,
            )
        )
        self._count(leased, "delivered", "", message.incident)

    def _count(self, leased: Leased, result: str, reason: str, incident: Incident) -> None:
        self._observe(_channel(leased), result, reason, (self._clock() - incident.news_at).total_seconds())

    def _receipt(
        self, leased: Leased, incident: Incident, state: ReceiptState, at: datetime, delivered: Delivered,
        detail: str = "",
    ) -> Receipt:  # fmt: skip
        work = leased.task.work
        assert isinstance(work, Notify)  # noqa: S101
        return Receipt(
            channel=work.channel,
            state=state,
            news=incident.news,
            event=incident.event,
            at=at,
            reference=delivered.reference,
            url=delivered.url,
            attempts=leased.task.attempt,
            doubtful=leased.receives > 1 or leased.task.doubtful,
            detail=detail or delivered.detail,
        )

    def _failed(
        self, leased: Leased, incident: Incident, previous: Receipt | None, error: Transient | Permanent
    ) -> None:
        now = self._clock()
        task = again(leased.task, error, now, self._schedule, self._spread())
        self._count(leased, "retried" if task else "dead", type(error).__name__, incident)
        if task is None:
            self._bury(leased, incident, str(error))
            return
        assert task.not_before is not None  # noqa: S101
        if isinstance(error, Transient) and error.retry_after:
            self._held[_channel(leased)] = now + timedelta(seconds=error.retry_after)
        text = f"try {leased.task.attempt}: {error} Next try at {task.not_before:%H:%M:%S} UTC."
        entry = TimelineEntry(at=now, event=Event.DELIVERY_RETRIED, channel=_channel(leased), text=text)
        self._plan(leased, task, incident, previous, entry)

    def _postpone(self, leased: Leased, incident: Incident, previous: Receipt | None, until: datetime) -> None:
        """The other side asked for a pause: this try doesn't count, and comes after it."""
        planned = replace(leased.task, not_before=until, first_due=leased.task.first_due or self._clock())
        self._plan(leased, planned, incident, previous)

    def _plan(
        self, leased: Leased, task: Task, incident: Incident, previous: Receipt | None, *entries: TimelineEntry
    ) -> None:
        kept = Delivered(reference=previous.reference, url=previous.url) if previous else Delivered()
        receipt = replace(
            self._receipt(leased, incident, ReceiptState.RETRYING, self._clock(), kept),
            news=previous.news if previous and previous.state is not ReceiptState.DEAD else 0,
            retry_at=task.not_before,
        )
        self._store.commit(
            Commit(incident_id=incident.incident_id, entries=entries, tasks=(task,), receipt=receipt, finished=leased)
        )

    def _hand_on(self, leased: Leased, incident: Incident, reason: str) -> None:
        """Bury the task, and have those told who are configured now and haven't heard the news."""
        heard = {
            r.channel
            for r in self._store.receipts(incident.incident_id)
            if r.state is ReceiptState.DELIVERED and r.news >= incident.news
        }
        others = tuple(channel for channel in self._route(incident) if channel not in heard)
        self._bury(leased, incident, reason, notify(incident, others))

    def _bury(self, leased: Leased, incident: Incident, reason: str, tasks: tuple[Task, ...] = ()) -> None:
        """Keep the task as a dead letter; if no channel is left that could tell, the alerts are dead with it."""
        now = self._clock()
        previous = next((r for r in self._store.receipts(incident.incident_id) if r.channel == _channel(leased)), None)
        kept = Delivered(reference=previous.reference, url=previous.url) if previous else Delivered()
        receipt = self._receipt(leased, incident, ReceiptState.DEAD, now, kept, reason)
        entry = TimelineEntry(at=now, event=Event.DELIVERY_DIED, channel=receipt.channel, text=reason)
        # The receipt first: of two channels that die at once, the later one then sees the other.
        self._store.commit(Commit(incident_id=incident.incident_id, entries=(entry,), receipt=receipt))
        dead = {
            r.channel
            for r in self._store.receipts(incident.incident_id)
            if r.state is ReceiptState.DEAD and r.news >= incident.news
        }
        settle = "dead" if dead >= set(self._route(incident)) else ""
        self._store.commit(
            Commit(
                incident_id=incident.incident_id,
                settle=settle,
                settle_news=incident.news,
                tasks=tasks,
                letter=reason,
                finished=leased,
            )
        )


def _channel(leased: Leased) -> str:
    work = leased.task.work
    return work.channel if isinstance(work, Notify) else ""
