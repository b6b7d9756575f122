"""Bring one channel up to date with one incident, and keep the receipt."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from mcp_responder.model import incident as changes
from mcp_responder.model.errors import Conflict, LeaseLost, Permanent, Transient
from mcp_responder.model.incident import Event, Incident, TimelineEntry, summary
from mcp_responder.model.message import Digest, Message, Receipt, ReceiptState
from mcp_responder.model.task import Leased, Notify, Task
from mcp_responder.pipeline.correlate import Route, notify
from mcp_responder.pipeline.digest import Storm, shared
from mcp_responder.pipeline.remind import Reminders
from mcp_responder.pipeline.retry import Breaker, Schedule, again
from mcp_responder.plumbing.redaction import redacted
from mcp_responder.plumbing.text import cut
from mcp_responder.ports import (
    MAX_RECEIVES,
    Channel,
    Clock,
    Commit,
    Delivered,
    IncidentRecord,
    IncidentStore,
    TaskQueue,
)

Observe = Callable[[str, str, str, float], None]
"""Told of each try: channel, result (delivered, retried, dead), class of the error, seconds since the news."""
MOST_AT_ONCE = 500
"""Tasks that are taken together into a digest."""
LONGEST_REASON = 200
LATE = timedelta(minutes=1)
"""A delivery later than this says so."""


class Store(IncidentStore, TaskQueue, Protocol):
    """What the notifier needs of a home."""


class Manners(msgspec.Struct, frozen=True, kw_only=True):
    """How people are told."""

    schedule: Schedule = Schedule()
    patience: timedelta = timedelta(minutes=5)
    """How long a channel may fail until a page is told by the fallback of its route."""
    alone: int = 10
    """New incidents that a channel is told one by one in a minute; those beyond share one message. 0: all of them."""
    reminders: Reminders = Reminders()


def nobody(_: Incident) -> tuple[str, ...]:
    """A route to no channel."""
    return ()


class Notifier:
    """Works on Notify tasks.

    ``fallback`` says who is told in place of a channel that can't be. ``spread`` gives a random number between 0 and 1
    for the waits between tries.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        manners: Manners,
        route: Route,
        public_url: str,
        spread: Callable[[], float],
        observe: Observe,
        fallback: Route = nobody,
    ) -> None:
        self._store = store
        self._clock = clock
        self._manners = manners
        self._route = route
        self._fallback = fallback
        self._public_url = public_url
        self._spread = spread
        self._observe = observe
        self._breakers: dict[str, Breaker] = {}
        self._storms: dict[str, Storm] = {}

    def notify(self, leased: Leased, channel: Channel | None) -> Incident:
        """Do the task and commit what came of it; the incident that it is about.

        ``channel`` is None if its name isn't configured any more.
        """
        work = leased.task.work
        assert isinstance(work, Notify)  # noqa: S101 - the lane carries nothing else
        record = self._store.incident(work.incident_id)
        incident = record.incident
        previous = self._previous(work)
        if channel is None and not _up_to_date(incident, previous):
            self._hand_on(leased, incident, f"the channel '{work.channel}' is no longer configured")
        elif channel and not self._done(leased, incident, previous):
            self._tell(leased, channel, record, previous)
        return incident

    def _done(self, leased: Leased, incident: Incident, previous: Receipt | None) -> bool:
        """Whether nothing has to be told by this task, which is finished then."""
        if _up_to_date(incident, previous):
            self._store.commit(Commit(finished=leased))
        elif leased.receives > MAX_RECEIVES:
            self._bury(leased, incident, f"its worker was lost, or failed, {MAX_RECEIVES} times while delivering")
        elif previous and previous.retry_at and self._clock() < previous.retry_at and not leased.task.not_before:
            # The planned try will bring the channel up to date with this news, too.
            self._store.commit(Commit(finished=leased))
        else:
            return False
        return True

    def _tell(self, leased: Leased, channel: Channel, record: IncidentRecord, previous: Receipt | None) -> None:
        incident, now = record.incident, self._clock()
        storm = self._storms.setdefault(channel.name, Storm(self._manners.alone))
        if storm.takes(incident, previous, now):
            until = self._breaker(leased).wait(now)
            busy = None if until else storm.begin(now)
            if busy:
                self._postpone(leased, incident, previous, busy)
            elif not until:
                self._tell_storm(leased, channel, storm)
        else:
            until = self._breaker(leased).wait(now)
            if not until:
                self._deliver(leased, channel, previous, self._message(leased, record, previous))
        if until:
            self._missed(leased, incident)
            self._postpone(leased, incident, previous, until)

    def _breaker(self, leased: Leased) -> Breaker:
        return self._breakers.setdefault(_channel(leased), Breaker(self._manners.schedule))

    def _previous(self, work: Notify) -> Receipt | None:
        receipts = self._store.receipts(work.incident_id)
        return next((receipt for receipt in receipts if receipt.channel == work.channel), None)

    def _message(self, leased: Leased, record: IncidentRecord, previous: Receipt | None) -> Message:
        incident, channel = record.incident, _channel(leased)
        timeline = self._store.timeline(incident.incident_id)
        rerouted = (entry for entry in reversed(timeline) if entry.event is Event.REROUTED and entry.channel == channel)
        entry = None if previous and previous.news else next(rerouted, None)
        return Message(
            delivery_id=f"{incident.incident_id}.{channel}.{incident.news}",
            incident=incident,
            news=incident.news,
            event=incident.event,
            activity=record.activity,
            analysis=self._store.analysis(incident.incident_id),
            timeline=timeline,
            links=self._store.alert(incident.alert_id).alert.links,
            url=f"{self._public_url}/v1/incidents/{incident.incident_id}",
            doubtful=_doubtful(leased),
            late_seconds=self._late_seconds(leased, incident),
            instead=entry.text if entry else "",
        )

    def _late_seconds(self, leased: Leased, incident: Incident) -> int:
        late = self._clock() - (leased.task.first_due or incident.news_at)
        return int(late.total_seconds()) if late > LATE else 0

    def _deliver(self, leased: Leased, channel: Channel, previous: Receipt | None, message: Message) -> None:
        try:
            delivered = self._try(leased, channel, message, previous)
        except (Transient, Permanent) as error:
            self._failed(leased, message.incident, previous, error)
        else:
            self._delivered(leased, message.incident, delivered)

    def _try(self, leased: Leased, channel: Channel, message: Message, previous: Receipt | None) -> Delivered:
        """One call of the channel, of which its breaker learns. Raises Transient or Permanent."""
        breaker = self._breaker(leased)
        try:
            delivered = channel.deliver(redacted(message), previous)
        except Transient as error:
            breaker.failed(self._clock(), error.retry_after)
            raise
        except Permanent:
            breaker.worked()
            raise
        breaker.worked()
        return delivered

    def _delivered(self, leased: Leased, incident: Incident, delivered: Delivered, digest: str = "") -> None:
        now = self._clock()
        receipt = replace(self._receipt(leased, incident, ReceiptState.DELIVERED, now, delivered), digest=digest)
        where = ", in a digest" if digest else ""
        doubt = " (perhaps a repeat)" if receipt.doubtful else ""
        detail = f": {delivered.detail}" if delivered.detail else ""
        text = f"{incident.event}{where}{doubt}{detail}"
        entry = TimelineEntry(at=now, event=Event.DELIVERED, channel=receipt.channel, text=text)
        self._store.commit(
            Commit(
                incident_id=incident.incident_id,
                entries=(entry,),
                receipt=receipt,
                settle="delivered",
                settle_news=incident.news,
                tasks=self._reminders_of(incident),
                finished=leased,
            )
        )
        self._count(leased, "delivered", "", incident)

    def _reminders_of(self, incident: Incident) -> tuple[Task, ...]:
        """A reminder with the first channel that has told the news."""
        planned = self._manners.reminders.planned(incident)
        told = planned and any(_up_to_date(incident, one) for one in self._store.receipts(incident.incident_id))
        return () if told else planned

    # ------------------------------------------------------------------------------------------------------- a storm

    def _tell_storm(self, leased: Leased, channel: Channel, storm: Storm) -> None:
        """Tell what waits for this channel and has no message of its own in one message, and keep a receipt of each."""
        taken = [leased]
        told: tuple[Digest, Receipt] | None = None
        try:
            taken += self._store.receive(leased.task.work.lane, MOST_AT_ONCE, 0)
            members = [member for other in taken if (member := self._member(other))]
            if members:
                told = self._tell_members(members, channel, storm)
        except BaseException:
            # The worker gives back the first; of the others it knows nothing.
            for other in taken[1:]:
                self._store.release(other, counts=True)
            raise
        finally:
            storm.end(self._clock(), told)

    def _tell_members(
        self, members: Sequence[_Member], channel: Channel, storm: Storm
    ) -> tuple[Digest, Receipt] | None:
        """What was told, and the receipt of all of it; None if it failed."""
        digest = storm.draft(summary(one.record.incident, one.record.activity) for one in members)
        worst = min(members, key=lambda one: (one.record.incident.severity.rank, one.record.incident.opened_at))
        message = self._digest_message(members, worst, storm.edition, digest)
        try:
            delivered = self._try(worst.leased, channel, message, storm.receipt)
        except (Transient, Permanent) as error:
            failure = error
            self._each(members, lambda one: self._failed(one.leased, one.record.incident, one.previous, failure))
            return None
        receipt = self._receipt(worst.leased, message.incident, ReceiptState.DELIVERED, self._clock(), delivered)
        shown = Delivered(url=delivered.url)
        self._each(members, lambda one: self._delivered(one.leased, one.record.incident, shown, storm.name))
        return digest, receipt

    def _member(self, leased: Leased) -> _Member | None:
        """What a task adds to the digest; None if it is done, or given back because it is about something else."""
        work = leased.task.work
        assert isinstance(work, Notify)  # noqa: S101 - the lane carries nothing else
        record, previous = self._store.incident(work.incident_id), self._previous(work)
        if not shared(record.incident, previous):
            self._store.release(leased)
        elif not self._done(leased, record.incident, previous):
            return _Member(leased, record, previous)
        return None

    def _each(self, members: Sequence[_Member], act: Callable[[_Member], None]) -> None:
        for member in members:
            # What one task has lost is no reason to tell the others again.
            with contextlib.suppress(LeaseLost):
                act(member)

    def _digest_message(self, members: Sequence[_Member], worst: _Member, edition: str, digest: Digest) -> Message:
        incident = worst.record.incident
        return Message(
            delivery_id=f"{edition}.{_channel(worst.leased)}",
            incident=incident,
            news=incident.news,
            event=incident.event,
            activity=worst.record.activity,
            analysis=None,
            url=f"{self._public_url}/v1/incidents",
            doubtful=any(_doubtful(one.leased) for one in members),
            late_seconds=max(self._late_seconds(one.leased, one.record.incident) for one in members),
            digest=digest,
        )

    # ------------------------------------------------------------------------------------------------------ failures

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
        task = again(leased.task, error, now, self._manners.schedule, self._spread())
        self._count(leased, "retried" if task else "dead", type(error).__name__, incident)
        if task is None:
            self._bury(leased, incident, str(error))
            return
        assert task.not_before is not None  # noqa: S101
        self._missed(leased, incident)
        task = replace(task, not_before=min(task.not_before, self._deadline(task, incident, now) or task.not_before))
        text = f"try {leased.task.attempt}: {error} Next try at {task.not_before:%H:%M:%S} UTC."
        entry = TimelineEntry(at=now, event=Event.DELIVERY_RETRIED, channel=_channel(leased), text=text)
        self._plan(leased, task, incident, previous, entry)

    def _postpone(self, leased: Leased, incident: Incident, previous: Receipt | None, until: datetime) -> None:
        """The channel isn't to be asked before: this try doesn't count, and comes then."""
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
            digest=previous.digest if previous else "",
        )
        self._store.commit(
            Commit(incident_id=incident.incident_id, entries=entries, tasks=(task,), receipt=receipt, finished=leased)
        )

    def _hand_on(self, leased: Leased, incident: Incident, reason: str) -> None:
        """Bury the task, and have those told who are configured now and haven't heard the news."""
        heard = {r.channel for r in self._store.receipts(incident.incident_id) if _up_to_date(incident, r)}
        others = tuple(channel for channel in self._route(incident) if channel not in heard)
        self._bury(leased, incident, reason, notify(incident, others))

    def _deadline(self, task: Task, incident: Incident, now: datetime) -> datetime | None:
        """When the fallback is to be told, if that is still to come."""
        due = (task.first_due or now) + self._manners.patience
        return due if incident.severity.pages and now < due and self._fallback(incident) else None

    def _missed(self, leased: Leased, incident: Incident) -> None:
        """A page that its channel hasn't got for long is told elsewhere, too."""
        failing = self._breaker(leased).failing_since
        since = min(filter(None, (failing, leased.task.first_due)), default=None)
        if since and incident.severity.pages and self._clock() - since >= self._manners.patience:
            self._reroute(incident, f"{_channel(leased)} couldn't be reached since {since:%H:%M} UTC")

    def _reroute(self, incident: Incident, reason: str) -> None:
        """Have the fallback told who isn't told of the incident anyway; once for each incident."""
        while True:
            incident = self._store.incident(incident.incident_id).incident
            others = tuple(channel for channel in self._fallback(incident) if channel not in incident.channels)
            if not others:
                return
            now, text = self._clock(), f"{reason}; told here instead."
            entries = tuple(TimelineEntry(at=now, event=Event.REROUTED, channel=one, text=text) for one in others)
            changed = changes.reroute(incident, others)
            try:
                self._store.commit(Commit(incident=changed, entries=entries, tasks=notify(changed, others)))
            except Conflict:
                continue
            return

    def _bury(self, leased: Leased, incident: Incident, reason: str, tasks: tuple[Task, ...] = ()) -> None:
        """Keep the task as a dead letter; if no channel is left that could tell, the alerts are dead with it."""
        now = self._clock()
        previous = next((r for r in self._store.receipts(incident.incident_id) if r.channel == _channel(leased)), None)
        kept = Delivered(reference=previous.reference, url=previous.url) if previous else Delivered()
        receipt = self._receipt(leased, incident, ReceiptState.DEAD, now, kept, reason)
        entry = TimelineEntry(at=now, event=Event.DELIVERY_DIED, channel=receipt.channel, text=reason)
        self._reroute(incident, f"{receipt.channel} didn't take it ({cut(reason.rstrip('.'), LONGEST_REASON)})")
        # The receipt first: of two channels that die at once, the later one then sees the other.
        self._store.commit(Commit(incident_id=incident.incident_id, entries=(entry,), receipt=receipt))
        dead = {
            r.channel
            for r in self._store.receipts(incident.incident_id)
            if r.state is ReceiptState.DEAD and r.news >= incident.news
        }
        wanted = self._store.incident(incident.incident_id).incident.channels or self._route(incident)
        settle = "dead" if dead >= set(wanted) else ""
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


class _Member(NamedTuple):
    """An incident of a digest, and the task to tell it."""

    leased: Leased
    record: IncidentRecord
    previous: Receipt | None


def _up_to_date(incident: Incident, receipt: Receipt | None) -> bool:
    return receipt is not None and receipt.state is ReceiptState.DELIVERED and receipt.news >= incident.news


def _doubtful(leased: Leased) -> bool:
    """Whether an earlier try was cut off and may have arrived."""
    return leased.receives > 1 or leased.task.doubtful


def _channel(leased: Leased) -> str:
    work = leased.task.work
    return work.channel if isinstance(work, Notify) else ""
