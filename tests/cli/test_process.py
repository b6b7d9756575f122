"""What a shell sees: exit codes, start-up, pipes, signals."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
from pathlib import Path

import pytest

from mcp_responder.entrypoints.cli.commands import COMMANDS, GROUPS
from tests.cli.conftest import Run, command
from tests.cli.scripted import ScriptedApi
from tests.cli.views import HOSTILE, a_summary

HEAVY = ("fastapi", "pydantic", "uvicorn", "structlog", "prometheus_client", "urllib3", "uvloop", "anthropic", "boto3")


def test_starting_imports_nothing_heavy() -> None:
    """Start-up is what every call pays."""
    code = "import sys, mcp_responder.entrypoints.cli; print(*sys.modules)"
    loaded = subprocess.run([*command()[:2], code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_asking_the_service_imports_nothing_heavy(api: ScriptedApi) -> None:
    api.answer("GET /v1/incidents", {"items": [a_summary()], "next": None})
    code = (
        "import sys; from mcp_responder.entrypoints.cli import main;"
        "main(['incidents']); main(['incidents', '--json']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([*command()[:2], code], capture_output=True, text=True, check=True)
    assert "Connection pool exhausted" in done.stdout
    assert not set(HEAVY) & set(done.stderr.split())


def test_version(spawn: Run) -> None:
    ended = spawn("--version")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("mcp-responder ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["sources"], 0),
        (["analyze", "-"], 1),
        ([], 2),
        (["incidnts"], 2),
        (["ack"], 2),
        (["alerts", "--severity", "awful"], 2),
        (["analyze", "nowhere"], 2),
        (["sources", "show", "nothing"], 3),
        (["incidents"], 4),
    ],
)
def test_exit_codes_and_one_sentence(spawn: Run, arguments: list[str], code: int) -> None:
    ended = spawn(*arguments, stdin=b"{nonsense")
    assert ended.code == code
    if code:
        assert ended.out == ""
        assert ended.err.startswith("mcp-responder: ")
        assert ended.err.count("\n") == 1


def test_a_wrong_configuration_is_usage(spawn: Run) -> None:
    ended = spawn("incidents", RESPONDER_PROT="1")
    assert ended.code == 2
    assert "RESPONDER_PROT" in ended.err
    assert "port" in ended.err


@pytest.mark.parametrize("name", [c.name for c in COMMANDS] + list(GROUPS))
def test_every_help_has_an_example(run: Run, name: str) -> None:
    ended = run(*name.split(), "--help")
    assert ended.code == 0
    assert f"  mcp-responder {name.removesuffix(' list')}" in ended.out
    assert "Example" in ended.out


def test_the_reader_of_the_output_may_leave() -> None:
    process = subprocess.Popen(
        command("signature"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(b"first\n")
    process.stdin.flush()
    assert len(process.stdout.readline()) == 17
    process.stdout.close()
    process.stdin.write(b"second\n")
    process.stdin.close()
    assert process.wait(30) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_ctrl_c_is_quiet() -> None:
    process = subprocess.Popen(
        command("signature"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(b"what has come is answered before more is waited for\n")
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr.read() == b""
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


def test_a_full_disk_is_told(folder: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command("sources"), check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


def test_a_closed_output_is_no_failure() -> None:
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command("sources")], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_argument_that_is_no_text(spawn: Run, api: ScriptedApi) -> None:
    ended = spawn("comment", "inc_1", os.fsdecode(b"\xff"))
    assert ended.code == 2
    assert "UTF-8" in ended.err


def test_an_ascii_locale_gets_all_of_it(spawn: Run, api: ScriptedApi) -> None:
    api.answer("GET /v1/incidents", {"items": [a_summary("Zürich ist down")], "next": None})
    assert "Z\\xfcrich" in spawn("incidents", PYTHONIOENCODING="ascii").out
    assert (
        json.loads(spawn("incidents", "--json", PYTHONIOENCODING="ascii").out)["items"][0]["title"] == "Zürich ist down"
    )


# ----------------------------------------------------------------------------------------------------- on a terminal


def on_a_terminal(*arguments: str, **environment: str) -> str:
    leader, follower = pty.openpty()
    with subprocess.Popen(
        command(*arguments), stdout=follower, env={**os.environ, "TERM": "xterm", **environment}
    ) as process:
        os.close(follower)
        shown = b""
        while select.select([leader], [], [], 30)[0]:
            try:
                shown += os.read(leader, 65536)
            except OSError:
                break
        assert process.wait(30) == 0
    os.close(leader)
    return shown.decode()


def test_colour_is_for_terminals(api: ScriptedApi, spawn: Run) -> None:
    api.answer("GET /v1/incidents", {"items": [a_summary("t" * 300)], "next": None})
    assert "\x1b[1;97;41mCRITICAL\x1b[0m" in on_a_terminal("incidents")
    assert "\x1b" not in on_a_terminal("incidents", NO_COLOR="1")
    assert "\x1b" not in on_a_terminal("incidents", TERM="dumb")
    assert "\x1b" not in spawn("incidents").out


def test_rows_fit_a_terminal_and_are_whole_in_a_pipe(api: ScriptedApi, spawn: Run) -> None:
    api.answer("GET /v1/incidents", {"items": [a_summary("t" * 300)], "next": None})
    shown = on_a_terminal("incidents", NO_COLOR="1", COLUMNS="120")
    assert max(map(len, shown.splitlines())) <= 120
    assert "inc_0f6cc3a1b2" in shown
    assert "t" * 300 in spawn("incidents").out


@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_foreign_text_cannot_command_a_terminal(api: ScriptedApi, json_too: list[str]) -> None:
    api.answer("GET /v1/incidents", {"items": [a_summary(HOSTILE)], "next": None})
    shown = on_a_terminal("incidents", *json_too, NO_COLOR="1")
    assert not {"\x1b", "\x9b", "\u202e"} & set(shown)
    if json_too:
        assert json.loads(shown)["items"][0]["title"] == HOSTILE
    else:
        assert len(shown.splitlines()) == 2
