"""``config``: what is set and where it came from, and whether a service would start with it."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mcp_responder.entrypoints.cli.failures import OK
from mcp_responder.entrypoints.cli.terminal import Terminal
from mcp_responder.plumbing.secret import Secret
from mcp_responder.plumbing.text import MASK
from mcp_responder.settings import Loaded, load

DEFAULT = "default"


class Value(NamedTuple):
    """One setting: its dotted key, what it is, and the file or variable that says so."""

    key: str
    value: object
    origin: str


def show(args: Namespace, terminal: Terminal) -> int:
    """Each value and its origin; secrets as ``***``."""
    loaded = load(os.environ, Path.cwd())
    values = list(_values(loaded))
    if args.json:
        listed = {value.key: {"value": value.value, "origin": value.origin} for value in values}
        terminal.json(msgspec.json.encode({"file": loaded.file, "values": listed}))
        return OK
    rows = [(value.key, _written(value.value), value.origin) for value in values]
    terminal.show(terminal.table(("KEY", "VALUE", "FROM"), rows, 1))
    return OK


def check(args: Namespace, terminal: Terminal) -> int:
    """Read it as ``serve`` does, down to each channel. Raises Misconfigured, naming key, place and fix."""
    from mcp_responder import app

    loaded = load(os.environ, Path.cwd())
    app.check(loaded)
    channels = sorted(app.build_channels(loaded))
    doubts = list(app.build_routes(loaded, channels).doubts())
    if args.json:
        told = {"valid": True, "file": loaded.file, "channels": channels, "doubts": doubts}
        terminal.json(msgspec.json.encode(told))
    else:
        where = loaded.file or "no file, only defaults and the environment"
        terminal.say(f"The configuration is valid ({where}). Told are: {', '.join(channels)}.")
        for doubt in doubts:
            terminal.say(f"Doubtful: {doubt}")
    return OK


def _values(loaded: Loaded) -> Iterator[Value]:
    plain = msgspec.to_builtins(loaded.settings, enc_hook=_masked, order="deterministic")
    shown = {**plain, "channels": _channels(loaded.settings.channels)}
    for key in loaded.settings.__struct_fields__:
        for dotted, value in _leaves(key, shown[key]):
            yield Value(dotted, value, _origin(dotted, loaded.origins))


def _leaves(key: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    else:
        yield key, value


def _origin(key: str, origins: Mapping[str, str]) -> str:
    """The deepest part of a key that somebody set: a table may be set as a whole."""
    parts = key.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((origins[prefix] for prefix in prefixes if prefix in origins), DEFAULT)


def _channels(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, object]]:
    """Channels as they were set. What a kind doesn't know as harmless is taken for a secret."""
    from mcp_responder.channels import load_kinds

    kinds = load_kinds() if tables else {}
    shown: dict[str, dict[str, object]] = {}
    for name, table in tables.items():
        kind = kinds.get(str(table.get("kind", name)))
        open_keys = {"kind", *(_open_keys(kind.settings) if kind else ())}
        shown[name] = {key: value if key in open_keys else MASK for key, value in table.items()}
    return shown


def _open_keys(settings: type[msgspec.Struct]) -> Iterator[str]:
    """Keys of a channel whose type holds no Secret."""
    for field in msgspec.structs.fields(settings):
        if "Secret" not in str(field.type):
            yield field.encode_name


def _masked(value: object) -> object:
    if isinstance(value, Secret):
        return MASK
    raise NotImplementedError(f"{type(value).__name__} can't be shown")


def _written(value: object) -> str:
    """A value as one writes it in the file."""
    return value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
