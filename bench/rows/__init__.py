"""The rows of the table, by the name that ``python -m bench NAME`` takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.measure import Plan
from bench.report import Figure
from bench.rows import accept, alerta, delivery, memory, micro, storm


@dataclass(frozen=True)
class Row:
    """Something that is measured together."""

    name: str
    title: str
    measure: Callable[[Plan], list[Figure]]


ROWS = (
    Row("accept", "durable accept of distinct events of one signature: rate, CPU, p99", accept.singles),
    Row("batch", "batches of 100", accept.batches),
    Row("incidents", "each event its own incident", accept.own_incidents),
    Row("alerta", "durable accept against Alerta on PostgreSQL", alerta.measure),
    Row("delivery", "from the POST to the delivered webhook", delivery.measure),
    Row("memory", "memory after 100,000 distinct alerts", memory.measure),
    Row("storm", "100,000 events of 200 signatures", storm.measure),
    Row("parse", "reading an event, without the store", micro.parse),
    Row("store", "the store alone", micro.store),
)
