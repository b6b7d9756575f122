"""From one status of an issue to another, as its workflow offers it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from mcp_responder.channels._jira_client import JiraClient, JiraRefusal, Json
from mcp_responder.channels._jira_issue import path_of
from mcp_responder.plumbing.text import shown_line


class _Named(msgspec.Struct, frozen=True):
    name: str = ""


class _Field(msgspec.Struct, frozen=True, rename="camel"):
    """A field of a transition's screen."""

    required: bool = False
    has_default_value: bool = False
    allowed_values: tuple[_Named, ...] = ()


class _Transition(msgspec.Struct, frozen=True):
    id: str
    name: str = ""
    to: _Named = _Named()
    fields: dict[str, Any] = {}


class _Offered(msgspec.Struct, frozen=True):
    transitions: tuple[_Transition, ...] = ()


def move(jira: JiraClient, key: str, wanted: str, resolution: str, values: Json, notes: list[str]) -> None:
    """Make the transition of that name, or the one that leads to the status of that name.

    A required field of its screen is taken from ``values``. What can't be done is a note: the news is told all the
    same. Raises Transient.
    """
    path = f"{path_of(key)}/transitions"
    try:
        offered = _offered(jira.get(path, expand="transitions.fields"))
        transition = _choose(offered, wanted)
        if transition is None:
            names = ", ".join(f"{one.name} -> {one.to.name}" for one in offered) or "none"
            notes.append(f"no transition '{wanted}'; the workflow offers {shown_line(names, 300)}")
            return
        fields = dict(_fields(transition, resolution, values))
        jira.send("POST", path, {"transition": {"id": transition.id}, **({"fields": fields} if fields else {})})
    except JiraRefusal as refusal:
        notes.append(f"no transition '{wanted}': {refusal}")


def _offered(answer: object) -> tuple[_Transition, ...]:
    try:
        return msgspec.convert(answer, _Offered).transitions
    except msgspec.ValidationError:
        return ()


def _choose(offered: tuple[_Transition, ...], wanted: str) -> _Transition | None:
    """By its own name; else by the status that it leads to."""
    by_name = (one for one in offered if one.name.casefold() == wanted.casefold())
    by_status = (one for one in offered if one.to.name.casefold() == wanted.casefold())
    return next(by_name, None) or next(by_status, None)


def _fields(transition: _Transition, resolution: str, values: Json) -> Iterator[tuple[str, Any]]:
    """What its screen asks for, as far as it is known."""
    for name, described in transition.fields.items():
        field = _field(described)
        if name == "resolution":
            if chosen := _resolution(field, resolution):
                yield name, {"name": chosen}
        elif field.required and not field.has_default_value and name in values:
            yield name, values[name]


def _field(described: object) -> _Field:
    try:
        return msgspec.convert(described, _Field)
    except msgspec.ValidationError:
        return _Field()


def _resolution(field: _Field, wanted: str) -> str:
    """The wanted one if it is allowed; if there must be one, the first that is."""
    names = [allowed.name for allowed in field.allowed_values if allowed.name]
    fitting = next((name for name in names if name.casefold() == wanted.casefold()), "")
    return fitting or (next(iter(names), wanted) if field.required else "")
