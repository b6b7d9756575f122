"""What every channel must keep, whatever it is. A new channel adds one Row to ``test_conformance.py``."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from mcp_responder.channels import Services, load_kinds
from mcp_responder.plumbing.http import HttpClient
from mcp_responder.ports import Channel, Delivered

from .messages import NOW
from .server import Reply, scripted_server

OK = Reply()
TIMEOUT = 0.25
"""Seconds that a channel under test may wait for the other side."""
HOSTILE = "".join(
    (
        "\x1b[2J\x1b]0;owned\x07 \x00 \x9b31m \u202eesrever\u2028 <script>alert(1)</script> <!channel> @everyone",
        " {code} [click](http://evil.example) *bold* `x` ' \" \\ \ufeff \ud800 \r\n{{7*7}}",
    )
)
"""Text from an alert that means something to some terminal or markup."""


@dataclass(frozen=True)
class Row:
    """One channel and what is particular to it."""

    kind: str
    settings: Callable[[Any], dict[str, Any]]
    """Its table in the configuration, for this other side."""
    heard: Callable[[Stand], list[str]]
    """Every message that the other side took, in order, as text that can be searched."""
    follows: Callable[[Delivered, str], bool]
    """Whether a second message, as heard, refers to what the first delivery answered."""
    marks: tuple[str, str]
    """What is heard of a doubtful message, and of one that is 754 seconds late."""
    dangerous: tuple[str, ...]
    """What may not be heard when an alert holds HOSTILE."""
    over_http: bool = True
    other_side: Callable[[], AbstractContextManager[Any]] = scripted_server
    """Opens it; a channel that isn't over HTTP may bring its own."""
    happy: Reply = OK
    """How the other side takes a message."""
    secrets: tuple[str, ...] = ()
    """Texts of the settings that nobody may see."""
    empty_is_success: bool = True
    """Whether an answer without a body says that it worked."""
    tells_all_news: bool = True
    """Whether each piece of news is told, rather than only what is worth a message of its own."""
    name: str = ""
    """Tells rows of one kind apart."""


@dataclass(frozen=True)
class Stand:
    """A channel built from its settings, facing its other side."""

    row: Row
    channel: Channel
    settings: Any
    server: Any
    stdout: io.StringIO

    def heard(self) -> list[str]:
        return self.row.heard(self)


@contextmanager
def stand_of(row: Row) -> Iterator[Stand]:
    """Build the channel as the product does: from its table, by its kind."""
    http, stdout = HttpClient(), io.StringIO()
    kind = load_kinds()[row.kind]
    with row.other_side() as server:
        if row.over_http:
            server.script(row.happy)
        settings = kind.read(row.settings(server))
        channel = kind.build("night", settings, Services(http=http, clock=lambda: NOW, stdout=stdout))
        try:
            yield Stand(row, channel, settings, server, stdout)
        finally:
            http.close()
