"""``incidents show``: one screen that says what is broken, why, and how sure that is."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import msgspec
import pytest

from mcp_responder.entrypoints.cli.report import incident_lines
from mcp_responder.entrypoints.cli.terminal import Terminal, relative
from mcp_responder.model.analysis import Claim
from mcp_responder.model.incident import IncidentStatus
from mcp_responder.operations import IncidentView
from mcp_responder.plumbing.text import width
from tests.channels.messages import an_analysis
from tests.cli.views import HOSTILE, NOW, an_incident

SCREEN = 40


def shown(incident: IncidentView) -> list[str]:
    return [*incident_lines(incident, Terminal(StringIO(), {}, NOW))]


def test_it_leads_with_what_is_broken() -> None:
    lines = shown(an_incident())
    assert lines[0] == "CRITICAL | open | payments-api | Connection pool exhausted"
    assert "41 alerts, 1 firing | opened 4 min ago | last seen 12 s ago" in " ".join(" ".join(lines[:4]).split())


def test_it_has_cause_impact_steps_timeline_and_deliveries_in_that_order() -> None:
    lines = shown(an_incident())
    labels = [line.split()[0] for line in lines if line and not line.startswith(" ")]
    wanted = ["Summary", "Cause", "Impact", "Steps", "Claims", "Timeline", "Told"]
    assert [label for label in labels if label in wanted] == wanted
    text = "\n".join(lines)
    assert "$ deployctl rollback payments" in text
    assert "2026-11-22 03:08:09Z  4 min ago  opened by generic" in text
    assert "delivered webhook, 3 min ago: analyzed in 2 tries https://ops.example/7" in text


def test_quotes_are_marked() -> None:
    claims = (
        Claim(statement="The pool is full", evidence="e1", quote="20 of 20", verified=True),
        Claim(statement="The moon did it", evidence="e2", quote="full moon"),
    )
    incident = an_incident(analysis=msgspec.structs.replace(an_analysis(), claims=claims))
    text = "\n".join(shown(incident))
    assert "verified The pool is full" in text
    assert "unproven The moon did it" in text
    assert '"20 of 20" (e1' in text


def test_it_fits_a_screen_whatever_it_holds() -> None:
    incident = an_incident()
    long = an_analysis("word " * 60)
    many = msgspec.structs.replace(long, claims=long.claims * 50, remediation=long.remediation * 50, gaps=("gap",) * 50)
    lines = shown(msgspec.structs.replace(incident, analysis=many, timeline=incident.timeline * 100))
    assert len(shown(incident)) <= SCREEN
    assert sum("more; see --json" in line for line in lines) == 2
    assert any("190 earlier; see --json" in line for line in lines)


def test_foreign_text_is_harmless_everywhere() -> None:
    timeline = tuple(msgspec.structs.replace(e, by=HOSTILE, text=HOSTILE) for e in an_incident().timeline)
    incident = an_incident(
        HOSTILE, service=HOSTILE, owner=HOSTILE, resource=HOSTILE, analysis=an_analysis(HOSTILE), timeline=timeline
    )
    text = "".join(shown(incident))
    assert not {"\x1b", "\x9b", "\u202e", "\n"} & set(text)


def test_without_an_analysis() -> None:
    incident = an_incident(
        analysis=None, status=IncidentStatus.RESOLVED, resolved_at=NOW - timedelta(hours=2), resolved_by="eve"
    )
    text = " ".join("\n".join(shown(incident)).split())
    assert "Analysis none yet" in text
    assert "resolved 2 h ago by eve" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "now"),
        (1, "1 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7199, "1 h ago"),
        (200_000, "2 d ago"),
        (-90, "in 1 min"),
    ],
)
def test_times_in_words(seconds: int, words: str) -> None:
    assert relative(NOW - timedelta(seconds=seconds), NOW) == words


def test_columns_align_for_wide_letters_too() -> None:
    table = [*Terminal(StringIO(), {}, NOW).table(("A", "B"), [("数据库", "x"), ("db", "x")])]
    assert [width(line.partition("x")[0]) for line in table[1:]] == [8, 8]
