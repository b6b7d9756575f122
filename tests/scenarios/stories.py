"""What the stories share: alerts of their own, and what the webhook heard."""

from __future__ import annotations

import itertools
import json
import os
from typing import Any

from tests.channels.server import ScriptedServer
from tests.service import Service

_names = itertools.count()


def a_service(name: str = "checkout") -> str:
    """The name of a service that no other story uses."""
    return f"{name}-{os.getpid()}-{next(_names)}"


def alarm(service: str, **fields: Any) -> dict[str, Any]:
    """An event of its own of one kind of trouble on that service."""
    return {
        "title": "Database connection pool exhausted",
        "message": "FATAL: remaining connection slots are reserved",
        "severity": "CRITICAL",
        "service": service,
        "event_id": f"event-{os.getpid()}-{next(_names)}",
        **fields,
    }


def told(server: ScriptedServer, incident_id: str) -> list[dict[str, Any]]:
    """What a webhook heard of an incident, in order."""
    bodies = [json.loads(asked.body) for asked in tuple(server.asked)]
    return [body for body in bodies if body["incident"]["id"] == incident_id]


def events(server: ScriptedServer, incident_id: str) -> list[str]:
    return [body["type"].removeprefix("incident.") for body in told(server, incident_id)]


def outcome(service: Service, alert_id: str) -> str:
    return str(service.get(f"/v1/alerts/{alert_id}")["outcome"])


def incident_of(service: Service, alert_id: str) -> Any:
    """The alert's incident with everything around it."""
    return service.get(f"/v1/incidents/{service.get(f'/v1/alerts/{alert_id}')['incident']['id']}")


def opened(service: Service, *alerts: dict[str, Any]) -> Any:
    """Send alerts, wait until everybody was told, and look at the incident of the first."""
    first, *_ = service.send(*alerts)
    service.settled()
    return incident_of(service, first)
