"""Reading text: what kubectl describes, its tables and events, logs, trace trees, and what a tool says of itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mcp_responder.analysts.rules.case import RUNNING_WORDS, Kind, Level, Pod, Span
from mcp_responder.analysts.rules.documents import read_record, remember_node, remember_rollout
from mcp_responder.analysts.rules.notebook import Notebook, Page, level_named, level_of

TOOL_SAYS = re.compile(
    r"^\s*(?:Error from server|Command `|E\d{4} \d\d:|No events found|No resources found|Could not find|No logs found"
    r"|error: Metrics API|error: 'Failed to find a finding|stdout:|stderr:|Result: No logs|\[cut: )"
)
TOOL_ERROR = re.compile(r"^\s*error: ")
DESCRIBED = re.compile(r"^Name:\s+\S", re.MULTILINE)
TABLE_HEAD = re.compile(r"^(?:NAMESPACE\s+)?(?:NAME|LAST SEEN|GROUP)\s{2,}[A-Z]", re.MULTILINE)
POD_ROW = re.compile(
    r"^(?:(?P<namespace>[a-z0-9-]+)\s+)?(?P<pod>[a-z0-9][a-z0-9.-]+)\s+(?P<ready>\d+)/(?P<all>\d+)\s+"
    r"(?P<status>[A-Z][\w:/]+)\s+(?P<restarts>\d+)(?:\s+\([^)]*ago\))?\s+\d+[smhdy]"
)
ROLLOUT_ROW = re.compile(
    r"^(?:[a-z0-9-]+\s+)?(?P<name>[a-z0-9][a-z0-9.-]+)\s+(?P<ready>\d+)/(?P<desired>\d+)\s+\d+\s+\d+\s+\d+[smhdy]"
)
NODE_ROW = re.compile(r"^(?P<name>[a-z0-9][\w.-]+)\s+(?P<status>(?:Not)?Ready\S*)\s+\S+\s+\d+[smhdy]\S*\s+v\d")
DESCRIBED_EVENT = re.compile(
    r"^\s+(?P<type>Normal|Warning)\s+(?P<reason>\w+)\s+(?P<age>\S+(?: \(x\d+ over \S+\))?)\s+"
    r"(?P<from>\S+(?: \S+)?)\s{2,}(?P<message>.+)$"
)
LISTED_EVENT = re.compile(
    r"^(?:(?P<namespace>\S+)\s{2,})?(?P<age>\S+(?: \(x\d+ over \S+\))?)\s+(?P<type>Normal|Warning)\s+(?P<reason>\w+)\s+"
    r"(?P<object>\S+/\S+)\s+(?P<message>.+)$"
)
REPEATED = re.compile(r"\(x(\d+) over")
STATUS_LINE = re.compile(
    r"^\s*(?:Status|Reason|Message|State|Last State|Exit Code|Health Status|Sync Status|Phase|Condition|STATUS"
    r"|Type):\s+\S"
)
CONDITION_ROW = re.compile(r"^\s+(?P<type>\w+)\s+(?P<status>True|False|Unknown)\s+(?P<rest>.*)$")
NODE_TROUBLES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
SECTION = re.compile(r"^(?P<name>[A-Z][\w /-]*):")
SPAN = re.compile(r"^(?P<indent>[\s│]*)[├└]─+ (?P<name>\S.*?) \((?P<service>[^)]+)\) - (?P<ms>[\d.]+)\s*ms")
SPAN_STATEMENT = re.compile(r"db\.statement:\s*(?P<statement>.+)$")
REPORT_RULE = re.compile(r"^={10,}$")


def read(page: Page, notebook: Notebook) -> None:
    """Read a page of text line by line, in the way of the tool that printed it."""
    notebook.titles[page.evidence_id] = page.about
    if page.asked.get("namespace"):
        notebook.names.setdefault("namespace", page.asked["namespace"])
    lines = _without_own_words(page.body.splitlines(), page, notebook)
    _way_of(page)(lines, page, notebook)


def _way_of(page: Page) -> Callable[[Sequence[str], Page, Notebook], None]:
    if SPAN.search(page.body) or "├─ " in page.body:
        return _read_spans if "ms (" in page.body else _read_table
    if DESCRIBED.search(page.body):
        return _read_description
    if TABLE_HEAD.search(page.body) or "find_resource" in page.tool or "kubectl_get" in page.tool:
        return _read_table
    if page.tool and "log" not in page.tool:
        return _read_manifest
    return _read_log


def _without_own_words(lines: Sequence[str], page: Page, notebook: Notebook) -> list[str]:
    """Take out what the tool says of itself: errors of the look are no errors of the thing looked at."""
    kept: list[str] = []
    is_log, is_aside, rules = "log" in page.tool or not page.tool, False, 0
    for line in lines:
        rules = 1 if "LOG QUERY METADATA" in line else rules + bool(rules and REPORT_RULE.match(line))
        is_aside = is_aside or line.strip() == "stderr:"
        own = is_aside or 0 < rules < 3 or TOOL_SAYS.match(line) or (not is_log and TOOL_ERROR.match(line))
        if not own:
            kept.append(line)
        elif line.strip() and not REPORT_RULE.match(line):
            notebook.lines.append(page.line(line, Kind.TOOL))
    return kept


# ----------------------------------------------------------------------------------------------------- kubectl describe


def _read_description(lines: Sequence[str], page: Page, notebook: Notebook) -> None:
    facts = _facts(lines)
    owner = facts.get("Name", page.origin)
    section = ""
    for text in lines:
        heading = SECTION.match(text)
        section = heading["name"] if heading else section
        if text.strip():
            _read_described(text, section, owner, page, notebook)
    if "Non-terminated Pods" in facts:
        remember_node(owner, _node_troubles(lines), page, notebook)
    elif "Containers" in facts and "Node" in facts:
        _read_described_pod(facts, lines, owner, page, notebook)
    elif "Replicas" in facts:
        _read_described_rollout(facts["Replicas"], owner, page, notebook)


def _facts(lines: Sequence[str]) -> dict[str, str]:
    """The keys at the left edge."""
    facts: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if colon and key and not key[0].isspace():
            facts.setdefault(key.strip(), value.strip())
    return facts


def _read_described(text: str, section: str, owner: str, page: Page, notebook: Notebook) -> None:
    event = DESCRIBED_EVENT.match(text) if section == "Events" else None
    if event:
        _note_event(event, owner, text, page, notebook)
    elif STATUS_LINE.match(text) and section != "Events":
        notebook.lines.append(page.line(text, Kind.STATUS, origin=owner, level=_status_level(text)))
    else:
        notebook.lines.append(page.line(text, Kind.MANIFEST, origin=owner, level=Level.NONE))


def _status_level(text: str) -> Level:
    return (
        Level.WARNING if re.search(r"fail|error|kill|backoff|crash|evict|missing|outofsync", text, re.I) else Level.NONE
    )


def _note_event(event: re.Match[str], owner: str, text: str, page: Page, notebook: Notebook) -> None:
    message = event["message"].strip()
    repeated = REPEATED.search(text)
    notebook.lines.append(
        page.line(
            f"{event['reason']}: {message}",
            Kind.EVENT,
            page.quotable(message),
            origin=owner,
            level=level_named(event["type"]),
            count=int(repeated[1]) if repeated else 1,
        )
    )


def _read_described_pod(
    facts: dict[str, str], lines: Sequence[str], owner: str, page: Page, notebook: Notebook
) -> None:
    ready = re.search(r"^\s+Ready\s+True", "\n".join(lines), re.MULTILINE) is not None
    restarts = sum(int(count) for count in re.findall(r"Restart Count:\s+(\d+)", "\n".join(lines)))
    phase = facts.get("Status", "").split(" ")[0]
    _remember_pod(owner, phase, restarts, page, notebook, ready=ready)
    notebook.names.setdefault("pod", owner)
    notebook.names.setdefault("namespace", facts.get("Namespace", ""))


def _remember_pod(name: str, phase: str, restarts: int, page: Page, notebook: Notebook, *, ready: bool) -> None:
    told = f"Pod {name} is {phase}, {'ready' if ready else 'not ready'}, restarts: {restarts}"
    line = page.line(told, Kind.STATUS, page.quotable(name), origin=name, level=Level.NONE)
    known = notebook.pods.get(name)
    pod = Pod(name=name, ready=ready, phase=phase, restarts=restarts, line=line)
    if known is None or known.well:
        notebook.pods[name] = pod
    if not pod.well:
        notebook.lines.append(page.line(told, Kind.STATUS, page.quotable(name), origin=name, level=Level.WARNING))


def _read_described_rollout(replicas: str, owner: str, page: Page, notebook: Notebook) -> None:
    """``Replicas:  3 desired | 3 updated | 3 total | 2 available | 1 unavailable``."""
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", replicas)}
    if "desired" in counts and "available" in counts:
        remember_rollout(owner, counts["desired"], counts["available"], page, notebook)


def _node_troubles(lines: Sequence[str]) -> list[str]:
    rows = {row["type"]: row["status"] for line in lines if (row := CONDITION_ROW.match(line))}
    troubles = [name for name in NODE_TROUBLES if rows.get(name) == "True"]
    return [*troubles, "NotReady"] if rows.get("Ready", "True") != "True" else troubles


# ------------------------------------------------------------------------------------------------------ tables and logs


def _read_table(lines: Sequence[str], page: Page, notebook: Notebook) -> None:
    for text in lines:
        if text.strip():
            _read_row(text, page, notebook)


def _read_row(text: str, page: Page, notebook: Notebook) -> None:
    pod, rollout, node = POD_ROW.match(text), ROLLOUT_ROW.match(text), NODE_ROW.match(text)
    event = LISTED_EVENT.match(text)
    if pod:
        _read_pod_row(pod, page, notebook)
    elif rollout:
        remember_rollout(rollout["name"], int(rollout["desired"]), int(rollout["ready"]), page, notebook)
    elif node:
        remember_node(node["name"], ["NotReady"] if node["status"].startswith("Not") else [], page, notebook)
    elif event:
        _note_event(event, event["object"].rpartition("/")[2], text, page, notebook)
    else:
        notebook.lines.append(page.line(text, Kind.MANIFEST, level=Level.NONE))


def _read_pod_row(row: re.Match[str], page: Page, notebook: Notebook) -> None:
    phase, restarts = row["status"], int(row["restarts"])
    ready = phase in RUNNING_WORDS and (row["ready"] == row["all"] or phase != RUNNING_WORDS[0])
    _remember_pod(row["pod"], phase, restarts, page, notebook, ready=ready)
    if row["namespace"]:
        notebook.names.setdefault("namespace", row["namespace"])


def _read_manifest(lines: Sequence[str], page: Page, notebook: Notebook) -> None:
    notebook.lines.extend(page.line(text, Kind.MANIFEST, level=Level.NONE) for text in lines if text.strip())


def _read_log(lines: Sequence[str], page: Page, notebook: Notebook) -> None:
    for text in lines:
        if text.strip() and not read_record(text, page, notebook):
            notebook.lines.append(page.line(text, Kind.LOG, level=level_of(text)))


def _read_spans(lines: Sequence[str], page: Page, notebook: Notebook) -> None:
    """A trace printed as a tree; the statement of a span stands in the lines under it."""
    for place, text in enumerate(lines):
        span = SPAN.match(text)
        if span:
            line = page.line(text, Kind.LOG, page.quotable(text.strip(" │├└─")), origin=span["service"])
            notebook.spans.append(
                Span(
                    name=span["name"],
                    service=span["service"],
                    milliseconds=float(span["ms"]),
                    depth=len(span["indent"]),
                    line=line,
                    statement=_statement_under(lines[place + 1 : place + 9]),
                )
            )


def _statement_under(lines: Sequence[str]) -> str:
    for text in lines:
        if SPAN.match(text):
            return ""
        found = SPAN_STATEMENT.search(text)
        if found:
            return found["statement"].strip()
    return ""
