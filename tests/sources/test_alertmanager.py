"""What only Alertmanager does: groups, reminders, alerts that always fire, exporters that only bring the news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.pipeline.correlate import Correlate, Rules
from mcp_responder.pipeline.receive import Limits, Receive
from mcp_responder.pipeline.route import everyone
from mcp_responder.ports import Accepted, Reading, Request
from mcp_responder.sources import load_sources
from mcp_responder.storage.memory import MemoryStore
from tests.contract.clock import FakeClock
from tests.sources.reading import SHARED, detected, read, request

NEVER_ENDS = "0001-01-01T00:00:00Z"


def item(status: str = "firing", ends: str = NEVER_ENDS, **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "DiskFills", "instance": "db-1:9100", **labels},
        "annotations": {"summary": "The disk fills"},
        "startsAt": "2026-03-01T11:00:00Z",
        "endsAt": ends,
        "generatorURL": "http://prometheus.example.com/graph?g0.expr=up",
    }


def group(*items: dict[str, Any], **around: object) -> dict[str, Any]:
    return {"version": "4", "groupKey": "{}:{}", "receiver": "r", "status": "firing", "alerts": [*items], **around}


def one(body: dict[str, Any], **more: object) -> Alert:
    """The alert of a group of one, some of whose fields are others."""
    return read("alertmanager", group({**body, **more}))


def labelled(**labels: str) -> Alert:
    return one({"status": "firing", "labels": {"alertname": "X", **labels}, "startsAt": "2026-03-01T11:00:00Z"})


def parsed(body: object) -> list[Alert]:
    raw = msgspec.json.encode(body)
    found = load_sources()["alertmanager"].parse(body, raw, request(raw))
    return [alert for alert in found if isinstance(alert, Alert)]


# ------------------------------------------------------------------------------------------------------------- groups


def test_alerts_of_a_group_have_their_own_status_time_and_bytes() -> None:
    fires, ended = item(severity="critical"), item("resolved", "2026-03-01T11:30:00Z", instance="db-2:9100")
    first, second = parsed(group(fires, ended))
    assert (first.status, second.status) == (Status.FIRING, Status.RESOLVED)
    assert (first.timestamp, first.own_time) == (datetime(2026, 3, 1, 11, tzinfo=UTC), None)
    assert second.own_time == datetime(2026, 3, 1, 11, 30, tzinfo=UTC)
    assert first.source_id != second.source_id
    assert msgspec.json.decode(first.raw_data) == fires
    assert msgspec.json.decode(second.raw_data) == ended


def test_the_body_of_a_single_alert_is_kept_whole() -> None:
    body = group(item(), receiver="night shift")
    assert msgspec.json.decode(parsed(body)[0].raw_data) == body


def test_a_group_without_alerts_is_no_alert_and_no_mistake() -> None:
    assert detected(group()) == "alertmanager"
    assert parsed(group()) == []
    empty = {**group(), "alerts": None}
    assert detected(empty) == "alertmanager"
    assert parsed(empty) == []


def test_what_is_no_alert_in_a_group_costs_no_other_its_page() -> None:
    (alert,) = parsed({**group(), "alerts": [None, {}, item(), 7]})
    assert alert.title == "The disk fills"


@pytest.mark.parametrize("alerts", [[{}], [None], ["text"], {}, "x"])
def test_a_group_of_nothing_is_refused(alerts: object) -> None:
    with pytest.raises(InvalidRequest):
        parsed({**group(), "alerts": alerts})


def test_a_group_beyond_all_bounds_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match="max_alerts"):
        parsed(group(*[item()] * 5001))


def test_alerts_that_were_left_out_are_told() -> None:
    assert "12 more" in parsed(group(item(), truncatedAlerts=12))[0].message
    assert "more of this group" not in parsed(group(item(), truncatedAlerts=0))[0].message


def test_a_users_mapping_sees_the_alert_and_its_group() -> None:
    reading = Reading(fields={"owner": ("labels.squad",), "labels.receiver": ("receiver",)})
    alert = read("alertmanager", group(item(squad="storage")), reading)
    assert (alert.owner, alert.labels["receiver"]) == ("storage", "r")


# ---------------------------------------------------------------------------------------------------------- detection


@pytest.mark.parametrize(
    "body",
    [
        {"title": "Disk", "labels": {"alertname": "Disk"}, "annotations": {}},
        {"commonLabels": {"alertname": "Disk"}, "commonAnnotations": {"summary": "s"}, "status": "firing"},
        {"alerts": [{"title": "a"}, {"title": "b"}], "receiver": "x"},
        {"alerts": [{"labels": {"a": "b"}, "title": "mine"}]},
        {"labels": {"alertname": "Disk"}},
    ],
)
def test_bodies_that_only_look_alike_are_left_to_others(body: object) -> None:
    assert detected(body) == "generic"


# ---------------------------------------------------------------------------------------------------------- the alarm


def test_a_missing_fingerprint_is_the_one_that_alertmanager_computes() -> None:
    """Of these labels Alertmanager 0.25 says so itself."""
    alert = labelled(alertname="KitchenIsHot", service="kitchen", severity="critical", instance="stove-1:9100")
    assert alert.source_id == "21805e4ead6df15c"


def test_labels_in_another_order_are_the_same_alarm() -> None:
    assert labelled(a="1", b="2").source_id == labelled(b="2", a="1").source_id != labelled(a="2", b="1").source_id


def test_an_end_without_a_fingerprint_is_that_of_its_own_firing() -> None:
    assert one(item()).source_id == one(item("resolved", "2026-03-01T11:30:00Z")).source_id


@pytest.mark.parametrize(
    ("ends", "status"),
    [("2026-03-01T12:04:00Z", Status.FIRING), ("2026-03-01T11:59:00Z", Status.RESOLVED), (NEVER_ENDS, Status.FIRING)],
)
def test_a_clients_alert_is_over_when_its_end_is(ends: str, status: Status) -> None:
    body = item(ends=ends)
    del body["status"]
    assert detected(body) == "alertmanager"
    assert read("alertmanager", body).status is status


def test_what_alertmanagers_api_calls_suppressed_pages_nobody() -> None:
    assert read("alertmanager", {**item(), "status": {"state": "suppressed"}}).status is Status.INFO
    assert read("alertmanager", {**item(), "status": {"state": "active"}}).status is Status.FIRING


class Home:
    """What becomes of groups that come in one after the other."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._store = MemoryStore(self.clock)
        self._receive = Receive(load_sources(), Rules().identity, {}, Limits())
        self._decide = Correlate(Rules(), everyone(("ops",)))

    def hears(self, body: object, later: timedelta = timedelta()) -> Accepted:
        self.clock.advance(seconds=later.total_seconds())
        raw = msgspec.json.encode(body)
        received = self._receive(Request(body=raw, headers={}, received_at=self.clock()), "", "key")
        (accepted,) = self._store.accept(received.incoming, self._decide)
        return accepted

    def outcome(self, body: object, later: timedelta) -> str:
        accepted = self.hears(body, later)
        assert accepted.verdict
        return accepted.verdict.outcome or str(accepted.verdict.changed[0].event)


def test_sent_again_at_once_it_is_the_same_event() -> None:
    home = Home()
    first, second = home.hears(group(item())), home.hears(group(item()), timedelta(seconds=20))
    assert second.repeat
    assert second.alert_id == first.alert_id


def test_a_group_that_changes_reminds_and_nobody_hears_of_it_twice() -> None:
    home = Home()
    home.hears(group(item()))
    changed = group({**item(), "annotations": {"summary": "The disk fills", "description": "94% by now"}})
    assert home.outcome(changed, timedelta(minutes=1)) == "merged"


def test_a_reminder_hours_later_is_an_update_of_the_same_incident() -> None:
    home = Home()
    home.hears(group(item()))
    assert home.outcome(group(item()), timedelta(hours=4)) == "repeated"


def test_what_was_lost_for_a_while_and_fires_on_opens_its_incident_again() -> None:
    """Its startsAt is as old as before."""
    home = Home()
    home.hears(group(item()))
    assert home.outcome(group(item("resolved", "2026-03-01T09:06:00Z")), timedelta(minutes=6)) == "resolved"
    assert home.outcome(group(item()), timedelta(minutes=6)) == "reopened"


def test_the_same_end_is_one_event_whatever_else_is_in_its_group() -> None:
    home = Home()
    home.hears(group(item()))
    end = item("resolved", "2026-03-01T09:06:00Z")
    home.hears(group(end), timedelta(minutes=6))
    assert home.hears(group(end, receiver="other"), timedelta(days=2)).repeat


# --------------------------------------------------------------------------------------------------- what is read of it


@pytest.mark.parametrize(
    ("labels", "status", "severity"),
    [
        ({"severity": "none"}, Status.INFO, Severity.LOW),
        ({"alertname": "Watchdog"}, Status.INFO, Severity.MEDIUM),
        ({"alertname": "InfoInhibitor", "severity": "none"}, Status.INFO, Severity.LOW),
        (
            {"alertname": "PrometheusAlertmanagerE2eDeadManSwitch", "severity": "critical"},
            Status.INFO,
            Severity.CRITICAL,
        ),
        ({"severity": "page"}, Status.FIRING, Severity.CRITICAL),
        ({"severity": "info"}, Status.FIRING, Severity.LOW),
        ({"severity": "error"}, Status.FIRING, Severity.HIGH),
        ({"severity": "warning"}, Status.FIRING, Severity.MEDIUM),
        ({"priority": "P1"}, Status.FIRING, Severity.CRITICAL),
        ({"severity": "squad-a", "level": "crit"}, Status.FIRING, Severity.CRITICAL),
        ({"alertname": "HighErrorRate"}, Status.FIRING, Severity.HIGH),
    ],
)
def test_how_bad_it_is(labels: dict[str, str], status: Status, severity: Severity) -> None:
    alert = labelled(**labels)
    assert (alert.status, alert.severity) == (status, severity)


@pytest.mark.parametrize(
    ("labels", "service", "resource"),
    [
        ({"service": "shop", "job": "shop-api", "pod": "shop-1"}, "shop", "shop-1"),
        ({"job": "shop-api", "instance": "10.0.0.7:8080"}, "shop-api", "10.0.0.7:8080"),
        ({"app_kubernetes_io_name": "shop", "job": "kube-state-metrics"}, "shop", ""),
        (
            {"job": "kube-state-metrics", "instance": "10.1.1.1:8080", "deployment": "cart", "namespace": "x"},
            "cart",
            "cart",
        ),
        ({"job": "kubelet", "container": "cart", "pod": "cart-1", "node": "n1"}, "cart", "cart-1"),
        ({"job": "kube-state-metrics", "node": "n1", "instance": "10.1.1.1:8080"}, "", "n1"),
        (
            {"job": "node-exporter", "instance": "10.0.0.5:9100", "namespace": "monitoring"},
            "",
            "10.0.0.5:9100",
        ),
        ({"exported_job": "batch", "job": "pushgateway", "instance": "push:9091"}, "batch", "push:9091"),
        ({"service.name": "pay", "k8s.pod.name": "pay-1"}, "pay", "pay-1"),
    ],
)
def test_what_is_broken(labels: dict[str, str], service: str, resource: str) -> None:
    alert = labelled(**labels)
    assert (alert.service, alert.resource) == (service, resource)


def test_where_it_is_and_whose() -> None:
    alert = labelled(env="prod", aws_region="eu-west-1", cluster="eu-1", team="storage")
    assert (alert.environment, alert.region, alert.account, alert.owner) == ("prod", "eu-west-1", "eu-1", "storage")


def test_without_a_summary_the_title_says_what_and_never_where() -> None:
    title = labelled(reason="OOMKilled", pod="a-1", instance="10.0.0.1:1", severity="critical").title
    assert title == "X (reason OOMKilled)"


def test_links_lead_somewhere_and_scripts_nowhere() -> None:
    body = {**item(), "generatorURL": "javascript:alert(1)", "annotations": {"runbook_url": "https://r.example.com/x"}}
    links = {link.name: link.url for link in parsed(group(body, externalURL="http://am.example.com/"))[0].links}
    assert links == {
        "Runbook": "https://r.example.com/x",
        "Silence": "http://am.example.com/#/silences/new?filter=%7Balertname%3D%22DiskFills%22%2Cinstance%3D%22db-1%3A9100%22%7D",
    }


def test_grafanas_own_links_and_values_are_kept() -> None:
    mine = {"silenceURL": "https://g.example.com/silence", "panelURL": "https://g.example.com/p", "values": {"B": 2.5}}
    (alert,) = parsed(group({**item(), **mine}, externalURL="https://g.example.com/", orgId=1, title="[FIRING:1] x"))
    assert [link.url for link in alert.links if link.name == "Silence"] == ["https://g.example.com/silence"]
    assert "Values: B=2.5" in alert.message


# ------------------------------------------------------------------------------------------- bodies that really came in


class Row(NamedTuple):
    """How an engineer reads an alert of a body; ``incident`` is the same word for those of one incident."""

    body: str
    status: Status
    severity: Severity
    title: str
    service: str
    resource: str
    at: str
    incident: str


RESTARTED = "Container testapp-api-worker of pod testapp-test-api-worker-deployment-1234567890-abcef has been restarted"
POD = "testapp-test-api-worker-deployment-1234567890-abcef"
HOT = "High CPU core temperature"
FIRING, RESOLVED = Status.FIRING, Status.RESOLVED
CRITICAL, HIGH, MEDIUM = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM
REVIEWED = (
    Row("alertmanager/v3_firing", FIRING, CRITICAL, "Connect fail", "System", "host2", "2016-08-01T10:27:08.008", "a"),
    Row(
        "alertmanager/v4_firing_kube_container_restarted",
        FIRING,
        CRITICAL,
        RESTARTED,
        "testapp",
        POD,
        "2022-08-04T09:01:58.100",
        "b",
    ),
    Row(
        "alertmanager/v4_resolved_kube_made_up",
        RESOLVED,
        CRITICAL,
        RESTARTED,
        "testapp",
        POD,
        "2022-08-04T09:11:58.100",
        "b",
    ),
    Row(
        "alertmanager/v4_firing_no_fingerprint",
        FIRING,
        CRITICAL,
        "No things for over 10 minutes",
        "",
        "",
        "2017-08-03T19:17:37.804",
        "c",
    ),
    Row("alertmanager/v4_firing_two_alerts", FIRING, CRITICAL, HOT, "", "andromeda", "2020-02-06T00:17:58.432", "d"),
    Row("alertmanager/v4_firing_two_alerts", FIRING, CRITICAL, HOT, "", "andromeda", "2020-02-06T00:17:58.432", "d"),
    Row("elastic/elastalert2_alertmanager_post", FIRING, HIGH, "Test Alertmanager Rule", "", "", "", "e"),
    Row("grafana/v11_firing_values", FIRING, MEDIUM, "High memory usage", "", "", "2024-03-01T02:09:00.000", "f"),
    Row(
        "grafana/v8_resolved_test", RESOLVED, MEDIUM, "Notification test", "", "Grafana", "2022-08-31T10:30:00.522", "g"
    ),
    Row(
        "grafana/v9_test_button_firing",
        FIRING,
        MEDIUM,
        "Notification test",
        "",
        "Grafana",
        "2022-10-31T21:42:32.879",
        "g",
    ),
    Row(
        "grafana/v9_resolved",
        RESOLVED,
        HIGH,
        "This is a summary field, failure on <no value>",
        "",
        "",
        "2022-06-17T00:51:24.067",
        "h",
    ),
)


@pytest.mark.skipif(not (SHARED / "payloads").is_dir(), reason="the shared payloads aren't here")
def test_bodies_that_really_came_in_are_read_as_an_engineer_reads_them() -> None:
    receive = Receive(load_sources(), Rules().identity, {}, Limits())
    incidents: dict[str, str] = {}
    read_as: list[Row] = []
    for body in dict.fromkeys(row.body for row in REVIEWED):
        received = receive(request((SHARED / "payloads" / f"{body}.json").read_bytes()), "", "key")
        assert not received.rejected
        for one in received.incoming:
            alert = one.alert
            assert alert.source == "alertmanager"
            at = alert.timestamp.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] if alert.timestamp != alert.received_at else ""
            incident = incidents.setdefault(one.identity, "abcdefgh"[len(incidents)])
            read_as.append(
                Row(body, alert.status, alert.severity, alert.title, alert.service, alert.resource, at, incident)
            )
    assert tuple(read_as) == REVIEWED
