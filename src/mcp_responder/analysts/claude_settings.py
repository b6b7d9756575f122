"""How Claude is set up, and what its models cost."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mcp_responder.model.alert import Severity
from mcp_responder.model.analysis import Usage
from mcp_responder.plumbing.secret import Secret

MILLION = 1_000_000

Count = Annotated[int, Meta(ge=1)]
Dollars = Annotated[float, Meta(ge=0)]


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars for a million tokens."""

    input: Dollars
    output: Dollars
    cache_read: Dollars
    cache_write: Dollars

    def of(self, usage: Usage) -> float:
        """What these tokens cost."""
        return (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_read * self.cache_read
            + usage.cache_write * self.cache_write
        ) / MILLION


PRICES = {
    "claude-haiku-5-5": Price(input=0.10, output=0.50, cache_read=0.01, cache_write=0.125),
    "claude-sonnet-5-5": Price(input=2.0, output=10.0, cache_read=0.10, cache_write=2.50),
    "claude-opus-5-5": Price(input=4.0, output=20.0, cache_read=0.20, cache_write=5.0),
    "claude-haiku-4-5": Price(input=1.0, output=5.0, cache_read=0.10, cache_write=1.25),
}
"""List prices of November 2026, for prompts of up to 100,000 tokens."""


class Models(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model analyses what, by the incident's severity."""

    critical: str = "claude-sonnet-5-5"
    """For CRITICAL."""
    high: str = "claude-sonnet-5-5"
    """For HIGH."""
    medium: str = "claude-haiku-5-5"
    """For MEDIUM."""
    low: str = "claude-haiku-5-5"
    """For LOW."""

    def for_(self, severity: Severity) -> str:
        name: str = getattr(self, severity.value.lower())
        return name


class ClaudeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Analyses by a model of Anthropic. Without a key the rules analyse, and nothing leaves."""

    api_key: Secret = Secret("")
    """The key; empty: ANTHROPIC_API_KEY. With bedrock_region, an API key of Amazon Bedrock."""
    base_url: str = ""
    """Address of the API; empty: Anthropic's, or that of Bedrock in its region."""
    bedrock_region: str = ""
    """AWS region; set: Amazon Bedrock is asked, and models are named as Bedrock names them."""
    models: Models = Models()
    effort: Literal["", "low", "medium", "high"] = "medium"
    """How much the model thinks before it answers; empty for models that don't know effort."""
    timeout_seconds: Annotated[float, Meta(gt=0)] = 90.0
    """How long an analysis may take, with all tries."""
    max_retries: Annotated[int, Meta(ge=0)] = 2
    """Further tries when the API is overloaded, limits the rate, or can't be reached."""
    max_tokens: Count = 8000
    """Most tokens of an answer, with what the model thinks."""
    max_input_tokens: Annotated[int, Meta(ge=2000, le=90_000)] = 24_000
    """Most tokens of evidence; of more, the newest and most telling lines are sent."""
    daily_budget_usd: Dollars = 5.0
    """Most US dollars a day (UTC); beyond, the rules analyse."""
    prices: dict[str, Price] = {}
    """Prices of models that aren't known, or not at list price."""

    def price(self, model: str) -> Price | None:
        """By the model's name, or by a known one inside of it, such as Bedrock's; None if there is none."""
        known = {**PRICES, **self.prices}
        inside = sorted((name for name in known if name in model), key=len)
        return known[inside[-1]] if inside else None

    @property
    def enabled(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self.api_key or self.bedrock_region)
