"""What makes two alerts the same error."""

from __future__ import annotations

import re

import pytest

from mcp_responder.model.signature import signature, signature_lines, signature_of_line, template
from mcp_responder.plumbing import masks

SAME = [
    ("CPU at 93% on host web-17", "CPU at 7.5% on host db-3"),
    ("Order 81 failed after 3 retries in 1.5s", "Order 4711 failed after 12 retries in 900 ms"),
    ("Job 0f8fad5b-d9cb-469f-a165-70867728950e died", "Job deadbeef-d9cb-beef-cafe-708677289abc died"),
    ("Peer 10.1.2.3:5432 is gone", "Peer fe80::1:2 is gone"),
    ("Can't write /var/lib/shop/a.db", "Can't write C:\\shop\\b.db"),
    ("GET https://shop.example/a?b=1 was slow", "GET http://10.0.0.7/health was slow"),
    ("Mail to jo@shop.example bounced", "Mail to info@mail.shop.example bounced"),
    ("Lease of api.shop.example.org ended", "Lease of cache-02.shop.internal ended"),
    ("Login failed for user jo from 10.0.0.1", "Login failed for user web_admin from 10.9.8.7"),
    ("rejected: uid=jo tty=ssh", "rejected: uid=0 tty=pts/3"),
    ("pod checkout-7d9f8b6c5d-x2x4z restarts", "pod checkout-6c5b4d8f9c-pqrsv restarts"),
    ("Lost Session@5f3a9c1e", "Lost Session@7e11"),
    ("2031-04-01T12:00:00.123Z ERROR no space", "2032-11-30T01:02:03.004Z ERROR no space"),
    ("Tue Apr 1 12:00:00 UTC 2031: no space", "Sunday, November 30, 2032 1:02:03 AM: no space"),
    ("lifetime <1 sec, 384.0 B sent", "lifetime 01:02:03, 2.5 GB sent"),
    ("shards 1, 2, 3 are late", "shards 4, 5 are late"),
    ("nodes web-1, web-2, web-3 are late", "nodes web-7, web-9 are late"),
    ("allDrawn=true, done = false", "allDrawn=false, done = true"),
    ("  disk   full ", "disk full"),
    ("sees Window{a64f992 u0 main} there", "sees Window{de9231d Token{1b2c x.y/.Z t3}} there"),
    ('{"msg": "disk full", "node": "alpha", "n": 3}', '{"msg": "disk full", "node": "beta", "n": 81}'),
]
DIFFERENT = [
    ("Disk full on web-17", "Disk failed on web-17"),
    ("5xx rate of checkout is 3%", "4xx rate of checkout is 3%"),
    ("p99 latency over 500 ms", "p50 latency over 500 ms"),
    ("EC2 is down", "S3 is down"),
    ('ALARM: "checkout-5xx-high" in eu-west-1', 'ALARM: "stock-5xx-high" in eu-west-1'),
    ("checkout-api-v2 is down", "stock-api-v2 is down"),
    ("java.io.IOException: no", "java.lang.IllegalStateException: no"),
    ("level=error msg=timeout", "level=error msg=refused"),
    ('level=error msg="no space" host=a', 'level=error msg="no route" host=a'),
    ("state=DOWN id=3", "state=DEGRADED id=3"),
]
TRACE = """\
Traceback (most recent call last):
  File "/srv/shop/{file}", line {line}, in {function}
    pay(0x{line})
{error}: order {line} failed"""


def trace(file: str = "checkout.py", line: int = 7, function: str = "pay", error: str = "ValueError") -> str:
    return TRACE.format(file=file, line=line, function=function, error=error)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_values_are_no_part_of_an_error(one: str, other: str) -> None:
    assert template(one) == template(other)
    assert signature(one) == signature(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_happened_is_part_of_an_error(one: str, other: str) -> None:
    assert signature(one) != signature(other)


def test_a_signature_is_sixteen_hex_characters() -> None:
    for title in ("", " ", "Disk full", trace(), "\udcff", "x" * 100_000):
        assert re.fullmatch("[0-9a-f]{16}", signature(title))


def test_a_message_without_trace_has_no_part_if_there_is_a_title() -> None:
    assert signature("Disk full", "on web-1, call Jo") == signature("Disk full", "see\nthe runbook at noon")


def test_without_title_the_first_line_of_the_message_speaks() -> None:
    assert signature("", "Disk full\non web-1") == signature("  ", "Disk full") == signature("Disk full")


def test_a_trace_joins_with_type_and_place_but_without_line_numbers() -> None:
    title = "Checkout failed"
    known = signature(title, trace())
    assert known == signature(title, trace(line=81))
    others = {
        signature(title, text) for text in (trace(file="stock.py"), trace(function="take"), trace(error="KeyError"))
    }
    assert len(others | {known, signature(title)}) == 5


def test_a_trace_is_read_from_title_message_and_written_line_ends_alike() -> None:
    written = trace().replace("\n", "\\n")
    assert signature("", trace()) == signature(trace()) == signature_of_line(written)


def test_frames_of_libraries_dont_tell_when_there_are_own_ones() -> None:
    library = '  File "/venv/lib/python3.11/site-packages/web/{}.py", line 3, in call\n'
    head, rest = trace().split("\n", 1)
    assert signature("Failed", f"{head}\n{library.format('a')}{rest}") == signature("Failed", trace())


def test_the_root_cause_tells_two_errors_apart() -> None:
    text = "com.shop.Failed: 3\n\tat com.shop.A.run(A.java:3)\nCaused by: com.shop.{}: 4\n\t... 3 more"
    assert signature("x", text.format("Empty")) != signature("x", text.format("Late"))


def test_a_windows_path_is_no_written_line_end() -> None:
    assert template("Can't open C:\\new\\nodes.txt for reading") == "Can't open <*> for reading"


def test_every_line_gives_one_signature_whatever_its_bytes() -> None:
    lines = [b"disk full\n", b"disk full\r\n", b"\n", b"", b"\xff\xfe broken\n", b"\xff\xfe broken"]
    found = list(signature_lines(lines))
    assert found[0] == found[1] == signature("disk full")
    assert found[2] == found[3] == signature("")
    assert found[4] == found[5]


def test_forgetting_words_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = [f"queue{i} of shop-{i} waits {i} s" for i in range(50)]
    before = {masks.mask(title) for title in titles}
    monkeypatch.setattr(masks, "REMEMBERED_WORDS", 3)
    assert {masks.mask(title) for title in titles} == before == {"queue<*> of shop-<*> waits <*>"}
