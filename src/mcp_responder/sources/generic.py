"""Any JSON object, so that anything that can send a webhook can send an alert.

## Set up

Send a `POST` with a JSON object to `/v1/sources/generic` (or to `/v1/alerts`, where bodies that no other source knows
end up too). Only a title or a message is needed:

    curl -X POST "$RESPONDER_URL/v1/sources/generic" \\
      -H "X-API-Key: $RESPONDER_API_KEY" -H "Content-Type: application/json" \\
      -d '{"title": "Disk full on web-1", "severity": "critical", "service": "checkout"}'

An array is taken as a batch, and so are several objects under `alerts`, `events`, `incidents`, `records`, `items` or
`messages`: each is an alert, and what stands beside them (`status`, `severity`, `commonLabels`) counts where it says
nothing itself. A JSON string, or a body of type `text/plain`, is an alert whose first line is the title.

## What is read

| field | also called (any case, `snake_case`, `camelCase`, `kebab-case`) |
|---|---|
| `title` | `alertname`, `alert_name`, `summary`, `headline`, `subject`, `name`, `event`, ... |
| `message` | `msg`, `description`, `body`, `text`, `details`, `reason`, `error`, `stacktrace`: all that are there |
| `severity` | `level`, `priority`, `urgency`: `critical`, `error`, `warn`, `info`, `P1` to `P5`, `sev1`, `1` to `5` |
| `status` | `state`, `action`: `firing`, `triggered`, `open`, `down`; `resolved`, `ok`, `closed`; `info` |
| `source_id` | `fingerprint`, `dedup_key`, `alias`, `incident_key`, `alert_id`: the same for each firing of an alarm |
| `event_id` | `message_id`, `delivery_id`: of this one event, so that a second sending isn't a second event |
| `id` | `uuid`, `guid`: of the event if it is a UUID, a ULID or long hex, else with its time; in words, of the alarm |
| `timestamp` | `time`, `ts`, `@timestamp`, `date`: ISO 8601, RFC 2822, epoch in s, ms, us or ns |
| when it began | `startsAt`, `created_at`, `opened_at`: shown, but neither names the event nor orders it |
| `service` | `application`, `app`, `component`, `job` |
| `resource` | `host`, `instance`, `node`, `pod`, `server` |
| `environment` | `env`, `stage` |
| `region`, `account`, `owner` | `aws_region`, `account_id`, `team`, `assignee` |
| `labels` | `tags`: an object or a list of `key:value` |
| `links` | `link`, `url`, `runbook_url`, `dashboard_url` |

Objects like `alert`, `data`, `payload`, `labels` and `annotations` are looked into. The sender's whole JSON is kept in
`raw_data`. Without a severity the words of title and message decide; without a status the alert is firing. Of jobs of
CI systems (`workflow_run`, `build`, `object_attributes`) success resolves, failure fires, what isn't over is info.

Other names are mapped in `responder.toml`, with dotted paths that are tried first:

    [sources.generic.fields]
    title = ["problem.displayName"]
    "labels.team" = ["custom.squad"]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from mcp_responder.model.alert import Alert, Link, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.model.severity import read_severity
from mcp_responder.plumbing.fields import array, instant, mapping, one_line, text
from mcp_responder.plumbing.minted import is_minted
from mcp_responder.ports import Reading, Request, SourceInfo
from mcp_responder.sources._jobs import job_status, job_title
from mcp_responder.sources._reading import (
    LONGEST_HEADLINE,
    MOST_LINKS,
    headline,
    judged,
    label_text,
    mapped,
    mapped_labels,
    named,
    plain,
    raw_items,
    read_labels,
    read_level,
    read_links,
    read_status,
    read_title,
    unmark,
)
from mcp_responder.sources._synonyms import (
    IN_LABELS,
    IN_OBJECTS,
    NOTHING,
    PURE_BATCHES,
    Meaning,
    Meanings,
    link_name,
)

INFO = SourceInfo(
    name="generic",
    title="Any JSON webhook",
    # The last is what "curl -d" says of the JSON that it sends when nobody tells it better.
    content_types=("application/json", "text/plain", "application/x-www-form-urlencoded"),
)

LONGEST_NAME = 200
DEEPEST = 4
_BEHIND = 100_000
"""How much later comes what a batch says of all of its alerts; a multiple of ``_A_LEVEL``."""
_TEXTS = frozenset(("title", "message", "event"))
_TELLING_FIELDS = frozenset(("severity", "status", "source_id", "labels"))
_BATCHED = 2
"""The members of a batch come behind what its objects say of all of them."""
_A_LEVEL = 1000
"""How much later a wrapped value comes than any outside."""
_MAPPED = -1
_OWN_TIMES = 7
"""The first names of ``timestamp`` are the event's own time, not the beginning of what it is about."""
_MOST_PAIRS = 12
_MOST_TEXTS = 20
_JOINTS = re.compile(r"[-_./: ]+")
_FEWEST_WORDS = 2
_LONGEST_ID = 120
MOST_ITEMS = 1000
"""Alerts in one batch."""
_MOST_DEFAULTS = 20
"""Values of a field that a batch has for all of its alerts."""
_TELLING_STATES = frozenset(("critical", "crit", "fatal", "error", "warning", "warn"))
_CLEARED = frozenset(("ok", "clear", "cleared", "resolved", "recovered"))
_OBJECTS = frozenset(("severity", "status", "service", "resource", "environment", "region", "account", "owner"))
"""Fields that may be objects with a name."""
_ALARM_IDS = frozenset(("source_id", "alarm_id", "id", "group_id"))
_NAMES = frozenset(("service", "resource", "environment", "account", "region", "owner"))
"""Fields that are taken as they are called."""
_PLACE = itemgetter(0)
_CONTAINERS = frozenset((dict, list))

Value = TypeVar("Value")
Found = dict[str, list[tuple[int, object]]]
"""Field -> (place, value): what was found under which of its names; the lowest place is the best."""


def detects(body: object) -> bool:
    """Any JSON object, and any text."""
    return isinstance(body, dict | str)


def parse(body: object, raw: bytes, request: Request) -> list[Alert]:
    """One alert, or those of a batch."""
    if isinstance(body, str):
        return [_from_text(body, raw, request)]
    if not isinstance(body, dict):
        raise InvalidRequest("not_an_alert", "An alert is a JSON object with a title or a message.", status=422)
    found = _mapped(body, request.reading) if request.reading.fields else {}
    _collect(body, found, 0, IN_OBJECTS)
    batch = _batch(body, raw, request) if "batch" in found else []
    return batch or [_alert(body, found, raw, request)]


def _from_text(body: str, raw: bytes, request: Request) -> Alert:
    words = body.strip()
    title, status = unmark(headline(words))
    if not title:
        raise _empty()
    return Alert(
        source=INFO.name,
        title=title,
        message=words,
        severity=judged(title, words, "", request.reading),
        status=status or Status.FIRING,
        raw_data=msgspec.Raw(raw),
    )


# ------------------------------------------------------------------------------------------------------------ batches


def _batch(body: dict[str, object], raw: bytes, request: Request) -> list[Alert]:
    """An alert for each object of the batch that reads like one. What is said of all stands behind its own words."""
    name = next(name for name, value in body.items() if IN_OBJECTS[name].batch and _is_batch(value))
    items = cast("list[object]", body[name])
    if len(items) > MOST_ITEMS:
        words = f"'{name}' holds {len(items)} alerts; at most {MOST_ITEMS} are taken at once. Split it."
        raise InvalidRequest("too_many_items", words, status=413)
    around = {key: value for key, value in body.items() if key != name}
    defaults = _defaults(around, request.reading)
    alerts: list[Alert] = []
    for item, its_text in zip(map(mapping, items), raw_items(raw, name), strict=True):
        own = _own(item, request.reading)
        if _reads_well(name, item, own, defaults):
            alerts.append(_alert(item, _behind(own, defaults), its_text, request))
    return alerts


def _is_batch(value: object) -> bool:
    """More than one object; a single one is read together with what is around it."""
    return isinstance(value, list) and sum(isinstance(item, dict) for item in value) > 1


def _own(body: dict[str, object], reading: Reading) -> Found:
    found = _mapped(body, reading) if reading.fields else {}
    _collect(body, found, 0, IN_OBJECTS, alarm=True)
    return found


def _defaults(around: dict[str, object], reading: Reading) -> Found:
    found = _own(around, reading)
    # The batch's own identity is none of its alerts'.
    for field in ("id", "alarm_id", "source_id", "group_id", "event_id"):
        found.pop(field, None)
    return {
        field: [(place + _BEHIND, value) for place, value in sorted(values, key=_PLACE)[:_MOST_DEFAULTS]]
        for field, values in found.items()
    }


def _behind(own: Found, defaults: Found) -> Found:
    """The item's own values, and behind them those of the batch; a text only where the item has none."""
    together = {field: own.get(field, []) + values for field, values in defaults.items() if field not in _TEXTS}
    texts = {field: values for field, values in defaults.items() if field in _TEXTS and _TEXTS.isdisjoint(own)}
    return {**own, **together, **texts}


def _reads_well(name: str, item: dict[str, object], own: Found, defaults: Found) -> bool:
    """Whether an object of a batch is an alert.

    Among ``alerts`` it may have its words from the batch. Elsewhere it must have its own, and beside an alert's own
    title more than these: ``items`` may be goods. "Normal" is Kubernetes' word for an event that is no problem.
    """
    if item.get("type") == "Normal":
        return False
    says_something = not _TEXTS.isdisjoint(own)
    if plain(name) in PURE_BATCHES:
        return says_something or (bool(own) and not _TEXTS.isdisjoint(defaults))
    return says_something and ("title" not in defaults or not _TELLING_FIELDS.isdisjoint(own))


# ------------------------------------------------------------------------------------------------------ what is there


def _mapped(body: dict[str, object], reading: Reading) -> Found:
    values = mapped(body, reading)
    labels = {**read_labels(values.pop("labels", None)), **mapped_labels(values)}
    links = read_links(values.pop("links", None))
    early = {"labels": labels, "links": links} if labels or links else {}
    return {field: [(_MAPPED, value)] for field, value in {**values, **early}.items()}


def _collect(body: dict[str, object], found: Found, depth: int, meanings: Meanings, *, alarm: bool = False) -> None:
    """Put the values of an object, and of what it wraps, under the fields that their names mean."""
    outside = depth * _A_LEVEL
    for key, value in body.items():
        meant = meanings[key]
        if meant is NOTHING or value is None or value == "":
            continue
        if type(value) in _CONTAINERS:
            if depth < DEEPEST:
                _look_into(key, value, meant, found, depth)
        elif meant.plainly:
            for field, place in meant.fields:
                if field in found:
                    found[field].append((outside + place, value))
                else:
                    found[field] = [(outside + place, value)]
        else:
            _look_at(key, value, meant, found, outside, alarm=alarm)


def _put(found: Found, field: str, place: int, value: object) -> None:
    found.setdefault(field, []).append((place, value))


def _look_at(key: str, value: object, meant: Meaning, found: Found, outside: int, *, alarm: bool) -> None:
    field, place = meant.fields[0]
    if field == "id":
        _put(found, "alarm_id" if alarm else "id", outside + place, value)
    elif field == "links":
        _put(found, field, outside + place, read_links(value, link_name(key)))
    else:
        _put(found, field, outside + place, read_labels(value))


def _look_into(key: str, value: object, meant: Meaning, found: Found, depth: int) -> None:
    field, place = meant.fields[0] if meant.fields else ("", 0)
    place += depth * _A_LEVEL
    if field == "labels":
        labels = read_labels(value)
        _put(found, field, place, labels)
        _collect(cast("dict[str, object]", labels), found, depth + 1, IN_LABELS)
    elif field == "links":
        _put(found, field, place, read_links(value, link_name(key)))
    elif isinstance(value, list):
        _look_into_list(value, meant, found, depth)
        if meant.batch and depth == 0 and _is_batch(value):
            _put(found, "batch", place, key)
    elif meant.wraps:
        _collect(mapping(value), found, depth + 1, IN_OBJECTS, alarm=meant.alarm)
    elif field in _OBJECTS:
        _put(found, field, place, value)
    elif field == "title":
        # A subject or a name that is an object is the thing that the alert is about.
        _put(found, "resource", place, value)


def _look_into_list(value: list[object], meant: Meaning, found: Found, depth: int) -> None:
    first = value[0] if value else None
    if meant.batch and isinstance(first, dict):
        _collect(first, found, max(depth + 1, _BATCHED), IN_OBJECTS, alarm=True)
    elif isinstance(first, str) and any(field == "message" for field, _ in meant.fields):
        _put(found, "message", meant.fields[0][1] + depth * _A_LEVEL, value)


def _best(found: Found, field: str, read: Callable[[object], Value]) -> Value | None:
    """The first value of a field, in the order of its names, that can be read."""
    if field not in found:
        return None
    values = found[field]
    if len(values) > 1:
        values.sort(key=_PLACE)
    for _, value in values:
        answer = read(value)
        if answer:
            return answer
    return None


def _identity(found: Found, field: str) -> str:
    return _best(found, field, named) or ""


def _name(found: Found, field: str) -> str:
    _, value = found[field][0]
    # Nearly always it is there once, as a text.
    name = value.strip() if len(found[field]) == 1 and isinstance(value, str) else _best(found, field, named) or ""
    return name if len(name) <= LONGEST_NAME and name.isprintable() else one_line(name, LONGEST_NAME)


# ------------------------------------------------------------------------------------------------------ what it means


def _alert(body: dict[str, object], found: Found, raw: bytes, request: Request) -> Alert:
    said, marked = unmark(_best(found, "title", read_title) or _event_name(found) or request.title)
    message = _message(found, said)
    title = said or headline(message)
    status = _status(found) or marked or job_status(body, titled=bool(title)) or Status.FIRING
    title = title or one_line(job_title(body), LONGEST_HEADLINE) or _rendering(body)
    timed = _timestamp(found, status) if "timestamp" in found or "ended" in found else NO_TIME
    names: dict[str, Any] = {field: _name(found, field) for field in found if field in _NAMES}
    return Alert(
        source=INFO.name,
        source_id=_source_id(found),
        event_id=_event_id(found, status, timed),
        title=title,
        message=message,
        severity=_severity(found) or judged(title, message, names.get("environment", ""), request.reading),
        timestamp=timed.at,
        approximate=timed.begun,
        raw_data=msgspec.Raw(raw),
        status=status,
        labels=_labels(found) if "labels" in found else {},
        links=_links(found) if "links" in found else (),
        **names,
    )


def _event_name(found: Found) -> str:
    """``event`` names what happened, or only that something did ("trigger"): then it is a status."""
    name = _best(found, "event", read_title) or ""
    return "" if read_status(name) else name


def _message(found: Found, title: str) -> str:
    """Everything that says what happened, the best first, nothing twice."""
    values = found.get("message")
    if not values:
        return ""
    if len(values) > 1:
        values.sort(key=_PLACE)
    message = ""
    for _, value in values[: _MOST_TEXTS if values[0][0] != _MAPPED else 1]:
        words = text(value) or "\n".join(filter(None, map(text, array(value))))
        if words and words != title and words not in message:
            message = f"{message}\n{words}" if message else words
    return message


def _rendering(body: dict[str, object]) -> str:
    """A strange message is better than a dropped page."""
    pairs = ", ".join(f"{name}: {words}" for name, words in islice(_leaves(body, "", 0), _MOST_PAIRS))
    if not pairs:
        raise _empty()
    return one_line(pairs, LONGEST_HEADLINE)


def _empty() -> InvalidRequest:
    return InvalidRequest("empty_alert", "The alert has no text: send a title or a message.", status=422)


def _leaves(value: object, name: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in inside if depth <= DEEPEST else ():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key), depth + 1)
    elif words := label_text(value):
        yield name, words


def _status(found: Found) -> Status | None:
    status = _best(found, "status", _stated) if "status" in found else None
    if status is None and "resolved" in found:
        return Status.RESOLVED if found["resolved"][0][1] is True else Status.FIRING
    return status or _best(found, "event", read_status) or _best(found, "severity", _cleared)


def _stated(value: object) -> Status | None:
    return read_status(named(value))


def _cleared(value: object) -> Status | None:
    """Some senders say with the severity that it is over."""
    return Status.RESOLVED if named(value).lower() in _CLEARED else None


def _severity(found: Found) -> Severity | None:
    return _best(found, "severity", read_level) or _best(found, "status", _state_level)


def _state_level(value: object) -> Severity | None:
    """Some senders' states are levels: OK, WARNING, CRITICAL."""
    state = named(value).lower()
    return read_severity(state) if state in _TELLING_STATES else None


class Timed(NamedTuple):
    """When it happened, and whether that is only the beginning or the end of what it is about."""

    at: datetime | None = None
    begun: bool = False


NO_TIME = Timed()


def _timestamp(found: Found, status: Status) -> Timed:
    """When it happened: for what is over, its end, unless the event says its own time."""
    begun = _timed(found)
    if status is not Status.RESOLVED or "ended" not in found or (begun.at and not begun.begun):
        return begun
    ended = _best(found, "ended", instant)
    return Timed(ended, begun=True) if ended else begun


def _timed(found: Found) -> Timed:
    values = found.get("timestamp", [])
    if len(values) > 1:
        values.sort(key=_PLACE)
    for place, value in values:
        at = instant(value)
        if at:
            return Timed(at, begun=(place - _MAPPED) % _A_LEVEL > _OWN_TIMES)
    return NO_TIME


def _source_id(found: Found) -> str:
    """The sender's name of the alarm, and only then that of the group in which it is told."""
    if found.keys().isdisjoint(_ALARM_IDS):
        return ""
    named_id = _identity(found, "source_id") or _identity(found, "alarm_id")
    if named_id:
        return named_id
    return _best(found, "id", _alarm_name) or _identity(found, "group_id")


def _alarm_name(value: object) -> str:
    """An id in words ("prod-db-01-disk-full") is an alarm's; "42" and "evt-17" may be another one for its end."""
    words = named(value)
    if len(words) > _LONGEST_ID or is_minted(words):
        return ""
    spoken = sum(part.isalpha() for part in _JOINTS.split(words))
    return words if spoken >= _FEWEST_WORDS else ""


def _event_id(found: Found, status: Status, timed: Timed) -> str:
    """The identity of this one event, so that a second sending isn't a second event.

    Some senders give an alarm's beginning and end the same event id, so the status is a part of it. A bare ``id`` may
    be the alarm's and come again with each firing: it names an event only if it is minted, or together with its time.
    """
    event_id = _identity(found, "event_id")
    if event_id:
        return event_id if status is Status.FIRING else f"{event_id}/{status}"
    if "id" not in found:
        return ""
    bare = _best(found, "id", _minted)
    if timed.at and not timed.begun:
        return f"{bare or _identity(found, 'id')}/{status}@{timed.at.isoformat()}"
    return f"{bare}/{status}" if bare else ""


def _minted(value: object) -> str:
    words = named(value)
    return words if is_minted(words) else ""


def _labels(found: Found) -> dict[str, str]:
    """All labels; the better named win."""
    labels: dict[str, str] = {}
    several_times = found["labels"]
    if len(several_times) == 1:
        return cast("dict[str, str]", several_times[0][1])
    for _, several in sorted(several_times, key=_PLACE, reverse=True):
        labels.update(cast("dict[str, str]", several))
    return labels


def _links(found: Found) -> tuple[Link, ...]:
    """All links, each address once, the better named first."""
    several_times = found["links"]
    if len(several_times) == 1 and len(cast("list[Link]", several_times[0][1])) == 1:
        return tuple(cast("list[Link]", several_times[0][1]))
    links: dict[str, Link] = {}
    for _, several in sorted(several_times, key=_PLACE):
        for link in cast("list[Link]", several):
            links.setdefault(link.url, link)
    return tuple(links.values())[:MOST_LINKS]
