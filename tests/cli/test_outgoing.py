"""Proxy and pins from their settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

PIN = f"sha256/{'A' * 43}="


@pytest.mark.parametrize(
    ("table", "key", "fix"),
    [
        ('proxy = "proxy.example:3128"', "outgoing.proxy", "must begin with http://"),
        ('[outgoing.pins]\n"slack.com" = ["sha256/short"]', "outgoing.pins.slack.com", "44 characters of base64"),
        ('[outgoing.pins]\n"slack.com" = []', "outgoing.pins.slack.com", "must be a list of pins"),
    ],
)
def test_what_cant_be_used_refuses_to_start(run: Run, folder: Path, table: str, key: str, fix: str) -> None:
    (folder / "responder.toml").write_text(f"[outgoing]\n{table}\n")
    ended = run("config", "check")
    assert (ended.code, key in ended.err, fix in ended.err) == (2, True, True), ended.err


@pytest.mark.parametrize(
    "table", ['proxy = "http://joe:pw@proxy:3128"', 'proxy = "none"', f'[outgoing.pins]\n"*.example.com" = ["{PIN}"]']
)
def test_what_can_be_used_is_valid_and_its_secret_is_hidden(run: Run, folder: Path, table: str) -> None:
    (folder / "responder.toml").write_text(f"[outgoing]\n{table}\n")
    assert run("config", "check").code == 0
    assert "pw@" not in run("config", "show").out
