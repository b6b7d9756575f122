"""Bodies that vendors really send, where they are at hand: sane, and never an accident."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.pipeline.receive import Limits, Receive
from mcp_responder.sources import load_sources
from tests.sources.reading import SHARED, request

PAYLOADS = sorted(path for path in SHARED.glob("payloads/*/*.json") if not path.name.endswith(".headers.json"))
CASES = sorted(SHARED.glob("data/cases/*/*/alert.json"))

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared payloads aren't here")


def read_all(body: object) -> list[Alert]:
    raw = msgspec.json.encode(body)
    received = Receive(load_sources(), ("signature",), {}, Limits())(request(raw), "", "key")
    assert received.rejected == ()
    return [incoming.alert for incoming in received.incoming]


def read_any(body: object) -> Alert:
    (alert,) = read_all(body)
    return alert


@pytest.mark.parametrize("path", [*PAYLOADS, *CASES], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_body_gives_alerts_with_a_title(path: Path) -> None:
    body = msgspec.json.decode(path.read_bytes())
    alerts = read_all(body)
    assert alerts
    assert all(alert.title for alert in alerts)


@pytest.mark.parametrize("path", [p for p in PAYLOADS if p.parent.name == "cloudwatch_alarm"], ids=lambda p: p.stem)
def test_alarms_are_alarms_of_their_own_region(path: Path) -> None:
    alert = read_any(msgspec.json.decode(path.read_bytes()))
    assert alert.source == "cloudwatch_alarm"
    assert alert.source_id.startswith("arn:aws:cloudwatch:")
    assert alert.timestamp is not None
    assert alert.event_id.startswith(alert.source_id)


@pytest.mark.parametrize("path", [p for p in PAYLOADS if p.parent.name == "eventbridge"], ids=lambda p: p.stem)
def test_events_that_must_page_nobody_are_info(path: Path) -> None:
    alert = read_any(msgspec.json.decode(path.read_bytes()))
    quiet = "suppressed" in path.stem or "configuration_change" in path.stem
    assert (alert.status is Status.INFO) is quiet


CI = [p for p in PAYLOADS if p.parent.name in ("github", "gitlab", "jenkins")]
CI_STATUS = {"fail": Status.FIRING, "success": Status.RESOLVED, "docs_sample": Status.RESOLVED, "started": Status.INFO}


@pytest.mark.parametrize("path", CI, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_job_that_went_well_pages_nobody(path: Path) -> None:
    alert = read_any(msgspec.json.decode(path.read_bytes()))
    assert alert.status is next(status for word, status in CI_STATUS.items() if word in path.stem)
    assert "object_kind" not in alert.title
    assert "action:" not in alert.title


@pytest.mark.parametrize("path", [p for p in CASES if p.parents[1].name == "opensre"], ids=lambda p: p.parent.name)
def test_cases_read_well(path: Path) -> None:
    body = msgspec.json.decode(path.read_bytes())
    alert = read_any(body)
    labels, annotations = body["commonLabels"], body["commonAnnotations"]
    expected = {"critical": Severity.CRITICAL, "warning": Severity.MEDIUM, "info": Severity.LOW}
    assert alert.title == body["title"]
    assert annotations["summary"] in alert.message
    assert annotations.get("error", "").strip() in alert.message
    assert alert.severity is expected[labels["severity"]]
    assert alert.service == labels["service"]
    assert alert.labels == labels
