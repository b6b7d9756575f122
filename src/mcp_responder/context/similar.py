"""Alerts of the same severity in the last day, clustered: is this one of many?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from mcp_responder.model.analysis import Evidence
from mcp_responder.ports import Cluster, IncidentStore, Subject

WINDOW = timedelta(hours=24)
MOST = 20


class Similar:
    """Shows what else fires at this severity."""

    name = "similar"

    def __init__(self, store: IncidentStore) -> None:
        self._store = store

    def gather(self, subject: Subject) -> Iterator[Evidence]:
        """One piece of evidence with a line for each cluster, the largest first."""
        since, severity = subject.now - WINDOW, subject.alert.severity
        clusters = self._store.similar(severity, since, MOST)
        yield Evidence(
            evidence_id="",
            kind=self.name,
            title=f"{severity} alerts of the last 24 hours",
            query=f"alerts of severity {severity} since {since:%Y-%m-%dT%H:%M}Z, by signature and service, top {MOST}",
            content="\n".join(_line(cluster, subject.alert.signature) for cluster in clusters),
            since=since,
            until=subject.now,
        )


def _line(cluster: Cluster, signature: str) -> str:
    mark = " [this signature]" if cluster.signature == signature else ""
    return (
        f"{cluster.count} x {cluster.title} (service {cluster.service or 'unknown'}, {cluster.incidents} incidents, "
        f"last at {cluster.last_seen:%Y-%m-%dT%H:%M:%S}Z){mark}"
    )
