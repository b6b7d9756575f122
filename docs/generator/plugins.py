"""Sources and channels: their modules' docstrings are the set-up guides."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from docs.generator.markdown import MADE, code
from docs.generator.settings import channel_sections
from mcp_responder.channels import ChannelKind, load_kinds
from mcp_responder.entrypoints.web.openapi import header_name
from mcp_responder.ports import Source, SourceSettings
from mcp_responder.sources import load_sources

SOURCES_HEAD = f"""\
# Sources

{MADE}

Who can send alerts, and how to set each one up. `POST /v1/alerts` detects whose a body is; `POST /v1/sources/NAME`
says it. Both need a key with the scope `ingest`, unless a source says otherwise. `mcp-responder sources show NAME`
prints the same guide, and `mcp-responder sources test NAME FILE` says what would become of a body.

In the examples `RESPONDER_URL` is the service's address and `RESPONDER_API_KEY` a key.

A body that its source can't read is taken as a plain alert (`generic`): a strange message is better than a dropped
page.
"""
CHANNELS_HEAD = f"""\
# Channels

{MADE}

Who is told. Each table `[channels.NAME]` in `responder.toml` is one channel; `kind` may be left out when the name says
it. Every channel hears of every incident. With none configured, incidents are printed on the console.

Try one with `mcp-responder channels test NAME`: it sends a message that can't be taken for a real one.

**When it fails.** A time-out, a broken connection, or an answer that may change is tried again: after 2 s, then twice
as long each time up to 10 minutes, for 24 hours (settings: `retry`). What can't ever work is given up at once. What was
given up is a dead letter: `GET /v1/dead-letters`. One dead channel delays no other.
"""


def sources_page() -> str:
    """The sources' reference."""
    return "\n".join((SOURCES_HEAD, *(line for source in load_sources().values() for line in _source(source))))


def _source(source: Source) -> Iterator[str]:
    info = source.INFO
    kinds = ", ".join(map(code, info.content_types))
    yield from ("", f"## {info.name}", "", f"{info.title}. `POST /v1/sources/{info.name}`, {kinds}.")
    if info.key_headers:
        yield f"The key may also come as {' or '.join(code(header_name(header)) for header in info.key_headers)}."
    if info.largest_body:
        yield f"At this address a body may have {info.largest_body:,} bytes."
    if info.settings is not SourceSettings:
        yield f"Settings: [`[sources.{info.name}]`](settings.md#sources{info.name})."
    yield ""
    yield _deeper(inspect.cleandoc(source.__doc__ or ""))


def _deeper(guide: str) -> str:
    """A guide's headings stand one level below its source's."""
    return re.sub(r"^(#+ )", r"#\1", guide, flags=re.MULTILINE)


def channels_page() -> str:
    """The channels' reference."""
    return "\n".join((CHANNELS_HEAD, *(line for kind in load_kinds().values() for line in _channel(kind))))


def _channel(kind: ChannelKind[Any]) -> Iterator[str]:
    info = kind.info
    second = "edits its message" if info.updates else "sends a further message"
    yield from ("", f"## {info.kind}", "")
    yield f"{info.title}. Longest message: {info.longest_text:,} characters. Later news {second}."
    yield from ("", inspect.cleandoc(kind.guide))
    settings = next(settings for name, _, settings in channel_sections() if name == f"channels.{info.kind}")
    if settings:
        yield from ("", f"Settings: [`[channels.{info.kind}]`](settings.md#channels{info.kind}).")
