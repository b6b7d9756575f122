"""``sources test``: what would become of a body, read as the door reads it. Nothing is stored, and nobody is asked."""

from __future__ import annotations

import gzip
import os
import zlib
from argparse import Namespace
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import msgspec

from mcp_responder import app
from mcp_responder.entrypoints.cli.failures import FAILED, OK, Failed, UsageError
from mcp_responder.entrypoints.cli.send import read_body
from mcp_responder.entrypoints.cli.terminal import Terminal, complain, note, utc
from mcp_responder.model.alert import Alert, Status
from mcp_responder.model.errors import NotFound
from mcp_responder.pipeline.receive import Received
from mcp_responder.ports import Incoming, Request
from mcp_responder.settings import load

GZIP = b"\x1f\x8b"
OPENS = "opens an incident, or joins the open one of its identity"
JOINS = "joins the incident of an alert above"
REPEAT = "is the same event as one above"
FATES = {
    Status.FIRING: OPENS,
    Status.RESOLVED: "ends the firing of its alarm, if that fires",
    Status.INFO: "is kept, and opens nothing",
}
PLAIN = "generic"


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """An alert of the body: ``becomes`` says what would become of it, if it were the first that is heard of it."""

    alert: Alert
    identity: str
    becomes: str


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An item of the body that can't be read."""

    index: int
    code: str
    detail: str


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a body."""

    source: str
    alerts: tuple[Outlook, ...]
    rejected: tuple[Refusal, ...]


def test_source(args: Namespace, terminal: Terminal) -> int:
    """Read a body for a source; fails if any part of it can't be read."""
    settings = load(os.environ, Path.cwd()).settings
    sources = app.build_sources()
    if args.name not in sources:
        raise NotFound("source", args.name)
    limit = max(settings.http.body_limit, sources[args.name].INFO.largest_body)
    body = _unpacked(read_body(args.file), limit)
    request = Request(body=body, headers=_headers(args.header or (), body), received_at=app.clock())
    # Whoever has the file may look into it: what is signed isn't verified here.
    trial = _trial(args.name, app.build_receive(settings, sources)(request, args.name, ""))
    if args.json:
        terminal.json(msgspec.json.encode(trial))
    else:
        terminal.show(_lines(trial, terminal))
    _remark(trial)
    return FAILED if trial.rejected else OK


def _unpacked(body: bytes, limit: int) -> bytes:
    """The body, unpacked if it is gzip's. Raises Failed if the address wouldn't take it."""
    try:
        # Never more than the limit: a bomb isn't unpacked.
        found = gzip.GzipFile(fileobj=BytesIO(body)).read(limit + 1) if body.startswith(GZIP) else body
    except (EOFError, OSError, zlib.error) as error:
        raise Failed(f"The file begins like gzip, but can't be unpacked: {error}.") from error
    if len(found) > limit:
        raise Failed(f"The body is larger than {limit} bytes, which is what the source's address takes; split it.")
    return found


def _headers(headers: Iterable[str], body: bytes) -> dict[str, str]:
    """The headers that were given; without a content type the body's looks decide."""
    given: dict[str, str] = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"'{header}' is no header; write --header 'Name: value'.")
        given[name.strip().lower()] = value.strip()
    json = body.lstrip()[:1] in (b"{", b"[")
    return {"content-type": "application/json" if json else "text/plain", **given}


# ---------------------------------------------------------------------------------------------- what would become of it


def _trial(source: str, received: Received) -> Trial:
    rejected = tuple(Refusal(index=r.index, code=r.error.code, detail=r.error.detail) for r in received.rejected)
    return Trial(source=source, alerts=tuple(_outlooks(received.incoming)), rejected=rejected)


def _outlooks(incoming: Iterable[Incoming]) -> Iterator[Outlook]:
    seen: set[str] = set()
    for one in incoming:
        becomes = REPEAT if one.alert.alert_id in seen else FATES[one.alert.status]
        if becomes == OPENS and one.identity in seen:
            becomes = JOINS
        seen |= {one.alert.alert_id, one.identity} if becomes == OPENS else {one.alert.alert_id}
        yield Outlook(alert=one.alert, identity=one.identity, becomes=becomes)


def _remark(trial: Trial) -> None:
    """What isn't part of the output, and nobody should miss."""
    if not trial.alerts and not trial.rejected:
        note(f"'{trial.source}' reads it, but there is no alert in it.")
    for other in sorted({outlook.alert.source for outlook in trial.alerts} - {trial.source}):
        why = "no source knows its form" if other == PLAIN else "that source knows it, or what is inside of it"
        note(f"It is read as '{other}', not as '{trial.source}': {why}.")
    for refusal in trial.rejected:
        complain(f"Item {refusal.index} can't be read: {refusal.detail}")


def _lines(trial: Trial, terminal: Terminal) -> Iterator[str]:
    for number, outlook in enumerate(trial.alerts):
        if number:
            yield ""
        yield from _alert_lines(outlook, terminal)


def _alert_lines(outlook: Outlook, terminal: Terminal) -> Iterator[str]:
    alert = outlook.alert
    yield from terminal.title(alert.severity, alert.status, alert.service, alert.title)
    facts = {
        "Becomes": outlook.becomes,
        "Source": f"{alert.source} {alert.source_id}",
        "Event": alert.event_id.replace("\0", " "),
        "Resource": alert.resource,
        "Time": _time(alert),
        "Where": " ".join(filter(None, (alert.environment, alert.account, alert.region))),
        "Owner": alert.owner,
        "Signature": alert.signature,
        "Identity": outlook.identity,
        "Alert": alert.alert_id,
        "Message": alert.message,
    }
    for label, text in facts.items():
        yield from terminal.field(label, text)
    yield from terminal.items("Labels", [terminal.item("-", f"{k}={v}") for k, v in sorted(alert.labels.items())], 30)
    yield from terminal.items("Links", [terminal.item("-", f"{link.name} {link.url}") for link in alert.links], 20)


def _time(alert: Alert) -> str:
    if alert.timestamp == alert.received_at:
        return "none of its own: when it comes in"
    return f"{utc(alert.timestamp, 'milliseconds')}{' (when it began)' if alert.approximate else ''}"
