"""From a topic of SNS to an incident, by an HTTP subscription that confirms itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.emulator import INSTALLED, REGION, Emulator, emulator
from tests.service import KEY, Service, eventually, running
from tests.sources.reading import FIXTURES

ALARM = json.loads((FIXTURES / "cloudwatch_alarm" / "metric_firing.json").read_text())
RESOLVED = json.loads((FIXTURES / "cloudwatch_alarm" / "metric_resolved.json").read_text())

pytestmark = pytest.mark.skipif(not INSTALLED, reason="the emulator isn't installed: make test does that")


def subscribed(cloud: Emulator, service: Service, topic: str, **attributes: str) -> None:
    """The service hears a topic, and has said that it wants to."""
    endpoint = f"{service.url}/v1/sources/sns".replace("http://", f"http://sns:{KEY}@")
    entries = {
        f"Attributes.entry.{number}.{part}": words
        for number, pair in enumerate(attributes.items(), 1)
        for part, words in zip(("key", "value"), pair, strict=True)
    }
    cloud.ask("sns", "Subscribe", TopicArn=topic, Protocol="http", Endpoint=endpoint, **entries)

    def confirmed() -> None:
        asked = service.get("/v1/alerts?source=sns&limit=50")["items"]
        assert [alert["outcome"] for alert in asked if topic.endswith(f":{alert['labels']['topic']}")] == [
            "suppressed:confirmed"
        ]
        listed = cloud.ask("sns", "ListSubscriptionsByTopic", TopicArn=topic)
        assert listed["SubscriptionArn"].startswith(topic), listed

    eventually(confirmed)


def incidents(service: Service, status: str) -> Any:
    def there() -> Any:
        items = service.get("/v1/incidents?limit=10")["items"]
        assert [item["status"] for item in items] == [status]
        return items[0]

    return eventually(there)


def test_an_alarm_that_is_published_to_a_topic_is_an_incident_and_its_end_ends_it(tmp_path: Path) -> None:
    with emulator(tmp_path) as cloud:
        settings = {
            # The emulator can't sign.
            "SOURCES__SNS__VERIFY": "false",
            "SOURCES__SNS__HOSTS": f'["{cloud.url}"]',
            "SOURCES__SNS__TOPICS": f'["arn:aws:sns:{REGION}:*:alarms*"]',
        }
        with running(tmp_path, **settings) as service:
            topic = cloud.ask("sns", "CreateTopic", Name="alarms")["TopicArn"]
            subscribed(cloud, service, topic)
            subject = f"ALARM: {ALARM['AlarmName']}"
            cloud.ask("sns", "Publish", TopicArn=topic, Subject=subject, Message=json.dumps(ALARM))
            incident = incidents(service, "open")
            assert incident["title"] == ALARM["AlarmName"]
            assert service.get(f"/v1/alerts/{incident['alert_id']}")["source"] == "cloudwatch_alarm"
            cloud.ask("sns", "Publish", TopicArn=topic, Subject="OK", Message=json.dumps(RESOLVED))
            incidents(service, "resolved")
            assert service.settled()["balanced"]
            assert "Traceback" not in service.stderr
