"""The message of a CloudWatch alarm itself: metric, metric math, anomaly detection and composite alarms.

This is what SNS sends with raw message delivery, and what a Lambda function gets as an alarm action. In SNS's envelope
it is read, too: see `sns`.

## Set up

1. In the SNS console open **Topics**, your alarm topic, **Create subscription**.
2. **Protocol** HTTPS, **Endpoint** `https://sns:<API key>@<responder>/v1/sources/cloudwatch_alarm` (SNS sends the
   key as HTTP Basic), and tick **Enable raw message delivery**. Confirm the subscription by hand: open the
   link of the alert "Confirm the SNS subscription ..." that comes in first.
3. In the CloudWatch console open **Alarms**, your alarm, **Actions, Edit**. Under **Notification** choose the topic for
   **In alarm**, and add it for **OK**, too: only then incidents resolve by themselves.

Try it:

    curl -X POST "$RESPONDER_URL/v1/sources/cloudwatch_alarm" \\
      -H "X-API-Key: $RESPONDER_API_KEY" -H "Content-Type: application/json" \\
      -d '{"AlarmName": "checkout-5xx", "AWSAccountId": "123456789012", "Region": "EU (Ireland)",
           "NewStateValue": "ALARM", "NewStateReason": "Threshold Crossed: 1 datapoint [42.0] was greater than 5.0.",
           "StateChangeTime": "2026-01-01T10:00:00.000+0000", "OldStateValue": "OK"}'

## How it is read

- `ALARM` fires and `OK` resolves; `INSUFFICIENT_DATA` and any other state is kept and opens nothing.
- The alarm's ARN is its identity. The same change by SNS and by EventBridge is one event.
- Severity: what the name or the description says (`[P1]`, `severity: high`, `...-critical`), else the rules on name,
  description, metric and namespace.
- The service is the `ServiceName` or `Service` dimension, else the product (`rds`, `lambda`), else the custom
  namespace. The resource is the dimension that names the thing (`DBInstanceIdentifier`, `FunctionName`).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mcp_responder.model.alert import Alert
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.plumbing.fields import array, instant, mapping, text
from mcp_responder.ports import Request, SourceInfo
from mcp_responder.sources._alarm import (
    Alarm,
    Metric,
    alert_of,
    child_words,
    in_order,
    named_alarm,
    read_change,
    read_dimensions,
)
from mcp_responder.sources._reading import override

INFO = SourceInfo(
    name="cloudwatch_alarm", title="Amazon CloudWatch alarm", content_types=("application/json", "text/plain")
)

_MARKS = frozenset(
    ("NewStateValue", "NewStateReason", "StateChangeTime", "OldStateValue", "AlarmArn", "AWSAccountId", "Trigger")
)
_STATISTICS = {"SUM": "Sum", "AVERAGE": "Average", "MAXIMUM": "Maximum", "MINIMUM": "Minimum"}
"""SNS writes them in capitals, EventBridge as the console does."""


def detects(body: object) -> bool:
    """A message of an alarm, or the event that a Lambda action gets."""
    if not isinstance(body, dict):
        return False
    return ("AlarmName" in body and not _MARKS.isdisjoint(body)) or isinstance(body.get("alarmData"), dict)


def parse(body: object, raw: bytes, request: Request) -> list[Alert]:
    """One alert."""
    if not isinstance(body, dict):
        raise InvalidRequest("not_an_alarm", "The message of a CloudWatch alarm is a JSON object.", status=422)
    alarm = _from_action(body) if isinstance(body.get("alarmData"), dict) else _from_message(body)
    return [override(alert_of(alarm, raw, request.reading), body, request.reading)]


def _from_action(body: dict[str, object]) -> Alarm:
    data = mapping(body.get("alarmData"))
    alarm = named_alarm(data.get("alarmName"), body.get("alarmArn"), body.get("accountId"), body.get("region"))
    change = read_change(alarm, data)
    return change if change.changed_at else msgspec.structs.replace(change, changed_at=instant(body.get("time")))


def _from_message(body: dict[str, object]) -> Alarm:
    alarm = named_alarm(body.get("AlarmName"), body.get("AlarmArn"), body.get("AWSAccountId"), body.get("Region"))
    trigger = mapping(body.get("Trigger"))
    return msgspec.structs.replace(
        alarm,
        description=text(body.get("AlarmDescription")),
        state=text(body.get("NewStateValue")),
        reason=text(body.get("NewStateReason")),
        changed_at=instant(body.get("StateChangeTime")),
        old_state=text(body.get("OldStateValue")),
        suppressed_by=text(body.get("ActionsSuppressedBy")),
        rule=text(body.get("AlarmRule")),
        children=tuple(filter(None, _children(body))),
        metrics=in_order(_metrics(trigger)),
        threshold=text(trigger.get("Threshold")),
        comparison=text(trigger.get("ComparisonOperator")),
    )


def _children(body: dict[str, object]) -> Iterator[str]:
    for child in map(mapping, array(body.get("TriggeringChildren"))):
        yield child_words(child.get("Arn"), mapping(child.get("State")).get("Value"))


def _metrics(trigger: dict[str, object]) -> Iterator[Metric]:
    metrics = array(trigger.get("Metrics"))
    if not metrics and (trigger.get("MetricName") or trigger.get("Namespace")):
        yield _metric(trigger, trigger, trigger)
    for item in map(mapping, metrics):
        measured = mapping(item.get("MetricStat"))
        yield _metric(item, measured, mapping(measured.get("Metric")))


def _metric(item: dict[str, object], measured: dict[str, object], metric: dict[str, object]) -> Metric:
    statistic = text(measured.get("Stat")) or text(measured.get("ExtendedStatistic")) or text(measured.get("Statistic"))
    return Metric(
        metric_id=text(item.get("Id")),
        name=text(metric.get("MetricName")),
        namespace=text(metric.get("Namespace")),
        dimensions=read_dimensions(metric.get("Dimensions")),
        statistic=_STATISTICS.get(statistic, statistic),
        period=text(measured.get("Period")),
        expression=text(item.get("Expression")),
        label=text(item.get("Label")),
        watched=item.get("ReturnData") is not False,
    )
