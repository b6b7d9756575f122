"""Notifications of Amazon SNS: the envelope is verified and taken off, and what is inside is read as what it is.

Also the events in which Lambda functions and SQS queues hand notifications on (`Records`), and raw delivery.

## Set up

1. Name the topics that may send, in `responder.toml` (or `RESPONDER_SOURCES__SNS__TOPICS`), and restart. `*` stands for
   anything but a colon: `arn:aws:sns:*:123456789012:*` is every topic of an account.

        [sources.sns]
        topics = ["arn:aws:sns:eu-west-1:123456789012:alarms"]

2. In the SNS console open **Topics**, your topic, **Create subscription**. **Protocol** HTTPS, **Endpoint**
   `https://<responder>/v1/sources/sns`. Leave **Enable raw message delivery** off. The responder's certificate must be
   a public authority's, for SNS trusts no other.
3. The subscription's **Status** goes from **Pending confirmation** to **Confirmed** within seconds. If it doesn't,
   `mcp-responder alerts --source sns` has the alert that came, and `mcp-responder why <alert id>` says what became of
   it.
4. In the CloudWatch console open **Alarms**, your alarm, **Actions**, **Edit**. Under **Configure actions** choose the
   **Alarm state trigger** **In alarm**, **Select an existing SNS topic**, and the topic. **Add notification** for
   **OK**: without it no incident ends by itself.

With the AWS CLI:

    TOPIC=$(aws sns create-topic --name alarms --attributes SignatureVersion=2 --query TopicArn --output text)
    aws sns subscribe --topic-arn "$TOPIC" --protocol https \\
      --notification-endpoint "https://responder.example.com/v1/sources/sns"
    aws sns list-subscriptions-by-topic --topic-arn "$TOPIC"
    aws sns publish --topic-arn "$TOPIC" --subject "Test" --message "Disk full on web-1"

With Terraform:

    resource "aws_sns_topic" "alarms" {
      name              = "alarms"
      signature_version = 2
    }

    resource "aws_sns_topic_subscription" "responder" {
      topic_arn              = aws_sns_topic.alarms.arn
      protocol               = "https"
      endpoint               = "https://responder.example.com/v1/sources/sns"
      endpoint_auto_confirms = true
    }

    resource "aws_cloudwatch_metric_alarm" "cpu" {
      # ...
      alarm_actions = [aws_sns_topic.alarms.arn]
      ok_actions    = [aws_sns_topic.alarms.arn]
    }

IAM: the responder needs no rights in AWS. Whoever sets this up needs `sns:CreateTopic`, `sns:SetTopicAttributes`,
`sns:Subscribe` and `sns:ListSubscriptionsByTopic`. Alarms of the topic's own account may publish by its default policy;
rules of EventBridge need a statement in the topic's **Access policy**:

    {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish",
     "Resource": "arn:aws:sns:eu-west-1:123456789012:alarms"}

A topic that is encrypted with a key of your own must let `cloudwatch.amazonaws.com` use that key (`kms:Decrypt`,
`kms:GenerateDataKey*`).

Try it; an envelope without SNS's signature is refused with `not_verifiable`, unless `verify` is false:

    curl -X POST "$RESPONDER_URL/v1/sources/sns" \\
      -H "X-API-Key: $RESPONDER_API_KEY" -H "Content-Type: text/plain; charset=UTF-8" \\
      -d '{"Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
           "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alerts", "Subject": "Nightly backup failed",
           "Message": "orders-db: connection was lost", "Timestamp": "2026-01-01T10:00:00.000Z"}'

## Who may send

- **Without an API key** comes in what SNS has signed (`SignatureVersion` 1 or 2) for one of the `topics`: all of the
  request, or none of it. Anybody with an AWS account can have SNS sign a message, so the list says who may send. At
  most `keyless_per_minute` such requests are taken. The alerts' key is shown as `signature`.
- **With an API key**, as `https://sns:<API key>@<responder>/v1/sources/sns` (SNS sends it as HTTP Basic), any topic may
  send. The signature is verified all the same; `verify = false` takes what isn't signed.
- **A wrong signature** is 403. The certificate comes from SNS's own hosts only, and its chain, dates and names are
  checked. Can't it be fetched, the answer is 503 with `Retry-After`, and SNS sends again: by default three times within
  a minute. **Delivery policy (HTTP/S)** makes that longer, and **Redrive policy (dead-letter queue)** keeps the rest.
- **Private clouds**: `hosts` are further hosts that sign and confirm, `certificate_authorities` is a PEM file of
  authorities that vouch for them.

## Confirmations

The subscription of one of the `topics` is confirmed by itself: the alert asks for it, a task fetches `SubscribeURL`,
and only if that is SNS's `ConfirmSubscription` of this very topic and token. Redirects aren't followed. While SNS can't
be reached it is tried again as `retry` says; what SNS refuses is a dead letter. A subscription of any other topic waits
for a person: its alert, "Confirm the SNS subscription ...", has the link.

## How it is read

- A message that is a JSON object, or an array of them, is read by the source that knows it: a CloudWatch alarm has the
  source `cloudwatch_alarm`, and is the same event by every route. JSON that nobody knows is read as `generic`, and
  titled by the notification's subject if it has no title. Three envelopes deep that is done; the rest is text.
- A message in plain text is an alert with the source `sns`, titled by its subject, else by its first line.
- What comes twice is one event: its id is the `MessageId`, unless the message inside has a better one.
- **Raw message delivery** has no envelope and no signature, so it needs an API key. The message is read as if it came
  alone, with the header `x-amz-sns-message-id` as the event's id.
- The confirmation of a subscription, or of its end, is kept and opens nothing. So is a notification without words.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from mcp_responder.model.alert import Alert, Link, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.plumbing.fields import array, instant, mapping, one_line, text
from mcp_responder.ports import Inner, Reading, Request, Signed, SourceInfo, SourceSettings
from mcp_responder.sources._aws import read_arn
from mcp_responder.sources._aws_text import read_text
from mcp_responder.sources._packed import check_count
from mcp_responder.sources._reading import LONGEST_TITLE, headline, judged, override, raw_items, unmark
from mcp_responder.sources._sns_signature import CONFIRM, confirmation_url, hosts_of, is_endpoint, is_listed, seal_of


class SnsSettings(SourceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to believe that he is Amazon SNS."""

    verify: bool = True
    """Whether SNS's signature is checked; false takes any envelope that comes with an API key."""
    topics: tuple[str, ...] = ()
    """ARNs of topics, in which * stands for anything but a colon. What they have signed needs no API key, and their
    subscriptions are confirmed without a person."""
    keyless_per_minute: Annotated[int, Meta(ge=0)] = 6000
    """Most requests a minute without an API key; 0 is no limit."""
    hosts: tuple[str, ...] = ()
    """Hosts beside AWS's own that sign and confirm, for private clouds: "sns.cloud.example", "http://127.0.0.1:4566"."""
    certificate_authorities: str = ""
    """File (PEM) with authorities that are trusted beside the system's, for certificates of such hosts."""

    def __post_init__(self) -> None:
        for topic in self.topics:
            if not topic.startswith("arn:") or topic.count(":") != _COLONS:
                raise ValueError(f"'{topic}' is no ARN of a topic: write arn:aws:sns:REGION:ACCOUNT:NAME")
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"'{host}' is no host: write NAME, NAME:PORT or http://NAME:PORT")


_COLONS = 5
"""In the ARN of a topic."""
_HOST = re.compile(r"(https?://)?[A-Za-z0-9.-]+(:\d{1,5})?", re.ASCII)
_DEFAULTS = SnsSettings()


def _settings(reading: Reading) -> SnsSettings:
    return reading.own if isinstance(reading.own, SnsSettings) else _DEFAULTS


def expected_hosts(settings: SnsSettings) -> frozenset[str]:
    """Where the certificates of listed topics are, as far as the list says it, and the user's own hosts."""
    own = (host.rstrip("/").rpartition("/")[2] for host in settings.hosts)
    return hosts_of(settings.topics).union(own)


def confirmation(alert: Alert, reading: Reading) -> str:
    """The address that confirms the subscription which an alert tells of, if its topic is listed; else empty."""
    if alert.status is not Status.INFO:
        return ""
    envelope = _envelope_of(msgspec.json.decode(alert.raw_data))
    return _confirmable(envelope, _settings(reading)) if _is_envelope(envelope) else ""


def _confirmable(envelope: dict[str, object], settings: SnsSettings) -> str:
    listed = is_listed(text(envelope.get("TopicArn")), settings.topics)
    return confirmation_url(envelope, settings.hosts) if listed and text(envelope.get("MessageId")) else ""


def signs(body: object) -> bool:
    """Whether a body is an envelope, or records that are all envelopes."""
    known = mapping(body)
    records = array(known.get("Records"))
    return _is_envelope(known) or (bool(records) and all(_is_envelope(_envelope_of(record)) for record in records))


INFO = SourceInfo(
    name="sns",
    title="Amazon SNS",
    # SNS calls its JSON plain text.
    content_types=("application/json", "text/plain"),
    marks=frozenset(("Type", "Records")),
    # A message has up to 256 KB, and grows when it becomes a text in a JSON text.
    largest_body=1024 * 1024,
    settings=SnsSettings,
    event_header="x-amz-sns-message-id",
    signs=signs,
    confirmation=confirmation,
)

NOTIFICATION = "Notification"
ENDED = "UnsubscribeConfirmation"
_TYPES = frozenset((NOTIFICATION, CONFIRM, ENDED))
_QUEUE = "aws:sqs"


def detects(body: object) -> bool:
    """An envelope, or records that hold some."""
    if not isinstance(body, dict):
        return False
    if "Records" in body:
        return any(map(_is_record, array(body["Records"])[:1]))
    return "Type" in body and _is_envelope(body)


def parse(body: object, raw: bytes, request: Request) -> list[Alert | Inner | Signed]:
    """What is in the envelope."""
    if not isinstance(body, dict):
        raise _no_envelope()
    if _is_envelope(body):
        return [_signed(body, raw, request)]
    records = array(body.get("Records"))
    if not any(map(_is_record, records)):
        raise _no_envelope()
    check_count(len(records), "records")
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
    return in_queue or _is_envelope(_envelope_of(known))


def _envelope_of(body: object) -> dict[str, object]:
    """The one in a body, or in a record of Lambda's: always the same one, for only that is verified."""
    known = mapping(body)
    return known if _is_envelope(known) else mapping(known.get("Sns"))


def _from_record(record: dict[str, object], raw: bytes, request: Request) -> Alert | Inner | Signed:
    envelope = _envelope_of(record)
    if _is_envelope(envelope):
        return _signed(envelope, raw, request)
    # What a queue holds may be an envelope itself; that has the better id then.
    return _opened({"Message": record.get("body"), "MessageId": record.get("messageId")}, raw, request)


def _signed(envelope: dict[str, object], raw: bytes, request: Request) -> Signed:
    settings, topic = _settings(request.reading), text(envelope.get("TopicArn"))
    notification = envelope["Type"] == NOTIFICATION
    return Signed(
        inside=partial(_opened, envelope, raw, request)
        if notification
        else partial(_confirmation, envelope, raw, settings),
        signer=f"the topic '{one_line(topic, LONGEST_TITLE)}'",
        required=settings.verify,
        listed=is_listed(topic, settings.topics),
        seal=seal_of(envelope, settings.hosts),
    )


def _opened(envelope: dict[str, object], raw: bytes, request: Request) -> Alert | Inner:
    plain, said = _plain(envelope, raw, request), _message(envelope)
    if not _holds_json(said):
        return plain
    title = one_line(text(envelope.get("Subject")), LONGEST_TITLE)
    return Inner(body=said.encode(errors="replace"), event_id=plain.event_id, title=title, otherwise=plain)


def _message(envelope: dict[str, object]) -> str:
    # Windows' tools put a mark in front.
    return text(text(envelope.get("Message")).removeprefix("\ufeff"))


def _holds_json(said: str) -> bool:
    """Whether a message is a JSON object, or an array of some, with something in it."""
    if not said.startswith(("{", "[")):
        return False
    try:
        body = msgspec.json.decode(said.encode(errors="replace"))
    except (msgspec.DecodeError, RecursionError):
        return False
    return bool(body) and (isinstance(body, dict) or any(isinstance(item, dict) for item in body))


def _plain(envelope: dict[str, object], raw: bytes, request: Request) -> Alert:
    message, told = _message(envelope), _told(envelope, raw)
    title, status = unmark(one_line(text(envelope.get("Subject")), LONGEST_TITLE) or headline(message))
    if not title:
        # SNS lets blanks through, and sends again and again what is refused.
        return msgspec.structs.replace(told, title="Empty notification", severity=Severity.LOW, status=Status.INFO)
    alert = read_text(title, message, told, request.reading) or msgspec.structs.replace(
        told,
        title=title,
        message=message,
        severity=judged(title, message, "", request.reading),
        status=status or Status.FIRING,
    )
    return override(alert, envelope, request.reading)


def _confirmation(envelope: dict[str, object], raw: bytes, settings: SnsSettings) -> Alert:
    alert = _told(envelope, raw)
    title, lines, link = _asks(envelope, settings) if envelope["Type"] == CONFIRM else _ended(envelope, settings)
    return msgspec.structs.replace(
        alert,
        title=one_line(title.format(topic=alert.labels.get("topic", "a topic")), LONGEST_TITLE),
        message="\n".join(filter(None, lines)),
        severity=Severity.LOW,
        status=Status.INFO,
        links=(Link(name="Confirm" if envelope["Type"] == CONFIRM else "Subscribe again", url=link),) if link else (),
    )


def _asks(envelope: dict[str, object], settings: SnsSettings) -> tuple[str, tuple[str, ...], str]:
    """Title, message and link of an alert that asks for a confirmation."""
    confirmable = _confirmable(envelope, settings)
    if confirmable:
        words = "The topic is listed, so its subscription is confirmed by itself; `why` says how that ended."
        return "SNS subscription to {topic}: confirmed by itself", (words, confirmable), confirmable
    words = "Nothing comes from this topic until somebody confirms the subscription: open this address by hand."
    address, caution, link = _shown(envelope, settings)
    return "Confirm the SNS subscription to {topic}", (words, address, caution), link


def _ended(envelope: dict[str, object], settings: SnsSettings) -> tuple[str, tuple[str, ...], str]:
    words = "Nothing comes from this topic any more. To restore the subscription open this address by hand."
    address, caution, link = _shown(envelope, settings)
    return "The SNS subscription to {topic} was ended", (words, address, caution), link


def _shown(envelope: dict[str, object], settings: SnsSettings) -> tuple[str, str, str]:
    """The address, a caution, and the address again if a person may be sent there: anybody could have written it."""
    address = text(envelope.get("SubscribeURL") or envelope.get("SubscribeUrl"))
    theirs = is_endpoint(address, settings.hosts)
    return address, "" if theirs else "Take care: it is not an address of SNS.", address if theirs else ""


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
