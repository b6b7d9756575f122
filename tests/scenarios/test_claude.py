"""The model's part in the story, through the real service: asked, paid for, remembered, and never told a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.channels.server import Reply, ScriptedServer, scripted_server
from tests.claude_server import draft, fails, says
from tests.promises import promise
from tests.service import Service, eventually, running

PLANTED = {
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "github": "ghp_" + "a1B2c3D4" * 5,
    "password": "c0rrect-h0rse",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "pem": "MIIEpAIBAAKCAQEA7x",
    "label": "s3same-0pen",
    "raw": "r4w-only-secret",
}
ALERT = {
    "title": f"Login with {PLANTED['github']} failed",
    "message": f"dial postgres://app:{PLANTED['password']}@db.internal:5432: refused, key {PLANTED['aws']}\n"
    f"Authorization: Bearer {PLANTED['jwt']}\n-----BEGIN PRIVATE KEY-----\n{PLANTED['pem']}\n-----END PRIVATE KEY-----",
    "severity": "CRITICAL",
    "service": "login",
    "labels": {"db_password": PLANTED["label"], "team": "identity"},
    "custom": {"client_secret": PLANTED["raw"]},
    "links": [{"name": "build", "url": f"https://ci.example.com/?token={PLANTED['raw']}"}],
}


@pytest.fixture
def model() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        quote = "<aws-access-key>"
        claim = {"statement": "A key is used.", "evidence": "e1", "quote": quote}
        server.script(says(draft(claims=[claim])))
        yield server


@pytest.fixture
def webhook() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture
def service(tmp_path: Path, model: ScriptedServer, webhook: ScriptedServer) -> Iterator[Service]:
    settings = {
        "ANALYSIS__CLAUDE__API_KEY": "sk-ant-of-the-test",
        "ANALYSIS__CLAUDE__BASE_URL": model.url,
        "CHANNELS__WEBHOOK__URL": webhook.url,
    }
    with running(tmp_path, **settings) as started:
        yield started


def analysis_of(service: Service, alert_id: str) -> dict[str, Any]:
    incident = service.get(f"/v1/alerts/{alert_id}")["incident"]["id"]

    def made() -> dict[str, Any]:
        found: dict[str, Any] | None = service.get(f"/v1/incidents/{incident}")["analysis"]
        assert found
        return found

    return eventually(made)


@promise("secrets-never-leave")
def test_no_planted_secret_is_in_any_byte_that_leaves(
    service: Service, model: ScriptedServer, webhook: ScriptedServer
) -> None:
    (alert_id,) = service.send(ALERT)
    analysis = analysis_of(service, alert_id)
    service.settled()
    assert model.asked
    assert len(webhook.asked) >= 2
    for asked in (*model.asked, *webhook.asked):
        for name, secret in PLANTED.items():
            assert secret.encode() not in asked.body, name
            assert secret not in str(asked.headers), name
    assert b"db.internal:5432" in model.asked[0].body
    assert analysis["claims"][0]["verified"]


@promise("people-are-told-before-the-analysis")
def test_a_page_doesnt_wait_for_the_model(service: Service, model: ScriptedServer, webhook: ScriptedServer) -> None:
    model.script(Reply(manner="hang"))
    service.send(ALERT)
    eventually(lambda: webhook.asked[0], 5)
    assert json.loads(webhook.asked[0].body)


@promise("claude-down-still-answers")
def test_costs_are_told_and_survive_a_restart(service: Service, model: ScriptedServer) -> None:
    first, second, third = (
        service.send({**ALERT, "severity": severity, "service": name})[0]
        for name, severity in (("a", "HIGH"), ("b", "LOW"), ("c", "HIGH"))
    )
    made = [analysis_of(service, alert_id)["made_by"] for alert_id in (first, second, third)]
    service.settled()
    assert sorted(one["model"] for one in made) == ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-sonnet-5-5"]
    model.script(fails(529, "overloaded_error", **{"retry-after": "600"}))
    (fourth,) = service.send({"title": "Disk is full", "severity": "HIGH", "service": "d"})
    down = analysis_of(service, fourth)["made_by"]
    assert (down["analyst"], down["reason"]) == ("rules", "claude: the API is overloaded (529: Something.)")
    service.settled()
    before = service.get("/v1/costs")
    assert before["usd"] == pytest.approx(sum(one["cost_usd"] for one in made))
    assert before["answers"] + before["hits"] == 3
    assert before["failures"] == 1
    service.kill()
    service.start()
    assert service.get("/v1/costs") == before
    metrics = urllib3.request("GET", f"{service.url}/metrics").data.decode()
    assert 'responder_model_analyses_total{model="claude-sonnet-5-5",result="failed"} 1.0' in metrics
    assert 'responder_model_usd_total{model="claude-haiku-5-5"}' in metrics
