"""The file: who may write it, who may read it, which version it has."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from mcp_responder.model.errors import LeaseLost, Misconfigured, Transient
from mcp_responder.ports import Commit, Query
from mcp_responder.storage.sqlite.database import FILE, connect, from_ms, migrate, to_ms
from mcp_responder.storage.sqlite.reader import SqliteReader
from mcp_responder.storage.sqlite.store import SqliteStore
from tests.contract.alarms import DECIDE, Sender
from tests.contract.clock import START, FakeClock
from tests.storage.conftest import Open

NEWER = 10_000


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return int(version)


def set_version(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


# ---------------------------------------------------------------------------------------------------------- migrations


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    connection = connect(tmp_path / FILE, cache_kib=100)
    migrate(connection)
    before = list(connection.iterdump()), connection.execute("PRAGMA user_version").fetchone()
    migrate(connection)
    assert (list(connection.iterdump()), connection.execute("PRAGMA user_version").fetchone()) == before
    connection.close()


def test_what_was_written_is_there_after_a_restart(opens: Open, clock: FakeClock) -> None:
    store = opens()
    sender = Sender(store, clock)
    incident = sender.opens(source_id="alarm-1")
    sender.resolves(source_id="alarm-2", ago=timedelta(0))
    store.close()
    again = opens()
    assert again.incident(incident.incident_id).incident == incident
    assert again.ledger(START)[0].received == 2
    straggler = Sender(again, clock).fires(source_id="alarm-2", service="other", ago=timedelta(seconds=9))
    assert again.alert(straggler.alert_id).outcome == "suppressed:out-of-order"
    assert Sender(again, clock).fires(source_id="alarm-1").verdict.incident_id == incident.incident_id


def test_a_file_of_a_newer_version_is_refused_and_left_alone(opens: Open, tmp_path: Path) -> None:
    opens().close()
    set_version(tmp_path / FILE, NEWER)
    with pytest.raises(Misconfigured, match="newer version"):
        opens()
    connection = sqlite3.connect(tmp_path / FILE)
    assert connection.execute("PRAGMA user_version").fetchone() == (NEWER,)
    connection.close()


def test_a_refused_start_lets_the_folder_go(opens: Open, tmp_path: Path) -> None:
    opens().close()
    version = version_of(tmp_path / FILE)
    set_version(tmp_path / FILE, NEWER)
    with pytest.raises(Misconfigured):
        opens()
    set_version(tmp_path / FILE, version)
    opens()


# ----------------------------------------------------------------------------------------------------------- ownership


def test_a_second_owner_is_refused(opens: Open, tmp_path: Path) -> None:
    opens()
    with pytest.raises(Transient, match="in use by a running service"):
        opens()


def test_closing_lets_the_folder_go(opens: Open) -> None:
    opens().close()
    opens()


def test_an_owner_in_another_process_is_respected_until_it_dies(opens: Open, tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib\n"
        "from mcp_responder.storage.sqlite.database import Ownership\n"
        "ownership = Ownership(pathlib.Path(sys.argv[1]))\n"
        "print('mine', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(Transient):
            opens()
        other.kill()
        other.wait()
    opens()


def test_a_folder_that_is_not_there_is_made_for_its_owner_alone(tmp_path: Path, clock: FakeClock) -> None:
    folder = tmp_path / "new" / "data"
    store = SqliteStore(folder, clock)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    store.close()


def test_only_the_owner_may_read_the_files(tmp_path: Path, opens: Open, clock: FakeClock) -> None:
    mask = os.umask(0)
    try:
        Sender(opens(), clock).fires()
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir() if FILE in path.name}
    finally:
        os.umask(mask)
    assert found == {FILE: 0o600, f"{FILE}-wal": 0o600, f"{FILE}-shm": 0o600}


def test_a_file_that_was_left_open_to_others_is_closed_to_them(tmp_path: Path, opens: Open) -> None:
    opens().close()
    (tmp_path / FILE).chmod(0o644)
    opens()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


# --------------------------------------------------------------------------------------------------------------- start


def test_leases_are_returned_at_the_start_and_the_receive_counts(opens: Open, clock: FakeClock) -> None:
    store = opens()
    Sender(store, clock).fires()
    (lost,) = store.receive("analysis", 1, 0)
    store.close()
    again = opens()
    assert again.depth()["analysis"].ready == 1
    (leased,) = again.receive("analysis", 1, 0)
    assert (leased.task, leased.receives) == (lost.task, 2)
    with pytest.raises(LeaseLost):
        again.commit(Commit(finished=lost))


def test_delays_go_on_after_a_restart(opens: Open, clock: FakeClock) -> None:
    store = opens()
    sender = Sender(store, clock)
    sender.fires()
    (leased,) = store.receive("analysis", 1, 0)
    retry = type(leased.task)(work=leased.task.work, not_before=clock() + timedelta(minutes=1))
    store.commit(Commit(finished=leased, tasks=(retry,)))
    store.close()
    again = opens()
    assert again.receive("analysis", 1, 0) == []
    clock.advance(minutes=1)
    assert len(again.receive("analysis", 1, 0)) == 1


# ------------------------------------------------------------------------------------------------------------- readers


def test_a_reader_sees_only_what_is_committed(store: SqliteStore, sender: Sender, tmp_path: Path) -> None:
    reader = SqliteReader(tmp_path)
    seen: list[int] = []

    def look(alert: object, situation: object) -> object:
        seen.append(len(reader.alerts(Query()).items))
        return DECIDE(alert, situation)

    store.accept([sender.firing(), sender.firing(), sender.firing()], look)
    assert seen == [0, 0, 0]
    assert len(reader.alerts(Query()).items) == 3
    reader.close()


def test_a_reader_cannot_write(store: SqliteStore, tmp_path: Path) -> None:
    connection = connect(tmp_path / FILE, cache_kib=100, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM alerts")
    connection.close()


def test_milliseconds_are_exact() -> None:
    for milliseconds in range(1_700_000_000_000, 1_700_000_003_000):
        assert to_ms(from_ms(milliseconds)) == milliseconds
    assert to_ms(from_ms(-1)) == -1
    assert to_ms(START + timedelta(microseconds=999)) == to_ms(START)
