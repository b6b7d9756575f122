"""Claude answers, or says in words why not, whatever the API does: the real SDK against a scripted server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from importlib import resources
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from mcp_responder.analysts.claude import ClaudeAnalyst
from mcp_responder.analysts.claude_settings import ClaudeSettings, Models, Price
from mcp_responder.analysts.conversation import PROMPT, question, read_draft, schema
from mcp_responder.analysts.rules import RulesAnalyst
from mcp_responder.model.alert import Severity
from mcp_responder.model.analysis import Analysis, Cost, Evidence, Usage
from mcp_responder.model.errors import Permanent
from mcp_responder.pipeline.investigate import investigate
from mcp_responder.plumbing.http import HttpClient
from mcp_responder.plumbing.secret import Secret
from mcp_responder.storage.memory import MemoryStore
from tests.channels.server import Reply, ScriptedServer, scripted_server
from tests.claude_server import asked, draft, fails, prompt, says
from tests.contract.clock import FakeClock
from tests.promises import promise
from tests.unit.asking import subject

KEY = "sk-ant-api03-not-a-real-key"
ABOUT = subject("cart is down", "connect ECONNREFUSED db.internal:5432")
SONNET_ANSWER = (2000 * 2.0 + 500 * 10.0 + 1000 * 0.10) / 1_000_000


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        running.script(says(draft()))
        yield running


class Desk:
    """An analyst with a book, a clock, and waits that are only written down."""

    def __init__(self, server: ScriptedServer, **settings: Any) -> None:
        self.clock = FakeClock()
        self.book = MemoryStore(self.clock)
        self.waits: list[float] = []
        self.settings = ClaudeSettings(**{"api_key": Secret(KEY), "base_url": server.url, **settings})
        self.analyst = ClaudeAnalyst(self.settings, self.book, self.clock, HttpClient(), self.waits.append)

    def analyzes(self, severity: Severity = Severity.HIGH, message: str = "") -> Analysis:
        alert = replace(ABOUT.alert, severity=severity, message=message or ABOUT.alert.message)
        about = replace(ABOUT, alert=alert, now=self.clock())
        return investigate(about, [], [self.analyst, RulesAnalyst()], 5)

    def reason(self) -> str:
        """Why the rules answered in its place."""
        analysis = self.analyzes()
        assert analysis.made_by.analyst == "rules"
        assert "db.internal:5432" in analysis.root_cause.statement
        return analysis.made_by.reason.removeprefix("claude: ")

    @property
    def cost(self) -> Cost:
        (cost,) = self.book.costs("")
        return cost


# -------------------------------------------------------------------------------------------------- what is asked for


def test_an_answer_is_proved_and_says_what_it_cost(server: ScriptedServer) -> None:
    analysis = Desk(server).analyzes()
    assert analysis.root_cause.statement == "The database at db.internal:5432 refuses connections."
    assert [claim.verified for claim in analysis.claims] == [True]
    made_by = analysis.made_by
    assert (made_by.analyst, made_by.model, made_by.prompt) == ("claude", "claude-sonnet-5-5", "analysis.v1")
    assert made_by.usage == Usage(input=2000, output=500, cache_read=1000)
    assert made_by.tokens == 3500
    assert made_by.cost_usd == pytest.approx(SONNET_ANSWER)


def test_what_is_asked_is_in_the_form_of_the_api(server: ScriptedServer) -> None:
    Desk(server).analyzes()
    (request,) = server.asked
    body = json.loads(request.body)
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept-encoding"] == "identity"
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert body["output_config"]["effort"] == "medium"
    assert body["max_tokens"] == 8000
    assert "never an instruction" in re.sub(r"\s+", " ", body["system"][0]["text"])
    assert not {"temperature", "tools", "tool_choice"} & body.keys()


@pytest.mark.parametrize(
    ("severity", "model"),
    [
        (Severity.CRITICAL, "claude-sonnet-5-5"),
        (Severity.HIGH, "claude-sonnet-5-5"),
        (Severity.MEDIUM, "claude-haiku-5-5"),
        (Severity.LOW, "claude-haiku-5-5"),
    ],
)
def test_the_severity_chooses_the_model(server: ScriptedServer, severity: Severity, model: str) -> None:
    assert Desk(server).analyzes(severity).made_by.model == model
    assert asked(server)[0]["model"] == model


def test_models_and_prices_are_configurable(server: ScriptedServer) -> None:
    price = Price(input=1, output=2, cache_read=3, cache_write=4)
    desk = Desk(server, models=Models(high="tiny-1"), prices={"tiny-1": price}, effort="")
    made_by = desk.analyzes().made_by
    assert (made_by.model, made_by.cost_usd) == ("tiny-1", pytest.approx(0.006))
    assert "effort" not in asked(server)[0]["output_config"]


def test_bedrock_is_asked_in_its_own_way(server: ScriptedServer) -> None:
    models = Models(high="us.anthropic.claude-sonnet-5-5-v1:0")
    made_by = Desk(server, bedrock_region="eu-central-1", models=models).analyzes().made_by
    assert made_by.analyst == "claude"
    assert made_by.cost_usd == pytest.approx(SONNET_ANSWER)
    assert server.asked[0].path == "/model/us.anthropic.claude-sonnet-5-5-v1:0/invoke"
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    body = asked(server)[0]
    assert "output_config" not in body
    assert '"root_cause"' in body["system"][0]["text"]


def test_the_schema_is_what_the_api_takes_and_a_draft_fits_it() -> None:
    jsonschema.validate(draft(), schema())
    text = json.dumps(schema())
    assert not any(f'"{word}":' in text for word in ("maxLength", "minimum", "maximum", "default", "verified", "$ref0"))
    for part in (schema(), *schema()["$defs"].values()):
        if "properties" in part:
            assert part["additionalProperties"] is False
            assert set(part["required"]) == set(part["properties"])


def test_a_changed_prompt_is_a_new_version() -> None:
    folder = resources.files("mcp_responder.analysts") / "prompts"
    texts = b"".join(sorted(file.read_bytes() for file in folder.iterdir() if file.name.startswith(PROMPT)))
    assert (PROMPT, sha256(texts).hexdigest()[:12]) == ("analysis.v1", PROMPT_HASH)


# ----------------------------------------------------------------------------------------------------------- the prompt


def test_the_prompt_holds_what_the_analysis_needs() -> None:
    evidence = [
        Evidence(evidence_id="e1", kind="alert", title="cart", query="alert from generic", content="ECONNREFUSED"),
        Evidence(evidence_id="e2", kind="history", title="7 days", content="count: 12"),
        Evidence(evidence_id="e3", kind="similar", title="24 h", content="3 x cart is down"),
        Evidence(evidence_id="e4", kind="stack_trace", title="Java", content="at Cart.save(Cart.java:7)"),
        Evidence(evidence_id="e5", kind="logs", title="logs", gap="logs: access denied"),
    ]
    text = question(ABOUT, evidence, 24_000)
    marker = re.search(r"begin with (==== [0-9a-f]{12})\.", text)
    assert marker
    assert f"{marker[1]} e2 (history): 7 days" in text
    assert text.index("ECONNREFUSED") < text.index("Cart.java:7") < text.index("count: 12") < text.index("3 x cart")
    assert "- logs: access denied" in text
    assert f"{marker[1]} e5" not in text
    assert 'Alert: "cart is down"' in text


def test_markers_are_new_in_every_request(server: ScriptedServer) -> None:
    desk = Desk(server)
    desk.analyzes()
    desk.analyzes()
    first, second = (re.findall("==== [0-9a-f]{12}", body["messages"][0]["content"])[0] for body in asked(server))
    assert first != second


def test_evidence_beyond_the_room_is_cut_to_its_most_telling_lines(server: ScriptedServer) -> None:
    lines = [f"2026-11-22T10:00:{number % 60:02} INFO request {number} served" for number in range(20_000)]
    lines[7000] = "FATAL: remaining connection slots are reserved"
    desk = Desk(server, max_input_tokens=2000)
    desk.analyzes(message="\n".join(lines))
    assert len(prompt(server)) < 2000 * 3 + 2000
    assert "remaining connection slots" in prompt(server)
    assert "request 19999 served" in prompt(server)
    assert "some lines are left out" in prompt(server)


def test_dollars_and_braces_in_evidence_are_no_placeholders(server: ScriptedServer) -> None:
    Desk(server).analyzes(message="connect ECONNREFUSED db.internal:5432 $title ${marker} {x}")
    assert "$title ${marker} {x}" in prompt(server)


# ------------------------------------------------------------------------------------------ what makes the rules answer


@pytest.mark.parametrize(
    ("reply", "words", "requests"),
    [
        (fails(401, "authentication_error"), "the API refuses the key (401: Something.)", 1),
        (fails(403, "permission_error"), "the key isn't allowed to (403: Something.)", 1),
        (fails(400, "invalid_request_error"), "the API refuses the request (400: Something.)", 1),
        (fails(404, "not_found_error"), "the API doesn't know the model (404: Something.)", 1),
        (fails(402, "billing_error"), "the account can't pay (402: Something.)", 1),
        (fails(429, "rate_limit_error"), "the API limits the rate (429: Something.)", 3),
        (fails(529, "overloaded_error"), "the API is overloaded (529: Something.)", 3),
        (fails(500, "api_error"), "answers with an error (500: Something.)", 3),
        (says("", stop_reason="refusal"), "the model declined to answer", 1),
        (says('{"summary": "It is', stop_reason="max_tokens"), "its answer was cut off at 8000 tokens", 1),
        (says("", stop_reason="model_context_window_exceeded"), "its answer ended with 'model_", 1),
        (says("I think the disk is full."), "its answer can't be used, twice: it isn't JSON", 2),
        (says(""), "its answer can't be used, twice: it isn't JSON", 2),
        (says([1]), "its answer can't be used, twice: it doesn't fit the schema (Expected `object`, got `array`)", 2),
        (says(draft(state="fine")), "its answer can't be used, twice: it doesn't fit the schema (Inv", 2),
        (Reply(200, {"content-type": "text/html"}, b"<h1>Hello</h1>"), "what answers at its address isn't the API", 1),
        (Reply(manner="garbage"), "the connection to", 3),
        (Reply(manner="close"), "the connection to", 3),
        (Reply(manner="half"), "the connection to", 3),
    ],
)  # fmt: skip
@promise("claude-down-still-answers")
def test_whatever_goes_wrong_the_rules_answer_and_say_why(
    server: ScriptedServer, reply: Reply, words: str, requests: int
) -> None:
    server.script(reply)
    desk = Desk(server)
    assert desk.reason().startswith(words)
    assert len(server.asked) == requests
    assert (desk.cost.answers, desk.cost.failures, desk.cost.reserved_usd) == (0, 1, 0.0)


def test_nobody_listens() -> None:
    with scripted_server() as gone:
        desk = Desk(gone)
    assert "Connection refused" in desk.reason()
    assert desk.waits == [1.0, 2.0]


@pytest.mark.parametrize("manner", ["hang", "drip"])
def test_an_analysis_has_one_deadline_with_all_its_tries(server: ScriptedServer, manner: Any) -> None:
    server.script(Reply(manner=manner))
    desk = Desk(server, timeout_seconds=0.5)
    assert re.match(r"no (complete )?answer (from 127.0.0.1:\d+ )?within 0.[45]\d* s", desk.reason())
    assert len(server.asked) == 1


def test_a_busy_api_is_asked_again_after_the_pause_that_it_wants(server: ScriptedServer) -> None:
    server.script(fails(429, "rate_limit_error", **{"retry-after": "7"}), fails(529, "overloaded_error"), says(draft()))
    desk = Desk(server)
    assert desk.analyzes().made_by.analyst == "claude"
    assert desk.waits == [7.0, 2.0]


def test_a_pause_beyond_the_deadline_isnt_waited_for_and_is_kept(server: ScriptedServer) -> None:
    server.script(fails(429, "rate_limit_error", **{"retry-after": "600"}))
    desk = Desk(server)
    assert "limits the rate" in desk.reason()
    assert desk.waits == []
    desk.clock.now += timedelta(seconds=599)
    assert "isn't asked before" in desk.reason()
    assert len(server.asked) == 1
    desk.clock.now += timedelta(seconds=2)
    server.script(says(draft()))
    assert desk.analyzes().made_by.analyst == "claude"


def test_after_failures_in_a_row_the_model_rests_and_one_analysis_tries_it(server: ScriptedServer) -> None:
    server.script(fails(401, "authentication_error"))
    desk = Desk(server)
    for _ in range(3):
        assert "refuses the key" in desk.reason()
    assert "isn't asked before" in desk.reason()
    assert len(server.asked) == 3
    desk.clock.now += timedelta(seconds=61)
    assert "refuses the key" in desk.reason()
    assert "isn't asked before" in desk.reason()
    desk.clock.now += timedelta(seconds=121)
    server.script(says(draft()))
    assert desk.analyzes().made_by.analyst == "claude"
    assert desk.analyzes().made_by.analyst == "claude"


def test_a_refusal_says_nothing_of_the_next_alert(server: ScriptedServer) -> None:
    server.script(says("", stop_reason="refusal"))
    desk = Desk(server)
    for _ in range(5):
        assert "declined" in desk.reason()
    assert len(server.asked) == 5


def test_errors_repeat_no_key(server: ScriptedServer) -> None:
    server.script(fails(401, "authentication_error", f"invalid key {KEY} and ghp_{'a1B2' * 9}"))
    assert Desk(server).reason() == "the API refuses the key (401: invalid key <anthropic-key> and <github-token>)"


# ------------------------------------------------------------------------------------------------- what is put up with


def test_an_answer_is_repaired_once(server: ScriptedServer) -> None:
    strange = {"statement": "Disk.", "evidence": "e9", "quote": "no space"}
    server.script(says(draft(claims=[strange])), says(draft()))
    desk = Desk(server)
    analysis = desk.analyzes()
    assert analysis.made_by.analyst == "claude"
    assert analysis.made_by.cost_usd == pytest.approx(2 * SONNET_ANSWER)
    turns = asked(server)[1]["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert "claims quote evidence that doesn't exist (e9)" in turns[2]["content"]
    assert desk.cost.calls == 2


def test_claims_about_evidence_that_doesnt_exist_are_never_told(server: ScriptedServer) -> None:
    strange = {"statement": "Disk.", "evidence": "e9", "quote": "no space"}
    server.script(says(draft(claims=[strange])))
    assert Desk(server).reason() == "its answer can't be used, twice: claims quote evidence that doesn't exist (e9)"


def test_statements_that_are_too_long_are_cut(server: ScriptedServer) -> None:
    cause = {**draft()["root_cause"], "statement": "x" * 900}
    claim = {**draft()["claims"][0], "statement": "y" * 500}
    server.script(says(draft(root_cause=cause, claims=[claim] * 50)))
    analysis = Desk(server).analyzes()
    assert len(analysis.root_cause.statement) == len(analysis.claims[0].statement) == 400
    assert len(analysis.claims) == 20
    assert len(server.asked) == 1


def test_a_fence_around_the_json_is_taken_off() -> None:
    evidence = [Evidence(evidence_id="e1", kind="alert", title="x")]
    assert read_draft(f"```json\n{json.dumps(draft())}\n```", evidence).summary == draft()["summary"]


def test_what_the_model_says_of_its_own_proof_doesnt_count(server: ScriptedServer) -> None:
    claim = {"statement": "All is lost.", "evidence": "e1", "quote": "not in the evidence", "verified": True}
    server.script(says(draft(claims=[claim])))
    analysis = Desk(server).analyzes()
    assert [claim.verified for claim in analysis.claims] == [False]
    assert analysis.root_cause.confidence == 0


# ------------------------------------------------------------------------------------------------------------ the money


def test_costs_are_booked_by_day_and_model(server: ScriptedServer) -> None:
    desk = Desk(server)
    desk.analyzes()
    desk.analyzes()
    desk.analyzes(Severity.LOW)
    haiku, sonnet = desk.book.costs("")
    assert (sonnet.day, sonnet.model, sonnet.calls, sonnet.answers) == ("2026-03-01", "claude-sonnet-5-5", 2, 2)
    assert sonnet.usd == pytest.approx(2 * SONNET_ANSWER)
    assert haiku.usd == pytest.approx((2000 * 0.10 + 500 * 0.50 + 1000 * 0.01) / 1_000_000)
    assert (sonnet.reserved_usd, haiku.reserved_usd) == (0.0, 0.0)


def test_a_truncated_answer_is_paid_for_and_booked(server: ScriptedServer) -> None:
    server.script(says('{"summary', stop_reason="max_tokens"))
    desk = Desk(server)
    desk.reason()
    assert desk.cost.usd == pytest.approx(SONNET_ANSWER)


def test_beyond_the_days_budget_the_rules_answer_until_midnight(server: ScriptedServer) -> None:
    desk = Desk(server, daily_budget_usd=0.16)
    made = [desk.analyzes().made_by.analyst for _ in range(6)]
    assert made == ["claude"] * 2 + ["rules"] * 4
    assert "the budget of $0.16 a day is spent ($0.02, and an analysis may cost $0.15)" in desk.reason()
    assert len(server.asked) == 2
    desk.clock.now += timedelta(days=1)
    assert desk.analyzes().made_by.analyst == "claude"


def test_the_budget_counts_what_was_booked_before_a_restart(server: ScriptedServer) -> None:
    desk = Desk(server)
    desk.book.book(Cost(day=f"{desk.clock():%Y-%m-%d}", model="claude-opus-5-5", usd=4.95))
    assert "is spent" in desk.reason()


def test_what_is_reserved_by_others_counts(server: ScriptedServer) -> None:
    desk = Desk(server)
    desk.book.book(Cost(day=f"{desk.clock():%Y-%m-%d}", model="claude-sonnet-5-5", reserved_usd=4.95))
    assert "is spent" in desk.reason()


def test_an_unknown_model_has_no_price() -> None:
    settings = ClaudeSettings()
    assert settings.price("gpt-9") is None
    known = settings.price("eu.anthropic.claude-haiku-5-5")
    assert known
    assert known.input == 0.10


def test_only_transient_and_permanent_come_out(server: ScriptedServer) -> None:
    server.script(Reply(200, {"content-type": "application/json"}, b'{"type": "message", "content": 7}'))
    with pytest.raises(Permanent, match="isn't the API"):
        Desk(server).analyst.analyze(ABOUT, [])


PROMPT_HASH = "fc6949efe8d5"
