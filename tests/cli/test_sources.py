"""``sources``: who can be heard, how each is set up, and what would become of a body."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from mcp_responder.sources import load_sources
from tests.cli.conftest import Run
from tests.sources.reading import FIXTURES, bodies

GROUP = FIXTURES / "alertmanager" / "firing_and_resolved_of_one_group.json"
FIRING = json.dumps({"title": "Disk full on web-1", "severity": "critical", "service": "checkout"})


def test_a_source_says_where_it_is_heard_and_what_it_takes(run: Run, folder: Path) -> None:
    shown = run("sources", "show", "alertmanager").out
    for words in ("POST /v1/sources/alertmanager", "application/json", "up to 4194304 bytes", "## Set up"):
        assert words in shown
    (folder / "responder.toml").write_text("[http]\nbody_limit = 9000000")
    assert json.loads(run("sources", "show", "alertmanager", "--json").out)["body_limit"] == 9_000_000


@pytest.mark.parametrize("name", [name for name, source in load_sources().items() if source.INFO.key_headers])
def test_a_source_names_the_headers_that_bring_its_key(run: Run, name: str) -> None:
    shown = run("sources", "show", name).out.lower()
    assert all(header in shown for header in load_sources()[name].INFO.key_headers)


# ---------------------------------------------------------------------------------------------------------------- test


def test_each_alert_of_a_body_is_shown_with_what_would_become_of_it(run: Run) -> None:
    ended = run("sources", "test", "alertmanager", str(GROUP))
    assert (ended.code, ended.err) == (0, "")
    first, second = ended.out.split("\n\n")
    assert first.startswith("CRITICAL | firing | orders-api | Requests to orders-api fail\n")
    assert second.startswith("CRITICAL | resolved | carts-api | Requests to carts-api fail\n")
    assert "opens an incident" in first
    assert "ends the firing of its alarm" in second
    for words in ("alertmanager 7e31c05f4d1ab2c9", "orders-api-7c9d8f6b5-x2x9q", "2026-02-27 21:14:08.512Z", "team="):
        assert words in first
    for label in ("Signature", "Identity", "Labels", "Links"):
        assert f"\n{label}" in first


def test_programs_get_the_alerts_whole(run: Run) -> None:
    trial = json.loads(run("sources", "test", "alertmanager", str(GROUP), "--json").out)
    assert [one["alert"]["status"] for one in trial["alerts"]] == ["firing", "resolved"]
    assert trial["alerts"][0]["alert"]["signature"]
    assert trial["alerts"][0]["identity"] != trial["alerts"][1]["identity"]
    assert (trial["source"], trial["rejected"]) == ("alertmanager", [])


def test_alerts_of_one_body_know_each_other(run: Run) -> None:
    other = json.dumps({"title": "Disk full on web-2", "severity": "critical", "service": "checkout"})
    quiet = json.dumps({"title": "Deployed", "status": "info"})
    trial = run("sources", "test", "generic", "-", "--json", stdin=f"[{FIRING},{other},{quiet}]".encode())
    becomes = [one["becomes"] for one in json.loads(trial.out)["alerts"]]
    assert [words.partition(" ")[0] for words in becomes] == ["opens", "joins", "is"]


@pytest.mark.parametrize("name", list(load_sources()))
def test_every_fixture_can_be_tried(run: Run, name: str) -> None:
    """Without a service, and without a signature."""
    for path in bodies(name):
        ended = run("sources", "test", name, str(path), "--json")
        assert ended.code == 0, (path, ended.err)
        assert json.loads(ended.out)["rejected"] == []


def test_packed_files_and_standard_input_are_read_alike(run: Run, folder: Path) -> None:
    (folder / "group.gz").write_bytes(gzip.compress(GROUP.read_bytes()))
    packed = run("sources", "test", "alertmanager", "group.gz").out
    assert packed == run("sources", "test", "alertmanager", "-", stdin=GROUP.read_bytes()).out
    assert packed


def test_a_body_of_another_source_is_named(run: Run) -> None:
    ended = run("sources", "test", "sns", str(GROUP))
    assert ended.code == 0
    assert "read as 'alertmanager', not as 'sns'" in ended.err


def test_headers_count(run: Run) -> None:
    """As text it is one alert, as JSON none at all."""
    said = b"disk full on web-1"
    assert run("sources", "test", "generic", "-", stdin=said).code == 0
    ended = run("sources", "test", "generic", "-", "--header", "Content-Type: application/json", stdin=said)
    assert (ended.code, ended.out) == (1, "")
    assert "not valid JSON" in ended.err


def test_a_body_without_an_alert_is_no_failure(run: Run) -> None:
    ended = run("sources", "test", "alertmanager", "-", stdin=b'{"groupKey": "{}", "alerts": []}')
    assert (ended.code, ended.out) == (0, "")
    assert "no alert" in ended.err


def test_what_can_be_read_is_shown_beside_what_cannot(run: Run) -> None:
    ended = run("sources", "test", "generic", "-", stdin=f"[{FIRING}, {{}}]".encode())
    assert ended.code == 1
    assert "Disk full" in ended.out
    assert "Item 1 can't be read" in ended.err


@pytest.mark.parametrize(
    ("words", "stdin", "code", "said"),
    [
        (["nothing", "-"], b"{}", 3, "There is no source 'nothing'"),
        (["generic", "missing.json"], b"", 2, "can't be read"),
        (["generic"], b"", 2, "FILE"),
        (["generic", "-", "--header", "no colon"], b"{}", 2, "--header 'Name: value'"),
        (["generic", "-"], b"", 1, "no body"),
        (["generic", "-"], b"{", 1, "not valid JSON"),
        (["generic", "-"], gzip.compress(b"x" * 300_000, mtime=0), 1, "larger than 262144 bytes"),
        (["generic", "-"], gzip.compress(b"{}", mtime=0)[:-5], 1, "can't be unpacked"),
        (["generic", "-"], b"\x1f\x8bnonsense", 1, "can't be unpacked"),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence(run: Run, words: list[str], stdin: bytes, code: int, said: str) -> None:
    ended = run("sources", "test", *words, stdin=stdin)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_what_is_hostile_in_a_body_stays_off_the_terminal(run: Run) -> None:
    body = json.dumps({"title": "a\x1b[31m\u202eb", "message": "\x1b]0;x\x07", "labels": {"k\x1b": "v\x9b"}})
    shown = run("sources", "test", "generic", "-", stdin=body.encode()).out
    assert not any(mark in shown for mark in ("\x1b", "\x07", "\x9b", "\u202e"))
