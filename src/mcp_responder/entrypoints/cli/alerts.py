"""``alerts`` and ``why``: what came in, and what became of it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from mcp_responder.entrypoints.cli.failures import OK
from mcp_responder.entrypoints.cli.service import read, segment, the_service
from mcp_responder.entrypoints.cli.terminal import Terminal, note, utc
from mcp_responder.operations import AlertView, Why
from mcp_responder.ports import Page

FILTERS = ("limit", "cursor", "status", "severity", "source", "service", "since", "until", "q")


def list_alerts(args: Namespace, terminal: Terminal) -> int:
    """The newest alerts, one a line."""
    body = the_service().get("/v1/alerts", filters(args))
    if args.json:
        terminal.json(body)
        return OK
    page = read(body, Page[AlertView])
    rows = [_row(alert, terminal) for alert in page.items]
    terminal.show(terminal.table(("RECEIVED", "SEVERITY", "STATUS", "OUTCOME", "SERVICE", "TITLE", "ID"), rows, 5))
    tell_the_rest(len(rows), page.next, "alerts")
    return OK


def show_alert(args: Namespace, terminal: Terminal) -> int:
    """One alert, all fields."""
    body = the_service().get(f"/v1/alerts/{segment(args.id)}")
    if args.json:
        terminal.json(body)
    else:
        terminal.show(_alert_lines(read(body, AlertView), terminal))
    return OK


def explain(args: Namespace, terminal: Terminal) -> int:
    """The whole path of one alert."""
    body = the_service().get(f"/v1/alerts/{segment(args.id)}/why")
    if args.json:
        terminal.json(body)
    else:
        terminal.show(_why_lines(read(body, Why), terminal))
    return OK


def filters(args: Namespace) -> dict[str, object]:
    """The query that the options of a list make."""
    return {name: getattr(args, name) for name in FILTERS}


def tell_the_rest(shown: int, cursor: str | None, command: str) -> None:
    """What isn't in the list."""
    if cursor:
        note(f"The newest {shown} are shown; more: mcp-responder {command} --cursor {cursor}")
    elif not shown:
        note(f"There are no such {command}.")


def _row(alert: AlertView, terminal: Terminal) -> tuple[str, ...]:
    when = terminal.ago(alert.received_at)
    return (when, alert.severity, alert.status, alert.outcome, alert.service, alert.title, alert.alert_id)


def _alert_lines(alert: AlertView, terminal: Terminal) -> Iterator[str]:
    yield from terminal.title(alert.severity, alert.status, alert.service, alert.title)
    incident = f"{alert.incident.id} ({alert.incident.status})" if alert.incident else ""
    facts = {
        "Alert": alert.alert_id,
        "Received": f"{utc(alert.received_at)} ({terminal.ago(alert.received_at)}), key '{alert.key}'",
        "Sent": utc(alert.timestamp),
        "Source": f"{alert.source} {alert.source_id}",
        "Outcome": alert.outcome,
        "Incident": incident,
        "Resource": alert.resource,
        "Where": " ".join(filter(None, (alert.environment, alert.account, alert.region))),
        "Owner": alert.owner,
        "Signature": alert.signature,
        "Message": alert.message,
    }
    for label, text in facts.items():
        yield from terminal.field(label, text)
    yield from terminal.items("Labels", [terminal.item("-", f"{k}={v}") for k, v in sorted(alert.labels.items())], 30)
    yield from terminal.items("Links", [terminal.item("-", f"{link.name} {link.url}") for link in alert.links], 20)


def _why_lines(why: Why, terminal: Terminal) -> Iterator[str]:
    incident = f", incident {why.incident.id} ({why.incident.status})" if why.incident else ""
    yield from terminal.field("Alert", f"{why.alert_id}{incident}")
    yield from terminal.field("Outcome", f"{why.outcome}: {why.explanation}")
    rows = [(utc(step.at, "milliseconds"), terminal.ago(step.at), step.what, step.detail) for step in why.path]
    yield from terminal.table(("WHEN", "", "WHAT", "DETAIL"), rows, 3)
