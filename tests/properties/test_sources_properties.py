"""Fixtures torn apart: a source, and the pipeline around it, gives alerts or says clearly why not, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_responder.model.alert import Alert
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.pipeline.correlate import Correlate, Rules
from mcp_responder.pipeline.receive import Limits, Receive
from mcp_responder.pipeline.route import everyone
from mcp_responder.ports import Inner, Signed
from mcp_responder.sources import load_sources
from mcp_responder.storage.memory import MemoryStore
from tests.sources.reading import RECEIVED, bodies, request

HOSTILE = (
    "https://sns.us-east-1.amazonaws.com.evil.example/?Action=ConfirmSubscription",
    "http://[::1",
    "arn:aws:sns:::",
    "arn:" + ":" * 300,
    "{" * 60,
    "[" * 200,
    '{"AlarmName": "x", "NewStateValue": "ALARM"}',
    '{"Records": [{"Sns": null}]}',
    "H4sIAAAAAAAA/w==",
    "eJwDAAAAAAE=",
    "=" * 40,
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999-14:00",
    "\u202e\x1b[31m",
    "\U0001f600" * 200,
    "a\nb\r\n\tat c.d(e.java:1)\n" * 40,
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [10**18, -(10**18), 1e308, 0, -1, 1772359200, "9" * 400, "²", "\x00", "a" * 5000, "[FIRING] ", "ok:", *HOSTILE]
    ),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=8)), max_size=3),
    st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.text(max_size=8)), max_size=3),
)
ANYTHING = st.recursive(ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner))
ARRAYS = ("links", "alerts", "Records")
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def places(body: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a body."""
    inside = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [path, *(place for key, value in inside for place in places(value, (*path, key)))]


def changed(body: Any, path: tuple[Any, ...], change: Any) -> Any:
    """The body with the value at a path changed, or with its key dropped if that gives ``places``."""
    if not path:
        return change(body)
    copy = body.copy()
    value = changed(body[path[0]], path[1:], change)
    if value is places:
        del copy[path[0]]
    else:
        copy[path[0]] = value
    return copy


def check(name: str, body: object) -> None:
    raw = msgspec.json.encode(body)
    try:
        found = load_sources()[name].parse(body, raw, request(raw))
    except InvalidRequest as refused:
        assert refused.status == 422
        return
    for item in found:
        alert = item.inside() if isinstance(item, Signed) else item
        if isinstance(alert, Inner):
            assert isinstance(msgspec.json.decode(alert.body), dict | list)
            continue
        assert isinstance(alert, Alert)
        assert 0 < len(alert.title) <= 500
        assert alert.title.isprintable()
        assert msgspec.json.decode(msgspec.json.encode(alert), type=Alert)


RECEIVE = Receive(load_sources(), Rules().identity, {}, Limits())
DECIDE = Correlate(Rules(), everyone(("ops",)))
NOISE = (
    *(
        b"\xff",
        b"\xed\xa0\x80",
        b"\\ud800",
        b"\x00",
        b'"',
        b"]",
        b"{}",
        b"[[[[",
        b"\xef\xbb\xbf",
        b"1e999",
        b"NaN",
        b"\r\n",
    ),
)
CASES = [pytest.param(name, path, id=f"{name}-{path.stem}") for name in load_sources() for path in bodies(name)]


@st.composite
def torn(draw: st.DrawFn, body: object) -> object:
    """The body with keys dropped, types swapped, texts cut, and values replaced by hostile ones."""
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.sampled_from(places(body)))
        odd = draw(ODD)
        cut = draw(st.integers(0, 30))
        how = draw(
            st.sampled_from(
                [
                    lambda value, odd=odd: odd,
                    lambda value: places,
                    lambda value: [value],
                    lambda value: [value, value, value],
                    lambda value: {"name": value},
                    lambda value, cut=cut: value[:cut] if isinstance(value, str | list) else value,
                    lambda value, cut=cut: value[cut:] if isinstance(value, str) else value,
                    lambda value: str(value) if not isinstance(value, dict | list) else value,
                ]
            )
        )
        after = changed(body, place, how)
        body = body if after is places else after
    return body


@pytest.mark.parametrize(("name", "path"), CASES)
@FEW
@given(data=st.data())
def test_a_torn_fixture_is_read_or_refused(name: str, path: Path, data: st.DataObject) -> None:
    check(name, data.draw(torn(msgspec.json.decode(path.read_bytes()))))


@pytest.mark.parametrize(("name", "path"), CASES)
@FEW
@given(data=st.data())
def test_a_torn_fixture_comes_in_or_gets_a_4xx(name: str, path: Path, data: st.DataObject) -> None:
    """At its own address, at another source's, and where it is detected."""
    body = data.draw(torn(msgspec.json.decode(path.read_bytes())))
    come_in(msgspec.json.encode(body), data.draw(st.sampled_from([name, "", *load_sources()])), "application/json")


@pytest.mark.parametrize(("name", "path"), CASES)
@FEW
@given(data=st.data())
def test_a_fixture_with_broken_bytes_comes_in_or_gets_a_4xx(name: str, path: Path, data: st.DataObject) -> None:
    raw = path.read_bytes()
    at, to = sorted((data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, len(raw)))))
    noise = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from(NOISE)))
    kind = data.draw(st.sampled_from(["application/json", "text/plain; charset=UTF-8", ""]))
    come_in(raw[:at] + noise + raw[to:], data.draw(st.sampled_from([name, ""])), kind)


def come_in(raw: bytes, source: str, kind: str) -> None:
    """As at a door, up to the store."""
    try:
        received = RECEIVE(msgspec.structs.replace(request(raw), headers={"content-type": kind}), source, "key")
    except InvalidRequest as refused:
        assert 400 <= refused.status < 500
        assert refused.detail
        return
    for rejected in received.rejected:
        assert 400 <= rejected.error.status < 500
    accepted = MemoryStore(lambda: RECEIVED).accept(received.incoming, DECIDE)
    assert len(accepted) == len(received.incoming)
    for incoming in received.incoming:
        assert incoming.alert.alert_id
        assert incoming.alert.signature
        assert msgspec.json.decode(msgspec.json.encode(incoming.alert), type=Alert)


@pytest.mark.parametrize("name", list(load_sources()))
@FEW
@given(body=ANYTHING)
def test_anything_is_read_or_refused(name: str, body: object) -> None:
    check(name, body)


@pytest.mark.parametrize("name", list(load_sources()))
@pytest.mark.parametrize(
    "wrapper", ["alert", "labels", "detail", "alertData", "Trigger", "data", "links", "service", "alerts", "Records"]
)
def test_depth_is_no_danger(name: str, wrapper: str) -> None:
    body: object = "bottom"
    for _ in range(200):
        body = {wrapper: body if wrapper not in ARRAYS else [body, {"title": "y"}]}
    check(name, {"title": "x", "AlarmName": "x", "detail-type": "x", wrapper: body})
    check(name, body)
