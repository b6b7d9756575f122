"""``demo``: an incident as it happens, sent through the HTTP door of a throw-away service.

A database runs out of connections: a storm of application errors, the alarm that names the cause, and the recovery.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

STORM = 120
HOSTS = 6
PATIENCE_SECONDS = 30.0
ALARM = "orders-db-connections-high"
ARN = f"arn:aws:cloudwatch:eu-central-1:111122223333:alarm:{ALARM}"
TRACE = """org.hibernate.exception.JDBCConnectionException: Unable to acquire JDBC Connection
\tat com.shop.orders.OrderRepository.save(OrderRepository.java:88)
\tat com.shop.orders.OrderService.place(OrderService.java:41)
Caused by: java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, \
request timed out after 30000ms (total=50, active=50, idle=0, waiting={waiting})
\tat com.zaxxer.hikari.pool.HikariPool.createTimeoutException(HikariPool.java:696)"""


def run() -> int:
    """Play the story; 0 if it ended as it should."""
    with tempfile.TemporaryDirectory(prefix="mcp-responder-demo-") as folder:
        key = f"demo_{secrets.token_urlsafe(16)}"
        service = subprocess.Popen(
            [sys.executable, "-m", SERVICE], env=_environment(folder, key), cwd=folder, stdin=subprocess.DEVNULL
        )
        try:
            return _play(Client(_address(Path(folder), service), key))
        finally:
            service.terminate()
            service.wait()


SERVICE = "mcp_responder.entrypoints.supervisor"


def _environment(folder: str, key: str) -> dict[str, str]:
    # Nor a model's key: the demo costs nothing.
    kept = (name for name in os.environ if not name.startswith("RESPONDER_") and name != "ANTHROPIC_API_KEY")
    own = {name: os.environ[name] for name in kept}
    return {
        **own,
        "RESPONDER_PORT": "0",
        "RESPONDER_DATA_DIR": folder,
        "RESPONDER_API_KEY": key,
        "RESPONDER_LOG__LEVEL": "warning",
        "MCP_RESPONDER_SILENT": "1",
    }


def _address(folder: Path, service: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and service.poll() is None:
        try:
            return str(json.loads((folder / "runtime.json").read_text())["url"])
        except (OSError, ValueError):
            time.sleep(0.05)
    sys.exit("mcp-responder demo: the throw-away service did not start; run `mcp-responder serve` to see why.")


class Client:
    """The service as any sender sees it."""

    def __init__(self, url: str, key: str) -> None:
        self._netloc = urlsplit(url).netloc
        self._key = key

    def call(self, method: str, path: str, body: object = None) -> Any:
        connection = HTTPConnection(self._netloc, timeout=10)
        headers = {"X-API-Key": self._key, "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 400:
            sys.exit(f"mcp-responder demo: {method} {path} answered {answer.status}: {text.decode()}")
        return json.loads(text)


def _play(client: Client) -> int:
    say("1. A deploy changes a pool's size: noted as information, nobody is told.")
    client.call("POST", "/v1/sources/generic", deploy())
    say(f"2. The storm: {STORM} errors of one kind from {HOSTS} hosts, in one burst.")
    accepted = client.call("POST", "/v1/alerts", list(storm()))["accepted"]
    _settle(client)
    say("3. The root cause reports: the database's own alarm.")
    client.call("POST", "/v1/alerts", alarm("ALARM", 498.0))
    _settle(client)
    say("4. The pool is widened; the alarm goes back to OK and the application recovers.")
    client.call("POST", "/v1/alerts", alarm("OK", 212.0))
    client.call("POST", "/v1/alerts", [{**error, "status": "resolved"} for error in islice(storm(), HOSTS)])
    _settle(client)
    return _account(client, accepted[STORM // 2]["alert_id"])


def say(text: str) -> None:
    sys.stdout.write(f"\n━━━ {text}\n\n")
    sys.stdout.flush()


def deploy() -> dict[str, object]:
    return {
        "title": "orders-api 4.12.0 deployed",
        "message": "Rollout finished; spring.datasource.hikari.maximum-pool-size=50",
        "status": "info",
        "service": "orders-api",
        "environment": "production",
        "event_id": "deploy-4.12.0",
    }


def storm() -> Iterator[dict[str, object]]:
    for number in range(STORM):
        host = f"orders-api-{number % HOSTS}"
        yield {
            "title": "Unable to acquire JDBC Connection",
            "message": TRACE.format(waiting=40 + number),
            "severity": "critical",
            "service": "orders-api",
            "environment": "production",
            "source_id": host,
            "labels": {"host": host, "version": "4.12.0"},
            "sequence": number,
        }


def alarm(state: str, value: float) -> dict[str, object]:
    now = datetime.now(UTC)
    crossed = "greater than" if state == "ALARM" else "not greater than"
    return {
        "AlarmName": ALARM,
        "AlarmDescription": "Connections to orders-db are close to max_connections (500). severity: high",
        "AWSAccountId": "111122223333",
        "NewStateValue": state,
        "NewStateReason": f"Threshold Crossed: 1 datapoint [{value} ({now:%d/%m/%y %H:%M}:00)] was {crossed} the "
        "threshold (450.0).",
        "StateChangeTime": now.isoformat(timespec="milliseconds").replace("+00:00", "+0000"),
        "Region": "EU (Frankfurt)",
        "AlarmArn": ARN,
        "OldStateValue": "OK" if state == "ALARM" else "ALARM",
        "Trigger": {
            "MetricName": "DatabaseConnections",
            "Namespace": "AWS/RDS",
            "StatisticType": "Statistic",
            "Statistic": "MAXIMUM",
            "Dimensions": [{"name": "DBInstanceIdentifier", "value": "orders-db"}],
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 450.0,
        },
    }


def _settle(client: Client) -> None:
    """Wait until everybody was told of everything."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        queues = client.call("GET", "/v1/queues")["lanes"].values()
        if not any(lane["ready"] + lane["leased"] for lane in queues):
            return
        time.sleep(0.05)


def _account(client: Client, alert_id: str) -> int:
    ledger = client.call("GET", "/v1/ledger")
    incidents = client.call("GET", "/v1/incidents")["items"]
    why = client.call("GET", f"/v1/alerts/{alert_id}/why")
    say("5. The ledger: every event has one outcome.")
    suppressed = sum(ledger["suppressed"].values())
    counts = {name: ledger[name] for name in ("received", "delivered", "merged", "dead", "in_flight")}
    counts["suppressed"] = suppressed
    for name, count in counts.items():
        sys.stdout.write(f"  {name:<12}{count:>6}\n")
    sys.stdout.write(f"  The law {'holds' if ledger['balanced'] else 'IS BROKEN'}: ")
    sys.stdout.write("received = delivered + merged + suppressed + dead + in flight\n")
    sys.stdout.write(f"\n  {len(incidents)} incidents out of {ledger['received']} events:\n")
    for incident in incidents:
        sys.stdout.write(f"    {incident['status']:<13}{incident['severity']:<10}{incident['title']}\n")
    sys.stdout.write(f"\n  Why alert {alert_id} told nobody anew: {why['explanation']}\n")
    settled = ledger["balanced"] and ledger["in_flight"] == 0 and len(incidents) == 2
    return 0 if settled else 1
