"""Routes from their file: what they say, what is wrong with them, and what is hardly meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

CHANNELS = """\
[channels.ops]
kind = "webhook"
url = "https://ops.example.com/hook"

[channels.pager]
kind = "console"

[channels.mail]
kind = "console"
"""
ROUTES = """\
[[routes]]
at_least = "HIGH"
environment = ["prod*", "live"]
labels = { team = "pay*" }
channels = ["pager", "ops"]
fallback = ["mail"]

[[routes]]
severity = ["CRITICAL"]
hours = "Mon-Fri 09:00-18:00 Europe/Berlin"
channels = ["pager"]
continue = true

[[routes]]
service = "search"
channels = []

[[routes]]
channels = ["ops"]
"""


@pytest.fixture
def configured(folder: Path) -> Path:
    file = folder / "responder.toml"
    file.write_text(f"{CHANNELS}\n{ROUTES}")
    return file


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("words", "channels", "fallback", "routes"),
    [
        (("HIGH", "--environment", "production", "--label", "team=payments"), ["pager", "ops"], ["mail"], [0]),
        (("MEDIUM", "--environment", "production", "--label", "team=payments"), ["ops"], [], [3]),
        (("CRITICAL", "--environment", "production"), ["pager", "ops"], [], [1, 3]),
        (("CRITICAL", "--at", "2026-03-02T12:00:00Z"), ["pager", "ops"], [], [1, 3]),
        (("CRITICAL", "--at", "2026-03-02T07:59:00+00:00"), ["ops"], [], [3]),
        (("critical", "--at", "2026-03-01T12:00"), ["ops"], [], [3]),
    ],
)
def test_a_made_up_incident_takes_its_routes(
    run: Run, words: tuple[str, ...], channels: list[str], fallback: list[str], routes: list[int]
) -> None:
    at = () if "--at" in words or routes != [1, 3] else ("--at", "2026-03-02T12:00:00Z")
    ended = run("routes", "test", "--severity", *words, *at, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == {"channels": channels, "fallback": fallback, "routes": routes}


@pytest.mark.usefixtures("configured")
def test_the_answer_is_a_sentence(run: Run) -> None:
    told = run("routes", "test", "--severity", "HIGH", "--environment", "live", "--label", "team=pay")
    assert told.out == "Told: pager, ops; if one can't be told, mail (by routes[0]).\n"
    nobody = run("routes", "test", "--severity", "LOW", "--service", "Search")
    assert (nobody.code, nobody.out) == (1, "")
    assert "Nobody would be told" in nobody.err


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("words", [("--label", "team"), ("--at", "noon"), ()])
def test_what_cant_be_read_is_said(run: Run, words: tuple[str, ...]) -> None:
    severity = ("--severity", "HIGH") if words else ()
    assert run("routes", "test", *severity, *words).code == 2


@pytest.mark.parametrize(
    ("route", "key", "fix"),
    [
        ('channels = ["opps"]', "routes[0].channels", "did you mean 'ops'?"),
        ('channels = ["ops"]\nfallback = ["phone"]', "routes[0].fallback", "configured are: ops, pager, mail."),
        ('channels = ["ops"]\nhours = "9 to 5"', "routes[0].hours", "write it as 'Mon-Fri 09:00-18:00"),
        ('channels = ["ops"]\nhours = ["09:00-17:00 Moon"]', "routes[0].hours", "no time zone 'Moon'"),
        ('severity = ["FATAL"]', "routes[0].severity[0]", "CRITICAL, HIGH, MEDIUM, LOW"),
        ('at_least = "FATAL"', "routes[0].at_least", "CRITICAL, HIGH, MEDIUM, LOW"),
        ('severity = ["LOW"]\nat_least = "HIGH"', "routes[0].severity", "leave one out"),
        ('chanels = ["ops"]', "routes[0].chanels", "there is no such key"),
        ("service = 7", "routes[0].service", "expected"),
    ],
)
def test_a_wrong_route_refuses_to_start(run: Run, folder: Path, route: str, key: str, fix: str) -> None:
    (folder / "responder.toml").write_text(f"{CHANNELS}\n[[routes]]\n{route}\n")
    ended = run("config", "check")
    assert ended.code == 2
    assert f"responder.toml: {key}: " in ended.err
    assert fix in ended.err


def test_a_wrong_route_of_the_environment_is_found_there(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "responder.toml").write_text(CHANNELS)
    monkeypatch.setenv("RESPONDER_ROUTES", '[{channels = ["opps"]}]')
    assert "RESPONDER_ROUTES: routes[0].channels: there is no channel 'opps'" in run("config", "check").err


def test_what_is_hardly_meant_is_a_warning(run: Run, folder: Path) -> None:
    (folder / "responder.toml").write_text(f'{CHANNELS}\n[[routes]]\nat_least = "HIGH"\nchannels = ["ops", "mail"]\n')
    ended = run("config", "check")
    assert ended.code == 0
    assert ended.out.count("Doubtful: ") == 3
    assert "Doubtful: channels.pager: no route leads to it" in ended.out
    doubts = json.loads(run("config", "check", "--json").out)["doubts"]
    assert [doubt.partition(":")[0] for doubt in doubts] == ["MEDIUM", "LOW", "channels.pager"]
