"""The rules always answer: whatever the evidence looks like, a Draft comes back, and quickly."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_responder.model.alert import Alert
from mcp_responder.model.analysis import Draft
from mcp_responder.model.incident import Activity
from mcp_responder.ports import Subject
from tests.unit.asking import NOW, analyze, subject

KEYS = st.sampled_from(
    [
        "values",
        "timestamps",
        "metric",
        "metric_name",
        "dimensions",
        "unit",
        "datapoints",
        "statement",
        "db_load_avg",
        "wait_events",
        "phase",
        "containers",
        "kind",
        "metadata",
        "status",
        "name",
        "conditions",
        "state",
        "last_state",
        "reason",
        "message",
        "involved_object",
        "last_time",
        "desired",
        "ready",
        "overall_state",
        "stream",
        "timestamp",
        "level",
        "err",
        "memory_pressure",
        "restart_count",
        "count",
        "top_sql",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["Pod", "Node", "Running", "error", "OOMKilled", "", "x", "connection refused", "2026-05-04T09:00:00Z"]
    )
)
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6))


@settings(max_examples=150, deadline=None)
@given(document=DOCUMENTS)
def test_any_json_is_answered(document: object) -> None:
    assert isinstance(analyze(subject("cart is down"), odd__json=json.dumps(document)), Draft)


@settings(max_examples=100, deadline=None)
@given(document=DOCUMENTS, text=st.text(max_size=200))
def test_any_alert_is_answered(document: object, text: str) -> None:
    raw = msgspec.Raw(json.dumps(document).encode())
    alert = Alert(source="generic", title=text, message=text, raw_data=raw)
    about = Subject(alert=alert, incident=None, activity=Activity(), now=NOW)
    assert isinstance(analyze(about), Draft)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5_000 + "]" * 5_000,
        '{"a":' * 900 + "1" + "}" * 900,
        "# fetch_pod_logs {broken\n\0\x1b[31mERROR\n",
        "Name: x\nEvents:\n  Warning\n",
        "├─ broken (x) - ms (span_id=1)\n",
        "\n" * 10_000,
    ],
)
def test_odd_text_is_answered(text: str) -> None:
    assert isinstance(analyze(subject("cart is down"), odd__txt=text), Draft)


def test_much_evidence_is_read_in_reasonable_time() -> None:
    words = [f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"]
    lines = [
        f"WARNING job {words[n % 100]} of {words[n // 100 % 100]} completed, {words[n // 7 % 100]} resolved"
        for n in range(4_000)
    ]
    begun = time.process_time()
    analyze(subject("cart is slow"), one__log="\n".join(lines), two__log="\n".join(reversed(lines)))
    assert time.process_time() - begun < 10
