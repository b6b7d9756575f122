"""What is particular to the console."""

from __future__ import annotations

import io
import os
import pty

import msgspec
import pytest

from mcp_responder.channels.console import Console
from mcp_responder.model.analysis import Analysis, Step
from mcp_responder.model.errors import Transient
from mcp_responder.model.incident import Event
from mcp_responder.model.message import Message

from .messages import NOW, a_message, a_message_of, an_analysis, an_incident, receipt_of


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


def _told(*messages: Message) -> list[str]:
    """What is printed for each message, each with the receipt of the one before."""
    printed, previous = [], None
    for message in messages:
        stream = io.StringIO()
        delivered = Console("night", stream).deliver(message, previous)
        previous = receipt_of(message, delivered)
        printed.append(stream.getvalue())
    return printed


def _report(analysis: Analysis) -> str:
    return _told(a_message(Event.ANALYZED, analysis=analysis))[0]


def test_the_first_line_says_severity_status_service_and_title() -> None:
    _rule, first, *_ = _told(a_message())[0].splitlines()
    assert first == "CRITICAL | open | payments-api | Connection pool exhausted on db-primary"


def test_an_early_page_says_that_the_analysis_is_under_way() -> None:
    (page,) = _told(a_message())
    assert "under way" in page
    assert "http://127.0.0.1:8080/incidents/INC-7" in page
    assert "14 alerts, 3 firing" in page
    assert "https://console.example.com/alarm/1" in page


def test_a_failed_analysis_says_why() -> None:
    (page,) = _told(a_message(Event.ANALYSIS_FAILED))
    assert "analysis failed" in page
    assert "under way" not in page


def test_a_report_holds_all_that_is_needed_at_night() -> None:
    report = _report(an_analysis())
    for words in (
        "Cause     A deploy at 03:05 removed the index",
        "resource exhaustion",
        "Impact    Payments fail",
        "1. Look at who holds the connections [risk: none]",
        "$ deployctl rollback payments",
        "+ The pool is used up.",
        '"pool 20/20" (e1 Last 7 days)',
        "? unproven: The deploy removed an index.",
        "Not seen  - no query plans were available",
        "Deploys: access was denied",
        "By        rules (no API key is configured)",
        "HIGH by the analysis",
    ):
        assert words in report


def test_an_analysis_by_a_model_shows_its_cost() -> None:
    made_by = msgspec.structs.replace(
        an_analysis().made_by, analyst="claude", model="haiku", tokens=1200, cost_usd=0.0123, cached=True, reason=""
    )
    report = _report(msgspec.structs.replace(an_analysis(), made_by=made_by))
    assert "By        claude haiku (1200 tokens, $0.0123; from the cache)" in report


def test_a_command_is_never_wrapped_so_that_it_can_be_copied() -> None:
    command = "kubectl " + " ".join(f"--label=value{n}" for n in range(20)) + "\nkubectl get pods"
    steps = (Step(step="Look", command=command),)
    report = _report(msgspec.structs.replace(an_analysis(), remediation=steps))
    assert f"$ {command.splitlines()[0]}\n" in report
    assert "  kubectl get pods\n" in report


def test_later_news_is_short_and_the_analysis_is_printed_when_it_comes() -> None:
    analysis = an_analysis()
    page, taken, report, over = _told(
        a_message(),
        a_message(Event.ACKNOWLEDGED),
        a_message(Event.ANALYZED, analysis=analysis),
        a_message(Event.RESOLVED, analysis=analysis),
    )
    assert "acknowledged by ann: on it" in taken
    assert len(taken.splitlines()) <= 4
    assert "Cause" in report
    assert "resolved by ann: on it" in over
    assert "Cause" not in over
    assert "Cause" not in page


def test_news_that_overtakes_the_analysis_does_not_swallow_it() -> None:
    _, over = _told(a_message(), a_message(Event.RESOLVED, analysis=an_analysis()))
    assert "CRITICAL | resolved" in over
    assert "resolved by ann" in over
    assert "Cause" in over


def test_a_new_analysis_is_printed_again() -> None:
    first = an_analysis()
    second = msgspec.structs.replace(first, made_at=NOW.replace(hour=5), summary="It was the disk.")
    _, again = _told(a_message(Event.ANALYZED, analysis=first), a_message(Event.ANALYZED, analysis=second))
    assert "It was the disk." in again


def test_long_lists_say_how_much_more_there_is() -> None:
    report = _report(msgspec.structs.replace(an_analysis(), monitoring=tuple(f"watch {n}" for n in range(20))))
    assert "... and 12 more" in report


def test_lines_fit_the_page() -> None:
    message = a_message_of("word " * 100)
    (report,) = _told(msgspec.structs.replace(message, links=(), analysis=an_analysis("word " * 100)))
    assert max(len(line) for line in report.splitlines() if "$" not in line) <= 100


@pytest.mark.parametrize(("given", "used"), [(40, 80), (95, 95), (300, 120)])
def test_the_width_of_the_terminal_is_used_within_reason(given: int, used: int, monkeypatch) -> None:
    monkeypatch.setattr("os.get_terminal_size", lambda _: os.terminal_size((given, 24)))
    monkeypatch.setenv("NO_COLOR", "1")
    stream = _Terminal()
    Console("night", stream).deliver(a_message(), None)
    assert stream.getvalue().splitlines()[0] == "-" * used


def test_a_real_terminal_gets_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w", encoding="utf-8") as stream:
        Console("night", stream).deliver(a_message(incident=an_incident(title="\x1b[2J evil")), None)
        printed = os.read(leader, 65536).decode()
    os.close(leader)
    assert "\x1b[1;97;41mCRITICAL\x1b[0m" in printed
    assert "\\x1b[2J evil" in printed


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    stream = _Terminal()
    Console("night", stream).deliver(a_message(), None)
    assert "\x1b" not in stream.getvalue()


def test_a_stream_that_was_closed_is_transient() -> None:
    stream = io.StringIO()
    stream.close()
    with pytest.raises(Transient):
        Console("night", stream).deliver(a_message(), None)


def test_a_reader_who_left_is_transient() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    raw = io.FileIO(writing, "w")
    stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    with pytest.raises(Transient, match="BrokenPipeError"):
        Console("night", stream).deliver(a_message(), None)
    stream.close()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_stream_of_any_encoding_takes_any_text(encoding: str) -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding) as stream:
        Console("night", stream).deliver(a_message_of("決済 🔥 \ud800"), None)
        assert b"CRITICAL" in raw.getvalue()


def test_a_message_is_one_write() -> None:
    writes = []

    class Recording(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return super().write(text)

    Console("night", Recording()).deliver(a_message(Event.ANALYZED, analysis=an_analysis()), None)
    assert len(writes) == 1
