"""What a channel's module tells of itself, and what it is given to be built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TextIO, TypeVar

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
