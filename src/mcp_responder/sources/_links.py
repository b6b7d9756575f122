"""Addresses that somebody wrote into a text: runbooks and dashboards in the description of an alarm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from mcp_responder.model.alert import Link

LONGEST_TEXT = 20_000
LONGEST_ADDRESS = 2000
MOST_LINKS = 10

_ADDRESS = re.compile(r"https?://[^\s<>\"'`|\\^{}\[\]]+", re.IGNORECASE)
_KINDS = (
    ("Runbook", re.compile(r"run-?\s?books?|play-?\s?books?|\bsop\b|wiki|confluence|notion\.so", re.IGNORECASE)),
    ("Dashboard", re.compile(r"dash-?\s?boards?|grafana", re.IGNORECASE)),
)
_AROUND = 30
"""Characters before an address that may say what it is."""


def links_in(words: str) -> tuple[Link, ...]:
    """The web addresses in a text, named by what is said of them; each once."""
    found = {link.url: link for link in islice(_links(words[:LONGEST_TEXT]), MOST_LINKS)}
    return tuple(found.values())


def _links(words: str) -> Iterator[Link]:
    for address in _ADDRESS.finditer(words):
        url = _closed(address[0][:LONGEST_ADDRESS].rstrip(".,;:!?*_"))
        before = words[max(0, address.start() - _AROUND) : address.start()].rpartition("\n")[2]
        said = next((name for name, kind in _KINDS if kind.search(before)), "")
        yield Link(name=said or next((name for name, kind in _KINDS if kind.search(url)), "Link"), url=url)


def _closed(url: str) -> str:
    """Without the bracket that closes one before the address: "(see https://…)"."""
    while url.endswith(")") and url.count(")") > url.count("("):
        url = url[:-1].rstrip(".,;")
    return url
