"""Services of AWS that write to SNS in words: AWS Backup, AWS Budgets, Elastic Beanstalk, CloudFormation."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice

import msgspec

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.plumbing.fields import instant, text
from mcp_responder.ports import Reading
from mcp_responder.sources._aws import read_arn
from mcp_responder.sources._aws_event import Facts, Kind, Origin, alert_of, words_of
from mcp_responder.sources._eventbridge_kinds import STACK_ENDS, STACK_FIRES
from mcp_responder.sources._reading import plain

LONGEST_TEXT = 20_000
MOST_LINES = 300
SAID = "said"
"""Where the whole text stands among the facts."""

_PAIR = re.compile(r"\s*([A-Za-z][A-Za-z ]{0,40}?)\s*[:=]\s*(.*)")


def read_text(subject: str, message: str, told: Alert, reading: Reading) -> Alert | None:
    """The alert that a text of a known service is, with what its envelope ``told``; None if it isn't known."""
    form = next((form for form in FORMS if form.knows(subject, message)), None)
    if form is None:
        return None
    facts: Facts = {**_pairs(message[:LONGEST_TEXT]), **form.facts(message[:LONGEST_TEXT]), SAID: message}
    arn = read_arn(text(facts.get("arn")))
    origin = Origin(
        source=told.source,
        product=form.product,
        account=text(facts.get("account")) or arn.account or told.account,
        region=arn.region or told.region,
        time=instant(facts.get("Timestamp")) or told.timestamp,
        event_id=told.event_id,
        labels=told.labels,
    )
    return alert_of(form.kind, facts, origin, bytes(told.raw_data), reading)


def _pairs(message: str) -> dict[str, object]:
    """The lines "Name: value" and "Name='value'"."""
    found = filter(None, map(_PAIR.fullmatch, islice(message.splitlines(), MOST_LINES)))
    return {pair[1]: pair[2].strip().strip("'") for pair in found}


# ------------------------------------------------------------------------------------------------------------- Backup

_BACKUP = re.compile(r"An AWS Backup (\w+ )?job ", re.IGNORECASE)
_BACKUP_ARN = re.compile(r"(?<!point )(?:Backed up )?Resource ARN\s*: (arn:\S+)", re.IGNORECASE)
_BACKUP_STATES = (
    ("completed", re.compile(r"completed successfully", re.IGNORECASE)),
    ("failed", re.compile(r"fail|stopped|abort|expired|could not|unable|unsuccessful", re.IGNORECASE)),
)


def _backup_facts(message: str) -> Facts:
    arn = _BACKUP_ARN.search(message)
    head = message.partition(" ARN")[0][:500]
    state = next((state for state, words in _BACKUP_STATES if words.search(head)), "")
    return {"arn": arn[1].rstrip(".,") if arn else "", "state": state}


# ------------------------------------------------------------------------------------------------------------ Budgets

_ACCOUNT = re.compile(r"^AWS Account (\d{12})", re.MULTILINE)


def _budget_facts(message: str) -> Facts:
    account = _ACCOUNT.search(message)
    return {"account": account[1] if account else ""}


def _budget_identity(facts: Facts) -> str:
    """A budget has several alerts."""
    return " ".join(text(facts.get(name)) for name in ("Budget Name", "Alert Type", "Alert Threshold"))


def _budget_severity(facts: Facts) -> Severity:
    return Severity.LOW if text(facts.get("Alert Type")).upper() == "FORECASTED" else Severity.MEDIUM


# -------------------------------------------------------------------------------------------------- Elastic Beanstalk

_TRANSITION = re.compile(r"health has transitioned from (\w+) to (\w+)", re.IGNORECASE)
_BROKE = re.compile(r"\bfail|\berror|\bunable\b|\baborted\b|\bunsuccessful", re.IGNORECASE)
_WORST = ("severe", "degraded")


def _beanstalk_facts(message: str) -> Facts:
    """Its health; other messages have none, and only say that something failed."""
    said = text(_pairs(message).get("Message"))
    moved = _TRANSITION.search(said)
    return {"health": moved[2] if moved else "failed" if _BROKE.search(said) else ""}


def _beanstalk_severity(facts: Facts) -> Severity:
    return Severity.HIGH if text(facts.get("health")).lower() in (*_WORST, "failed") else Severity.MEDIUM


# ----------------------------------------------------------------------------------------------------- CloudFormation


def _stack_facts(message: str) -> Facts:
    pairs = _pairs(message)
    return {"arn": pairs.get("StackId"), "part": "" if _is_whole(pairs) else pairs.get("LogicalResourceId")}


def _is_whole(pairs: Facts) -> bool:
    """Whether it is about the stack itself; a stack in it is a part."""
    return pairs.get("PhysicalResourceId") == pairs.get("StackId")


def _stack_name(facts: Facts) -> str:
    return "/".join(filter(None, (text(facts.get("StackName")), text(facts.get("part")))))


def _stack_identity(facts: Facts) -> str:
    """A part that fails is ended by the stack's success."""
    return text(facts.get("StackName"))


def _stack_outcome(facts: Facts) -> Status:
    state = plain(text(facts.get("ResourceStatus")))
    if state in words_of(STACK_FIRES) or state.endswith("failed"):
        return Status.FIRING
    return Status.RESOLVED if state in words_of(STACK_ENDS) and not facts.get("part") else Status.INFO


# -------------------------------------------------------------------------------------------------------------- table


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How a service's text is known, and what it says besides its pairs."""

    knows: Callable[[str, str], bool]
    facts: Callable[[str], Facts]
    product: str
    kind: Kind


FORMS: tuple[Form, ...] = (
    Form(
        knows=lambda _, message: _BACKUP.match(message) is not None,
        facts=_backup_facts,
        product="backup",
        kind=Kind(
            label="AWS Backup",
            names=("arn",),
            states=("state",),
            fires="failed",
            ends="completed",
            severity=Severity.HIGH,
            resources=("arn",),
            words=(SAID,),
        ),
    ),
    Form(
        knows=lambda _, message: message.startswith("AWS Budget Notification"),
        facts=_budget_facts,
        product="budgets",
        kind=Kind(
            label="Budget exceeded",
            names=("Budget Name",),
            identity=_budget_identity,
            fires="*",
            severity=_budget_severity,
            words=(SAID,),
            labels={"budget_type": "Budget Type", "amount": "Budgeted Amount", "alert_type": "Alert Type"},
        ),
    ),
    Form(
        knows=lambda subject, message: (
            subject.startswith("AWS Elastic Beanstalk Notification") and "\nEnvironment:" in message[:LONGEST_TEXT]
        ),
        facts=_beanstalk_facts,
        product="elasticbeanstalk",
        kind=Kind(
            label="Elastic Beanstalk",
            names=("Environment",),
            states=("health",),
            fires="severe degraded warning failed",
            ends="ok",
            severity=_beanstalk_severity,
            services=("Application",),
            resources=("Environment",),
            words=(SAID,),
            links={"Environment": "Environment URL"},
        ),
    ),
    Form(
        knows=lambda _, message: message.startswith("StackId='arn:"),
        facts=_stack_facts,
        product="cloudformation",
        kind=Kind(
            label="CloudFormation stack",
            names=_stack_name,
            identity=_stack_identity,
            states=("ResourceStatus",),
            outcome=_stack_outcome,
            severity=Severity.HIGH,
            resources=_stack_name,
            words=("ResourceStatusReason", SAID),
            labels={"resource_type": "ResourceType"},
        ),
    ),
)
