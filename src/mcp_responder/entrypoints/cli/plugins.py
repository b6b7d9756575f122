"""``sources`` and ``channels``: who can be heard, and who is told."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import msgspec

from mcp_responder.entrypoints.cli.failures import FAILED, OK
from mcp_responder.entrypoints.cli.service import read, segment, the_service
from mcp_responder.entrypoints.cli.terminal import BOLD, Terminal, complain
from mcp_responder.model.errors import NotFound
from mcp_responder.ports import Page, Source
from mcp_responder.settings import load
from mcp_responder.sources import load_sources


class SourceLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A source. ``guide``, how to set it up, and ``body_limit`` in bytes only when they are asked for."""

    name: str
    title: str
    content_types: tuple[str, ...]
    path: str
    key_headers: tuple[str, ...] = ()
    body_limit: int = 0
    guide: str = ""


class ChannelLine(msgspec.Struct, frozen=True, kw_only=True):
    """A channel, as the API shows it."""

    name: str
    kind: str
    title: str
    longest_text: int
    updates: bool


class ChannelTest(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for a test message."""

    ok: bool
    detail: str
    url: str = ""
    again: bool = False


def list_sources(args: Namespace, terminal: Terminal) -> int:
    """All sources; they are part of the program, so no service is asked."""
    lines = [_line(source) for source in load_sources().values()]
    if args.json:
        terminal.json(msgspec.json.encode(Page(items=tuple(lines), next=None)))
        return OK
    rows = [(line.name, line.title, f"POST {line.path}") for line in lines]
    terminal.show(terminal.table(("NAME", "TITLE", "ADDRESS"), rows))
    return OK


def show_source(args: Namespace, terminal: Terminal) -> int:
    """How to set a source up: where it is heard, and its module's docstring."""
    source = load_sources().get(args.name)
    if source is None:
        raise NotFound("source", args.name)
    limit = max(load(os.environ, Path.cwd()).settings.http.body_limit, source.INFO.largest_body)
    line = msgspec.structs.replace(_line(source), body_limit=limit, guide=cleandoc(source.__doc__ or ""))
    if args.json:
        terminal.json(msgspec.json.encode(line))
    else:
        terminal.show(_guide(line, terminal))
    return OK


def _guide(line: SourceLine, terminal: Terminal) -> Iterator[str]:
    yield terminal.paint(f"{line.title} ({line.name})", BOLD)
    yield from terminal.field("Address", f"POST {line.path}")
    yield from terminal.field("Types", ", ".join(line.content_types))
    yield from terminal.field("Key", ", ".join(("as usual", *line.key_headers)) if line.key_headers else "")
    yield from terminal.field("Body", f"up to {line.body_limit} bytes")
    yield from ("", line.guide)


def _line(source: Source) -> SourceLine:
    info = source.INFO
    return SourceLine(
        name=info.name,
        title=info.title,
        content_types=info.content_types,
        path=f"/v1/sources/{info.name}",
        key_headers=info.key_headers,
    )


def list_channels(args: Namespace, terminal: Terminal) -> int:
    """The channels that the service tells."""
    body = the_service().get("/v1/channels")
    if args.json:
        terminal.json(body)
        return OK
    rows = [(channel.name, channel.kind, channel.title) for channel in read(body, Page[ChannelLine]).items]
    terminal.show(terminal.table(("NAME", "KIND", "TITLE"), rows))
    return OK


def show_channel(args: Namespace, terminal: Terminal) -> int:
    """One channel, and what it can."""
    body = the_service().get(f"/v1/channels/{segment(args.name)}")
    if args.json:
        terminal.json(body)
        return OK
    channel = read(body, ChannelLine)
    terminal.say(f"{channel.title} ({channel.name})")
    terminal.show(terminal.field("Kind", channel.kind))
    terminal.show(terminal.field("Update", "edits its message" if channel.updates else "sends a further message"))
    terminal.show(terminal.field("Longest", f"{channel.longest_text} characters"))
    return OK


def test_channel(args: Namespace, terminal: Terminal) -> int:
    """Send a test message through a channel; fails if the other side doesn't take it."""
    body = the_service().post(f"/v1/channels/{segment(args.name)}/test")
    result = read(body, ChannelTest)
    if args.json:
        terminal.json(body)
    if not result.ok:
        hope = "; the same may work later" if result.again else ""
        complain(f"Channel '{args.name}' did not take a test message: {result.detail.rstrip('.')}{hope}.")
        return FAILED
    if not args.json:
        terminal.say(f"Channel '{args.name}' took a test message. {result.detail} {result.url}")
    return OK
