"""Whole incidents as engineers' tools print them: which of several findings is the cause, and when nothing is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_responder.model.analysis import Category, State
from tests.unit.asking import analyze, subject

MINUTES = [f"2026-05-04T09:{minute:02}:00Z" for minute in range(10)]
DATABASE = {"db_instance_identifier": "ledger-prod"}
CASES = Path(__file__).parents[2].parent / "shared" / "data" / "cases"


def series(name: str, *values: float, unit: str = "Count", instance: str = "ledger-prod") -> dict[str, Any]:
    return {
        "metric_name": name,
        "dimensions": [{"Name": "DBInstanceIdentifier", "Value": instance}],
        "unit": unit,
        "timestamps": MINUTES[: len(values)],
        "values": list(values),
    }


def metrics(*results: dict[str, Any]) -> str:
    return json.dumps({"namespace": "AWS/RDS", "metric_data_results": results}, indent=2)


def insights(statement: str, load: float, *waits: tuple[str, float]) -> str:
    events = [{"name": name, "db_load_avg": value} for name, value in waits]
    return json.dumps({"top_sql": [{"statement": statement, "db_load_avg": load, "wait_events": events}]})


def rds_events(*messages: str) -> str:
    events = [
        {"date": MINUTES[place], "message": message, "source_identifier": "ledger-prod", "event_categories": ["x"]}
        for place, message in enumerate(messages)
    ]
    return json.dumps({"events": events})


def pod(
    name: str, *, ready: bool = True, phase: str = "Running", restarts: int = 0, **container: Any
) -> dict[str, Any]:
    state = {"running": True} if ready else {"waiting": True, "reason": "", "message": ""}
    box = {"name": "app", "ready": ready, "restart_count": restarts, "state": state} | container
    return {"name": name, "namespace": "shop", "phase": phase, "containers": [box], "conditions": []}


def pods(*items: dict[str, Any]) -> str:
    return json.dumps({"pods": items})


def warning(reason: str, message: str, owner: str) -> str:
    event = {
        "reason": reason,
        "message": message,
        "type": "Warning",
        "count": 4,
        "involved_object": f"Pod/{owner}",
        "last_time": MINUTES[5],
    }
    return json.dumps({"warning_events": [event]})


def logs(*messages: str, status: str = "error", service: str = "cart") -> str:
    records = [
        {"timestamp": MINUTES[place], "message": message, "status": status, "service": service, "host": "cart-1"}
        for place, message in enumerate(messages)
    ]
    return json.dumps({"logs": records})


def monitor(state: str) -> str:
    return json.dumps({"monitors": [{"name": "cart error rate", "overall_state": state, "message": "above 5 %"}]})


def rollout(desired: int, ready: int) -> str:
    return json.dumps({"deployments": [{"name": "cart", "desired": desired, "ready": ready}]})


def node(**facts: str) -> str:
    well = {"name": "node-1", "ready": "True", "memory_pressure": "False", "disk_pressure": "False"}
    return json.dumps({"nodes": [well | facts]})


# ---------------------------------------------------------------------------------------------------------- databases


def test_connections_that_multiply_are_exhaustion() -> None:
    draft = analyze(
        subject("Connections high on ledger-prod", "DatabaseConnections near maximum", labels=DATABASE),
        metrics__json=metrics(series("DatabaseConnections", 92, 140, 300, 480, 497, 498, 498)),
        insights__json=insights("SELECT 1", 3.2, ("Client:ClientRead", 2.8)),
    )
    assert draft.root_cause.category is Category.RESOURCE_EXHAUSTION
    assert "Client:ClientRead" in draft.root_cause.statement
    assert "498" in draft.root_cause.statement


def test_storage_that_falls_to_nothing_is_full() -> None:
    gib = 1024**3
    draft = analyze(
        subject("Writes fail on ledger-prod", labels=DATABASE),
        metrics__json=metrics(series("FreeStorageSpace", 40 * gib, 20 * gib, 5 * gib, gib, 0.2 * gib, unit="Bytes")),
    )
    assert draft.root_cause.category is Category.RESOURCE_EXHAUSTION
    assert "FreeStorageSpace fell" in draft.root_cause.statement


def test_a_failover_is_the_cause_even_when_it_is_completed() -> None:
    draft = analyze(
        subject("Connection errors on ledger-prod", "Clients lost their connections", labels=DATABASE),
        events__json=rds_events(
            "Multi-AZ instance failover started.", "DB instance restarted.", "Multi-AZ instance failover completed."
        ),
        metrics__json=metrics(series("DatabaseConnections", 120, 118, 0, 2, 80, 121)),
    )
    assert draft.root_cause.category is Category.INFRASTRUCTURE
    assert "failover" in draft.root_cause.statement


def test_a_busy_processor_is_no_cause_of_a_lag_that_a_writer_makes() -> None:
    draft = analyze(
        subject("Replication lag on ledger-prod", "Replica lag exceeded 900 seconds", labels=DATABASE),
        metrics__json=metrics(
            series("CPUUtilization", 30, 88, 91, 92, 93, unit="Percent"),
            series("WriteIOPS", 900, 9000, 18000, 19000, 19100),
            series("ReplicaLag", 1, 2, 300, 800, 1200, instance="ledger-prod-replica-2", unit="Seconds"),
        ),
    )
    assert "Replication lag" in draft.root_cause.statement
    assert "write-heavy" in draft.root_cause.statement
    assert "WriteIOPS moved first" in draft.root_cause.statement
    assert any("CPU" in other for other in draft.root_cause.alternatives)


def test_metrics_of_another_database_are_left_out() -> None:
    draft = analyze(
        subject("Question about ledger-prod", labels=DATABASE),
        metrics__json=metrics(
            series("CPUUtilization", 20, 22, 21, unit="Percent"),
            series("CPUUtilization", 20, 95, 97, unit="Percent", instance="other-prod"),
        ),
    )
    assert draft.root_cause.category is not Category.RESOURCE_EXHAUSTION


def test_a_query_that_takes_the_processor_is_named() -> None:
    draft = analyze(
        subject("CPU high on ledger-prod", labels=DATABASE),
        metrics__json=metrics(series("CPUUtilization", 20, 95, 97, 96, unit="Percent")),
        insights__json=insights("SELECT * FROM entries WHERE note LIKE $1", 7.9, ("CPU:user", 7.1)),
    )
    assert "SELECT * FROM entries" in draft.root_cause.statement
    assert any("Performance Insights" in claim.statement for claim in draft.claims)


def test_statements_that_wait_for_locks_are_named() -> None:
    draft = analyze(
        subject("ledger-prod is slow", labels=DATABASE),
        insights__json=insights("UPDATE accounts SET balance = $1", 9.0, ("Lock:transactionid", 8.0)),
    )
    assert "Lock:transactionid" in draft.root_cause.statement


def test_a_disk_with_too_much_to_do_is_told_with_its_checkpoints() -> None:
    draft = analyze(
        subject("Latency on ledger-prod", labels=DATABASE),
        metrics__json=metrics(series("DiskQueueDepth", 0.2, 14, 41, 44), series("WriteLatency", 1.1, 9, 30, 32)),
        insights__json=insights("INSERT INTO entries VALUES ($1)", 8.0, ("IO:WALSync", 6.0)),
        events__json=rds_events("Checkpoints are occurring too frequently."),
    )
    assert "DiskQueueDepth and WriteLatency" in draft.root_cause.statement
    assert "checkpoint" in draft.root_cause.statement


def test_spent_burst_credits_are_told() -> None:
    draft = analyze(
        subject("ledger-prod is slow", labels=DATABASE), metrics__json=metrics(series("BurstBalance", 99, 60, 20, 2))
    )
    assert "Burst credits" in draft.root_cause.statement


def test_memory_that_runs_out_is_told() -> None:
    gib = 1024**3
    draft = analyze(
        subject("ledger-prod swaps", labels=DATABASE),
        metrics__json=metrics(series("FreeableMemory", 8 * gib, 3 * gib, 0.3 * gib, unit="Bytes")),
    )
    assert "FreeableMemory fell from 8.0 GiB to 0.3 GiB" in draft.root_cause.statement


def test_storage_that_grew_again_is_recovered() -> None:
    gib = 1024**3
    draft = analyze(
        subject("Low FreeStorageSpace on ledger-prod", "Autoscaling was triggered", labels=DATABASE),
        metrics__json=metrics(series("FreeStorageSpace", 30 * gib, 4 * gib, 2 * gib, 190 * gib, unit="Bytes")),
        events__json=rds_events(
            "DB instance ledger-prod free storage space is low.",
            "Storage autoscaling completed for DB instance ledger-prod, free storage space is 190 GB.",
        ),
    )
    assert draft.root_cause.category is Category.HEALTHY
    assert draft.state is State.RECOVERED


def test_numbers_within_bounds_are_no_incident() -> None:
    draft = analyze(
        subject("Connections on ledger-prod", "Warning threshold touched. No errors reported.", labels=DATABASE),
        metrics__json=metrics(series("DatabaseConnections", 210, 240, 222), series("CPUUtilization", 40, 61, 50)),
        events__json=rds_events("Automatic backup for DB instance ledger-prod completed successfully."),
    )
    assert draft.root_cause.category is Category.HEALTHY
    assert draft.state is State.FALSE_ALARM


# --------------------------------------------------------------------------------------------------------- kubernetes


@pytest.mark.parametrize(
    ("reason", "message", "category", "words"),
    [
        (
            "Failed",
            'Failed to pull image "reg.test/cart:v9": not found',
            Category.CONFIGURATION_ERROR,
            "reg.test/cart:v9",
        ),
        (
            "Unhealthy",
            "Readiness probe failed: HTTP probe failed with statuscode: 404",
            Category.CONFIGURATION_ERROR,
            "404",
        ),
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "c" : secret "tls" not found',
            Category.CONFIGURATION_ERROR,
            "tls",
        ),
        ("FailedScheduling", "0/2 nodes are available: 2 Insufficient memory.", Category.RESOURCE_EXHAUSTION, "memory"),
        (
            "Evicted",
            "The node was low on resource: ephemeral-storage.",
            Category.RESOURCE_EXHAUSTION,
            "ephemeral-storage",
        ),
        ("NodeNotReady", "Node is not ready", Category.INFRASTRUCTURE, "NodeNotReady"),
    ],
)
def test_an_event_of_a_sick_pod_tells_the_cause(reason: str, message: str, category: Category, words: str) -> None:
    draft = analyze(
        subject("cart-1 is not ready", labels={"service": "cart"}),
        pods__json=pods(pod("cart-1", ready=False, phase="Pending")),
        events__json=warning(reason, message, "cart-1"),
    )
    assert draft.root_cause.category is category
    assert words in draft.root_cause.statement


def test_a_container_beyond_its_memory_is_told_as_such() -> None:
    ended = {"terminated": True, "reason": "OOMKilled", "exit_code": 137}
    state = {"waiting": True, "reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting"}
    draft = analyze(
        subject("cart-1 restarts", labels={"service": "cart"}),
        pods__json=pods(pod("cart-1", ready=False, restarts=9, state=state, last_state=ended)),
        events__json=warning("BackOff", "Back-off restarting failed container app", "cart-1"),
    )
    assert draft.root_cause.category is Category.RESOURCE_EXHAUSTION
    assert "OOMKilled" in draft.root_cause.statement


def test_a_node_under_pressure_is_told_by_its_name() -> None:
    draft = analyze(subject("Pods of cart are evicted"), nodes__json=node(disk_pressure="True"))
    assert "node-1" in draft.root_cause.statement
    assert "DiskPressure" in draft.root_cause.statement


def test_a_node_that_is_gone_is_infrastructure() -> None:
    draft = analyze(subject("Pods of cart are lost"), nodes__json=node(ready="Unknown"))
    assert draft.root_cause.category is Category.INFRASTRUCTURE


def test_a_failing_dependency_behind_ready_pods_is_found() -> None:
    draft = analyze(
        subject("cart error rate", "5xx rate is 30 %", labels={"service": "cart"}),
        pods__json=pods(pod("cart-1")),
        deployments__json=rollout(1, 1),
        monitors__json=monitor("Alert"),
        logs__json=logs("redis: connect ECONNREFUSED sessions.internal:6379", "GET /cart 500"),
    )
    assert draft.root_cause.category is Category.DEPENDENCY_FAILURE
    assert "sessions.internal:6379" in draft.root_cause.statement
    assert "alerting" in draft.impact


def test_a_single_restart_that_is_over_is_no_incident() -> None:
    draft = analyze(
        subject("Pod restarted: cart-1", "cart-1 had one restart", labels={"service": "cart"}),
        pods__json=pods(pod("cart-1", restarts=1), pod("cart-2")),
        deployments__json=rollout(2, 2),
        monitors__json=monitor("OK"),
        events__json=warning("BackOff", "Back-off restarting failed container app", "cart-1"),
        logs__json=logs("GET /cart 200", status="info"),
    )
    assert draft.root_cause.category is Category.HEALTHY
    assert draft.severity.level == "LOW"


def test_a_pod_that_found_its_place_is_no_incident() -> None:
    draft = analyze(
        subject("Pod was Pending: cart-3", labels={"service": "cart"}),
        pods__json=pods(pod("cart-3")),
        deployments__json=rollout(1, 1),
        monitors__json=monitor("OK"),
        events__json=warning("FailedScheduling", "0/2 nodes are available: 2 Insufficient cpu.", "cart-3"),
        logs__json=logs("Successfully assigned shop/cart-3 to node-9", status="info", service="scheduler"),
    )
    assert draft.root_cause.category is Category.HEALTHY


def test_a_scheduled_check_that_passed_is_no_incident() -> None:
    draft = analyze(
        subject("Scheduled Health Check: cart", "Periodic health check passed."),
        pods__json=pods(pod("cart-1")),
        deployments__json=rollout(1, 1),
        monitors__json=monitor("OK"),
    )
    assert draft.root_cause.category is Category.HEALTHY


def test_nobody_is_told_that_all_is_well_while_a_monitor_alerts() -> None:
    draft = analyze(
        subject("Scheduled Health Check: cart", "Periodic health check passed."),
        pods__json=pods(pod("cart-1")),
        deployments__json=rollout(1, 1),
        monitors__json=monitor("Alert"),
    )
    assert draft.root_cause.category is not Category.HEALTHY


# ------------------------------------------------------------------------------------------------------------- kubectl

DESCRIBED = """\
# kubectl_describe {{"kind": "pod", "name": "batch-7", "namespace": "jobs"}}
Name:             batch-7
Namespace:        jobs
Node:             {node}
Status:           Pending
Containers:
  main:
    Image:        busybox
    State:          Waiting
      Reason:       {reason}
    Ready:          False
    Restart Count:  3
Conditions:
  Type           Status
  Ready          False
Node-Selectors:  disk=nvme
Events:
  Type     Reason            Age   From               Message
  ----     ------            ----  ----               -------
  Warning  {event}  38s (x4 over 5m)  kubelet  {message}
"""


def described(event: str, message: str, reason: str = "Waiting") -> str:
    return DESCRIBED.format(node="<none>", reason=reason, event=event, message=message)


def test_a_described_selector_is_named_with_its_wish() -> None:
    text = described(
        "FailedScheduling", "0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector."
    )
    draft = analyze(subject("What is wrong with batch-7?"), describe__txt=text)
    assert "node selector" in draft.root_cause.statement
    assert "disk=nvme" in draft.root_cause.statement


def test_a_described_typo_is_named() -> None:
    text = described("Failed", 'Error: runc create failed: exec: "ngnix": executable file not found in $PATH: unknown')
    draft = analyze(subject("batch-7 crashes"), describe__txt=text)
    assert '"ngnix"' in draft.root_cause.statement
    assert draft.root_cause.category is Category.CONFIGURATION_ERROR


def test_a_table_of_pods_shows_who_is_sick() -> None:
    table = (
        '# kubectl_get {"kind": "pod"}\n'
        "NAME       READY   STATUS             RESTARTS      AGE\n"
        "batch-7    0/1     ImagePullBackOff   0             4m\n"
        "batch-8    1/1     Running            2 (3h ago)    4d\n"
    )
    draft = analyze(subject("What is wrong in jobs?"), pods__txt=table)
    assert draft.root_cause.category is Category.CONFIGURATION_ERROR
    assert "batch-7" in draft.impact


@pytest.mark.skipif(not CASES.exists(), reason="the public cases are not here")
def test_the_public_cases_are_mostly_explained() -> None:
    """The shared tool measures the score; here every case must be answered and every claim proven."""
    for folder in sorted(CASES.glob("*/*/evidence")):
        files = {path.name.replace(".", "__"): path.read_text()[:60_000] for path in folder.iterdir()}
        alert = json.loads((folder.parent / "alert.json").read_text())
        assert analyze(subject(alert["title"]), **files).root_cause.statement
