"""Three thousand events of all kinds from sixteen threads: each has one outcome, each incident is told once."""

from __future__ import annotations

import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

from tests.channels.server import scripted_server
from tests.promises import promise
from tests.service import running

THREADS = 16
EVENTS = 3000
BATCH = 10
STATES = ("firing", "firing", "firing", "resolved", "info")
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")


def mixed(seed: int) -> list[dict[str, Any]]:
    """Firings, ends and notices of eight alarms on six services; some events come twice."""
    numbers = random.Random(seed)
    return [event(numbers.randrange(EVENTS)) for _ in range(EVENTS)]


def event(number: int) -> dict[str, Any]:
    dice = random.Random(number)
    return {
        "event_id": f"event-{number}",
        "title": dice.choice(("Pool exhausted", "Disk full")),
        "service": f"service-{dice.randrange(6)}",
        "source_id": f"alarm-{dice.randrange(8)}",
        "severity": dice.choice(SEVERITIES),
        "status": dice.choice(STATES),
        "message": "x" * dice.randrange(200),
    }


@promise("every-event-has-one-outcome", "incident-is-told-once")
def test_the_law_holds_after_a_mixed_storm(tmp_path: Path) -> None:
    events = mixed(20260101)
    batches = [events[start : start + BATCH] for start in range(0, EVENTS, BATCH)]
    with scripted_server() as server, running(tmp_path, CHANNELS__WEBHOOK__URL=server.url) as service:
        with ThreadPoolExecutor(THREADS) as threads:
            alert_ids = list(chain.from_iterable(threads.map(lambda batch: service.send(*batch), batches)))
        ledger = service.settled()
        incidents = service.get("/v1/incidents?limit=200")["items"]
        outcomes: Counter[str] = Counter()
        cursor = ""
        while cursor is not None:
            page = service.get(f"/v1/alerts?limit=200{f'&cursor={cursor}' if cursor else ''}")
            outcomes.update(item["outcome"] for item in page["items"])
            cursor = page["next"]
        metrics = service._http.request("GET", f"{service.url}/metrics").data.decode()
    distinct = len({sent["event_id"] for sent in events})
    assert len(alert_ids) == EVENTS
    assert len(set(alert_ids)) == distinct == ledger["received"] == outcomes.total()
    assert ledger["balanced"]
    assert (ledger["dead"], ledger["in_flight"]) == (0, 0)
    counted = {"delivered": ledger["delivered"], "merged": ledger["merged"]}
    counted |= {f"suppressed:{rule}": count for rule, count in ledger["suppressed"].items()}
    assert counted == dict(outcomes)
    assert "responder_ledger_imbalance 0.0" in metrics
    told = [json.loads(asked.body) for asked in server.asked]
    assert not any(body["doubtful"] for body in told)
    assert max(Counter(body["id"] for body in told).values()) == 1
    assert {body["incident"]["id"] for body in told} == {incident["id"] for incident in incidents}
    last = {body["incident"]["id"]: body["incident"]["status"] for body in told}
    assert last == {incident["id"]: incident["status"] for incident in incidents}
