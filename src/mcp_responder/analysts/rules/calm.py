"""Nothing is wrong, or it is over: what must hold before a rule may say so, and what it may say then."""

from __future__ import annotations

from collections.abc import Iterator

from mcp_responder.analysts.rules.case import OBSERVED, Case, Kind, Level, Line
from mcp_responder.analysts.rules.metrics import background
from mcp_responder.analysts.rules.rule import Depth, Finding, Rule, look_at
from mcp_responder.model.analysis import Category, Claim, State

WELL_STATES = frozenset({"normal", "ok", "resolved", "inactive", "closed", "info"})
PASSED_CHECK = (
    r"health check passed|within normal|normal operating|all (?:signals|systems|checks) (?:are )?(?:normal"
    r"|healthy|operational|passed|ok)"
    r"|no (?:active )?(?:issues?|problems?|failures?|anomal\w+)|scheduled (?:health )?check|(?:test|synthetic) alert"
)
OVER = (
    r"recovered|has since|subsequently|no further|back to normal"
    r"|(?:issue|incident|state|pressure|alarm)[^\n]{0,20} resolved"
    r"|(?:scaling|expansion|recovery|restore)\w* completed"
    r"|is available|started cleanly"
    r"|successfully assigned|transient|expanded|has been increased|startup complete"
)
MILD = (
    r"no errors? (?:reported|observed|seen|found)|warning threshold|below (?:the )?(?:critical|threshold|limit)"
    r"|within (?:the )?(?:limits?|bounds)"
)
MOST_CLAIMS = 4


def passed_check(case: Case) -> Finding | None:
    """The alert itself says that all is well, and nothing contradicts it."""
    sight = case.look(PASSED_CHECK)
    if sight is None or (case.alert_state not in WELL_STATES and not any(_signals(case))):
        return None
    return _calm(case, "Nothing is wrong: all signals are normal, no failure is found", [sight.line])


def heartbeat(case: Case) -> Finding | None:
    """An alert that is meant to fire always, so that its absence is noticed."""
    sight = case.look(r"\bWatchdog\b|always firing|dead man'?s switch|InfoInhibitor", frozenset({Kind.ALERT}))
    return (
        _calm(case, "Nothing is wrong: this alert always fires, to show that alerting works", [sight.line])
        if sight
        else None
    )


def recovered(case: Case) -> Finding | None:
    """It was real and has passed; the evidence shows the end."""
    sights = [sight.line for sight in case.sights(OVER) if sight.line.level is not Level.ERROR]
    if not sights or not (any(_signals(case)) or case.series or _had_trouble(case)):
        return None
    said = " ".join(line.text for line in sights)
    scaled = next(
        (f" after the {word} added room" for word in ("autoscaler", "autoscaling") if word in said.lower()), ""
    )
    return _calm(case, f"It has recovered{scaled}: no active failure is left", sights)


def harmless(case: Case) -> Finding | None:
    """A threshold was touched, and nothing suffers: numbers stay in bounds, nobody logs errors."""
    mild = case.look(MILD)
    if mild is None or not (any(_signals(case)) or case.series):
        return None
    numbers = ", ".join(
        f"{name} stays in bounds" for name in case.series if name in ("CPUUtilization", "DatabaseConnections")
    )
    return _calm(case, f"Nothing is broken: no errors are seen, and {numbers or 'all signals are normal'}", [mild.line])


def all_well(case: Case) -> Finding | None:
    """Every pod, rollout, node and monitor that was looked at is well."""
    signals = list(_signals(case))
    if len(signals) < 2 or not (case.monitors or case.rollouts):
        return None
    return _calm(
        case, "Nothing is wrong now: pods, rollouts, nodes and monitors that were looked at are normal", signals
    )


def contradicted(case: Case) -> bool:
    """Whether something is not well, whoever says that it is."""
    sick_pods = any(not pod.well for pod in case.pods.values())
    lacking = any(rollout.ready < rollout.desired for rollout in case.rollouts.values())
    sick_nodes = any(node.troubles for node in case.nodes.values())
    return sick_pods or lacking or sick_nodes or any(not item.well for item in case.monitors) or bool(case.errors())


def _had_trouble(case: Case) -> bool:
    return any(line.over and line.level >= Level.WARNING and line.kind in OBSERVED for line in case.lines)


def _signals(case: Case) -> Iterator[Line]:
    """Signs of health."""
    yield from (rollout.line for rollout in case.rollouts.values() if rollout.ready >= rollout.desired > 0)
    yield from (pod.line for pod in case.pods.values() if pod.well)
    yield from (monitor.line for monitor in case.monitors if monitor.well)
    yield from (node.line for node in case.nodes.values() if not node.troubles)


def _calm(case: Case, cause: str, lines: list[Line]) -> Finding | None:
    if contradicted(case):
        return None
    claims = [line.claim() for line in lines[:MOST_CLAIMS]] + list(_states(case))
    return Finding(cause=f"{cause}{_restarts(case)}", claims=tuple(claims), strength=10)


def _restarts(case: Case) -> str:
    restarted = [pod for pod in case.pods.values() if pod.restarts]
    return f"; pod {restarted[0].name} had a restart and runs since" if restarted else ""


def _states(case: Case) -> Iterator[Claim]:
    yield from (line.claim() for line in list(_signals(case))[:MOST_CLAIMS])
    yield from background(case)


WATCH = (look_at("Nothing to mend. Look once more in an hour."),)
RULES = (
    Rule(
        name="check passed",
        category=Category.HEALTHY,
        depth=Depth.NAMED,
        find=passed_check,
        steps=WATCH,
        watch="Send scheduled checks to a log, not to people.",
        state=State.FALSE_ALARM,
    ),
    Rule(
        name="heartbeat",
        category=Category.HEALTHY,
        depth=Depth.NAMED,
        find=heartbeat,
        steps=WATCH,
        watch="Send it to a dead man's switch, not to people.",
        state=State.FALSE_ALARM,
    ),
    Rule(
        name="recovered",
        category=Category.HEALTHY,
        depth=Depth.RESOURCE,
        find=recovered,
        steps=WATCH,
        watch="Let the alarm resolve by itself, and alert on its return.",
        state=State.RECOVERED,
    ),
    Rule(
        name="harmless",
        category=Category.HEALTHY,
        depth=Depth.DEPENDENCY,
        find=harmless,
        steps=WATCH,
        watch="Raise the threshold, or require that users suffer too.",
        state=State.FALSE_ALARM,
    ),
    Rule(
        name="all well",
        category=Category.HEALTHY,
        depth=Depth.SUSPECT,
        find=all_well,
        steps=WATCH,
        watch="Raise the threshold, or require that it lasts.",
        state=State.FALSE_ALARM,
    ),
)
"""Asked only when no other rule finds anything that still lasts."""
