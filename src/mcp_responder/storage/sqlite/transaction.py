"""What happens inside one SQLite transaction of the writer: many accepts and commits, written as one.

What a group of requests changes together (counts, incidents, the ledger) is gathered in memory and written once at the
end by ``flush``; incidents that are touched often stay cached between transactions. All of it belongs to the writer's
thread alone. After a rollback the cache no longer tells the truth: call ``forget``.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import msgspec

from mcp_responder.model.alert import SEVERITY_RANK, Alert, Status
from mcp_responder.model.analysis import CachedAnswer, Cost
from mcp_responder.model.errors import Conflict, LeaseLost, NotFound, ResponderError
from mcp_responder.model.incident import Incident, IncidentStatus, TimelineEntry
from mcp_responder.model.task import DeadLetter, Leased, Task
from mcp_responder.ports import (
    CACHE_KEPT,
    LATE_RESOLVE_WINDOW,
    REORDER_WINDOW,
    SAME_BYTES_WINDOW,
    Accepted,
    ApiKey,
    Commit,
    Decide,
    Incoming,
    Situation,
    Verdict,
)
from mcp_responder.storage.sqlite.database import HOUR_MS, from_ms, insert, to_ms

READY, DELAYED, LEASED = 0, 1, 2
LOOK_UP = 512
MOST_FIRING = 64
CACHED_INCIDENTS = 4096
CACHED_RESOLVES = 10_000
LATE_RESOLVE_MS = int(LATE_RESOLVE_WINDOW / timedelta(milliseconds=1))
REORDER_MS = int(REORDER_WINDOW / timedelta(milliseconds=1))
CACHE_KEPT_MS = int(CACHE_KEPT / timedelta(milliseconds=1))
SAME_BYTES_MS = int(SAME_BYTES_WINDOW / timedelta(milliseconds=1))

encode = msgspec.json.Encoder().encode
decode_incident = msgspec.json.Decoder(Incident).decode
decode_task = msgspec.json.Decoder(Task).decode
decode_key = msgspec.json.Decoder(ApiKey).decode
decode_cost = msgspec.json.Decoder(Cost).decode


class HalfWritten(Exception):
    """A batch was refused after some of it was written: the transaction must be undone."""

    def __init__(self, refusal: ResponderError) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class Known:
    """An incident as the writer knows it, with what this transaction has added to it."""

    __slots__ = ("alerts", "changed", "firing", "incident", "last_seen", "new", "seq")

    def __init__(self, seq: int, incident: Incident, *, new: bool) -> None:
        self.seq = seq
        self.incident = incident
        self.new = new
        self.changed = new
        self.alerts = 0
        self.last_seen = 0
        self.firing: set[str] = set()
        """Some of the alarms without an id of their own that are known to fire."""


class Transaction:
    """The verbs of the store over one open SQLite transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.forget()

    def forget(self) -> None:
        """Read anew what is kept between transactions."""
        self._next = {
            table: int(self._db.execute(f"SELECT coalesce(max(seq), 0) + 1 FROM {table}").fetchone()[0])  # noqa: S608
            for table in ("alerts", "incidents", "timeline", "tasks", "dead_letters")
        }
        self._identities: OrderedDict[str, Known] = OrderedDict()
        self._incidents: dict[str, Known] = {}
        self._resolves: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._remember_resolves()
        self._start()

    def _start(self) -> None:
        self._touched: dict[int, Known] = {}
        self._stored: set[str] = set()
        self._absent: set[str] = set()
        """Identities that are known to have no incident, unless one is opened now."""
        self._firings: list[tuple[bytes, int, int, int]] = []
        self._alerts: list[tuple[object, ...]] = []
        self._bodies: list[tuple[int, bytes]] = []
        self._lines: list[tuple[int, int, bytes]] = []
        self._tasks: list[tuple[object, ...]] = []
        self._counts: Counter[tuple[int, str]] = Counter()
        self._patterns: Counter[tuple[int, int, str, str]] = Counter()
        self.lanes_fed: set[str] = set()
        """Lanes that got a task which is due."""
        self.next_due: int | None = None
        """The earliest end of a delay that this transaction has set, in milliseconds."""

    def _number(self, table: str) -> int:
        number = self._next[table]
        self._next[table] = number + 1
        return number

    def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._start()

    # ------------------------------------------------------------------------------------------------------- accept

    def look_up(self, batch: Sequence[Incoming]) -> None:
        """Find out, for everybody's alerts at once, which were here before and which incidents they may belong to."""
        stored = self._select("SELECT alert_id FROM alerts WHERE alert_id IN", [i.alert.alert_id for i in batch])
        self._stored.update(alert_id.hex() for (alert_id,) in stored)
        strange = {incoming.identity for incoming in batch} - self._identities.keys()
        self._absent |= strange
        latest = "SELECT max(seq) FROM incidents WHERE identity IN"
        found = self._select("SELECT seq, body FROM incident_states WHERE seq IN", strange, latest, "GROUP BY identity")
        for seq, body in found:
            incident = decode_incident(body)
            self._keep(self._incidents.get(incident.incident_id) or Known(seq, incident, new=False))

    def _select(self, select: str, keys: Collection[str], inner: str = "", group: str = "") -> list[Any]:
        """The rows of some keys, in few statements."""
        rows: list[Any] = []
        ordered = [bytes.fromhex(key) for key in keys]
        for start in range(0, len(ordered), LOOK_UP):
            part = ordered[start : start + LOOK_UP]
            # Filled up to a power of two, so that few statements are prepared.
            part += part[-1:] * ((1 << (len(part) - 1).bit_length()) - len(part))
            marks = f"({','.join('?' * len(part))})"
            sql = f"{select} ({inner} {marks} {group})" if inner else f"{select} {marks}"
            rows += self._db.execute(sql, part).fetchall()
        return rows

    def accept(self, batch: Sequence[Incoming], decide: Decide) -> list[Accepted]:
        """See ``IncidentStore.accept``. The batch must have been looked up."""
        try:
            return [self._accept(incoming, decide) for incoming in batch]
        except ResponderError as refusal:
            raise HalfWritten(refusal) from refusal

    def _accept(self, incoming: Incoming, decide: Decide) -> Accepted:
        alert = incoming.alert
        if alert.alert_id in self._stored:
            if not incoming.unstable:
                return Accepted(alert_id=alert.alert_id, repeat=True, verdict=None)
            renamed = self._renamed(incoming)
            if renamed is None:
                return Accepted(alert_id=self._last_name(alert), repeat=True, verdict=None)
            incoming, alert = renamed, renamed.alert
        situation = self._situation(incoming)
        verdict = decide(alert, situation)
        self._write(incoming, verdict, ends=alert.status is Status.RESOLVED and not situation.fired_later)
        return Accepted(alert_id=alert.alert_id, repeat=False, verdict=verdict)

    def _situation(self, incoming: Incoming) -> Situation:
        alert = incoming.alert
        latest = self._by_identity(incoming.identity)
        if alert.status is Status.RESOLVED:
            firing_in = self._firing_in(incoming.alarm)
            return Situation(
                latest=latest.incident if latest else None,
                firing_in=tuple(known.incident for known in firing_in),
                others_firing=tuple(self._others_firing(known.seq, incoming.alarm) for known in firing_in),
                fired_later=self._fired_later(incoming),
            )
        return Situation(
            latest=latest.incident if latest else None,
            resolved_later=incoming.alarm in self._resolves and self._resolved_later(incoming),
        )

    def _resolved_later(self, incoming: Incoming) -> bool:
        at, received = self._resolves[incoming.alarm]
        fired = incoming.alert.own_time
        return fired is not None and (to_ms(fired) < at and to_ms(incoming.alert.received_at) - received < REORDER_MS)

    def _fired_later(self, incoming: Incoming) -> bool:
        ended = incoming.alert.own_time
        # Without an id several senders may share the alarm, and each has a clock of its own.
        if ended is None or not incoming.alert.source_id:
            return False
        self._flush_firings()
        since = to_ms(incoming.alert.received_at) - LATE_RESOLVE_MS
        row = self._db.execute(
            "SELECT 1 FROM firings WHERE alarm = ? AND at > ? AND received_at > ? LIMIT 1",
            (bytes.fromhex(incoming.alarm), to_ms(ended), since),
        ).fetchone()
        return row is not None

    def _write(self, incoming: Incoming, verdict: Verdict, *, ends: bool) -> None:
        alert, received = incoming.alert, to_ms(incoming.alert.received_at)
        for incident in verdict.changed:
            self._change(incident)
        known = self._by_id(verdict.incident_id) if verdict.incident_id else None
        if known is not None:
            known.alerts += 1
            if received > known.last_seen:
                known.last_seen = received
            self._touched[known.seq] = known
            if verdict.firing:
                self._fire(incoming, known)
        self._keep_alert(alert, received, verdict, known)
        if ends:
            self._resolve(incoming, received)
        if verdict.changed:
            self._write_lines(verdict.entries)
        if verdict.tasks:
            self._write_tasks(verdict.tasks, received)

    def _keep_alert(self, alert: Alert, received: int, verdict: Verdict, known: Known | None) -> None:
        seq = self._number("alerts")
        rank = SEVERITY_RANK[alert.severity]
        outcome = verdict.outcome
        self._stored.add(alert.alert_id)
        self._alerts.append(
            (
                seq,
                bytes.fromhex(alert.alert_id),
                known.seq if known else None,
                verdict.changed[0].news if verdict.changed else 0,
                received,
                alert.source,
                rank,
                alert.status,
                alert.service,
                alert.resource,
                alert.title,
                outcome or None,
                received if outcome else None,
            )
        )
        self._bodies.append((seq, encode(alert)))
        hour = received // HOUR_MS
        counts = self._counts
        counts[hour, "received"] += 1
        if outcome:
            counts[hour, outcome] += 1
        if alert.status is Status.FIRING:
            self._patterns[hour, rank, alert.signature, alert.service] += 1

    def _renamed(self, incoming: Incoming) -> Incoming | None:
        """The same bytes came before: None if that was just now, else the same alert under a name of its own."""
        alert = incoming.alert
        content = bytes.fromhex(alert.alert_id)
        received = to_ms(alert.received_at)
        self._flush_alerts()
        first = self._db.execute("SELECT received_at FROM alerts WHERE alert_id = ?", (content,)).fetchone()
        again = self._db.execute("SELECT received_at FROM recurrences WHERE content_id = ?", (content,)).fetchone()
        if abs(received - max(first[0], again[0] if again else 0)) < SAME_BYTES_MS:
            return None
        # The name follows from what and when, so that deciding again finds the same.
        name = blake2b(f"{alert.alert_id}@{received}".encode(), digest_size=12).digest()
        self._db.execute("INSERT OR REPLACE INTO recurrences VALUES (?, ?, ?)", (content, name, received))
        renamed = msgspec.structs.replace(alert, alert_id=name.hex())
        return msgspec.structs.replace(incoming, alert=renamed, unstable=False)

    def _last_name(self, alert: Alert) -> str:
        content = bytes.fromhex(alert.alert_id)
        row = self._db.execute("SELECT alert_id FROM recurrences WHERE content_id = ?", (content,)).fetchone()
        return row[0].hex() if row else alert.alert_id

    def _fire(self, incoming: Incoming, known: Known) -> None:
        if incoming.alarm in known.firing:
            return
        at = incoming.alert.own_time
        received = to_ms(incoming.alert.received_at)
        self._firings.append((bytes.fromhex(incoming.alarm), known.seq, to_ms(at) if at else 0, received))
        # An alarm with an id of its own may fire, and end, in other incidents, too.
        if not incoming.alert.source_id and len(known.firing) < MOST_FIRING:
            known.firing.add(incoming.alarm)

    def _resolve(self, incoming: Incoming, received: int) -> None:
        self._flush_firings()
        self._db.execute("DELETE FROM firings WHERE alarm = ?", (bytes.fromhex(incoming.alarm),))
        latest = self._identities.get(incoming.identity)
        if latest is not None:
            latest.firing.discard(incoming.alarm)
        ended = incoming.alert.own_time
        if ended is None:
            return
        at = to_ms(ended)
        newest = self._resolves.get(incoming.alarm)
        # A resolve that comes late must not hide a newer one that still counts.
        if newest and newest[0] > at and received - newest[1] < REORDER_MS:
            return
        self._db.execute(
            "INSERT OR REPLACE INTO resolves VALUES (?, ?, ?)", (bytes.fromhex(incoming.alarm), at, received)
        )
        self._resolves[incoming.alarm] = (at, received)
        self._resolves.move_to_end(incoming.alarm)
        if len(self._resolves) > CACHED_RESOLVES:
            self._resolves.popitem(last=False)

    def _remember_resolves(self) -> None:
        rows = self._db.execute("SELECT * FROM resolves ORDER BY received_at DESC LIMIT ?", (CACHED_RESOLVES,))
        for alarm, at, received in reversed(rows.fetchall()):
            self._resolves[alarm.hex()] = (at, received)

    # ---------------------------------------------------------------------------------------------------- incidents

    def _by_identity(self, identity: str) -> Known | None:
        known = self._identities.get(identity)
        if known is not None:
            self._identities.move_to_end(identity)
            return known
        if identity in self._absent:
            return None
        row = self._db.execute(
            "SELECT seq, body FROM incident_states WHERE seq ="
            " (SELECT seq FROM incidents WHERE identity = ? ORDER BY seq DESC LIMIT 1)",
            (bytes.fromhex(identity),),
        ).fetchone()
        if row is None:
            return None
        incident = decode_incident(row[1])
        return self._keep(self._incidents.get(incident.incident_id) or Known(row[0], incident, new=False))

    def _by_id(self, incident_id: str) -> Known:
        known = self._find(incident_id)
        if known is None:
            raise NotFound("incident", incident_id)
        return known

    def _find(self, incident_id: str) -> Known | None:
        known = self._incidents.get(incident_id)
        if known is not None:
            return known
        row = self._db.execute(
            "SELECT seq, body FROM incident_states JOIN incidents USING (seq) WHERE incident_id = ?", (incident_id,)
        ).fetchone()
        if row is None:
            return None
        return self._remember(Known(row[0], decode_incident(row[1]), new=False))

    def _firing_in(self, alarm: str) -> list[Known]:
        self._flush_firings()
        rows = self._db.execute(
            "SELECT incident_id FROM firings JOIN incidents ON seq = incident WHERE alarm = ?", (bytes.fromhex(alarm),)
        )
        named = [row[0] for row in rows.fetchall()]
        # What this transaction has opened isn't in the table of incidents yet.
        named += [
            known.incident.incident_id
            for known in self._touched.values()
            if known.new and known.incident.incident_id not in named and self._fires(known.seq, alarm)
        ]
        found = [self._by_id(incident_id) for incident_id in named]
        return [known for known in found if known.incident.status is not IncidentStatus.RESOLVED]

    def _fires(self, seq: int, alarm: str) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM firings WHERE alarm = ? AND incident = ?", (bytes.fromhex(alarm), seq)
        ).fetchone()
        return row is not None

    def _others_firing(self, seq: int, alarm: str) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM firings WHERE incident = ? AND alarm <> ? LIMIT 1", (seq, bytes.fromhex(alarm))
        ).fetchone()
        return row is not None

    def _keep(self, known: Known) -> Known:
        self._identities[known.incident.identity] = known
        return self._remember(known)

    def _remember(self, known: Known) -> Known:
        self._incidents[known.incident.incident_id] = known
        return known

    def _change(self, incident: Incident) -> Known:
        known = self._incidents.get(incident.incident_id)
        if known is None and incident.version == 1:
            known = self._keep(Known(self._number("incidents"), incident, new=True))
        elif known is None:
            known = self._by_id(incident.incident_id)
        known.incident = incident
        known.changed = True
        self._touched[known.seq] = known
        if incident.status is IncidentStatus.RESOLVED:
            self._flush_firings()
            self._db.execute("DELETE FROM firings WHERE incident = ?", (known.seq,))
            known.firing.clear()
        return known

    # ------------------------------------------------------------------------------------------------------- commit

    def commit(self, commit: Commit, now: int) -> None:
        """See ``IncidentStore.commit``. Everything is checked before anything is written."""
        incident = commit.incident
        known = self._by_id(commit.incident_id) if commit.incident_id and not incident else None
        if incident:
            self._check_version(incident)
        if commit.finished:
            self._finish(commit.finished, commit.letter, now)
        if incident:
            known = self._change(incident)
        if known:
            self._write_lines([(known.incident.incident_id, entry) for entry in commit.entries])
            self._write_results(known.seq, commit)
            if commit.settle:
                self._settle(known.seq, commit, now)
        elif commit.alert_id and commit.settle:
            self._settle_alert(commit, now)
        self._write_tasks(commit.tasks, now)

    def _check_version(self, incident: Incident) -> None:
        known = self._find(incident.incident_id)
        version = known.incident.version if known else 0
        if incident.version != version + 1:
            raise Conflict(f"{incident.incident_id} is at version {version}, not {incident.version - 1}")

    def _finish(self, leased: Leased, letter: str, now: int) -> None:
        seq, _, _ = leased.handle.partition(":")
        gone = self._db.execute(
            "DELETE FROM tasks WHERE seq = ? AND handle = ? AND state = ? RETURNING receives, lane",
            (int(seq), leased.handle, LEASED),
        ).fetchone()
        if gone is None:
            raise LeaseLost("the lease of this task was lost")
        # Another task of its group may have waited for it.
        self.lanes_fed.add(gone[1])
        if letter:
            number = self._number("dead_letters")
            dead = DeadLetter(
                letter_id=f"dl_{number}", task=leased.task, reason=letter, died_at=from_ms(now), receives=gone[0]
            )
            self._db.execute("INSERT INTO dead_letters VALUES (?, ?)", (number, encode(dead)))

    def _write_results(self, seq: int, commit: Commit) -> None:
        if commit.analysis:
            self._db.execute("INSERT OR REPLACE INTO analyses VALUES (?, ?)", (seq, encode(commit.analysis)))
        if commit.receipt:
            self._db.execute(
                "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?)",
                (seq, commit.receipt.channel, encode(commit.receipt)),
            )

    def _settle(self, seq: int, commit: Commit, now: int) -> None:
        self._flush_alerts()
        self._settle_from(seq, commit, now, "outcome IS NULL")
        if commit.settle == "delivered":
            # A dead letter that was sent after all.
            for hour, count in self._settle_from(seq, commit, now, "outcome = 'dead'").items():
                self._counts[hour, "dead"] -= count

    def _settle_alert(self, commit: Commit, now: int) -> None:
        """The outcome of an alert without an incident."""
        self._flush_alerts()
        rows = self._db.execute(
            "UPDATE alerts SET outcome = ?, settled_at = ?"
            " WHERE alert_id = ? AND incident IS NULL AND outcome IS NULL RETURNING received_at",
            (commit.settle, now, bytes.fromhex(commit.alert_id)),
        ).fetchall()
        for (received,) in rows:
            self._counts[received // HOUR_MS, commit.settle] += 1

    def _settle_from(self, seq: int, commit: Commit, now: int, was: str) -> Counter[int]:
        rows = self._db.execute(
            f"UPDATE alerts SET outcome = ?, settled_at = ? WHERE incident = ? AND news <= ? AND {was}"  # noqa: S608
            " RETURNING received_at",
            (commit.settle, now, seq, commit.settle_news),
        ).fetchall()
        hours = Counter(received // HOUR_MS for (received,) in rows)
        for hour, count in hours.items():
            self._counts[hour, commit.settle] += count
        return hours

    def _write_lines(self, entries: Iterable[tuple[str, TimelineEntry]]) -> None:
        for incident_id, entry in entries:
            self._lines.append((self._number("timeline"), self._by_id(incident_id).seq, encode(entry)))

    def _write_tasks(self, tasks: Iterable[Task], now: int) -> None:
        for task in tasks:
            due = to_ms(task.not_before) if task.not_before else now
            lane = task.work.lane
            state = READY if due <= now else DELAYED
            rank = SEVERITY_RANK[task.severity]
            row = (self._number("tasks"), lane, task.group, rank, state, due, 0, None, encode(task))
            self._tasks.append(row)
            if state == READY:
                self.lanes_fed.add(lane)
            else:
                self._expect(due)

    def _expect(self, due: int) -> None:
        self.next_due = due if self.next_due is None else min(due, self.next_due)

    # -------------------------------------------------------------------------------------------------------- queue

    def promote(self, now: int) -> None:
        """Delays that are over and leases that have run out become due."""
        rows = self._db.execute(
            "UPDATE tasks SET state = ?, handle = NULL WHERE state > ? AND due <= ? RETURNING lane",
            (READY, READY, now),
        ).fetchall()
        self.lanes_fed.update(lane for (lane,) in rows)
        row = self._db.execute("SELECT min(due) FROM tasks WHERE state > ?", (READY,)).fetchone()
        if row[0] is not None:
            self._expect(row[0])

    def shift(self, milliseconds: int) -> None:
        """Move the ends of all delays and leases."""
        self._db.execute("UPDATE tasks SET due = due + ? WHERE state > ?", (milliseconds, READY))

    def receive(self, lane: str, limit: int, until: datetime) -> list[Leased]:
        """Lease due tasks; see ``TaskQueue.receive``."""
        self._flush_tasks()
        rows = self._db.execute(
            "SELECT seq, task_group, receives, body FROM tasks t WHERE state = 0 AND lane = ? AND NOT EXISTS"
            " (SELECT 1 FROM tasks l WHERE l.state = 2 AND l.task_group = t.task_group)"
            " ORDER BY priority, seq",
            (lane,),
        )
        first_of_group: dict[str, tuple[int, int, bytes]] = {}
        for seq, group, receives, body in rows:
            first_of_group.setdefault(group, (seq, receives, body))
            if len(first_of_group) >= limit:
                break
        rows.close()
        return [self._lease(*first, until) for first in first_of_group.values()]

    def _lease(self, seq: int, receives: int, body: bytes, until: datetime) -> Leased:
        handle = f"{seq}:{uuid4().hex}"
        self._db.execute(
            "UPDATE tasks SET state = ?, handle = ?, due = ?, receives = ? WHERE seq = ?",
            (LEASED, handle, to_ms(until), receives + 1, seq),
        )
        self._expect(to_ms(until))
        return Leased(task=decode_task(body), handle=handle, receives=receives + 1, until=until)

    def release(self, handle: str, now: int, *, counts: bool) -> None:
        """End a lease at once; unless it ``counts``, the receive is taken back."""
        seq, _, _ = handle.partition(":")
        row = self._db.execute(
            "UPDATE tasks SET state = ?, handle = NULL, due = ?, receives = receives - ?"
            " WHERE seq = ? AND handle = ? AND state = ? RETURNING lane",
            (READY, now, 0 if counts else 1, int(seq), handle, LEASED),
        ).fetchone()
        if row:
            self.lanes_fed.add(row[0])

    def release_all(self, now: int) -> None:
        """At the start nobody holds anything."""
        self._db.execute("UPDATE tasks SET state = ?, handle = NULL, due = ? WHERE state = ?", (READY, now, LEASED))

    # --------------------------------------------------------------------------------------------------------- keys

    def put_key(self, key: ApiKey) -> None:
        others = self._db.execute("SELECT body FROM api_keys WHERE name = ? AND hash <> ?", (key.name, key.hash))
        if not key.replaced and not all(decode_key(body).replaced for (body,) in others.fetchall()):
            raise Conflict(f"there is a key '{key.name}' already")
        self._db.execute("INSERT OR REPLACE INTO api_keys VALUES (?, ?, ?)", (key.hash, key.name, encode(key)))

    def delete_keys(self, name: str) -> int:
        return self._db.execute("DELETE FROM api_keys WHERE name = ?", (name,)).rowcount

    # ----------------------------------------------------------------------------------------------------- analyses

    def cache_answer(self, cached: CachedAnswer, now: int) -> None:
        self._db.execute("DELETE FROM cached_answers WHERE at < ?", (now - CACHE_KEPT_MS,))
        row = (bytes.fromhex(cached.key), to_ms(cached.at), encode(cached))
        self._db.execute("INSERT OR REPLACE INTO cached_answers VALUES (?, ?, ?)", row)

    def book(self, cost: Cost) -> None:
        key = (cost.day, cost.model)
        booked = self._db.execute("SELECT body FROM costs WHERE day = ? AND model = ?", key).fetchone()
        total = decode_cost(booked[0]) + cost if booked else cost
        self._db.execute("INSERT OR REPLACE INTO costs VALUES (?, ?, ?)", (*key, encode(total)))

    # -------------------------------------------------------------------------------------------------------- flush

    def flush(self) -> None:
        """Write what was gathered."""
        self._flush_tasks()
        self._flush_alerts()
        self._flush_firings()
        insert(self._db, "timeline", self._lines)
        self._flush_incidents()
        insert(
            self._db,
            "patterns",
            [(*key, count) for key, count in self._patterns.items()],
            "ON CONFLICT (hour, severity, signature, service) DO UPDATE SET count = count + excluded.count",
        )
        insert(
            self._db,
            "ledger",
            [(*key, count) for key, count in self._counts.items()],
            "ON CONFLICT (hour, outcome) DO UPDATE SET count = count + excluded.count",
        )

    def _flush_alerts(self) -> None:
        insert(self._db, "alerts", self._alerts)
        insert(self._db, "alert_bodies", self._bodies)
        self._alerts, self._bodies = [], []

    def _flush_firings(self) -> None:
        insert(
            self._db,
            "firings",
            self._firings,
            "ON CONFLICT DO UPDATE SET at = excluded.at, received_at = excluded.received_at WHERE excluded.at > at",
        )
        self._firings = []

    def _flush_tasks(self) -> None:
        insert(self._db, "tasks", self._tasks)
        self._tasks = []

    def _flush_incidents(self) -> None:
        touched = self._touched.values()
        insert(self._db, "incidents", [_row(known) for known in touched if known.new])
        self._db.executemany(
            "UPDATE incidents SET severity = ?, status = ?, alerts = alerts + ?, last_seen = max(last_seen, ?)"
            " WHERE seq = ?",
            [_touch(known) for known in touched if not known.new],
        )
        insert(
            self._db,
            "incident_states",
            [(known.seq, encode(known.incident)) for known in touched if known.changed],
            "ON CONFLICT (seq) DO UPDATE SET body = excluded.body",
        )

    def settle_cache(self) -> None:
        """After a durable commit: what was new is known, and the cache goes back to its size."""
        for known in self._touched.values():
            known.new = known.changed = False
            known.alerts = 0
        while len(self._identities) > CACHED_INCIDENTS:
            _, old = self._identities.popitem(last=False)
            self._incidents.pop(old.incident.incident_id, None)
        if len(self._incidents) > 2 * CACHED_INCIDENTS:
            self._incidents = {known.incident.incident_id: known for known in self._identities.values()}


def _touch(known: Known) -> tuple[object, ...]:
    incident = known.incident
    return (SEVERITY_RANK[incident.severity], incident.status, known.alerts, known.last_seen, known.seq)


def _row(known: Known) -> tuple[object, ...]:
    incident = known.incident
    return (
        known.seq,
        incident.incident_id,
        bytes.fromhex(incident.identity),
        incident.signature,
        incident.source,
        SEVERITY_RANK[incident.severity],
        incident.status,
        incident.service,
        incident.resource,
        incident.title,
        to_ms(incident.opened_at),
        known.last_seen,
        known.alerts,
    )
