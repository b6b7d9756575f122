"""Questions to the store. Any process may ask; answers are of the last durable commit."""

from __future__ import annotations

import contextlib
import queue
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mcp_responder.model.alert import SEVERITY_RANK, Alert, Severity
from mcp_responder.model.analysis import Analysis, CachedAnswer, Cost
from mcp_responder.model.errors import InvalidRequest, NotFound
from mcp_responder.model.incident import Activity, Incident, IncidentStatus, TimelineEntry
from mcp_responder.model.message import Receipt
from mcp_responder.model.task import DeadLetter
from mcp_responder.ports import (
    AlertRecord,
    ApiKey,
    Clock,
    Cluster,
    HourCount,
    IncidentRecord,
    LaneDepth,
    LedgerHour,
    Page,
    Query,
)
from mcp_responder.storage.sqlite.database import FILE, HOUR_MS, connect, from_ms, to_ms

CONNECTIONS = 4
CACHE_KIB = 1024
SIMILAR_SECONDS = 10.0
"""How long an answer about similar alerts serves others: in a storm everybody asks the same."""

Item = TypeVar("Item")
decode_alert = msgspec.json.Decoder(Alert).decode
decode_incident = msgspec.json.Decoder(Incident).decode
decode_analysis = msgspec.json.Decoder(Analysis).decode
decode_receipt = msgspec.json.Decoder(Receipt).decode
decode_entry = msgspec.json.Decoder(TimelineEntry).decode
decode_letter = msgspec.json.Decoder(DeadLetter).decode
decode_key = msgspec.json.Decoder(ApiKey).decode
decode_cached = msgspec.json.Decoder(CachedAnswer).decode
decode_cost = msgspec.json.Decoder(Cost).decode

ALERT = """
SELECT a.seq, b.body, a.outcome, a.settled_at, i.incident_id, i.status
FROM alerts a JOIN alert_bodies b ON b.seq = a.seq LEFT JOIN incidents i ON i.seq = a.incident
"""
INCIDENT = """
SELECT i.seq, s.body, i.alerts, i.last_seen, (SELECT count(*) FROM firings f WHERE f.incident = i.seq)
FROM incidents i JOIN incident_states s ON s.seq = i.seq
"""


def _utc_now() -> datetime:
    return datetime.now(UTC)


HOURS = """
WITH RECURSIVE hours (hour) AS (
    SELECT max(?, (SELECT min(hour) FROM patterns))
    UNION ALL SELECT hour + 1 FROM hours WHERE hour < (SELECT max(hour) FROM patterns)
)"""
"""The hours from one on, each looked up by itself: a signature isn't what patterns are ordered by first."""


class SqliteReader:
    """The reading half of every port of a store, over a few pooled connections."""

    def __init__(self, folder: Path, clock: Clock = _utc_now) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._idle: queue.LifoQueue[sqlite3.Connection | None] = queue.LifoQueue()
        for _ in range(CONNECTIONS):
            self._idle.put(None)
        self._similar: dict[tuple[Severity, int, int], tuple[float, tuple[Cluster, ...]]] = {}

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection = self._idle.get()
        try:
            if connection is None:
                connection = connect(self._path, cache_kib=CACHE_KIB, read_only=True)
                connection.create_function("has_words", 2, _has_words, deterministic=True)
            yield connection
        finally:
            self._idle.put(connection)

    def close(self) -> None:
        for _ in range(CONNECTIONS):
            connection = self._idle.get()
            if connection is not None:
                connection.close()

    # ------------------------------------------------------------------------------------------------------- alerts

    def alert(self, alert_id: str) -> AlertRecord:
        try:
            key = bytes.fromhex(alert_id)
        except ValueError:
            raise NotFound("alert", alert_id) from None
        with self._reading() as db:
            row = db.execute(f"{ALERT} WHERE a.alert_id = ?", (key,)).fetchone()
        if row is None:
            raise NotFound("alert", alert_id)
        return _alert_record(row)

    def alerts(self, query: Query) -> Page[AlertRecord]:
        where, values = _filters(query, "a", "received_at")
        if query.incident_id:
            where.append("a.incident = (SELECT seq FROM incidents WHERE incident_id = ?)")
            values.append(query.incident_id)
        sql = f"{ALERT} WHERE {' AND '.join(where)} ORDER BY a.seq DESC LIMIT ?"
        with self._reading() as db:
            rows = db.execute(sql, (*values, query.limit + 1)).fetchall()
        return _page(rows, query.limit, _alert_record)

    # ---------------------------------------------------------------------------------------------------- incidents

    def incident(self, incident_id: str) -> IncidentRecord:
        with self._reading() as db:
            row = db.execute(f"{INCIDENT} WHERE i.incident_id = ?", (incident_id,)).fetchone()
        if row is None:
            raise NotFound("incident", incident_id)
        return _incident_record(row)

    def incidents(self, query: Query) -> Page[IncidentRecord]:
        where, values = _filters(query, "i", "opened_at")
        sql = f"{INCIDENT} WHERE {' AND '.join(where)} ORDER BY i.seq DESC LIMIT ?"
        with self._reading() as db:
            rows = db.execute(sql, (*values, query.limit + 1)).fetchall()
        return _page(rows, query.limit, _incident_record)

    def timeline(self, incident_id: str) -> tuple[TimelineEntry, ...]:
        return tuple(decode_entry(body) for body in self._bodies_of("timeline", incident_id, "ORDER BY t.seq"))

    def analysis(self, incident_id: str) -> Analysis | None:
        bodies = self._bodies_of("analyses", incident_id)
        return decode_analysis(bodies[0]) if bodies else None

    def receipts(self, incident_id: str) -> tuple[Receipt, ...]:
        return tuple(decode_receipt(body) for body in self._bodies_of("receipts", incident_id))

    def incident_of(self, channel: str, reference: str) -> str:
        sql = (
            "SELECT i.incident_id FROM receipts r JOIN incidents i ON i.seq = r.incident"
            " WHERE r.channel = ? AND json_extract(CAST(r.body AS TEXT), '$.reference') = ?"
        )
        with self._reading() as db:
            row = db.execute(sql, (channel, reference)).fetchone() if reference else None
        if row is None:
            raise NotFound("incident of", reference)
        return str(row[0])

    def _bodies_of(self, table: str, incident_id: str, order: str = "") -> list[bytes]:
        sql = f"SELECT t.body FROM {table} t JOIN incidents i ON i.seq = t.incident WHERE i.incident_id = ? {order}"  # noqa: S608
        with self._reading() as db:
            return [body for (body,) in db.execute(sql, (incident_id,)).fetchall()]

    # ----------------------------------------------------------------------------------------------------- patterns

    def history(self, signature: str, since: datetime) -> tuple[HourCount, ...]:
        with self._reading() as db:
            rows = db.execute(
                f"{HOURS} SELECT hour, sum(count) FROM hours CROSS JOIN patterns USING (hour)"  # noqa: S608
                " WHERE severity IN (0, 1, 2, 3) AND signature = ? GROUP BY hour ORDER BY hour",
                (to_ms(since) // HOUR_MS, signature),
            ).fetchall()
        return tuple(HourCount(hour=from_ms(hour * HOUR_MS), count=count) for hour, count in rows)

    def similar(self, severity: Severity, since: datetime, limit: int) -> tuple[Cluster, ...]:
        key = (severity, to_ms(since) // HOUR_MS, limit)
        found = self._similar.get(key)
        if found is None or time.monotonic() - found[0] > SIMILAR_SECONDS:
            found = (time.monotonic(), self._clusters(severity, since, limit))
            self._similar = {key: found}
        return found[1]

    def _clusters(self, severity: Severity, since: datetime, limit: int) -> tuple[Cluster, ...]:
        rank, hour = SEVERITY_RANK[severity], to_ms(since) // HOUR_MS
        with self._reading() as db:
            rows = db.execute(
                f"{HOURS} SELECT signature, service, sum(count), max(hour)"  # noqa: S608
                " FROM hours CROSS JOIN patterns USING (hour) WHERE severity = ?"
                " GROUP BY signature, service ORDER BY 3 DESC LIMIT ?",
                (hour, rank, limit),
            ).fetchall()
            return tuple(_cluster(db, *row) for row in rows)

    def ledger(self, since: datetime) -> tuple[LedgerHour, ...]:
        first = to_ms(since) // HOUR_MS
        counts: dict[int, dict[str, int]] = defaultdict(dict)
        with self._reading() as db:
            db.execute("BEGIN")
            for hour, outcome, count in db.execute("SELECT * FROM ledger WHERE hour >= ?", (first,)):
                counts[hour][outcome] = count
            flying = db.execute(
                "SELECT received_at / ?, count(*) FROM alerts INDEXED BY alerts_in_flight WHERE outcome IS NULL"
                " GROUP BY 1",
                (HOUR_MS,),
            ).fetchall()
            db.execute("COMMIT")
        in_flight = dict(flying)
        return tuple(_ledger_hour(hour, counts[hour], in_flight.get(hour, 0)) for hour in sorted(counts))

    # -------------------------------------------------------------------------------------------------------- queue

    def depth(self) -> Mapping[str, LaneDepth]:
        now = to_ms(self._clock())
        with self._reading() as db:
            # The writer marks what has become due when it next has something to do; here it counts at once.
            rows = db.execute(
                "SELECT lane, sum(ready), sum(NOT ready AND state = 1), sum(NOT ready AND state = 2),"
                " min(CASE WHEN ready THEN due END)"
                " FROM (SELECT lane, state, due, state = 0 OR due <= ? AS ready FROM tasks) GROUP BY lane",
                (now,),
            ).fetchall()
        return {
            lane: LaneDepth(ready=ready, delayed=delayed, leased=leased, oldest=max(0, now - (oldest or now)) / 1000)
            for lane, ready, delayed, leased, oldest in rows
        }

    def dead_letters(self, limit: int) -> tuple[DeadLetter, ...]:
        with self._reading() as db:
            rows = db.execute("SELECT body FROM dead_letters ORDER BY seq DESC LIMIT ?", (limit,)).fetchall()
        return tuple(decode_letter(body) for (body,) in rows)

    # ----------------------------------------------------------------------------------------------------- analyses

    def cached_answer(self, key: str) -> CachedAnswer | None:
        with self._reading() as db:
            row = db.execute("SELECT body FROM cached_answers WHERE key = ?", (bytes.fromhex(key),)).fetchone()
        return decode_cached(row[0]) if row else None

    def costs(self, since: str) -> tuple[Cost, ...]:
        with self._reading() as db:
            rows = db.execute("SELECT body FROM costs WHERE day >= ? ORDER BY day, model", (since,)).fetchall()
        return tuple(decode_cost(body) for (body,) in rows)

    # --------------------------------------------------------------------------------------------------------- keys

    def keys(self) -> tuple[ApiKey, ...]:
        with self._reading() as db:
            rows = db.execute("SELECT body FROM api_keys ORDER BY name").fetchall()
        return tuple(decode_key(body) for (body,) in rows)


def _filters(query: Query, table: str, time_column: str) -> tuple[list[str], list[object]]:
    pairs: list[tuple[str, object]] = []
    if query.cursor:
        pairs.append((f"{table}.seq < ?", _position(query.cursor)))
    if query.severity:
        pairs.append((f"{table}.severity = ?", SEVERITY_RANK[query.severity]))
    named = {"status": query.status, "source": query.source, "service": query.service}
    pairs += [(f"{table}.{column} = ?", wanted) for column, wanted in named.items() if wanted]
    if query.since:
        pairs.append((f"{table}.{time_column} >= ?", to_ms(query.since)))
    if query.until:
        pairs.append((f"{table}.{time_column} < ?", to_ms(query.until)))
    if query.words:
        pairs += _word_filters(words_of(" ".join(query.words)), table)
    return [condition for condition, _ in pairs] or ["1"], [value for _, value in pairs]


def _word_filters(words: list[str], table: str) -> list[tuple[str, object]]:
    if not words:
        return [("0 = ?", 1)]
    text = f"({table}.title || ' ' || {table}.service || ' ' || {table}.resource)"
    # LIKE passes over most rows quickly, but it folds ASCII only: "straße" has the word "strasse".
    foreign = f"length({text}) <> length(CAST({text} AS BLOB))"
    plain = [word.replace("_", "\\_") for word in words if word.isascii()]
    quick: list[tuple[str, object]] = [(f"({text} LIKE ? ESCAPE '\\' OR {foreign})", f"%{word}%") for word in plain]
    return [*quick, (f"has_words({text}, ?)", " ".join(words))]


def _position(cursor: str) -> int:
    if not re.fullmatch("[0-9a-z]{1,12}", cursor):
        raise InvalidRequest("bad_cursor", "'cursor' must be the 'next' of an earlier answer.", status=422)
    return int(cursor, 36)


def _page(rows: list[Any], limit: int, record: Callable[[Any], Item]) -> Page[Item]:
    kept = rows[:limit]
    return Page(items=tuple(record(row) for row in kept), next=_cursor(kept[-1][0]) if len(rows) > limit else None)


def _cursor(seq: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while seq:
        seq, digit = divmod(seq, 36)
        text = digits[digit] + text
    return text


@lru_cache(maxsize=64)
def _wanted(words: str) -> frozenset[str]:
    return frozenset(words_of(words))


def words_of(text: str) -> list[str]:
    """The words that a search compares: runs of letters and digits, in any case."""
    return re.findall(r"\w+", text.casefold())


def _has_words(text: str, words: str) -> bool:
    return _wanted(words) <= set(words_of(text))


def _alert_record(row: tuple[int, bytes, str | None, int | None, str | None, str | None]) -> AlertRecord:
    _, body, outcome, settled_at, incident_id, status = row
    return AlertRecord(
        alert=decode_alert(body),
        outcome=outcome or "in_flight",
        incident_id=incident_id or "",
        incident_status=IncidentStatus(status) if status else None,
        settled_at=from_ms(settled_at) if settled_at else None,
    )


def _incident_record(row: tuple[int, bytes, int, int, int]) -> IncidentRecord:
    _, body, alerts, last_seen, firing = row
    return IncidentRecord(
        incident=decode_incident(body), activity=Activity(alerts=alerts, last_seen=from_ms(last_seen), firing=firing)
    )


def _cluster(db: sqlite3.Connection, signature: str, service: str, count: int, hour: int) -> Cluster:
    title, incidents = db.execute(
        "SELECT max(title), count(*) FROM incidents WHERE signature = ? AND service = ?", (signature, service)
    ).fetchone()
    return Cluster(
        signature=signature,
        service=service,
        title=title or "",
        count=count,
        incidents=incidents,
        last_seen=from_ms(hour * HOUR_MS),
    )


def _ledger_hour(hour: int, counts: dict[str, int], in_flight: int) -> LedgerHour:
    return LedgerHour(
        hour=from_ms(hour * HOUR_MS),
        received=counts.get("received", 0),
        delivered=counts.get("delivered", 0),
        merged=counts.get("merged", 0),
        suppressed={
            outcome.removeprefix("suppressed:"): count
            for outcome, count in counts.items()
            if outcome.startswith("suppressed:")
        },
        dead=counts.get("dead", 0),
        in_flight=in_flight,
    )
