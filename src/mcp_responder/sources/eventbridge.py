"""Events of Amazon EventBridge: state changes of CloudWatch alarms, and a readable reading of all others.

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
  by SNS. While its actions are suppressed it is kept and opens nothing.
- "CloudWatch Alarm Configuration Change" is kept and opens nothing.
- Of all others, what says that it failed fires (a failed pipeline, build or task, a GuardDuty finding, an open Health
  issue), what says that the same thing succeeded resolves, and the rest is kept and opens nothing.
"""

from __future__ import annotations

import re

import msgspec

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.model.severity import judge, stated
from mcp_responder.plumbing.fields import array, instant, mapping, number, one_line, text
from mcp_responder.ports import Request, SourceInfo
from mcp_responder.sources._alarm import Alarm, alert_of, named_alarm, read_change
from mcp_responder.sources._aws import read_arn, short_name
from mcp_responder.sources._reading import LONGEST_TITLE, override, read_level, read_status

INFO = SourceInfo(name="eventbridge", title="Amazon EventBridge")

STATE_CHANGE = "CloudWatch Alarm State Change"
CONFIGURATION_CHANGE = "CloudWatch Alarm Configuration Change"

SUBJECTS = (
    *("alarmName", "serviceName", "pipeline", "project-name", "group", "clusterArn", "instance-id"),
    *("SourceIdentifier", "AutoScalingGroupName", "jobName", "stateMachineArn", "deploymentGroup", "eventTypeCode"),
    *("type", "title", "name", "resource"),
)
"""Fields of ``detail`` that name what it is about, the most telling first."""
STATES = ("state", "status", "lastStatus", "build-status", "statusCode", "eventName", "result", "jobStatus")
WORDS = (
    *(
        "title",
        "description",
        "Message",
        "message",
        "reason",
        "stoppedReason",
        "statusReason",
        "cause",
        "error",
        "errorMessage",
    ),
    *("additional-information", "failureReason", "StatusMessage"),
)
"""Fields of ``detail`` that say what happened."""

_FAILED = re.compile(r"fail|error|\bfault|timed.?out|abort|unhealthy|crash|impaired", re.IGNORECASE)
_SUCCEEDED = frozenset(("SUCCEEDED", "SUCCESS", "COMPLETED", "SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_STEADY_STATE"))
_ALARMING = re.compile(r"\b(?:alert|alarm|finding)s?\b", re.IGNORECASE)
_LONGEST_WORDS = 2000


def detects(body: object) -> bool:
    """An event: it has a detail type, a source and details."""
    return isinstance(body, dict) and "detail-type" in body and "source" in body and "detail" in body


def parse(body: object, raw: bytes, request: Request) -> list[Alert]:
    """One alert."""
    if not isinstance(body, dict):
        raise InvalidRequest("not_an_event", "An EventBridge event is a JSON object.", status=422)
    detail = mapping(body.get("detail"))
    kind = text(body.get("detail-type"))
    if kind == STATE_CHANGE and (_alarm_arn(body) or text(detail.get("alarmName"))):
        alert = alert_of(_alarm(body, detail), raw, request.reading)
    else:
        alert = _event(body, kind, detail, raw, request)
    return [override(_with_replay(alert, body), body, request.reading)]


def _alarm(body: dict[str, object], detail: dict[str, object]) -> Alarm:
    alarm = named_alarm(detail.get("alarmName"), _alarm_arn(body), body.get("account"), body.get("region"))
    change = read_change(alarm, detail)
    return change if change.changed_at else msgspec.structs.replace(change, changed_at=instant(body.get("time")))


def _alarm_arn(body: dict[str, object]) -> str:
    arns = map(text, array(body.get("resources")))
    return next((arn for arn in arns if read_arn(arn).resource.startswith("alarm:")), "")


def _with_replay(alert: Alert, body: dict[str, object]) -> Alert:
    """An event from an archive is marked; it has its old id, so what was heard before isn't heard again."""
    replay = text(body.get("replay-name"))
    return msgspec.structs.replace(alert, labels={**alert.labels, "replay": replay}) if replay else alert


# ------------------------------------------------------------------------------------------------------- other events


def _event(body: dict[str, object], kind: str, detail: dict[str, object], raw: bytes, request: Request) -> Alert:
    subject = _subject(detail)
    sender = text(body.get("source"))
    named = f"{kind}: {subject}" if kind and subject else kind or subject
    title = one_line(named, LONGEST_TITLE) or one_line(sender, LONGEST_TITLE)
    if not title:
        raise InvalidRequest("empty_alert", "The event has neither a detail type nor a source.", status=422)
    message = _message(detail)
    status = _status(kind, detail)
    return Alert(
        source=INFO.name,
        source_id=" ".join((text(body.get("account")), text(body.get("region")), sender, kind, subject))
        if subject
        else "",
        event_id=text(body.get("id")),
        title=title,
        message=message,
        severity=_severity(title, message, detail, request),
        timestamp=instant(body.get("time")),
        raw_data=msgspec.Raw(raw),
        status=status,
        service=_service(sender, detail),
        resource=_resource(body, subject),
        account=text(body.get("account")),
        region=text(body.get("region")),
        labels=_labels(kind, sender, detail),
    )


def _subject(detail: dict[str, object]) -> str:
    subject = next((words for name in SUBJECTS if (words := text(detail.get(name)))), "")
    return short_name(subject) or subject


def _service(sender: str, detail: dict[str, object]) -> str:
    """A task's ECS service, else the sender, which for AWS is the product."""
    kind, _, name = text(detail.get("group")).partition(":")
    return name if kind == "service" and name else sender.removeprefix("aws.")


def _resource(body: dict[str, object], subject: str) -> str:
    arns = map(text, array(body.get("resources")))
    return short_name(next(arns, "")) or ("" if " " in subject else subject)


def _state(detail: dict[str, object]) -> str:
    words = (text(detail.get(name)) or text(mapping(detail.get(name)).get("value")) for name in STATES)
    return next(filter(None, words), "")


def _status(kind: str, detail: dict[str, object]) -> Status:
    if kind == CONFIGURATION_CHANGE:
        return Status.INFO
    if text(detail.get("eventTypeCategory")) == "issue":
        return Status.RESOLVED if text(detail.get("statusCode")) == "closed" else Status.FIRING
    if _says_failure(kind, detail):
        return Status.FIRING
    if _state(detail).upper() in _SUCCEEDED:
        return Status.RESOLVED
    if _ALARMING.search(kind):
        return read_status(_state(detail)) or Status.FIRING
    return Status.FIRING if _level(detail) in (Severity.CRITICAL, Severity.HIGH) else Status.INFO


def _says_failure(kind: str, detail: dict[str, object]) -> bool:
    categories = " ".join(map(text, array(detail.get("EventCategories"))))
    said = (kind, _state(detail), text(detail.get("eventType")), categories)
    return any(_FAILED.search(words[:_LONGEST_WORDS]) for words in said) or _task_broke(detail)


def _task_broke(detail: dict[str, object]) -> bool:
    """An ECS task that stopped by itself: an essential container left with another exit code than 0."""
    if text(detail.get("lastStatus")) != "STOPPED":
        return False
    exits = [number(mapping(container).get("exitCode")) for container in array(detail.get("containers"))]
    return text(detail.get("stopCode")) == "TaskFailedToStart" or any(code not in (None, 0) for code in exits)


def _level(detail: dict[str, object]) -> Severity | None:
    said = detail.get("severity")
    score = number(said) if "schemaVersion" in detail else None
    if score is None:
        return read_level(said) or read_level(detail.get("level"))
    # GuardDuty counts from 1 (low) to 10.
    bounds = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM))
    return next((severity for bound, severity in bounds if score >= bound), Severity.LOW)


def _severity(title: str, message: str, detail: dict[str, object], request: Request) -> Severity:
    judged = _level(detail) or stated(title) or judge(title, message, rules=request.reading.severities)
    return judged or Severity.MEDIUM


def _message(detail: dict[str, object]) -> str:
    lines = [text(detail.get(name)) for name in WORDS]
    descriptions = (text(mapping(item).get("latestDescription")) for item in array(detail.get("eventDescription")))
    exits = (text(mapping(item).get("reason")) for item in array(detail.get("containers")))
    configured = text(mapping(detail.get("configuration")).get("description"))
    said = list(dict.fromkeys(filter(None, [*lines, *descriptions, *exits, configured])))
    state = _state(detail)
    return "\n".join([*said, f"State: {state}"] if state else said)


def _labels(kind: str, sender: str, detail: dict[str, object]) -> dict[str, str]:
    labels = {
        "detail_type": kind,
        "event_source": sender,
        "state": _state(detail),
        "operation": text(detail.get("operation")),
    }
    return {name: value for name, value in labels.items() if value}
