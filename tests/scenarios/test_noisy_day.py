"""The noisy day: the same each time, and worth throttle and cache."""

from __future__ import annotations

import pytest

from mcp_responder.entrypoints import noisy_day
from mcp_responder.settings import Settings


def test_the_day_is_the_same_each_time_and_has_a_thousand_alerts() -> None:
    day = noisy_day.noisy_day()
    assert day == noisy_day.noisy_day()
    assert day != noisy_day.noisy_day(seed=1)
    assert len(day) == 1000
    assert day == sorted(day, key=lambda event: event.at)


@pytest.mark.parametrize("seed", [noisy_day.SEED, 7])
def test_the_cache_answers_most_analyses_and_the_throttle_cuts_a_third(seed: int) -> None:
    day = noisy_day.live(noisy_day.noisy_day(seed), Settings())
    assert day.ledger.received == 1000
    assert day.costs.hit_rate
    assert day.costs.hit_rate >= 0.6
    assert 0.3 <= day.cut <= 0.5
    assert day.costs.failures == 0
    assert day.costs.calls == day.costs.answers


def test_the_command_prints_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert noisy_day.run() == 0
    told = capsys.readouterr().out
    assert "36% (30 to 50 %)" in told
    assert "from the cache, 70% (at least 60 %)" in told
