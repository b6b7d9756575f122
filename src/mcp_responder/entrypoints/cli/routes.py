"""``routes test``: who would hear of an incident, by the settings of this directory. Nothing is sent."""

from __future__ import annotations

import os
from argparse import Namespace
from datetime import datetime
from pathlib import Path

import msgspec

from mcp_responder import app
from mcp_responder.entrypoints.cli.failures import FAILED, OK, UsageError
from mcp_responder.entrypoints.cli.terminal import Terminal, complain
from mcp_responder.model.alert import Severity
from mcp_responder.model.incident import Incident
from mcp_responder.settings import load


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Who would be told, in place of whom if that fails, and by which routes (counted from 0)."""

    channels: tuple[str, ...]
    fallback: tuple[str, ...]
    routes: tuple[int, ...]


def test_routes(args: Namespace, terminal: Terminal) -> int:
    """The channels that would hear of such an incident; fails if there is none."""
    loaded = load(os.environ, Path.cwd())
    routes = app.build_routes(loaded, app.build_channels(loaded))
    incident = _incident(args)
    deciding = list(routes.deciding(incident))
    numbers = tuple(number for number, rule in enumerate(routes.rules) if any(rule is one for one in deciding))
    told = Told(channels=routes(incident), fallback=routes.fallback(incident), routes=numbers)
    if args.json:
        terminal.json(msgspec.json.encode(told))
    elif told.channels:
        by = f" (by {', '.join(f'routes[{number}]' for number in numbers)})" if numbers else ""
        instead = f"; if one can't be told, {', '.join(told.fallback)}" if told.fallback else ""
        terminal.say(f"Told: {', '.join(told.channels)}{instead}{by}.")
    else:
        complain("Nobody would be told: no route fits, or the one that fits has no channels.")
    return OK if told.channels else FAILED


def _incident(args: Namespace) -> Incident:
    at = datetime.fromisoformat(args.at) if args.at else app.clock()
    labels = dict(label.split("=", 1) for label in args.label or () if "=" in label)
    if len(labels) < len(args.label or ()):
        raise UsageError("A label is written as NAME=VALUE.")
    return Incident(
        incident_id="",
        identity="",
        signature="",
        source=args.source,
        service=args.service,
        resource="",
        environment=args.environment,
        title="",
        severity=Severity(args.severity),
        news_at=at,
        opened_at=at,
        labels=labels,
    )
