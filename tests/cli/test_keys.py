"""``keys``: by the service if one runs, else in the store itself."""

from __future__ import annotations

import json

import pytest

from mcp_responder.operations import KeyView
from tests.cli.conftest import Run
from tests.cli.scripted import ScriptedApi
from tests.cli.views import NOW

MADE = KeyView(
    name="ci", scopes=("ingest", "read"), created_at=NOW, expires_at=None, per_minute=60, state="active", token="rsp_x"
)


def test_a_script_can_take_the_token(api: ScriptedApi, run: Run) -> None:
    api.answer("POST /v1/keys", MADE, 201)
    ended = run("keys", "create", "ci", "--scopes", "ingest,read", "--expires-in", "90d", "--per-minute", "60")
    assert (ended.code, ended.out) == (0, "rsp_x\n")
    assert api.asked[0].json == {"name": "ci", "scopes": ["ingest", "read"], "expires_in": "90d", "per_minute": 60}


def test_rotate_list_and_revoke(api: ScriptedApi, run: Run) -> None:
    api.answer("POST /v1/keys/ci/rotate", MADE)
    api.answer("GET /v1/keys", {"items": [MADE], "next": None})
    api.answer("DELETE /v1/keys/ci", b"", 204)
    assert run("keys", "rotate", "ci", "--overlap", "2h").out == "rsp_x\n"
    assert api.asked[0].json == {"overlap": "2h"}
    assert run("keys").out.splitlines()[1].split()[:4] == ["ci", "active", "ingest,read", "60"]
    assert run("keys", "revoke", "ci").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["create", "ci"],
        ["create", "ci", "--scopes", "root"],
        ["create", "ci", "--scopes", "read", "--expires-in", "0d"],
        ["create", "ci", "--scopes", "read", "--per-minute", "-1"],
        ["rotate", "ci", "--overlap", "soon"],
    ],
)
def test_what_no_key_can_be(api: ScriptedApi, run: Run, words: list[str]) -> None:
    assert run("keys", *words).code == 2
    assert api.asked == []


def test_without_a_service_the_store_is_opened(run: Run) -> None:
    assert run("keys").code == 4
    made = run("keys", "create", "ci", "--scopes", "ingest")
    assert made.code == 0
    assert made.out.startswith("rsp_")
    assert run("keys", "create", "ci", "--scopes", "ingest").code == 1
    assert run("keys", "rotate", "ci").out != made.out
    listed = json.loads(run("keys", "--json").out)["items"]
    assert sorted(key["state"] for key in listed) == ["active", "replaced"]
    assert not any(key["token"] for key in listed)
    assert run("keys", "revoke", "ci").code == 0
    assert run("keys", "revoke", "ci").code == 3


def test_a_named_service_that_is_away_is_not_replaced(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPONDER_URL", "http://127.0.0.1:1")
    assert run("keys", "create", "ci", "--scopes", "ingest").code == 4
