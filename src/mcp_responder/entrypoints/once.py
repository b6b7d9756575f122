"""The configuration, read once per start of the service.

The supervisor lends its children an open file that has no name. The first door reads the configuration and leaves it
there; every later door and worker takes it from there. Else a worker that is started again after the file was changed
would serve other channels than the door sends to. Being in no argument, no variable and no folder, secrets stay secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mcp_responder.plumbing.secret import Secret
from mcp_responder.settings import Loaded, Settings, decode, load

SETTINGS_FILE = "MCP_RESPONDER_SETTINGS_FILE"
"""Environment variable with the number of that file; empty or absent, the configuration is read anew."""


class _Kept(msgspec.Struct, frozen=True):
    """What is in the file; the settings as plain values."""

    settings: dict[str, Any]
    origins: dict[str, str]
    file: str


def load_once(environment: Mapping[str, str], folder: Path) -> Loaded:
    """What was read when the service started; at the start itself, or without one, read now. Raises Misconfigured."""
    number = environment.get(SETTINGS_FILE)
    if not number:
        return load(environment, folder)
    kept = _read(int(number))
    if not kept:
        loaded = load(environment, folder)
        _write(int(number), loaded)
        return loaded
    found = msgspec.msgpack.decode(kept, type=_Kept)
    return Loaded(settings=decode(found.settings, Settings), origins=found.origins, file=found.file)


def _read(number: int) -> bytes:
    # At places, for the children share the file's position, too.
    return os.pread(number, os.fstat(number).st_size, 0)


def _write(number: int, loaded: Loaded) -> None:
    kept = _Kept(msgspec.to_builtins(loaded.settings, enc_hook=_revealed), loaded.origins, loaded.file)
    os.pwrite(number, msgspec.msgpack.encode(kept), 0)


def _revealed(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"{value!r} can't be handed on")
