"""``AnalysisCache`` and ``CostBook``: answers that may serve again, and what models did and cost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from mcp_responder.model.analysis import Answer, CachedAnswer, Cost, MadeBy, Usage
from tests.contract.alarms import Store
from tests.contract.clock import START, FakeClock
from tests.contract.test_commit import analysis

KEY = "0f" * 16
ANSWER = Answer(draft=analysis(), made_by=MadeBy(analyst="claude", model="m", usage=Usage(input=7), cost_usd=0.02))
DAY = "2026-03-01"


def cached(summary: str = "", at: timedelta = timedelta(), key: str = KEY) -> CachedAnswer:
    draft = analysis(summary or "The disk is full.")
    return CachedAnswer(key=key, answer=Answer(draft=draft, made_by=ANSWER.made_by), at=START + at)


def summary_of(store: Store, key: str = KEY) -> str:
    found = store.cached_answer(key)
    return found.answer.draft.summary if found else ""


def test_nothing_is_cached_at_first(store: Store) -> None:
    assert store.cached_answer(KEY) is None


def test_an_answer_is_kept_whole(store: Store) -> None:
    store.cache_answer(cached())
    found = store.cached_answer(KEY)
    assert found
    assert (found.at, found.answer.made_by) == (START, ANSWER.made_by)
    assert found.answer.draft.claims == ANSWER.draft.claims


def test_a_newer_answer_takes_the_older_ones_place(store: Store) -> None:
    store.cache_answer(cached("first"))
    store.cache_answer(cached("second", timedelta(hours=1)))
    assert summary_of(store) == "second"


def test_answers_are_forgotten_after_a_day(store: Store, clock: FakeClock) -> None:
    store.cache_answer(cached())
    clock.advance(hours=23, minutes=59)
    store.cache_answer(cached("other", timedelta(hours=23), "aa" * 16))
    assert summary_of(store) == "The disk is full."
    clock.advance(minutes=2)
    store.cache_answer(cached("third", timedelta(hours=24), "bb" * 16))
    assert store.cached_answer(KEY) is None
    assert summary_of(store, "aa" * 16) == "other"


def test_costs_of_a_day_and_model_add_up(store: Store) -> None:
    store.book(Cost(day=DAY, model="m", reserved_usd=0.1))
    store.book(
        Cost(day=DAY, model="m", calls=1, answers=1, usage=Usage(input=5, output=2), usd=0.02, reserved_usd=-0.1)
    )
    store.book(Cost(day=DAY, model="m", hits=1, saved_usd=0.02))
    usage = Usage(input=5, output=2)
    expected = Cost(day=DAY, model="m", calls=1, answers=1, hits=1, usage=usage, usd=0.02, saved_usd=0.02)
    assert store.costs("") == (expected,)


def test_costs_are_by_day_and_model_from_a_day_on(store: Store) -> None:
    for day, model in (("2026-03-02", "b"), ("2026-03-02", "a"), ("2026-02-28", "a")):
        store.book(Cost(day=day, model=model, calls=1))
    assert [(cost.day, cost.model) for cost in store.costs(DAY)] == [("2026-03-02", "a"), ("2026-03-02", "b")]


def test_additions_at_the_same_time_all_count(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.book(Cost(day=DAY, model="m", calls=1, usd=0.01)), range(200)))
    (cost,) = store.costs("")
    assert (cost.calls, cost.usd) == (200, 2.0)
