"""The provider: throttling, permissions, quotas, machines, functions, and what an alarm's words alone give away."""

from __future__ import annotations

from mcp_responder.analysts.rules.case import Case, Kind
from mcp_responder.analysts.rules.rule import Depth, Finder, Finding, Rule, change, look_at, spot, told
from mcp_responder.model.analysis import Category, Risk

ALARMED_METRICS = (
    (r"DatabaseConnections", "the database's connections are used up or too many", Category.RESOURCE_EXHAUSTION),
    (
        r"CPUUtilization|cpu (?:usage|load|utili[sz]ation)",
        "the processor (CPU) is saturated",
        Category.RESOURCE_EXHAUSTION,
    ),
    (r"FreeStorageSpace|disk_used|VolumeBytes", "the storage runs full", Category.RESOURCE_EXHAUSTION),
    (
        r"FreeableMemory|mem(?:ory)?_used|memory (?:usage|utili[sz]ation)",
        "memory runs out",
        Category.RESOURCE_EXHAUSTION,
    ),
    (r"ReplicaLag|replication lag", "the replica falls behind (replication lag)", Category.RESOURCE_EXHAUSTION),
    (
        r"ApproximateAgeOfOldestMessage|ApproximateNumberOfMessages\w*",
        "the queue's consumers fall behind",
        Category.RESOURCE_EXHAUSTION,
    ),
    (r"Throttle\w*|ThrottledRequests", "calls are throttled at a limit", Category.RESOURCE_EXHAUSTION),
    (r"StatusCheckFailed\w*", "the machine or its host fails its status check", Category.INFRASTRUCTURE),
    (r"(?:Un)?HealthyHostCount", "targets behind the load balancer are unhealthy", Category.INFRASTRUCTURE),
    (r"HTTPCode_\w*5XX\w*|5XXError|5xx", "requests are answered with server errors (5xx)", Category.UNKNOWN),
    (r"(?:TargetResponseTime|Latency|Duration)\b", "answers are slow (latency)", Category.UNKNOWN),
)


def alarmed(pattern: str, what: str) -> Finder:
    """A finder for an alarm's own words: all that is known when nothing is attached."""

    def find(case: Case) -> Finding | None:
        sight = case.look(pattern, frozenset({Kind.ALERT}))
        return told(sight.line, f"By the alarm's own words, {what}") if sight else None

    return find


ALARM_RULES = tuple(
    Rule(
        name=f"alarm: {what}",
        category=category,
        depth=Depth.SYMPTOM,
        find=alarmed(pattern, what),
        steps=(look_at("See the metric over the last day, and what moved first."),),
        watch="Keep the alarm; add one on the metric that moves before it.",
    )
    for pattern, what, category in ALARMED_METRICS
)

RULES = (
    Rule(
        name="throttled",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.DEPENDENCY,
        find=spot(
            r"Throttl(?:ing|ed)Exception|ThrottlingException|Rate exceeded|TooManyRequests\w*|Too Many Requests"
            r"|\b429\b[^\n]{0,40}"
            r"|rate[- ]?limit(?:ed|ing| exceeded)|ProvisionedThroughputExceeded\w*|RequestLimitExceeded"
            r"|SlowDown\b|throttled",
            "Calls are throttled: a rate limit or quota is exceeded",
        ),
        steps=(
            look_at("See which call and which limit."),
            change("Call less often (batch, cache, back off), or ask for a higher quota."),
        ),
        watch="Alert on the share of throttled calls.",
    ),
    Rule(
        name="limit of the account",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.NAMED,
        find=spot(
            r"LimitExceeded\w*|quota (?:has been )?exceeded|exceeded (?:your |the )?(?:current )?quota"
            r"|InsufficientInstanceCapacity|VcpuLimitExceeded"
            r"|InsufficientFreeAddresses\w*|no (?:available|free) (?:ip )?addresses|failed to assign an IP address",
            "A limit of the account or the zone is reached (quota, capacity)",
        ),
        steps=(look_at("Compare use and quota.", "aws service-quotas list-service-quotas --service-code ec2"),),
        watch="Alert at 80 % of each quota.",
    ),
    Rule(
        name="not authorized at the provider",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"(?:User|Principal): (?P<who>\S+) is not authorized to perform: (?P<what>[\w:*]+)|AccessDenied\w*"
            r"|UnauthorizedOperation"
            r"|not authorized to perform|explicit deny|PERMISSION_DENIED|AuthorizationFailed",
            "A permission (IAM) is missing: {who} may not {what} (access denied)",
        ),
        steps=(
            look_at(
                "Ask for the decision.",
                "aws iam simulate-principal-policy --policy-source-arn ARN --action-names ACTION",
            ),
            change("Allow just that action on that resource.", risk=Risk.MEDIUM),
        ),
        watch="Alert on AccessDenied in CloudTrail by role.",
    ),
    Rule(
        name="function timed out",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.SUSPECT,
        find=spot(
            r"Task timed out after (?P<seconds>[\d.]+) seconds",
            "The function ran into its own time limit of {seconds} seconds",
        ),
        steps=(look_at("See where its time goes (X-Ray)."), change("Raise the limit only if the work is real.")),
        watch="Alert when a function's duration passes 80 % of its limit.",
    ),
    Rule(
        name="machine failed",
        category=Category.INFRASTRUCTURE,
        depth=Depth.NAMED,
        find=spot(
            r"StatusCheckFailed\w*[^\n]{0,40}(?:1|fail)|instance (?:was )?(?:terminated|retire\w*|stopped)"
            r"|spot (?:instance )?interruption"
            r"|hardware failure|underlying host|availability zone[^\n]{0,40}(?:impair|degrad|outage|unavailable)",
            "A machine or its zone failed",
        ),
        steps=(
            look_at("See the provider's health page and the instance's events."),
            change("Replace the machine.", risk=Risk.MEDIUM),
        ),
        watch="Alert on status checks and scheduled events.",
    ),
    *ALARM_RULES,
)
