"""Money and patience: what an analysis may cost, what it did, and when a model that fails is left alone."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from mcp_responder.analysts.claude_settings import ClaudeSettings, Price
from mcp_responder.model.analysis import Cost, Usage
from mcp_responder.model.errors import Permanent, Transient
from mcp_responder.ports import Clock, CostBook

SYSTEM_TOKENS = 3000
"""What system prompt and schema take at most, for the reservation."""
FAILURES_ALLOWED = 3
"""In a row; then the model isn't asked for a while."""
SHORTEST_REST = timedelta(minutes=1)
LONGEST_REST = timedelta(minutes=15)


class Declined(Permanent):
    """The model won't answer this one; it says nothing of the next."""


class Spending:
    """What one analysis costs."""

    def __init__(self, day: str, model: str, price: Price | None, reserved: float) -> None:
        self.day = day
        self.model = model
        self.reserved = reserved
        self.calls = 0
        self.usage = Usage()
        self.answered = False
        self._price = price

    def add(self, usage: Usage) -> None:
        self.calls += 1
        self.usage += usage

    @property
    def usd(self) -> float:
        return round(self._price.of(self.usage), 8) if self._price else 0.0


class Budget:
    """Reserves before a call what it may cost, so that calls at the same time can't overspend together."""

    def __init__(self, settings: ClaudeSettings, book: CostBook, clock: Clock) -> None:
        self._settings = settings
        self._book = book
        self._clock = clock
        self._lock = threading.Lock()

    def reserve(self, model: str) -> Spending:
        """Raises Permanent if it may go beyond the day's budget."""
        settings, day = self._settings, f"{self._clock():%Y-%m-%d}"
        price = settings.price(model)
        worst = Usage(cache_write=settings.max_input_tokens + SYSTEM_TOKENS, output=settings.max_tokens)
        most = round(price.of(worst), 8) if price else 0.0
        with self._lock:
            spent = sum(cost.usd + cost.reserved_usd for cost in self._book.costs(day))
            if spent + most > settings.daily_budget_usd:
                self._book.book(Cost(day=day, model=model, failures=1))
                raise Permanent(
                    f"the budget of ${settings.daily_budget_usd:.2f} a day is spent (${spent:.2f}, and an analysis may "
                    f"cost ${most:.2f})"
                )
            self._book.book(Cost(day=day, model=model, reserved_usd=most))
        return Spending(day, model, price, most)

    def settle(self, spending: Spending) -> None:
        """Book what it was in the end."""
        self._book.book(
            Cost(
                day=spending.day,
                model=spending.model,
                calls=spending.calls,
                answers=int(spending.answered),
                failures=int(not spending.answered),
                usage=spending.usage,
                usd=spending.usd,
                reserved_usd=-spending.reserved,
            )
        )


class Circuit:
    """After some failures in a row nobody waits for the model for a while; then one analysis tries it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._until: datetime | None = None

    def check(self) -> None:
        """Raises Transient while it rests."""
        with self._lock:
            now = self._clock()
            if self._until is None:
                return
            if now < self._until:
                raise Transient(f"isn't asked before {self._until:%H:%M:%S} UTC, for it failed {self._failures} times")
            # One tries; the others wait for what comes of it.
            self._until = now + SHORTEST_REST

    def worked(self) -> None:
        with self._lock:
            self._failures, self._until = 0, None

    def failed(self, error: Transient | Permanent) -> None:
        """Count it. A pause that the API asks for is kept at once."""
        if isinstance(error, Declined):
            return
        with self._lock:
            self._failures += 1
            rest = timedelta()
            if self._failures >= FAILURES_ALLOWED:
                rest = min(SHORTEST_REST * 2 ** min(self._failures - FAILURES_ALLOWED, 8), LONGEST_REST)
            if isinstance(error, Transient) and error.retry_after:
                rest = max(rest, min(timedelta(seconds=error.retry_after), LONGEST_REST))
            self._until = self._clock() + rest if rest else None
