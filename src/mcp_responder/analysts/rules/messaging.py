"""Queues and brokers: who falls behind, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mcp_responder.analysts.rules.case import SPOKEN, Case, Kind, Line
from mcp_responder.analysts.rules.rule import Depth, Finding, Rule, change, look_at, spot, told
from mcp_responder.model.analysis import Category, Risk

QUEUE_WORDS = r"\b(?:kafka|topic|queue|consumer|lag|backlog|rabbitmq|sqs|kinesis|pub/?sub|stream)\b"
BLOCKING_WORK = re.compile(
    r"\b(?P<work>(?:sending|calling|uploading|downloading|processing|generating|writing|fetching|posting"
    r"|requesting|rendering)"
    r" [\w -]{0,30}(?:e-?mails?|sms|webhook|request|api|file|report|invoice|image|record|message|notification"
    r"|pdf|http)s?)\b",
    re.IGNORECASE,
)
MANY_TIMES = 20


def slow_consumer(case: Case) -> Finding | None:
    """A consumer that does slow work for each message, one after the other, can't keep up."""
    about = case.look(QUEUE_WORDS, frozenset({Kind.ALERT}))
    if about is None:
        return None
    busy = max(_blocking_lines(case), key=lambda line: line.count, default=None)
    work = BLOCKING_WORK.search(busy.text) if busy else None
    if busy is None or work is None:
        return None
    cause = (
        f"The consumer {busy.origin} is slow and falls behind (lag): for each message it does blocking work, "
        f'"{work["work"]}", one after the other'
    )
    return told(busy, cause)


def _blocking_lines(case: Case) -> Iterator[Line]:
    return (line for line in case.said(Kind.LOG) if line.count >= MANY_TIMES and BLOCKING_WORK.search(line.text))


RULES = (
    Rule(
        name="slow consumer",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        explains=r"kafka|queue|topic|lag\b",
        find=slow_consumer,
        steps=(
            look_at("See how far each group is behind.", "kafka-consumer-groups.sh --describe --group GROUP"),
            change("Do the slow work aside or in batches, or add partitions and consumers.", risk=Risk.MEDIUM),
        ),
        watch="Alert when a consumer group's lag grows for 10 minutes.",
    ),
    Rule(
        name="messages pile up",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.SUSPECT,
        find=spot(
            r"(?<![-\w])(?<!replica )(?<!replication )lag(?![-\w])[^\n]{0,30}(?:\d{3,}|high|grow|exceed|increas)"
            r"|(?:queue"
            r"|backlog)[^\n]{0,30}(?:full|grow\w*|depth|length|size|high)"
            r"|messages? (?:behind|waiting|unacked|piling)|ApproximateAgeOfOldestMessage|max\.poll\.interval\.ms"
            r"|dead[- ]letter queue",
            "Messages pile up: the consumers don't keep up with the queue (lag)",
            SPOKEN | {Kind.MANIFEST},
        ),
        steps=(look_at("See who consumes, and how fast."), change("Add consumers, or find what slows them.")),
        watch="Alert on the age of the oldest message.",
    ),
    Rule(
        name="broker split",
        category=Category.INFRASTRUCTURE,
        depth=Depth.NAMED,
        find=spot(
            r"split[- ]?brain|partitioned network|network partition detected|Mnesia[^\n]*(?:inconsistent"
            r"|partition)|running_partitioned_network"
            r"|under[- ]replicated partitions?|NotEnoughReplicas|leader not available|no leader",
            "The broker's cluster is split or lacks replicas (network partition, split brain)",
            SPOKEN | {Kind.MANIFEST},
        ),
        steps=(
            look_at("Ask the cluster.", "rabbitmqctl cluster_status"),
            change("Restart the side that is to forget its state.", risk=Risk.HIGH),
        ),
        watch="Alert on partitions and under-replicated topics.",
    ),
)
