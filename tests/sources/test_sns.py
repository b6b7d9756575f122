"""An envelope of SNS is taken off: what is inside is what counts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.pipeline.receive import Limits, Receive
from mcp_responder.ports import Reading
from mcp_responder.sources import load_sources
from mcp_responder.sources.sns import SnsSettings, confirmation
from tests.sources.reading import FIXTURES, read, request

MESSAGE_ID = "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"
TOPIC = "arn:aws:sns:eu-central-1:210987654321:alarms"
ALARM = (FIXTURES / "cloudwatch_alarm" / "metric_firing.json").read_text()
receive = Receive(load_sources(), ("signature", "service", "environment"), {}, Limits())


def envelope(message: str, **fields: Any) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": MESSAGE_ID, "TopicArn": TOPIC, "Message": message, **fields}


def taken(body: object, source: str = "") -> list[Alert]:
    received = receive(request(msgspec.json.encode(body)), source, "aws")
    assert received.rejected == ()
    return [incoming.alert for incoming in received.incoming]


def direct() -> Alert:
    (incoming,) = receive(request(ALARM.encode()), "cloudwatch_alarm", "other").incoming
    return incoming.alert


@pytest.mark.parametrize("source", ["", "sns", "cloudwatch_alarm", "eventbridge"])
def test_an_alarm_in_an_envelope_is_the_same_event_as_without(source: str) -> None:
    (alert,) = taken(envelope(ALARM), source)
    assert alert.source == "cloudwatch_alarm"
    assert (alert.alert_id, alert.event_id, alert.source_id) == (
        direct().alert_id,
        direct().event_id,
        direct().source_id,
    )


def test_so_it_is_as_a_lambda_function_and_a_queue_hand_it_on() -> None:
    by_lambda = {"Records": [{"EventSource": "aws:sns", "Sns": envelope(ALARM)}]}
    by_queue = {
        "Records": [
            {"eventSource": "aws:sqs", "messageId": "m-1", "body": msgspec.json.encode(envelope(ALARM)).decode()},
            {"eventSource": "aws:sqs", "messageId": "m-2", "body": ALARM},
        ]
    }
    assert {alert.alert_id for body in (by_lambda, by_queue) for alert in taken(body)} == {direct().alert_id}


def test_another_json_message_has_the_envelopes_id() -> None:
    first, again = taken(envelope('{"title": "Disk full"}')), taken(envelope('{"title": "Disk full"}', extra=1))
    other = taken(envelope('{"title": "Disk full"}', MessageId="another"))
    assert first[0].source == "generic"
    assert first[0].alert_id == again[0].alert_id != other[0].alert_id


def test_a_plain_text_is_an_alert_titled_by_its_subject_or_first_line() -> None:
    (with_subject,) = taken(envelope("it is full\nreally", Subject="ALARM: Disk full"))
    (without,) = taken(envelope("Disk full\nreally", Subject=None))
    assert {with_subject.title, without.title} == {"Disk full"}
    assert (with_subject.source, with_subject.event_id, with_subject.labels) == ("sns", MESSAGE_ID, {"topic": "alarms"})
    assert (with_subject.severity, with_subject.status) == (Severity.CRITICAL, Status.FIRING)


def test_json_that_nobody_knows_is_titled_by_the_subject_where_it_has_no_title() -> None:
    (alert,) = taken(envelope('{"host": "web-1", "disk": "92 %"}', Subject="ALARM: Disk fills"))
    assert (alert.source, alert.title, alert.status) == ("generic", "Disk fills", Status.FIRING)
    (titled,) = taken(envelope('{"title": "Disk full"}', Subject="From a script"))
    assert titled.title == "Disk full"
    (untitled,) = taken(envelope('{"host": "web-1"}'))
    assert untitled.title == "host: web-1"


def test_each_object_of_an_array_is_an_alert() -> None:
    alerts = taken(envelope('[{"title": "Disk full"}, 7, {"title": "Disk slow"}]'))
    assert [alert.title for alert in alerts] == ["Disk full", "Disk slow"]
    assert len({alert.event_id for alert in alerts}) == 2
    assert all(alert.event_id.startswith(MESSAGE_ID) for alert in alerts)


def test_too_many_objects_in_an_array_are_one_strange_alert() -> None:
    (alert,) = taken(envelope(msgspec.json.encode([{"title": "Disk full"}] * 1001).decode(), Subject="Many"))
    assert (alert.source, alert.title) == ("sns", "Many")


@pytest.mark.parametrize("message", ["{cut off", "[1, 2]", '"text"', "42", "{}", '{"a": NaN}', "[FIRING] Disk full"])
def test_what_is_no_json_object_is_text(message: str) -> None:
    (alert,) = taken(envelope(message, Subject="From a script"))
    assert (alert.source, alert.title, alert.message) == ("sns", "From a script", message)


def test_each_record_is_an_alert_with_its_own_json() -> None:
    records = [
        {"EventSource": "aws:sns", "Sns": envelope(f"Disk full on web-{n}", MessageId=f"m-{n}")} for n in range(3)
    ]
    alerts = taken({"Records": [*records, {"odd": True}]})
    assert [alert.title for alert in alerts] == [f"Disk full on web-{n}" for n in range(3)]
    assert [msgspec.json.decode(alert.raw_data) for alert in alerts] == records


def test_a_record_that_cant_be_read_doesnt_drop_the_others() -> None:
    empty = {"Sns": envelope('{"a": null}')}
    alerts = taken({"Records": [empty, {"Sns": envelope("Disk full")}]})
    # Rather a strange message than a dropped page.
    assert [alert.title for alert in alerts] == ['{"a": null}', "Disk full"]


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_a_confirmation_pages_nobody_and_says_what_to_open(kind: str) -> None:
    address = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=1"
    (alert,) = taken(envelope("You have chosen ...", Type=kind, SubscribeURL=address))
    assert (alert.source, alert.status) == ("sns", Status.INFO)
    assert "by hand" in alert.message
    assert address in alert.message
    assert [link.url for link in alert.links] == [address]


@pytest.mark.parametrize(
    "address",
    [
        *["https://evil.example/?sns.eu-west-1.amazonaws.com", "http://sns.eu-west-1.amazonaws.com/", "", "https://[x"],
        *["https://sns.evil.example/", "https://sns.amazonaws.com.evil.example/", "https://sns.@evil.example/"],
    ],
)
def test_nobody_is_sent_to_an_address_that_isnt_of_sns(address: str) -> None:
    alert = read("sns", envelope("Confirm!", Type="SubscriptionConfirmation", SubscribeURL=address))
    assert alert.links == ()
    assert "Take care" in alert.message
    assert confirmation(alert, Reading(own=SnsSettings(topics=("arn:aws:sns:*:*:*",)))) == ""


@pytest.mark.parametrize(("deep", "title"), [(3, "Disk full"), (4, "Envelope 0"), (10, "Envelope 6")])
def test_only_so_many_envelopes_are_opened_and_the_rest_is_text(deep: int, title: str) -> None:
    body: object = {"title": "Disk full"}
    for depth in range(deep):
        body = envelope(msgspec.json.encode(body).decode(), Subject=f"Envelope {depth}")
    assert [alert.title for alert in taken(body)] == [title]


@pytest.mark.parametrize(
    "body",
    [{"Type": "Notification"}, {"Type": ["Notification"], "TopicArn": TOPIC, "Message": "x"}, {"Records": [{}]}],
)
def test_what_is_no_envelope_is_refused_and_left_to_the_others(body: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        read("sns", body)
    assert taken({"title": "Disk full", **body})[0].source == "generic"
