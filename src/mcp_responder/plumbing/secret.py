"""A text that nobody sees by accident."""

from __future__ import annotations

import hmac


class Secret:
    """Shows itself as ``***`` wherever it is printed, formatted or logged; ``reveal`` gives the text.

    It isn't a ``str``, so joining, slicing or encoding it by mistake fails instead of leaking.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; keep it out of anything that is written down."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


def read_secret(wanted: type, value: object) -> Secret:
    """Decode a Secret: msgspec's ``dec_hook`` for every settings type that holds one."""
    if wanted is not Secret:
        raise NotImplementedError(f"{wanted!r} can't be decoded")
    if not isinstance(value, str):
        raise TypeError("Expected `str`")
    return Secret(value)
