"""Whatever is sent to the door of a running service: an alert or a clear 4xx, never a 5xx, and it answers the next."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.promises import promise
from tests.service import KEY, Service, running

LIMIT = 256 * 1024
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def made_up(examples: int) -> settings:
    # The same examples each time: a build that fails must fail again.
    return settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("hostile")) as service:
        yield service


@pytest.fixture(autouse=True)
def still_answers(service: Service) -> Iterator[None]:
    """After every test: the same door takes an alert in, and its log has no error of its own."""
    yield
    assert service.send({"title": "Still there"})
    assert "request_failed" not in service.stderr
    assert "Traceback" not in service.stderr


def post(service: Service, body: bytes, path: str = "/v1/alerts", **headers: str) -> tuple[int, Any]:
    return service.call("POST", path, body, **headers)


def is_fair(status: int, answer: Any) -> None:
    """An alert was taken, or a problem says what is wrong."""
    if status == 202:
        assert set(answer) == {"accepted", "rejected"}
        return
    assert 400 <= status < 500
    assert answer["status"] == status
    assert answer["code"]
    assert answer["detail"]


# ------------------------------------------------------------------------------------------------------------- bodies

BODIES: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "empty_body"),
    "blanks": (b" \r\n\t ", 400, "empty_body"),
    "null": (b"null", 422, "all_rejected"),
    "a number": (b"7", 422, "all_rejected"),
    "a truth value": (b"true", 422, "all_rejected"),
    "an empty text": (b'""', 422, "all_rejected"),
    "an empty object": (b"{}", 422, "all_rejected"),
    "arrays in an array": (b'[[{"title": "a"}], [[]]]', 422, "all_rejected"),
    "nothing in an array": (b"[null]", 422, "all_rejected"),
    "no JSON": (b"title=Disk+full", 400, "malformed_json"),
    "half a JSON": (b'{"title": "Disk', 400, "malformed_json"),
    "half an array": (b'[{"title": "a"}', 400, "malformed_json"),
    "two JSONs": (b'{"title": "a"} {"title": "b"}', 400, "malformed_json"),
    "a comma too many": (b'[{"title": "a"},]', 400, "malformed_json"),
    "NaN": (b'{"title": NaN}', 400, "malformed_json"),
    "a NUL in the open": (b'{"title": "a"}\0', 400, "malformed_json"),
    "a bare NUL in a text": (b'{"title": "a\0b"}', 400, "malformed_json"),
    "UTF-16": ('{"title": "a"}'.encode("utf-16"), 400, "malformed_json"),
    "binary": (bytes(range(256)), 400, "malformed_json"),
    "1e400": (b'{"title": "a", "value": 1e400}', 400, "malformed_json"),
    "10**5000": (b'{"title": "a", "value": 1' + b"0" * 5000 + b"}", 400, "malformed_json"),
    "10,000 arrays": (b"[" * 10_000 + b"]" * 10_000, 413, "too_deep"),
    "10,000 open arrays": (b"[" * 10_000, 413, "too_deep"),
    "10,000 objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 413, "too_deep"),
    "65 levels in a batch": (b"[" + b'{"a":' * 64 + b"1" + b"}" * 64 + b"]", 413, "too_deep"),
    "1,001 alerts": (b"[" + b",".join([b'{"title":"a"}'] * 1001) + b"]", 413, "too_many_items"),
    "100,000 numbers": (b"[" + b",".join([b"1"] * 100_000) + b"]", 413, "too_many_items"),
    "a text of 1 MB": (b'{"title": "' + b"a" * 1_000_000 + b'"}', 413, "too_large"),
}


@promise("hostile-body-is-a-4xx")
@pytest.mark.parametrize(("body", "status", "code"), BODIES.values(), ids=BODIES)
def test_what_is_no_alert_is_a_clear_4xx(service: Service, body: bytes, status: int, code: str) -> None:
    answered, problem = post(service, body)
    assert (answered, problem["code"]) == (status, code)
    is_fair(answered, problem)


TAKEN: dict[str, tuple[bytes, str]] = {
    "a text": (b'"Disk full on web-1"', "Disk full on web-1"),
    "the same key twice": (b'{"title": "first", "title": "second"}', "second"),
    "escaped NULs": (b'{"title": "a\\u0000b", "service": "\\u0000", "source_id": "\\u0000"}', "a b"),
    "invalid UTF-8": (b'{"title": "Caf\xe9 is down"}', "Caf� is down"),
    "a text cut in the middle of an emoji": (b'{"title": "Caf\\u00e9 \\ud83d"}', "Café �"),
    "the second half of an emoji": (b'{"title": "\\ude00 down"}', "� down"),
    "a whole emoji, escaped": (b'{"title": "\\ud83d\\ude00 down \\\\ud83d"}', "\U0001f600 down \\ud83d"),
    "a key that is half an emoji": (b'{"title": "a", "\\ud83d": "\xff"}', "a"),
    "controls and marks": ('{"title": "a\u202eb\\u001b[31mc\u200b"}'.encode(), "a b [31mc"),
    "64 levels": (b'{"title": "deep", "a":' + b"[" * 63 + b"]" * 63 + b"}", "deep"),
    "brackets in a text": (b'{"title": "' + b"[{" * 5000 + b'"}', ""),
    "a long text": (b'{"title": "' + b"a" * 250_000 + b'"}', ""),
    "odd types": (
        b'{"title": ["a"], "severity": {}, "labels": 7, "links": [[]], "timestamp": [], "message": "b"}',
        "b",
    ),
    "odd times": (b'{"title": "a", "timestamp": -1e300, "time": "99999-99-99", "ts": 9007199254740993}', "a"),
    "large numbers": (b'{"title": "a", "value": 123456789012345678901234567890, "x": 1e308, "y": -0.0}', "a"),
}


@promise("hostile-body-is-a-4xx")
@pytest.mark.parametrize(("body", "title"), TAKEN.values(), ids=TAKEN)
def test_what_is_odd_but_can_be_read_is_an_alert(service: Service, body: bytes, title: str) -> None:
    status, answer = post(service, body)
    assert status == 202, answer
    alert_id = answer["accepted"][0]["alert_id"]
    found = service.get(f"/v1/alerts/{alert_id}")
    assert found["title"]
    assert not title or found["title"] == title
    assert service.get(f"/v1/alerts/{alert_id}/why")["path"]
    assert service.get("/v1/alerts?limit=1")["items"][0]["alert_id"]


def test_of_a_batch_only_the_broken_items_are_rejected(service: Service) -> None:
    body = b'[{"title": "good"}, {"title": 1e999}, {"title": "\xff"}, {"title": "\\ud800"}, null]'
    status, answer = post(service, body)
    assert (status, [item["index"] for item in answer["rejected"]]) == (202, [1, 4])
    assert len(answer["accepted"]) == 3


# -------------------------------------------------------------------------------------------------- sizes and codings


def test_the_limit_itself_is_taken_and_a_byte_more_is_not(service: Service) -> None:
    body = b'{"title": "full", "x": "' + b"a" * (LIMIT - 26) + b'"}'
    assert len(body) == LIMIT
    assert post(service, body)[0] == 202
    assert post(service, body + b" ")[0] == 413


BOMBS: dict[str, tuple[bytes, str, int, str]] = {
    "10 MB of zeros": (gzip.compress(bytes(10_000_000)), "gzip", 413, "too_large"),
    "10 MB of blanks, deflated": (zlib.compress(b" " * 10_000_000), "deflate", 413, "too_large"),
    "a bomb in a bomb": (gzip.compress(gzip.compress(bytes(10_000_000))), "gzip", 400, "malformed_json"),
    "twice encoded": (gzip.compress(gzip.compress(b'{"title": "a"}')), "gzip, gzip", 415, "unsupported_coding"),
    "thousands of empty members": (gzip.compress(b"") * 10_000, "gzip", 400, "malformed_coding"),
    "a bomb in members": (gzip.compress(bytes(100_000)) * 10, "gzip", 413, "too_large"),
    "cut short": (gzip.compress(b'{"title": "a"}')[:-5], "gzip", 400, "malformed_coding"),
    "a wrong checksum": (gzip.compress(b'{"title": "a"}')[:-8] + bytes(8), "gzip", 400, "malformed_coding"),
    "rubbish behind it": (gzip.compress(b'{"title": "a"}') + b"rubbish", "gzip", 400, "malformed_coding"),
    "plain called gzip": (b'{"title": "a"}', "gzip", 400, "malformed_coding"),
    "gzip called deflate": (gzip.compress(b'{"title": "a"}'), "deflate", 400, "malformed_coding"),
    "gzip called nothing": (gzip.compress(b'{"title": "a"}'), "identity", 400, "malformed_json"),
    "an unknown coding": (b'{"title": "a"}', "br", 415, "unsupported_coding"),
    "nothing, compressed": (gzip.compress(b""), "gzip", 400, "empty_body"),
    "nothing, called gzip": (b"", "gzip", 400, "empty_body"),
}


@promise("hostile-body-is-a-4xx")
@pytest.mark.parametrize(("body", "coding", "status", "code"), BOMBS.values(), ids=BOMBS)
def test_bombs_and_wrong_codings_are_a_clear_4xx(
    service: Service, body: bytes, coding: str, status: int, code: str
) -> None:
    answered, problem = post(service, body, Content_Encoding=coding)
    assert (answered, problem["code"]) == (status, code)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", " deflate "])
def test_a_compressed_body_is_read(service: Service, coding: str) -> None:
    pack = zlib.compress if "deflate" in coding else gzip.compress
    body = pack(b'[{"title": "a"},') + (pack(b'{"title": "b"}]') if "deflate" not in coding else b"")
    whole = pack(b'[{"title": "a"},{"title": "b"}]') if "deflate" in coding else body
    assert post(service, whole, Content_Encoding=coding)[0] == 202


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        *[(kind, 202) for kind in ("application/json", "APPLICATION/JSON; charset=utf-8", "text/plain", "")],
        *[(kind, 202) for kind in ("application/cloudevents+json", "application/vnd.acme.v1+json")],
        *[(kind, 415) for kind in ("application/xml", "multipart/form-data; boundary=x", "text/html")],
        *[(kind, 415) for kind in ("application/xml", "application/octet-stream", "json", "/", ";", "a/b/c")],
    ],
)
def test_only_a_type_that_no_source_reads_is_a_415(service: Service, kind: str, status: int) -> None:
    for path in ("/v1/alerts", "/v1/sources/generic"):
        answered, answer = post(service, b'{"title": "a"}', path, Content_Type=kind)
        is_fair(answered, answer)
        assert answered == (202 if kind == ";" else status)


# ------------------------------------------------------------------------------------------------------ paths, methods


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/alerts?x=%00%ff&limit=-1", 202),
        ("/v1/alerts/", 404),
        ("//v1/alerts", 404),
        ("/v1//alerts", 404),
        ("/V1/ALERTS", 404),
        ("/v1/alerts%00", 404),
        ("/v1/alerts;generic", 404),
        ("/v1/sources/", 404),
        ("/v1/sources/no-such-source", 404),
        ("/v1/sources/generic/", 404),
        ("/v1/sources/..%2fgeneric", 404),
        ("/v1/sources/%2e%2e/alerts", 404),
        ("/v1/sources/_reading", 404),
        ("/v1/sources/__init__", 404),
        ("/v1/sources/%00", 404),
        ("/v1/sources/%ed%a0%80", 404),
        ("/v1/sources/%F0%9F%92%A9", 404),
        (f"/v1/sources/{'a' * 5000}", 404),
    ],
)
def test_tricks_with_the_path_lead_nowhere(service: Service, path: str, status: int) -> None:
    answer = exchange(service, request(b'{"title": "a"}', target=path.encode()))
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer


@pytest.mark.parametrize("path", ["/v1/alerts", "/v1/sources/generic"])
@pytest.mark.parametrize(
    ("method", "status"), [("GET", 200), ("HEAD", 200), ("OPTIONS", 405), ("PUT", 405), ("DELETE", 405), ("BREW", 400)]
)
def test_other_methods_send_nothing(service: Service, method: str, path: str, status: int) -> None:
    before = service.get("/v1/ledger")["received"]
    answer = exchange(service, request(b'{"title": "a"}', method=method.encode(), target=path.encode()))
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    if status == 405:
        assert b"\r\nallow: GET, HEAD, POST\r\n" in answer.lower().replace(b"get, head, post", b"GET, HEAD, POST")
    assert service.get("/v1/ledger")["received"] == before


# ------------------------------------------------------------------------------------------------------------ the wire


def request(
    body: bytes, *headers: bytes, method: bytes = b"POST", target: bytes = b"/v1/alerts", version: bytes = b"1.1"
) -> bytes:
    lines = (b"Host: door", b"X-API-Key: " + KEY.encode(), b"Content-Type: application/json", *headers)
    if not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in lines):
        lines += (b"Content-Length: %d" % len(body),)
    return b"%s %s HTTP/%s\r\n%s\r\n\r\n%s" % (method, target, version, b"\r\n".join(lines), body)


def connect(service: Service) -> socket.socket:
    host, _, port = service.url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read(connection: socket.socket, answers: int = 1) -> bytes:
    """So many answers, or what came before the other side hung up."""
    received = b""
    while received.count(b"HTTP/1.1 ") < answers or not _complete(received):
        part = connection.recv(65536)
        if not part:
            break
        received += part
    return received


def _complete(received: bytes) -> bool:
    head, separator, body = received[received.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
    return bool(separator) and (len(body) >= int(length) or b" 100 " in head[:16])


def exchange(service: Service, sent: bytes) -> bytes:
    with connect(service) as connection:
        connection.sendall(sent)
        # HEAD has no body, whatever its length says.
        return connection.recv(65536) if sent.startswith(b"HEAD") else read(connection)


def chunked(body: bytes, size: int) -> bytes:
    parts = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [7, 1000, 1_000_000])
@pytest.mark.parametrize("more", [0, 1, 700_000])
def test_the_limit_holds_without_a_content_length(service: Service, size: int, more: int) -> None:
    length = 5000 if size == 7 and not more else LIMIT + more
    body = b'{"title": "' + b"a" * (length - 13) + b'"}'
    if size == 7 and more > 1:
        pytest.skip("as the ones in larger chunks, only slower")
    with connect(service) as connection:
        try:
            connection.sendall(request(chunked(body, size), b"Transfer-Encoding: chunked"))
            answer = read(connection)
        except ConnectionError:
            # It may hang up on the rest of what is too long.
            answer = b""
    assert answer.startswith(b"HTTP/1.1 413 " if more else b"HTTP/1.1 202 ") or (more and not answer)


def test_requests_in_one_breath_are_answered_in_order(service: Service) -> None:
    bodies = [b'{"title": "a"}', b"null", b'[{"title": "b"}]', b"{", b'{"title": "c"}']
    with connect(service) as connection:
        connection.sendall(b"".join(map(request, bodies)))
        answers = read(connection, len(bodies))
    statuses = [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [202, 422, 202, 400, 202]


def test_a_refused_body_does_not_leak_into_the_next_request(service: Service) -> None:
    smuggled = request(b'{"title": "smuggled"}')
    large = smuggled * (LIMIT // len(smuggled) + 2)
    before = service.get("/v1/ledger")["received"]
    with connect(service) as connection:
        try:
            connection.sendall(request(large) + request(b'{"title": "honest"}'))
            answers = read(connection, 2)
        except ConnectionError:
            answers = b"HTTP/1.1 413 "
    statuses = [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses in ([413], [413, 202])
    assert service.get("/v1/ledger")["received"] == before + statuses.count(202)


def test_a_sender_that_waits_for_100_continue_gets_it(service: Service) -> None:
    whole = request(b'{"title": "a"}', b"Expect: 100-continue")
    head, _, body = whole.partition(b"\r\n\r\n")
    with connect(service) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert read(connection).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert read(connection).startswith(b"HTTP/1.1 202 ")


def test_a_sender_without_a_key_is_refused_before_its_body(service: Service) -> None:
    with connect(service) as connection:
        connection.sendall(b"POST /v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
        assert read(connection).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("cut", [10, 60, -5])
def test_a_sender_that_hangs_up_half_way_leaves_nothing(service: Service, cut: int) -> None:
    before = service.get("/v1/ledger")["received"]
    for _ in range(20):
        with connect(service) as connection:
            connection.sendall(request(b'{"title": "half"}')[:cut])
    assert service.call("GET", "/readyz")[0] == 200
    assert service.get("/v1/ledger")["received"] == before


def test_slow_senders_hold_up_nobody(service: Service) -> None:
    slow = [connect(service) for _ in range(50)]
    try:
        for connection in slow:
            connection.sendall(request(b'{"title": "slow"}')[:-3])
        assert service.send({"title": "fast"})
        for connection in slow:
            connection.sendall(b'w"}'[-3:])
        assert all(read(connection).startswith(b"HTTP/1.1 202 ") for connection in slow)
    finally:
        for connection in slow:
            connection.close()


WIRE: dict[str, bytes] = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n",
    "two lengths": request(b'{"title": "a"}', b"Content-Length: 14", b"Content-Length: 3"),
    "a negative length": request(b'{"title": "a"}', b"Content-Length: -1"),
    "a length in words": request(b'{"title": "a"}', b"Content-Length: many"),
    "a giant length": request(b"", b"Content-Length: 99999999999999999999999"),
    "length and chunks": request(chunked(b'{"title": "a"}', 5), b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "a broken chunk": request(b"zz\r\n{}\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "bytes in the path": request(b'{"title": "a"}', target=b"/v1/sources/\xff\xfe"),
    "a NUL in a header": request(b'{"title": "a"}', b"Idempotency-Key: a\0b"),
    "a giant header": request(b'{"title": "a"}', b"X-Large: " + b"a" * 200_000),
}


@pytest.mark.parametrize("sent", WIRE.values(), ids=WIRE)
def test_what_is_hardly_http_is_refused_or_hung_up_on(service: Service, sent: bytes) -> None:
    with connect(service) as connection:
        try:
            connection.sendall(sent)
            answer = read(connection)
        except ConnectionError:
            answer = b""
    assert not answer or answer[9:10] in b"42", answer


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a" * 4000, b"\xc3\xa9", b"a\tb"])
def test_odd_headers_are_taken_as_they_are(service: Service, value: bytes) -> None:
    answer = exchange(service, request(b'{"title": "a"}', b"Idempotency-Key: " + value))
    assert answer.startswith(b"HTTP/1.1 202 ")


def test_http_1_0_without_a_host_gets_a_status_url_that_works(service: Service) -> None:
    body = b'{"title": "old"}'
    sent = b"POST /v1/alerts HTTP/1.0\r\nX-API-Key: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        KEY.encode(),
        len(body),
        body,
    )
    answer = json.loads(exchange(service, sent).partition(b"\r\n\r\n")[2])
    found = urllib3.request("GET", answer["accepted"][0]["status_url"], headers={"X-API-Key": KEY})
    assert found.status == 200


# ------------------------------------------------------------------------------------------------------------- made up

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NAMES = st.sampled_from(
    [
        *("title", "message", "severity", "status", "service", "source_id", "timestamp", "labels", "links", "event_id"),
        *("environment", "alerts", "data", "AlarmName", "NewStateValue", "AlarmArn", "Trigger", "alarmData", "state"),
        *("detail-type", "source", "detail", "resources", "alarmName", "configuration", "metrics", "Region"),
    ]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=6),
    max_leaves=25,
)
ALERTS = st.dictionaries(NAMES, JSON, min_size=1, max_size=8)


@promise("hostile-body-is-a-4xx")
@made_up(150)
@given(
    body=JSON | ALERTS | st.lists(ALERTS, max_size=4),
    source=st.sampled_from(["", "generic", "cloudwatch_alarm", "eventbridge"]),
)
def test_any_json_is_an_alert_or_a_4xx(service: Service, body: object, source: str) -> None:
    sent = json.dumps(body).encode()
    status, answer = post(service, sent, f"/v1/sources/{source}" if source else "/v1/alerts")
    is_fair(status, answer)
    for accepted in answer.get("accepted", ()):
        assert service.get(f"/v1/alerts/{accepted['alert_id']}")["title"]


@promise("hostile-body-is-a-4xx")
@made_up(150)
@given(body=st.binary(max_size=300), coding=st.sampled_from(["identity", "gzip", "deflate"]))
def test_any_bytes_are_an_alert_or_a_4xx(service: Service, body: bytes, coding: str) -> None:
    is_fair(*post(service, body, Content_Encoding=coding))


@promise("hostile-body-is-a-4xx")
@made_up(100)
@given(cut=st.integers(0, 400), noise=st.binary(max_size=4))
def test_a_good_alert_with_damage_is_an_alert_or_a_4xx(service: Service, cut: int, noise: bytes) -> None:
    good = json.dumps(
        {"title": "Café \U0001f600 is down", "labels": {"a": [1, 2.5, None]}, "message": "x" * 300}
    ).encode()
    is_fair(*post(service, good[:cut] + noise + good[cut + len(noise) :]))


@promise("hostile-body-is-a-4xx")
@pytest.mark.parametrize("path", ["/v1/alerts", "/v1/sources/{source}"])
def test_made_up_requests_are_answered_as_the_description_says(service: Service, path: str) -> None:
    document = service.get("/openapi.json")
    document["paths"] = {path: {"post": document["paths"][path]["post"]}}
    (operation,) = schemathesis.openapi.from_dict(document).get_all_operations()

    @made_up(60)
    @given(case=operation.ok().as_strategy())
    def answered_as_described(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=service.url, headers={"X-API-Key": KEY}, checks=CHECKS)

    answered_as_described()
