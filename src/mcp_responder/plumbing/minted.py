"""Ids that a machine made up for one thing only, told from names that somebody chose."""

from __future__ import annotations

import re

_MINTED = re.compile(
    r"""
      [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}   # UUID
    | [0-7][0-9A-HJKMNP-TV-Z]{25} | (?-i:0[0-9A-Z]{25})              # ULID, and what PagerDuty makes of it
    | (?=[0-9]*[a-f])[0-9a-f]{16,128}   # Long hex; digits alone are rather the number of something.
    """,
    re.IGNORECASE | re.VERBOSE,
)


def is_minted(words: str) -> bool:
    """Whether it has the shape of a UUID, a ULID or a long hexadecimal number: nobody else has the same one."""
    return _MINTED.fullmatch(words) is not None
