"""What a channel's module tells of itself, and what it is given to be built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Literal, Protocol, TextIO, TypeVar, runtime_checkable

import msgspec

from mcp_responder.plumbing.http import HttpClient
from mcp_responder.plumbing.secret import read_secret
from mcp_responder.ports import Channel, ChannelInfo, Clock

Settings = TypeVar("Settings", bound=msgspec.Struct)


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What any channel may be built with."""

    http: HttpClient
    clock: Clock
    stdout: TextIO


class ChannelKind(msgspec.Struct, Generic[Settings], frozen=True, kw_only=True):
    """One kind of channel: the ``KIND`` of its module."""

    info: ChannelInfo
    guide: str
    """How to set it up: the module's docstring."""
    settings: type[Settings]
    """A frozen Struct that forbids unknown fields; a docstring under each field says what it is for."""
    build: Callable[[str, Settings, Services], Channel]
    """Makes a channel from its name in the configuration, its settings, and the services."""

    def read(self, table: Mapping[str, object]) -> Settings:
        """Decode the settings; numbers may be text, as they are in the environment.

        Raises msgspec.ValidationError, which names the field and never repeats a value.
        """
        return msgspec.convert(dict(table), self.settings, strict=False, dec_hook=read_secret)


# ------------------------------------------------------------------------------------- channels that are called back


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A request from the other side of a channel, as it came in; header names are in lower case."""

    what: Literal["actions", "events"]
    """The last part of its path: somebody pressed a button, or something happened over there."""
    headers: Mapping[str, str]
    body: bytes


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What a person over there wants done to one incident, which is named by its id or by a receipt's reference."""

    verb: Literal["acknowledge", "resolve", "reopen", "silence", "comment"]
    who: str
    incident_id: str = ""
    reference: str = ""
    text: str = ""
    """Of a comment."""
    minutes: int = 60
    """Of a silence."""


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """What a callback means, and what is answered to it."""

    call_id: str = ""
    """The same for every try of one call."""
    deed: Deed | None = None
    reply: str = ""
    answer_to: str = ""
    """Where to tell the one who pressed that it couldn't be done."""


@runtime_checkable
class CalledBack(Protocol):
    """A channel whose other side calls ``POST /v1/channels/NAME/actions`` and ``.../events``."""

    def called(self, callback: Callback) -> Called:
        """Read a call. Raises Unverified unless it is shown that the other side sent it, and InvalidRequest."""
        ...

    def answer(self, called: Called, words: str) -> None:
        """Tell the one who called why it couldn't be done. Does its best, and never raises."""
        ...
