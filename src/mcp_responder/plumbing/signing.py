"""Signed deliveries, after the Standard Webhooks convention (HMAC-SHA256).

Three headers travel with a body: ``webhook-id`` (the same for every try of one delivery), ``webhook-timestamp`` (Unix
seconds) and ``webhook-signature``: ``v1,<base64>`` over ``id.timestamp.body``, one for each secret, separated by
spaces. While a secret is rotated both sides may hold the old and the new one.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence

from mcp_responder.plumbing.secret import Secret

PREFIX = "whsec_"
TOLERANCE = 300.0
"""Seconds by which a timestamp may differ from the receiver's clock."""


class NotAuthentic(Exception):
    """The signature doesn't prove the body; the words say which part is wrong and hold no secret."""


def signing_key(secret: Secret) -> bytes:
    """The key that a secret stands for: ``whsec_<base64>``, or any other text as it is. Raises ValueError."""
    text = secret.reveal()
    if not text:
        raise ValueError("a signing secret is empty")
    if not text.startswith(PREFIX):
        return text.encode()
    try:
        key = base64.b64decode(_padded(text.removeprefix(PREFIX)), validate=True)
    except ValueError:
        raise ValueError(f"a signing secret starts with {PREFIX} but isn't base64 after it") from None
    if not key:
        raise ValueError(f"a signing secret is empty after {PREFIX}")
    return key


def sign(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers that prove ``body``, with one signature for each key."""
    signed = _signed(message_id, str(timestamp), body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(key, signed) for key in keys),
    }


def verify(
    keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: float, tolerance: float = TOLERANCE
) -> None:
    """Raise NotAuthentic unless one of the keys signed ``body`` within ``tolerance`` seconds of ``now``.

    Header names are in lower case. Every given signature is compared with every key in constant time.
    """
    message_id, timestamp, given = (headers.get(name, "") for name in _HEADERS)
    if not (message_id and timestamp and given):
        raise NotAuthentic("a signature header is missing")
    _check_age(timestamp, now, tolerance)
    signed = _signed(message_id, timestamp, body)
    offered = [signature.encode() for signature in given.split()]
    matches = [hmac.compare_digest(_signature(key, signed).encode(), one) for key in keys for one in offered]
    if not any(matches):
        raise NotAuthentic("no signature fits the body and any known secret")


_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def _check_age(timestamp: str, now: float, tolerance: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise NotAuthentic("the timestamp isn't a number of seconds")
    if abs(now - int(timestamp)) > tolerance:
        raise NotAuthentic(f"the timestamp is more than {tolerance:g} s away from this clock")


def _signed(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
