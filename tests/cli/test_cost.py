"""``cost``: the flat rates' table at its own volume, list prices from the price table, and what was booked."""

from __future__ import annotations

import pytest

from mcp_responder.entrypoints.cli.cost import Estimate, estimate
from tests.web.house import House


def month(alerts: float = 1000, cached: float = 0.4, measured: float | None = None) -> Estimate:
    return estimate(alerts, cached, measured, 0.0168)


def test_a_thousand_alerts_a_month_cost_what_the_design_says() -> None:
    rounded = {line.service: round(line.flat_usd, 4) for line in month().lines}
    assert rounded == {
        "Lambda": 5.0,
        "API Gateway": 3.5,
        "SQS": 0.0012,
        "DynamoDB": 7.5,
        "Claude": 18.0,
        "CloudWatch": 5.0,
    }
    assert round(month().flat_usd) == 39


def test_flat_rates_grow_with_the_volume() -> None:
    assert month(30_000).flat_usd == pytest.approx(30 * month().flat_usd)


def test_the_cache_saves_analyses() -> None:
    (claude,) = [line for line in month(1000, 0.75).lines if line.service == "Claude"]
    assert claude.usage == "250 analyses (75% cached)"
    assert claude.list_usd == pytest.approx(250 * 0.0168)


def test_what_was_measured_goes_before_what_is_assumed() -> None:
    (claude,) = [line for line in month(1000, 0, 0.5).lines if line.service == "Claude"]
    assert claude.list_usd == 500
    assert month(measured=0.5).measured
    assert not month().measured


def test_a_month_without_alerts_costs_no_analyses() -> None:
    assert month(0).flat_usd == 0


def test_the_api_tells_sums_and_days() -> None:
    from mcp_responder.model.analysis import Cost, Usage

    house = House()
    assert house.operations.costs(house.clock()).hit_rate is None
    day = f"{house.clock():%Y-%m-%d}"
    house.store.book(Cost(day=day, model="m", calls=2, answers=1, failures=1, usage=Usage(input=9), usd=0.25))
    house.store.book(Cost(day=day, model="n", hits=3, throttled=4, saved_usd=0.75))
    house.store.book(Cost(day="2020-01-01", model="n", hits=100))
    view = house.operations.costs(house.clock())
    assert (view.calls, view.answers, view.hits, view.failures, view.throttled) == (2, 1, 3, 1, 4)
    assert (view.hit_rate, view.usd, view.saved_usd) == (0.75, 0.25, 0.75)
    assert [cost.model for cost in view.days] == ["m", "n"]
