"""The source and the channel that contributors are shown, in a copy of the project, pass the suites of all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Example, examples

PAGES = (ROOT / "docs/how-to/add-a-source.md", ROOT / "docs/how-to/add-a-channel.md")
FILE = "file: "


def shown() -> Iterator[Example]:
    for page in PAGES:
        yield from examples(page)


def test_the_examples_are_short() -> None:
    for example in shown():
        if example.mark.startswith(FILE) and example.language == "python":
            _, _, code = example.text.partition("from __future__")
            assert len([line for line in code.splitlines() if line.strip()]) < 60


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of program and tests, with the files of the pages in it."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for example in shown():
        if example.mark.startswith(FILE):
            path = tmp_path / example.mark.removeprefix(FILE)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(example.text, encoding="utf-8")
        elif example.mark == "row":
            add_row(tmp_path / "tests/channels/test_conformance.py", example)
    return tmp_path


def add_row(suite: Path, row: Example) -> None:
    before = suite.read_text(encoding="utf-8")
    assert "ROWS = (\n" in before
    suite.write_text(before.replace("ROWS = (\n", f"ROWS = (\n{row.text}", 1), encoding="utf-8")


def python(project: Path, *arguments: str) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={**own, "PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return done.stdout


def test_the_source_passes_the_contract_of_sources(project: Path) -> None:
    python(project, "-m", "tests.docs.expected", "uptime_kuma")
    down = (project / "tests/sources/fixtures/uptime_kuma/down.expected.json").read_text(encoding="utf-8")
    assert '"status": "firing"' in down
    assert '"source_id": "7"' in down
    python(project, "-m", "pytest", "tests/sources/test_sources_contract.py", "-n", "0", "-p", "no:cacheprovider")
    torn = ("tests/properties/test_sources_properties.py", "-k", "uptime_kuma")
    assert " passed" in python(project, "-m", "pytest", *torn, "-n", "0", "-v", "-p", "no:cacheprovider")


def test_the_command_that_tries_the_source_shows_what_was_read(project: Path) -> None:
    (command,) = (line for example in shown() for line in example.text.splitlines() if " sources test " in line)
    _, *arguments = command.split()
    said = python(
        project, "-c", "import sys; from mcp_responder.entrypoints.cli import main; sys.exit(main())", *arguments
    )
    assert said.startswith("HIGH | firing | checkout\n")
    assert "uptime_kuma 7" in said


def test_the_channel_passes_the_conformance_suite(project: Path) -> None:
    suite = "tests/channels/test_conformance.py"
    python(project, "-m", "pytest", suite, "-k", "discord", "-n", "0", "-p", "no:cacheprovider")


@pytest.mark.parametrize("path", ["src/mcp_responder/sources/uptime_kuma.py", "src/mcp_responder/channels/discord.py"])
def test_the_examples_are_clean(project: Path, path: str) -> None:
    for check in (["ruff", "check", path], ["ruff", "format", "--check", path], ["mypy", path]):
        python(project, "-m", *check)
