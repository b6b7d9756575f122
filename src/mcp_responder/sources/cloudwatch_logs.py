"""Amazon CloudWatch Logs: what a subscription filter sends, by Firehose, by Kinesis, or by a Lambda function.

## Set up

With Amazon Data Firehose, without code:

1. In the Firehose console choose **Create Firehose stream**: **Source** Direct PUT, **Destination** HTTP Endpoint.
2. **HTTP endpoint URL** `https://<responder>/v1/sources/cloudwatch_logs`. **Access key**: an API key of scope `ingest`.
   **Content encoding** may be GZIP. Leave **Turn on decompression** off; with it, leave **Turn on message extraction**
   off, which would take away the log group.
3. **Buffer hints**: **Buffer size** 1 MiB, **Buffer interval** as short as you want alerts early (0 to 60 seconds).
   **Retry duration** 7200 seconds outlasts a restart of the responder. **S3 backup bucket**: failed data only.
4. Subscribe each log group. An empty pattern lets the lines of a stack trace come along that are events of their own:

       aws logs put-subscription-filter --log-group-name /aws/lambda/checkout --filter-name responder \\
         --filter-pattern "" --destination-arn arn:aws:firehose:eu-west-1:123456789012:deliverystream/responder \\
         --role-arn arn:aws:iam::123456789012:role/logs-to-firehose

   Where an error is one event (Lambda, JSON lines), a pattern saves traffic:
   `?ERROR ?Error ?WARN ?Exception ?"timed out" ?"Runtime exited"`.

Or with a Lambda function as the destination of the filter, which posts each event as it is:

    import json, os, urllib.request

    def handler(event, context):
        headers = {"X-API-Key": os.environ["KEY"], "Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(os.environ["URL"], json.dumps(event).encode(), headers))

So it may with the events of a Kinesis stream. Never subscribe the log group of that function itself.

Try it, with what is inside of such an event:

    curl -X POST "$RESPONDER_URL/v1/sources/cloudwatch_logs" \\
      -H "X-API-Key: $RESPONDER_API_KEY" -H "Content-Type: application/json" \\
      -d '{"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/lambda/checkout",
           "logStream": "2026/01/01/[$LATEST]4f1c", "subscriptionFilters": ["responder"],
           "logEvents": [{"id": "37199717562907174288355125807040114704837640994633613312",
                          "timestamp": 1767261600000, "message": "[ERROR] payment provider refused the charge"}]}'

## How it is read

- An event at WARN or worse is an alert: FATAL and CRITICAL are CRITICAL, ERROR is HIGH, WARN is MEDIUM, unless a rule
  of `sources.cloudwatch_logs.severities` says otherwise. Without a level the words decide: exceptions and failures
  fire, "0 errors" doesn't. Lambda's START, END and REPORT fire only with a status that says timeout or error.
- The lines of a stack trace, indented lines, and the trace below the error that it belongs to are one event.
- All other events are counted, in one alert a log group and request that is kept and opens nothing: "12 log events
  below WARN in ...". Nothing is lost in silence, and nothing floods the store.
- JSON lines are read with the usual names of level, message, error, stack trace, request id, logger and service.
- The service is the line's own (`service`, `service.name`), else by the group: `/aws/lambda/NAME`, `/ecs/NAME`,
  `/aws/rds/instance/NAME/...`. The resource is the group, the account its owner.
- A log has no end of trouble: these alerts fire and never resolve. Resolve their incidents by hand, or send an alarm.
- A record of a stream that is no log but what another source knows (a notification of SNS, an event of EventBridge) is
  read by that source, its signature verified.
- Control messages are ignored. An event that comes twice is one. What can't be unpacked is an alert of its own.
- At most 8 MiB come in one request, and at most 16 MiB or 20,000 log events unpacked; more is refused with 413, which
  Firehose takes to the S3 backup. A filter pattern, or a smaller **Buffer size**, keeps a busy group below that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import isfinite
from typing import Any, NamedTuple

import msgspec

from mcp_responder.model.alert import Alert, Link, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.model.severity import SeverityRule, pattern_of
from mcp_responder.plumbing.fields import array, instant, mapping, number, one_line, text
from mcp_responder.plumbing.minted import is_minted
from mcp_responder.ports import Inner, Request, SourceInfo
from mcp_responder.sources._aws import is_region, read_arn
from mcp_responder.sources._log_events import Entry, Event, joined
from mcp_responder.sources._log_groups import group_page, owner_of, stream_page
from mcp_responder.sources._log_objects import ENVIRONMENTS, FUNCTIONS, SERVICES, first
from mcp_responder.sources._packed import MOST_EVENTS, Unpacker, Unreadable, check_count
from mcp_responder.sources._reading import decode_array, decode_object, override, raw_items

LARGEST_BODY = 8 * 1024 * 1024
LARGEST_UNPACKED = 16 * 1024 * 1024
"""Bytes of all records of a request together."""
LONGEST_NAME = 512
"""Characters of a log group's or a log stream's name."""
_MOST_REASONS = 5
_MESSAGES = frozenset(("DATA_MESSAGE", "CONTROL_MESSAGE"))
_REQUEST_ID = "x-amz-firehose-request-id"
_STREAM_ARN = "x-amz-firehose-source-arn"


class _Delivery(msgspec.Struct, frozen=True):
    """What Firehose must get back of its request."""

    requestId: str = ""  # noqa: N815
    records: msgspec.Raw = msgspec.Raw()


def answer(request: Request) -> Mapping[str, object]:
    """What Firehose calls a success; nothing for whoever isn't Firehose."""
    request_id = request.headers.get(_REQUEST_ID, "")
    if not request_id:
        try:
            delivery = msgspec.json.decode(request.body, type=_Delivery)
        except (msgspec.DecodeError, RecursionError):
            return {}
        request_id = delivery.requestId if bytes(delivery.records) else ""
    at = int(request.received_at.timestamp() * 1000)
    return {"requestId": request_id, "timestamp": at} if request_id else {}


INFO = SourceInfo(
    name="cloudwatch_logs",
    title="Amazon CloudWatch Logs",
    # Raw message delivery of SNS calls its JSON plain text, and never sends again what is refused.
    content_types=("application/json", "text/plain"),
    marks=frozenset(("logEvents", "messageType", "awslogs", "Records", "records")),
    key_headers=("x-amz-firehose-access-key",),
    largest_body=LARGEST_BODY,
    unpacks=True,
    reply=answer,
    resolves=False,
)


def detects(body: object) -> bool:
    """A subscription's message, packed or not, or records that hold some."""
    if not isinstance(body, dict):
        return False
    if "logEvents" in body or "messageType" in body:
        return _is_message(body)
    return _is_packed(body) or _is_kinesis(body) or _is_firehose(body)


def parse(body: object, raw: bytes, request: Request) -> list[Alert | Inner]:
    """An alert for each event that tells of trouble, one a log group that counts the others, and what is no log."""
    if not isinstance(body, dict) or not detects(body):
        raise InvalidRequest("no_log_events", "A message of CloudWatch Logs has logEvents or packed data.", status=422)
    if _is_message(body):
        return [*_alerts([_Message(decode_object(raw), "")], request)]
    found, reasons = _unpacked(_records(body, raw, request), request)
    if reasons and not found:
        words = f"None of the records can be read: {'; '.join(reasons[:_MOST_REASONS])}."
        raise InvalidRequest("unreadable_records", words, status=422)
    messages = [item for item in found if isinstance(item, _Message)]
    others = [item for item in found if isinstance(item, Inner)]
    return [*_alerts(messages, request), *others, *_unread(body, raw, reasons)]


def _is_message(body: dict[str, object]) -> bool:
    kind = body.get("messageType")
    return isinstance(body.get("logEvents"), list) or (isinstance(kind, str) and kind in _MESSAGES)


def _is_packed(body: dict[str, object]) -> bool:
    return isinstance(mapping(body.get("awslogs")).get("data"), str)


def _is_kinesis(body: dict[str, object]) -> bool:
    return any(
        isinstance(mapping(mapping(record).get("kinesis")).get("data"), str) for record in array(body.get("Records"))
    )


def _is_firehose(body: dict[str, object]) -> bool:
    known = "deliveryStreamArn" in body or ("requestId" in body and "timestamp" in body)
    return known and isinstance(body.get("records"), list)


# ------------------------------------------------------------------------------------------------------------ unpacking


class _Record(NamedTuple):
    """Packed data, and the region in which it was handed on."""

    data: object
    region: str
    by_stream: bool = True
    """It came through a stream, which may have taken the message apart to its lines."""


def _records(body: dict[str, object], raw: bytes, request: Request) -> Iterator[_Record]:
    if _is_packed(body):
        yield _Record(mapping(body["awslogs"])["data"], "", by_stream=False)
        return
    for record in map(mapping, array(body.get("Records"))):
        region = text(record.get("awsRegion")) or read_arn(text(record.get("eventSourceARN"))).region
        yield _Record(mapping(record.get("kinesis")).get("data"), _region(region))
    arn = text(body.get("deliveryStreamArn")) or request.headers.get(_STREAM_ARN, "")
    region = _region(read_arn(arn).region or text(body.get("region")))
    yield from (_Record(mapping(record).get("data"), region) for record in array(body.get("records")))


def _region(code: str) -> str:
    return code if is_region(code) else ""


def _unpacked(records: Iterable[_Record], request: Request) -> tuple[list[_Message | Inner], list[str]]:
    """What is in all records, and why others can't be read."""
    unpacker = Unpacker(LARGEST_UNPACKED)
    records = list(records)
    check_count(len(records), "records")
    found: list[_Message | Inner] = []
    reasons: list[str] = []
    for place, record in enumerate(records, 1):
        try:
            if not isinstance(record.data, str):
                raise Unreadable("it has no data")  # noqa: TRY301
            found += _messages(unpacker.unpack(record.data), record, request)
        except Unreadable as error:
            reasons.append(f"record {place}: {error}")
    return found, reasons


def _messages(data: bytes, record: _Record, request: Request) -> Sequence[_Message | Inner]:
    """One or several messages, on lines of their own or right behind each other; else what another source knows, and
    lines."""
    try:
        # Raw values aren't looked into: whether all letters can be read shows only now.
        msgspec.json.decode(data)
        found = [decode_object(data)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _objects(data.decode("utf-8", "replace"))
    messages = [_Message(fields, record.region) for fields in found if "logEvents" in fields or "messageType" in fields]
    if messages or not data.strip():
        return messages
    if not record.by_stream or not _is_text(data):
        raise Unreadable("it is no message of CloudWatch Logs")
    others, lines = _told_apart(data.decode(), request)
    return [*others, *([_Message(_of_lines(lines), record.region)] if lines else [])]


def _told_apart(words: str, request: Request) -> tuple[list[Inner], list[str]]:
    """What other sources know in the text of a record, whole or line by line; and the lines of a log."""
    if _is_others(words, request):
        return [Inner(body=words.encode())], []
    others: list[Inner] = []
    lines: list[str] = []
    for line in filter(str.strip, words.split("\n")):
        if _is_others(line, request):
            others.append(Inner(body=line.encode()))
        else:
            lines.append(line)
    return others, lines


def _is_others(words: str, request: Request) -> bool:
    """Whether it is an object that another source knows. What holds packed data itself isn't unpacked again."""
    if not words.lstrip().startswith("{"):
        return False
    try:
        body = msgspec.json.decode(words)
    except (msgspec.DecodeError, RecursionError):
        return False
    return not detects(body) and request.knows(body)


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def _objects(words: str) -> list[dict[str, msgspec.Raw]]:
    """JSON objects in a row. Letters that can't be read are mended, for which it is written anew."""
    found: list[dict[str, msgspec.Raw]] = []
    decode = json.JSONDecoder(parse_constant=lambda _: None).raw_decode
    at = words.find("{")
    while at >= 0:
        try:
            value, end = decode(words, at)
            mended = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
            found.append(decode_object(mended))
        except (ValueError, RecursionError):
            break
        at = words.find("{", end)
        if words[end:at].strip():
            break
    return found


def _of_lines(lines: Iterable[str]) -> dict[str, msgspec.Raw]:
    """A message of lines that a stream sends without what was around them."""
    return {"logEvents": msgspec.Raw(msgspec.json.encode([{"message": line} for line in lines]))}


# -------------------------------------------------------------------------------------------------------------- reading


class _LogEvent(NamedTuple):
    """One log event and its exact JSON."""

    raw: msgspec.Raw
    event_id: str
    at: object
    message: str


class _Message:
    """What a subscription sends at once: events of one log stream."""

    def __init__(self, fields: dict[str, msgspec.Raw], region: str) -> None:
        self.raw = fields
        said = {name: _value(raw) for name, raw in fields.items() if name != "logEvents"}
        self.body = said
        self.control = text(said.get("messageType")) == "CONTROL_MESSAGE"
        self.owner = one_line(text(said.get("owner")), LONGEST_NAME)
        self.group = one_line(text(said.get("logGroup")), LONGEST_NAME)
        self.stream = one_line(text(said.get("logStream")), LONGEST_NAME)
        self.filters = ", ".join(filter(None, map(text, array(said.get("subscriptionFilters")))))
        self.region = region
        self.items = _items(fields.get("logEvents"))

    @property
    def log(self) -> tuple[str, str, str]:
        """Of which log stream it is."""
        return (self.owner, self.group, self.stream)

    def events(self) -> Iterator[_LogEvent]:
        """All events in their order; one that can't be read has no words."""
        for raw in self.items:
            event = _value(raw)
            known = mapping(event)
            words = event if isinstance(event, str) else _message(known)
            yield _LogEvent(raw, text(known.get("id")), known.get("timestamp"), words)

    def part(self, events: Iterable[_LogEvent]) -> msgspec.Raw:
        """The message as if it held only these events, each as it was sent."""
        kept = {**self.raw, "logEvents": msgspec.Raw(b"[" + b",".join(bytes(event.raw) for event in events) + b"]")}
        return msgspec.Raw(msgspec.json.encode(kept))


def _value(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def _items(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    try:
        return decode_array(raw) if raw is not None else []
    except (msgspec.DecodeError, RecursionError):
        return []


def _message(event: dict[str, object]) -> str:
    """The words of an event; an object where a transformer of the log group made one."""
    said = event.get("message")
    if isinstance(said, dict):
        return msgspec.json.encode(said).decode()
    return said if isinstance(said, str) else text(said)


class _Log:
    """The events of one log stream in a request, in the order in which they happened."""

    def __init__(self, message: _Message) -> None:
        self.message = message
        self._events: list[_LogEvent] = []
        self._known: set[str] = set()

    def add(self, event: _LogEvent) -> None:
        """Take an event that isn't here yet."""
        if not event.event_id or event.event_id not in self._known:
            self._known.add(event.event_id)
            self._events.append(event)

    @cached_property
    def events(self) -> list[_LogEvent]:
        """In the order of their times; what has none stays behind what it followed."""
        times = self._times(self._events)
        return [event for _, event in sorted(zip(times, self._events, strict=True), key=lambda pair: pair[0])]

    @staticmethod
    def _times(events: list[_LogEvent]) -> list[float]:
        """Seconds."""
        times: list[float] = []
        for event in events:
            milliseconds = number(event.at)
            known = milliseconds is not None and isfinite(milliseconds)
            times.append(milliseconds / 1000 if milliseconds is not None and known else times[-1] if times else 0.0)
        return times

    def read(self) -> Iterator[tuple[Event, list[_LogEvent]]]:
        """What the log tells, event by event, and of which log events each is made."""
        entries = [Entry(event.message) for event in self.events]
        request_id = ""
        for span in joined(entries, self._times(self.events)):
            request_id = entries[span.start].started or request_id
            yield Event(entries[span.start : span.stop], request_id), self.events[span.start : span.stop]


def _logs(messages: Iterable[_Message]) -> list[_Log]:
    logs: dict[tuple[str, str, str], _Log] = {}
    for message in messages:
        if not message.control:
            log = logs.setdefault(message.log, _Log(message))
            for event in message.events():
                log.add(event)
    return list(logs.values())


# --------------------------------------------------------------------------------------------------------------- alerts


_TELLING = (Severity.CRITICAL, Severity.HIGH)
"""A warning doesn't say why the request failed."""


def _alerts(messages: list[_Message], request: Request) -> list[Alert]:
    check_count(sum(len(message.items) for message in messages), "log events", MOST_EVENTS)
    alerts: list[Alert] = []
    quiet: dict[tuple[str, str], list[tuple[_Message, _LogEvent]]] = {}
    for log in _logs(messages):
        read = list(log.read())
        told = {event.request_id for event, _ in read if event.level in _TELLING and not event.echo}
        for event, parts in read:
            if event.level is Severity.LOW or (event.echo and event.request_id and event.request_id in told):
                below = quiet.setdefault((log.message.owner, log.message.group), [])
                below += [(log.message, part) for part in parts]
            else:
                alerts.append(_alert(log.message, event, parts, request))
                if event.echo:
                    told.add(event.request_id)
    return [*alerts, *(_count(below) for below in quiet.values())]


def _alert(message: _Message, event: Event, parts: list[_LogEvent], request: Request) -> Alert:
    owner, leaves = owner_of(message.group), event.leaves
    service = first(leaves, SERVICES)
    alert = Alert(
        source=INFO.name,
        event_id=_event_id(message, parts[0]),
        title=event.title or "A log event without words",
        message=event.message,
        severity=_by_rule(request.reading.severities, event) or event.level,
        timestamp=instant(parts[0].at),
        raw_data=message.part(parts),
        service=one_line("" if service == _UNDEFINED else service, LONGEST_NAME) or owner.service,
        resource=message.group,
        environment=one_line(first(leaves, ENVIRONMENTS), LONGEST_NAME) or owner.environment,
        account=message.owner,
        region=message.region,
        labels=_labels(message, event),
        links=_links(message, parts[0].at),
    )
    if not request.reading.fields:
        return alert
    return override(alert, {**message.body, **event.body}, request.reading)


_UNDEFINED = "service_undefined"
"""What Powertools writes for no service."""


def _event_id(message: _Message, event: _LogEvent) -> str:
    """CloudWatch's own; with what it is of where somebody made it up, who may use it again."""
    made = event.event_id
    long_number = made.isdecimal() and len(made) > _LONGEST_CHOSEN
    return made if not made or long_number or is_minted(made) else " ".join((*message.log, made, text(event.at)))


_LONGEST_CHOSEN = 20


def _by_rule(rules: tuple[SeverityRule, ...], event: Event) -> Severity | None:
    words = f"{event.title}\n{event.message[:2000]}" if rules else ""
    return next((rule.severity for rule in rules if pattern_of(rule).search(words)), None)


def _labels(message: _Message, event: Event) -> dict[str, str]:
    labels = {
        "log_group": message.group,
        "log_stream": message.stream,
        "level": event.word.upper(),
        "request_id": event.request_id,
        "logger": event.logger,
        "function": first(event.leaves, FUNCTIONS),
        "trace_id": event.trace_id,
        "subscription_filter": message.filters,
    }
    return {name: one_line(words, LONGEST_NAME) for name, words in labels.items() if words}


def _links(message: _Message, at: object) -> tuple[Link, ...]:
    if not message.group:
        return ()
    group = Link(name="Log group", url=group_page(message.region, message.group))
    when = instant(at)
    since = int(when.timestamp() * 1000) if when else None
    if not message.stream:
        return (group,)
    return (Link(name="Log stream", url=stream_page(message.region, message.group, message.stream, since)), group)


def _count(below: list[tuple[_Message, _LogEvent]]) -> Alert:
    """The alert that stands for all events of a group that tell nothing bad."""
    message, event = below[0]
    count, streams = len(below), len({message.stream for message, _ in below})
    events = f"{count} log event{'s' if count > 1 else ''} below WARN"
    group = message.group or "a log"
    first_id = _event_id(message, event)
    return Alert(
        source=INFO.name,
        event_id=f"{first_id}+{count - 1}" if first_id else "",
        title=one_line(f"{events} in {group}", LONGEST_NAME),
        message=f"{events} in {streams} stream{'s' if streams > 1 else ''} of {group}; no alerts of their own.",
        severity=Severity.LOW,
        status=Status.INFO,
        timestamp=instant(below[-1][1].at),
        raw_data=message.part(()),
        service=owner_of(message.group).service,
        resource=message.group,
        environment=owner_of(message.group).environment,
        account=message.owner,
        region=message.region,
        labels={name: words for name, words in (("log_group", message.group), ("below_warn", str(count))) if words},
        links=_links(message, None)[-1:],
    )


def _unread(body: dict[str, object], raw: bytes, reasons: list[str]) -> list[Alert]:
    """What can't be read may have been the page that somebody waits for."""
    if not reasons:
        return []
    name = "Records" if "Records" in body else "records"
    total = len(array(body.get(name)))
    place = int(reasons[0].partition(":")[0].removeprefix("record "))
    return [
        Alert(
            source=INFO.name,
            title=f"{len(reasons)} of {total} records of logs can't be read",
            message="\n".join(reasons[:100]),
            severity=Severity.MEDIUM,
            raw_data=msgspec.Raw(raw_items(raw, name)[place - 1]),
            resource=one_line(text(body.get("deliveryStreamArn")), LONGEST_NAME),
        )
    ]
