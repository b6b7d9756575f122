"""An incident from its first alert to its end, as a webhook hears of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.channels.server import ScriptedServer, scripted_server
from tests.promises import promise
from tests.scenarios.stories import a_service, alarm, events, incident_of, opened, outcome, told
from tests.service import Service, running

ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:checkout-5xx"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture(scope="module")
def service(server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("life"), CHANNELS__WEBHOOK__URL=server.url) as service:
        yield service


def post(service: Service, incident: Any, verb: str, **body: str) -> tuple[int, Any]:
    return service.call("POST", f"/v1/incidents/{incident['id']}/{verb}", body)


@promise("people-are-told-before-the-analysis")
def test_critical_is_told_before_its_analysis_and_updated_after(service: Service, server: ScriptedServer) -> None:
    """An analysis that is faster than the first message may overtake it, but not every time."""
    alert_ids = service.send(*(alarm(a_service()) for _ in range(8)))
    service.settled()
    heard = [told(server, incident_of(service, alert_id)["id"]) for alert_id in alert_ids]
    assert any(bodies[0]["type"] == "incident.opened" and bodies[0]["analysis"] is None for bodies in heard)
    assert all(bodies[-1]["type"] == "incident.analyzed" for bodies in heard)
    assert all(bodies[-1]["analysis"]["root_cause"]["category"] == "resource_exhaustion" for bodies in heard)


@promise("claims-are-proved")
def test_every_verified_claim_stands_in_its_evidence(service: Service) -> None:
    analysis = opened(service, alarm(a_service()))["analysis"]
    evidence = {item["evidence_id"]: " ".join(item["content"].split()) for item in analysis["evidence"]}
    verified = [claim for claim in analysis["claims"] if claim["verified"]]
    assert verified
    assert all(" ".join(claim["quote"].split()) in evidence[claim["evidence"]] for claim in verified)


@promise("incident-is-told-once")
def test_medium_is_told_once_with_its_analysis(service: Service, server: ScriptedServer) -> None:
    incident = opened(service, alarm(a_service(), severity="MEDIUM"))
    (body,) = told(server, incident["id"])
    assert body["type"] == "incident.analyzed"
    assert body["analysis"]["root_cause"]["statement"]
    assert incident["alerts"][0]["outcome"] == "delivered"


@promise("incident-is-told-once")
def test_repeats_are_merged_and_nobody_hears_of_them(service: Service, server: ScriptedServer) -> None:
    name = a_service()
    before = opened(service, alarm(name))
    heard = len(told(server, before["id"]))
    repeats = service.send(*(alarm(name) for _ in range(5)))
    service.settled()
    after = incident_of(service, repeats[-1])
    assert [outcome(service, alert_id) for alert_id in repeats] == ["merged"] * 5
    assert (after["id"], after["alert_count"]) == (before["id"], 6)
    assert len(told(server, before["id"])) == heard


def test_worse_severity_is_told_again(service: Service, server: ScriptedServer) -> None:
    name = a_service()
    incident = opened(service, alarm(name, severity="HIGH"))
    assert post(service, incident, "acknowledge", by="kim")[0] == 200
    (worse,) = service.send(alarm(name, severity="CRITICAL"))
    service.settled()
    last = told(server, incident["id"])[-1]
    assert (last["type"], last["incident"]["severity"]) == ("incident.escalated", "CRITICAL")
    assert outcome(service, worse) == "delivered"


def test_a_milder_repeat_changes_nothing(service: Service) -> None:
    name = a_service()
    incident = opened(service, alarm(name), alarm(name, severity="LOW"))
    assert (incident["severity"], incident["alert_count"]) == ("CRITICAL", 2)


def test_who_acknowledged_and_what_was_said_is_kept(service: Service, server: ScriptedServer) -> None:
    incident = opened(service, alarm(a_service()))
    assert post(service, incident, "acknowledge", by="kim")[0] == 200
    service.settled()
    heard = len(told(server, incident["id"]))
    status, after = post(service, incident, "comment", by="lee", text="Widening the pool.")
    service.settled()
    assert status == 200
    assert (after["status"], after["acknowledged_by"]) == ("acknowledged", "kim (key 'master')")
    assert [(line["by"], line["text"]) for line in after["timeline"] if line["event"] == "commented"] == [
        ("lee (key 'master')", "Widening the pool.")
    ]
    assert told(server, incident["id"])[-1]["incident"]["acknowledged_by"] == "kim (key 'master')"
    assert len(told(server, incident["id"])) == heard


def test_illegal_changes_are_refused_with_a_reason(service: Service) -> None:
    incident = opened(service, alarm(a_service()))
    answers = [post(service, incident, verb) for verb in ("reopen", "acknowledge", "acknowledge", "resolve", "resolve")]
    answers += [post(service, incident, verb) for verb in ("acknowledge", "reopen", "reopen")]
    assert [status for status, _ in answers] == [409, 200, 409, 200, 409, 409, 200, 409]
    refusals = [problem for status, problem in answers if status == 409]
    assert all(problem["code"] == "illegal_change" and incident["id"] in problem["detail"] for problem in refusals)


def test_a_resolved_event_ends_its_own_alarm(service: Service, server: ScriptedServer) -> None:
    name = a_service()
    incident = opened(service, alarm(name, source_id="pool-a"))
    (end,) = service.send(alarm(name, source_id="pool-a", status="resolved"))
    service.settled()
    after = incident_of(service, end)
    assert (after["id"], after["status"], after["firing_count"]) == (incident["id"], "resolved", 0)
    assert events(server, incident["id"])[-1] == "resolved"
    assert outcome(service, end) == "delivered"


def test_an_incident_ends_with_its_last_alarm(service: Service) -> None:
    name = a_service()
    incident = opened(service, *(alarm(name, source_id=f"{name}-{host}") for host in "abc"))
    assert incident["firing_count"] == 3
    ends = []
    for host in "bca":
        ends += service.send(alarm(name, source_id=f"{name}-{host}", status="resolved"))
        service.settled()
        ends[-1] = (incident_of(service, ends[-1])["status"], outcome(service, ends[-1]))
    assert ends == [("open", "merged"), ("open", "merged"), ("resolved", "delivered")]


def test_an_alarm_that_fires_again_soon_reopens_its_incident(service: Service, server: ScriptedServer) -> None:
    name = a_service()
    incident = opened(service, alarm(name, source_id=name))
    service.send(alarm(name, source_id=name, status="resolved"))
    service.settled()
    again = opened(service, alarm(name, source_id=name))
    assert (again["id"], again["status"], again["reopened"]) == (incident["id"], "open", 1)
    assert "reopened" in [line["event"] for line in again["timeline"]]
    last = told(server, incident["id"])[-1]
    assert (last["incident"]["status"], last["incident"]["reopened"]) == ("open", 1)
    assert last["analysis"]


def test_what_a_person_has_resolved_has_nothing_left_to_resolve(service: Service) -> None:
    name = a_service()
    incident = opened(service, alarm(name, source_id=name))
    assert post(service, incident, "resolve", by="kim")[1]["resolved_by"] == "kim (key 'master')"
    (end,) = service.send(alarm(name, source_id=name, status="resolved"))
    assert outcome(service, end) == "suppressed:nothing-open"


def sns_message(state: str, at: str) -> bytes:
    """What SNS sends with raw delivery."""
    message = {
        "AlarmName": "checkout-5xx",
        "AlarmDescription": None,
        "AWSAccountId": "123456789012",
        "NewStateValue": state,
        "NewStateReason": "Threshold Crossed: 1 datapoint [42.0] was greater than the threshold (5.0).",
        "StateChangeTime": at,
        "Region": "EU (Ireland)",
        "AlarmArn": ARN,
        "OldStateValue": "OK",
        "Trigger": {
            "MetricName": "HTTPCode_Target_5XX_Count",
            "Namespace": "AWS/ApplicationELB",
            "Dimensions": [{"name": "LoadBalancer", "value": "app/checkout/1"}],
        },
    }
    return json.dumps(message).encode()


def bus_event(state: str, at: str) -> dict[str, Any]:
    """The same change as EventBridge sends it."""
    metric = {
        "namespace": "AWS/ApplicationELB",
        "name": "HTTPCode_Target_5XX_Count",
        "dimensions": {"LoadBalancer": "app/checkout/1"},
    }
    return {
        "version": "0",
        "id": f"c4c1c1c9-{state}",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": "123456789012",
        "time": "2026-01-01T10:00:01Z",
        "region": "eu-west-1",
        "resources": [ARN],
        "detail": {
            "alarmName": "checkout-5xx",
            "state": {"value": state, "reason": "Threshold Crossed", "timestamp": at},
            "configuration": {"metrics": [{"id": "m1", "metricStat": {"metric": metric, "period": 60, "stat": "Sum"}}]},
        },
    }


@promise("two-routes-are-one-event")
def test_an_alarm_by_sns_and_by_eventbridge_is_one_event(service: Service) -> None:
    received = service.get("/v1/ledger")["received"]
    moments = (("ALARM", "2026-01-01T10:00:00.000+0000"), ("OK", "2026-01-01T10:05:00.000+0000"))
    alert_ids = []
    for state, at in moments:
        by_sns = service.call("POST", "/v1/alerts", sns_message(state, at), Content_Type="text/plain; charset=UTF-8")
        by_bus = service.call("POST", "/v1/alerts", bus_event(state, at))
        assert (by_sns[0], by_bus[0]) == (202, 202)
        assert by_sns[1]["accepted"] == by_bus[1]["accepted"]
        alert_ids.append(by_sns[1]["accepted"][0]["alert_id"])
        service.settled()
    firing, end = (service.get(f"/v1/alerts/{alert_id}") for alert_id in alert_ids)
    assert service.get("/v1/ledger")["received"] == received + 2
    assert (firing["source"], firing["source_id"], end["source_id"]) == ("cloudwatch_alarm", ARN, ARN)
    assert firing["incident"] == end["incident"] == {"id": firing["incident"]["id"], "status": "resolved"}


def test_a_changed_configuration_is_kept_and_opens_nothing(service: Service) -> None:
    event = {**bus_event("OK", ""), "id": "changed", "detail-type": "CloudWatch Alarm Configuration Change"}
    (alert_id,) = service.send(event)
    found = service.get(f"/v1/alerts/{alert_id}")
    assert (found["status"], found["outcome"], found["incident"]) == ("info", "suppressed:info", None)
