"""Who should hear of an incident, and where. Pure."""

from __future__ import annotations

from mcp_responder.model.incident import Incident
from mcp_responder.pipeline.correlate import Route


def everyone(channels: tuple[str, ...]) -> Route:
    """Every configured channel hears of every incident."""

    def route(_: Incident) -> tuple[str, ...]:
        return channels

    return route
