"""Asking the rules analyst: subjects, evidence, and an analysis whose claims must all be proven."""

from __future__ import annotations

from datetime import UTC, datetime

from mcp_responder.analysts.rules import RulesAnalyst
from mcp_responder.analysts.rules.judging import Ruling, judge
from mcp_responder.analysts.rules.reading import read
from mcp_responder.model.alert import Alert
from mcp_responder.model.analysis import Draft, Evidence
from mcp_responder.model.incident import Activity
from mcp_responder.pipeline.investigate import alert_evidence
from mcp_responder.pipeline.prove import prove
from mcp_responder.ports import Subject

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)


def subject(title: str, message: str = "", **facts: object) -> Subject:
    alert = Alert(source="generic", title=title, message=message, **facts)  # type: ignore[arg-type]
    return Subject(alert=alert, incident=None, activity=Activity(), now=NOW)


def evidence(about: Subject, files: dict[str, str]) -> list[Evidence]:
    found = [alert_evidence(about.alert)]
    found += [Evidence(evidence_id="", kind="attached", title=name, content=text) for name, text in files.items()]
    return [
        Evidence(evidence_id=f"e{number}", kind=item.kind, title=item.title, query=item.query, content=item.content)
        for number, item in enumerate(found, 1)
    ]


def rulings(about: Subject, files: dict[str, str]) -> dict[str, Ruling]:
    return {ruling.rule.name: ruling for ruling in judge(read(about, evidence(about, files)))}


def analyze(about: Subject, **files: str) -> Draft:
    gathered = evidence(about, {name.replace("__", "."): text for name, text in files.items()})
    draft = prove(RulesAnalyst().analyze(about, gathered).draft, gathered)
    assert all(claim.verified for claim in draft.claims), [claim for claim in draft.claims if not claim.verified]
    return draft
