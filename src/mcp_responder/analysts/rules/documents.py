"""Reading JSON: metrics, logs, events, pods, nodes, deployments and monitors, recognised by their keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from mcp_responder.analysts.rules.case import (
    RUNNING_WORDS,
    Kind,
    Level,
    Monitor,
    Node,
    Pod,
    Rollout,
    Series,
    TopQuery,
)
from mcp_responder.analysts.rules.notebook import Notebook, Page, level_named, level_of

Document = dict[str, Any]

MESSAGE_KEYS = ("message", "msg", "log", "@message", "text", "body")
TIME_KEYS = ("timestamp", "time", "@timestamp", "date", "ts", "lasttimestamp", "last_time")
LEVEL_KEYS = ("status", "level", "severity", "levelname", "type")
ORIGIN_KEYS = ("host", "service", "source_identifier", "logstreamname", "container", "pod", "hostname")
RECORD_KEYS = frozenset({*TIME_KEYS, *LEVEL_KEYS, *ORIGIN_KEYS})
PRESSURES = {"memory_pressure": "MemoryPressure", "disk_pressure": "DiskPressure", "pid_pressure": "PIDPressure"}
WELL_STATES = frozenset({"ok", "normal", "no data", "inactive", "resolved", "green", "up", "insufficient_data"})
TELLING_VALUES = frozenset({"error", "reason", "statusreason", "description", "summary", "failure", "cause"})
VALUES_SHOWN = 300


def read(page: Page, notebook: Notebook) -> bool:
    """Read a page of JSON or JSON lines; False when it is neither."""
    values = _values(page.body)
    notebook.titles[page.evidence_id] = page.about
    try:
        for value in values:
            _walk(value, page, notebook)
    except RecursionError:
        return False
    return bool(values)


def _values(body: str) -> list[object]:
    text = body.strip()
    if not text.startswith(("{", "[")):
        return []
    try:
        return [msgspec.json.decode(text)]
    except (msgspec.DecodeError, RecursionError):
        return _json_lines(text)


def _json_lines(text: str) -> list[object]:
    try:
        return [msgspec.json.decode(line) for line in text.splitlines() if line.strip()]
    except (msgspec.DecodeError, RecursionError):
        return []


def _walk(value: object, page: Page, notebook: Notebook) -> None:
    if isinstance(value, list):
        for inner in value:
            _walk(inner, page, notebook)
    elif isinstance(value, dict):
        _read_document(value, page, notebook)


def _read_document(document: Document, page: Page, notebook: Notebook) -> None:
    """Hand it to the first reader that knows its keys; what nobody knows is looked into."""
    known = {str(key).lower(): value for key, value in document.items()}
    if _is_read(known, page, notebook):
        return
    for key, value in known.items():
        if key in TELLING_VALUES and isinstance(value, str) and value:
            notebook.lines.append(page.line(value, Kind.STATUS, level=level_of(value)))
        _walk(value, page, notebook)


def _is_read(known: Document, page: Page, notebook: Notebook) -> bool:
    """Keys promise a form; where the values break the promise, the document is looked into like any other."""
    try:
        for recognises, read_known in READERS:
            if recognises(known):
                read_known(known, page, notebook)
                return True
    except (TypeError, ValueError, AttributeError, LookupError):
        return False
    return False


# ------------------------------------------------------------------------------------------------------------ metrics


def _is_series(known: Document) -> bool:
    return isinstance(known.get("values"), list) and bool({"timestamps", "metric"} & known.keys())


def _read_series(known: Document, page: Page, notebook: Notebook) -> None:
    pairs = list(_pairs(known))
    if not pairs:
        return
    name = _metric_name(known)
    notebook.series.append(
        Series(
            name=name,
            resource=" ".join(_dimensions(known)),
            unit=str(known.get("unit") or ""),
            times=tuple(time for time, _ in pairs),
            values=tuple(value for _, value in pairs),
            evidence=page.evidence_id,
            quote=_series_quote(page, name, known["values"]),
        )
    )


def _metric_name(known: Document) -> str:
    metric = known.get("metric")
    if isinstance(metric, dict):
        return str(metric.get("__name__", "metric"))
    return str(
        known.get("metric_name") or known.get("metricname") or known.get("label") or known.get("name") or "metric"
    )


def _pairs(known: Document) -> Iterator[tuple[str, float]]:
    """(time, value) of CloudWatch's two lists and of Prometheus' list of pairs."""
    values, times = known["values"], known.get("timestamps") or []
    for place, value in enumerate(values):
        time, number = value if isinstance(value, list) and len(value) == 2 else (_item(times, place), value)
        if isinstance(number, int | float) or (isinstance(number, str) and _is_number(number)):
            yield str(time), float(number)


def _item(items: list[object], place: int) -> object:
    return items[place] if place < len(items) else ""


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", text) is not None


def _dimensions(known: Document) -> Iterator[str]:
    dimensions = known.get("dimensions") or known.get("metric") or []
    pairs = (
        dimensions.items()
        if isinstance(dimensions, dict)
        else (("", item.get("Value") or item.get("value")) for item in dimensions if isinstance(item, dict))
    )
    yield from (str(value) for key, value in pairs if value and key != "__name__")


def _series_quote(page: Page, name: str, values: list[object]) -> str:
    """The values as they stand; if they can't be found again, the metric's name."""
    first = re.escape(str(values[0]).removesuffix(".0"))
    for match in re.finditer(rf"\[\s*{first}[^\[\]]*\]", page.content):
        if match[0].count(",") == len(values) - 1:
            return match[0][:VALUES_SHOWN]
    return page.quotable(name)


def _is_datapoints(known: Document) -> bool:
    return isinstance(known.get("datapoints"), list)


def _read_datapoints(known: Document, page: Page, notebook: Notebook) -> None:
    """``aws cloudwatch get-metric-statistics`` prints points in no order."""
    points = [{str(key).lower(): value for key, value in point.items()} for point in known["datapoints"]]
    pairs = sorted((str(point.get("timestamp", "")), _statistic(point)) for point in points)
    if pairs:
        name = _metric_name(known)
        notebook.series.append(
            Series(
                name=name,
                resource=" ".join(_dimensions(known)),
                unit=str(points[0].get("unit", "")),
                times=tuple(time for time, _ in pairs),
                values=tuple(value for _, value in pairs),
                evidence=page.evidence_id,
                quote=page.quotable(name),
            )
        )


def _statistic(point: Document) -> float:
    names = ("average", "maximum", "sum", "minimum", "samplecount")
    return next((float(point[name]) for name in names if isinstance(point.get(name), int | float)), 0.0)


def _is_query_load(known: Document) -> bool:
    return "statement" in known and "db_load_avg" in known


def _read_query_load(known: Document, page: Page, notebook: Notebook) -> None:
    """Performance Insights: a statement with its load and its waits."""
    waits = ((str(wait.get("name")), float(wait.get("db_load_avg", 0))) for wait in known.get("wait_events") or [])
    statement = str(known["statement"])
    line = page.line(statement, Kind.STATUS, level=Level.NONE, origin="Performance Insights")
    ordered = tuple(sorted(waits, key=lambda wait: -wait[1]))
    notebook.queries.append(TopQuery(statement=statement, load=float(known["db_load_avg"]), waits=ordered, line=line))


def _is_stream(known: Document) -> bool:
    return isinstance(known.get("stream"), dict) and isinstance(known.get("values"), list)


def _read_stream(known: Document, page: Page, notebook: Notebook) -> None:
    """Loki: labels, and pairs of time and line."""
    labels = known["stream"]
    origin = str(labels.get("pod") or labels.get("app") or labels.get("service_name") or page.origin)
    for entry in known["values"]:
        if isinstance(entry, list) and len(entry) >= 2:
            notebook.lines.append(page.line(str(entry[1]), Kind.LOG, origin=origin, level=level_of(str(entry[1]))))


# --------------------------------------------------------------------------------------------------------- kubernetes


def _is_pod(known: Document) -> bool:
    return ("phase" in known and "containers" in known) or known.get("kind") == "Pod"


def _read_pod(known: Document, page: Page, notebook: Notebook) -> None:
    """The short form of EKS tools and the long one of ``kubectl get pod -o json``."""
    metadata, status = known.get("metadata") or {}, known.get("status") if known.get("kind") == "Pod" else {}
    name = str(known.get("name") or metadata.get("name") or "")
    phase = str(known.get("phase") or (status or {}).get("phase") or "")
    containers = list(_containers(known, status or {}))
    restarts = sum(int(item.get("restart_count") or item.get("restartCount") or 0) for item in containers)
    ready = phase == RUNNING_WORDS[0] and bool(containers) and all(item.get("ready") for item in containers)
    told = f"Pod {name} is {phase}, {'ready' if ready else 'not ready'}, restarts: {restarts}"
    line = page.line(told, Kind.STATUS, page.quotable(name), origin=name, level=Level.NONE)
    notebook.pods[name] = Pod(name=name, ready=ready, phase=phase, restarts=restarts, line=line)
    if not notebook.pods[name].well:
        notebook.lines.append(msgspec.structs.replace(line, level=Level.WARNING))
    for told in _told_reasons({**known, **(status or {})}):
        notebook.lines.append(page.line(told, Kind.STATUS, origin=name, level=Level.WARNING))
    for container in containers:
        _read_container(container, name, page, notebook, well=notebook.pods[name].well)
    for condition in known.get("conditions") or (status or {}).get("conditions") or []:
        _read_condition(condition, name, page, notebook)


def _containers(known: Document, status: Document) -> Iterator[Document]:
    yield from known.get("containers") or []
    yield from known.get("init_containers") or []
    yield from status.get("containerStatuses") or []
    yield from status.get("initContainerStatuses") or []


def _read_container(container: Document, pod: str, page: Page, notebook: Notebook, *, well: bool) -> None:
    """Why it waits, and how it ended last time."""
    for key, what in (
        ("state", "is waiting or ended"),
        ("last_state", "ended last time"),
        ("lastState", "ended last time"),
    ):
        for reason, message, code in _reasons(container.get(key)):
            exit_code = f" with exit code {code}" if code is not None else ""
            told = f"Container {container.get('name')} {what}{exit_code}: {reason} {message}"
            quote = page.quotable(message) or page.quotable(reason)
            level = Level.ERROR if reason != "Completed" else Level.NONE
            notebook.lines.append(page.line(told, Kind.STATUS, quote, origin=pod, level=level, over=well))
    for told in _told_reasons(container):
        notebook.lines.append(page.line(told, Kind.STATUS, origin=pod, level=Level.WARNING, over=well))


def _told_reasons(facts: Document) -> Iterator[str]:
    """Reasons and messages that stand beside the states, under whatever key."""
    for key, value in facts.items():
        if isinstance(value, str) and value and ("reason" in key.lower() or "message" in key.lower()):
            yield value


def _reasons(state: object) -> Iterator[tuple[str, str, object]]:
    """Flat (``{"waiting": true, "reason": ..}``) and nested (``{"waiting": {"reason": ..}}``) states."""
    if not isinstance(state, dict):
        return
    for facts in (state, *(inner for inner in state.values() if isinstance(inner, dict))):
        if facts.get("reason"):
            code = facts.get("exit_code", facts.get("exitCode"))
            yield str(facts["reason"]), str(facts.get("message") or ""), code


def _read_condition(condition: object, owner: str, page: Page, notebook: Notebook) -> None:
    if isinstance(condition, dict) and condition.get("status") == "False" and condition.get("message"):
        told = f"{condition.get('type')}=False, {condition.get('reason')}: {condition['message']}"
        quote = page.quotable(str(condition["message"]))
        notebook.lines.append(page.line(told, Kind.STATUS, quote, origin=owner, level=Level.WARNING))


def _is_node(known: Document) -> bool:
    return bool(PRESSURES.keys() & known.keys()) or known.get("kind") == "Node"


def _read_node(known: Document, page: Page, notebook: Notebook) -> None:
    name = str(known.get("name") or (known.get("metadata") or {}).get("name") or "")
    conditions = {item.get("type"): item.get("status") for item in (known.get("status") or {}).get("conditions") or []}
    conditions |= {title: str(known[key]) for key, title in PRESSURES.items() if key in known}
    ready = str(known.get("ready", conditions.pop("Ready", "True")))
    troubles = [title for title, value in conditions.items() if value == "True"]
    troubles += ["NotReady"] if ready != "True" else []
    remember_node(name, troubles, page, notebook)


def remember_node(name: str, troubles: list[str], page: Page, notebook: Notebook) -> None:
    """A node with troubles is a line too."""
    told = f"Node {name} has {', '.join(troubles)}" if troubles else f"Node {name} is Ready without pressure"
    level = Level.ERROR if troubles else Level.NONE
    line = page.line(told, Kind.STATUS, page.quotable(name), origin=name, level=level)
    notebook.nodes[name] = Node(name=name, troubles=tuple(troubles), line=line)
    if troubles:
        notebook.lines.append(line)


def _is_rollout(known: Document) -> bool:
    return "desired" in known and "ready" in known


def _read_rollout(known: Document, page: Page, notebook: Notebook) -> None:
    remember_rollout(str(known.get("name", "")), int(known["desired"] or 0), int(known["ready"] or 0), page, notebook)


def remember_rollout(name: str, desired: int, ready: int, page: Page, notebook: Notebook) -> None:
    """A rollout that lacks replicas is a line too."""
    level = Level.WARNING if ready < desired else Level.NONE
    told = f"{name} has {ready} ready replicas of {desired} desired"
    line = page.line(told, Kind.STATUS, page.quotable(name), origin=name, level=level)
    notebook.rollouts[name] = Rollout(name=name, desired=desired, ready=ready, line=line)
    if ready < desired:
        notebook.lines.append(line)


# ------------------------------------------------------------------------------------------- events, monitors and logs


def _is_event(known: Document) -> bool:
    return (
        bool(known.get("reason"))
        and "message" in known
        and bool(
            {"involved_object", "involvedobject", "first_time", "last_time", "firsttimestamp", "lasttimestamp"}
            & known.keys()
        )
    )


def _read_event(known: Document, page: Page, notebook: Notebook) -> None:
    involved = known.get("involved_object") or known.get("involvedobject") or ""
    owner = str(involved.get("name") if isinstance(involved, dict) else involved.rpartition("/")[2])
    message = str(known["message"])
    notebook.lines.append(
        page.line(
            f"{known['reason']}: {message}",
            Kind.EVENT,
            page.quotable(message),
            origin=owner,
            level=level_named(known.get("type")),
            at=_first(known, ("last_time", "lasttimestamp", *TIME_KEYS)),
            count=int(known.get("count") or 1),
        )
    )


def _is_monitor(known: Document) -> bool:
    return "overall_state" in known or "statevalue" in known


def _read_monitor(known: Document, page: Page, notebook: Notebook) -> None:
    state = str(known.get("overall_state") or known.get("statevalue"))
    name = str(known.get("name") or known.get("alarmname") or "")
    well = state.lower() in WELL_STATES
    told = f'Monitor "{name}" is in state {state}: {known.get("message") or known.get("statereason") or ""}'
    level = Level.NONE if well else Level.WARNING
    line = page.line(told, Kind.STATUS, page.quotable(name), origin="", level=level)
    notebook.monitors.append(Monitor(name=name, well=well, line=line))


def read_record(text: str, page: Page, notebook: Notebook) -> bool:
    """Read one line of a log that may be a JSON record among others that aren't."""
    if not text.startswith("{"):
        return False
    try:
        record = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    known = {str(key).lower(): value for key, value in record.items()}
    return _is_record(known) and _is_read(known, page, notebook)


def _is_record(known: Document) -> bool:
    return any(isinstance(known.get(key), str) for key in MESSAGE_KEYS) and bool(RECORD_KEYS & known.keys())


def _read_record(known: Document, page: Page, notebook: Notebook) -> None:
    """A log record, or an event of a managed service such as RDS."""
    message = " ".join(dict.fromkeys((_first(known, MESSAGE_KEYS), *_errors_told(known))))
    words = level_of(message)
    level = max((level_named(known.get(key)) for key in LEVEL_KEYS), default=Level.NONE) or words
    kind = Kind.EVENT if "event_categories" in known or "eventcategories" in known else Kind.LOG
    notebook.lines.append(
        page.line(
            message,
            kind,
            page.quotable(message) or page.quotable(_first(known, MESSAGE_KEYS)),
            level=level,
            at=_first(known, TIME_KEYS),
            origin=_first(known, ORIGIN_KEYS) or page.origin,
        )
    )


def _errors_told(known: Document) -> Iterator[str]:
    """What a structured logger says beside its message."""
    for key in ("err", "error", "exception"):
        value = known.get(key)
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from (str(value[part]) for part in ("type", "message") if value.get(part))


def _first(known: Document, keys: tuple[str, ...]) -> str:
    return next((str(known[key]) for key in keys if isinstance(known.get(key), str | int) and known[key]), "")


READERS: tuple[tuple[Callable[[Document], bool], Callable[[Document, Page, Notebook], None]], ...] = (
    (_is_stream, _read_stream),
    (_is_series, _read_series),
    (_is_datapoints, _read_datapoints),
    (_is_query_load, _read_query_load),
    (_is_pod, _read_pod),
    (_is_node, _read_node),
    (_is_rollout, _read_rollout),
    (_is_monitor, _read_monitor),
    (_is_event, _read_event),
    (_is_record, _read_record),
)
"""The first that recognises a document reads it: the more particular come first."""
