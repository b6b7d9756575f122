"""The store as plain dictionaries: for tests, and as the specification that can be run.

A write changes a copy, which takes the present state's place when nothing went wrong. So readers need no lock, see
whole writes only, and a refused write leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TypeVar
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from mcp_responder.model.alert import NEVER, Alert, Severity, Status
from mcp_responder.model.analysis import Analysis, CachedAnswer, Cost
from mcp_responder.model.errors import Conflict, InvalidRequest, LeaseLost, NotFound
from mcp_responder.model.incident import Activity, Incident, IncidentStatus, TimelineEntry
from mcp_responder.model.message import Receipt
from mcp_responder.model.task import DeadLetter, Leased, Task
from mcp_responder.ports import (
    CACHE_KEPT,
    LATE_RESOLVE_WINDOW,
    REORDER_WINDOW,
    SAME_BYTES_WINDOW,
    VISIBILITY,
    Accepted,
    AlertRecord,
    ApiKey,
    Clock,
    Cluster,
    Commit,
    Decide,
    HourCount,
    IncidentRecord,
    Incoming,
    LaneDepth,
    LedgerHour,
    Page,
    Query,
    Situation,
    Verdict,
)

POLL = 0.02
"""Seconds after which a waiting receiver looks again, because delays end and leases run out without a word."""

SETTLES = {"delivered": ("", "dead"), "dead": ("",)}
"""Outcome -> the outcomes that it takes the place of: a dead letter may be delivered after all."""

Item = TypeVar("Item")
Record = TypeVar("Record")


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    alert: Alert
    outcome: str
    """Empty while in flight."""
    incident_id: str
    news: int
    settled_at: datetime | None


class _Queued(msgspec.Struct, frozen=True, kw_only=True):
    task: Task
    due: datetime
    """Since or until when; with a handle the lease's end."""
    waits: bool
    """For ``due`` to come. A task that was due once stays so, even if the clock is set back."""
    receives: int = 0
    handle: str = ""

    def ready(self, now: datetime) -> bool:
        return not self.waits or self.due <= now

    def leased(self, now: datetime) -> bool:
        return bool(self.handle) and not self.ready(now)


class _State(msgspec.Struct, kw_only=True):
    """Everything that is remembered; dictionaries are in order of arrival, and what they hold is never changed."""

    alerts: dict[str, _Row] = {}
    recurrences: dict[str, str] = {}
    """Content id -> the newest alert with these bytes."""
    incidents: dict[str, Incident] = {}
    activities: dict[str, Activity] = {}
    firings: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    """(alarm, incident_id) -> its newest firing: the sender's time (NEVER for none), and ours."""
    resolves: dict[str, tuple[datetime, datetime]] = {}
    """Alarm -> its newest resolve: the sender's time, and ours."""
    timelines: dict[str, tuple[TimelineEntry, ...]] = {}
    analyses: dict[str, Analysis] = {}
    receipts: dict[tuple[str, str], Receipt] = {}
    tasks: dict[int, _Queued] = {}
    tasks_written: int = 0
    letters: tuple[DeadLetter, ...] = ()
    keys: dict[str, ApiKey] = {}
    cached: dict[str, CachedAnswer] = {}
    costs: dict[tuple[str, str], Cost] = {}

    def draft(self) -> _State:
        return _State(**{field: copy(getattr(self, field)) for field in self.__struct_fields__})

    # ------------------------------------------------------------------------------------------------------- accept

    def accept(self, incoming: Incoming, decide: Decide, now: datetime) -> Accepted:
        named = self._named(incoming)
        if named is None:
            alert_id = incoming.alert.alert_id
            stored = self.recurrences.get(alert_id, alert_id) if incoming.unstable else alert_id
            return Accepted(alert_id=stored, repeat=True, verdict=None)
        situation = self._situation(named)
        verdict = decide(named.alert, situation)
        ends = named.alert.status is Status.RESOLVED and not situation.fired_later
        self._apply(named, verdict, now, ends=ends)
        return Accepted(alert_id=named.alert.alert_id, repeat=False, verdict=verdict)

    def _named(self, incoming: Incoming) -> Incoming | None:
        """The alert under the name it is stored by; None if this event was here before."""
        alert = incoming.alert
        if alert.alert_id not in self.alerts:
            return incoming
        last = self.alerts[self.recurrences.get(alert.alert_id, alert.alert_id)].alert
        if not incoming.unstable or abs(alert.received_at - last.received_at) < SAME_BYTES_WINDOW:
            return None
        name = _recurrence(alert)
        self.recurrences[alert.alert_id] = name
        return replace(incoming, alert=replace(alert, alert_id=name))

    def _situation(self, incoming: Incoming) -> Situation:
        latest = [incident for incident in self.incidents.values() if incident.identity == incoming.identity][-1:]
        firing_in = self._firing_in(incoming.alarm) if incoming.alert.status is Status.RESOLVED else ()
        return Situation(
            latest=latest[0] if latest else None,
            firing_in=firing_in,
            others_firing=tuple(self._others_fire(incident, incoming.alarm) for incident in firing_in),
            resolved_later=incoming.alert.status is not Status.RESOLVED and self._resolved_later(incoming),
            fired_later=incoming.alert.status is Status.RESOLVED and self._fired_later(incoming),
        )

    def _firing_in(self, alarm: str) -> tuple[Incident, ...]:
        return tuple(i for i in self.incidents.values() if (alarm, i.incident_id) in self.firings)

    def _others_fire(self, incident: Incident, alarm: str) -> bool:
        return any(other != alarm for other, incident_id in self.firings if incident_id == incident.incident_id)

    def _resolved_later(self, incoming: Incoming) -> bool:
        resolve, fired = self.resolves.get(incoming.alarm), incoming.alert.own_time
        if resolve is None or fired is None:
            return False
        at, received = resolve
        return fired < at and incoming.alert.received_at - received < REORDER_WINDOW

    def _fired_later(self, incoming: Incoming) -> bool:
        ended = incoming.alert.own_time
        # Without an id several senders may share the alarm, and each has a clock of its own.
        return (
            ended is not None
            and bool(incoming.alert.source_id)
            and any(
                at > ended and incoming.alert.received_at - received < LATE_RESOLVE_WINDOW
                for (alarm, _), (at, received) in self.firings.items()
                if alarm == incoming.alarm
            )
        )

    def _apply(self, incoming: Incoming, verdict: Verdict, now: datetime, *, ends: bool) -> None:
        alert, incident_id = incoming.alert, verdict.incident_id
        for incident in verdict.changed:
            self._change(incident)
        self.alerts[alert.alert_id] = _Row(
            alert=alert,
            outcome=verdict.outcome,
            incident_id=incident_id,
            news=verdict.changed[0].news if verdict.changed else 0,
            settled_at=alert.received_at if verdict.outcome else None,
        )
        if incident_id:
            self._count(self._incident(incident_id).incident_id, alert.received_at)
        if verdict.firing:
            self._fire((incoming.alarm, incident_id), alert)
        if ends:
            self._end_firings(incoming)
        self._write(verdict.entries, verdict.tasks, now)

    def _count(self, incident_id: str, at: datetime) -> None:
        activity = self.activities[incident_id]
        self.activities[incident_id] = replace(
            activity, alerts=activity.alerts + 1, last_seen=max(activity.last_seen, at)
        )

    def _fire(self, firing: tuple[str, str], alert: Alert) -> None:
        at, known = alert.own_time or NEVER, self.firings.get(firing)
        if known is None or at > known[0]:
            self.firings[firing] = (at, alert.received_at)

    def _end_firings(self, incoming: Incoming) -> None:
        self.firings = {firing: times for firing, times in self.firings.items() if firing[0] != incoming.alarm}
        alert, known = incoming.alert, self.resolves.get(incoming.alarm)
        ended = alert.own_time
        if ended is None:
            return
        # A resolve that comes late must not hide a newer one that still counts.
        if known and known[0] > ended and alert.received_at - known[1] < REORDER_WINDOW:
            return
        self.resolves[incoming.alarm] = (ended, alert.received_at)

    def _incident(self, incident_id: str) -> Incident:
        if incident_id not in self.incidents:
            raise NotFound("incident", incident_id)
        return self.incidents[incident_id]

    def _change(self, incident: Incident) -> None:
        self.incidents[incident.incident_id] = incident
        self.activities.setdefault(incident.incident_id, Activity())
        if incident.status is IncidentStatus.RESOLVED:
            self.firings = {
                firing: times for firing, times in self.firings.items() if firing[1] != incident.incident_id
            }

    def _write(self, entries: Iterable[tuple[str, TimelineEntry]], tasks: Iterable[Task], now: datetime) -> None:
        for incident_id, entry in entries:
            self.timelines[incident_id] = (*self.timelines.get(incident_id, ()), entry)
        for task in tasks:
            self.tasks_written += 1
            due = task.not_before or now
            self.tasks[self.tasks_written] = _Queued(task=task, due=due, waits=due > now)

    # ------------------------------------------------------------------------------------------------------- commit

    def commit(self, commit: Commit, now: datetime) -> None:
        incident_id = commit.incident.incident_id if commit.incident else commit.incident_id
        if commit.incident:
            self._check_version(commit.incident)
            self._change(commit.incident)
        if commit.finished:
            self._finish(commit.finished, commit.letter, now)
        if incident_id:
            self._write_results(self._incident(incident_id).incident_id, commit, now)
        elif commit.alert_id and commit.settle:
            self._settle_alert(commit, now)
        self._write([(incident_id, entry) for entry in commit.entries], commit.tasks, now)

    def _check_version(self, incident: Incident) -> None:
        stored = self.incidents.get(incident.incident_id)
        version = stored.version if stored else 0
        if incident.version != version + 1:
            raise Conflict(f"{incident.incident_id} is at version {version}, not {incident.version - 1}")

    def _finish(self, leased: Leased, letter: str, now: datetime) -> None:
        number = self.held(leased, now)
        if number is None:
            raise LeaseLost("the lease of this task was lost")
        done = self.tasks.pop(number)
        if letter:
            name = f"dl_{len(self.letters) + 1}"
            dead = DeadLetter(letter_id=name, task=done.task, reason=letter, died_at=now, receives=done.receives)
            self.letters += (dead,)

    def _settle_alert(self, commit: Commit, now: datetime) -> None:
        row = self.alerts.get(commit.alert_id)
        if row and not row.incident_id and not row.outcome:
            self.alerts[commit.alert_id] = replace(row, outcome=commit.settle, settled_at=now)

    def _write_results(self, incident_id: str, commit: Commit, now: datetime) -> None:
        if commit.analysis:
            self.analyses[incident_id] = commit.analysis
        if commit.receipt:
            self.receipts[incident_id, commit.receipt.channel] = commit.receipt
        for alert_id, row in self.alerts.items() if commit.settle else ():
            told = row.incident_id == incident_id and row.news <= commit.settle_news
            if told and row.outcome in SETTLES[commit.settle]:
                self.alerts[alert_id] = replace(row, outcome=commit.settle, settled_at=now)

    # -------------------------------------------------------------------------------------------------------- queue

    def held(self, leased: Leased, now: datetime) -> int | None:
        """The number of a task that is still in this holder's hands."""
        return next((n for n, q in self.tasks.items() if q.handle == leased.handle and q.leased(now)), None)

    def lease(self, number: int, until: datetime) -> Leased:
        queued = self.tasks[number]
        held = replace(queued, due=until, waits=True, receives=queued.receives + 1, handle=f"{number}:{uuid4().hex}")
        self.tasks[number] = held
        return Leased(task=held.task, handle=held.handle, receives=held.receives, until=until)

    def due(self, lane: str, now: datetime) -> list[int]:
        """Numbers of the tasks of a lane that may be received, one a group, best first."""
        numbers = [n for n, q in self.tasks.items() if q.task.work.lane == lane and q.ready(now)]
        busy = {q.task.group for q in self.tasks.values() if q.leased(now)}
        found: list[int] = []
        for number in sorted(numbers, key=lambda n: (self.tasks[n].task.severity.rank, n)):
            group = self.tasks[number].task.group
            if group not in busy:
                busy.add(group)
                found.append(number)
        return found


class MemoryStore:
    """Every port of a store in memory; durable until the process ends."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._state = _State()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[_State]:
        with self._changed:
            draft = self._state.draft()
            yield draft
            self._state = draft
            self._changed.notify_all()

    # -------------------------------------------------------------------------------------------------------- verbs

    def accept(self, batch: Sequence[Incoming], decide: Decide) -> list[Accepted]:
        with self._writing() as state:
            return [state.accept(incoming, decide, self._clock()) for incoming in batch]

    def commit(self, commit: Commit) -> None:
        with self._writing() as state:
            state.commit(commit, self._clock())

    def receive(self, lane: str, limit: int, wait: float) -> list[Leased]:
        deadline = time.monotonic() + wait
        with self._changed:
            while True:
                leased = self._lease(lane, limit)
                left = deadline - time.monotonic()
                if leased or left <= 0:
                    return leased
                self._changed.wait(min(left, POLL))

    def _lease(self, lane: str, limit: int) -> list[Leased]:
        now = self._clock()
        numbers = self._state.due(lane, now)[:limit]
        if not numbers:
            return []
        with self._writing() as state:
            return [state.lease(number, now + VISIBILITY) for number in numbers]

    def release(self, leased: Leased, *, counts: bool = False) -> None:
        with self._writing() as state:
            now = self._clock()
            number = state.held(leased, now)
            if number is not None:
                queued = state.tasks[number]
                receives = queued.receives if counts else queued.receives - 1
                state.tasks[number] = replace(queued, due=now, waits=False, receives=receives, handle="")

    def put_key(self, key: ApiKey) -> None:
        with self._writing() as state:
            rivals = [other for other in state.keys.values() if other.name == key.name and other.hash != key.hash]
            if not key.replaced and any(not other.replaced for other in rivals):
                raise Conflict(f"there is a key '{key.name}' already")
            state.keys[key.hash] = key

    def delete_keys(self, name: str) -> int:
        with self._writing() as state:
            kept = {hash_: key for hash_, key in state.keys.items() if key.name != name}
            forgotten = len(state.keys) - len(kept)
            state.keys = kept
            return forgotten

    def cache_answer(self, cached: CachedAnswer) -> None:
        with self._writing() as state:
            oldest = self._clock() - CACHE_KEPT
            state.cached = {key: kept for key, kept in state.cached.items() if kept.at >= oldest}
            state.cached[cached.key] = cached

    def book(self, cost: Cost) -> None:
        with self._writing() as state:
            booked = state.costs.get((cost.day, cost.model))
            state.costs[cost.day, cost.model] = booked + cost if booked else cost

    # ---------------------------------------------------------------------------------------------------- questions

    def alert(self, alert_id: str) -> AlertRecord:
        state = self._state
        if alert_id not in state.alerts:
            raise NotFound("alert", alert_id)
        return _alert_record(state, state.alerts[alert_id])

    def alerts(self, query: Query) -> Page[AlertRecord]:
        state = self._state
        rows = [row if _alert_matches(row, query) else None for row in state.alerts.values()]
        return _page(rows, query, lambda row: _alert_record(state, row))

    def incident(self, incident_id: str) -> IncidentRecord:
        state = self._state
        if incident_id not in state.incidents:
            raise NotFound("incident", incident_id)
        return _incident_record(state, state.incidents[incident_id])

    def incidents(self, query: Query) -> Page[IncidentRecord]:
        state = self._state
        rows = [incident if _incident_matches(incident, query) else None for incident in state.incidents.values()]
        return _page(rows, query, lambda incident: _incident_record(state, incident))

    def timeline(self, incident_id: str) -> tuple[TimelineEntry, ...]:
        return self._state.timelines.get(incident_id, ())

    def analysis(self, incident_id: str) -> Analysis | None:
        return self._state.analyses.get(incident_id)

    def receipts(self, incident_id: str) -> tuple[Receipt, ...]:
        found = {channel: r for (of, channel), r in self._state.receipts.items() if of == incident_id}
        return tuple(found[channel] for channel in sorted(found))

    def incident_of(self, channel: str, reference: str) -> str:
        for (incident_id, of), receipt in self._state.receipts.items():
            if reference and of == channel and receipt.reference == reference:
                return incident_id
        raise NotFound("incident of", reference)

    def history(self, signature: str, since: datetime) -> tuple[HourCount, ...]:
        firings = _firings(self._state, since)
        hours = Counter(_hour(alert.received_at) for alert in firings if alert.signature == signature)
        return tuple(HourCount(hour=hour, count=count) for hour, count in sorted(hours.items()))

    def similar(self, severity: Severity, since: datetime, limit: int) -> tuple[Cluster, ...]:
        state = self._state
        clusters: dict[tuple[str, str], list[Alert]] = {}
        for alert in _firings(state, since):
            if alert.severity is severity:
                clusters.setdefault((alert.signature, alert.service), []).append(alert)
        largest = sorted(clusters.values(), key=len, reverse=True)
        return tuple(_cluster(state, alike) for alike in largest[:limit])

    def ledger(self, since: datetime) -> tuple[LedgerHour, ...]:
        hours: dict[datetime, Counter[str]] = {}
        for row in self._state.alerts.values():
            hour = _hour(row.alert.received_at)
            if hour >= _hour(since):
                hours.setdefault(hour, Counter())[row.outcome] += 1
        return tuple(_ledger_hour(hour, outcomes) for hour, outcomes in sorted(hours.items()))

    def depth(self) -> Mapping[str, LaneDepth]:
        now, lanes = self._clock(), dict[str, list[_Queued]]()
        for queued in self._state.tasks.values():
            lanes.setdefault(queued.task.work.lane, []).append(queued)
        return {lane: _lane_depth(waiting, now) for lane, waiting in lanes.items()}

    def dead_letters(self, limit: int) -> tuple[DeadLetter, ...]:
        return self._state.letters[::-1][:limit]

    def cached_answer(self, key: str) -> CachedAnswer | None:
        return self._state.cached.get(key)

    def costs(self, since: str) -> tuple[Cost, ...]:
        return tuple(cost for (day, _), cost in sorted(self._state.costs.items()) if day >= since)

    def keys(self) -> tuple[ApiKey, ...]:
        return tuple(sorted(self._state.keys.values(), key=lambda key: key.name))


def _recurrence(alert: Alert) -> str:
    """The name of bytes that came again; it follows from what and when, so that a second try finds the same."""
    milliseconds = int(alert.received_at.timestamp()) * 1000 + alert.received_at.microsecond // 1000
    return blake2b(f"{alert.alert_id}@{milliseconds}".encode(), digest_size=12).hexdigest()


def _alert_record(state: _State, row: _Row) -> AlertRecord:
    incident = state.incidents.get(row.incident_id)
    return AlertRecord(
        alert=row.alert,
        outcome=row.outcome or "in_flight",
        incident_id=row.incident_id,
        incident_status=incident.status if incident else None,
        settled_at=row.settled_at,
    )


def _incident_record(state: _State, incident: Incident) -> IncidentRecord:
    firing = sum(incident_id == incident.incident_id for _, incident_id in state.firings)
    return IncidentRecord(incident=incident, activity=replace(state.activities[incident.incident_id], firing=firing))


def _alert_matches(row: _Row, query: Query) -> bool:
    of_incident = not query.incident_id or row.incident_id == query.incident_id
    return of_incident and _matches(row.alert, row.alert.received_at, query)


def _incident_matches(incident: Incident, query: Query) -> bool:
    return _matches(incident, incident.opened_at, query)


def _matches(thing: Alert | Incident, at: datetime, query: Query) -> bool:
    return (
        query.status in ("", thing.status)
        and query.severity in (None, thing.severity)
        and query.source in ("", thing.source)
        and query.service in ("", thing.service)
        and (query.since is None or at >= query.since)
        and (query.until is None or at < query.until)
        and (not query.words or _has_words(thing, query.words))
    )


def _has_words(thing: Alert | Incident, words: Iterable[str]) -> bool:
    wanted = _words(" ".join(words))
    return bool(wanted) and wanted <= _words(f"{thing.title} {thing.service} {thing.resource}")


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _page(rows: Sequence[Item | None], query: Query, record: Callable[[Item], Record]) -> Page[Record]:
    """Rows that don't match are None, so that a cursor is a place in the list of all."""
    before = _place(query.cursor) if query.cursor else len(rows)
    found = [(place, row) for place, row in enumerate(rows[:before]) if row is not None][::-1]
    kept = found[: query.limit]
    items = tuple(record(row) for _, row in kept)
    return Page(items=items, next=str(kept[-1][0]) if len(found) > query.limit else None)


def _place(cursor: str) -> int:
    if not re.fullmatch("[0-9]{1,12}", cursor):
        raise InvalidRequest("bad_cursor", "'cursor' must be the 'next' of an earlier answer.", status=422)
    return int(cursor)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _firings(state: _State, since: datetime) -> list[Alert]:
    """Patterns are kept by the hour, so ``since`` means its whole hour."""
    alerts = [row.alert for row in state.alerts.values()]
    return [a for a in alerts if a.status is Status.FIRING and _hour(a.received_at) >= _hour(since)]


def _cluster(state: _State, alike: Sequence[Alert]) -> Cluster:
    first = alike[0]
    incidents = [i for i in state.incidents.values() if i.signature == first.signature and i.service == first.service]
    return Cluster(
        signature=first.signature,
        service=first.service,
        title=max((incident.title for incident in incidents), default=""),
        count=len(alike),
        incidents=len(incidents),
        last_seen=max(_hour(alert.received_at) for alert in alike),
    )


def _ledger_hour(hour: datetime, outcomes: Counter[str]) -> LedgerHour:
    return LedgerHour(
        hour=hour,
        received=outcomes.total(),
        delivered=outcomes["delivered"],
        merged=outcomes["merged"],
        suppressed={o.removeprefix("suppressed:"): n for o, n in outcomes.items() if o.startswith("suppressed:")},
        dead=outcomes["dead"],
        in_flight=outcomes[""],
    )


def _lane_depth(waiting: Sequence[_Queued], now: datetime) -> LaneDepth:
    ready = [queued.due for queued in waiting if queued.ready(now)]
    leased = sum(queued.leased(now) for queued in waiting)
    return LaneDepth(
        ready=len(ready),
        delayed=len(waiting) - len(ready) - leased,
        leased=leased,
        oldest=max(timedelta(), now - min(ready, default=now)) / timedelta(seconds=1),
    )
