"""What comes packed into one request: unpacked tolerantly, and never beyond what a request may hold."""

from __future__ import annotations

import zlib
from base64 import b64decode
from binascii import Error

from mcp_responder.model.errors import InvalidRequest

MOST_MEMBERS = 200
"""Compressed parts in one piece of data; each is a copy of what follows."""
MOST_RECORDS = 10_000
"""Records, findings and the like in one request: as many as Lambda hands on at once."""
MOST_EVENTS = 20_000
"""Log events in one request."""
_GZIP = b"\x1f\x8b"
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_ALPHABETS = str.maketrans("-_", "+/", " \t\r\n=")


class Unreadable(ValueError):
    """This piece of data can't be unpacked; it says why."""


def check_count(number: int, what: str, most: int = MOST_RECORDS) -> None:
    """Raises InvalidRequest (413) if a request holds more than that."""
    if number > most:
        words = f"The request holds {number} {what}; at most {most} are taken at once. Send smaller batches."
        raise InvalidRequest("too_many_items", words, status=413)


class Unpacker:
    """Unpacks the pieces of one request; ``limit`` is the number of bytes that all of them may have together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def unpack(self, words: str) -> bytes:
        """What a text in base64 stands for, without its compression by gzip or zlib.

        Raises Unreadable, and InvalidRequest (413) as soon as it is known to be too much.
        """
        data = _decoded(words)
        if data.startswith(_GZIP):
            return self._inflated(data)
        if _may_be_zlib(data):
            try:
                return self._inflated(data)
            except Unreadable:
                return self._counted(data)
        return self._counted(data)

    def _inflated(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        while data and len(parts) < MOST_MEMBERS:
            part, rest = self._member(data)
            parts.append(part)
            # Padding or garbage behind the last member says nothing.
            data = rest if rest.startswith(_GZIP) or _may_be_zlib(rest) else b""
        if data:
            raise Unreadable(f"it has more than {MOST_MEMBERS} compressed parts")
        return b"".join(parts)

    def _member(self, data: bytes) -> tuple[bytes, bytes]:
        inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            part = self._counted(inflate.decompress(data, self._left + 1))
        except zlib.error as error:
            raise Unreadable(f"it is damaged: {error}") from error
        if not inflate.eof:
            raise Unreadable("it is cut off")
        return part, inflate.unused_data

    def _counted(self, part: bytes) -> bytes:
        if len(part) > self._left:
            raise InvalidRequest(
                "too_large",
                f"The request holds more than {self._limit} bytes when it is unpacked. Send it in smaller batches.",
                status=413,
            )
        self._left -= len(part)
        return part


def _decoded(words: str) -> bytes:
    """Base64 in either alphabet, with or without padding and line ends."""
    plain = words.translate(_ALPHABETS)
    try:
        data = b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (Error, ValueError) as error:
        raise Unreadable(f"it is not base64: {error}") from error
    if not data:
        raise Unreadable("it is empty")
    return data


def _may_be_zlib(data: bytes) -> bool:
    return len(data) > 1 and data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
