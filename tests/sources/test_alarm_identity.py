"""One CloudWatch alarm is one alarm, whoever tells it."""

from __future__ import annotations

import msgspec
import pytest

from mcp_responder.model.alert import Alert, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.ports import Reading
from mcp_responder.sources._aws import REGIONS, alarm_arn, alarm_page, region_code
from tests.sources.reading import FIXTURES, read

IDENTITY = ("source", "source_id", "event_id", "title", "service", "severity", "resource", "environment", "account")


def fixture(name: str) -> dict[str, object]:
    body: dict[str, object] = msgspec.json.decode((FIXTURES / name).with_suffix(".json").read_bytes())
    return body


def identity(alert: Alert) -> dict[str, object]:
    return {field: getattr(alert, field) for field in (*IDENTITY, "region", "timestamp", "status")}


def test_an_alarm_by_sns_and_by_eventbridge_is_the_same_event() -> None:
    by_sns = read("cloudwatch_alarm", fixture("cloudwatch_alarm/metric_firing"))
    by_eventbridge = read("eventbridge", fixture("eventbridge/alarm_firing"))
    assert identity(by_sns) == identity(by_eventbridge)


def test_so_is_its_end() -> None:
    by_sns = read("cloudwatch_alarm", fixture("cloudwatch_alarm/metric_resolved"))
    by_eventbridge = read("eventbridge", fixture("eventbridge/alarm_resolved"))
    assert identity(by_sns) == identity(by_eventbridge)


def test_an_alarm_without_an_arn_has_the_same_identity() -> None:
    body = fixture("cloudwatch_alarm/metric_firing")
    with_arn = read("cloudwatch_alarm", body)
    del body["AlarmArn"]
    assert identity(read("cloudwatch_alarm", body)) == identity(with_arn)


def test_an_event_without_resources_has_the_same_identity() -> None:
    body = fixture("eventbridge/alarm_firing")
    with_resources = read("eventbridge", body)
    assert identity(read("eventbridge", {**body, "resources": []})) == identity(with_resources)


def test_the_lambda_form_has_the_same_identity() -> None:
    event = fixture("eventbridge/alarm_firing")
    detail = msgspec.convert(event["detail"], dict[str, object])
    action = {
        "source": "aws.cloudwatch",
        "alarmArn": "arn:aws:cloudwatch:eu-central-1:210987654321:alarm:checkout-api-5xx",
        "accountId": "210987654321",
        "time": "2026-03-01T09:30:12.345+0000",
        "region": "eu-central-1",
        "alarmData": detail,
    }
    assert identity(read("cloudwatch_alarm", action)) == identity(read("eventbridge", event))


def test_alarm_and_ok_share_everything_that_makes_them_one_alarm() -> None:
    firing = read("cloudwatch_alarm", fixture("cloudwatch_alarm/metric_firing"))
    resolved = read("cloudwatch_alarm", fixture("cloudwatch_alarm/metric_resolved"))
    for field in ("source", "source_id", "title", "service", "environment", "severity"):
        assert getattr(firing, field) == getattr(resolved, field)
    assert firing.event_id != resolved.event_id
    assert (firing.status, resolved.status) == (Status.FIRING, Status.RESOLVED)


def test_a_suppressed_alarm_pages_nobody_and_does_when_it_is_let_go() -> None:
    body = fixture("eventbridge/alarm_suppressed")
    suppressed = read("eventbridge", body)
    let_go = read("eventbridge", fixture("eventbridge/alarm_firing"))
    assert suppressed.status is Status.INFO
    assert suppressed.labels["actions_suppressed_by"] == "Alarm"
    assert suppressed.source_id == let_go.source_id
    assert suppressed.event_id != let_go.event_id


@pytest.mark.parametrize(
    ("state", "status"),
    [
        *[("ALARM", Status.FIRING), ("OK", Status.RESOLVED), ("INSUFFICIENT_DATA", Status.INFO), ("NEW", Status.INFO)],
        *[("", Status.INFO), (None, Status.INFO)],
    ],
)
def test_states(state: object, status: Status) -> None:
    body = {**fixture("cloudwatch_alarm/metric_firing"), "NewStateValue": state}
    assert read("cloudwatch_alarm", body).status is status


def test_an_alarm_that_nobody_can_name_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="name"):
        read("cloudwatch_alarm", {"NewStateValue": "ALARM", "AlarmName": None})


def test_a_sender_says_its_own_severity() -> None:
    body = fixture("cloudwatch_alarm/metric_firing")
    assert read("cloudwatch_alarm", {**body, "AlarmDescription": "Severity: critical"}).severity == "CRITICAL"
    assert read("cloudwatch_alarm", {**body, "AlarmName": "[P3] checkout-api-5xx"}).severity == "MEDIUM"


def test_the_users_mapping_is_honoured() -> None:
    fields = {"service": ("Trigger.Namespace",), "labels.note": ("AlarmDescription",), "raw_data": ("AlarmName",)}
    alert = read("cloudwatch_alarm", fixture("cloudwatch_alarm/metric_firing"), Reading(fields=fields))
    assert alert.service == "AWS/ApplicationELB"
    assert alert.labels["note"].startswith("More than 1 %")
    assert bytes(alert.raw_data).startswith(b"{")


@pytest.mark.parametrize("code", REGIONS)
def test_regions_written_out_are_known_by_their_places(code: str) -> None:
    for place in REGIONS[code].split(", "):
        written = place if place.endswith(")") else f"Somewhere ({place})"
        assert region_code(written) == code
    assert region_code(code) == code


@pytest.mark.parametrize(
    ("written", "code"),
    [
        *[("EU (Ireland)", "eu-west-1"), ("Europe (Ireland)", "eu-west-1"), ("US East (N. Virginia)", "us-east-1")],
        *[("US (Virginia)", "us-east-1"), ("US East - N. Virginia", "us-east-1"), ("Canada (Central)", "ca-central-1")],
        *[
            ("AWS GovCloud (US-West)", "us-gov-west-1"),
            ("China (Beijing)", "cn-north-1"),
            ("Mars (Base)", "Mars (Base)"),
        ],
    ],
)
def test_region_names(written: str, code: str) -> None:
    assert region_code(written) == code


def test_arns_and_console_pages_of_all_partitions() -> None:
    assert alarm_arn("cn-north-1", "1", "a").startswith("arn:aws-cn:cloudwatch:cn-north-1:1:alarm:a")
    assert alarm_page("cn-north-1", "a").startswith("https://cn-north-1.console.amazonaws.cn/")
    assert alarm_page("us-gov-east-1", "a").startswith("https://us-gov-east-1.console.amazonaws-us-gov.com/")
    assert alarm_page("eu-west-1", "a b/c").endswith("#alarmsV2:alarm/a%20b%2Fc")
    assert alarm_page("Mars (Base)", "a") == ""
