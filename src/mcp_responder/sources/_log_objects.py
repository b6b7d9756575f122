"""A log line that is a JSON object, whoever's logger wrote it.

Lambda's own JSON, Powertools, structlog, pino, bunyan, winston, zap, zerolog, slog, Logback, Log4j, Serilog, Elastic's
common schema, OpenTelemetry, and the wrappers of Fluent Bit, FireLens and Container Insights around a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

import msgspec

from mcp_responder.model.alert import Severity
from mcp_responder.plumbing.fields import mapping, number, text
from mcp_responder.sources._log_lines import BY_WORD, Told
from mcp_responder.sources._reading import plain

LEVELS = (
    *("level", "severity", "levelname", "loglevel", "lvl", "severitytext", "log.level", "l", "log.severity"),
    *("priority", "logseverity", "attributes.level", "fields.level", "record.level.name", "levelvalue"),
    *("severitynumber", "levelno"),
)
"""Names of the level; all names are compared as ``path_of`` writes them."""
MESSAGES = ("message", "msg", "event", "renderedmessage", "m", "mt", "messagetemplate", "body", "text", "shortmessage")
_THROWN = ("exception", "error", "err", "thrown", "exc", "excinfo", "message", "stacktrace", "attributes.exception")
"""Objects that hold an error."""
ERROR_TYPES = (
    *("errortype", "exceptionname", "exceptiontype", "exceptionclass", "errorname", "exctype"),
    *(f"{thrown}.{name}" for thrown in _THROWN for name in ("type", "errortype", "class", "name", "kind", "exctype")),
    *("exception.exceptionclass", "exception.classname"),
)
ERROR_MESSAGES = (
    *("errormessage", "exceptionmessage", "excvalue"),
    *(f"{thrown}.{name}" for thrown in _THROWN for name in ("message", "errormessage", "value", "excvalue")),
    *("error", "err", "exception"),
)
STACKS = (
    *("stacktrace", "stack", "traceback", "exception", "excinfo", "exctext", "x", "errorverbose", "backtrace"),
    *(f"{thrown}.{name}" for thrown in _THROWN for name in ("stacktrace", "stack", "backtrace", "extendedstacktrace")),
    *("error", "err"),
)
SERVICES = (
    *("service", "service.name", "servicename", "resource.service.name", "resource.attributes.service.name"),
    *("dd.service", "appname", "application", "applicationname", "app", "kubernetes.labels.app.kubernetes.ioname"),
    *("kubernetes.labels.app", "kubernetes.containername", "containername"),
)
FUNCTIONS = ("functionname", "faas.name", "lambdafunction.name")
LOGGERS = (
    *("logger", "loggername", "log.logger", "category", "sourcecontext", "properties.sourcecontext", "name", "caller"),
)
REQUESTS = (
    *("functionrequestid", "awsrequestid", "lambdarequestid", "requestid", "record.requestid", "request.id", "reqid"),
    *("req.id", "http.request.id", "httprequestid", "correlationid", "context.awsrequestid", "xrequestid"),
)
TRACES = ("xraytraceid", "traceid", "trace.id", "record.tracing.value", "tracing.value", "xamzntraceid", "dd.traceid")
ENVIRONMENTS = (
    *("environment", "env", "deployment.environment", "deployment.environment.name", "service.environment"),
    *("resource.deployment.environment", "resource.attributes.deployment.environment", "dd.env"),
)
BESIDE_LOG = frozenset(("kubernetes", "stream", "container_name", "container_id", "ecs_cluster", "source"))
"""What stands beside ``log`` where somebody wrapped a line of text."""

MOST_LEAVES = 300
DEEPEST = 5
TELLING = frozenset(("errorType", "level", "severity", "msg", "message", "error"))
"""One of these has an object that a line ends in, if the line is that object."""
_LONGEST_LEVEL = 20
_NOTHING = frozenset(("", "-", "none", "null", "nil", "false", "0", "undefined", "n/a", "noerror"))
_STATUSES = ("status", "statuscode", "responsestatus", "httpstatus", "http.statuscode", "http.response.statuscode")
_ROUTES = ("httpmethod", "method", "routekey", "requestmethod", "http.method", "http.request.method", "request.method")
_PATHS = ("path", "resourcepath", "url.path", "http.target", "uri", "requesturi", "url", "request.url", "http.route")
_SERVER_ERROR = range(500, 600)

Leaves = dict[str, object]
"""Path -> value: a text, a number, a truth value, or a list of texts."""


def decoded(line: str) -> dict[str, object]:
    """The object that a line is; empty if it is none."""
    if not line.startswith("{") or not line.endswith("}"):
        return {}
    try:
        return msgspec.json.decode(line, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return {}


def leaves(body: dict[str, object]) -> Leaves:
    """The values of an object by their paths; of two under one path the first."""
    found: Leaves = {}
    for name, value in islice(fields(body), MOST_LEAVES):
        found.setdefault(path_of(name), value)
    return found


def fields(body: dict[str, object], outside: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """The values of an object with their names as they are written; of an array of objects the first."""
    for key, value in body.items():
        path = f"{outside}.{key}" if outside else key
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict):
            if depth < DEEPEST:
                yield from fields(inner, path, depth + 1)
        elif value not in (None, "", []):
            yield path, value


@lru_cache(maxsize=4096)
def path_of(key: str) -> str:
    """``log.level`` and ``log_level`` are two; ``logLevel`` and ``log_level`` are one."""
    return ".".join(map(plain, key[:200].split(".")))


def first(found: Leaves, names: tuple[str, ...]) -> str:
    """The first of the names that has a text or a number."""
    return next(filter(None, (text(found[name]) for name in names if name in found)), "")


def meant(found: Leaves, names: tuple[str, ...]) -> str:
    """The first of the names that has one line of words that aren't another way to say nothing."""
    words = (text(found[name]) for name in names if name in found)
    return next((said for said in words if said.lower() not in _NOTHING and "\n" not in said), "")


def stack_of(found: Leaves) -> str:
    """The stack trace of an object: a text of several lines, or a list of lines."""
    for name in STACKS:
        value = found.get(name)
        lines = value if isinstance(value, list) else [value]
        words = "\n".join(line.rstrip() for line in lines if isinstance(line, str))
        if "\n" in words:
            return words
    return ""


def level_of(found: Leaves) -> tuple[Severity | None, str]:
    """The level that a logger gave, and its name; a word before a number."""
    said = [found[name] for name in (*LEVELS, "status") if name in found]
    for value in said:
        if isinstance(value, str) and len(value) <= _LONGEST_LEVEL and (level := BY_WORD.get(plain(value))):
            return level, value
    for name in LEVELS:
        value = number(found.get(name))
        if value is not None:
            level = _numbered(name, value)
            return level, WORDS[level]
    return None, ""


WORDS = {Severity.CRITICAL: "FATAL", Severity.HIGH: "ERROR", Severity.MEDIUM: "WARN", Severity.LOW: "INFO"}
"""For levels that come as numbers."""


def _numbered(name: str, value: float) -> Severity:
    """Levels of pino and bunyan (10 to 60), syslog (7 to 0), Monolog (100 to 600), java.util.logging (800 to 1000),
    Logback (10000 to 40000), Python (``levelno``) and OpenTelemetry (``severityNumber``)."""
    if name == "severitynumber":
        bounds: tuple[float, ...] = (21, 17, 13)
    elif name == "levelno":
        bounds = (50, 40, 30)
    elif value < 8:
        # Syslog counts down to 0.
        return (*(Severity.CRITICAL,) * 3, Severity.HIGH, Severity.MEDIUM, *(Severity.LOW,) * 3)[int(max(value, 0))]
    else:
        scales = ((10, 60, (60, 50, 40)), (100, 600, (500, 400, 300)), (700, 1000, (1001, 1000, 900)))
        found = (bounds for least, most, bounds in scales if least <= value <= most)
        bounds = next(found, (50_000, 40_000, 30_000))
    levels = zip(bounds, (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM), strict=True)
    return next((level for bound, level in levels if value >= bound), Severity.LOW)


def told(body: dict[str, object], found: Leaves) -> Told | None:
    """How bad an object is by what Lambda itself says in it, or by its level; None if it has none."""
    kind = text(body.get("type"))
    if kind.startswith("platform."):
        return _platform(kind, body)
    level, word = level_of(found)
    return Told(level, word) if level else None


def _platform(kind: str, body: dict[str, object]) -> Told:
    record = mapping(body.get("record"))
    if kind == "platform.fault":
        return Told(Severity.HIGH, title=text(body.get("record")))
    status = text(record.get("status"))
    if status not in ("timeout", "error", "failure"):
        return Told(Severity.LOW)
    milliseconds = number(mapping(record.get("metrics")).get("durationMs")) or 0.0
    return Told(Severity.HIGH, title=failed_run(status, milliseconds, text(record.get("errorType"))), echo=True)


def failed_run(status: str, milliseconds: float, error_type: str) -> str:
    """What Lambda's report of a run means, in the words in which it tells of a timeout elsewhere."""
    if status == "timeout":
        return f"Task timed out after {milliseconds / 1000:.2f} seconds"
    return f"{error_type}: the invocation failed" if error_type else "The invocation failed"


def without_level(found: Leaves) -> Told | None:
    """An object without a level that is a failure by its fields; None where its words must decide."""
    if "eventversion" in found and "eventsource" in found:
        # CloudTrail: somebody was refused something. That is no failure of a service.
        return Told(Severity.LOW)
    if stack_of(found) or meant(found, ("errortype", "exceptiontype", "exceptionname", *ERROR_MESSAGES)):
        return Told(Severity.HIGH)
    status = next((number(found[name]) for name in _STATUSES if name in found), None)
    route = first(found, _ROUTES)
    if status is None or not route:
        return None
    path = first(found, _PATHS).partition("?")[0]
    title = f"{route} {path}".strip() if path not in route else route
    return Told(Severity.MEDIUM, title=f"{title}: {status:.0f}") if int(status) in _SERVER_ERROR else Told(Severity.LOW)
