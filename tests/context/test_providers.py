"""Each provider brings what it saw, in words that can be quoted; nothing found is told as nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

from mcp_responder.context.attached import LONGEST, Attached
from mcp_responder.context.history import History
from mcp_responder.context.similar import Similar
from mcp_responder.context.stack_trace import StackTrace
from mcp_responder.model.alert import Alert, Severity
from mcp_responder.model.incident import Activity
from mcp_responder.ports import Cluster, HourCount, Subject

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
HOUR = NOW.replace(minute=0)


class Remembering:
    """The two questions that providers ask a store, with the answers given beforehand."""

    def __init__(self, hours: tuple[HourCount, ...] = (), clusters: tuple[Cluster, ...] = ()) -> None:
        self._hours, self._clusters = hours, clusters
        self.asked: list[tuple[object, ...]] = []

    def history(self, signature: str, since: datetime) -> tuple[HourCount, ...]:
        self.asked.append((signature, since))
        return self._hours

    def similar(self, severity: Severity, since: datetime, limit: int) -> tuple[Cluster, ...]:
        self.asked.append((severity, since))
        return self._clusters


def about(message: str = "", *recent: str) -> Subject:
    alert = Alert(source="generic", title="cart is down", message=message, signature="s1", severity=Severity.HIGH)
    others = tuple(Alert(source="generic", title="cart is down", message=text) for text in recent)
    return Subject(alert=alert, incident=None, activity=Activity(), recent=others, now=NOW)


def test_history_counts_a_week_and_compares_this_hour() -> None:
    hours = (HourCount(hour=HOUR - timedelta(days=2), count=3), HourCount(hour=HOUR, count=11))
    store = Remembering(hours)
    (item,) = History(store).gather(about())  # type: ignore[arg-type]
    assert store.asked == [("s1", NOW - timedelta(days=7))]
    assert "count: 14" in item.content
    assert "first hour: 2026-05-02 09:00 UTC" in item.content
    assert "busiest hour: 2026-05-04 09:00 UTC with 11" in item.content
    assert "this hour: 11 (average hour: 0.08)" in item.content
    assert "frequency: 2.0 a day" in item.content


def test_a_new_signature_is_looked_for_and_not_found() -> None:
    (item,) = History(Remembering()).gather(about())  # type: ignore[arg-type]
    assert (item.content, item.gap) == ("", "")
    assert "s1" in item.query


def test_similar_lists_clusters_of_the_same_severity() -> None:
    cluster = Cluster(signature="s1", service="cart", title="cart is down", count=7, incidents=2, last_seen=NOW)
    store = Remembering(clusters=(cluster,))
    (item,) = Similar(store).gather(about())  # type: ignore[arg-type]
    assert store.asked == [(Severity.HIGH, NOW - timedelta(hours=24))]
    assert item.content == (
        "7 x cart is down (service cart, 2 incidents, last at 2026-05-04T09:30:00Z) [this signature]"
    )


TRACE = """\
Traceback (most recent call last):
  File "/app/cart/total.py", line 41, in total
    return sum(prices)
TypeError: unsupported operand type(s) for +: 'int' and 'str'
"""


def test_a_stack_trace_is_read_once_however_often_it_came() -> None:
    (item,) = StackTrace().gather(about(TRACE, TRACE, "no trace here"))
    assert item.kind == "stack_trace"
    assert "TypeError" in item.content
    assert "/app/cart/total.py:41" in item.content


def test_ordinary_words_hold_no_stack_trace() -> None:
    assert list(StackTrace().gather(about("disk is full at 97 %"))) == []


def test_attached_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"a": 1}')
    (tmp_path / "a.log").write_text("ERROR x\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.csv").write_text("time,value\n1,2\n")
    found = list(Attached(tmp_path).gather(about()))
    assert [(item.title, item.content) for item in found] == [
        ("a.log", "ERROR x\n"),
        ("b.json", '{"a": 1}'),
        ("deep/c.csv", "time,value\n1,2\n"),
    ]


def test_what_is_not_text_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "core").write_bytes(b"\x7fELF\0\0\0")
    (item,) = Attached(tmp_path).gather(about())
    assert item.gap
    assert not item.content


def test_a_file_in_utf_16_is_read(tmp_path: Path) -> None:
    (tmp_path / "win.log").write_bytes("ERROR café".encode("utf-16"))
    (item,) = Attached(tmp_path).gather(about())
    assert item.content.strip("\ufeff") == "ERROR café"


def test_a_large_log_keeps_the_first_the_telling_and_the_newest(tmp_path: Path) -> None:
    lines = ["starting cart 1.2"] + [f"request {number} served" for number in range(20_000)]
    lines[9_000] = "ERROR could not reach ledger"
    (tmp_path / "cart.log").write_text("\n".join(lines))
    (item,) = Attached(tmp_path).gather(about())
    assert len(item.content) < LONGEST + 300
    kept = item.content.splitlines()
    assert kept[0] == "starting cart 1.2"
    assert "ERROR could not reach ledger" in kept
    assert kept[-2] == "request 19999 served"
    assert kept[-1].startswith("[cut: ")


def test_a_file_of_one_endless_line_is_cut_too(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(["x" * 100] * 2_000))
    (item,) = Attached(tmp_path).gather(about())
    assert 0 < len(item.content) <= LONGEST + 300


def test_a_folder_that_is_not_there_brings_nothing() -> None:
    assert list(Attached(Path("/nonexistent/evidence")).gather(about())) == []


def test_names_are_stable() -> None:
    named = SimpleNamespace(store=Remembering())
    providers = [History(named.store), Similar(named.store), StackTrace(), Attached(Path())]  # type: ignore[arg-type]
    assert [provider.name for provider in providers] == ["history", "similar", "stack_trace", "attached"]
