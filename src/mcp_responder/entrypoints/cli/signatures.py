"""``signature``: lines in, the signature of each out; a filter for logs that needs no service."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from typing import cast

import msgspec

from mcp_responder.entrypoints.cli.failures import OK
from mcp_responder.entrypoints.cli.terminal import Terminal
from mcp_responder.model.signature import signature_lines, signature_of_line
from mcp_responder.plumbing.traces import join_traces

BLOCK = 1 << 20


def signature(args: Namespace, terminal: Terminal) -> int:
    """One signature a line; what has come is answered before more is waited for, so that it can follow a log."""
    out = sys.stdout.buffer
    ready: list[str] = []

    def pour() -> None:
        out.write("".join(ready).encode())
        out.flush()
        ready.clear()

    lines = _lines(cast("BufferedReader", sys.stdin.buffer), before_waiting=pour)
    found = _joined(lines) if args.join else signature_lines(lines)
    if args.json:
        terminal.json(msgspec.json.encode(list(found)))
        return OK
    ready.extend(f"{text}\n" for text in found)
    pour()
    return OK


def _joined(lines: Iterable[bytes]) -> Iterator[str]:
    return map(signature_of_line, join_traces(line.decode(errors="replace") for line in lines))


def _lines(stream: BufferedReader, before_waiting: Callable[[], None]) -> Iterator[bytes]:
    """Lines without their ends; the last one may lack its end."""
    begun: list[bytes] = []
    while block := stream.read1(BLOCK):
        *whole, rest = block.split(b"\n")
        if whole:
            yield b"".join((*begun, whole[0]))
            yield from whole[1:]
            begun = []
        if rest:
            begun.append(rest)
        before_waiting()
    if begun:
        yield b"".join(begun)
