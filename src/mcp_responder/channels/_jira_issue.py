"""An issue as Jira has it: read by its key, or found by what it was told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from mcp_responder.channels._jira_client import JiraClient, JiraRefusal

PROPERTY = "mcp-responder"
"""The issue's property in which is kept what it was told."""
LOOK_AROUND = 50
"""Keys on either side of the newest one that the search knows, which are read directly."""
_KEY = re.compile(r"(?P<project>[A-Za-z][A-Za-z0-9_]*)-(?P<number>[0-9]{1,18})")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an issue was told so far: its property."""

    about: str = ""
    """An incident's id, or the name of a storm."""
    channel: str = ""
    news: int = 0
    severity: str = ""
    status: str = ""
    analysis: str = ""
    """When the analysis was made that it shows."""


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """One issue, as it is now."""

    key: str
    told: Told = Told()
    status: str = ""
    """The name of its status."""
    locked: frozenset[str] = frozenset()
    """Ids of the fields that somebody else has changed."""

    @property
    def path(self) -> str:
        return path_of(self.key)


def path_of(key: str) -> str:
    """Where the API has the issue."""
    return f"issue/{quote(key, safe='')}"


def read(jira: JiraClient, key: str) -> Issue | None:
    """The issue itself, never from the search's index; None if it is gone. Raises Transient or Permanent."""
    try:
        found = jira.get(path_of(key), fields="status,creator", properties=PROPERTY, expand="changelog")
    except JiraRefusal as refusal:
        if refusal.status == 404:
            return None
        raise
    return Issue(
        key=_text(found, "key") or key,
        told=_told(found),
        status=_text(found, "fields", "status", "name"),
        locked=frozenset(_changed_by_others(found)),
    )


def find(jira: JiraClient, project: str, label: str, told: Told) -> str:
    """The key of the issue that was made for this incident by this channel, or "". Raises Transient or Permanent.

    The index of the search runs some seconds behind, at worst minutes. So the keys after the newest one that it knows
    are read directly; and those before, for projects whose screens have no labels.
    """

    def ours(issues: list[Any]) -> str:
        return next((_text(issue, "key") for issue in issues if _is_ours(issue, label, told)), "")

    labelled = _query(jira, f'project = "{project}" AND labels = "{label}" ORDER BY key DESC')
    if key := ours(labelled):
        return key
    newest = _query(jira, f'project = "{project}" ORDER BY key DESC')
    match = _KEY.fullmatch(_text(newest[0], "key")) if newest else None
    prefix, number = (match["project"], int(match["number"])) if match else (project.upper(), 0)
    numbers = range(max(number - LOOK_AROUND + 1, 1), number + LOOK_AROUND + 1)
    wanted = {"issueIdsOrKeys": [f"{prefix}-{one}" for one in numbers], "fields": ["labels"], "properties": [PROPERTY]}
    return ours(_list(jira.send("POST", "issue/bulkfetch", wanted), "issues"))


def _query(jira: JiraClient, jql: str) -> list[Any]:
    wanted = {"jql": jql, "maxResults": 20, "fields": ["labels"], "properties": [PROPERTY]}
    return _list(jira.send("POST", "search/jql", wanted), "issues")


def _is_ours(issue: object, label: str, told: Told) -> bool:
    known = _told(issue)
    if known.about:
        return (known.about, known.channel) == (told.about, told.channel)
    return label in _list(issue, "fields", "labels")


def _told(issue: object) -> Told:
    try:
        return msgspec.convert(_get(issue, "properties", PROPERTY), Told)
    except msgspec.ValidationError:
        return Told()


def _changed_by_others(issue: object) -> Iterator[str]:
    """Fields that another account than the one which made the issue has changed since."""
    creator = _text(issue, "fields", "creator", "accountId")
    for history in _list(issue, "changelog", "histories"):
        if _text(history, "author", "accountId") != creator:
            yield from filter(None, (_text(item, "fieldId") for item in _list(history, "items")))


def _get(value: object, *names: str) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: object, *names: str) -> str:
    found = _get(value, *names)
    return found if isinstance(found, str) else ""


def _list(value: object, *names: str) -> list[Any]:
    found = _get(value, *names)
    return found if isinstance(found, list) else []
