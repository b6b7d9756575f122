"""What is particular to the webhook: its body, its signature, its answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from mcp_responder.channels.webhook import INFO, KIND, Webhook
from mcp_responder.model.incident import Event
from mcp_responder.plumbing.http import HttpClient
from mcp_responder.plumbing.secret import Secret
from mcp_responder.plumbing.signing import NotAuthentic, signing_key, verify
from mcp_responder.ports import Delivered

from .messages import NEWS, NOW, a_message, a_message_of, an_analysis, receipt_of
from .server import Reply, ScriptedServer, scripted_server

NEW, OLD = Secret("whsec_bmV3IGtleSBvZiB0aGUgdGVzdA=="), Secret("old key of the test")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture
def http() -> Iterator[HttpClient]:
    http = HttpClient()
    yield http
    http.close()


@pytest.fixture
def webhook(server: ScriptedServer, http: HttpClient) -> Webhook:
    return Webhook("night", Secret(server.url + "/hook"), (NEW, OLD), http, lambda: NOW, 1.0)


def _body(server: ScriptedServer) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(server.asked[-1].body)
    return body


def test_the_body_is_as_documented(webhook: Webhook, server: ScriptedServer) -> None:
    webhook.deliver(a_message(Event.ACKNOWLEDGED, analysis=an_analysis()), None)
    body = _body(server)
    analysis = body.pop("analysis")
    assert body == {
        "type": "incident.acknowledged",
        "id": "d-INC-7-acknowledged",
        "sent_at": "2026-11-22T03:12:09Z",
        "incident": {
            "id": "INC-7",
            "title": "Connection pool exhausted on db-primary",
            "severity": "CRITICAL",
            "status": "acknowledged",
            "service": "payments-api",
            "resource": "db-primary",
            "environment": "production",
            "source": "cloudwatch_alarm",
            "owner": "",
            "signature": "9f31c0",
            "alert_id": "a-1",
            "news": 4,
            "reopened": 0,
            "opened_at": "2026-11-22T03:08:09Z",
            "acknowledged_at": None,
            "acknowledged_by": "",
            "resolved_at": None,
            "resolved_by": "",
            "silenced_until": None,
            "silenced_by": "",
            "last_seen": "1970-01-01T00:00:00Z",
            "alert_count": 14,
            "firing_count": 3,
            "version": 1,
        },
        "timeline": [
            {"at": "2026-11-22T03:08:09Z", "event": "opened", "by": "cloudwatch_alarm", "alert_id": "a-1"},
            {"at": "2026-11-22T03:12:09Z", "event": "acknowledged", "by": "ann", "text": "on it"},
        ],
        "links": [{"name": "Alarm", "url": "https://console.example.com/alarm/1"}],
        "url": "http://127.0.0.1:8080/incidents/INC-7",
        "reference": "",
        "doubtful": False,
        "late_seconds": 0,
        "instead": "",
        "digest": None,
        "shortened": False,
    }
    assert analysis["root_cause"]["confidence"] == 0.87
    assert analysis["claims"][0]["verified"] is True
    assert analysis["evidence"][1]["gap"] == "access was denied"
    assert analysis["made_by"]["analyst"] == "rules"


def test_the_guide_names_every_field_of_the_body(webhook: Webhook, server: ScriptedServer) -> None:
    webhook.deliver(a_message(Event.ANALYZED, analysis=an_analysis()), None)
    body = _body(server)
    names = {*body, *body["incident"], *body["analysis"], *body["analysis"]["evidence"][0], *body["links"][0]}
    assert not [name for name in names if name not in KIND.guide]


@pytest.mark.parametrize("event", NEWS)
def test_the_type_is_the_news(webhook: Webhook, server: ScriptedServer, event: Event) -> None:
    webhook.deliver(a_message(event), None)
    assert _body(server)["type"] == f"incident.{event}"
    assert event in KIND.guide


def test_the_request_is_a_post_of_json(webhook: Webhook, server: ScriptedServer) -> None:
    webhook.deliver(a_message(), None)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/hook")
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["user-agent"].startswith("mcp-responder/")


@pytest.mark.parametrize("secret", [NEW, OLD])
def test_each_secret_proves_the_exact_body(webhook: Webhook, server: ScriptedServer, secret: Secret) -> None:
    webhook.deliver(a_message(), None)
    (asked,) = server.asked
    key = [signing_key(secret)]
    verify(key, asked.headers, asked.body, NOW.timestamp())
    with pytest.raises(NotAuthentic):
        verify(key, asked.headers, asked.body + b" ", NOW.timestamp())
    assert asked.headers["webhook-id"] == _body(server)["id"]


def test_without_a_secret_nothing_is_signed(server: ScriptedServer, http: HttpClient) -> None:
    Webhook("night", Secret(server.url), (), http, lambda: NOW).deliver(a_message(), None)
    assert not [name for name in server.asked[0].headers if name.startswith("webhook-")]


def test_user_and_password_go_as_a_header(server: ScriptedServer, http: HttpClient) -> None:
    url = Secret(f"http://ann:p%40ss@{server.place}/hook")
    Webhook("night", url, (), http, lambda: NOW).deliver(a_message(), None)
    assert server.asked[0].headers["authorization"] == "Basic YW5uOnBAc3M="
    assert server.asked[0].headers["host"] == server.place


@pytest.mark.parametrize(
    ("answer", "reference", "url"),
    [
        (b'{"reference": "OPS-1", "id": 7}', "OPS-1", ""),
        (b'{"id": 7, "url": "https://ops.example.com/7"}', "7", "https://ops.example.com/7"),
        (b'{"id": "", "url": "javascript:alert(1)"}', "", ""),
        (b'{"id": true}', "", ""),
        (b'{"id": {"deep": 1}}', "", ""),
        (b'{"id": "' + b"x" * 201 + b'"}', "", ""),
        (b'{"id": "a\\u001b[2Jb"}', "a\\x1b[2Jb", ""),
        (b'{"id": "OPS-1", "rest": "' + b"x" * 5000 + b'"}', "", ""),
        (b'["OPS-1"]', "", ""),
        (b"[" * 4000, "", ""),
        (b"accepted", "", ""),
        (b"\xff\xfe", "", ""),
        (b"", "", ""),
    ],
)
def test_the_answer_may_name_a_reference(
    webhook: Webhook, server: ScriptedServer, answer: bytes, reference: str, url: str
) -> None:
    server.script(Reply(body=answer))
    assert webhook.deliver(a_message(), None) == Delivered(reference=reference, url=url)


def test_a_known_reference_is_sent_and_kept_when_no_new_one_is_answered(
    webhook: Webhook, server: ScriptedServer
) -> None:
    previous = receipt_of(a_message(), Delivered(reference="OPS-1"))
    assert webhook.deliver(a_message(Event.RESOLVED), previous).reference == "OPS-1"
    assert _body(server)["reference"] == "OPS-1"


# ----------------------------------------------------------------------------------------------------------- shortened


def test_the_timeline_goes_first(webhook: Webhook, server: ScriptedServer) -> None:
    message = a_message(Event.ANALYZED, analysis=an_analysis("text " * 100))
    entry = msgspec.structs.replace(message.timeline[0], text="x" * 1000)
    webhook.deliver(msgspec.structs.replace(message, timeline=(entry,) * 1000 + message.timeline), None)
    body = _body(server)
    assert body["shortened"] is True
    assert len(body["timeline"]) == 100
    assert body["timeline"][-1]["text"] == "on it"
    assert body["analysis"]["summary"] == "text " * 100


def test_then_what_the_evidence_holds(webhook: Webhook, server: ScriptedServer) -> None:
    analysis = an_analysis()
    evidence = tuple(
        msgspec.structs.replace(analysis.evidence[0], evidence_id=f"e{n}", content="line\n" * 20_000) for n in range(20)
    )
    webhook.deliver(
        a_message(Event.ANALYZED, analysis=msgspec.structs.replace(analysis, evidence=evidence)),
        None,
    )
    body = _body(server)
    assert body["shortened"] is True
    assert [len(one["content"]) for one in body["analysis"]["evidence"]] == [4000] * 20
    assert body["analysis"]["summary"] == analysis.summary


def test_the_worst_message_keeps_its_ids_and_fits(webhook: Webhook, server: ScriptedServer) -> None:
    webhook.deliver(a_message_of("\x00" * 100_000, repeat=50), None)
    body = _body(server)
    assert body["id"] == "d-INC-7-opened"
    assert body["incident"]["id"] == "INC-7"
    assert body["links"] == []
    assert len(server.asked[0].body) <= INFO.longest_text


# ------------------------------------------------------------------------------------------------------------ settings


def test_settings_are_read_from_a_table_and_from_text() -> None:
    settings = KIND.read({"url": "https://ops.example.com/x", "secret": "a", "secrets": ["b"], "timeout_seconds": "3"})
    assert settings.timeout_seconds == 3.0
    assert [secret.reveal() for secret in settings.signing_secrets] == ["a", "b"]
    assert "ops.example.com" not in repr(settings)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "url"),
        ({"url": 7}, "url"),
        ({"url": "ops.example.com"}, "url: the address must begin with http://"),
        ({"url": "ftp://ops.example.com/T0K3N"}, "http://"),
        ({"url": "http://[T0K3N"}, "can't be read"),
        ({"url": "https://ops.example.com", "uri": "x"}, "uri"),
        ({"url": "https://ops.example.com", "timeout_seconds": 0}, "timeout_seconds"),
        ({"url": "https://ops.example.com", "timeout_seconds": 61}, "timeout_seconds"),
        ({"url": "https://ops.example.com", "secret": "whsec_T0K3N!"}, "base64"),
        ({"url": "https://ops.example.com", "secrets": [""]}, "empty"),
    ],
)
def test_wrong_settings_are_refused_without_repeating_them(table: dict[str, object], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words) as caught:
        KIND.read(table)
    assert "T0K3N" not in str(caught.value)
