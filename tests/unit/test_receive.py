"""Raw requests become alerts with an identity."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from mcp_responder.model.alert import Alert, Status
from mcp_responder.pipeline.correlate import Correlate, Rules
from mcp_responder.pipeline.receive import Limits, Receive, Received
from mcp_responder.pipeline.route import everyone
from mcp_responder.ports import IncidentStore, Request
from mcp_responder.sources import load_sources
from mcp_responder.storage.memory import MemoryStore
from mcp_responder.storage.sqlite.store import SqliteStore
from tests.contract.clock import FakeClock
from tests.sources.reading import FIXTURES, RECEIVED

IDENTITY = Rules().identity
DECIDE = Correlate(Rules(), everyone(("ops",)))
TEN = "2026-03-01T10:00:00Z"
UUID = "0c4a0b1e-6d2f-4f55-9d6a-55e1f6a1d0aa"
ALARM = msgspec.json.decode((FIXTURES / "cloudwatch_alarm" / "metric_firing.json").read_bytes(), type=dict[str, object])
receive = Receive(load_sources(), IDENTITY, {}, Limits())


def received(body: object, source: str = "", key: str = "key", kind: str = "application/json") -> Received:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return receive(Request(body=raw, headers={"content-type": kind}, received_at=RECEIVED), source, key)


def alert(body: object, source: str = "", key: str = "key", kind: str = "application/json") -> Alert:
    (incoming,) = received(body, source, key, kind).incoming
    return incoming.alert


# ------------------------------------------------------------------------------------------------------------ identity


def test_two_keys_that_tell_the_same_change_of_an_alarm_tell_one_event() -> None:
    assert alert(ALARM, key="a").alert_id == alert(ALARM, key="b").alert_id


@pytest.mark.parametrize("event_id", [42, "42", "evt-17", UUID])
def test_the_event_ids_of_two_programs_are_two_events(event_id: object) -> None:
    body = {"title": "Disk full", "event_id": event_id}
    assert alert(body, key="a").alert_id == alert(body, key="a").alert_id != alert(body, key="b").alert_id


def test_programs_behind_one_key_may_both_count_from_one() -> None:
    first = alert({"title": "Disk full", "event_id": 42, "service": "web"})
    assert alert({"title": "Disk slow", "event_id": 42, "service": "web"}).alert_id != first.alert_id
    assert alert({"title": "Disk full", "event_id": 42, "service": "db"}).alert_id != first.alert_id
    assert alert({"title": "Disk full", "event_id": 42, "service": "web", "try": 2}).alert_id == first.alert_id


@pytest.mark.parametrize("field", ["event_id", "id"])
def test_a_minted_id_is_one_event_whatever_its_words(field: str) -> None:
    first, again = alert({"title": "Disk full", field: UUID}), alert({"title": "Disk full (retry)", field: UUID})
    assert first.alert_id == again.alert_id
    ended = [alert({"title": title, field: UUID, "status": "ok"}) for title in ("Disk full", "Disk full (retry)")]
    assert len({ended[0].alert_id, ended[1].alert_id, first.alert_id}) == 2


def test_a_begin_doesnt_make_bytes_one_event_for_ever() -> None:
    for name, unstable in (("started_at", True), ("created_at", True), ("timestamp", False), ("time", False)):
        (incoming,) = received({"title": "Disk full", name: TEN}).incoming
        assert incoming.unstable is unstable


# -------------------------------------------------------------------------------------------------- firing once more


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> Iterator[IncidentStore]:
    if request.param == "memory":
        yield MemoryStore(clock)
        return
    sqlite = SqliteStore(tmp_path, clock)
    yield sqlite
    sqlite.close()


def outcomes(store: IncidentStore, clock: FakeClock, *bodies: dict[str, object], minutes: float = 1) -> list[str]:
    """What becomes of alerts that come one after another."""
    became = []
    for body in bodies:
        clock.advance(minutes=minutes)
        sent = Request(body=msgspec.json.encode(body), headers={}, received_at=clock())
        (accepted,) = store.accept(receive(sent, "", "key").incoming, DECIDE)
        became.append("repeat" if accepted.repeat else store.alert(accepted.alert_id).outcome)
    return became


@pytest.mark.parametrize("name", ["started_at", "startsAt", "created_at"])
def test_a_firing_with_the_begin_of_the_last_one_is_told(name: str, store: IncidentStore, clock: FakeClock) -> None:
    firing: dict[str, object] = {"title": "Disk full", "service": "web", "source_id": "disk", name: TEN, "n": 1}
    resolved = {**firing, "status": "resolved", "endsAt": "2026-03-01T10:30:00Z"}
    again = {**firing, "n": 2}
    assert outcomes(store, clock, firing, resolved, again) == ["in_flight"] * 3


def test_so_is_one_with_the_very_same_bytes_after_five_minutes(store: IncidentStore, clock: FakeClock) -> None:
    firing: dict[str, object] = {"title": "Disk full", "id": "prod-db-01-disk-full", "started_at": TEN}
    story = (firing, {**firing, "status": "resolved"}, firing)
    assert outcomes(store, clock, *story, minutes=6) == ["in_flight"] * 3


def test_a_name_that_looks_like_an_id_doesnt_swallow_the_next_firing(store: IncidentStore, clock: FakeClock) -> None:
    firing: dict[str, object] = {"title": "Disk full", "id": "prod-db-01-disk-full"}
    story = (firing, {**firing, "status": "resolved"}, firing)
    assert outcomes(store, clock, *story, minutes=6) == ["in_flight"] * 3


def test_a_straggler_by_the_senders_own_clock_is_still_told_apart(store: IncidentStore, clock: FakeClock) -> None:
    common: dict[str, object] = {"title": "Disk full", "source_id": "disk"}
    resolved = {**common, "status": "resolved", "timestamp": "2026-03-01T10:30:00Z"}
    late = {**common, "timestamp": TEN}
    assert outcomes(store, clock, resolved, late) == ["suppressed:nothing-open", "suppressed:out-of-order"]
    # Without a time of its own nothing is out of order, even if the sender's clock is ahead of ours.
    ahead = {**resolved, "timestamp": (clock() + timedelta(hours=1)).isoformat()}
    assert outcomes(store, clock, ahead, common) == ["suppressed:nothing-open", "in_flight"]


# ------------------------------------------------------------------------------------------------ at the wrong address


@pytest.mark.parametrize("source", ["eventbridge", "sns", "cloudwatch_alarm", ""])
@pytest.mark.parametrize(
    ("state", "status"), [("ALARM", Status.FIRING), ("OK", Status.RESOLVED), ("INSUFFICIENT_DATA", Status.INFO)]
)
def test_an_alarm_at_another_sources_address_is_an_alarm(source: str, state: str, status: Status) -> None:
    told = alert({**ALARM, "NewStateValue": state}, source)
    assert (told.source, told.status) == ("cloudwatch_alarm", status)


@pytest.mark.parametrize(
    ("state", "status"), [("ALARM", Status.FIRING), ("OK", Status.RESOLVED), ("INSUFFICIENT_DATA", Status.INFO)]
)
def test_an_alarm_that_is_to_be_read_as_any_json_isnt_paged_when_it_is_over(state: str, status: Status) -> None:
    told = alert({**ALARM, "NewStateValue": state}, "generic")
    assert (told.source, told.status) == ("generic", status)


def test_an_event_at_an_alarms_address_is_an_event() -> None:
    event = msgspec.json.decode((FIXTURES / "eventbridge" / "pipeline_failed.json").read_bytes())
    assert alert(event, "cloudwatch_alarm").source == "eventbridge"


def test_what_nobody_knows_is_asked_of_the_named_source_and_then_read_as_any_json() -> None:
    assert alert({"AlarmName": "checkout-5xx"}, "cloudwatch_alarm").source == "cloudwatch_alarm"
    assert alert({"title": "Disk full"}, "cloudwatch_alarm").source == "generic"


# --------------------------------------------------------------------------------------------------------------- texts


@pytest.mark.parametrize(
    "text",
    [
        *["Disk full on web-1\nonly 1 % left", "[FIRING] Disk full on web-1", "{not json", "Disk full \u00e9 \u2026"],
        "[]extra",
    ],
)
@pytest.mark.parametrize("source", ["", "generic", "sns", "cloudwatch_alarm"])
def test_a_plain_text_that_isnt_json_is_an_alert(text: str, source: str) -> None:
    told = alert(text.encode(), source, kind="Text/Plain; charset=utf-8")
    assert (told.source, told.message) == ("generic", text)
    assert msgspec.json.decode(told.raw_data) == text


def test_a_plain_text_in_another_coding_is_read_as_well_as_it_can_be() -> None:
    assert alert("Café brûlé".encode("latin-1"), kind="text/plain").title == "Caf\ufffd br\ufffdl\ufffd"


def test_json_that_is_called_plain_text_is_json() -> None:
    assert alert(ALARM, kind="text/plain; charset=UTF-8").source == "cloudwatch_alarm"
    assert len(received([{"title": "a"}, {"title": "b"}], kind="text/plain").incoming) == 2


def test_a_text_that_is_called_json_is_refused() -> None:
    for kind in ("application/json", "application/x-www-form-urlencoded", ""):
        (rejected,) = received(b"Disk full", kind=kind).rejected
        assert (rejected.error.code, rejected.error.status) == ("malformed_json", 400)


def test_json_in_a_form_is_json() -> None:
    assert "application/x-www-form-urlencoded" in load_sources()["generic"].INFO.content_types
    assert alert({"title": "Disk full"}, kind="application/x-www-form-urlencoded").title == "Disk full"


@pytest.mark.parametrize("body", [b'{"title": "Disk full"}', b' [{"title": "Disk full"}]', b"Disk full"])
def test_a_mark_of_utf8_in_front_is_taken_off(body: bytes) -> None:
    kind = "text/plain" if body == b"Disk full" else "application/json"
    assert alert(b"\xef\xbb\xbf" + body, kind=kind).alert_id == alert(body, kind=kind).alert_id


def test_only_one_mark_is() -> None:
    (rejected,) = received(b"\xef\xbb\xbf\xef\xbb\xbf{}").rejected
    assert rejected.error.code == "malformed_json"
