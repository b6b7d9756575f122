"""Notifications of Amazon SNS: the envelope is taken off, and what is inside is read as what it is.

Also the events in which Lambda functions and SQS queues hand notifications on (`Records`).

## Set up

1. In the SNS console open **Topics**, your topic, **Create subscription**.
2. **Protocol** HTTPS, **Endpoint** `https://sns:<API key>@<responder>/v1/sources/sns` (SNS sends the key as HTTP
   Basic). Leave **Enable raw message delivery** off.
3. SNS asks for a confirmation, which comes in as an alert "Confirm the SNS subscription ...". Open the link in it by
   hand. Nothing is ever fetched by itself.

Try it:

    curl -X POST "$RESPONDER_URL/v1/sources/sns" \\
      -H "X-API-Key: $RESPONDER_API_KEY" -H "Content-Type: text/plain; charset=UTF-8" \\
      -d '{"Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
           "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alerts", "Subject": "Nightly backup failed",
           "Message": "orders-db: connection was lost", "Timestamp": "2026-01-01T10:00:00.000Z"}'

## How it is read

- A message that is a JSON object is read by the source that knows it: a CloudWatch alarm has the source
  `cloudwatch_alarm`, and is the same event by every route.
- A message in plain text is an alert with the source `sns`, titled by its subject, else by its first line.
- The confirmation of a subscription, or of its end, is kept and opens nothing.

The API key says who sends. SNS's own signature is not checked yet.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from mcp_responder.model.alert import Alert, Link, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.plumbing.fields import array, instant, mapping, one_line, text
from mcp_responder.ports import Inner, Request, SourceInfo
from mcp_responder.sources._aws import read_arn
from mcp_responder.sources._reading import LONGEST_TITLE, headline, judged, override, raw_items, unmark

INFO = SourceInfo(name="sns", title="Amazon SNS", content_types=("application/json", "text/plain"))
"""SNS calls its JSON plain text."""

NOTIFICATION = "Notification"
CONFIRMATIONS = {
    "SubscriptionConfirmation": (
        "Confirm the SNS subscription to {topic}",
        "Nothing comes from this topic until somebody confirms the subscription: open this address by hand.",
    ),
    "UnsubscribeConfirmation": (
        "The SNS subscription to {topic} was ended",
        "Nothing comes from this topic any more. To restore the subscription open this address by hand.",
    ),
}
_TYPES = frozenset((NOTIFICATION, *CONFIRMATIONS))
_QUEUE = "aws:sqs"


def detects(body: object) -> bool:
    """An envelope, or records that hold some."""
    if not isinstance(body, dict):
        return False
    if "Records" in body:
        return any(map(_is_record, array(body["Records"])[:1]))
    return "Type" in body and _is_envelope(body)


def parse(body: object, raw: bytes, request: Request) -> list[Alert | Inner]:
    """What is in the envelope."""
    if not isinstance(body, dict):
        raise _no_envelope()
    if _is_envelope(body):
        return [_opened(body, raw, request)]
    records = array(body.get("Records"))
    if not any(map(_is_record, records)):
        raise _no_envelope()
    texts = raw_items(raw, "Records")
    pairs = zip(map(mapping, records), texts, strict=True)
    return [_from_record(record, its_text, request) for record, its_text in pairs if _is_record(record)]


def _no_envelope() -> InvalidRequest:
    return InvalidRequest("not_a_notification", "An envelope of SNS has a Type, a TopicArn and a Message.", status=422)


def _is_envelope(body: dict[str, object]) -> bool:
    known = isinstance(body.get("Type"), str) and body["Type"] in _TYPES
    return known and isinstance(body.get("TopicArn"), str) and isinstance(body.get("Message"), str)


def _is_record(record: object) -> bool:
    known = mapping(record)
    in_queue = known.get("eventSource") == _QUEUE and isinstance(known.get("body"), str)
    return in_queue or _is_envelope(mapping(known.get("Sns")))


def _from_record(record: dict[str, object], raw: bytes, request: Request) -> Alert | Inner:
    if "Sns" in record:
        return _opened(mapping(record["Sns"]), raw, request)
    # What a queue holds may be an envelope itself; that has the better id then.
    said, message_id = text(record.get("body")), text(record.get("messageId"))
    return _inner(said, message_id) or _plain({"Message": said, "MessageId": message_id}, raw, request)


def _opened(envelope: dict[str, object], raw: bytes, request: Request) -> Alert | Inner:
    if envelope["Type"] != NOTIFICATION:
        return _confirmation(envelope, raw)
    inner = _inner(text(envelope.get("Message")), text(envelope.get("MessageId")))
    return inner or _plain(envelope, raw, request)


def _inner(said: str, message_id: str) -> Inner | None:
    """A message that is a JSON object with something in it."""
    if not said.startswith("{"):
        return None
    body = said.encode(errors="replace")
    try:
        return Inner(body=body, event_id=message_id) if msgspec.json.decode(body, type=dict) else None
    except (msgspec.DecodeError, RecursionError):
        return None


def _plain(envelope: dict[str, object], raw: bytes, request: Request) -> Alert:
    message = text(envelope.get("Message"))
    title, status = unmark(one_line(text(envelope.get("Subject")), LONGEST_TITLE) or headline(message))
    if not title:
        raise InvalidRequest("empty_alert", "The notification has neither a subject nor a message.", status=422)
    alert = msgspec.structs.replace(
        _told(envelope, raw),
        title=title,
        message=message,
        severity=judged(title, message, "", request.reading),
        status=status or Status.FIRING,
    )
    return override(alert, envelope, request.reading)


def _confirmation(envelope: dict[str, object], raw: bytes) -> Alert:
    title, words = CONFIRMATIONS[text(envelope["Type"])]
    alert = _told(envelope, raw)
    address = text(envelope.get("SubscribeURL"))
    theirs = _is_of_sns(address)
    caution = "" if theirs else "Take care: it is not an address of SNS."
    return msgspec.structs.replace(
        alert,
        title=one_line(title.format(topic=alert.labels.get("topic", "a topic")), LONGEST_TITLE),
        message="\n".join(filter(None, (words, address, caution))),
        severity=Severity.LOW,
        status=Status.INFO,
        links=(Link(name="Confirm", url=address),) if theirs else (),
    )


def _told(envelope: dict[str, object], raw: bytes) -> Alert:
    topic = read_arn(text(envelope.get("TopicArn")))
    return Alert(
        source=INFO.name,
        event_id=text(envelope.get("MessageId")),
        title="",
        timestamp=instant(envelope.get("Timestamp")),
        raw_data=msgspec.Raw(raw),
        account=topic.account,
        region=topic.region,
        labels={"topic": topic.resource} if topic.resource else {},
    )


def _is_of_sns(address: str) -> bool:
    """Whether a person may be sent there: whoever has a key could write anything here."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    return (
        parts.scheme == "https" and host.startswith("sns.") and host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    )
