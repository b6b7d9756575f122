"""What every source keeps, shown on its fixtures."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from mcp_responder.model.alert import Alert, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.sources import load_sources
from tests.sources.reading import EXPECTED, FIXTURES, alerts_of, bodies, detected, request, shown

SOURCES = list(load_sources())
PACKED = {"cloudwatch_logs"}
"""Their bodies hold compressed data, which nobody could read in an alert."""
CASES = [pytest.param(name, path, id=f"{name}-{path.stem}") for name in SOURCES for path in bodies(name)]


def alerts(name: str, path: Path) -> list[Alert]:
    raw = path.read_bytes()
    return alerts_of(load_sources()[name].parse(msgspec.json.decode(raw), raw, request(raw)))


def test_a_source_is_found_by_its_file_and_generic_is_asked_last() -> None:
    assert {"cloudwatch_alarm", "eventbridge", "generic"} <= set(SOURCES)
    assert SOURCES[-1] == "generic"
    assert not any(name.startswith("_") for name in SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_has_fixtures_that_fire_that_resolve_and_that_are_odd(name: str) -> None:
    stems = [path.stem for path in bodies(name)]
    assert len(stems) >= 3
    assert any(stem.startswith("odd") for stem in stems), "one fixture must be odd"
    seen = {alert.status for path in bodies(name) for alert in alerts(name, path)}
    assert Status.FIRING in seen
    assert (Status.RESOLVED in seen) is load_sources()[name].INFO.resolves


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_named_after_its_file_and_says_how_it_is_set_up(name: str) -> None:
    source = load_sources()[name]
    guide = source.__doc__ or ""
    assert source.INFO.name == name
    assert "## Set up" in guide
    assert "curl -X POST" in guide
    assert f"/v1/sources/{name}" in guide


@pytest.mark.parametrize("name", SOURCES)
def test_the_body_in_the_set_up_guide_is_read_by_its_source(name: str) -> None:
    (said,) = re.findall(r"-d '(\{.*?\})'", load_sources()[name].__doc__ or "", re.DOTALL)
    body = msgspec.json.decode(said)
    assert detected(body) == name
    (alert,) = alerts_of(load_sources()[name].parse(body, said.encode(), request(said.encode())))
    assert alert.status is Status.FIRING


def test_no_fixture_is_of_a_source_that_is_gone() -> None:
    assert {path.name for path in FIXTURES.iterdir()} == set(SOURCES)


@pytest.mark.parametrize(("name", "path"), CASES)
def test_a_body_is_detected_as_its_own_source(name: str, path: Path) -> None:
    assert detected(msgspec.json.decode(path.read_bytes())) == name


@pytest.mark.parametrize(("name", "path"), CASES)
def test_a_body_reads_as_an_engineer_would_read_it(name: str, path: Path) -> None:
    expected = msgspec.json.decode(path.with_name(path.stem + EXPECTED).read_bytes())
    assert [shown(alert) for alert in alerts(name, path)] == expected


@pytest.mark.parametrize(("name", "path"), CASES)
def test_the_senders_json_is_kept_byte_for_byte(name: str, path: Path) -> None:
    """The whole of it; of several alerts in one body, each its own part. What came packed is kept as what was in it."""
    for alert in alerts(name, path):
        kept = bytes(alert.raw_data)
        assert kept in path.read_bytes() or (name in PACKED and detected(msgspec.json.decode(kept)) == name)


@pytest.mark.parametrize(("name", "path"), CASES)
def test_the_pipeline_fills_what_is_the_pipelines(name: str, path: Path) -> None:
    for alert in alerts(name, path):
        assert (alert.alert_id, alert.signature, alert.key) == ("", "", "")


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("body", [None, True, 1, 1.5, [], [{}], {}, ""])
def test_what_says_nothing_is_refused(name: str, body: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        load_sources()[name].parse(body, b"null", request(b"null"))
    assert refused.value.status == 422
