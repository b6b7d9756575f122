"""The same error needn't be analysed twice within the hour: its last answer is proved against the new evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import Protocol

from msgspec.structs import replace

from mcp_responder.model.alert import Alert
from mcp_responder.model.analysis import Answer, CachedAnswer, Cost, Evidence, State, Usage
from mcp_responder.pipeline.prove import look_again
from mcp_responder.ports import AnalysisCache, Analyst, Clock, CostBook, Recipe, Subject

VALID = timedelta(hours=1)
"""How long an answer serves for the same error."""
LASTING = frozenset({State.ACTIVE, State.INCONCLUSIVE})
"""That something is over, or was nothing, is said of one incident only."""


class CostlyAnalyst(Analyst, Protocol):
    """One whose answers are worth keeping."""

    def recipe(self, subject: Subject) -> Recipe:
        """What it would use for this."""
        ...


class Remembering:
    """An analyst in front of whom stands a cache of his answers."""

    def __init__(self, analyst: CostlyAnalyst, cache: AnalysisCache, book: CostBook, clock: Clock) -> None:
        self.name = analyst.name
        self._analyst = analyst
        self._cache = cache
        self._book = book
        self._clock = clock

    def analyze(self, subject: Subject, evidence: Sequence[Evidence]) -> Answer:
        """Raises what the analyst raises."""
        recipe = self._analyst.recipe(subject)
        key = key_of(subject.alert, recipe)
        cached = self._cache.cached_answer(key)
        if cached and timedelta() <= self._clock() - cached.at < VALID:
            return self._again(cached, recipe, evidence)
        answer = self._analyst.analyze(subject, evidence)
        if answer.draft.state in LASTING:
            self._cache.cache_answer(CachedAnswer(key=key, answer=answer, at=self._clock()))
        return answer

    def _again(self, cached: CachedAnswer, recipe: Recipe, evidence: Sequence[Evidence]) -> Answer:
        draft, made_by = cached.answer.draft, cached.answer.made_by
        day = f"{self._clock():%Y-%m-%d}"
        self._book.book(Cost(day=day, model=recipe.model, hits=1, saved_usd=made_by.cost_usd))
        reason = f"made for the same error at {cached.at:%H:%M} UTC"
        return Answer(
            draft=look_again(draft, evidence),
            made_by=replace(made_by, cached=True, tokens=0, usage=Usage(), cost_usd=0.0, reason=reason),
        )


def key_of(alert: Alert, recipe: Recipe) -> str:
    """The same error from the same source, as urgent, and made with the same recipe."""
    urgency = "pages" if alert.severity.pages else "waits"
    words = "\0".join((alert.signature, alert.source, urgency, recipe.prompt, recipe.model))
    return blake2b(words.encode(errors="surrogatepass"), digest_size=16).hexdigest()
