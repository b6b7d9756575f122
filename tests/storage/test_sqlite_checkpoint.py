"""The log is copied back beside the writer, and starts again while alerts keep coming."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mcp_responder.ports import Query
from mcp_responder.storage.sqlite import checkpoint
from mcp_responder.storage.sqlite.database import FILE
from tests.contract.alarms import Sender

BATCH, BATCHES = 20, 100


def log_size(folder: Path) -> int:
    return (folder / f"{FILE}-wal").stat().st_size


def send_steadily(sender: Sender) -> None:
    for _ in range(BATCHES):
        sender.sends(*(sender.firing(event_id=uuid4().hex, message="x" * 1000) for _ in range(BATCH)))
        time.sleep(0.002)


def test_the_log_starts_again_under_a_steady_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sender: Sender
) -> None:
    monkeypatch.setattr(checkpoint, "ROWS", 10**9)
    send_steadily(sender)
    uncopied = log_size(tmp_path)
    monkeypatch.setattr(checkpoint, "ROWS", 100)
    send_steadily(sender)
    send_steadily(sender)
    # Three times as much was written, and the first part had to be copied: what came after fitted into its place.
    assert log_size(tmp_path) < 1.5 * uncopied


def test_what_cant_be_copied_stays_in_the_log_and_is_told(
    monkeypatch: pytest.MonkeyPatch, sender: Sender, logged: list[MutableMapping[str, Any]]
) -> None:
    monkeypatch.setattr(checkpoint, "ROWS", 100)
    monkeypatch.setattr(checkpoint, "CHECKPOINT", "SELECT * FROM nowhere")
    send_steadily(sender)
    assert len(sender.store.alerts(Query(limit=10_000)).items) == BATCH * BATCHES
    assert {entry["event"] for entry in logged} == {"checkpoint_failed"}
