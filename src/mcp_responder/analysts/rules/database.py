"""What databases and their clients say: slots, locks, statements, schema, replicas, failovers, storage."""

from __future__ import annotations

from mcp_responder.analysts.rules.rule import Depth, Rule, change, look_at, spot
from mcp_responder.model.analysis import Category, Risk

CONNECTIONS = look_at(
    "See who holds the connections.", "SELECT usename, state, count(*) FROM pg_stat_activity GROUP BY 1, 2;"
)
RULES = (
    Rule(
        name="connections used up",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.NAMED,
        explains=r"connection",
        find=spot(
            r"remaining connection slots|too many (?:clients|connections)|max_connections[^\n]{0,60}(?:exceed"
            r"|reach|exhaust|9\d ?%|100 ?%)"
            r"|(?:connection )?pool[^\n]{0,40}(?:exhaust\w*|is full|limit of size|empty|timed? ?out|drained)"
            r"|QueuePool limit|connection limit"
            r"|(?:exhaust\w*|ran out of)[^\n]{0,40}connections?|Connection is not available, request timed out"
            r"|(?:timeout|waiting)[^\n]{0,20} for "
            r"(?:a |an? idle |free )?connection|queue has reached its max size"
            r"|connections?[^\n]{0,40}(?:exhaust\w*|saturat\w*|maxed out"
            r"|(?:9[0-9]|100)(?:\.\d+)? ?(?:%|percent))|no free connections?|connection slots",
            "Connections are used up: the pool or the server's limit (max_connections) is exhausted, and new "
            "ones wait or are refused",
        ),
        steps=(
            CONNECTIONS,
            change(
                "End sessions that have been idle in a transaction.", "SELECT pg_terminate_backend(PID);", Risk.MEDIUM
            ),
            change("Give connections back sooner, or put a pooler between."),
        ),
        watch="Alert at 80 % of max_connections and on time spent waiting for the pool.",
    ),
    Rule(
        name="wrong statement",
        category=Category.CODE_DEFECT,
        depth=Depth.NAMED,
        find=spot(
            r"syntax error(?: at or near \"?(?P<near>[^\"\s]+))?|error in your SQL syntax|SQLSyntaxError\w*|ORA-00\d+",
            "A database query is wrong (syntax error)",
        ),
        steps=(look_at("Find the statement in the log and the change that brought it."),),
        watch="Alert on SQL errors of class 42.",
    ),
    Rule(
        name="table or column missing",
        category=Category.CODE_DEFECT,
        depth=Depth.NAMED,
        find=spot(
            r"relation \"(?P<relation>[^\"]+)\" does not exist|Table '(?P<table>[^']+)' doesn't exist"
            r"|no such table:? (?P<name>\S+)"
            r"|(?:column \"?(?P<column>[\w.]+)\"? (?:of relation \S+ )?does not exist)"
            r"|Unknown column '(?P<unknown>[^']+)'"
            r"|(?:database|schema) \"?(?P<base>[\w-]+)\"? does not exist|Unknown database '(?P<missing>[^']+)'",
            "The table, column or database {relation}{table}{name}{column}{unknown}{base}{missing} does not "
            "exist (a missing migration or a"
            " wrong name)",
        ),
        steps=(look_at("List what exists.", "\\dt"), change("Run the missing migration.", risk=Risk.MEDIUM)),
        watch="Run migrations before the program that needs them.",
    ),
    Rule(
        name="locks",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.DEPENDENCY,
        find=spot(
            r"deadlock (?:detected|found)|Lock wait timeout exceeded|could not obtain lock"
            r"|canceling statement due to lock timeout"
            r"|database (?:table )?is locked|blocked by (?:process|pid|session)|waiting for (?:\w+ )?lock"
            r"|lock contention",
            "Transactions block each other in the database (locks, deadlock)",
        ),
        steps=(
            look_at(
                "See who blocks whom.",
                "SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE "
                "cardinality(pg_blocking_pids(pid)) > 0;",
            ),
            change("End the blocking session.", "SELECT pg_terminate_backend(PID);", Risk.MEDIUM),
        ),
        watch="Alert on lock waits longer than 30 seconds.",
    ),
    Rule(
        name="statement too slow",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.SUSPECT,
        find=spot(
            r"canceling statement due to (?:statement|user)[^\n]*|slow query|query (?:took"
            r"|execution)[^\n]{0,30}\d{4,} ?ms|query (?:took|lasted|duration)[^\n]{0,20}\d+(?:\.\d+)? ?s\w*[^\n]*"
            r"|full table scan|missing index"
            r"|seq(?:uential)? scan on (?P<table>\w+)",
            "A database query is too slow {table}",
        ),
        steps=(look_at("Ask for its plan.", "EXPLAIN (ANALYZE, BUFFERS) QUERY"), change("Add the missing index.")),
        watch="Alert on the slowest statements (pg_stat_statements).",
    ),
    Rule(
        name="failover",
        category=Category.INFRASTRUCTURE,
        depth=Depth.NAMED,
        outlasts=True,
        find=spot(
            r"failover (?:has |was |of )?(?:started|completed|initiated|triggered|in progress|occurred)[^\n]*"
            r"|Multi-AZ[^\n]{0,60}fail\w*[^\n]*"
            r"|failed over|primary (?:host|instance|node)[^\n]{0,40}(?:fail|unavailable|unhealthy"
            r"|unreachable)[^\n]*|stepping down as (?:leader|primary)",
            "The database failed over (failover of the primary to its standby), which cut all connections",
        ),
        steps=(
            look_at(
                "Read the instance's events.",
                "aws rds describe-events --source-identifier {database} --source-type db-instance",
            ),
            look_at("See that clients reconnected, and that none still uses the old address."),
        ),
        watch="Alert on failover events, and on clients that don't reconnect within a minute.",
    ),
    Rule(
        name="replica behind",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.SUSPECT,
        find=spot(
            r"replica(?:tion)? lag[^\n]{0,40}(?:exceed|high|grow|behind|breach)|replica[^\n]{0,60}(?:behind|stale"
            r"|stopped|lagging)|stale reads?"
            r"|replication (?:slot|error|stopped|terminated|broken)|Replica lag exceeded",
            "The replica falls behind the primary (replication lag)",
        ),
        steps=(
            look_at("See how far and why.", "SELECT * FROM pg_stat_replication;"),
            change("Slow the writer down, or split its batches."),
        ),
        watch="Alert on ReplicaLag above 60 seconds, and when the metric is missing.",
    ),
    Rule(
        name="storage nearly full",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        find=spot(
            r"storage (?:space )?(?:is )?(?:full|exhausted|low)|storage-full|(?:free|allocated"
            r"|available) storage[^\n]{0,60}(?:low|exhaust\w*|consumed|full|used up)"
            r"|run(?:ning)? out of (?:disk|storage)|could not (?:extend|write)[^\n]*space|has run out of storage",
            "The database's storage (FreeStorageSpace) is used up",
        ),
        steps=(
            look_at(
                "See what grew.",
                "SELECT relname, pg_size_pretty(pg_total_relation_size(oid)) FROM pg_class ORDER BY "
                "pg_total_relation_size(oid) DESC LIMIT 20;",
            ),
            change(
                "Enlarge the storage, and turn storage autoscaling on.",
                "aws rds modify-db-instance --db-instance-identifier {database} --allocated-storage SIZE",
                Risk.MEDIUM,
            ),
        ),
        watch="Alert on FreeStorageSpace below 15 %, and on the time until it is 0.",
    ),
    Rule(
        name="read only",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"cannot execute \w+ in a read-only transaction|READONLY You can't write|--read-only option"
            r"|not (?:master|primary)\b[^\n]{0,30}(?:write|slaveOk)",
            "Writes go to a read-only replica instead of the primary",
        ),
        steps=(look_at("See which host the client uses."), change("Point it at the writer's endpoint.")),
        watch="Alert on read-only errors.",
    ),
    Rule(
        name="transaction ids",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.NAMED,
        find=spot(
            r"wraparound|database is not accepting commands",
            "The database runs out of transaction ids (wraparound): vacuum doesn't keep up",
        ),
        steps=(change("Vacuum the oldest tables.", "VACUUM (FREEZE, VERBOSE) TABLE;", Risk.MEDIUM),),
        watch="Alert on MaximumUsedTransactionIDs above 1 billion.",
    ),
    Rule(
        name="database error",
        category=Category.DEPENDENCY_FAILURE,
        depth=Depth.SUSPECT,
        find=spot(
            r"database error:? (?P<what>[^\n]{0,120})|(?:mongo|redis|postgres|mysql|sql)\w*(?:error|exception)\b"
            r"|(?:database|mongo\w*|redis|postgres\w*|mysql)"
            r"[^\n]{0,40}(?:down|unavailable|not responding|crashed)",
            "The database doesn't do what it is asked: {what}",
        ),
        steps=(CONNECTIONS,),
        watch="Alert on database errors by service.",
    ),
)
