"""What senders write, read into the words of an Alert: statuses, labels, links, and the user's own mapping."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import islice

import msgspec

from mcp_responder.model.alert import Alert, Link, Severity, Status
from mcp_responder.model.severity import judge, read_severity, stated
from mcp_responder.plumbing.fields import array, dig, first_line, instant, mapping, one_line, text
from mcp_responder.ports import Reading

LONGEST_TITLE = 500
LONGEST_HEADLINE = 200
"""Characters of a title that is made from a text."""
_LONGEST_NOTHING = 2
MOST_LINKS = 20

STATUS_WORDS: dict[Status, str] = {
    Status.FIRING: "firing fire fired trigger triggered retriggered alarm alert alerting open opened reopened new "
    "problem critical crit down error failed failure failing fatal active activated warning warn "
    "unhealthy degraded start started breached bad red yellow investigating identified major_outage partial_outage "
    "degraded_performance unavailable broken unresolved",
    Status.RESOLVED: "resolved resolve ok okay closed close recovered recovery up normal cleared clear healthy good "
    "green success successful succeeded passed fixed done inactive deactivated end ended finished restored operational "
    "available",
    Status.INFO: "info informational information maintenance under_maintenance notice acknowledged acknowledge ack "
    "acked silenced muted snoozed suppressed paused scheduled comment commented annotated insufficient_data heartbeat",
}
NOUNS = ("incident", "alert", "alarm", "issue", "problem", "event")
"""What a state may be glued to: "incident.resolved", "alert_opened"."""


def plain(word: str) -> str:
    """Lower case, letters and digits only: how names are compared ("Dedup-Key", "dedupKey", "dedup_key")."""
    return "".join(letter for letter in word.lower() if letter.isalnum())


_BY_WORD = {plain(word): status for status, words in STATUS_WORDS.items() for word in words.split()}


def read_status(value: object) -> Status | None:
    """A sender's state ("alerting", "Incident.Resolved", "OK"), or None if it isn't known."""
    return _status(value) if isinstance(value, str) and len(value) <= 60 else None


@lru_cache(maxsize=1024)
def _status(word: str) -> Status | None:
    said = plain(word)
    bare = next((said[len(noun) :] for noun in NOUNS if said.startswith(noun)), said)
    return _BY_WORD.get(said) or _BY_WORD.get(bare)


_BRACKETED = re.compile(r"\[\s*([A-Za-z][A-Za-z -]*?)\s*(?:: ?\d+|on [^\]]*)?\]\s*(?=\S)")
_LEADING = re.compile(r"(ALARM|OK|PROBLEM|RESOLVED|RECOVERY|RECOVERED|FIRING)\s*:\s*(?=\S)", re.IGNORECASE)
_FIRING_MARKS = ("firing", "alerting", "alarm", "triggered", "retriggered", "problem", "open", "down")
_RESOLVED_MARKS = ("resolved", "recovered", "recovery", "ok", "closed", "cleared", "up")
_MARKS = frozenset((*_FIRING_MARKS, *_RESOLVED_MARKS))


def unmark(title: str) -> tuple[str, Status | None]:
    """A title without its state in front ("[RESOLVED] …", "OK: …"): firing and resolved are the same alarm."""
    if title[:1] == "[":
        mark = _BRACKETED.match(title)
    elif ":" in title[:12]:
        mark = _LEADING.match(title)
    else:
        return title, None
    if not mark or mark[1].lower().replace("-", "") not in _MARKS:
        return title, None
    return title[mark.end() :], read_status(mark[1])


def judged(title: str, message: str, environment: str, reading: Reading) -> Severity:
    """How bad it is by its words, when the sender doesn't say."""
    said = stated(title) or stated(message) or judge(title, message, environment, rules=reading.severities)
    return said or Severity.MEDIUM


def headline(message: str) -> str:
    """The first line, or for one that says nothing (the brace of a JSON text) as much as fits."""
    first = one_line(first_line(message), LONGEST_HEADLINE)
    return first if len(first) > _LONGEST_NOTHING else one_line(message, LONGEST_HEADLINE)


def raw_items(raw: bytes, name: str) -> list[bytes]:
    """The exact texts of the items of the array that stands under a name in the text of an object."""
    return [bytes(item) for item in decode_array(decode_object(raw)[name])]


decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_level(value: object) -> Severity | None:
    """A sender's severity: a word, a number, or an object with a name."""
    words = named(value)
    return read_severity(words) if words and len(words) <= 100 else None


def named(value: object) -> str:
    """A text or number as it is; of an object, what it is called."""
    if isinstance(value, str):
        return value.strip()
    if not isinstance(value, dict):
        return text(value)
    names = (text(value.get(key)) for key in ("name", "title", "value", "summary", "displayName", "email", "id"))
    return next(filter(None, names), "")


def read_labels(value: object) -> dict[str, str]:
    """Labels from an object, from a list of "key:value", "key=value", words or {key, value}, or from "a:1, b:2"."""
    if isinstance(value, dict):
        labels = {key: inner if type(inner) is str else label_text(inner) for key, inner in value.items()}
    else:
        items = value.split(",") if isinstance(value, str) else array(value)
        labels = dict(_label(item) for item in items)
    return {key: words for key, words in labels.items() if key and words}


def label_text(value: object) -> str:
    """A label's value: texts, numbers and truth values."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return text(value)


def _label(item: object) -> tuple[str, str]:
    if isinstance(item, dict):
        return named({"name": item.get("key") or item.get("name") or item.get("Key")}), _value_of(item)
    words = text(item)
    key, separator, value = words.partition("=" if "=" in words and ":" not in words.partition("=")[0] else ":")
    return (key.strip(), value.strip()) if separator else (words, "true" if words else "")


def _value_of(item: dict[str, object]) -> str:
    return label_text(item.get("value", item.get("Value")))


def read_links(value: object, name: str = "Link") -> list[Link]:
    """Links from an address, a list of addresses or {href, text}, or an object of name: address."""
    if isinstance(value, list):
        return [link for item in value[:MOST_LINKS] for link in _one_link(item, name)]
    return _one_link(value, name) or [
        Link(name=one_line(key, 80) or name, url=text(address))
        for key, address in islice(mapping(value).items(), MOST_LINKS)
        if is_address(address)
    ]


def _one_link(item: object, name: str) -> list[Link]:
    if isinstance(item, str):
        return [Link(name=name, url=item.strip())] if is_address(item) else []
    described = mapping(item)
    for key in _ADDRESSES:
        if key in described and is_address(address := described[key]):
            return [Link(name=one_line(_called(described) or name, 80), url=text(address))]
    return []


_ADDRESSES = ("url", "href", "link")


def _called(described: dict[str, object]) -> str:
    for key in ("name", "text", "title", "rel", "type"):
        if key in described and (words := text(described[key])):
            return words
    return ""


def is_address(value: object) -> bool:
    """Whether it may be shown as a link: a web address and nothing that a browser would run."""
    return isinstance(value, str) and value[:8].lower().startswith(("https://", "http://")) and " " not in value


def mapped(body: object, reading: Reading) -> dict[str, object]:
    """What the user's mapping finds in a body: field of Alert (or ``labels.<name>``) -> value."""
    found = {field: [dig(body, path) for path in paths] for field, paths in reading.fields.items()}
    return {
        field: value for field, values in found.items() for value in values[::-1] if value not in (None, "", [], {})
    }


def override(alert: Alert, body: object, reading: Reading) -> Alert:
    """The alert as the user's mapping wants it; values that can't be read change nothing."""
    if not reading.fields:
        return alert
    found = mapped(body, reading)
    values = {field: read(found[field]) for field, read in READERS.items() if field in found}
    changes = {field: value for field, value in values.items() if value}
    labels = {**alert.labels, **read_labels(found.get("labels")), **mapped_labels(found)}
    return msgspec.structs.replace(alert, **{**changes, "labels": labels})


def mapped_labels(found: dict[str, object]) -> dict[str, str]:
    """The labels that the user's mapping names one by one."""
    return read_labels({field[7:]: value for field, value in found.items() if field.startswith("labels.")})


def read_title(value: object) -> str:
    """A title: one line, not too long."""
    return one_line(named(value), LONGEST_TITLE)


def _links(value: object) -> tuple[Link, ...]:
    return tuple(read_links(value))


READERS: dict[str, Callable[[object], object]] = {
    "title": read_title,
    "message": named,
    "severity": read_level,
    "status": read_status,
    "timestamp": instant,
    "links": _links,
    **dict.fromkeys(("source_id", "event_id", "service", "resource", "environment"), named),
    **dict.fromkeys(("account", "region", "owner"), named),
}
"""How a mapped field of Alert is read; other fields can't be mapped."""
