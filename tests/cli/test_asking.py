"""Commands that ask the service: what they send, what they print, how they fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcp_responder.ports import LaneDepth, LedgerHour
from tests.cli.conftest import KEY, Run
from tests.cli.scripted import ScriptedApi
from tests.cli.views import NOW, a_path, a_summary, an_alert, an_incident


def documented(out: str) -> object:
    """The one JSON document that was printed."""
    assert out.endswith("\n")
    return json.loads(out)


def test_the_key_goes_along(api: ScriptedApi, run: Run) -> None:
    api.answer("GET /v1/alerts", {"items": [], "next": None})
    run("alerts")
    assert api.asked[0].headers["x-api-key"] == KEY


@pytest.mark.parametrize("words", [["alerts"], ["alerts", "list"]])
def test_alerts(api: ScriptedApi, run: Run, words: list[str]) -> None:
    api.answer("GET /v1/alerts", {"items": [an_alert()], "next": "c2"})
    ended = run(
        *words, "--severity", "critical", "-q", "pool db", "--limit", "1", "--since", "2026-11-22T03:00:00+01:00"
    )
    assert ended.code == 0
    headings, row = ended.out.splitlines()
    assert headings.split() == ["RECEIVED", "SEVERITY", "STATUS", "OUTCOME", "SERVICE", "TITLE", "ID"]
    assert row.index("CRITICAL") == headings.index("SEVERITY")
    assert row.endswith("0f6cc3a1b2")
    assert "--cursor c2" in ended.err
    assert api.asked[0].path == ("/v1/alerts?limit=1&severity=CRITICAL&since=2026-11-22T02%3A00%3A00Z&q=pool+db")


@pytest.mark.parametrize(
    ("given", "asked"),
    [("2h", "2h"), ("2026-11-22T03:00:00", "2026-11-22T03%3A00%3A00Z"), ("2026-11-22", "2026-11-22T00%3A00%3A00Z")],
)
def test_since_is_how_long_ago_or_a_time(api: ScriptedApi, run: Run, given: str, asked: str) -> None:
    api.answer("GET /v1/alerts", {"items": [], "next": None})
    assert run("alerts", "--since", given).code == 0
    assert api.asked[0].path == f"/v1/alerts?since={asked}"


@pytest.mark.parametrize(
    ("words", "request_line", "body"),
    [
        (["alerts"], "GET /v1/alerts", {"items": [an_alert()], "next": None}),
        (["alerts", "show", "0f6"], "GET /v1/alerts/0f6", an_alert()),
        (["why", "0f6"], "GET /v1/alerts/0f6/why", a_path()),
        (["incidents"], "GET /v1/incidents", {"items": [a_summary()], "next": None}),
        (["incidents", "show", "inc_1"], "GET /v1/incidents/inc_1", an_incident()),
        (["ack", "inc_1"], "POST /v1/incidents/inc_1/acknowledge", an_incident()),
        (["comment", "inc_1", "hello"], "POST /v1/incidents/inc_1/comment", an_incident()),
        (["queues"], "GET /v1/queues", {"lanes": {"analysis": LaneDepth(ready=0, delayed=0, leased=0, oldest=0.0)}}),
        (["channels", "test", "console"], "POST /v1/channels/console/test", {"ok": True, "detail": "Delivered."}),
    ],
)
def test_json_is_the_answer_and_nothing_else(
    api: ScriptedApi, run: Run, words: list[str], request_line: str, body: object
) -> None:
    api.answer(request_line, body)
    sent = json.loads(api.answers[request_line][1])
    for arguments in ([*words, "--json"], ["--json", *words]):
        ended = run(*arguments)
        assert (ended.code, ended.err) == (0, "")
        assert documented(ended.out) == sent


def test_one_alert(api: ScriptedApi, run: Run) -> None:
    api.answer("GET /v1/alerts/0f6", an_alert())
    out = run("alerts", "show", "0f6").out
    for words in (
        "CRITICAL | firing | payments-api | Connection pool",
        "team=payments",
        "runbooks.example",
        "inc_0f6cc3a1b2",
    ):
        assert words in out


def test_why_prints_the_path_with_times(api: ScriptedApi, run: Run) -> None:
    api.answer("GET /v1/alerts/0f6/why", a_path())
    out = run("why", "0f6").out
    assert "delivered: A channel took the news" in out
    assert "2026-11-22 03:08:09.000Z" in out
    assert out.index("received") < out.index("webhook")


@pytest.mark.parametrize(("words", "verb"), [("ack", "acknowledge"), ("resolve", "resolve"), ("reopen", "reopen")])
def test_an_incident_is_changed_by_somebody(
    api: ScriptedApi, run: Run, monkeypatch: pytest.MonkeyPatch, words: str, verb: str
) -> None:
    monkeypatch.setenv("LOGNAME", "joe")
    api.answer(f"POST /v1/incidents/inc_1/{verb}", an_incident())
    ended = run(words, "inc_1")
    assert (ended.code, ended.out) == (0, "inc_0f6cc3a1b2 is open: Connection pool exhausted\n")
    assert api.asked[0].json["by"].startswith("joe@")


def test_a_comment(api: ScriptedApi, run: Run) -> None:
    api.answer("POST /v1/incidents/inc_1/comment", an_incident())
    assert run("comment", "inc_1", "rolled", "back").code == 0
    assert api.asked[0].json["text"] == "rolled back"
    assert run("comment", "inc_1", " ").code == 2


def test_a_silence(api: ScriptedApi, run: Run) -> None:
    api.answer("POST /v1/incidents/inc_1/silence", an_incident(silenced_until=NOW, silenced_by="joe"))
    ended = run("silence", "inc_1", "--minutes", "90")
    said = "inc_0f6cc3a1b2 is open, silent until 2026-11-22 03:12:09Z: Connection pool exhausted\n"
    assert (ended.code, ended.out) == (0, said)
    assert api.asked[0].json["minutes"] == 90


def test_ids_stay_one_part_of_the_path(api: ScriptedApi, run: Run) -> None:
    assert run("alerts", "show", "../keys?x=ü").code == 3
    assert api.asked[0].path == "/v1/alerts/..%2Fkeys%3Fx%3D%C3%BC"


@pytest.mark.parametrize(("status", "code"), [(404, 3), (409, 1), (401, 1), (422, 1), (503, 1)])
def test_a_refusal_is_told_in_the_services_words(api: ScriptedApi, run: Run, status: int, code: int) -> None:
    api.refuse("POST /v1/incidents/inc_1/acknowledge", status, "some_code", "inc_1 was already acknowledged by eve.")
    ended = run("ack", "inc_1")
    assert ended == (code, "", "mcp-responder: inc_1 was already acknowledged by eve.\n")


def test_a_stranger_at_that_address(api: ScriptedApi, run: Run) -> None:
    api.answer("GET /v1/alerts", b"<html>nginx</html>", 404)
    ended = run("alerts")
    assert ended.code == 1
    assert "RESPONDER_URL" in ended.err
    api.answer("GET /v1/alerts", b"<html>nginx</html>")
    assert run("alerts").code == 1


def test_the_key_does_not_follow_a_redirect(api: ScriptedApi, run: Run) -> None:
    api.answer("GET /v1/alerts", b"", 301, Location="https://elsewhere.example/v1/alerts")
    ended = run("alerts")
    assert ended.code == 1
    assert "https://elsewhere.example" in ended.err
    assert len(api.asked) == 1


def test_an_answer_that_breaks_off(api: ScriptedApi, run: Run) -> None:
    api.answer("GET /v1/alerts", b'{"items":', **{"Content-Length": "1000"})
    ended = run("alerts")
    assert ended.code == 1
    assert "try again" in ended.err


def test_a_path_and_a_key_in_the_address(api: ScriptedApi, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPONDER_URL", api.url.replace("http://", "http://me:s3cret@") + "/ops/")
    monkeypatch.delenv("RESPONDER_API_KEY")
    api.answer("GET /ops/v1/alerts", b"oops")
    ended = run("alerts")
    assert api.asked[0].headers["x-api-key"] == "s3cret"
    assert "s3cret" not in ended.err


# --------------------------------------------------------------------------------------------------------- finding it


def leave_runtime(folder: Path, url: str) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "runtime.json").write_text(json.dumps({"url": url, "token": "local-token", "pid": 1}))


def test_the_local_service_is_found(api: ScriptedApi, run: Run, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    leave_runtime(folder, api.url)
    api.answer("GET /v1/alerts", {"items": [], "next": None})
    monkeypatch.delenv("RESPONDER_URL")
    assert run("alerts").code == 0
    monkeypatch.delenv("RESPONDER_API_KEY")
    assert run("alerts").code == 0
    assert [asked.headers["x-api-key"] for asked in api.asked] == [KEY, "local-token"]


def test_a_service_that_was_killed_left_its_file(run: Run, folder: Path) -> None:
    leave_runtime(folder, "http://127.0.0.1:1")
    ended = run("alerts")
    assert (ended.code, ended.out) == (4, "")
    assert "mcp-responder serve" in ended.err


@pytest.mark.parametrize("text", ["", "[]", '{"url": 3}'])
def test_a_damaged_file_is_told(run: Run, folder: Path, text: str) -> None:
    leave_runtime(folder, "")
    (folder / "data" / "runtime.json").write_text(text)
    ended = run("alerts")
    assert ended.code == 4
    assert "damaged" in ended.err


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://", "http://h:99999999", "http://[::1"])
def test_an_address_that_is_none(run: Run, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("RESPONDER_URL", url)
    assert run("alerts").code == 2


# ---------------------------------------------------------------------------------------------------- ledger, queues


def a_ledger(*, in_flight: int) -> dict[str, object]:
    hour = LedgerHour(hour=NOW, received=10, delivered=3, merged=4, suppressed={"info": 2}, dead=0, in_flight=in_flight)
    return {
        "balanced": hour.balance == 0,
        "received": 10,
        "delivered": 3,
        "merged": 4,
        "suppressed": {"info": 2},
        "dead": 0,
        "in_flight": in_flight,
        "hours": [hour],
    }


def test_the_ledger(api: ScriptedApi, run: Run) -> None:
    api.answer("GET /v1/ledger", a_ledger(in_flight=1))
    ended = run("ledger", "--since", "2h")
    assert ended.code == 0
    assert "received 10 = delivered 3 + merged 4 + suppressed 2 + dead 0 + in flight 1" in ended.out
    assert "since=" in api.asked[0].path


def test_a_ledger_that_does_not_balance_fails(api: ScriptedApi, run: Run) -> None:
    api.answer("GET /v1/ledger", a_ledger(in_flight=0))
    ended = run("ledger", "--json")
    assert ended.code == 1
    assert "balance" in ended.err
    assert documented(ended.out)


def test_queues(api: ScriptedApi, run: Run) -> None:
    api.answer("GET /v1/queues", {"lanes": {"channel:webhook": LaneDepth(ready=2, delayed=1, leased=0, oldest=7.4)}})
    headings, row = run("queues").out.splitlines()
    assert row.split() == ["channel:webhook", "2", "1", "0", "7", "s"]
    assert headings.startswith("LANE")


# ----------------------------------------------------------------------------------------------------------- channels


def test_channels(api: ScriptedApi, run: Run) -> None:
    webhook = {"name": "ops", "kind": "webhook", "title": "Outgoing webhook", "longest_text": 9, "updates": False}
    api.answer("GET /v1/channels", {"items": [webhook], "next": None})
    api.answer("GET /v1/channels/ops", webhook)
    assert run("channels").out.splitlines()[1].split() == ["ops", "webhook", "Outgoing", "webhook"]
    assert run("channels", "show", "ops").out.startswith("Outgoing webhook (ops)\n")


def test_a_channel_that_takes_no_test_message_fails(api: ScriptedApi, run: Run) -> None:
    api.answer("POST /v1/channels/ops/test", {"ok": False, "detail": "ops.example refused.", "again": True})
    ended = run("channels", "test", "ops")
    assert (ended.code, ended.out) == (1, "")
    assert "ops.example refused; the same may work later." in ended.err
    api.answer("POST /v1/channels/ops/test", {"ok": True, "detail": "Delivered."})
    assert run("channels", "test", "ops").code == 0
