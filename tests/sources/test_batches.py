"""Several alerts under one name: each is an alert, and what is said of all stands behind its own words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.pipeline.receive import Limits, Receive
from mcp_responder.ports import Incoming, Reading
from mcp_responder.sources import generic, load_sources
from tests.sources.reading import request

receive = Receive(load_sources(), ("signature", "service", "environment"), {}, Limits())


def parsed(body: dict[str, object], reading: Reading | None = None) -> list[Alert]:
    raw = msgspec.json.encode(body)
    return generic.parse(body, raw, request(raw, reading))


def taken(body: dict[str, object]) -> tuple[Incoming, ...]:
    return receive(request(msgspec.json.encode(body)), "", "key").incoming


@pytest.mark.parametrize("name", ["alerts", "events", "incidents", "Records", "items", "Alerts"])
def test_each_object_of_a_batch_is_an_alert(name: str) -> None:
    items = [{"title": f"Disk full on web-{n}", "id": f"web-{n}"} for n in range(4)]
    alerts = parsed({"severity": "critical", "status": "resolved", name: items})
    assert [alert.title for alert in alerts] == [item["title"] for item in items]
    assert {(alert.severity, alert.status) for alert in alerts} == {(Severity.CRITICAL, Status.RESOLVED)}
    assert [msgspec.json.decode(alert.raw_data) for alert in alerts] == items


def test_its_own_words_win_over_those_of_the_batch() -> None:
    first, second = parsed(
        {
            "receiver": "ops",
            "status": "firing",
            "title": "[FIRING:2] Disks",
            "message": "all of them",
            "groupKey": "g",
            "id": "batch-of-alerts",
            "commonLabels": {"team": "storage", "tier": "1"},
            "commonAnnotations": {"runbook_url": "https://r.example"},
            "alerts": [
                {"status": "resolved", "labels": {"alertname": "DiskFull", "tier": "2"}, "fingerprint": "f1"},
                {"labels": {"alertname": "DiskSlow"}, "annotations": {"summary": "slow"}, "fingerprint": "f2"},
            ],
        }
    )
    assert (first.title, first.status, first.source_id, first.message) == ("DiskFull", Status.RESOLVED, "f1", "")
    assert (second.title, second.status, second.source_id, second.message) == ("DiskSlow", Status.FIRING, "f2", "slow")
    assert first.labels == {"alertname": "DiskFull", "team": "storage", "tier": "2"}
    assert [link.url for link in second.links] == ["https://r.example"]


def test_alerts_without_words_have_those_of_the_batch() -> None:
    alerts = parsed({"title": "Node down", "alerts": [{"host": "a"}, {"host": "b"}]})
    assert [(alert.title, alert.resource) for alert in alerts] == [("Node down", "a"), ("Node down", "b")]


def test_a_single_object_is_read_with_what_is_around_it() -> None:
    (alert,) = parsed({"title": "Outer", "alerts": [{"title": "Inner", "host": "a"}]})
    assert (alert.title, alert.resource) == ("Outer", "a")


def test_an_alarm_has_one_name_however_many_are_told_with_it() -> None:
    item = {"labels": {"alertname": "DiskFull"}, "fingerprint": "f1"}
    other = {"labels": {"alertname": "DiskSlow"}, "fingerprint": "f2"}
    alone, together = parsed({"groupKey": "g", "alerts": [item]}), parsed({"groupKey": "g", "alerts": [item, other]})
    assert alone[0].source_id == together[0].source_id == "f1"
    assert parsed({"groupKey": "g", "alerts": [{"title": "x"}]})[0].source_id == "g"


def test_what_says_nothing_is_passed_over_if_another_says_something() -> None:
    alerts = parsed({"events": [{"n": 1}, {"title": "Disk full"}, None, "text", {"message": "Disk slow"}]})
    assert [alert.title for alert in alerts] == ["Disk full", "Disk slow"]
    assert len(parsed({"events": [{"n": 1}, {"n": 2}]})) == 1


def test_goods_of_an_order_arent_alerts() -> None:
    (alert,) = parsed({"title": "Order failed", "items": [{"name": "Shirt", "n": 1}, {"name": "Shoe", "n": 2}]})
    assert alert.title == "Order failed"


def test_of_kubernetes_events_only_the_warnings_are_alerts() -> None:
    normal = {"kind": "Event", "type": "Normal", "message": "Successfully assigned"}
    warning = {"kind": "Event", "type": "Warning", "message": "Back-off restarting failed container"}
    assert [a.title for a in parsed({"kind": "List", "items": [normal, warning, normal]})] == [warning["message"]]


def test_identical_objects_are_told_apart_by_their_places() -> None:
    body: dict[str, Any] = {"alerts": [{"title": "Disk full"}, {"title": "Disk full"}, {"title": "Disk slow"}]}
    first, again = taken(body), taken(body)
    assert len({incoming.alert.alert_id for incoming in first}) == 3
    assert [i.alert.alert_id for i in first] == [i.alert.alert_id for i in again]
    same_event = taken({"alerts": [{"title": "Disk full", "event_id": "e1"}] * 2})
    assert len({incoming.alert.alert_id for incoming in same_event}) == 1


def test_an_end_told_by_the_batch_is_another_event_than_its_beginning() -> None:
    items = [{"title": "Disk full"}, {"title": "Disk slow"}]
    firing, resolved = taken({"status": "firing", "alerts": items}), taken({"status": "resolved", "alerts": items})
    assert {i.alert.alert_id for i in firing}.isdisjoint(i.alert.alert_id for i in resolved)


def test_the_users_mapping_reads_each_object() -> None:
    reading = Reading(fields={"title": ("what.happened",)})
    alerts = parsed({"alerts": [{"what": {"happened": f"Disk {n} full"}} for n in range(2)]}, reading)
    assert [alert.title for alert in alerts] == ["Disk 0 full", "Disk 1 full"]


def test_more_than_a_thousand_are_refused_rather_than_dropped() -> None:
    assert len(parsed({"alerts": [{"title": "x"}] * 1000})) == 1000
    with pytest.raises(InvalidRequest, match="at most 1000") as refused:
        parsed({"alerts": [{"title": "x"}] * 1001})
    assert refused.value.status == 413


def test_what_is_said_of_all_is_bounded() -> None:
    spellings = {f"{'_' * n}message": "x" for n in range(30)}
    assert all(alert.message == "y" for alert in parsed({**spellings, "alerts": [{"title": "a", "text": "y"}] * 2}))
