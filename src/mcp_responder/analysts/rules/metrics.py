"""Metrics of a database over time: which resource gave out, what moved first, and what loads it."""

from __future__ import annotations

from collections.abc import Iterator

from mcp_responder.analysts.rules.case import Case, Line, Series, TopQuery
from mcp_responder.analysts.rules.rule import Depth, Finding, Rule, change, look_at
from mcp_responder.model.analysis import Category, Claim, Risk
from mcp_responder.plumbing.text import cut

BUSY_CPU = 85.0
LAGGING_SECONDS = 60.0
SURGE = 2.0
ALMOST_NONE = 0.1
GIBIBYTE = 1024**3
QUEUED = 10.0
MEASURED = 15
"""Strength of a finding that rests on numbers."""
MOST_CLAIMS = 8
WRITE_METRICS = ("WriteIOPS", "TransactionLogsGeneration", "WriteThroughput")
STATEMENT_SHOWN = 120
INDEX = look_at("Ask for the plan of the heaviest query.", "EXPLAIN (ANALYZE, BUFFERS) QUERY")
INSIGHTS = look_at(
    "Look at the top SQL.", "aws pi describe-dimension-keys --metric db.load.avg --group-by Group=db.sql"
)


def lagging_replica(case: Case) -> Finding | None:
    """The replica can't replay as fast as the primary writes; without its metric its events tell."""
    lag = case.series.get("ReplicaLag")
    behind = case.look(r"replica(?:tion)? lag|behind the (?:primary|source)|replica[^\n]{0,60}(?:stale|behind)")
    measured = lag is not None and lag.last >= LAGGING_SECONDS and lag.last > SURGE * lag.first
    if not measured and (behind is None or behind.line.over or lag is not None):
        return None
    writes = [case.series[name] for name in WRITE_METRICS if name in case.series and _surged(case.series[name])]
    heavy = (
        "a write-heavy workload on the primary makes more WAL than it can replay"
        if writes
        else "it replays WAL too slowly"
    )
    replica = case.names.get("replica") or (lag.resource if lag else "") or (behind.line.origin if behind else "")
    of_lag = f" to {_number(lag.last)} seconds" if lag and measured else ""
    cause = f"Replication lag on the replica {replica} grows{of_lag}: {heavy}"
    return _measured(case, cause, [lag] if lag and measured else [], writes, behind.line if behind else None)


def busy_processor(case: Case) -> Finding | None:
    """CPU at its limit until the end of the window."""
    cpu = case.series.get("CPUUtilization")
    if cpu is None or cpu.last < BUSY_CPU:
        return None
    top = case.queries[0] if case.queries else None
    by = f" by a query: Performance Insights shows `{_short(top)}` with the highest load" if top else ""
    waits = f", waiting for {top.waits[0][0]}" if top and top.waits else ""
    cause = f"CPU of {cpu.resource} is saturated ({_number(cpu.peak)} %){by}{waits}"
    return _measured(case, cause, [cpu], [])


def used_up_connections(case: Case) -> Finding | None:
    """Connections multiplied and stay there, or end at a flat top."""
    connections = case.series.get("DatabaseConnections")
    said = case.look(
        r"connections?\b[^\n]{0,60}(?:exhaust|refus|reject|(?:9\d|100)(?:\.\d+)? ?(?:%|percent)|limit reached)"
    )
    if connections is None or not (_surged(connections) or (said and not said.line.over)):
        return None
    idle = next((name for query in case.queries for name, _ in query.waits if "ClientRead" in name), "")
    holding = f"; sessions hold them idle (wait {idle})" if idle else ""
    cause = (
        f"Connections to {connections.resource} are exhausted: DatabaseConnections rose from "
        f"{_number(connections.first)} to "
        f"{_number(connections.peak)}, toward max_connections{holding}"
    )
    return _measured(case, cause, [connections], [])


def full_storage(case: Case) -> Finding | None:
    """Free space falls toward nothing, and hasn't come back."""
    free = case.series.get("FreeStorageSpace")
    if free is None or free.last > free.peak * ALMOST_NONE or free.last > free.first:
        return None
    writes = [
        case.series[name]
        for name in (*WRITE_METRICS, "WriteLatency")
        if name in case.series and _surged(case.series[name])
    ]
    cause = (
        f"Storage of {free.resource} is nearly full: FreeStorageSpace fell from {_gigabytes(free.first)} to "
        f"{_gigabytes(free.last)}"
        f"{', filled by writes' if writes else ''}"
    )
    return _measured(case, cause, [free], writes)


def starved_storage(case: Case) -> Finding | None:
    """The disk has more to do than it can: its queue or its latency multiplied."""
    named = ("DiskQueueDepth", "WriteLatency", "ReadLatency")
    slow = [
        series for name in named if (series := case.series.get(name)) and series.last >= 5 * max(series.first, 1e-9)
    ]
    queue = case.series.get("DiskQueueDepth")
    if not slow or (queue is not None and queue.last < QUEUED and len(slow) < 2):
        return None
    moved = " and ".join(series.name for series in slow)
    waits = next(
        (wait for query in case.queries for wait, _ in query.waits if wait.startswith(("IO:", "LWLock:WAL"))), ""
    )
    waiting = f"; queries wait for {waits}" if waits else ""
    checkpoint = case.look(r"checkpoint")
    writes = " (checkpoint writes)" if checkpoint else ""
    cause = (
        f"Storage I/O of {slow[0].resource} is saturated{writes}: {moved} multiplied (IOPS or throughput limit)"
        f"{waiting}"
    )
    return _measured(case, cause, slow, [], checkpoint.line if checkpoint else None)


def spent_credits(case: Case) -> Finding | None:
    """Small machines and disks save credits for bursts; without them they fall to their base speed."""
    named = ("BurstBalance", "CPUCreditBalance", "EBSIOBalance%", "EBSByteBalance%")
    spent = [
        balance
        for name in named
        if (balance := case.series.get(name)) and balance.first > 0 and balance.last <= balance.first * ALMOST_NONE
    ]
    if not spent:
        return None
    cause = f"Burst credits of {spent[0].resource} are spent ({spent[0].name}), so it falls to its base speed"
    return _measured(case, cause, spent, [])


def scarce_memory(case: Case) -> Finding | None:
    """Little is left to free, and it swaps."""
    memory = case.series.get("FreeableMemory")
    if memory is None or memory.last > memory.peak * ALMOST_NONE:
        return None
    cause = (
        f"Memory of {memory.resource} runs out: FreeableMemory fell from {_gigabytes(memory.first)} to "
        f"{_gigabytes(memory.last)}"
    )
    return _measured(case, cause, [memory], [])


def lock_waits(case: Case) -> Finding | None:
    """The heaviest statements wait for each other."""
    waiting = [query for query in case.queries if query.waits and query.waits[0][0].startswith("Lock:")]
    if not waiting or case.queries[0] is not waiting[0]:
        return None
    top = waiting[0]
    cause = (
        f"Transactions wait for locks ({top.waits[0][0]}): Performance Insights shows `{_short(top)}` with the highest "
        "load"
    )
    return Finding(cause=cause, claims=tuple(_query_claims(case)), strength=MEASURED)


def background(case: Case) -> Iterator[Claim]:
    """What moved, in the order in which it moved, and what loads the database."""
    moved = sorted(
        (series for series in case.series.values() if _moved(series)), key=lambda item: item.when(item.onset)
    )
    yield from (_series_claim(series) for series in moved[:MOST_CLAIMS])
    yield from _query_claims(case)


def _measured(
    case: Case, cause: str, leading: list[Series], supporting: list[Series], line: Line | None = None
) -> Finding:
    first = _first_moved(leading + supporting)
    claims = [_series_claim(series) for series in (*leading, *supporting)]
    claims += [line.claim()] if line else []
    return Finding(
        cause=f"{cause}{first}",
        claims=(*claims, *_query_claims(case)),
        strength=MEASURED,
        seen=line.text if line else "",
    )


def _first_moved(series: list[Series]) -> str:
    if len(series) < 2:
        return ""
    earliest = min(series, key=lambda item: item.when(item.onset))
    return f"; {earliest.name} moved first, at {earliest.when(earliest.onset)}"


def _series_claim(series: Series) -> Claim:
    way = "rose" if series.last >= series.first else "fell"
    extreme = series.peak if way == "rose" else series.trough
    return series.claim(
        f"{series.name} of {series.resource} {way} from {_exact(series.first)} to {_exact(extreme)} {series.unit}, "
        f"beginning at {series.when(series.onset)}; it ends at {_exact(series.last)}"
    )


def _query_claims(case: Case) -> Iterator[Claim]:
    for query in case.queries[:2]:
        waits = ", ".join(f"{name} {_exact(load)}" for name, load in query.waits[:3])
        yield query.line.claim(
            f"Performance Insights: the query `{_short(query)}` has load {_exact(query.load)}; it waits for "
            f"{waits or 'nothing'}"
        )


def _surged(series: Series) -> bool:
    return series.last >= SURGE * max(series.first, 1e-9)


def _moved(series: Series) -> bool:
    low, high = sorted((abs(series.first), abs(series.last)))
    return high > 1 and high >= SURGE * max(low, 1e-9)


def _short(query: TopQuery) -> str:
    return cut(query.statement, STATEMENT_SHOWN)


def _exact(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _number(value: float) -> str:
    return f"{value:.4g}" if value < 10_000 else f"{value:.0f}"


def _gigabytes(value: float) -> str:
    return f"{value / GIBIBYTE:.1f} GiB"


RULES = (
    Rule(
        name="replica lags",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.NAMED,
        explains=r"replica|lag\b|stale",
        find=lagging_replica,
        steps=(
            look_at("See how far each replica is.", "SELECT * FROM pg_stat_replication;"),
            change(
                "Slow the writer down or split its batches; read from the primary until it has caught up.",
                risk=Risk.MEDIUM,
            ),
        ),
        watch="Alert on ReplicaLag above 60 seconds, when the metric is missing, and on the growth of WAL.",
    ),
    Rule(
        name="CPU saturated",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        explains=r"cpu",
        find=busy_processor,
        steps=(INSIGHTS, INDEX, change("Stop or rewrite that query; add the missing index.", risk=Risk.MEDIUM)),
        watch="Alert on CPUUtilization above 85 % for 10 minutes, and on a new statement among the top SQL.",
    ),
    Rule(
        name="connections multiply",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        explains=r"connection",
        find=used_up_connections,
        steps=(
            look_at(
                "See who holds them.",
                "SELECT usename, client_addr, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3;",
            ),
            change(
                "End idle sessions; set idle_in_transaction_session_timeout; put a pooler between.", risk=Risk.MEDIUM
            ),
        ),
        watch="Alert at 80 % of max_connections.",
    ),
    Rule(
        name="storage runs full",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.NAMED,
        explains=r"storage|disk|space",
        find=full_storage,
        steps=(
            change(
                "Enlarge the storage now.",
                "aws rds modify-db-instance --db-instance-identifier {database} --allocated-storage SIZE",
                Risk.MEDIUM,
            ),
            look_at("See what grew: tables, logs, replication slots.", "SELECT * FROM pg_replication_slots;"),
        ),
        watch="Alert on FreeStorageSpace below 15 %, and on the time until it is 0.",
    ),
    Rule(
        name="I/O saturated",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        find=starved_storage,
        steps=(INSIGHTS, change("Raise IOPS or throughput, or spread the writes and checkpoints.", risk=Risk.MEDIUM)),
        watch="Alert on DiskQueueDepth above 10 for 10 minutes.",
    ),
    Rule(
        name="burst credits spent",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        find=spent_credits,
        steps=(change("Use a larger or a non-burstable class, or provisioned IOPS.", risk=Risk.MEDIUM),),
        watch="Alert when a credit balance falls below 20 %.",
    ),
    Rule(
        name="memory of the database",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        explains=r"memory",
        find=scarce_memory,
        steps=(
            look_at("See sessions and work_mem."),
            change("Use a larger class, or fewer connections.", risk=Risk.MEDIUM),
        ),
        watch="Alert on FreeableMemory below 10 % and on SwapUsage that grows.",
    ),
    Rule(
        name="lock waits",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        find=lock_waits,
        steps=(
            look_at("See who blocks whom.", "SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity;"),
            change("End the blocking session.", "SELECT pg_terminate_backend(PID);", Risk.MEDIUM),
        ),
        watch="Alert on load that waits for locks.",
    ),
)
