"""Fixtures torn apart: a source gives alerts or says clearly why not, and nothing else ever."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_responder.model.alert import Alert
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.ports import Inner, Signed
from mcp_responder.sources import load_sources
from tests.sources.reading import bodies, request

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [10**18, -(10**18), 1e308, 0, -1, 1772359200, "9" * 400, "²", "\x00", "a" * 5000, "[FIRING] ", "ok:"]
    ),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=8)), max_size=3),
    st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.text(max_size=8)), max_size=3),
)
ANYTHING = st.recursive(ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner))
ARRAYS = ("links", "alerts", "Records")
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


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
        alert = item.inside if isinstance(item, Signed) else item
        if isinstance(alert, Inner):
            assert isinstance(msgspec.json.decode(alert.body), dict | list)
            continue
        assert isinstance(alert, Alert)
        assert 0 < len(alert.title) <= 500
        assert alert.title.isprintable()
        assert msgspec.json.decode(msgspec.json.encode(alert), type=Alert)


CASES = [pytest.param(name, path, id=f"{name}-{path.stem}") for name in load_sources() for path in bodies(name)]


@pytest.mark.parametrize(("name", "path"), CASES)
@FEW
@given(data=st.data())
def test_a_torn_fixture_is_read_or_refused(name: str, path: Any, data: st.DataObject) -> None:
    body = msgspec.json.decode(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from(places(body)))
        odd = data.draw(ODD)
        cut = data.draw(st.integers(0, 30))
        how = data.draw(
            st.sampled_from(
                [
                    lambda value, odd=odd: odd,
                    lambda value: places,
                    lambda value: [value],
                    lambda value: {"name": value},
                    lambda value, cut=cut: value[:cut] if isinstance(value, str) else value,
                    lambda value: str(value) if not isinstance(value, dict | list) else value,
                ]
            )
        )
        torn = changed(body, place, how)
        body = body if torn is places else torn
    check(name, body)


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
