"""What an event of Amazon RDS (Aurora, DocumentDB, Neptune) means: by its code, and by its words where it has none.

A word that says that something failed counts more than one that says that something is done.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mcp_responder.model.alert import Status

LONGEST = 2000
"""Characters of a message that are read."""


class Meaning(NamedTuple):
    """What an event is about, and what it says of that."""

    topic: str
    status: Status


_TOPICS: dict[str, dict[Status, str]] = {
    "availability": {Status.FIRING: "0004 0022", Status.RESOLVED: "0006"},
    "failover": {
        Status.FIRING: "0013 0050 0069 0070 0072 0073",
        Status.RESOLVED: "0015 0049 0051 0065 0071",
        Status.INFO: "0034",
    },
    "global failover": {
        Status.FIRING: "0181 0183 0187",
        Status.RESOLVED: "0185 0186",
        Status.INFO: "0182 0184",
    },
    "low storage": {Status.FIRING: "0007 0089 0221 0222 0227", Status.RESOLVED: "0218", Status.INFO: "0217"},
    "read replica": {Status.FIRING: "0045 0057 0062 0202", Status.RESOLVED: "0046", Status.INFO: "0063"},
    "recovery": {Status.FIRING: "0020 0052 0066", Status.RESOLVED: "0021 0053", Status.INFO: "0023"},
    "support perimeter": {Status.FIRING: "0165", Status.RESOLVED: "0166"},
}
"""The codes that belong together; of all others the category and the words decide."""
_CODES = {
    code: Meaning(topic, status)
    for topic, told in _TOPICS.items()
    for status, codes in told.items()
    for code in codes.split()
}
_CODE = re.compile(r"\bRDS-EVENT-(\d{4})\b")

_FAILED = re.compile(
    r"\bfail(?:ure|s|ing|ed(?! over))?\b|\berrors?\b|\bunable\b|\bcan(?:no|')t\b|\bcouldn't\b|\bcould not\b|\bcrash"
    r"|\bunhealthy\b|\bdegraded\b|\bincompatible\b|\bout of\b|\bexhausted\b|\bunavailable\b|\binvalid\b"
    r"|\bstorage (?:is )?full\b"
    r"|\b(?:not|no longer) (?:\w+ )?(?:available|healthy|enough|sufficient|able|reachable|accessible|responding)\b",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    r"\b(?:recover(?:ed|y)|restarted|resumed)\b[^.]{0,30}\b(?:from|after|following)\b[^.]{0,60}"
    r"|\b(?:no|without|0) (?:errors?|failures?)\b",
    re.IGNORECASE,
)


def meaning(event_id: str) -> Meaning | None:
    """What is said by a code, or by an address that ends in one; None if nothing is known of it."""
    code = _CODE.search(event_id[:LONGEST])
    return _CODES.get(code[1]) if code else None


def says_failure(said: str) -> bool:
    """Whether the words say that something is broken, and not only that it was."""
    return _FAILED.search(_BEHIND.sub("", said[:LONGEST])) is not None
