"""Examples that are marked in the pages are run: commands against the real service, code as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_responder.plumbing.secret import Secret
from mcp_responder.plumbing.signing import sign, signing_key
from tests.docs.pages import ROOT, examples, name_of, pages
from tests.service import KEY, Service, eventually, running

RUNNABLE = [page for page in pages() if any(example.mark == "run" for example in examples(page))]
LONGEST_SECONDS = 60
TOLD = {"INCIDENT_ID": ("incidents", "id"), "ALERT_ID": ("alerts", "alert_id")}
"""Words in the examples that stand for the newest of a list."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running(tmp_path) as service:
        service.send({"title": "Database connection pool exhausted", "severity": "CRITICAL", "service": "checkout"})
        eventually(lambda: service.get("/v1/incidents")["items"][0])
        yield service


def run(commands: str, service: Service, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run lines of a shell as a reader would, in one directory, with the service's address and key at hand."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RESPONDER_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**own, "PATH": path, "RESPONDER_URL": service.url, "RESPONDER_API_KEY": KEY}
    lines = re.sub(r"^source \.venv/bin/activate\n", "", filled(commands, service))
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )


def filled(commands: str, service: Service) -> str:
    for word, (listed, field) in TOLD.items():
        if word in commands:
            commands = commands.replace(word, service.get(f"/v1/{listed}")["items"][0][field])
    return commands


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_the_commands_of_a_page_work(page: Path, service: Service, tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    for example in examples(page):
        if example.mark == "run":
            done = run(example.text, service, folder)
            assert done.returncode == 0, f"{example.text}\n{done.stdout}\n{done.stderr}"


def test_the_two_sendings_with_one_key_are_one_event(service: Service, tmp_path: Path) -> None:
    page = ROOT / "docs/how-to/send-alerts.md"
    (example,) = (one for one in examples(page) if "for try in" in one.text)
    done = run(example.text, service, tmp_path)
    ids = re.findall(r'"alert_id":"([0-9a-f]+)"', done.stdout)
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_the_offline_example_names_the_cause(service: Service, tmp_path: Path) -> None:
    page = ROOT / "docs/how-to/analyze-offline.md"
    first = next(one for one in examples(page) if one.mark == "run")
    done = run(first.text, service, tmp_path)
    assert "memory" in done.stdout.lower()


def test_the_receivers_code_believes_what_is_signed_and_nothing_else() -> None:
    page = ROOT / "docs/how-to/webhook-channel.md"
    (example,) = (one for one in examples(page) if one.mark == "run: verify")
    scope: dict[str, Any] = {}
    exec(example.text, scope)
    is_authentic, now = scope["is_authentic"], int(scope["time"].time())
    for secret in ("whsec_c2lnbmluZy1rZXktb2YtdGhlLWV4YW1wbGU=", "any text that both sides know"):
        headers = sign([signing_key(Secret("new")), signing_key(Secret(secret))], "d-1", now, b"{}")
        assert is_authentic(secret, headers, b"{}")
        assert not is_authentic(secret, headers, b"{ }")
        assert not is_authentic("other", headers, b"{}")
        assert not is_authentic(secret, {}, b"{}")
        old = sign([signing_key(Secret(secret))], "d-1", now - 301, b"{}")
        assert not is_authentic(secret, old, b"{}")


def test_a_first_start_says_how_to_send_and_the_command_works(tmp_path: Path) -> None:
    """What ``make run`` prints leads to a report on the same terminal."""
    service = Service(tmp_path, API_KEY="")
    service.start()
    try:
        found = eventually(lambda: re.search(r"^  curl .*?\n\n", service.stdout, re.DOTALL | re.MULTILINE))
        assert found
        done = subprocess.run(["bash", "-c", found[0]], capture_output=True, text=True, timeout=60, check=False)
        assert '"alert_id"' in done.stdout, done.stderr

        def report() -> None:
            assert "Cause" in service.stdout

        eventually(report)
    finally:
        service.kill()
