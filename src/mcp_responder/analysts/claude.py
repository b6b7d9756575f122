"""Claude: an analysis by a model of Anthropic, through their API or Amazon Bedrock.

A key switches it on; it may also stand in ``ANTHROPIC_API_KEY``:

    [analysis.claude]
    api_key = "sk-ant-..."

The model sees redacted evidence only. Its answer has to fit the schema of a Draft and quote evidence that exists; else
it is asked once more, and then the next analyst answers. Whatever goes wrong ends in Transient or Permanent, with the
reason in words, before ``timeout_seconds`` are over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mcp_responder.analysts.claude_settings import ClaudeSettings
from mcp_responder.analysts.conversation import PROMPT, question, read_draft, schema, system_prompt
from mcp_responder.analysts.spending import Budget, Circuit, Declined, Spending
from mcp_responder.model.analysis import Answer, Draft, Evidence, MadeBy, Usage
from mcp_responder.model.errors import Permanent, Transient
from mcp_responder.plumbing.http import HttpClient, HttpFailure
from mcp_responder.plumbing.redaction import redact
from mcp_responder.plumbing.text import hide, shown_line
from mcp_responder.ports import Clock, CostBook, Recipe, Subject

if TYPE_CHECKING:
    import httpx2
    from anthropic import Anthropic, AnthropicBedrock
    from anthropic.types import Message

API = "https://api.anthropic.com"
FIRST_WAIT = 1.0
"""Seconds before the second try; they double."""


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
        self._budget = Budget(settings, book, clock)
        self._circuit = Circuit(clock)

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

    def _converse(self, model: str, subject: Subject, evidence: Sequence[Evidence], spending: Spending) -> Draft:
        """Ask; when the answer can't be used, say why and ask once more."""
        until = time.monotonic() + self._settings.timeout_seconds
        turns: list[dict[str, str]] = [
            {"role": "user", "content": question(subject, evidence, self._settings.max_input_tokens)}
        ]
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

    def ask(self, model: str, turns: Sequence[Mapping[str, str]], until: float, spending: Spending) -> str:
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
        system = {"type": "text", "text": system_prompt(), "cache_control": {"type": "ephemeral"}}
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
