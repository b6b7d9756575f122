"""What a subscription of CloudWatch Logs sends: unpacked, joined, judged; and nothing is lost or cries wolf."""

from __future__ import annotations

import gzip
import json
import zlib
from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.errors import InvalidRequest, Unverified
from mcp_responder.model.severity import SeverityRule
from mcp_responder.pipeline.receive import Limits, Receive
from mcp_responder.ports import Reading, Request, Signed, Vouch, unchecked
from mcp_responder.sources import cloudwatch_logs, load_sources
from mcp_responder.sources._log_events import Entry, joined
from mcp_responder.sources._log_groups import group_page, owner_of, stream_page
from mcp_responder.sources._log_lines import read_head
from mcp_responder.sources._packed import MOST_MEMBERS, Unpacker, Unreadable
from tests.sources.reading import RECEIVED, SHARED, alerts_of, request

START = 1_767_261_600_000
REQUEST_ID = "8a1f0f0e-6d0c-4c3c-9b1a-2f6f0c0c7d11"
ONE_SECOND = 1.0
receive = Receive(load_sources(), ("signature", "service", "environment"), {}, Limits())


def event(place: int, message: object) -> dict[str, Any]:
    return {"id": f"{38912345678901234567890123456789 + place}", "timestamp": START + place, "message": message}


def message(*messages: object, group: str = "/aws/lambda/checkout", **fields: Any) -> dict[str, Any]:
    events = [event(place, said) for place, said in enumerate(messages)]
    known = {"owner": "210987654321", "logGroup": group, "logStream": "s-1", "subscriptionFilters": ["f"]}
    return {"messageType": "DATA_MESSAGE", **known, "logEvents": events, **fields}


def squeezed(data: bytes) -> bytes:
    """Without the time, so that the same data is the same bytes."""
    return gzip.compress(data, mtime=0)


def packed(*bodies: object) -> str:
    return b64encode(b"".join(squeezed(msgspec.json.encode(body)) for body in bodies)).decode()


def awslogs(data: object) -> dict[str, Any]:
    return {"awslogs": {"data": data}}


def kinesis(*data: object) -> dict[str, Any]:
    arn = "arn:aws:kinesis:eu-west-1:210987654321:stream/logs"
    return {"Records": [{"kinesis": {"data": one}, "eventSourceARN": arn} for one in data]}


def firehose(*data: object) -> dict[str, Any]:
    return {"requestId": "r-1", "timestamp": START, "records": [{"data": one} for one in data]}


def parsed(body: object, reading: Reading | None = None, **headers: str) -> list[Alert]:
    raw = msgspec.json.encode(body)
    asked = Request(body=raw, headers=headers, received_at=RECEIVED, reading=reading or Reading())
    assert cloudwatch_logs.detects(body)
    return alerts_of(cloudwatch_logs.parse(body, raw, asked))


def firing(body: object, reading: Reading | None = None) -> list[Alert]:
    return [alert for alert in parsed(body, reading) if alert.status is Status.FIRING]


def one(*messages: object, group: str = "/aws/lambda/checkout") -> Alert:
    (alert,) = firing(message(*messages, group=group))
    return alert


def refused(body: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parsed(body)
    return caught.value


# ----------------------------------------------------------------------------------------------------------- deliveries


DATA = packed(message("ERROR disk is full"))


@pytest.mark.parametrize(
    "body",
    [
        awslogs(DATA),
        kinesis(DATA),
        firehose(DATA),
        {"deliveryStreamArn": "arn:aws:firehose:eu-west-1:1:deliverystream/d", "records": [{"data": DATA}]},
        message("ERROR disk is full"),
        awslogs(b64encode(zlib.compress(msgspec.json.encode(message("ERROR disk is full")))).decode()),
        firehose(b64encode(msgspec.json.encode(message("ERROR disk is full"))).decode()),
        awslogs(DATA.rstrip("=") + "\n"),
        awslogs(urlsafe_b64encode(squeezed(msgspec.json.encode(message("ERROR disk is full")))).decode()),
    ],
    ids=["awslogs", "kinesis", "firehose", "lambda", "decoded", "zlib", "plain", "unpadded", "urlsafe"],
)
def test_an_event_is_the_same_by_whatever_route(body: object) -> None:
    (alert,) = firing(body)
    (direct,) = firing(message("ERROR disk is full"))
    assert (alert.title, alert.event_id, alert.severity) == (direct.title, direct.event_id, Severity.HIGH)
    assert alert.raw_data == direct.raw_data
    (incoming,) = receive(request(msgspec.json.encode(body)), "", "key").incoming
    (other,) = receive(request(msgspec.json.encode(message("ERROR disk is full"))), "", "other").incoming
    assert incoming.alert.alert_id == other.alert.alert_id


def test_the_region_is_that_of_the_stream() -> None:
    arn = "arn:aws-us-gov:firehose:us-gov-west-1:1:deliverystream/d"
    assert parsed(kinesis(DATA))[0].region == "eu-west-1"
    assert parsed(firehose(DATA), **{"x-amz-firehose-source-arn": arn})[0].region == "us-gov-west-1"
    assert parsed(awslogs(DATA))[0].region == ""


def test_several_messages_may_stand_in_one_record() -> None:
    first, second = message("ERROR one", logStream="a"), message("ERROR two", logStream="b")
    texts = [msgspec.json.encode(body) for body in (first, second)]
    for data in (
        packed(first, second),
        *(b64encode(squeezed(glue.join(texts))).decode() for glue in (b"", b"\n")),
    ):
        assert [alert.title for alert in firing(kinesis(data))] == ["one", "two"]


def test_a_control_message_is_authentic_and_no_alert() -> None:
    control = message("CWL CONTROL MESSAGE: Checking health of destination.", messageType="CONTROL_MESSAGE")
    assert parsed(awslogs(packed(control))) == parsed(control) == []
    assert [alert.title for alert in firing(kinesis(packed(control), DATA))] == ["disk is full"]


def test_lines_that_firehose_has_taken_out_of_their_message_are_read_as_lines() -> None:
    lines = b'ERROR disk is full\n{"level": "warn", "message": "slow"}\nall fine\n'
    alerts = parsed(firehose(b64encode(lines).decode()))
    assert [(alert.title, alert.severity) for alert in alerts] == [
        ("disk is full", Severity.HIGH),
        ("slow", Severity.MEDIUM),
        ("1 log event below WARN in a log", Severity.LOW),
    ]


def streams(*texts: bytes) -> list[dict[str, Any]]:
    """The same records, by Firehose and by Kinesis."""
    data = [b64encode(one).decode() for one in texts]
    return [firehose(*data), kinesis(*data)]


SENT = {
    "version": "0",
    "id": "e-1",
    "detail-type": "CodeBuild Build State Change",
    "source": "aws.codebuild",
    "detail": {"project-name": "shop-build", "build-status": "FAILED"},
}
ENVELOPE = {
    "Type": "Notification",
    "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    "TopicArn": "arn:aws:sns:eu-west-1:210987654321:alarms",
    "Subject": "Nightly backup failed",
    "Message": "orders-db: connection was lost",
    "Timestamp": "2026-01-01T10:00:00.000Z",
}


def seen(body: object, vouch: Vouch = unchecked) -> list[tuple[str, str, str]]:
    read = Receive(load_sources(), ("signature", "service", "environment"), {}, Limits(), vouch)
    got = read(request(msgspec.json.encode(body)), "cloudwatch_logs", "key").incoming
    return [(one.alert.source, one.alert.status, one.alert.title) for one in got]


def test_what_a_stream_brings_that_is_no_log_is_read_by_the_source_that_knows_it() -> None:
    log = ("cloudwatch_logs", "firing", "disk is full")
    event = ("eventbridge", "firing", "CodeBuild failed: shop-build")
    notification = ("sns", "firing", "Nightly backup failed")
    texts = [json.dumps(SENT, indent=1).encode(), msgspec.json.encode(ENVELOPE) + b"\n", b"ERROR disk is full\n"]
    for body in streams(*texts):
        assert seen(body) == [log, event, notification]
    lines = b"\n".join((b"ERROR disk is full", msgspec.json.encode(SENT), b"", msgspec.json.encode(ENVELOPE)))
    for body in streams(lines):
        assert seen(body) == [log, event, notification]


def test_a_notification_from_a_stream_is_verified_too() -> None:
    asked: list[Signed] = []

    def refuse(signed: Signed) -> None:
        asked.append(signed)
        raise Unverified("wrong_signature", "No.", status=403)

    for body in streams(msgspec.json.encode(ENVELOPE)):
        assert seen(body, refuse) == []
    assert len(asked) == 2


def test_json_lines_that_no_source_knows_stay_lines_of_a_log() -> None:
    lines = b'{"level": "warn", "message": "slow"}\n{"status": "ok"}\n{"title": "x"}\n[1]\n'
    for body in streams(lines):
        assert [title for _, _, title in seen(body)] == ["slow", "3 log events below WARN in a log"]


def test_packed_data_in_a_record_is_not_unpacked_again() -> None:
    for body in streams(msgspec.json.encode(awslogs(DATA)), b"ERROR disk is full"):
        assert [title for _, _, title in seen(body) if title == "disk is full"] == ["disk is full"]


def test_firehose_gets_the_answer_that_it_insists_on_and_nobody_else_does() -> None:
    asked = request(msgspec.json.encode(firehose(DATA)))
    at = int(RECEIVED.timestamp() * 1000)
    assert cloudwatch_logs.answer(asked) == {"requestId": "r-1", "timestamp": at}
    named = msgspec.structs.replace(asked, headers={"x-amz-firehose-request-id": "r-2"})
    assert cloudwatch_logs.answer(named) == {"requestId": "r-2", "timestamp": at}
    for body in (awslogs(DATA), kinesis(DATA), message("x"), [1], "x"):
        assert cloudwatch_logs.answer(request(msgspec.json.encode(body))) == {}
    assert cloudwatch_logs.answer(request(b"{")) == {}


# -------------------------------------------------------------------------------------------------------------- hostile


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = b64encode(squeezed(b" " * (cloudwatch_logs.LARGEST_UNPACKED + 1))).decode()
    started = process_time()
    for body in (awslogs(bomb), kinesis(DATA, bomb), firehose(bomb)):
        error = refused(body)
        assert (error.status, error.code) == (413, "too_large")
        (rejected,) = receive(request(msgspec.json.encode(body)), "cloudwatch_logs", "key").rejected
        assert rejected.error.status == 413
    assert process_time() - started < ONE_SECOND


def test_the_limit_is_of_all_records_together() -> None:
    third = b64encode(squeezed(b" " * (cloudwatch_logs.LARGEST_UNPACKED // 3 + 1))).decode()
    assert parsed(kinesis(third, third)) == []
    assert refused(kinesis(third, third, third)).status == 413


@pytest.mark.parametrize(
    "data",
    [
        *("***", "", "é", 17, None, ["x"], b64encode(b"\x00\xff\x00").decode(), b64encode(b"\x1f\x8b").decode()),
        b64encode(squeezed(b"x" * 1000)[:-9]).decode(),
        b64encode(squeezed(b"x" * 1000)[:8] + b"garbage").decode(),
        b64encode(b"".join([squeezed(b"")] * (MOST_MEMBERS + 1))).decode(),
        b64encode(b"x" + b"\xff" * 10).decode(),
    ],
)
def test_a_record_that_cant_be_read_is_told_and_the_others_still_come_in(data: object) -> None:
    alerts = parsed(kinesis(data, DATA))
    assert [alert.title for alert in alerts] == ["disk is full", "1 of 2 records of logs can't be read"]
    assert (alerts[1].status, alerts[1].severity) == (Status.FIRING, Severity.MEDIUM)
    assert msgspec.json.decode(alerts[1].raw_data)["kinesis"] == {"data": data}
    assert refused(firehose(data, data)).status == 422


def test_what_is_no_log_is_refused_and_left_to_others() -> None:
    assert refused(awslogs(b64encode(b"hello").decode())).status == 422
    assert refused(awslogs(packed({"title": "an alert"}))).status == 422
    assert not cloudwatch_logs.detects({"Records": [{"Sns": {}}], "title": "x"})
    assert not cloudwatch_logs.detects({"messageType": "CRITICAL", "title": "VictorOps"})


def test_letters_that_cant_be_read_are_mended() -> None:
    text = msgspec.json.encode(message("ERROR caf\u00e9 is closed"))
    for broken in (text.replace("é".encode(), b"\xe9"), text.replace("é".encode(), b"\\ud83d")):
        (alert,) = firing(awslogs(b64encode(squeezed(broken)).decode()))
        assert alert.title.startswith("caf")
        assert alert.title.endswith(" is closed")
        msgspec.json.encode(alert)


def test_a_message_with_nul_is_read() -> None:
    assert one("ERROR disk\x00 is full").title == "disk is full"


LINES = {
    "info": lambda n: f"2026-01-01T10:00:00.123Z\t{REQUEST_ID}\tINFO\tpayment {n} done",
    "error": lambda n: f"2026-01-01T10:00:00.123Z\t{REQUEST_ID}\tERROR\tpayment {n} failed",
    "json": lambda n: json.dumps({"level": "error", "msg": f"order {n}", "err": {"type": "E", "stack": "E: x\n at y"}}),
    "frames": lambda n: "Traceback (most recent call last):" if n == 0 else f'  File "/app/x{n}.py", line {n}, in f',
    "headings": lambda n: f"java.lang.IllegalStateException: broken {n}",
    "indented": lambda n: f"  and {n}",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_ten_thousand_events_take_little_time_and_twice_as_many_about_twice(line: Any) -> None:
    def seconds(count: int) -> float:
        body = awslogs(packed(message(*map(line, range(count)))))
        started = process_time()
        alerts = parsed(body)
        took = process_time() - started
        assert sum(
            len(msgspec.json.decode(a.raw_data)["logEvents"]) or int(a.labels["below_warn"]) for a in alerts
        ) == (count)
        return took

    small, large = min(seconds(5_000) for _ in range(2)), seconds(10_000)
    assert large < 10 * ONE_SECOND
    assert large < 4 * small + ONE_SECOND


@pytest.mark.parametrize(
    "line",
    [
        *("a" * 1_000_000, "a." * 500_000, "[" * 1_000_000, "ERROR " + "x " * 500_000, "Error: " + "a:" * 500_000),
        *('"' * 1_000_000, "{" * 1_000_000, "no " * 300_000, "ERROR x" + "\n\tat " * 200_000, "\n" * 1_000_000),
        "level=error msg=" + '"\\' * 400_000,
        "2026-01-01 " + "a:[1]:" * 150_000,
    ],
    ids=range(12),
)
def test_a_line_of_a_megabyte_takes_little_time(line: str) -> None:
    started = process_time()
    alerts = parsed(message(line))
    assert process_time() - started < ONE_SECOND
    assert all(len(alert.title) <= 500 and len(alert.message) < 33_000 for alert in alerts)


def test_of_a_long_text_both_ends_are_kept() -> None:
    said = one("ERROR it begins\n" + "x" * 100_000 + "\nit ends").message
    assert said.startswith("ERROR it begins")
    assert said.endswith("it ends")
    assert "characters are left out" in said


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = ("messageType", "owner", "logGroup", "logStream", "subscriptionFilters", "logEvents")


@given(body=st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, anything)), events=st.lists(anything, max_size=5))
def test_wrong_types_anywhere_are_never_an_accident(body: dict[str, Any], events: list[Any]) -> None:
    alerts = parsed({**body, "logEvents": events})
    assert all(alert.title for alert in alerts)
    msgspec.json.encode(alerts)


@given(anything)
def test_whatever_a_json_line_says_it_is_read(said: object) -> None:
    names = (
        "level",
        "severity",
        "message",
        "msg",
        "err",
        "error",
        "exception",
        "stack_trace",
        "service",
        "log",
        "stream",
    )
    for name in names:
        body = message(json.dumps({name: said, "level": "error"}), json.dumps({name: said, "type": "platform.report"}))
        msgspec.json.encode(parsed(body))


@given(st.text())
def test_whatever_data_says_it_is_read_or_refused(data: str) -> None:
    for body in (awslogs(data), kinesis(data, DATA), firehose(data)):
        try:
            alerts = parsed(body)
        except InvalidRequest as error:
            assert error.status == 422
        else:
            assert all(alert.title for alert in alerts)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.binary(max_size=20))
def test_what_was_packed_is_unpacked(parts: list[bytes], padding: bytes) -> None:
    data = b"".join(map(squeezed, parts))
    assert Unpacker(10_000).unpack(b64encode(data).decode()) == b"".join(parts)
    assert Unpacker(10_000).unpack(b64encode(zlib.compress(parts[0])).decode()) == parts[0]
    assert Unpacker(10_000).unpack(b64encode(data + b"\0" + padding).decode()) == b"".join(parts)


@given(st.binary(min_size=1, max_size=300), st.integers(1, 100))
def test_what_is_cut_off_is_never_taken_for_whole(part: bytes, missing: int) -> None:
    data = squeezed(part)
    with pytest.raises(Unreadable):
        Unpacker(10_000).unpack(b64encode(data[: max(2, len(data) - missing)]).decode())


# -------------------------------------------------------------------------------------------------------------- joining

TRACES = {
    "KeyError: 'customer'": """Traceback (most recent call last):
  File "/app/main.py", line 31, in handler
    charge(event)
  File "/app/payments.py", line 12, in charge
    return event["customer"]
KeyError: 'customer'""",
    "com.acme.StockException: no stock": """com.acme.StockException: no stock
\tat com.acme.Stock.reserve(Stock.java:88)
\tat com.acme.Orders.place(Orders.java:41)
Caused by: java.io.IOException: broken pipe
\tat com.acme.Pipe.write(Pipe.java:7)
\t... 5 more""",
    "TypeError: total is not a function": """TypeError: total is not a function
    at render (/app/src/invoice.js:18:22)
    at handle (/app/src/server.js:44:9)""",
    "panic: assignment to entry in nil map": """panic: assignment to entry in nil map

goroutine 7 [running]:
main.put(0x0)
\t/src/app/cache.go:21 +0x1d
main.main()
\t/src/app/main.go:9 +0x5b""",
    "System.InvalidOperationException: no rows": """System.InvalidOperationException: no rows
   at Shop.Orders.Load(Int32 id) in /src/Orders.cs:line 12
   at Shop.Api.Get() in /src/Api.cs:line 40""",
    "NoMethodError: no method 'total' for nil": """app/cart.rb:7:in 'total': no method 'total' for nil (NoMethodError)
\tfrom app/controllers/carts.rb:12:in 'show'
\tfrom app/app.rb:3:in 'call'""",
}


@pytest.mark.parametrize(("title", "trace"), TRACES.items(), ids=[title.split(":")[0] for title in TRACES])
def test_the_lines_of_a_trace_are_one_alert_as_is_the_trace_in_one_event(title: str, trace: str) -> None:
    around = ("2026-01-01 10:00:00 INFO before", *trace.split("\n"), "2026-01-01 10:00:00 INFO after")
    by_lines, whole = firing(message(*around)), firing(message(around[0], trace + "\n", around[-1]))
    assert [alert.title for alert in by_lines] == [alert.title for alert in whole] == [title]
    assert by_lines[0].message == whole[0].message == trace
    assert by_lines[0].event_id == event(1, "")["id"]
    assert by_lines[0].severity is Severity.HIGH


@pytest.mark.parametrize(("title", "trace"), TRACES.items(), ids=[title.split(":")[0] for title in TRACES])
def test_the_trace_below_an_error_is_part_of_it(title: str, trace: str) -> None:
    alert = one("2026-01-01 10:00:00,123 ERROR [main] c.acme.Orders - could not place it", *trace.split("\n"))
    assert (alert.title, alert.labels["logger"]) == (title, "c.acme.Orders")
    assert alert.message.startswith("2026-01-01 10:00:00,123 ERROR")
    assert alert.message.endswith(trace)


def test_indented_lines_and_the_details_of_a_database_go_with_the_line_above() -> None:
    dotnet = one("fail: Shop.Api[13]", "      An unhandled exception has occurred.", "      System.Exception: no")
    assert "An unhandled exception" in dotnet.message
    prefix = "2026-01-01 10:00:00 UTC:10.0.0.1(1):shop@orders:[81]:"
    postgres = one(
        f"{prefix}ERROR:  deadlock detected", f"{prefix}DETAIL:  Process 81 waits.", group="/aws/rds/instance/o/p"
    )
    assert postgres.title == "deadlock detected"
    assert "Process 81" in postgres.message


def test_what_announces_a_trace_goes_with_it_though_it_has_no_level() -> None:
    assert (
        one("Internal Server Error: /pay", *TRACES["KeyError: 'customer'"].split("\n")).title == "KeyError: 'customer'"
    )
    assert len(firing(message("all is well", *TRACES["KeyError: 'customer'"].split("\n")))) == 1
    rust = one("thread 'main' panicked at src/main.rs:4:5:", "index out of bounds", "note: run with `RUST_BACKTRACE=1`")
    assert (rust.title, rust.severity) == ("panic: index out of bounds", Severity.HIGH)


def test_two_errors_stay_two() -> None:
    assert [alert.title for alert in firing(message("ERROR one", "ERROR two", "ValueError: three"))] == [
        "one",
        "two",
        "ValueError: three",
    ]


def test_lines_of_two_streams_are_not_mixed_and_those_of_one_are_put_in_order() -> None:
    lines = TRACES["KeyError: 'customer'"].split("\n")
    events = [event(place, line) for place, line in enumerate(lines)]
    shuffled = [events[place] for place in (3, 0, 5, 1, 4, 2)]
    other = message("ERROR elsewhere", logStream="s-2")
    alerts = firing(
        kinesis(packed(message(logEvents=shuffled[:3])), packed(other), packed(message(logEvents=shuffled[3:])))
    )
    assert [alert.title for alert in alerts] == ["KeyError: 'customer'", "elsewhere"]
    assert alerts[0].message == "\n".join(lines)


def test_lines_far_apart_are_not_joined() -> None:
    first, second = event(0, "ERROR broken"), {**event(1, "  and indented"), "timestamp": START + 60_000}
    (alert,) = firing(message(logEvents=[first, second]))
    assert alert.message == "ERROR broken"


@given(st.lists(st.sampled_from([*"\n".join(TRACES.values()).split("\n"), "", "INFO x", "  y", "ERROR z", '{"a": 1}'])))
def test_joining_loses_nothing_and_keeps_the_order(lines: list[str]) -> None:
    entries = [Entry(line) for line in lines]
    spans = joined(entries, [0.0] * len(entries))
    assert [place for span in spans for place in span] == list(range(len(entries)))
    assert all(spans)


def test_an_event_that_comes_twice_is_one() -> None:
    assert len(firing(kinesis(DATA, DATA))) == 1
    assert len(firing(kinesis(DATA, packed(message("ERROR disk is full", logStream="s-2"))))) == 2


# --------------------------------------------------------------------------------------------------------------- levels


@pytest.mark.parametrize(
    ("line", "title", "severity"),
    [
        ("[ERROR] it broke", "it broke", Severity.HIGH),
        (f"[ERROR]\t2026-01-01T10:00:00.123Z\t{REQUEST_ID}\tit broke", "it broke", Severity.HIGH),
        (f"2026-01-01T10:00:00.123Z\t{REQUEST_ID}\tWARN\tit broke", "it broke", Severity.MEDIUM),
        ("2026-01-01 10:00:00,123 FATAL [main] c.acme.Foo - it broke", "it broke", Severity.CRITICAL),
        ("10:00:00.123 [main] ERROR c.acme.Foo - it broke", "it broke", Severity.HIGH),
        ("2026-01-01T10:00:00.1Z ERROR 1 --- [exec-1] c.acme.Foo  : it broke", "it broke", Severity.HIGH),
        ("CRITICAL:root:it broke", "it broke", Severity.CRITICAL),
        ("E, [2026-01-01T10:00:00.000 #12] ERROR -- : it broke", "it broke", Severity.HIGH),
        ("[2026-01-01 10:00:00] production.EMERGENCY: it broke", "it broke", Severity.CRITICAL),
        ("2026/01/01 10:00:00 [error] 31#31: *1 connect() failed", "connect() failed", Severity.HIGH),
        ('time="2026-01-01T10:00:00Z" level=error msg="it broke" err="a pipe"', "it broke: a pipe", Severity.HIGH),
        ("W0101 10:00:00.000000       1 reflector.go:138] it broke", "it broke", Severity.MEDIUM),
        ("2026-01-01T10:00:00.000Z\terror\tapp/main.go:12\tit broke", "it broke", Severity.HIGH),
        ("10:00AM ERR it broke", "it broke", Severity.HIGH),
        ("2026-01-01 10:00:00.000 | ERROR    | mod:fn:12 - it broke", "it broke", Severity.HIGH),
        ("[2026-01-01T10:00:00Z ERROR crate::mod] it broke", "it broke", Severity.HIGH),
        ("Jan  1 10:00:00 web-1 sshd[123]: error: it broke", "it broke", Severity.HIGH),
        ("<10>1 it broke", "it broke", Severity.CRITICAL),
        ("2026-01-01 10:00:00 UTC:10.0.0.1(1):a@b:[1]:FATAL:  password failed", "password failed", Severity.HIGH),
        ("SEVERE: it broke", "it broke", Severity.HIGH),
        ("[ERROR] Runtime.ImportModuleError: no module", "Runtime.ImportModuleError: no module", Severity.HIGH),
    ],
)
def test_a_line_is_titled_by_what_it_says_behind_time_and_level(line: str, title: str, severity: Severity) -> None:
    alert = one(line)
    assert (alert.title, alert.severity) == (title, severity)


@pytest.mark.parametrize(
    "line",
    [
        *("0 errors", "no errors found", "error_rate=0", "errors: 0, processed: 12", "Ran 12 tests, 0 failed"),
        *(
            "Completed without errors",
            "failed=false",
            "ErrorHandler registered",
            "Retry on error enabled",
            "failover done",
            "previous error resolved",
        ),
        *(
            "INFO payment failed",
            "level=info msg=failed",
            "[debug] Exception handled",
            "",
            "   ",
            "GET /errors/404 200",
        ),
        "Summary: 0 ERROR, 2 WARN",
        '10.0.0.1 - - [01/Jan/2026:10:00:00 +0000] "GET /error HTTP/1.1" 404 12 "-" "curl"',
        "2 210987654321 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1 2 REJECT OK",
        f"({REQUEST_ID}) Endpoint response body before transformations: failed",
        f"START RequestId: {REQUEST_ID} Version: $LATEST",
        f"REPORT RequestId: {REQUEST_ID}\tDuration: 3.00 ms\tMax Memory Used: 128 MB",
        '{"level": 30, "msg": "failed"}',
        '{"level": "info", "stack_trace": "x\\n at y"}',
        '{"time": "2026-01-01T10:00:00Z", "type": "platform.report", "record": {"status": "success"}}',
        '{"requestId": "1", "httpMethod": "GET", "path": "/pay", "status": "404", "error": "-"}',
        '{"eventVersion": "1.08", "eventSource": "s3.amazonaws.com", "errorCode": "Denied", "errorMessage": "x"}',
        '{"severityNumber": 9, "body": "failed"}',
    ],
)
def test_nobody_cries_wolf(line: str) -> None:
    (alert,) = parsed(message(line))
    assert (alert.status, alert.severity) == (Status.INFO, Severity.LOW)
    assert alert.title == "1 log event below WARN in /aws/lambda/checkout"


@pytest.mark.parametrize(
    ("line", "title", "severity"),
    [
        ("Failed to connect to the database", "Failed to connect to the database", Severity.HIGH),
        ("shard 0 failed", "shard 0 failed", Severity.HIGH),
        ("processed=10 errors=3", "processed=10 errors=3", Severity.HIGH),
        ("ClientError: access was refused", "ClientError: access was refused", Severity.HIGH),
        ('10.0.0.1 - - [01/Jan/2026:10:00:00 +0000] "GET /pay?x=1 HTTP/1.1" 502 1', "GET /pay: 502", Severity.MEDIUM),
        (f"2026-01-01T10:00:00Z {REQUEST_ID} Task timed out after 3.00 seconds\n\n", None, Severity.HIGH),
        (f"REPORT RequestId: {REQUEST_ID}\tDuration: 3000.00 ms\tStatus: timeout", None, Severity.HIGH),
        (
            f"RequestId: {REQUEST_ID} Error: Runtime exited with error: signal: killed\nRuntime.ExitError",
            "Runtime exited with error: signal: killed",
            Severity.HIGH,
        ),
    ],
)
def test_without_a_level_the_words_decide(line: str, title: str | None, severity: Severity) -> None:
    alert = one(line)
    assert (alert.title, alert.severity) == (title or "Task timed out after 3.00 seconds", severity)


def test_the_report_of_a_failed_run_adds_nothing_to_the_error_that_was_told() -> None:
    report = f"REPORT RequestId: {REQUEST_ID}\tDuration: 9.00 ms\tStatus: error\tError Type: KeyError\n"
    start = f"START RequestId: {REQUEST_ID} Version: 7\n"
    (alert,) = firing(message(start, "[ERROR] KeyError: 'id'", report))
    assert (alert.title, alert.labels["request_id"]) == ("KeyError: 'id'", REQUEST_ID)
    (alone,) = firing(message(start, report))
    assert alone.title == "KeyError: the invocation failed"


def test_a_rule_of_the_user_says_how_bad_a_line_is() -> None:
    reading = Reading(severities=(SeverityRule(pattern="card declined", severity=Severity.LOW),))
    alerts = firing(message("ERROR card declined", "ERROR other"), reading)
    assert [alert.severity for alert in alerts] == [Severity.LOW, Severity.HIGH]


def test_the_users_mapping_sees_the_json_line_and_the_message_around_it() -> None:
    reading = Reading(fields={"owner": ("squad.name",), "labels.filter": ("subscriptionFilters.0",)})
    (alert,) = firing(message('{"level": "error", "msg": "x", "squad": {"name": "payments"}}'), reading)
    assert (alert.owner, alert.labels["filter"]) == ("payments", "f")


# ----------------------------------------------------------------------------------------------------------- JSON lines

STACK = "TypeError: x is undefined\n    at f (/app/a.js:1:2)\n    at g (/app/b.js:3:4)"
JSON_LINES: dict[str, tuple[dict[str, Any], str, Severity]] = {
    "lambda python": (
        {
            "level": "ERROR",
            "errorType": "KeyError",
            "errorMessage": "'id'",
            "stackTrace": ['  File "a", line 1, in b\n'],
        },
        "KeyError: 'id'",
        Severity.HIGH,
    ),
    "lambda node": (
        {"level": "ERROR", "message": {"errorType": "TypeError", "errorMessage": "x", "stackTrace": STACK.split("\n")}},
        "TypeError: x",
        Severity.HIGH,
    ),
    "lambda platform": (
        {"type": "platform.report", "record": {"status": "timeout", "metrics": {"durationMs": 3000.0}}},
        "Task timed out after 3.00 seconds",
        Severity.HIGH,
    ),
    "powertools": (
        {
            "level": "CRITICAL",
            "message": "no",
            "exception_name": "PayError",
            "exception": TRACES["KeyError: 'customer'"],
        },
        "KeyError: 'customer'",
        Severity.CRITICAL,
    ),
    "structlog": (
        {"event": "it broke", "level": "error", "exception": TRACES["KeyError: 'customer'"]},
        "KeyError: 'customer'",
        Severity.HIGH,
    ),
    "pino": (
        {"level": 60, "msg": "it broke", "err": {"type": "TypeError", "message": "x", "stack": STACK}},
        "",
        Severity.CRITICAL,
    ),
    "bunyan": ({"level": 40, "v": 0, "msg": "it is slow", "name": "shop"}, "it is slow", Severity.MEDIUM),
    "zap": ({"level": "error", "msg": "it broke", "error": "dial: refused"}, "it broke: dial: refused", Severity.HIGH),
    "logback": (
        {
            "level": "ERROR",
            "level_value": 40000,
            "message": "it broke",
            "stack_trace": TRACES["com.acme.StockException: no stock"],
        },
        "com.acme.StockException: no stock",
        Severity.HIGH,
    ),
    "elastic": ({"log.level": "warn", "message": "it is slow"}, "it is slow", Severity.MEDIUM),
    "elastic error": (
        {"log": {"level": "error"}, "error": {"type": "PayError", "message": "declined"}, "message": "it broke"},
        "PayError: declined",
        Severity.HIGH,
    ),
    "opentelemetry": (
        {
            "severityText": "ERROR",
            "body": "it broke",
            "attributes": {"exception.type": "E", "exception.message": "why"},
        },
        "E: why",
        Severity.HIGH,
    ),
    "serilog": ({"@t": "x", "@mt": "it broke", "@l": "Fatal"}, "it broke", Severity.CRITICAL),
    "monolog": ({"message": "it broke", "level": 400, "level_name": "ERROR"}, "it broke", Severity.HIGH),
    "syslog": ({"message": "it broke", "priority": 2}, "it broke", Severity.CRITICAL),
    "status": ({"status": "error", "message": "it broke"}, "it broke", Severity.HIGH),
    "no level": ({"error": "it broke"}, "it broke", Severity.HIGH),
    "gateway": ({"httpMethod": "GET", "path": "/pay?a=1", "status": "502"}, "GET /pay: 502", Severity.MEDIUM),
    "firelens": ({"log": "[ERROR] it broke", "container_name": "web", "source": "stderr"}, "it broke", Severity.HIGH),
    "fluent bit": (
        {"log": '{"level": "error", "msg": "it broke"}', "kubernetes": {"container_name": "web"}},
        "it broke",
        Severity.HIGH,
    ),
}


@pytest.mark.parametrize("name", JSON_LINES)
def test_json_lines_are_read_whoever_wrote_them(name: str) -> None:
    line, title, severity = JSON_LINES[name]
    alert = one(json.dumps(line))
    assert (alert.title, alert.severity) == (title or "TypeError: x", severity)
    assert json.loads(msgspec.json.decode(alert.raw_data)["logEvents"][0]["message"]) == line


def test_a_stack_trace_in_json_is_a_trace_to_read() -> None:
    assert STACK in one(json.dumps(JSON_LINES["pino"][0])).message
    node = f'2026-01-01T10:00:00Z\t{REQUEST_ID}\tERROR\tInvoke Error \t{{"errorType":"TypeError","errorMessage":"x",'
    alert = one(f'{node}"stack":{json.dumps(STACK.split(chr(10)))}}}')
    assert (alert.title, alert.labels["request_id"]) == ("TypeError: x", REQUEST_ID)
    assert STACK in alert.message


def test_a_line_says_whose_it_is_and_of_which_request() -> None:
    line = {
        **{"level": "error", "message": f"request {REQUEST_ID} failed", "service": "payments", "logger": "pay.charge"},
        **{"function_name": "pay-prod", "function_request_id": REQUEST_ID, "env": "prod", "order": 4711},
        "xray_trace_id": "1-69564520-1a2b3c4d5e6f708192a3b4c5",
    }
    alert = one(json.dumps(line), group="/aws/lambda/pay-prod")
    assert (alert.service, alert.environment, alert.resource) == ("payments", "prod", "/aws/lambda/pay-prod")
    assert alert.title == "request <*> failed"
    assert "order: 4711" in alert.message
    assert alert.labels == {
        **{"log_group": "/aws/lambda/pay-prod", "log_stream": "s-1", "level": "ERROR", "request_id": REQUEST_ID},
        **{"logger": "pay.charge", "function": "pay-prod", "trace_id": "1-69564520-1a2b3c4d5e6f708192a3b4c5"},
        "subscription_filter": "f",
    }


# --------------------------------------------------------------------------------------------------- counting and names


def test_what_is_below_a_warning_is_counted_once_a_log_group() -> None:
    quiet = [message("INFO a", "INFO b", logStream=name) for name in ("s-1", "s-2")]
    alerts = parsed(kinesis(*map(packed, quiet), packed(message("INFO c", group="/ecs/web"))))
    counted = [(alert.title, alert.status, alert.service) for alert in alerts if alert.status is Status.INFO]
    assert counted == [
        ("4 log events below WARN in /aws/lambda/checkout", Status.INFO, "checkout"),
        ("1 log event below WARN in /ecs/web", Status.INFO, "web"),
    ]
    (again,) = parsed(kinesis(*map(packed, quiet)))
    assert again in alerts


def test_the_raw_data_of_an_alert_is_its_part_and_reads_as_the_same_alert() -> None:
    body = message("INFO x", *TRACES["KeyError: 'customer'"].split("\n"), "ERROR y", policyLevel="ACCOUNT_LEVEL_POLICY")
    for alert in firing(body):
        part = msgspec.json.decode(alert.raw_data)
        assert part["policyLevel"] == "ACCOUNT_LEVEL_POLICY"
        assert all(one_event in body["logEvents"] for one_event in part["logEvents"])
        assert firing(part) == [alert]


def test_an_id_that_somebody_made_up_names_the_event_only_together_with_its_log() -> None:
    def made_up(group: str) -> Alert:
        (alert,) = firing(message(group=group, logEvents=[{"id": "1", "timestamp": START, "message": "ERROR x"}]))
        return alert

    assert made_up("a").event_id != made_up("b").event_id
    assert made_up("a").event_id == made_up("a").event_id
    assert one("ERROR x").event_id == event(0, "")["id"]
    assert one("ERROR x").timestamp == datetime.fromtimestamp(START / 1000, UTC)


@pytest.mark.parametrize(
    ("group", "service", "environment"),
    [
        ("/aws/lambda/checkout", "checkout", ""),
        ("/aws/lambda/us-east-1.edge-auth", "edge-auth", ""),
        ("/aws/lambda/audit", "audit", ""),
        ("/aws/lambda/test", "test", ""),
        ("/ecs/orders", "orders", ""),
        ("/ecs/prod/orders", "orders", "prod"),
        ("/aws/ecs/containerinsights/shop/performance", "shop", ""),
        ("/aws/rds/instance/orders-db/postgresql", "orders-db", ""),
        ("/aws/rds/cluster/orders/error", "orders", ""),
        ("/aws/apigateway/shop-api", "shop-api", ""),
        ("/aws/eks/shop/cluster", "shop", ""),
        ("/aws/containerinsights/shop/application", "shop", ""),
        ("API-Gateway-Execution-Logs_a1b2c3/prod", "a1b2c3", "prod"),
        ("/aws/codebuild/build-shop", "build-shop", ""),
        ("/aws/vendedlogs/states/order-flow", "order-flow", ""),
        ("/aws/elasticbeanstalk/shop-env/var/log/web.stdout.log", "shop-env", ""),
        ("/aws/batch/job", "batch", ""),
        ("aws-waf-logs-shop", "shop", ""),
        ("/acme/staging/checkout", "checkout", "staging"),
        ("/var/log/nginx/error.log", "nginx", ""),
        ("checkout", "checkout", ""),
        ("", "", ""),
        ("///", "", ""),
    ],
)
def test_a_group_says_whose_log_it_is(group: str, service: str, environment: str) -> None:
    assert owner_of(group) == (service, environment)


def test_links_open_the_group_and_the_stream_in_the_console_of_the_partition() -> None:
    assert group_page("cn-north-1", "/ecs/a b") == (
        "https://cn-north-1.console.amazonaws.cn/cloudwatch/home?region=cn-north-1"
        "#logsV2:log-groups/log-group/$252Fecs$252Fa$2520b"
    )
    assert stream_page("us-gov-west-1", "g", "2026/[$LATEST]x", 17) == (
        "https://us-gov-west-1.console.amazonaws-us-gov.com/cloudwatch/home?region=us-gov-west-1"
        "#logsV2:log-groups/log-group/g/log-events/2026$252F$255B$2524LATEST$255Dx$3Fstart$3D17"
    )
    assert group_page("<nowhere>", "g") == (
        "https://console.aws.amazon.com/cloudwatch/home#logsV2:log-groups/log-group/g"
    )


def test_a_level_is_told_from_a_word_that_only_looks_like_one() -> None:
    assert read_head("Errors were made").level is None
    assert read_head("errorless run").level is None
    assert read_head("error::Code").level is None
    assert read_head("http://error:80/").level is None


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared payloads aren't here")
def test_the_shared_bodies_read_as_an_engineer_would() -> None:
    def read(name: str) -> list[Alert]:
        return parsed(msgspec.json.decode((SHARED / "payloads/cloudwatch_logs" / name).read_bytes()))

    (quiet,) = read("kinesis_records.json")
    assert (quiet.status, quiet.labels["below_warn"], quiet.region) == (Status.INFO, "6", "eu-west-1")
    for name in ("subscription_data_message.json", "subscription_policy_level.json"):
        told = [(alert.title, alert.severity, alert.service) for alert in read(name)]
        assert told == [
            ("First test message", Severity.HIGH, "testLogGroup"),
            ("Second test message", Severity.HIGH, "testLogGroup"),
        ]
