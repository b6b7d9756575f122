"""Events of Amazon EventBridge: state changes of CloudWatch alarms, and a readable reading of all others.

Also those that Amazon SNS and AWS CodeStar Notifications pass on.

## Set up

1. In the EventBridge console open **API destinations**, **Create API destination**. **API destination endpoint**
   `https://<responder>/v1/sources/eventbridge`, **HTTP method** POST; in **Create a new connection** choose
   **API key**, with the name `X-API-Key` and a key of scope `ingest` as the value.
2. Open **Rules**, **Create rule**, **Rule with an event pattern**, and paste the pattern:

       {"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"]}

3. Choose the API destination as the target. Leave **Configure target input** at **Matched events**.

The whole event is sent:

    curl -X POST "$RESPONDER_URL/v1/sources/eventbridge" \\
      -H "X-API-Key: $RESPONDER_API_KEY" -H "Content-Type: application/json" \\
      -d '{"id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92", "detail-type": "CloudWatch Alarm State Change",
           "source": "aws.cloudwatch", "account": "123456789012", "region": "eu-west-1",
           "time": "2026-01-01T10:00:00Z", "detail": {"alarmName": "checkout-5xx",
           "state": {"value": "ALARM", "timestamp": "2026-01-01T10:00:00.000+0000"}}}'

## How it is read

- "CloudWatch Alarm State Change" is an alert of the source `cloudwatch_alarm`: the same alarm, and the same event, as
  by SNS. "CloudWatch Alarm Contributor State Change" is that of one time series of an alarm over many. While its
  actions are suppressed or muted it is kept and opens nothing.
- Failure fires, and the later success of the same thing resolves it: pipelines, stages and actions of CodePipeline,
  CodeBuild, CodeDeploy, CloudFormation, Backup, Glue, Batch, Step Functions, EMR, Systems Manager, canaries, Auto
  Scaling, Lambda destinations. An ECS task that a deployment stopped is no failure; the steady state of its service
  ends what its tasks began.
- Health: an issue fires until it is closed; a scheduled change is LOW; an account notification is kept only.
- GuardDuty, Inspector, Security Hub, Macie, Config, Trusted Advisor: a finding fires with the severity that it states
  until it is archived, closed or compliant.
- RDS: failover, low storage, recovery, availability and a read replica that stopped fire until an event says that it is
  over; failure fires. The event's code (`RDS-EVENT-0089`) says it, where it is known; else a word for a failure counts
  more than one for a success.
- KMS: the deletion of a key and the end of imported key material fire. EBS: a volume or a snapshot that failed fires.
  Internet Monitor: a health event fires while it is active.
- Calls of the API (CloudTrail), schedules, objects of S3 and changes of an alarm's configuration are kept only.
- Any other event, your applications' own among them: what says that it failed, or states a severity of MEDIUM or worse,
  fires; what says that it succeeded resolves the same; the rest is kept and opens nothing. What an event is about is a
  field such as `service` or `name`, else its first resource, else all that its source says under that name:
  "OrderSucceeded" ends "OrderFailed".
- An event from an archive has the label `replay`. It has its old id, so what was heard before isn't heard again.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.plumbing.fields import array, dig, instant, mapping, one_line, text
from mcp_responder.ports import Request, SourceInfo
from mcp_responder.sources._alarm import Alarm, named_alarm, read_change
from mcp_responder.sources._alarm import alert_of as alarm_alert
from mcp_responder.sources._aws import read_arn
from mcp_responder.sources._aws_event import Facts, Kind, Origin, alert_of, found
from mcp_responder.sources._eventbridge_kinds import FINDING, KINDS, OPEN_FINDING, WORDS
from mcp_responder.sources._packed import check_count
from mcp_responder.sources._reading import (
    LONGEST_TITLE,
    decode_array,
    decode_object,
    override,
    read_level,
    read_status,
)

INFO = SourceInfo(
    name="eventbridge",
    title="Amazon EventBridge",
    # Raw message delivery of SNS calls its JSON plain text, and never sends again what is refused.
    content_types=("application/json", "text/plain"),
    marks=frozenset(("detail-type", "detailType")),
)

ALARM_CHANGES = frozenset(("CloudWatch Alarm State Change", "CloudWatch Alarm Contributor State Change"))
FINDINGS = ("Security Hub Findings", "Findings Imported V2")

SUBJECTS = (
    *("alarmName", "serviceName", "pipeline", "project-name", "group", "clusterArn", "instance-id"),
    *("SourceIdentifier", "AutoScalingGroupName", "jobName", "stateMachineArn", "deploymentGroup", "eventTypeCode"),
    *("service", "application", "app", "component", "host", "type", "title", "name", "resource", "id"),
)
"""Fields of ``detail`` that name what it is about, the most telling first."""
STATES = (
    *("state", "state.value", "status", "lastStatus", "build-status", "statusCode", "eventName", "result"),
    *("jobStatus", "alarm_state", "outcome", "Status", "State"),
)
LEVELS = ("severity", "level", "priority", "severity.label", "severity.name", "Severity")

_FAILED = re.compile(r"fail|error|\bfault|timed.?out|abort|unhealthy|crash|impaired", re.IGNORECASE)
_NO_FAILURE = re.compile(r"\b(?:no|without|0)[ _-](?:fail|error)|auto.?fail", re.IGNORECASE)
_ENDED = re.compile(r"succe(?:eded|ss|ssful)|resolved|recovered|cleared", re.IGNORECASE)
_SUCCEEDED = frozenset(("SUCCEEDED", "SUCCESS", "SUCCESSFUL", "COMPLETED", "RESOLVED", "RECOVERED", "CLEARED"))
_ALARMING = re.compile(r"\b(?:alert|alarm|finding|incident)s?\b", re.IGNORECASE)
_OUTCOME = re.compile(r"(?:fail(?:ed|ure)|error|succe(?:eded|ss|ssful)|resolved|recovered|cleared)", re.IGNORECASE)
_LONGEST_WORDS = 2000


def detects(body: object) -> bool:
    """An event: it has a detail type, a source and details."""
    typed = isinstance(body, dict) and ("detail-type" in body or "detailType" in body)
    return typed and isinstance(body, dict) and "source" in body and "detail" in body


def parse(body: object, raw: bytes, request: Request) -> list[Alert]:
    """One alert; several if it brings several findings."""
    if not isinstance(body, dict):
        raise InvalidRequest("not_an_event", "An EventBridge event is a JSON object.", status=422)
    detail = mapping(body.get("detail"))
    called = _detail_type(body)
    if called in ALARM_CHANGES and (_alarm_arn(body) or text(detail.get("alarmName"))):
        alerts = [alarm_alert(_alarm(body, detail), raw, request.reading)]
    elif _brings_findings(body, called) and array(detail.get("findings")):
        alerts = _findings(body, detail, raw, request)
    else:
        alerts = [_event(body, called, detail, raw, request)]
    return [override(_with_replay(alert, body), body, request.reading) for alert in alerts]


def _brings_findings(body: dict[str, object], called: str) -> bool:
    return called.startswith(FINDINGS) or text(body.get("source")) == "aws.securityhub"


def _detail_type(body: dict[str, object]) -> str:
    """CodeStar Notifications writes it in one word."""
    return (text(body.get("detail-type")) or text(body.get("detailType")))[:LONGEST_TITLE]


def _alarm(body: dict[str, object], detail: Facts) -> Alarm:
    alarm = named_alarm(detail.get("alarmName"), _alarm_arn(body), body.get("account"), body.get("region"))
    change = read_change(alarm, detail)
    return change if change.changed_at else msgspec.structs.replace(change, changed_at=instant(body.get("time")))


def _alarm_arn(body: dict[str, object]) -> str:
    return next((arn for arn in _arns(body) if read_arn(arn).resource.startswith("alarm:")), "")


def _arns(body: dict[str, object]) -> tuple[str, ...]:
    return tuple(filter(None, map(text, array(body.get("resources"))[:_MOST_ARNS])))


_MOST_ARNS = 100


def _with_replay(alert: Alert, body: dict[str, object]) -> Alert:
    """An event from an archive is marked; it has its old id, so what was heard before isn't heard again."""
    replay = text(body.get("replay-name"))
    return msgspec.structs.replace(alert, labels={**alert.labels, "replay": replay}) if replay else alert


# ------------------------------------------------------------------------------------------------------- other events


def _event(body: dict[str, object], called: str, detail: Facts, raw: bytes, request: Request) -> Alert:
    # What is in the resources is only there; CodeStar says beside the details which actions failed.
    around = {"resources": body.get("resources"), "account": body.get("account")}
    facts = {**around, **mapping(body.get("additionalAttributes")), **detail}
    kind = KINDS.get(called) or _unknown(called)
    alert = alert_of(kind, facts, _origin(body, called), raw, request.reading)
    if alert.title:
        return alert
    title = one_line(text(body.get("source")), LONGEST_TITLE)
    if not title:
        raise InvalidRequest("empty_alert", "The event has neither a detail type nor a source.", status=422)
    return msgspec.structs.replace(alert, title=title)


def _origin(body: dict[str, object], called: str) -> Origin:
    sender = text(body.get("source"))
    return Origin(
        source=INFO.name,
        product=sender.removeprefix("aws."),
        account=text(body.get("account")),
        region=text(body.get("region")),
        time=instant(body.get("time")),
        event_id=text(body.get("id")),
        arns=_arns(body),
        labels={"detail_type": called, "event_source": sender},
    )


def _findings(body: dict[str, object], detail: Facts, raw: bytes, request: Request) -> list[Alert]:
    """The findings of Security Hub, each by itself."""
    findings = [mapping(finding) for finding in array(detail.get("findings"))]
    check_count(len(findings), "findings")
    origin = _origin(body, _detail_type(body))
    if len(findings) == 1:
        return [alert_of(_finding_kind(findings[0]), findings[0], origin, raw, request.reading)]
    texts = decode_array(decode_object(decode_object(raw)["detail"])["findings"])
    return [
        alert_of(_finding_kind(finding), finding, _numbered(origin, number), bytes(its_text), request.reading)
        for number, (finding, its_text) in enumerate(zip(findings, texts, strict=True))
    ]


def _finding_kind(finding: Facts) -> Kind:
    return OPEN_FINDING if "finding_info" in finding else FINDING


def _numbered(origin: Origin, number: int) -> Origin:
    return msgspec.structs.replace(origin, event_id=f"{origin.event_id} {number}" if origin.event_id else "")


# ------------------------------------------------------------------------------------------------------ unknown types


@lru_cache(maxsize=256)
def _unknown(called: str) -> Kind:
    """How an event is read of which nothing is known but its detail type. "Order failed" and "Order succeeded" are of
    one family, so that the second can end the first."""
    return Kind(
        label=called,
        family=" ".join(_OUTCOME.sub("", called).split()),
        names=SUBJECTS,
        states=STATES,
        shows_state=False,
        outcome=lambda facts: _outcome(called, facts),
        levels=LEVELS,
        words=WORDS,
        services=("service.name", "service", "serviceName", "application"),
        labels={"operation": "operation"},
    )


def _outcome(called: str, facts: Facts) -> Status:
    state, level = found(facts, STATES), read_level(found(facts, LEVELS))
    if _says_failure(called, state, facts):
        return Status.FIRING
    if state.upper() in _SUCCEEDED or _ENDED.search(called[:_LONGEST_WORDS]):
        return Status.RESOLVED
    # An alert in the words of an application; "new" and "open" of other events are only states of theirs.
    if _ALARMING.search(called[:_LONGEST_WORDS]) or level:
        said = read_status(state)
        return said or (Status.INFO if level is Severity.LOW else Status.FIRING)
    return Status.INFO


def _says_failure(called: str, state: str, facts: Facts) -> bool:
    said = (called, state, text(dig(facts, "eventType")))
    return any(_FAILED.search(words[:_LONGEST_WORDS]) and not _NO_FAILURE.search(words) for words in said)
