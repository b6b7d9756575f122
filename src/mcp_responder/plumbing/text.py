"""Text from strangers made fit to show: cut to a length, harmless on a terminal, wrapped to a width."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

MASK = "***"
CUT = "…"

_LINE_ENDS = re.compile(r"\r\n?|[\u0085\u2028\u2029]")
# Controls, and the format characters that reorder, hide or break what a person reads. Joiners stay: scripts and
# emoji need them.
_UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    r"\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_JOINS_BACK = ("Mn", "Mc", "Me", "Cf")


def cut(text: str, limit: int) -> str:
    """At most ``limit`` characters; what was cut ends in an ellipsis, never between a letter and its accent."""
    if len(text) <= limit:
        return text
    end = max(limit - len(CUT), 0)
    while end > 0 and limit - end < 16 and unicodedata.category(text[end]) in _JOINS_BACK:
        end -= 1
    return (text[:end] + CUT)[:limit]


def printable(text: str) -> str:
    r"""Safe on a terminal: control and direction characters become visible (``\x1b``), only line feeds stay."""
    if text.isprintable():
        return text
    lines = _LINE_ENDS.sub("\n", text).replace("\t", "    ")
    return _UNSAFE.sub(_visible, lines)


def one_line(text: str) -> str:
    """Printable, and with any white space as one blank."""
    return " ".join(printable(text).split())


def shown(text: str, limit: int) -> str:
    """Printable, and at most ``limit`` characters; cut first too, so that endless text costs nothing."""
    return cut(printable(cut(text, limit)), limit)


def shown_line(text: str, limit: int) -> str:
    """The same on one line."""
    return cut(one_line(cut(text, 4 * limit)), limit)


def hide(text: str, secrets: Iterable[str]) -> str:
    """Replace every secret in ``text``; the longest first, so that none survives as the rest of another."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            text = text.replace(secret, MASK)
    return text


def width(text: str) -> int:
    """How many columns of a terminal it takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def wrap(text: str, columns: int) -> list[str]:
    """Lines of at most ``columns``. Addresses are never broken, so that they can be clicked; other long words are."""
    return [line for paragraph in text.split("\n") for line in _lines(paragraph.split(), columns)]


def _visible(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _lines(words: list[str], columns: int) -> Iterator[str]:
    line, used = "", 0
    for piece in (piece for word in words for piece in _pieces(word, columns)):
        size = width(piece)
        if line and used + 1 + size > columns:
            yield line
            line, used = piece, size
        else:
            line, used = (f"{line} {piece}", used + 1 + size) if line else (piece, size)
    if line:
        yield line


def _pieces(word: str, columns: int) -> Iterator[str]:
    if "://" in word or width(word) <= columns:
        yield word
        return
    piece, used = "", 0
    for character in word:
        size = _columns(character)
        if piece and used + size > columns:
            yield piece
            piece, used = "", 0
        piece, used = piece + character, used + size
    yield piece
