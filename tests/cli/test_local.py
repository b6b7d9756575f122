"""Commands that need no service: sources, config, analyze, signature, and the start of serve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

ALERT = '{"title": "Disk full on web-1", "service": "checkout"}'


def test_sources(run: Run) -> None:
    listed = json.loads(run("sources", "--json").out)["items"]
    assert {"generic", "cloudwatch_alarm"} <= {source["name"] for source in listed}
    for source in listed:
        assert source["name"] in run("sources").out
        assert f"/v1/sources/{source['name']}" in run("sources", "show", source["name"]).out
    assert json.loads(run("sources", "show", "generic", "--json").out)["guide"]


# ------------------------------------------------------------------------------------------------------------- config


def test_config_show_names_origins_and_hides_secrets(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "responder.toml").write_text(
        'port = 9000\n[channels.hook]\nkind = "webhook"\nurl = "https://u:leak@h.example/leak"\nsecret = "leak"\n'
        '[channels.odd]\nkind = "unknown"\ntoken = "leak"\n'
    )
    monkeypatch.setenv("RESPONDER_API_KEY", "leak")
    monkeypatch.setenv("RESPONDER_HTTP__MAX_DEPTH", "7")
    shown, ended = run("config", "show"), run("config", "show", "--json")
    assert "leak" not in shown.out + ended.out
    values = json.loads(ended.out)["values"]
    assert values["api_key"] == {"value": "***", "origin": "RESPONDER_API_KEY"}
    assert values["port"] == {"value": 9000, "origin": str(folder / "responder.toml")}
    assert values["http.max_depth"] == {"value": 7, "origin": "RESPONDER_HTTP__MAX_DEPTH"}
    assert values["channels.hook.kind"]["value"] == "webhook"
    assert values["channels.hook.url"]["value"] == "***"
    assert values["host"]["origin"] == "default"
    assert "RESPONDER_HTTP__MAX_DEPTH" in shown.out


@pytest.mark.parametrize(
    ("toml", "key", "fix"),
    [
        ("prot = 1", "prot", "port"),
        ("port = 99999", "port", "65535"),
        ("port =", "syntax", "TOML"),
        ('[channels.hook]\nkind = "webhok"', "channels.hook.kind", "webhook"),
        ('[channels.hook]\nkind = "webhook"\nurll = "x"', "channels.hook", "url"),
        ("[sources.nothing.fields]", "sources.nothing", "generic"),
        ('[correlation]\nidentity = ["signature", "servce"]', "correlation.identity", "servce"),
    ],
)
def test_config_check_says_key_place_and_fix(run: Run, folder: Path, toml: str, key: str, fix: str) -> None:
    (folder / "responder.toml").write_text(toml)
    ended = run("config", "check")
    assert (ended.code, ended.out) == (2, "")
    assert key in ended.err
    assert fix in ended.err


def test_config_check_of_a_good_one(run: Run) -> None:
    assert run("config", "check").code == 0
    told = {"valid": True, "file": "", "channels": ["console"], "doubts": []}
    assert json.loads(run("config", "check", "--json").out) == told


# ------------------------------------------------------------------------------------------------------------ analyze


@pytest.mark.parametrize("more", [[], ["--offline"]])
def test_analyze_a_folder(run: Run, folder: Path, more: list[str]) -> None:
    (folder / "case" / "evidence").mkdir(parents=True)
    (folder / "case" / "alert.json").write_text(ALERT)
    (folder / "case" / "evidence" / "df.txt").write_text("/dev/sda1 100% /var\nNo space left on device\n")
    ended = run("analyze", "case", *more)
    assert ended.code == 0
    for label in ("Disk full on web-1", "Cause", "Claims", "verified"):
        assert label in ended.out
    analysis = json.loads(run("analyze", "case", "--json", *more).out)
    assert {"root_cause", "claims", "evidence", "made_by"} <= set(analysis)


def test_analyze_a_file_and_standard_input(run: Run, folder: Path) -> None:
    (folder / "a.json").write_text(ALERT)
    assert run("analyze", "a.json").out.splitlines()[0] == run("analyze", "-", stdin=ALERT.encode()).out.splitlines()[0]


def test_a_file_that_stands_in_the_way_is_named(run: Run, folder: Path) -> None:
    (folder / "data").write_text("")
    ended = run("keys", "create", "ci", "--scopes", "read")
    assert ended.code in (1, 2)
    assert "data" in ended.err
    assert ended.err.count("\n") == 1


def test_analyze_what_is_no_alert(run: Run, folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "bad.json").write_text("{")
    assert run("analyze", "empty").code == 2
    assert run("analyze", "bad.json").code == 1


# ---------------------------------------------------------------------------------------------------------- signature


def test_a_signature_for_every_line_whatever_it_holds(run: Run) -> None:
    ended = run("signature", stdin=b"timeout after 3 ms\n\n\xff\xfe\x00\r\ntimeout after 77 ms")
    lines = ended.out.splitlines()
    assert len(lines) == 4
    assert lines[0] == lines[3]
    assert run("signature", "--json", stdin=b"timeout after 9 ms").out == f'["{lines[0]}"]\n'
    assert run("signature").out == ""


def test_join_makes_one_of_a_trace(run: Run) -> None:
    trace = b'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    x()\nValueError: bad\n'
    assert len(run("signature", "--join", stdin=trace * 2).out.splitlines()) == 2
    assert len(run("signature", stdin=trace).out.splitlines()) == 4


def test_lines_may_come_in_any_pieces(run: Run) -> None:
    lines = [b"x" * 3_000_000, b"short", b"y" * 1_200_000]
    assert len(run("signature", stdin=b"\n".join(lines) + b"\n").out.splitlines()) == 3


# -------------------------------------------------------------------------------------------------------------- serve


@pytest.mark.parametrize("words", [["--port", "x"], ["--port", "65536"], ["--behind-proxy=yes"], ["now"]])
def test_serve_refuses_wrong_options(run: Run, words: list[str]) -> None:
    assert run("serve", *words).code == 2


def test_options_go_to_the_service_as_its_variables(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, str]] = []

    def serve(overrides: dict[str, str]) -> int:
        given.append(overrides)
        return 0

    monkeypatch.setattr("mcp_responder.entrypoints.supervisor.serve", serve)
    assert run("serve", "--port", "0", "--data-dir", "d", "--behind-proxy", "--json").code == 0
    assert given == [
        {
            "RESPONDER_PORT": "0",
            "RESPONDER_DATA_DIR": "d",
            "RESPONDER_BEHIND_PROXY": "true",
            "RESPONDER_LOG__FORMAT": "json",
        }
    ]


def test_serve_refuses_a_wrong_configuration_in_one_sentence(run: Run, folder: Path) -> None:
    (folder / "responder.toml").write_text("prot = 1")
    ended = run("serve")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
