"""Values for Jira's fields: placeholders filled, and put into the shape that each field's type asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from mcp_responder.channels._jira_client import JiraClient, JiraRefusal, Json
from mcp_responder.channels._jira_report import text_field
from mcp_responder.model.alert import NEVER
from mcp_responder.model.message import Message
from mcp_responder.plumbing.text import shown, shown_line
from mcp_responder.ports import Clock

LONGEST_LINE = 255
"""Characters of Jira's one-line fields."""
LONGEST_FIELD = 30_000
FIELDS_KEPT = timedelta(minutes=10)
"""How long Jira's list of fields is believed."""

Wanted = str | int | float | tuple[str, ...]
"""A value as it is configured."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class FieldType(msgspec.Struct, frozen=True):
    """One field of this Jira: its id, and the type that its schema names."""

    field_id: str
    kind: str = "string"
    items: str = ""
    """What an array holds."""
    custom: str = ""
    """The kind of custom field, such as ``...:textarea``."""


class NoValue(Exception):
    """The text can't become a value of the field's type; the words say why."""


PLACEHOLDERS: dict[str, Callable[[Message], str]] = {
    "incident": lambda message: message.incident.incident_id,
    "title": lambda message: message.incident.title,
    "severity": lambda message: message.incident.severity.value,
    "status": lambda message: message.incident.status.value,
    "service": lambda message: message.incident.service,
    "environment": lambda message: message.incident.environment,
    "resource": lambda message: message.incident.resource,
    "source": lambda message: message.incident.source,
    "owner": lambda message: message.incident.owner,
    "signature": lambda message: message.incident.signature,
    "opened_at": lambda message: message.incident.opened_at.isoformat(),
    "alerts": lambda message: str(message.activity.alerts),
    "url": lambda message: message.url,
    "summary": lambda message: message.analysis.summary if message.analysis else "",
    "root_cause": lambda message: message.analysis.root_cause.statement if message.analysis else "",
    "category": lambda message: message.analysis.root_cause.category.value if message.analysis else "",
    "confidence": lambda message: f"{message.analysis.root_cause.confidence:.2f}" if message.analysis else "",
    "impact": lambda message: message.analysis.impact if message.analysis else "",
}
"""What a configured value may stand for; those of the analysis are empty until it is made."""


def unknown_placeholders(wanted: Wanted) -> list[str]:
    """Names in braces that mean nothing."""
    texts = wanted if isinstance(wanted, tuple) else (str(wanted),)
    return [name for text in texts for name in _PLACEHOLDER.findall(text) if name not in PLACEHOLDERS]


def filled(wanted: Wanted, message: Message) -> tuple[str, ...]:
    """The configured texts with their placeholders filled; those that come out empty are left out."""
    texts = wanted if isinstance(wanted, tuple) else (str(wanted),)
    values = (_PLACEHOLDER.sub(lambda found: PLACEHOLDERS[found[1]](message), text).strip() for text in texts)
    return tuple(value for value in values if value)


class Fields:
    """The fields of one Jira, found by name, and the people in it, found by e-mail address; both are kept."""

    def __init__(self, jira: JiraClient, clock: Clock) -> None:
        self._jira = jira
        self._clock = clock
        self._types: dict[str, list[FieldType]] = {}
        self._read_at = NEVER
        self._accounts: dict[str, str] = {}

    def custom(self, wanted: Mapping[str, Wanted], message: Message, notes: list[str]) -> Json:
        """Field id -> value. A field that isn't there, or whose value doesn't fit, is a note. Raises Transient."""
        values: Json = {}
        for name, texts in ((name, filled(value, message)) for name, value in wanted.items()):
            if texts:
                try:
                    kind = self._type(name)
                    values[kind.field_id] = value_of(kind, texts, self._account)
                except (NoValue, JiraRefusal) as error:
                    notes.append(f"field '{name}' left out: {error}")
        return values

    def person(self, field_id: str, account: str, notes: list[str]) -> Json:
        """The field with an account id, or with that of an e-mail address; nothing if there is none."""
        if not account:
            return {}
        try:
            return {field_id: {"accountId": self._account(account)}}
        except (NoValue, JiraRefusal) as error:
            notes.append(f"{field_id} left out: {error}")
            return {}

    def _type(self, name: str) -> FieldType:
        now = self._clock()
        if now - self._read_at > FIELDS_KEPT:
            self._types, self._read_at = field_types(self._jira.get("field")), now
        found = self._types.get(name.lower(), [])
        if not found:
            raise NoValue("this Jira has no field of that name")
        if len(found) > 1:
            ids = ", ".join(kind.field_id for kind in found)
            raise NoValue(f"this Jira has several fields of that name; configure one of {ids}")
        return found[0]

    def _account(self, account: str) -> str:
        if "@" not in account:
            return account
        if account not in self._accounts:
            people = self._jira.get("user/search", query=account)
            self._accounts[account] = _account_of(account, people if isinstance(people, list) else [])
        return self._accounts[account]


def _account_of(email: str, people: list[Any]) -> str:
    """The account of that address; addresses may be hidden, then it is the only one that was found."""
    found = [one for one in people if isinstance(one, dict) and isinstance(one.get("accountId"), str)]
    exact = [one for one in found if str(one.get("emailAddress", "")).lower() == email.lower()]
    people = exact or [one for one in found if not one.get("emailAddress")]
    if len(people) != 1:
        raise NoValue(f"{len(people)} accounts were found for {shown_line(email, 100)}; configure the account id")
    return str(people[0]["accountId"])


def field_types(listed: object) -> dict[str, list[FieldType]]:
    """Fields by name and by id, in lower case, from Jira's list. Several fields may have one name."""
    types: dict[str, list[FieldType]] = {}
    for name, kind in _read_types(listed):
        for key in {name.lower(), kind.field_id.lower()}:
            types.setdefault(key, []).append(kind)
    return types


def _read_types(listed: object) -> Iterator[tuple[str, FieldType]]:
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            schema = entry.get("schema")
            names = schema if isinstance(schema, dict) else {}
            kind, items, custom = (str(names.get(key, "")) for key in ("type", "items", "custom"))
            yield str(entry.get("name", "")), FieldType(entry["id"], kind or "string", items, custom)


def value_of(kind: FieldType, texts: tuple[str, ...], account: Callable[[str], str]) -> Any:
    """The JSON that Jira wants for a field of this type.

    ``account`` finds a person's account id. Raises NoValue, or what ``account`` raises.
    """
    if kind.kind == "array":
        return [label(text) if kind.items == "string" else _one(kind.items, text, account) for text in texts]
    if kind.custom.endswith(":textarea") or kind.field_id in ("environment", "description"):
        return text_field(shown("\n".join(texts), LONGEST_FIELD))
    return _one(kind.kind, ", ".join(texts), account)


def _one(kind: str, text: str, account: Callable[[str], str]) -> Any:
    line = shown_line(text, LONGEST_LINE)
    if kind in _SHAPES:
        return _SHAPES[kind](line)
    if kind == "user":
        return {"accountId": account(line)}
    return line


def label(text: str) -> str:
    """Labels can't hold white space."""
    return "-".join(shown_line(text, LONGEST_LINE).split())


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise NoValue(f"'{shown_line(text, 40)}' is no number") from None
    if not math.isfinite(number):
        raise NoValue(f"'{shown_line(text, 40)}' is no number that JSON can hold")
    return number


def _instant(text: str) -> datetime:
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        raise NoValue(f"'{shown_line(text, 40)}' is no date of the form 2026-11-22 or 2026-11-22T03:08:09Z") from None
    return then.astimezone(UTC) if then.tzinfo else then.replace(tzinfo=UTC)


def _cascading(text: str) -> dict[str, Any]:
    parent, _, child = (part.strip() for part in text.partition(" > "))
    return {"value": parent, "child": {"value": child}} if child else {"value": parent}


_SHAPES: Mapping[str, Callable[[str], Any]] = {
    "number": _number,
    "date": lambda text: f"{_instant(text):%Y-%m-%d}",
    "datetime": lambda text: f"{_instant(text):%Y-%m-%dT%H:%M:%S}.000+0000",
    "option": lambda text: {"value": text},
    "option-with-child": _cascading,
    "priority": lambda text: {"name": text},
    "component": lambda text: {"name": text},
    "version": lambda text: {"name": text},
    "group": lambda text: {"name": text},
    "resolution": lambda text: {"name": text},
    "securitylevel": lambda text: {"name": text},
    "project": lambda text: {"key": text},
}
