"""``keys``: API keys, by the running service or, when none runs, straight in the store under its lock."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from mcp_responder.entrypoints.cli.commands import span
from mcp_responder.entrypoints.cli.failures import OK, NoServer
from mcp_responder.entrypoints.cli.service import Service, read, segment, the_service
from mcp_responder.entrypoints.cli.terminal import Terminal, note
from mcp_responder.operations import KeyView, Operations
from mcp_responder.ports import Page
from mcp_responder.settings import load

Answer = TypeVar("Answer")


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a key is asked to be; the API's body."""

    name: str
    scopes: tuple[str, ...]
    expires_in: str | msgspec.UnsetType = msgspec.UNSET
    per_minute: int = 0


class Keys(Protocol):
    """Where keys are kept."""

    def list(self) -> Page[KeyView]: ...
    def create(self, wanted: NewKey) -> KeyView: ...
    def rotate(self, name: str, overlap: str) -> KeyView: ...
    def revoke(self, name: str) -> None: ...


class ServedKeys:
    """The keys of a running service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def list(self) -> Page[KeyView]:
        return read(self._service.get("/v1/keys"), Page[KeyView])

    def create(self, wanted: NewKey) -> KeyView:
        return read(self._service.post("/v1/keys", wanted), KeyView)

    def rotate(self, name: str, overlap: str) -> KeyView:
        return read(self._service.post(f"/v1/keys/{segment(name)}/rotate", {"overlap": overlap}), KeyView)

    def revoke(self, name: str) -> None:
        self._service.delete(f"/v1/keys/{segment(name)}")


class StoredKeys:
    """The keys of a store that no service has open."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def list(self) -> Page[KeyView]:
        return Page(items=self._operations.keys(), next=None)

    def create(self, wanted: NewKey) -> KeyView:
        expires_in = span(wanted.expires_in) if wanted.expires_in else None
        return self._operations.create_key(wanted.name, wanted.scopes, expires_in, wanted.per_minute)

    def rotate(self, name: str, overlap: str) -> KeyView:
        return self._operations.rotate_key(name, span(overlap))

    def revoke(self, name: str) -> None:
        self._operations.revoke_key(name)


def list_keys(args: Namespace, terminal: Terminal) -> int:
    """All keys, without their secrets."""
    keys = _with_keys(lambda keys: keys.list())
    if args.json:
        terminal.json(msgspec.json.encode(keys))
        return OK
    rows = sorted(_row(key, terminal) for key in keys.items)
    terminal.show(terminal.table(("NAME", "STATE", "SCOPES", "PER MINUTE", "CREATED", "EXPIRES"), rows))
    return OK


def create(args: Namespace, terminal: Terminal) -> int:
    """A new key: its token alone on standard output, so that a script can take it."""
    wanted = NewKey(
        name=args.name, scopes=args.scopes, expires_in=args.expires_in or msgspec.UNSET, per_minute=args.per_minute
    )
    made = _with_keys(lambda keys: keys.create(wanted), may_make_store=True)
    return _hand_over(made, "made", args, terminal)


def rotate(args: Namespace, terminal: Terminal) -> int:
    """A second key of that name; both are valid for a while."""
    made = _with_keys(lambda keys: keys.rotate(args.name, args.overlap))
    return _hand_over(made, f"rotated; the old one works for {args.overlap} more", args, terminal)


def revoke(args: Namespace, terminal: Terminal) -> int:
    """End all keys of that name."""
    _with_keys(lambda keys: keys.revoke(args.name))
    if args.json:
        terminal.json(msgspec.json.encode({"name": args.name, "state": "revoked"}))
    else:
        terminal.say(f"Key '{args.name}' is revoked; nothing can use it any more.")
    return OK


def _hand_over(key: KeyView, done: str, args: Namespace, terminal: Terminal) -> int:
    if args.json:
        terminal.json(msgspec.json.encode(key))
        return OK
    note(f"Key '{key.name}' ({', '.join(key.scopes)}) is {done}. This is the only time that it is shown:")
    terminal.say(key.token or "")
    return OK


def _row(key: KeyView, terminal: Terminal) -> tuple[str, ...]:
    expires = terminal.ago(key.expires_at) or "never"
    limit = str(key.per_minute or "no limit")
    return (key.name, key.state, ",".join(key.scopes), limit, terminal.ago(key.created_at), expires)


def _with_keys(use: Callable[[Keys], Answer], *, may_make_store: bool = False) -> Answer:
    try:
        return use(ServedKeys(the_service()))
    except NoServer:
        if os.environ.get("RESPONDER_URL"):
            raise
        settings = load(os.environ, Path.cwd()).settings
        if not may_make_store and not Path(settings.data_dir).is_dir():
            raise
    with _stored() as keys:
        return use(keys)


@contextmanager
def _stored() -> Iterator[Keys]:
    from mcp_responder import app

    with app.open_operations(load(os.environ, Path.cwd()).settings) as operations:
        yield StoredKeys(operations)
