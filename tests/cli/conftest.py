"""How tests run commands: in this process against a scripted API, or as a user does, in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import NamedTuple

import pytest

from mcp_responder.entrypoints.cli import main
from tests.cli.scripted import ScriptedApi, scripted_api

KEY = "rsp_test"


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment in which nobody has set anything."""
    for name in [*os.environ]:
        if name.startswith("RESPONDER_") or name in ("NO_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedApi]:
    """A service that commands find."""
    with scripted_api() as server:
        monkeypatch.setenv("RESPONDER_URL", server.url)
        monkeypatch.setenv("RESPONDER_API_KEY", KEY)
        yield server


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process."""

    def run_main(*arguments: str, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(stdin)))
        code = main(arguments)
        out, err = capfdbinary.readouterr()
        return Ended(code, out.decode(), err.decode())

    return run_main


def command(*arguments: str) -> list[str]:
    """What starts a process of its own."""
    return [
        sys.executable,
        "-c",
        "import sys; from mcp_responder.entrypoints.cli import main; sys.exit(main())",
        *arguments,
    ]


@pytest.fixture
def spawn() -> Run:
    """Run a command as a process of its own."""

    def run_process(*arguments: str, stdin: bytes = b"", **environment: str) -> Ended:
        done = subprocess.run(
            command(*arguments),
            input=stdin,
            check=False,
            capture_output=True,
            env={**os.environ, **environment},
            timeout=60,
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run_process
