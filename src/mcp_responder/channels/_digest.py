"""A storm in words: what every channel says of a digest. Plain text: to be escaped as any other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mcp_responder.model.incident import IncidentStatus
from mcp_responder.model.message import Digest
from mcp_responder.plumbing.text import shown_line

NAMED = 8
"""Incidents that are called by their names."""
SERVICES = 5
LONGEST = 200


def title(digest: Digest) -> str:
    """The first line, fit for a lock screen: how many, how bad, where."""
    severities = Counter(incident.severity for incident in digest.incidents)
    counts = ", ".join(f"{severities[severity]} {severity}" for severity in sorted(severities, key=lambda s: s.rank))
    return f"Storm: {_incidents(len(digest.incidents))} in one message ({counts}): {_services(digest, 2)}"


def lines(digest: Digest) -> Iterator[str]:
    """What follows: the sums, then the worst by name."""
    statuses = Counter(incident.status for incident in digest.incidents)
    counts = ", ".join(f"{statuses[status]} {status}" for status in IncidentStatus if statuses[status])
    yield f"Since {digest.since:%H:%M:%S} UTC: {counts}."
    yield f"Services: {_services(digest, SERVICES)}."
    unresolved = [incident for incident in digest.incidents if incident.status is not IncidentStatus.RESOLVED]
    for incident in (unresolved or digest.incidents)[:NAMED]:
        what = " | ".join(filter(None, (incident.service, incident.title)))
        yield f"{incident.severity} {incident.status}: {shown_line(what, LONGEST)} ({incident.id})"
    more = len(unresolved or digest.incidents) - NAMED
    if more > 0:
        yield f"... and {more} more: mcp-responder incidents"


def _services(digest: Digest, most: int) -> str:
    services = Counter(incident.service or "unknown" for incident in digest.incidents)
    named = ", ".join(f"{shown_line(name, LONGEST)} ({count})" for name, count in services.most_common(most))
    more = len(services) - most
    return f"{named} and {more} more" if more > 0 else named


def _incidents(count: int) -> str:
    return f"{count} incident{'' if count == 1 else 's'}"
