"""The command line's reference: from the table of commands and the parsers that it makes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from docs.generator.markdown import MADE, code, table
from mcp_responder.entrypoints.cli.commands import COMMANDS, LISTED_BY_DEFAULT, Command

HEAD = f"""\
# Command line

{MADE}

`mcp-responder COMMAND`. Each command has `--help`, and each but `demo` has `--json`, which prints one JSON document.
In a fresh clone the program is `.venv/bin/mcp-responder`.

**Which service.** `RESPONDER_URL` names it, with `RESPONDER_API_KEY` as the key. Else it is the service of the data
folder of this directory's settings: while it runs it keeps its address and a key of its own in `runtime.json` there,
readable by its user only. So on the same machine, in the same directory, no key is needed.

**Exit codes.** 0 ok, 1 failed, 2 usage or configuration, 3 not found, 4 no server.

**Times** are how long ago (`30m`, `2h`, `7d`, `2w`) or a time (`2026-11-22T03:00:00Z`; UTC if it says no other).
"""
JSON = "--json"


def page() -> str:
    """The reference."""
    return "\n".join((HEAD, *_overview(), *(line for command in COMMANDS for line in _command(command))))


def _overview() -> Iterator[str]:
    yield from table(("command", "what it does"), ((_link(command), command.what) for command in COMMANDS))


def _link(command: Command) -> str:
    return f"[`{command.name}`](#{command.name.replace(' ', '-')})"


def _command(command: Command) -> Iterator[str]:
    yield from ("", f"## {command.name}", "", command.what)
    group = command.name.partition(" ")[0]
    if command.name == f"{group} list" and group in LISTED_BY_DEFAULT:
        yield f"`mcp-responder {group}` is short for it."
    yield from ("", "```text", f"mcp-responder {command.example}", "```")
    rows = [_described(action) for action in _arguments(command)]
    if rows:
        yield from ("", *table(("argument", "what it is for"), rows))


def _arguments(command: Command) -> list[argparse.Action]:
    parser = argparse.ArgumentParser(add_help=False)
    if command.arguments:
        command.arguments(parser)
    return parser._actions


def _described(action: argparse.Action) -> tuple[str, str]:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    names = ", ".join(action.option_strings)
    written = " ".join(filter(None, (names, str(value)))) if names else str(value)
    words = action.help or "Its id." if value == "ID" else action.help or "Its name."
    needed = " Required." if action.option_strings and action.required else ""
    return code(written), f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}{needed}"
