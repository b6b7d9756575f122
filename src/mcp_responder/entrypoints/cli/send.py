"""``send``: one alert, or a file of them, into the service."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import msgspec

from mcp_responder.entrypoints.cli.failures import FAILED, OK, UsageError
from mcp_responder.entrypoints.cli.service import Service, read, segment, the_service
from mcp_responder.entrypoints.cli.terminal import Terminal, complain, note

FIELDS = ("title", "message", "severity", "status", "service", "source_id", "environment")


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that the service has."""

    alert_id: str
    source: str
    status_url: str


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why an item wasn't taken."""

    code: str
    detail: str


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """An item that wasn't taken."""

    index: int
    error: Fault


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What the service did with a request."""

    accepted: tuple[Taken, ...] = ()
    rejected: tuple[Rejected, ...] = ()


def send(args: Namespace, terminal: Terminal) -> int:
    """Post it; fails if the service rejected any part of it."""
    body = _body(args)
    service = the_service()
    path = f"/v1/sources/{segment(args.source)}" if args.source else "/v1/alerts"
    answer = service.send(path, body, _headers(args, body))
    sent = read(answer, Sent)
    if args.json:
        terminal.json(answer)
    else:
        _show(sent, service, terminal)
    return FAILED if sent.rejected else OK


def _show(sent: Sent, service: Service, terminal: Terminal) -> None:
    rows = [(taken.alert_id, taken.source, service.link(taken.status_url)) for taken in sent.accepted]
    if rows:
        terminal.show(terminal.table(("ALERT", "SOURCE", "STATUS"), rows))
    elif not sent.rejected:
        note("The service took it, but there is no alert in it.")
    for rejected in sent.rejected:
        complain(f"Item {rejected.index} was rejected: {rejected.error.detail}")


def _headers(args: Namespace, body: bytes) -> dict[str, str]:
    json = body.lstrip()[:1] in (b"{", b"[")
    headers = {"Content-Type": args.content_type or ("application/json" if json else "text/plain")}
    return {**headers, "Idempotency-Key": args.idempotency_key} if args.idempotency_key else headers


def _body(args: Namespace) -> bytes:
    alert = {field: getattr(args, field) for field in FIELDS if getattr(args, field)}
    labels = dict(_label(label) for label in args.label or ())
    if args.file is None:
        if not args.title and not args.message:
            raise UsageError("There is nothing to send; name a file, '-' for standard input, or --title.")
        return msgspec.json.encode({**alert, "labels": labels} if labels else alert)
    if alert or labels:
        raise UsageError("A file is sent as it is; leave the file out, or --title and the other fields.")
    return read_body(args.file)


def read_body(file: str) -> bytes:
    """A file's bytes, or those on standard input. Raises UsageError if there is no such file."""
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UsageError(f"'{file}' can't be read ({reason}); check the path.") from error


def _label(label: str) -> tuple[str, str]:
    name, separator, value = label.partition("=")
    if not separator or not name:
        raise UsageError(f"'{label}' is no label; write --label NAME=VALUE.")
    return name, value
