"""The program itself: its settings, its code, its data, its files and memory, its slow parts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mcp_responder.analysts.rules.case import Case, Kind, Span
from mcp_responder.analysts.rules.rule import Depth, Finding, Rule, change, look_at, spot, strength, told
from mcp_responder.model.analysis import Category, Claim, Risk
from mcp_responder.plumbing.text import cut

READ_LOGS = look_at("Read the lines around the first error.", "kubectl logs {pod} -n {namespace} --timestamps")
GO_BACK = change(
    "If it came with a deployment, go back.", "kubectl rollout undo deployment/{deployment} -n {namespace}", Risk.MEDIUM
)
QUOTED = re.compile(r"['\"`]([^'\"`\n]{3,60})['\"`]")
SLOW_SHARE = 0.5
SLOW_MILLISECONDS = 1_000
MOST_ERRORS = 4
LONGEST_ERROR = 110


def slow_span(case: Case) -> Finding | None:
    """The innermost span that takes most of the whole request: that is where the time goes."""
    roots = [span for span in case.spans if span.milliseconds >= SLOW_MILLISECONDS]
    if not roots:
        return None
    root = max(roots, key=lambda span: span.milliseconds)
    same = [span for span in roots if span.line.evidence == root.line.evidence]
    heavy = [span for span in same if span.milliseconds >= root.milliseconds * SLOW_SHARE]
    slow = max(heavy, key=lambda span: span.depth)
    what = f"the database query `{slow.statement}` ({slow.name})" if slow.statement else f"the step {slow.name}"
    cause = (
        f"Requests are slow because {what} of {slow.service} is slow: {slow.milliseconds} ms of {root.milliseconds} ms"
    )
    return Finding(cause=cause, claims=tuple(_span_claims(slow, root)), strength=14)


def _span_claims(slow: Span, root: Span) -> Iterator[Claim]:
    yield slow.line.claim(f"{slow.name} of {slow.service} takes {slow.milliseconds} ms")
    yield root.line.claim(f"The whole request {root.name} takes {root.milliseconds} ms")


def asked_about(case: Case) -> Finding | None:
    """The alert quotes words, and the evidence has them: that answers the question."""
    for phrase in QUOTED.findall(case.subject.alert.title):
        sight = case.look(re.escape(phrase), frozenset({Kind.LOG}))
        if sight and " " in phrase:
            return told(sight.line, f"Yes, the evidence reports '{phrase}'")
    return None


def logged_errors(case: Case) -> Finding | None:
    """No rule knows them; then the errors themselves are the best account."""
    errors = [line for line in case.errors() if line.relevant] or case.errors()
    if not errors:
        return None
    shown = errors[:MOST_ERRORS]
    words = "; ".join(cut(line.text, LONGEST_ERROR) for line in shown)
    return Finding(
        cause=f"The log shows errors: {words}",
        claims=tuple(line.claim() for line in shown),
        strength=strength(errors[0]),
    )


def missing_setting(case: Case) -> Finding | None:
    """An environment variable or setting that the process needs isn't there."""
    sight = case.look(
        r"(?:environment|env(?:ironment)?[ -]?var(?:iable)?|required (?:env\w*|config\w*|setting)"
        r"|config(?:uration)?(?: (?:key|value|option))?)"
        r"[^\n]{0,20}?[ :'\"`$]+(?P<name>[A-Za-z_][\w.]*[A-Za-z\d])['\"`]?,? (?:is |was |must be "
        r"|has )?(?P<why>undefined|not set|not defined"
        r"|missing|unset|required|empty|set\b|not found|not provided|no value)"
        r"|(?:missing|undefined|unset|no) (?:required )?(?:environment variables?|env ?vars?|config\w*"
        r"|settings?)[ :'\"`]+(?P<other>[\w.-]+)"
        r"|KeyError: '(?P<key>[A-Z][A-Z0-9_]{2,})'|\$\{?(?P<var>[A-Z][A-Z0-9_]+)\}?: (?:unbound|parameter)"
        r"|(?P<upper>\b[A-Z][A-Z0-9]*_[A-Z0-9_]+)\b[^\n]{0,20} (?:is |was )?(?:undefined|not set|missing|required"
        r"|unset|not defined)"
    )
    if sight is None:
        return None
    name = next((sight[group] for group in ("name", "other", "key", "var", "upper") if sight[group]), "")
    return told(sight.line, f"Environment variable or setting {name} is missing (not set)")


RULES = (
    Rule(
        name="setting missing",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=missing_setting,
        steps=(
            look_at("See what is set.", "kubectl set env deployment/{deployment} -n {namespace} --list"),
            change("Set it.", "kubectl set env deployment/{deployment} -n {namespace} NAME=VALUE"),
        ),
        watch="Let the program check its settings at start and name the missing one.",
    ),
    Rule(
        name="configuration invalid",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.SUSPECT,
        find=spot(
            r"(?:invalid|bad|malformed|unknown) (?:config\w*|setting|option|flag|argument|value for|port|url)"
            r"|(?:failed|unable|error) (?:to )?(?:load|loading|read|reading|pars\w+) (?:the )?config\w*"
            r"|config(?:uration)? (?:file )?[^\n]{0,40}"
            r"(?:not found|invalid|missing|malformed)|misconfigur\w+|unrecognized (?:option|argument)",
            "The program's configuration is wrong: it can't be read or used",
        ),
        steps=(READ_LOGS, change("Correct the configuration.")),
        watch="Check configuration before it is rolled out.",
    ),
    Rule(
        name="memory of the program",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        find=spot(
            r"OutOfMemoryError(?:: (?P<what>[\w ]+))?|\bMemoryError\b|heap out of memory|Cannot allocate memory"
            r"|out of memory\b"
            r"|memory (?:usage|limit)[^\n]{0,40}exceed\w*|std::bad_alloc|fatal error: runtime: out of memory",
            "The program runs out of memory {what}",
        ),
        steps=(
            look_at("Compare use and limit.", "kubectl top pod {pod} -n {namespace}"),
            change("Find what grows (heap dump); raise the limit only if the need is real.", risk=Risk.MEDIUM),
        ),
        watch="Alert when memory passes 90 % of its limit.",
    ),
    Rule(
        name="disk full",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.NAMED,
        explains=r"disk|storage|space",
        find=spot(
            r"No space left on device|\bENOSPC\b|disk (?:is )?(?:full|\d+ ?% full)|(?:disk|volume|filesystem"
            r"|partition)[^\n]{0,60}"
            r"(?:9[5-9]|100) ?(?:%|percent)|out of disk space|disk quota exceeded"
            r"|exceeded (?:its )?(?:local )?ephemeral[- ]storage",
            "The disk is full: there is no space left to write",
        ),
        steps=(
            look_at("See what fills it.", "df -h; du -xh / | sort -h | tail -20"),
            change("Delete what is not needed, or enlarge the volume.", risk=Risk.MEDIUM),
        ),
        watch="Alert at 80 % of each file system, and on the time until it is full.",
    ),
    Rule(
        name="file handles",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.NAMED,
        find=spot(
            r"too many open files|\bEMFILE\b|\bENFILE\b|(?:unable to create|can't start) (?:a )?new (?:native )?thread"
            r"|Resource temporarily unavailable",
            "The process has used up its file handles or threads (too many open files)",
        ),
        steps=(look_at("Count them.", "ls /proc/PID/fd | wc -l"), change("Close what leaks; raise the limit.")),
        watch="Alert at 80 % of process_max_fds.",
    ),
    Rule(
        name="file missing",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.SUSPECT,
        find=spot(
            r"(?:FileNotFound\w*|ENOENT|no such file or directory)[^\n]{0,60}?(?P<path>/[\w./-]+)"
            r"|(?P<file>/[\w./-]+): no such file or directory|open (?P<open>/[\w./-]+): no such file",
            "The file {path}{file}{open} is missing",
        ),
        steps=(look_at("See what is mounted.", "kubectl exec {pod} -n {namespace} -- ls -l DIRECTORY"),),
        watch="Let the program check its files at start.",
    ),
    Rule(
        name="file permission",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.SUSPECT,
        find=spot(
            r"permission denied|EACCES|Operation not permitted|Read-only file system",
            "Permission is missing: the process may not do what it tries (permission denied)",
        ),
        steps=(
            look_at("See whose it is and who runs.", "kubectl exec {pod} -n {namespace} -- sh -c 'id; ls -l PATH'"),
        ),
        watch="Count permission errors by service.",
    ),
    Rule(
        name="rejected credentials",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"password authentication failed[^\n]*|Access denied for user[^\n]*|authentication failed"
            r"|invalid (?:credentials|password|api key|token)"
            r"|WRONGPASS|NOAUTH|login failed|(?:token|credentials?|api key|secret) (?:has |have |is "
            r"|was )?expired|\b401 Unauthorized",
            "Credentials are rejected: authentication fails",
        ),
        steps=(look_at("See when the secret was changed."), change("Load the valid credentials and restart.")),
        watch="Alert on the rate of failed logins of services.",
    ),
    Rule(
        name="missing code",
        category=Category.CODE_DEFECT,
        depth=Depth.NAMED,
        find=spot(
            r"(?:ModuleNotFoundError|ImportError): (?P<what>[^\n]+)|Cannot find module (?P<module>\S+)"
            r"|ClassNotFoundException:? (?P<class>\S+)"
            r"|NoClassDefFoundError:? (?P<missing>\S+)|NoSuchMethodError:? (?P<method>\S+)"
            r"|undefined method (?P<name>\S+)"
            r"|error while loading shared libraries: (?P<library>[^\s:]+)|cannot load such file -- (?P<file>\S+)",
            "Code is missing in the image: {what}{module}{class}{missing}{method}{name}{library}{file}",
        ),
        steps=(READ_LOGS, GO_BACK),
        watch="Start the image once before it is rolled out.",
    ),
    Rule(
        name="unhandled exception",
        category=Category.CODE_DEFECT,
        depth=Depth.SUSPECT,
        find=spot(
            r"\b(?P<type>NullPointerException|NullReferenceException|TypeError|AttributeError|IndexError|KeyError"
            r"|ValueError|NameError"
            r"|ZeroDivisionError|IllegalStateException|IllegalArgumentException|ArithmeticException|ClassCastException"
            r"|IndexOutOfBoundsException|ArrayIndexOutOfBoundsException|AssertionError|ReferenceError|RangeError"
            r"|NoMethodError"
            r"|UnboundLocalError|StackOverflowError|RecursionError)\b[: ]*(?P<why>[^\n]{0,120})"
            r"|panic: (?P<panic>[^\n]{0,120})"
            r"|segmentation fault|nil pointer dereference|SIGSEGV",
            "The code fails with an unhandled {type}{panic}: {why}",
        ),
        steps=(READ_LOGS, GO_BACK),
        watch="Alert on new error types per release.",
    ),
    Rule(
        name="data not as expected",
        category=Category.DATA_QUALITY,
        depth=Depth.SUSPECT,
        find=spot(
            r"(?:JSON|XML|CSV|YAML|Avro|Protobuf)?\s?(?:parse|decode|deserializ\w+|pars\w+) (?:error|exception"
            r"|fail\w*)|JSONDecodeError"
            r"|SyntaxError: Unexpected token|schema (?:validation|mismatch|violation|drift)[^\n]*"
            r"|invalid input syntax for[^\n]*|Unexpected token"
            r"|violates (?:not-null|check|foreign key|unique) constraint[^\n]*|duplicate key value[^\n]*"
            r"|null value in column[^\n]*"
            r"|(?:missing|unexpected|malformed|corrupt\w*) (?:column|field|record|row|payload|data|message)s?\b[^\n]*"
            r"|data ?(?:type)? mismatch|cannot (?:cast|convert|parse)\b[^\n]*|row count (?:dropped|is 0|anomaly)",
            "The data isn't as the program expects it (schema, format or constraint)",
        ),
        steps=(look_at("Look at one record that fails."), change("Set bad records aside, and agree on the schema.")),
        watch="Check incoming data against a schema, and alert on the share of rejects.",
    ),
    Rule(
        name="slow step in a trace",
        category=Category.DEPENDENCY_FAILURE,
        depth=Depth.RESOURCE,
        explains=r"latency|slow|duration|response time",
        find=slow_span,
        steps=(
            look_at("Ask the database how it runs the query.", "EXPLAIN (ANALYZE, BUFFERS) QUERY"),
            change("Add the missing index, or fetch less."),
        ),
        watch="Alert on the 95th percentile of that step's duration.",
    ),
    Rule(
        name="what was asked about",
        category=Category.UNKNOWN,
        depth=Depth.DEPENDENCY,
        find=asked_about,
        steps=(READ_LOGS,),
        watch="Alert on that line, if it matters.",
    ),
    Rule(
        name="logged errors",
        category=Category.UNKNOWN,
        depth=Depth.SYMPTOM,
        find=logged_errors,
        steps=(READ_LOGS,),
        watch="Alert on the rate of error lines.",
    ),
)
