"""Evidence to Case: every kind of text and JSON becomes lines and facts in one form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

import msgspec
from msgspec.structs import replace

from mcp_responder.analysts.rules import documents, kubectl
from mcp_responder.analysts.rules.case import Case, Kind, Level, Line, Series
from mcp_responder.analysts.rules.notebook import Notebook, Page, level_of
from mcp_responder.model.alert import Alert
from mcp_responder.model.analysis import Evidence
from mcp_responder.ports import Subject

NAME_KEYS = {
    "pod": ("pod", "kube_pod", "pod_name"),
    "namespace": ("namespace", "kube_namespace"),
    "deployment": ("deployment", "kube_deployment", "workload_name"),
    "node": ("node", "kube_node", "nodename"),
    "database": ("db_instance_identifier", "db_instance", "dbinstanceidentifier", "database"),
    "service": ("service", "app", "job_name"),
    "container": ("container",),
    "name": ("name",),
    "replica": ("read_replica",),
    "queue": ("queue", "topic"),
}
COMMON_NAMES = frozenset({"default", "kube-system", "production", "prod", "staging", "unknown", "none", "rds", "null"})
COMPOUND = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)+", re.IGNORECASE)
MARKED = re.compile(r"[`'\"]([^`'\"]{3,60})[`'\"]")
DESCRIBING_KEYS = frozenset({"description", "summary", "error", "message", "reason", "details", "newstatereason"})
VARYING = re.compile(r"\S*\d\S*")
RECOVERY = re.compile(
    r"\b(?:resolved|recovered|back to normal|completed|restored|succeeded|has since|subsequently|healthy again"
    r"|no longer|is available|successfully (?:re)?(?:connected|assigned)|reconnected|is now (?:running|available"
    r"|ready))\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[a-z]{3,}", re.IGNORECASE)
STOP_WORDS = frozenset(
    ("the", "and", "for", "was", "has", "are", "now", "from", "with", "this", "that", "not", "its", "into", "been")
)
SAME_MATTER = 2
"""Words that a trouble and its end have in common."""
CONTEXT_KINDS = frozenset({"history", "similar"})


def read(subject: Subject, evidence: Sequence[Evidence]) -> Case:
    """Read everything once, in the order of the evidence."""
    notebook = Notebook()
    raw = _raw(subject.alert)
    names = _names(subject.alert, raw)
    for item in evidence:
        _read_one(item, subject.alert, raw, notebook)
    terms = _terms(subject.alert, names) | _known_words(subject.alert.title, notebook.lines)
    lines = tuple(_settled(notebook, terms))
    return Case(
        subject=subject,
        lines=lines,
        pods=notebook.pods,
        nodes=notebook.nodes,
        rollouts=notebook.rollouts,
        monitors=tuple(notebook.monitors),
        series=_newest(notebook.series, terms),
        queries=tuple(sorted(notebook.queries, key=lambda query: -query.load)),
        spans=tuple(notebook.spans),
        terms=terms,
        names=notebook.names | names,
        alert_state=_state(subject.alert, raw),
        gaps=tuple(item.gap for item in evidence if item.gap),
        text="\n".join(line.text for line in lines),
        starts=(0, *accumulate(len(line.text) + 1 for line in lines)),
    )


def _read_one(item: Evidence, alert: Alert, raw: object, notebook: Notebook) -> None:
    if item.gap or item.kind in CONTEXT_KINDS:
        return
    page = Page(item)
    if item.kind == "alert":
        _read_alert(page, alert, raw, notebook)
    elif item.kind == "stack_trace":
        # It stood in an alert: the alert's own words, in order.
        _say(page, item.content.splitlines(), Level.ERROR, notebook)
    elif not documents.read(page, notebook):
        kubectl.read(page, notebook)


def _read_alert(page: Page, alert: Alert, raw: object, notebook: Notebook) -> None:
    """The title says what hurts; the message, and what describes it in the raw form, may say why."""
    _say(page, [alert.title, *alert.message.splitlines(), *_descriptions(raw)], Level.WARNING, notebook)


def _say(page: Page, said: Iterable[str], least: Level, notebook: Notebook) -> None:
    for text in dict.fromkeys(part.strip() for part in said):
        quote = page.quotable(text)
        if text and quote:
            level = max(level_of(text), least)
            notebook.lines.append(
                Line(text=text, quote=quote, evidence=page.evidence_id, kind=Kind.ALERT, level=level, relevant=True)
            )


def _raw(alert: Alert) -> object:
    try:
        return msgspec.json.decode(alert.raw_data)
    except (msgspec.DecodeError, RecursionError):
        return None


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """(key, text) for each text in a JSON value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, str(name).lower())
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, key)
    elif isinstance(value, str) and value:
        yield key, value


def _descriptions(raw: object) -> Iterator[str]:
    for key, text in _leaves(raw):
        if key in DESCRIBING_KEYS:
            yield from text.splitlines()


def _names(alert: Alert, raw: object) -> dict[str, str]:
    """What the alert calls its pod, namespace, database, ..."""
    told = dict(_leaves(raw)) | {key.lower(): value for key, value in alert.labels.items()}
    told |= {"service": alert.service} if alert.service else {}
    found = {name: next((told[key] for key in keys if told.get(key)), "") for name, keys in NAME_KEYS.items()}
    return {name: value for name, value in found.items() if value}


def _terms(alert: Alert, names: Mapping[str, str]) -> frozenset[str]:
    """The names that make a line relevant."""
    title = alert.title
    told = {*names.values(), alert.resource, alert.service, *COMPOUND.findall(title), *MARKED.findall(title)}
    return frozenset(term.lower() for term in told if len(term) > 3 and term.lower() not in COMMON_NAMES)


def _known_words(title: str, lines: Iterable[Line]) -> frozenset[str]:
    """Words of the title by which something in the evidence is called."""
    origins = {line.origin.lower() for line in lines if line.origin}
    words = (word.lower() for word in WORD.findall(title) if len(word) > 2)
    return frozenset(word for word in words if any(f"{name}-".startswith(f"{word}-") for name in origins))


def _state(alert: Alert, raw: object) -> str:
    states = [text for key, text in _leaves(raw) if key in ("state", "status", "newstatevalue")]
    return (states[0] if states else str(alert.status)).lower()


def _settled(notebook: Notebook, terms: frozenset[str]) -> Iterator[Line]:
    """Lines without repetition, each knowing whether it has passed and whether it is to the point."""
    for line in _past_marked(_counted(notebook.lines)):
        about = f"{line.origin} {notebook.titles.get(line.evidence, '')} {line.text}".lower()
        passed = line.over or (line.kind is Kind.EVENT and _is_well(notebook, line.origin))
        relevant = line.relevant or any(term in about for term in terms)
        yield replace(line, over=passed, relevant=relevant)


def _is_well(notebook: Notebook, origin: str) -> bool:
    pod = notebook.pods.get(origin)
    return pod is not None and pod.well


def _counted(lines: Iterable[Line]) -> list[Line]:
    """Log lines that differ in their numbers only are one line, the first of them, with a count."""
    counts: dict[tuple[str, Kind, str], Line] = {}
    for line in lines:
        text = VARYING.sub("#", line.text) if line.kind is Kind.LOG else f"{line.origin} {line.text}"
        key = (line.origin, line.kind, text)
        known = counts.get(key)
        counts[key] = replace(known, count=known.count + line.count) if known else line
    return list(counts.values())


def _past_marked(lines: Sequence[Line]) -> Iterator[Line]:
    """A line has passed when it says so itself, or when a later one beside it says that its matter is over."""
    passed: set[int] = set()
    troubles: dict[tuple[str, Kind], list[tuple[int, frozenset[str]]]] = {}
    for place, line in enumerate(lines):
        beside = troubles.setdefault((line.evidence, line.kind), [])
        if _tells_an_end(line):
            matter = _matter(line.text)
            passed.add(place)
            passed |= {earlier for earlier, trouble in beside if len(matter & trouble) >= SAME_MATTER}
        elif line.level >= Level.WARNING or line.kind is Kind.EVENT:
            beside.append((place, _matter(line.text)))
    return (replace(line, over=True) if place in passed else line for place, line in enumerate(lines))


def _tells_an_end(line: Line) -> bool:
    talks = line.kind is not Kind.MANIFEST and line.level is not Level.ERROR
    return talks and RECOVERY.search(line.text) is not None


def _matter(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in WORD.findall(text)) - STOP_WORDS


def _newest(series: Iterable[Series], terms: frozenset[str]) -> dict[str, Series]:
    """Of each metric the newest window; of the alert's own resource, if it has metrics at all."""
    known = list(series)
    own = [item for item in known if any(term in item.resource.lower() for term in terms)]
    newest: dict[str, Series] = {}
    for item in own or known:
        rival = newest.get(item.name)
        if rival is None or item.when(-1) > rival.when(-1):
            newest[item.name] = item
    return newest
