"""Claude: an analysis by a model of Anthropic, through their API or Amazon Bedrock.

A key switches it on; it may also stand in ``ANTHROPIC_API_KEY``:

    [analysis.claude]
    api_key = "sk-ant-..."

The model sees redacted evidence only. Its answer has to fit the schema of a Draft and quote evidence that exists; else
it is asked once more, and then the next analyst answers. Whatever goes wrong ends in Transient or Permanent, with the
reason in words, before ``timeout_seconds`` are over.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from mcp_responder.analysts.excerpt import excerpts
from mcp_responder.model.alert import Severity
from mcp_responder.model.analysis import Answer, Cost, Draft, Evidence, MadeBy, Usage
from mcp_responder.model.errors import Permanent, Transient
from mcp_responder.plumbing.http import HttpClient, HttpFailure
from mcp_responder.plumbing.redaction import redact
from mcp_responder.plumbing.secret import Secret
from mcp_responder.plumbing.text import hide, one_line, shown_line
from mcp_responder.ports import Clock, CostBook, Recipe, Subject

if TYPE_CHECKING:
    import httpx2
    from anthropic import Anthropic, AnthropicBedrock
    from anthropic.types import Message

PROMPT = "analysis.v1"
"""The version of the prompt: a changed text is a new version."""
API = "https://api.anthropic.com"
CHARACTERS_A_TOKEN = 3
"""A careful guess for logs."""
SYSTEM_TOKENS = 3000
"""What system prompt and schema take at most, for the reservation."""
LONGEST_STATEMENT = 400
LONGEST_TEXT = 2000
MOST_ITEMS = 20
FIRST_WAIT = 1.0
"""Seconds before the second try; they double."""
FAILURES_ALLOWED = 3
"""In a row; then the model isn't asked for a while."""
SHORTEST_REST = timedelta(minutes=1)
LONGEST_REST = timedelta(minutes=15)
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

    api_key: Secret | None = None
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


class ClaudeAnalyst:
    """Asks the model for an incident's severity. Safe to use from many threads."""

    name = "claude"

    def __init__(
        self,
        settings: ClaudeSettings,
        book: CostBook,
        clock: Clock,
        http: HttpClient,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._api = _Api(settings, http, sleep)
        self._budget = _Budget(settings, book, clock)
        self._circuit = _Circuit(clock)

    def recipe(self, subject: Subject) -> Recipe:
        """The model and the prompt's version."""
        incident = subject.incident
        severity = incident.severity if incident else subject.alert.severity
        return Recipe(model=self._settings.models.for_(severity), prompt=PROMPT)

    def analyze(self, subject: Subject, evidence: Sequence[Evidence]) -> Answer:
        """Raises Permanent or Transient, which say why the model couldn't, or wasn't asked."""
        model = self.recipe(subject).model
        self._circuit.check()
        spending = self._budget.reserve(model)
        try:
            draft = self._converse(model, subject, evidence, spending)
        except (Transient, Permanent) as error:
            self._circuit.failed(error)
            raise
        else:
            self._circuit.worked()
            spending.answered = True
        finally:
            self._budget.settle(spending)
        return Answer(
            draft=draft,
            made_by=MadeBy(
                analyst=self.name,
                model=model,
                prompt=PROMPT,
                tokens=spending.usage.total,
                usage=spending.usage,
                cost_usd=spending.usd,
            ),
        )

    def _converse(self, model: str, subject: Subject, evidence: Sequence[Evidence], spending: _Spending) -> Draft:
        """Ask; when the answer can't be used, say why and ask once more."""
        until = time.monotonic() + self._settings.timeout_seconds
        turns: list[dict[str, str]] = [{"role": "user", "content": question(subject, evidence, self._settings)}]
        text = self._api.ask(model, turns, until, spending)
        try:
            return read_draft(text, evidence)
        except ValueError as error:
            turns += [
                {"role": "assistant", "content": text or "(nothing)"},
                {"role": "user", "content": f"That can't be used: {error}. Give the whole answer again, corrected."},
            ]
        try:
            return read_draft(self._api.ask(model, turns, until, spending), evidence)
        except ValueError as error:
            raise Permanent(f"its answer can't be used, twice: {error}") from error


# --------------------------------------------------------------------------------------------------------- the question


def question(subject: Subject, evidence: Sequence[Evidence], settings: ClaudeSettings) -> str:
    """The user prompt: the alert's facts, and the evidence as far as it fits, between markers that nobody can guess."""
    alert, activity = subject.alert, subject.activity
    marker = f"==== {secrets.token_hex(6)}"
    contents = excerpts([item.content for item in evidence], settings.max_input_tokens * CHARACTERS_A_TOKEN)
    shown = [(item.kind, _marked(item, text, marker)) for item, text in zip(evidence, contents, strict=True)]
    return _prompt("user").substitute(
        title=msgspec.json.encode(shown_line(alert.title, 300)).decode(),
        severity=subject.incident.severity if subject.incident else alert.severity,
        service=shown_line(alert.service, 100) or "unknown",
        environment=shown_line(alert.environment, 100) or "unknown",
        now=f"{subject.now:%Y-%m-%dT%H:%M:%SZ}",
        activity=f"{activity.alerts} alerts of this incident, {activity.firing} alarms firing",
        marker=marker,
        alert=_section(text for kind, text in shown if kind == "alert"),
        history=_section(text for kind, text in shown if kind == "history"),
        similar=_section(text for kind, text in shown if kind == "similar"),
        logs=_section(text for kind, text in shown if kind not in ("alert", "history", "similar")),
        gaps=_section(f"- {one_line(item.gap)}" for item in evidence if item.gap),
    )


def _marked(item: Evidence, content: str, marker: str) -> str:
    if item.gap:
        return ""
    head = f"{marker} {item.evidence_id} ({item.kind}): {shown_line(item.title, 200)} [{shown_line(item.query, 200)}]"
    return f"{head}\n{content or '(looked, and found nothing)'}\n{marker} end of {item.evidence_id}"


def _section(texts: Iterator[str]) -> str:
    return "\n\n".join(filter(None, texts)) or "Nothing."


@cache
def _prompt(part: str) -> Template:
    path = resources.files(__package__) / "prompts" / f"{PROMPT}.{part}.md"
    return Template(path.read_text(encoding="utf-8"))


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of a Draft in the API's dialect: every field required, nothing else allowed, limits as words."""
    from anthropic import transform_schema

    (root,), parts = msgspec.json.schema_components([Draft], ref_template="#/$defs/{name}")
    del root
    definitions = {name: _strict(part) for name, part in parts.items()}
    # Whether a claim is proved is for the program to say.
    claim = definitions["Claim"]
    claim["properties"].pop("verified")
    claim["required"].remove("verified")
    own = definitions.pop("Draft")
    return transform_schema({**own, "$defs": definitions})


def _strict(part: dict[str, Any]) -> dict[str, Any]:
    if "properties" not in part:
        return part
    properties = {
        name: {key: value for key, value in facts.items() if key != "default"}
        for name, facts in part["properties"].items()
    }
    return {**part, "properties": properties, "required": list(properties)}


# ----------------------------------------------------------------------------------------------------------- the answer


def read_draft(text: str, evidence: Sequence[Evidence]) -> Draft:
    """A model's answer as a Draft; what is too long is cut. Raises ValueError, in words that the model can act on."""
    try:
        tree = msgspec.json.decode(_unfenced(text))
        draft = msgspec.convert(_bounded(tree), Draft)
    except msgspec.ValidationError as error:
        raise ValueError(f"it doesn't fit the schema ({error})") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("it isn't JSON") from error
    known = {item.evidence_id for item in evidence if not item.gap}
    strange = sorted({claim.evidence for claim in draft.claims} - known)
    if strange:
        raise ValueError(f"claims quote evidence that doesn't exist ({', '.join(strange)[:100]})")
    if not draft.root_cause.statement.strip():
        raise ValueError("root_cause.statement is empty")
    return draft


def _unfenced(text: str) -> str:
    """Without a Markdown fence around it, which models like."""
    bare = text.strip()
    return bare.partition("\n")[2].removesuffix("```") if bare.startswith("```") else bare


def _bounded(value: object, key: str = "") -> object:
    if isinstance(value, str):
        return value[: LONGEST_STATEMENT if key == "statement" else LONGEST_TEXT]
    if isinstance(value, list):
        return [_bounded(item) for item in value[:MOST_ITEMS]]
    if isinstance(value, dict):
        return {name: _bounded(item, name) for name, item in value.items() if name != "verified"}
    return value


# -------------------------------------------------------------------------------------------------------------- the API


class _Failure(NamedTuple):
    words: str
    again: bool
    """Whether another try may work."""
    wait: float | None
    """Seconds that the other side asks for."""


class _Api:
    """The Messages API through the SDK. All of an analysis's tries share one deadline."""

    def __init__(self, settings: ClaudeSettings, http: HttpClient, sleep: Callable[[float], None]) -> None:
        self._settings = settings
        self._http = http
        self._sleep = sleep
        self._lock = threading.Lock()
        self._client: Anthropic | AnthropicBedrock | None = None

    def ask(self, model: str, turns: Sequence[Mapping[str, str]], until: float, spending: _Spending) -> str:
        """The text of the answer. Raises Transient or Permanent."""
        message = self._tried(self._request(model, turns), until)
        spending.add(_usage(message))
        if message.stop_reason == "refusal":
            raise Declined("the model declined to answer")
        if message.stop_reason == "max_tokens":
            raise Permanent(f"its answer was cut off at {self._settings.max_tokens} tokens")
        if message.stop_reason not in ("end_turn", "stop_sequence"):
            raise Permanent(f"its answer ended with '{shown_line(str(message.stop_reason), 40)}'")
        return "".join(block.text for block in message.content if block.type == "text")

    def _request(self, model: str, turns: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        system = {"type": "text", "text": _prompt("system").template, "cache_control": {"type": "ephemeral"}}
        request: dict[str, Any] = {"model": model, "max_tokens": self._settings.max_tokens, "messages": list(turns)}
        output: dict[str, Any] = {"effort": self._settings.effort} if self._settings.effort else {}
        if self._settings.bedrock_region:
            # Not every model on Bedrock knows structured outputs.
            system["text"] = f"{system['text']}\n# Schema\n\n{msgspec.json.encode(schema()).decode()}"
            output = {}
        else:
            output["format"] = {"type": "json_schema", "schema": schema()}
        return {**request, "system": [system], **({"output_config": output} if output else {})}

    def _tried(self, request: dict[str, Any], until: float) -> Message:
        import anthropic

        client = self._connected()
        tries = 0
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise Transient(f"no answer within {self._settings.timeout_seconds:g} s")
            try:
                message: Message = client.messages.create(**request, timeout=left)
            except (anthropic.APIError, anthropic.AnthropicError) as error:
                failure = self._failure(error)
            else:
                # The SDK takes what comes for what it expects.
                whole = isinstance(message, anthropic.types.Message) and isinstance(message.content, list)
                if not whole or not message.usage:
                    raise Permanent("what answers at its address isn't the API")
                return message
            tries += 1
            wait = failure.wait if failure.wait is not None else FIRST_WAIT * 2 ** (tries - 1)
            if not failure.again or tries > self._settings.max_retries or time.monotonic() + wait >= until:
                raise (Transient(failure.words, failure.wait) if failure.again else Permanent(failure.words))
            self._sleep(wait)

    def _connected(self) -> Anthropic | AnthropicBedrock:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Anthropic | AnthropicBedrock:
        import anthropic
        import httpx2

        settings = self._settings
        key = settings.api_key.reveal() if settings.api_key else None
        client = httpx2.Client(transport=_transport(self._http), trust_env=False)
        if settings.bedrock_region:
            return anthropic.AnthropicBedrock(
                api_key=key,
                aws_region=settings.bedrock_region,
                base_url=settings.base_url or None,
                max_retries=0,
                http_client=client,
            )
        return anthropic.Anthropic(api_key=key, base_url=settings.base_url or API, max_retries=0, http_client=client)

    def _failure(self, error: Exception) -> _Failure:
        import anthropic

        if isinstance(error, anthropic.APIConnectionError):
            return _Failure(str(error.__cause__ or "it can't be reached"), again=True, wait=None)
        if not isinstance(error, anthropic.APIStatusError):
            return _Failure(f"its answer can't be read ({type(error).__name__})", again=False, wait=None)
        status = error.status_code
        again = status in (408, 409, 429) or status >= 500
        words = STATUSES.get(status, "answers with an error")
        return _Failure(f"{words} ({status}{self._said(error.body)})", again, _seconds(error.response.headers))

    def _said(self, body: object) -> str:
        """The API's own words about an error, without anything that it may repeat."""
        told = body.get("error") if isinstance(body, dict) else None
        text = str(told.get("message", "")) if isinstance(told, dict) else ""
        key = self._settings.api_key.reveal() if self._settings.api_key else ""
        words = shown_line(hide(redact(text), [key]), 120)
        return f": {words}" if words else ""


STATUSES = {
    400: "the API refuses the request",
    401: "the API refuses the key",
    402: "the account can't pay",
    403: "the key isn't allowed to",
    404: "the API doesn't know the model",
    413: "the request is too large",
    429: "the API limits the rate",
    529: "the API is overloaded",
}


class Declined(Permanent):
    """The model won't answer this one; it says nothing of the next."""


def _seconds(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None


def _usage(message: Message) -> Usage:
    used = message.usage
    return Usage(
        input=used.input_tokens or 0,
        output=used.output_tokens or 0,
        cache_read=used.cache_read_input_tokens or 0,
        cache_write=used.cache_creation_input_tokens or 0,
    )


LEFT_OUT = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})
"""Headers that are ours to set."""


def _transport(http: HttpClient) -> httpx2.BaseTransport:
    """The SDK's requests through the one HTTP client: its time-out bounds a whole exchange, its TLS rules hold."""
    import httpx2

    class Transport(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            headers = {name: value for name, value in request.headers.items() if name.lower() not in LEFT_OUT}
            seconds = request.extensions["timeout"]["read"]
            try:
                answer = http.request(request.method, str(request.url), request.read(), headers, seconds)
            except HttpFailure as failure:
                raise httpx2.ConnectError(str(failure), request=request) from None
            told = [(name, value) for name, value in answer.headers.items() if name.lower() not in LEFT_OUT]
            return httpx2.Response(answer.status, headers=told, content=answer.body, request=request)

    return Transport()


# --------------------------------------------------------------------------------------------------- money and patience


class _Spending:
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


class _Budget:
    """Reserves before a call what it may cost, so that calls at the same time can't overspend together."""

    def __init__(self, settings: ClaudeSettings, book: CostBook, clock: Clock) -> None:
        self._settings = settings
        self._book = book
        self._clock = clock
        self._lock = threading.Lock()

    def reserve(self, model: str) -> _Spending:
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
        return _Spending(day, model, price, most)

    def settle(self, spending: _Spending) -> None:
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


class _Circuit:
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
