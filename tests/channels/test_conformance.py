"""The conformance suite: each channel against an other side that does all that other sides do."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.message import EmailMessage

import pytest

from mcp_responder.channels import load_kinds
from mcp_responder.model.analysis import Analysis
from mcp_responder.model.errors import Permanent, ResponderError, Transient
from mcp_responder.model.incident import Event
from mcp_responder.ports import Delivered

from . import jira_server
from .conformance import HOSTILE, TIMEOUT, Row, Stand, stand_of
from .mail_server import CERTIFICATE, PASSWORD, USER, mail_server
from .messages import NEWS, a_message, a_message_of, an_analysis, an_incident, receipt_of
from .server import Reply


def _posted(stand: Stand) -> list[str]:
    return [json.dumps(json.loads(asked.body), ensure_ascii=False) for asked in stand.server.asked]


def _printed(stand: Stand) -> list[str]:
    """Messages begin with their severity, reports with a rule above it."""
    starts = [part for part in stand.stdout.getvalue().split("CRITICAL | ")[1:] if part]
    return ["CRITICAL | " + part for part in starts]


def _shown_in_slack(stand: Stand) -> list[str]:
    """Messages of the channel, posted or edited, without those in threads; every text that is in them."""
    bodies = [json.loads(asked.body) for asked in stand.server.asked if asked.body.startswith(b"{")]
    return ["\n".join(_texts(body)) for body in bodies if "thread_ts" not in body]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)


OF_SLACK = ("\x1b", "\x00", "\x07", "\x9b", "\u202e", "\u2028", "\ufeff", "\r", "<script", "<!channel")


def _mailed(stand: Stand) -> list[str]:
    """Headers as people see them, and both parts."""
    return [_read(mail) for mail in stand.server.mails]


def _read(mail: EmailMessage) -> str:
    parts = (mail.get_body(("plain",)), mail.get_body(("html",)))
    headers = (f"{name}: {value}" for name, value in mail.items())
    return "\n".join((*headers, *(part.get_content() for part in parts if part))).replace("\r\n", "\n")


ROWS = (
    Row(
        kind="mail",
        settings=lambda server: {
            "host": "localhost",
            "port": server.port,
            "ca_file": CERTIFICATE,
            "user": USER,
            "password": PASSWORD,
            "sender": "Responder <responder@example.com>",
            "to": ["ops@example.com", "Ann <ann@example.com>"],
            "timeout_seconds": 20,
        },
        heard=_mailed,
        follows=lambda first, second: f"In-Reply-To: {first.reference}\n" in second,
        marks=("may be a repeat", "late by 0:12:34"),
        dangerous=("\x1b", "\x00", "\x07", "\x9b", "\u202e", "\u2028", "\ufeff", "\r"),
        over_http=False,
        other_side=mail_server,
        secrets=(PASSWORD,),
    ),
    Row(
        kind="jira",
        settings=lambda server: {
            "url": server.url,
            "email": jira_server.EMAIL,
            "token": jira_server.TOKEN,
            "project": "OPS",
            "timeout_seconds": TIMEOUT,
        },
        heard=lambda stand: jira_server.heard(stand.server.asked),
        follows=lambda first, second: f"/issue/{first.reference}" in second and first.reference == "OPS-12",
        marks=("May be a repeat", "late by 0:12:34"),
        dangerous=("\x1b", "\x00", "\x07", "\x9b", "\u202e", "\u2028", "\ufeff", "\r"),
        happy=Reply(201, {"content-type": "application/json"}, b'{"id": "10012", "key": "OPS-12"}'),
        secrets=(jira_server.TOKEN, "aW5jaWRlbnRzQGV4YW1wbGUuY29tOlQwSzNOLW9mLXRoZS1hY2NvdW50"),
    ),
    Row(
        kind="slack",
        settings=lambda server: {
            "token": "xoxb-17-T0K3N",
            "channel": "C0NIGHT",
            "signing_secret": "5ign1ng-5ecret",
            "base_url": f"{server.url}/api",
            "timeout_seconds": TIMEOUT,
        },
        heard=_shown_in_slack,
        follows=lambda first, second: first.reference == "C0NIGHT:17.000100" and "\n17.000100" in second,
        marks=("may be a repeat", "late by 0:12:34"),
        dangerous=OF_SLACK,
        happy=Reply(
            200, {"content-type": "application/json"}, b'{"ok": true, "channel": "C0NIGHT", "ts": "17.000100"}'
        ),
        secrets=("xoxb-17-T0K3N", "5ign1ng-5ecret"),
        empty_is_success=False,
    ),
    Row(
        kind="slack",
        name="slack as a webhook",
        settings=lambda server: {"url": f"{server.url}/services/T0K3N-in-path", "timeout_seconds": TIMEOUT},
        heard=_shown_in_slack,
        follows=lambda first, second: first.reference == "open" and "Resolved" in second,
        marks=("may be a repeat", "late by 0:12:34"),
        dangerous=OF_SLACK,
        happy=Reply(200, {"content-type": "text/html"}, b"ok"),
        secrets=("T0K3N-in-path",),
        tells_all_news=False,
    ),
    Row(
        kind="console",
        settings=lambda _: {},
        heard=_printed,
        follows=lambda first, second: "INC-7" in second,
        marks=("may be a repeat", "late by 0:12:34"),
        dangerous=("\x1b", "\x00", "\x07", "\x9b", "\u202e", "\u2028", "\ufeff", "\r"),
        over_http=False,
    ),
    Row(
        kind="webhook",
        settings=lambda server: {
            "url": f"http://ops:pass-w0rd@{server.place}/services/T0K3N-in-path?key=in-the-query",
            "secret": "whsec_c2lnbmluZy1rZXktb2YtdGhlLXRlc3Q=",
            "secrets": ["an older secret"],
            "timeout_seconds": TIMEOUT,
        },
        heard=_posted,
        follows=lambda first, second: f'"reference": "{first.reference}"' in second and first.reference == "OPS-12",
        marks=('"doubtful": true', '"late_seconds": 754'),
        dangerous=(),
        happy=Reply(201, {"content-type": "application/json"}, b'{"reference": "OPS-12"}'),
        secrets=(
            "pass-w0rd",
            "T0K3N-in-path",
            "in-the-query",
            "c2lnbmluZy1rZXktb2YtdGhlLXRlc3Q=",
            "an older secret",
            "b3BzOnBhc3MtdzByZA==",
        ),
    ),
)
OVER_HTTP = tuple(row for row in ROWS if row.over_http)


def _kind(row: Row) -> str:
    return row.name or row.kind


@pytest.fixture
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    with stand_of(request.param) as stand:
        yield stand


every_channel = pytest.mark.parametrize("stand", ROWS, ids=_kind, indirect=True)
over_http = pytest.mark.parametrize("stand", OVER_HTTP, ids=_kind, indirect=True)


def _failure(stand: Stand, *replies: Reply) -> ResponderError:
    stand.server.script(*replies)
    with pytest.raises(ResponderError) as caught:
        stand.channel.deliver(a_message(), None)
    return caught.value


def _first(stand: Stand) -> Delivered:
    return stand.channel.deliver(a_message(), None)


def test_every_channel_has_a_row() -> None:
    assert {row.kind for row in ROWS} == set(load_kinds())


@pytest.mark.parametrize("kind", load_kinds().values(), ids=lambda kind: kind.info.kind)
def test_a_kind_says_how_it_is_set_up(kind) -> None:
    assert f'kind = "{kind.info.kind}"' in kind.guide
    assert kind.info.longest_text > 0


# ------------------------------------------------------------------------------------------------------ what is heard


@every_channel
def test_a_page_says_how_bad_it_is_and_where_and_what(stand: Stand) -> None:
    _first(stand)
    (heard,) = stand.heard()
    for words in ("CRITICAL", "payments-api", "Connection pool exhausted", "INC-7"):
        assert words in heard


@every_channel
def test_a_report_says_why_and_what_to_do(stand: Stand) -> None:
    stand.channel.deliver(a_message(Event.ANALYZED, analysis=an_analysis()), None)
    (heard,) = stand.heard()
    for words in ("removed the index", "deployctl rollback payments", "every fourth customer", "access was denied"):
        assert words in heard


@every_channel
@pytest.mark.parametrize("analysis", [None, an_analysis()], ids=["no analysis", "analysis"])
@pytest.mark.parametrize("event", NEWS)
def test_any_news_can_be_told_first_or_later(stand: Stand, event: Event, analysis: Analysis | None) -> None:
    message = a_message(event, analysis=analysis)
    delivered = stand.channel.deliver(message, None)
    stand.channel.deliver(message, receipt_of(message, delivered))
    assert len(stand.heard()) == (2 if stand.row.tells_all_news else 1)


@every_channel
def test_a_second_delivery_refers_to_the_first(stand: Stand) -> None:
    delivered = _first(stand)
    stand.channel.deliver(a_message(Event.RESOLVED), receipt_of(a_message(), delivered))
    assert stand.row.follows(delivered, stand.heard()[-1])


@every_channel
@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
def test_doubt_and_lateness_are_shown(stand: Stand, later: bool) -> None:
    doubtful, late = stand.row.marks
    previous = receipt_of(a_message(), _first(stand))
    stand.channel.deliver(a_message(Event.RESOLVED), previous if later else None)
    stand.channel.deliver(a_message(Event.RESOLVED, doubtful=True, late_seconds=754), previous if later else None)
    plain, marked = stand.heard()[1:]
    assert doubtful in marked
    assert late in marked
    assert doubtful not in plain
    assert late not in plain


@every_channel
def test_text_of_any_script_arrives(stand: Stand) -> None:
    title = "Größe überschritten: 決済サービス停止 🔥 👩‍💻 الدفع"
    stand.channel.deliver(a_message(incident=an_incident(title=title)), None)
    (heard,) = stand.heard()
    assert title in " ".join(heard.split())


# ------------------------------------------------------------------------------------------------- what is too much


@every_channel
@pytest.mark.parametrize("letter", ["x", "word ", "\n", "決", "🔥", "\x00", "é\u0301", "\ud800"], ids=ascii)
def test_over_long_text_is_cut_and_delivered(stand: Stand, letter: str) -> None:
    stand.channel.deliver(a_message_of("TITLE " + letter * (1_000_000 // len(letter))), None)
    (heard,) = stand.heard()
    assert "TITLE" in heard
    assert len(heard) <= stand.channel.info.longest_text


@every_channel
def test_endless_lists_are_cut_and_delivered(stand: Stand) -> None:
    stand.channel.deliver(a_message_of("words " * 100, repeat=2000), None)
    (heard,) = stand.heard()
    assert len(heard) <= stand.channel.info.longest_text


@every_channel
@pytest.mark.parametrize("later", [False, True], ids=["first", "later"])
def test_text_from_an_alert_controls_nothing(stand: Stand, later: bool) -> None:
    previous = receipt_of(a_message(), _first(stand)) if later else None
    stand.channel.deliver(a_message_of(HOSTILE), previous)
    heard = stand.heard()[-1]
    assert "alert(1)" in heard
    assert not [text for text in stand.row.dangerous if text in heard]


@every_channel
def test_empty_text_is_delivered(stand: Stand) -> None:
    stand.channel.deliver(a_message_of(""), None)
    assert len(stand.heard()) == 1


@every_channel
def test_many_threads_may_deliver_at_once(stand: Stand) -> None:
    messages = [a_message(delivery_id=f"d-{number}") for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda message: stand.channel.deliver(message, None), messages))
    assert len(stand.heard()) == 40


# ------------------------------------------------------------------------------------------------------- what is failed


@over_http
@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success_is_delivered(stand: Stand, status: int) -> None:
    if status == 204 and not stand.row.empty_is_success:
        pytest.skip("its other side says in the body whether it worked")
    body = b"" if status == 204 else stand.row.happy.body
    stand.server.script(replace(stand.row.happy, status=status, body=body))
    _first(stand)


@over_http
@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 520, 599])
def test_a_passing_failure_is_tried_again(stand: Stand, status: int) -> None:
    failure = _failure(stand, Reply(status, body=b"come back later"))
    assert isinstance(failure, Transient)
    assert failure.retry_after is None
    assert str(status) in str(failure)
    assert "come back later" in str(failure)


@over_http
@pytest.mark.parametrize("status", [300, 301, 304, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 451])
def test_a_lasting_failure_is_given_up(stand: Stand, status: int) -> None:
    failure = _failure(stand, Reply(status, body=b"" if status == 304 else b"no such place"))
    assert isinstance(failure, Permanent)
    assert str(status) in str(failure)
    assert status < 400 or "no such place" in str(failure)


@over_http
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(stand: Stand, status: int) -> None:
    failure = _failure(stand, Reply(status, {"location": f"{stand.server.url}/elsewhere"}), Reply(200))
    assert isinstance(failure, Permanent)
    assert len(stand.server.asked) == 1


@over_http
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("17", 17.0),
        (" 2.5 ", 2.5),
        ("999999999", 86400.0),
        ("9" * 5000, 86400.0),
        ("-3", 0.0),
        ("Sun, 22 Nov 2026 03:14:09 GMT", 120.0),
        ("Sun, 22 Nov 2026 03:14:09 -0000", 120.0),
        ("Sat, 21 Nov 2026 03:14:09 GMT", 0.0),
        ("Sun, 22 Nov 2099 03:14:09 GMT", 86400.0),
        ("soon", None),
        ("nan", None),
        ("inf", 86400.0),
        ("", None),
        ("Sun, 99 Nov 2026 03:14:09 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(stand: Stand, status: int, value: str, seconds: float | None) -> None:
    failure = _failure(stand, Reply(status, {"Retry-After": value}))
    assert isinstance(failure, Transient)
    assert failure.retry_after == seconds


@over_http
@pytest.mark.parametrize("manner", ["close", "half", "hang", "drip", "garbage"])
def test_a_broken_other_side_is_tried_again_and_holds_nobody_up(stand: Stand, manner) -> None:
    started = time.monotonic()
    failure = _failure(stand, Reply(manner=manner))
    assert isinstance(failure, Transient)
    assert time.monotonic() - started < TIMEOUT + 1.5
    assert stand.server.place in str(failure)


@over_http
def test_an_answer_that_comes_too_late_is_tried_again(stand: Stand) -> None:
    assert isinstance(_failure(stand, replace(stand.row.happy, delay=TIMEOUT * 2)), Transient)


@over_http
def test_nobody_there_is_tried_again(stand: Stand) -> None:
    stand.server.stop()
    assert isinstance(_failure(stand), Transient)


@over_http
def test_after_a_failure_the_next_delivery_succeeds(stand: Stand) -> None:
    for manner in ("close", "half", "hang", "garbage"):
        _failure(stand, Reply(manner=manner))
    stand.server.script(stand.row.happy)
    _first(stand)


@over_http
def test_an_idle_connection_that_the_other_side_closed_is_not_used(stand: Stand) -> None:
    stand.server.script(replace(stand.row.happy, headers={**stand.row.happy.headers, "connection": "close"}))
    for _ in range(3):
        _first(stand)


@over_http
def test_connections_are_kept(stand: Stand) -> None:
    for _ in range(5):
        _first(stand)
    assert len({asked.connection for asked in stand.server.asked}) == 1


@over_http
@pytest.mark.parametrize("status", [400, 500])
def test_what_the_other_side_says_is_repeated_briefly_and_safely(stand: Stand, status: int) -> None:
    failure = _failure(stand, Reply(status, body=b"\x1b[31mbad\xff\r\nfield: " + b"x" * 3_000_000))
    assert "bad" in str(failure)
    assert str(failure).isprintable()
    assert len(str(failure)) < 300


# ---------------------------------------------------------------------------------------------------- what is secret


@over_http
@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, manner="echo"),
        Reply(503, manner="echo"),
        Reply(302, {"location": "http://elsewhere.example/T0K3N-in-path"}),
        Reply(manner="close"),
        Reply(manner="hang"),
        Reply(manner="garbage"),
    ],
    ids=lambda reply: f"{reply.status} {reply.manner}",
)
def test_no_secret_is_in_a_failure_or_the_log(stand: Stand, reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    failure = _failure(stand, reply)
    said = "\n".join((str(failure), repr(failure), *traceback.format_exception(failure), caplog.text))
    assert not [secret for secret in stand.row.secrets if secret in said]


@every_channel
def test_no_secret_is_in_a_repr(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _first(stand)
    said = f"{stand.channel!r} {stand.channel} {stand.settings!r} {stand.settings} {caplog.text}"
    assert not [secret for secret in stand.row.secrets if secret in said]
