"""``incidents`` and what a person does with one: ack, resolve, reopen, silence, comment."""

from __future__ import annotations

import os
import socket
import sys
from argparse import Namespace
from getpass import getuser

from mcp_responder.entrypoints.cli.alerts import filters, tell_the_rest
from mcp_responder.entrypoints.cli.failures import OK, UsageError
from mcp_responder.entrypoints.cli.report import incident_lines
from mcp_responder.entrypoints.cli.service import read, segment, the_service
from mcp_responder.entrypoints.cli.terminal import Terminal, utc
from mcp_responder.model.incident import IncidentSummary
from mcp_responder.operations import IncidentView
from mcp_responder.plumbing.text import cut
from mcp_responder.ports import Page

LONGEST_NAME = 100


def list_incidents(args: Namespace, terminal: Terminal) -> int:
    """The newest incidents, one a line."""
    body = the_service().get("/v1/incidents", filters(args))
    if args.json:
        terminal.json(body)
        return OK
    page = read(body, Page[IncidentSummary])
    rows = [_row(incident, terminal) for incident in page.items]
    headings = ("OPENED", "SEEN", "SEVERITY", "STATUS", "ALERTS", "SERVICE", "TITLE", "OWNER", "ID")
    terminal.show(terminal.table(headings, rows, 6))
    tell_the_rest(len(rows), page.next, "incidents")
    return OK


def show_incident(args: Namespace, terminal: Terminal) -> int:
    """One incident as a report."""
    body = the_service().get(f"/v1/incidents/{segment(args.id)}")
    if args.json:
        terminal.json(body)
    else:
        terminal.show(incident_lines(read(body, IncidentView), terminal))
    return OK


def acknowledge(args: Namespace, terminal: Terminal) -> int:
    return _change(args, terminal, "acknowledge", {})


def resolve(args: Namespace, terminal: Terminal) -> int:
    return _change(args, terminal, "resolve", {})


def reopen(args: Namespace, terminal: Terminal) -> int:
    return _change(args, terminal, "reopen", {})


def silence(args: Namespace, terminal: Terminal) -> int:
    return _change(args, terminal, "silence", {"minutes": args.minutes})


def comment(args: Namespace, terminal: Terminal) -> int:
    """Words for the timeline; ``-`` takes them from standard input."""
    text = " ".join(args.text) if args.text != ["-"] else sys.stdin.buffer.read().decode("utf-8", "replace")
    if not text.strip():
        raise UsageError("The comment is empty; write some words.")
    return _change(args, terminal, "comment", {"text": text.strip()})


def _change(args: Namespace, terminal: Terminal, verb: str, body: dict[str, object]) -> int:
    answer = the_service().post(f"/v1/incidents/{segment(args.id)}/{verb}", {"by": caller(), **body})
    if args.json:
        terminal.json(answer)
        return OK
    incident = read(answer, IncidentView)
    comment = ", with your comment" if "text" in body else ""
    silence = f", silent until {utc(incident.silenced_until)}" if "minutes" in body else ""
    terminal.say(f"{incident.id} is {incident.status}{comment}{silence}: {incident.title}")
    return OK


def caller() -> str:
    """Who sits at this terminal: what incidents keep beside what was done."""
    try:
        user = getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return cut(f"{user}@{socket.gethostname()}", LONGEST_NAME)


def _row(incident: IncidentSummary, terminal: Terminal) -> tuple[str, ...]:
    return (
        terminal.ago(incident.opened_at),
        terminal.ago(incident.last_seen),
        incident.severity,
        incident.status,
        str(incident.alert_count),
        incident.service,
        incident.title,
        incident.owner,
        incident.id,
    )
