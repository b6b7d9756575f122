"""The events that are sent: the same 1 KB story told in the form that each system reads.

A template's marks are replaced for each event by whoever sends it: ``NEXT`` stands before an event and counts on,
``NUMBER`` is its number in nine digits, ``WORD`` the same number in six letters, for a title of its own. Both have a
fixed length, so that a request's length doesn't change.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

NEXT, NUMBER, WORD = "\x01", "\x02", "\x03"
LETTERS = "ghijklmnopqrstuvwxyz"
"""No hexadecimal ones: a word of these is never taken for an id."""
WORD_LENGTH = 6
EVENT_BYTES = 1024
FILLER = "The upstream gateway answered 504 after 30 s; 100 of 100 connections are in use and the queue is growing. "


@dataclass(frozen=True)
class Traffic:
    """How a system is spoken to: where to, with which headers, and one event of it."""

    path: str
    headers: dict[str, str]
    event: str
    always_array: bool = False
    """Whether a single event too is sent in an array."""

    def body(self, batch: int) -> str:
        """A template of ``batch`` events in one body."""
        events = [f"{NEXT}{self.event}"] * batch
        return f"[{','.join(events)}]" if batch > 1 or self.always_array else events[0]

    def request(self, batch: int) -> str:
        """A template of the whole request."""
        body = self.body(batch)
        headers = {"Host": "127.0.0.1", "Content-Type": "application/json", **self.headers}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, f"Content-Length: {len(fill(body, 0))}", "", body])


def word(number: int) -> str:
    """A number in letters."""
    letters = ""
    for _ in range(WORD_LENGTH):
        number, digit = divmod(number, len(LETTERS))
        letters += LETTERS[digit]
    return letters


def fill(template: str, first: int, *, words: int = 0) -> str:
    """Replace the marks, as wrk's script does. With ``words`` set, words come again after that many."""
    parts = template.split(NEXT)
    filled = [parts[0]]
    for number, part in enumerate(parts[1:], first):
        named = word(number % words if words else number)
        filled.append(part.replace(NUMBER, f"{number:09}").replace(WORD, named))
    return "".join(filled)


def responder_event(*, own_incident: bool) -> str:
    """An event for our ``generic`` source."""
    story = _Story(own_incident=own_incident)
    return _padded(
        {
            "title": story.title,
            "message": story.message,
            "severity": "critical",
            "service": story.service,
            "environment": "production",
            "resource": "checkout-7",
            "timestamp": story.time,
            "labels": story.labels,
            "links": [{"name": "Runbook", "url": story.runbook}],
        },
        ("message",),
    )


def alertmanager_event(*, own_incident: bool) -> str:
    """An alert for Alertmanager's API, whose identity is its labels."""
    story = _Story(own_incident=own_incident)
    return _padded(
        {
            "labels": {
                "alertname": story.title_without_number,
                "number": NUMBER,
                "severity": "critical",
                "service": story.service,
                "environment": "production",
                "instance": "checkout-7",
                **story.labels,
            },
            "annotations": {"summary": story.title, "description": story.message, "runbook": story.runbook},
            "startsAt": story.time,
            "generatorURL": "https://metrics.example.com/graph",
        },
        ("annotations", "description"),
    )


def alerta_event(*, own_incident: bool) -> str:
    """An alert for Alerta, whose identity is environment, resource and event."""
    story = _Story(own_incident=own_incident)
    return _padded(
        {
            "environment": "Production",
            "resource": f"checkout-{NUMBER}",
            "event": story.title_without_number,
            "severity": "critical",
            "service": [story.service],
            "group": "Application",
            "value": "100/100",
            "text": story.message,
            "tags": [f"{name}={value}" for name, value in story.labels.items()],
            "attributes": {"runbook": story.runbook, "title": story.title},
            "origin": "bench",
            "createTime": story.time.replace("Z", ".000Z"),
        },
        ("text",),
    )


class _Story:
    """What all of them tell."""

    def __init__(self, *, own_incident: bool) -> None:
        what = WORD if own_incident else "payment"
        self.title_without_number = f"Pool of {what} exhausted"
        self.title = f"Pool of {what} exhausted at order {NUMBER}"
        self.message = f"Order {NUMBER} could not be served. "
        self.service = f"{WORD}-service" if own_incident else "checkout"
        self.time = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self.runbook = "https://runbooks.example.com/checkout/pool-exhausted"
        self.labels = {"team": "payments", "cluster": "eu-west-1a", "version": "2026.11.3", "pod": "checkout-7f9c"}


def _padded(event: dict[str, Any], text: tuple[str, ...]) -> str:
    """Lengthen the event's text until it has 1 KB."""
    *way, last = text
    place = event
    for key in way:
        place = place[key]
    missing = EVENT_BYTES - len(fill(_encoded(event), 0))
    place[last] += (FILLER * (missing // len(FILLER) + 1))[:missing]
    return _encoded(event)


def _encoded(event: dict[str, Any]) -> str:
    encoded = json.dumps(event)
    for mark in (NUMBER, WORD):
        encoded = encoded.replace(json.dumps(mark)[1:-1], mark)
    return encoded
