"""The Messages API, scripted: what it answers is true to its documentation, and what it was asked can be read."""

from __future__ import annotations

import json
from typing import Any

from tests.channels.server import Reply, ScriptedServer

USAGE = {"input_tokens": 2000, "output_tokens": 500, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 0}


def draft(**changes: Any) -> dict[str, Any]:
    """A good answer about an alert whose message is "connect ECONNREFUSED db.internal:5432"."""
    good = {
        "summary": "The cart can't reach its database.",
        "root_cause": {
            "statement": "The database at db.internal:5432 refuses connections.",
            "category": "dependency_failure",
            "confidence": 0.8,
            "alternatives": ["a firewall"],
        },
        "state": "active",
        "severity": {"level": "HIGH", "reason": "Orders fail."},
        "impact": "Orders fail.",
        "remediation": [{"step": "Look at the database.", "command": "pg_isready -h db.internal", "risk": "none"}],
        "monitoring": ["connections"],
        "claims": [
            {"statement": "Port 5432 refuses.", "evidence": "e1", "quote": "connect ECONNREFUSED db.internal:5432"}
        ],
        "gaps": [],
    }
    return {**good, **changes}


def says(content: object, *, stop_reason: str = "end_turn", usage: dict[str, int] = USAGE) -> Reply:
    """A message with this answer: text as it is, anything else as JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    message = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }
    return Reply(200, {"content-type": "application/json", "request-id": "req_01"}, json.dumps(message).encode())


def fails(status: int, kind: str, message: str = "Something.", **headers: str) -> Reply:
    """An error as the API tells it."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_01"}
    return Reply(status, {"content-type": "application/json", **headers}, json.dumps(body).encode())


def asked(server: ScriptedServer) -> list[dict[str, Any]]:
    """The bodies that came in."""
    return [json.loads(one.body) for one in server.asked]


def prompt(server: ScriptedServer) -> str:
    """What the user's turn of the last request said first."""
    text: str = asked(server)[-1]["messages"][0]["content"]
    return text
