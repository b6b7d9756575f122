"""Who asks, and may they? A known key costs one look into a dict; an unknown one is hashed first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import msgspec

from mcp_responder.model.errors import InvalidRequest
from mcp_responder.operations import LOCAL, MASTER, SCOPES, hash_token
from mcp_responder.plumbing.secret import Secret
from mcp_responder.ports import ApiKey, Clock

_HOW = "Send an API key: as X-API-Key, as Authorization: Bearer, or as the password of HTTP Basic."


class Caller(msgspec.Struct, frozen=True):
    """Whose key a request came with, and what that key may do."""

    name: str
    scopes: tuple[str, ...]


class Bucket:
    """A key's allowance: ``per_minute`` requests at once, refilled evenly. For one thread."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._tokens = float(per_minute)
        self._filled_at = 0.0

    def take(self, now: float) -> float:
        """Take one, and answer 0; or answer the seconds until there is one. ``now`` is in seconds."""
        refilled = max(0.0, now - self._filled_at) * self.per_minute / 60
        self._tokens = min(self.per_minute, self._tokens + refilled)
        self._filled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) * 60 / self.per_minute
        self._tokens -= 1
        return 0.0


class _Pass(msgspec.Struct, frozen=True):
    """What a token stands for."""

    caller: Caller
    expires_at: datetime | None = None
    replaced: bool = False
    bucket: Bucket | None = None


class _Ring(msgspec.Struct, frozen=True):
    """The keys as they were loaded last.

    ``by_token`` remembers tokens that were recognised, so it never grows beyond ``by_hash``. Tokens are only ever
    looked up by hash, which tells a listener with a stop-watch nothing.
    """

    by_hash: dict[str, _Pass]
    by_token: dict[bytes, _Pass]


class Authenticator:
    """Turns the headers of a request into its Caller.

    ``master`` and ``local_token`` have all rights and no limit. ``authenticate`` is for one thread (the event loop's),
    ``refresh`` for any.
    """

    def __init__(
        self,
        load_keys: Callable[[], tuple[ApiKey, ...]],
        clock: Clock,
        master: Secret | None = None,
        local_token: str = "",
    ) -> None:
        self._load_keys = load_keys
        self._clock = clock
        self._fixed = _fixed(master, local_token)
        self._buckets: dict[str, Bucket] = {}
        self.refresh()

    def refresh(self) -> None:
        """Load the keys anew: to be called after every change to them. Rate limits go on where they were."""
        keys = self._load_keys()
        self._buckets = {key.name: self._bucket(key) for key in keys if key.per_minute}
        # One assignment: a request under way sees the old keys or the new ones, and can't bring an old one back.
        self._ring = _Ring({**{key.hash: self._pass(key) for key in keys}, **self._fixed}, {})

    def authenticate(
        self, headers: Sequence[tuple[bytes, bytes]], scope: str, key_headers: Collection[bytes] = ()
    ) -> Caller:
        """The caller, who has that scope. ``headers`` are raw, their names in lower case.

        ``key_headers`` may bring the key where none of the usual ones does.
        Raises InvalidRequest: 401 missing_key, wrong_key or expired_key, 403 missing_scope, 429 rate_limited.
        """
        token = token_of(headers)
        if key_headers and not token:
            token = next((value for name, value in headers if value and name in key_headers), b"")
        ring = self._ring
        known = ring.by_token.get(token) or _recognised(ring, token)
        if known.expires_at is not None or known.bucket is not None:
            _check_limits(known, self._clock())
        if scope not in known.caller.scopes:
            raise _missing_scope(known.caller, scope)
        return known.caller

    def _bucket(self, key: ApiKey) -> Bucket:
        old = self._buckets.get(key.name)
        return old if old and old.per_minute == key.per_minute else Bucket(key.per_minute)

    def _pass(self, key: ApiKey) -> _Pass:
        bucket = self._buckets[key.name] if key.per_minute else None
        return _Pass(Caller(key.name, key.scopes), key.expires_at, key.replaced, bucket)


def token_of(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The API key of a request, empty if there is none. X-API-Key goes before Authorization."""
    authorization = b""
    for name, value in headers:
        if name == b"x-api-key" and value:
            return value
        if name == b"authorization":
            authorization = value
    return _authorized(authorization) if authorization else b""


def _authorized(value: bytes) -> bytes:
    scheme, _, credentials = value.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return credentials.strip()
        case b"basic":
            return _password(credentials)
        case _:
            return b""


def _password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials).partition(b":")[2]
    except binascii.Error:
        return b""


def _fixed(master: Secret | None, local_token: str) -> dict[str, _Pass]:
    tokens = {MASTER: master.reveal() if master else "", LOCAL: local_token}
    return {hash_token(token): _Pass(Caller(name, SCOPES)) for name, token in tokens.items() if token}


def _recognised(ring: _Ring, token: bytes) -> _Pass:
    if not token:
        raise InvalidRequest("missing_key", _HOW, status=401)
    known = ring.by_hash.get(hash_token(token.decode("utf-8", "surrogateescape")))
    if known is None:
        raise InvalidRequest("wrong_key", "This API key isn't known here: it was mistyped, or revoked.", status=401)
    ring.by_token[token] = known
    return known


def _check_limits(known: _Pass, now: datetime) -> None:
    if known.expires_at is not None and now >= known.expires_at:
        raise _expired(known)
    wait = known.bucket.take(now.timestamp()) if known.bucket is not None else 0
    if wait:
        raise _rate_limited(known, wait)


def _rate_limited(known: _Pass, wait: float) -> InvalidRequest:
    per_minute = known.bucket.per_minute if known.bucket else 0
    detail = f"The key '{known.caller.name}' may send {per_minute} requests a minute. A batch counts as one."
    return InvalidRequest("rate_limited", detail, status=429, retry_after=wait)


def _expired(known: _Pass) -> InvalidRequest:
    why = "it was replaced by a newer one of this name" if known.replaced else "have it rotated"
    detail = f"The key '{known.caller.name}' expired on {known.expires_at:%Y-%m-%d %H:%M} UTC; {why}."
    return InvalidRequest("expired_key", detail, status=401)


def _missing_scope(caller: Caller, scope: str) -> InvalidRequest:
    detail = f"This needs a key with the scope {scope}; the key '{caller.name}' has: {', '.join(caller.scopes)}."
    return InvalidRequest("missing_scope", detail, status=403)
