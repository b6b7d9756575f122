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

- `ALARM` fires and `OK` resolves, whatever the subject says; `INSUFFICIENT_DATA` and any other state is kept and opens
  nothing, and so is an alarm while its actions are suppressed or muted.
- The alarm's ARN is its identity; without one it is made of account, region and name. The same change by SNS and by
  EventBridge is one event. Of an alarm over many time series each (`AlarmContributorId`) fires and resolves by itself.
- Severity: what the name or the description says (`[P1]`, `severity: high`, `...-critical`), else the rules on name,
  description, metric, namespace, and the children of a composite alarm.
- The service is the alarm's tag `service`, `app` or `component`, else the dimension `ServiceName` or `Service`, else
  the product (`rds`, `lambda`), else the custom namespace. The tags `environment` and `team` are read, too; tags come
  along if the alarm propagates them. The resource is the dimension that names the thing (`DBInstanceIdentifier`).
- Links: the alarm and its children in the console, and the addresses in the description: write "Runbook: https://...".
"""

from __future__ import annotations

import msgspec

from mcp_responder.model.alert import Alert
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.plumbing.fields import instant, mapping
from mcp_responder.ports import Request, SourceInfo
from mcp_responder.sources._alarm import alert_of, named_alarm, read_change, read_message
from mcp_responder.sources._reading import is_address, override, read_links

INFO = SourceInfo(
    name="cloudwatch_alarm",
    title="Amazon CloudWatch alarm",
    content_types=("application/json", "text/plain"),
    marks=frozenset(("AlarmName", "alarmData")),
)

_MARKS = frozenset(
    ("NewStateValue", "NewStateReason", "StateChangeTime", "OldStateValue", "AlarmArn", "AWSAccountId", "Trigger")
)


def detects(body: object) -> bool:
    """A message of an alarm, or the event that a Lambda action gets."""
    if not isinstance(body, dict):
        return False
    return ("AlarmName" in body and not _MARKS.isdisjoint(body)) or isinstance(body.get("alarmData"), dict)


def parse(body: object, raw: bytes, request: Request) -> list[Alert]:
    """One alert."""
    if not isinstance(body, dict):
        raise InvalidRequest("not_an_alarm", "The message of a CloudWatch alarm is a JSON object.", status=422)
    read = _from_action if isinstance(body.get("alarmData"), dict) else _from_message
    return [override(read(body, raw, request), body, request.reading)]


def _from_action(body: dict[str, object], raw: bytes, request: Request) -> Alert:
    data = mapping(body.get("alarmData"))
    alarm = named_alarm(data.get("alarmName"), body.get("alarmArn"), body.get("accountId"), body.get("region"))
    change = read_change(alarm, data)
    timed = change if change.changed_at else msgspec.structs.replace(change, changed_at=instant(body.get("time")))
    return alert_of(timed, raw, request.reading)


def _from_message(body: dict[str, object], raw: bytes, request: Request) -> Alert:
    alarm = named_alarm(body.get("AlarmName"), body.get("AlarmArn"), body.get("AWSAccountId"), body.get("Region"))
    # An alarm on logs brings the address of its query.
    links = read_links({name: value for name, value in body.items() if is_address(value)})
    return alert_of(read_message(alarm, body), raw, request.reading, links)
