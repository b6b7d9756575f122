"""What a sender gets back, and what becomes of each event."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from tests.promises import promise
from tests.scenarios.stories import a_service, alarm, outcome
from tests.service import Service, running

FIELDS = {
    *("alert_id", "source", "source_id", "title", "message", "severity", "timestamp", "raw_data", "signature"),
    *("status", "service", "resource", "environment", "account", "region", "owner", "labels", "links"),
    *("received_at", "key", "outcome", "incident"),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("sending")) as service:
        yield service


def received(service: Service) -> int:
    return int(service.get("/v1/ledger")["received"])


def test_the_status_url_answers_at_once_with_every_field(service: Service) -> None:
    name = a_service()
    sent = alarm(name, source_id="pool-1", labels={"host": "web-1"}, timestamp="2026-01-02T03:04:05Z", env="production")
    status, answer = service.call("POST", "/v1/sources/generic", sent)
    (accepted,) = answer["accepted"]
    found = urllib3.request("GET", accepted["status_url"], headers={"Authorization": "Bearer test-key"}).json()
    assert (status, answer["rejected"]) == (202, [])
    assert set(accepted) == {"alert_id", "source", "signature", "status_url"}
    assert set(found) == FIELDS
    assert found["raw_data"] == sent
    told = {key: found[key] for key in ("alert_id", "source", "signature", "service", "severity", "status", "key")}
    assert told == {
        "alert_id": accepted["alert_id"],
        "source": "generic",
        "signature": accepted["signature"],
        "service": name,
        "severity": "CRITICAL",
        "status": "firing",
        "key": "master",
    }
    assert (found["source_id"], found["labels"], found["environment"]) == ("pool-1", {"host": "web-1"}, "production")
    assert found["timestamp"] == "2026-01-02T03:04:05Z"
    assert found["incident"]["status"] == "open"


@promise("same-alert-twice-is-stored-once")
def test_a_retry_with_the_senders_event_id_is_the_same_event(service: Service) -> None:
    before, sent = received(service), alarm(a_service())
    assert service.send(sent) == service.send({**sent, "message": "sent again"}) == service.send(sent)
    assert received(service) == before + 1


@promise("same-alert-twice-is-stored-once")
def test_a_retry_with_an_idempotency_key_is_the_same_request(service: Service) -> None:
    before, name = received(service), a_service()
    batch = [{"title": "Disk full", "service": name}, {"title": "Disk full", "service": name}]
    answers = [service.call("POST", "/v1/alerts", batch, Idempotency_Key=name)[1]["accepted"] for _ in range(3)]
    other = service.call("POST", "/v1/alerts", batch, Idempotency_Key=f"{name}-2")[1]["accepted"]
    assert answers[0] == answers[1] == answers[2]
    assert len({item["alert_id"] for item in answers[0] + other}) == 4
    assert received(service) == before + 4


@promise("same-alert-twice-is-stored-once")
def test_identical_bytes_without_id_and_time_are_one_event(service: Service) -> None:
    before, body = received(service), {"title": "Disk full", "service": a_service()}
    assert service.send(body) == service.send(body)
    assert service.send({**body, "host": "web-2"}) != service.send(body)
    assert received(service) == before + 2


def test_of_a_mixed_batch_the_good_is_taken_and_the_bad_is_listed(service: Service) -> None:
    batch = [{}, alarm(a_service()), 7, alarm(a_service()), None, [alarm(a_service())]]
    status, answer = service.call("POST", "/v1/alerts", batch)
    assert status == 202
    assert [item["index"] for item in answer["rejected"]] == [0, 2, 4, 5]
    assert [item["error"]["code"] for item in answer["rejected"]] == ["empty_alert", *["not_an_alert"] * 3]
    assert all(item["error"]["detail"] for item in answer["rejected"])
    assert len(answer["accepted"]) == 2
    assert all(service.call("GET", f"/v1/alerts/{item['alert_id']}")[0] == 200 for item in answer["accepted"])


def test_a_batch_of_which_nothing_can_be_used_is_a_422_with_the_same_list(service: Service) -> None:
    before = received(service)
    status, problem = service.call("POST", "/v1/alerts", [{}, 7, None])
    assert (status, problem["code"], problem["accepted"]) == (422, "all_rejected", [])
    assert [item["index"] for item in problem["rejected"]] == [0, 1, 2]
    assert received(service) == before


@pytest.mark.parametrize("body", [b"[]", b" [ ] "])
def test_an_empty_array_is_authentic_but_no_alert(service: Service, body: bytes) -> None:
    assert service.call("POST", "/v1/alerts", body) == (202, {"accepted": [], "rejected": []})


def test_a_hundred_alerts_are_one_request_compressed_too(service: Service) -> None:
    batch = [alarm(a_service("batch")) for _ in range(100)]
    status, answer = service.call(
        "POST", "/v1/alerts", gzip.compress(json.dumps(batch).encode()), Content_Encoding="gzip"
    )
    assert (status, len(answer["accepted"])) == (202, 100)
    assert service.settled()["balanced"]


@promise("why-tells-the-whole-path", "every-event-has-one-outcome")
def test_why_answers_for_each_outcome(service: Service) -> None:
    name = a_service()

    def sent(**fields: Any) -> str:
        (alert_id,) = service.send(alarm(name, source_id=name, **fields))
        service.settled()
        return alert_id

    alerts = {
        "delivered": sent(timestamp="2026-01-01T10:00:00Z"),
        "merged": sent(timestamp="2026-01-01T10:00:01Z"),
        "suppressed:info": sent(status="info"),
        "delivered ": sent(status="resolved", timestamp="2026-01-01T10:10:00Z"),
        "suppressed:nothing-open": sent(status="resolved", timestamp="2026-01-01T10:11:00Z"),
        "suppressed:out-of-order": sent(timestamp="2026-01-01T10:05:00Z"),
    }
    why = {name: service.get(f"/v1/alerts/{alert_id}/why") for name, alert_id in alerts.items()}
    assert {name: answer["outcome"] for name, answer in why.items()} == {name: name.strip() for name in why}
    assert [outcome(service, alert_id) for alert_id in alerts.values()] == [name.strip() for name in alerts]
    for answer in why.values():
        times = [step["at"] for step in answer["path"]]
        assert times[1:] == sorted(times[1:])
        assert {"received", "recognised"} <= {step["what"] for step in answer["path"]}
        assert answer["path"][-1]["what"] == answer["outcome"]
        assert answer["explanation"]
    assert [step["what"] for step in why["delivered"]["path"]][:4] == ["sent", "received", "recognised", "correlated"]
    assert {"opened", "delivered"} <= {step["what"] for step in why["delivered"]["path"]}
    assert why["suppressed:info"]["incident"] is None
    assert len({answer["explanation"] for answer in why.values()}) == 5


def test_why_of_an_unknown_alert_is_a_404(service: Service) -> None:
    assert service.call("GET", "/v1/alerts/no-such-alert/why")[0] == 404
