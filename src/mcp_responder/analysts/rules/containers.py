"""Containers that don't start or don't stay: image, command, configuration, memory, probes."""

from __future__ import annotations

from mcp_responder.analysts.rules.case import Case, Kind, Line, Sight, compiled
from mcp_responder.analysts.rules.rule import Depth, Finding, Rule, change, look_at, sighted, spot, told
from mcp_responder.model.analysis import Category, Risk
from mcp_responder.plumbing.text import cut

DESCRIBE_POD = look_at("Read the pod's state and events.", "kubectl describe pod {pod} -n {namespace}")
PREVIOUS_LOGS = look_at("Read what it said before it died.", "kubectl logs {pod} -n {namespace} --previous")
WATCH_RESTARTS = "Alert on more than 3 restarts of a container in 15 minutes."
LAST_WORDS = 140
ONLY_STATUS = frozenset({Kind.STATUS, Kind.EVENT})
PULL_FAILURE = (
    r"(?:Failed to pull image|Back-off pulling image|Error: (?:ErrImagePull|ImagePullBackOff|InvalidImageName))"
)
PULL_REASONS = (
    (r"unauthorized|authentication required|denied|401|403|no basic auth", "the registry refuses access (credentials)"),
    (
        r"not found|manifest unknown|does not exist|no such|repository name",
        "the image or tag does not exist (not found)",
    ),
    (r"i/o timeout|timed? ?out|connection refused|no such host|deadline", "the registry can't be reached"),
    (r"toomanyrequests|rate limit", "the registry limits the rate of pulls"),
    (r"InvalidImageName|invalid reference", "the image's name is not valid"),
)


def image_not_pulled(case: Case) -> Finding | None:
    """The image's name stands in one event, and the reason often in another."""
    sight = case.look(rf"{PULL_FAILURE}[^\n]*?\"(?P<image>[^\"\s]+)\"|{PULL_FAILURE}|ImagePullBackOff|ErrImagePull")
    if sight is None:
        return None
    detail = _pull_detail(case, sight)
    why = next((words for pattern, words in PULL_REASONS if _has(pattern, detail.line.text)), "see the event")
    image = sight["image"] or detail["image"] or "of the container"
    return told(detail.line, f"Image {image} can't be pulled (ImagePullBackOff): {why}")


def _pull_detail(case: Case, sight: Sight) -> Sight:
    reasons = "|".join(pattern for pattern, _ in PULL_REASONS)
    return case.look(rf"Failed to pull image \"?(?P<image>[^\"\s]+)\"?[^\n]*?(?:{reasons})") or sight


def _has(pattern: str, text: str) -> bool:
    return compiled(pattern).search(text) is not None


def killed_for_memory(case: Case) -> Finding | None:
    """The kernel ended a process that went beyond its limit."""
    sight = case.look(
        r"OOMKill(?:ed|ing)|Out of memory: Kill|oom-kill(?:er)?\b|Memory cgroup out of memory|invoked oom-killer"
    )
    if sight is None:
        return None
    limit = case.look(r"^(?:memory:|memory=)\s*(?P<limit>\d+\w*)", frozenset({Kind.MANIFEST}))
    told_limit = f" of {limit['limit']}" if limit else ""
    finding = told(
        sight.line, f"A container is OOMKilled: it ran out of memory (out of memory at its limit{told_limit})"
    )
    claims = finding.claims + ((limit.line.claim(),) if limit else ())
    return Finding(cause=finding.cause, claims=claims, seen=finding.seen, strength=finding.strength, over=finding.over)


def probe_fails(case: Case) -> Finding | None:
    """A failing probe with a client error points at the probe itself, else it's a symptom."""
    sight = case.look(
        r"(?P<probe>Liveness|Readiness|Startup) probe (?:failed|errored)[^\n]*?(?:statuscode: (?P<code>\d+)"
        r"|(?P<why>connection"
        r" refused|deadline exceeded|no such file|not found|timeout)|$)"
    )
    if sight is None:
        return None
    why = f"HTTP {sight['code']}" if sight["code"] else sight["why"] or "it fails"
    return told(sight.line, f"The {sight['probe'].lower()} probe of the container fails ({why}), so it isn't ready")


def crash_loop(case: Case) -> Finding | None:
    """It ends again and again, and nothing says why: the exit code is all there is."""
    sight = case.look(r"CrashLoopBackOff|Back-off restarting failed container|exit code [1-9]\d*\b", ONLY_STATUS)
    sight = sight or case.look(r"crash(?:ing|ed)?[- ]?loop(?:ing)?|CrashLoopBackOff|keeps? (?:crashing|restarting)")
    if sight is None:
        return None
    code = case.look(r"Exit Code:\s+(?P<code>[1-9]\d*)|exit code (?P<number>[1-9]\d*)", ONLY_STATUS)
    ended = f" with exit code {code['code'] or code['number']}" if code else ""
    last = _last_words(case, sight.line.origin)
    why = f'the last that it logs is "{cut(last.text, LAST_WORDS)}"' if last else "no log line says why"
    finding = told(sight.line, f"A container ends{ended} again and again (CrashLoopBackOff); {why}")
    claims = finding.claims + tuple(line.claim() for line in (code and code.line, last) if line)
    return Finding(cause=finding.cause, claims=claims, seen=finding.seen, strength=finding.strength, over=finding.over)


def _last_words(case: Case, origin: str) -> Line | None:
    """What it said as an error, or just last, before it ended."""
    errors = [line for line in case.errors() if line.origin == origin]
    said = [line for line in case.said(Kind.LOG) if line.origin == origin]
    return next(iter(errors), None) or (said[-1] if said else None)


def scaled_to_nothing(case: Case) -> Finding | None:
    """Nobody runs because nobody is wished for."""
    idle = [
        rollout for rollout in case.rollouts.values() if rollout.desired == 0 and rollout.line.relevant_to(case.terms)
    ]
    return told(idle[0].line, f"{idle[0].name} is scaled to 0 replicas, so nothing runs") if idle else None


def container_ended(case: Case) -> Finding | None:
    """It restarts now and then and is not ready."""
    sight = case.look(r"^Pod \S+ is \S+, not ready, restarts: [1-9]\d*", ONLY_STATUS)
    return sighted(sight, "A container restarts and its pod isn't ready; no log line says why") if sight else None


RULES = (
    Rule(
        name="image not pulled",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=image_not_pulled,
        steps=(
            DESCRIBE_POD,
            change(
                "Correct the image's name or tag, or its pull secret; or go back to the last good version.",
                "kubectl rollout undo deployment/{deployment} -n {namespace}",
            ),
        ),
        watch="Alert on containers waiting with ErrImagePull or ImagePullBackOff.",
    ),
    Rule(
        name="command not found",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"exec:? \"(?P<command>[^\"]+)\"[^\n]*?(?P<why>executable file not found[^:\n]*|no such file or directory"
            r"|permission denied)",
            "The container's command \"{command}\" can't be started: {why} (a typo or a missing executable)",
        ),
        steps=(
            DESCRIBE_POD,
            change("Correct the command in the pod's template.", "kubectl edit deployment {deployment} -n {namespace}"),
        ),
        watch=WATCH_RESTARTS,
    ),
    Rule(
        name="shell command not found",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"(?:sh|bash|line \d+): (?:line )?\d*:? ?(?P<command>[\w./-]+): (?P<why>(?:command )?not found"
            r"|No such file or"
            r" directory)|can't open file '?(?P<file>[^'\n:]+)'?:",
            "The container's start command calls {command}{file}, which isn't there ({why})",
        ),
        steps=(PREVIOUS_LOGS, change("Correct the command or add the file to the image.")),
        watch=WATCH_RESTARTS,
    ),
    Rule(
        name="configuration object missing",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"(?P<kind>configmaps?|secrets?|serviceaccounts?"
            r"|service account) \"?(?P<name>[\w./-]+)\"? (?:was )?not found",
            "The {kind} {name} that the pod needs does not exist (not found)",
        ),
        steps=(
            look_at("List what exists.", "kubectl get configmap,secret,serviceaccount -n {namespace}"),
            change("Create it, or correct the name in the pod's template."),
        ),
        watch="Alert on containers waiting with CreateContainerConfigError and on FailedMount events.",
    ),
    Rule(
        name="key missing in a configuration object",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"couldn't find key (?P<key>\S+) in (?P<kind>ConfigMap|Secret) (?P<name>\S+)"
            r"|references non-existent (?P<file>config|secret) key: (?P<missing>\S+)",
            "Key {key}{missing} is missing in {kind}{file} {name}",
        ),
        steps=(look_at("See the keys.", "kubectl describe configmap,secret -n {namespace}"), change("Add the key.")),
        watch="Alert on containers waiting with CreateContainerConfigError.",
    ),
    Rule(
        name="killed for memory",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.NAMED,
        explains=r"memory|\boom",
        find=killed_for_memory,
        steps=(
            look_at("Compare use and limit.", "kubectl top pod {pod} -n {namespace} --containers"),
            change(
                "Raise the memory limit if the need is real (to twice what it is), else find the leak.",
                "kubectl set resources deployment/{deployment} -n {namespace} --limits=memory=LIMIT",
                Risk.MEDIUM,
            ),
        ),
        watch="Alert when a container's working set passes 90 % of its memory limit.",
    ),
    Rule(
        name="processor throttled",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        find=spot(
            r"CPUThrottling\w*|throttling of CPU|cpu throttl\w+|cfs_throttled\w*",
            "A container is throttled: it needs more CPU than its limit allows (CPU throttling)",
        ),
        steps=(
            look_at("Compare use and limit.", "kubectl top pod {pod} -n {namespace} --containers"),
            change("Raise the CPU limit, or drop it and keep the request.", risk=Risk.MEDIUM),
        ),
        watch="Alert on the share of throttled periods above 25 %.",
    ),
    Rule(
        name="probe fails",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.SUSPECT,
        find=probe_fails,
        steps=(
            DESCRIBE_POD,
            look_at(
                "Ask the endpoint from inside.", "kubectl exec {pod} -n {namespace} -- wget -qO- localhost:PORT/PATH"
            ),
            change("Correct the probe's path, port or delay, or mend what it tells about."),
        ),
        watch="Alert on Unhealthy events that last longer than 5 minutes.",
    ),
    Rule(
        name="scaled to nothing",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.SUSPECT,
        find=scaled_to_nothing,
        steps=(
            look_at("See who scaled it.", "kubectl rollout history deployment/{deployment} -n {namespace}"),
            change("Scale it up.", "kubectl scale deployment/{deployment} -n {namespace} --replicas=1"),
        ),
        watch="Alert on deployments that should run and want 0 replicas.",
    ),
    Rule(
        name="crash loop",
        category=Category.CODE_DEFECT,
        depth=Depth.SYMPTOM,
        find=crash_loop,
        steps=(PREVIOUS_LOGS, DESCRIBE_POD),
        watch=WATCH_RESTARTS,
    ),
    Rule(
        name="container restarts",
        category=Category.UNKNOWN,
        depth=Depth.SYMPTOM,
        find=container_ended,
        steps=(PREVIOUS_LOGS, DESCRIBE_POD),
        watch=WATCH_RESTARTS,
    ),
)
