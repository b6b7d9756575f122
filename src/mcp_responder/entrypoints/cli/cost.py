"""``cost``: what models have cost, as the service has booked it, and an estimate of a month at some volume.

The estimate stands beside the flat rates of the design that this system follows: 1,000 alerts a month are about $39 by
them, of which analyses are $18. What the cloud's services cost applies to a deployment on AWS only.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import msgspec

from mcp_responder.entrypoints.cli.failures import OK, NoServer
from mcp_responder.entrypoints.cli.service import read, the_service
from mcp_responder.entrypoints.cli.terminal import Terminal
from mcp_responder.model.alert import Severity
from mcp_responder.model.analysis import Usage
from mcp_responder.operations import CostsView
from mcp_responder.settings import load

DAYS = 30
MONTHLY = 1000.0
TYPICAL = Usage(input=6000, output=2000)
"""Tokens of an analysis when nothing has been measured."""
URGENT = 0.5
"""Share of alerts that are CRITICAL or HIGH."""
GB_SECOND = 0.0000166667
LAMBDA_CALL = 0.20 / 1_000_000
API_CALL = 3.50 / 1_000_000
SQS_MESSAGE = 0.40 / 1_000_000
WRITE, READ = 0.625 / 1_000_000, 0.125 / 1_000_000
LOG_GB = 0.50
LOG_KB = 4.0
"""Of an alert, in all functions."""
METRIC = 0.30
METRICS = 10
"""List prices of AWS in us-east-1, November 2026, in US dollars, without free tiers."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A service: how much it is used in a month, and its cost in US dollars by flat rate and by list price."""

    service: str
    usage: str
    flat_usd: float
    list_usd: float


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A month. ``analysis_usd`` is what one analysis costs, as booked if ``measured``, else by assumption."""

    alerts: float
    cached: float
    analysis_usd: float
    measured: bool
    lines: tuple[Line, ...]
    flat_usd: float
    list_usd: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was booked (null without a running service), and the estimate."""

    real: CostsView | None
    estimate: Estimate


def cost(args: Namespace, terminal: Terminal) -> int:
    """Never fails for want of a service: then there is the estimate alone."""
    real: CostsView | None = None
    missing = ""
    try:
        real = read(the_service().get("/v1/costs", {"since": args.since}), CostsView)
    except NoServer as error:
        missing = str(error)
    alerts = args.alerts_per_day * DAYS if args.alerts_per_day is not None else args.alerts_per_month
    measured = real.usd / real.answers if real and real.answers else None
    month = estimate(MONTHLY if alerts is None else alerts, args.cached, measured, _typical())
    if args.json:
        terminal.json(msgspec.json.encode(Report(real=real, estimate=month)))
        return OK
    if real:
        terminal.show(_real_lines(real, args.since, terminal))
    else:
        terminal.say(f"Real costs aren't known: {missing}")
    terminal.show(_estimate_lines(month, terminal))
    return OK


def estimate(alerts: float, cached: float, measured: float | None, typical: float) -> Estimate:
    """A month of so many alerts; ``measured`` and ``typical`` are US dollars for an analysis."""
    each = typical if measured is None else measured
    analyses = alerts * (1 - cached)
    functions = 3 * alerts * (LAMBDA_CALL + 0.5 * GB_SECOND)
    watching = alerts * LOG_KB / 1_000_000 * LOG_GB + METRICS * METRIC
    lines = (
        Line(service="Lambda", usage=f"3 x {alerts:,.0f} x 500 ms", flat_usd=alerts * 0.005, list_usd=functions),
        Line(
            service="API Gateway",
            usage=_count(alerts, "requests"),
            flat_usd=alerts * 0.0035,
            list_usd=alerts * API_CALL,
        ),
        Line(
            service="SQS",
            usage=_count(3 * alerts, "messages"),
            flat_usd=3 * alerts * SQS_MESSAGE,
            list_usd=3 * alerts * SQS_MESSAGE,
        ),
        Line(
            service="DynamoDB",
            usage=f"{3 * alerts:,.0f} writes, {3 * alerts:,.0f} reads",
            flat_usd=alerts * 0.0075,
            list_usd=3 * alerts * (WRITE + READ),
        ),
        Line(
            service="Claude",
            usage=f"{_count(analyses, 'analyses')} ({cached:.0%} cached)",
            flat_usd=analyses * 0.03,
            list_usd=analyses * each,
        ),
        Line(service="CloudWatch", usage="logs and metrics", flat_usd=alerts * 0.005, list_usd=watching),
    )
    return Estimate(
        alerts=alerts,
        cached=cached,
        analysis_usd=each,
        measured=measured is not None,
        lines=lines,
        flat_usd=sum(line.flat_usd for line in lines),
        list_usd=sum(line.list_usd for line in lines),
    )


def _typical() -> float:
    """An analysis of typical length, at the prices of the configured models."""
    claude = load(os.environ, Path.cwd()).settings.analysis.claude
    shares = {
        Severity.CRITICAL: URGENT / 2,
        Severity.HIGH: URGENT / 2,
        Severity.MEDIUM: (1 - URGENT) / 2,
        Severity.LOW: (1 - URGENT) / 2,
    }
    prices = {severity: claude.price(claude.models.for_(severity)) for severity in shares}
    return sum(share * price.of(TYPICAL) for severity, share in shares.items() if (price := prices[severity]))


def _real_lines(real: CostsView, since: str, terminal: Terminal) -> Iterator[str]:
    yield (
        f"Since {since}: ${real.usd:.4f} for {real.answers} answers in {real.calls} calls; {real.hits} from the cache"
        f" ({_rate(real.hit_rate)}), which saved ${real.saved_usd:.4f}; {real.failures} left to the rules;"
        f" {real.throttled} throttled"
    )
    rows = [
        (
            day.day,
            day.model,
            str(day.answers),
            str(day.hits),
            str(day.failures),
            f"{day.usage.total:,}",
            f"{day.usd:.4f}",
        )
        for day in real.days
    ]
    if rows:
        yield from terminal.table(("DAY", "MODEL", "ANSWERS", "CACHED", "FAILED", "TOKENS", "USD"), rows)
    yield ""


def _estimate_lines(month: Estimate, terminal: Terminal) -> Iterator[str]:
    yield f"A month of {month.alerts:,.0f} alerts ({month.alerts / DAYS:,.1f} a day), in US dollars:"
    rows = [(line.service, line.usage, _usd(line.flat_usd), _usd(line.list_usd)) for line in month.lines]
    rows.append(("Total", "", _usd(month.flat_usd), _usd(month.list_usd)))
    yield from terminal.table(("SERVICE", "USAGE A MONTH", "FLAT RATES", "LIST PRICES"), rows)
    how = "as measured" if month.measured else f"assumed: {TYPICAL.input:,} tokens in, {TYPICAL.output:,} out"
    yield f"An analysis costs ${month.analysis_usd:.4f} ({how}). On one machine Claude is all that is paid for."


def _count(number: float, what: str) -> str:
    return f"{number:,.0f} {what}"


def _usd(amount: float) -> str:
    return f"{amount:,.4f}" if 0 < amount < 0.1 else f"{amount:,.2f}"


def _rate(rate: float | None) -> str:
    return "none asked for" if rate is None else f"{rate:.0%} of all"
