"""What a mail server may do to us: refuse, stall, hang up, lie. Each is "again" or "never", in its words or ours."""

from __future__ import annotations

import base64
import logging
import ssl
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mcp_responder.channels.mail import KIND, Mail
from mcp_responder.model.errors import Permanent, ResponderError, Transient
from mcp_responder.ports import Delivered
from tests.authority import Authority

from .mail_server import (
    AFTER_TAKING,
    CERTIFICATE,
    HANG_UP,
    PASSWORD,
    SILENCE,
    USER,
    MailServer,
    liar,
    mail_server,
    tls_of_the_server,
)
from .messages import NOW, a_message

TIMEOUT = 0.4
PLAIN = {"tls": "none", "host": "127.0.0.1", "user": "", "password": ""}
READY, HELLO, OK = b"220 mx.test\r\n", b"250 mx.test\r\n", b"250 OK\r\n"


def mail_channel(port: int, **changes: object) -> Mail:
    table = {
        "host": "localhost",
        "port": port,
        "ca_file": CERTIFICATE,
        "user": USER,
        "password": PASSWORD,
        "sender": "Responder <responder@example.com>",
        "to": ["ops@example.com", "Ann <ann@example.com>"],
        "timeout_seconds": 5,
        **changes,
    }
    read = KIND.read(table)
    return Mail("night", read.server, read.envelope, lambda: NOW)


def failure_of(port: int, **changes: object) -> ResponderError:
    with pytest.raises(ResponderError) as caught:
        mail_channel(port, **changes).deliver(a_message(), None)
    said = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in said
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    return caught.value


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


# ------------------------------------------------------------------------------------------------------- it is taken


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_mail_goes_encrypted_with_a_login(tls: str) -> None:
    with mail_server(tls=tls) as server:
        mail_channel(server.port, tls=tls).deliver(a_message(), None)
    assert server.encrypted == [True]
    assert server.logins == [(USER, PASSWORD)]
    assert server.envelopes == [
        ("responder@example.com", ["ops@example.com", "ann@example.com"], server.envelopes[0][2])
    ]


def test_a_mail_goes_in_the_open_on_this_machine() -> None:
    with mail_server(tls="none", login=False) as server:
        mail_channel(server.port, **PLAIN).deliver(a_message(), None)
    assert server.encrypted == [False]
    assert len(server.mails) == 1


def test_no_login_where_the_server_knows_us(server: MailServer) -> None:
    with mail_server(login=False) as server:
        mail_channel(server.port, user="", password="").deliver(a_message(), None)
    assert len(server.mails) == 1


def test_we_are_called_by_the_domain_of_the_sender(server: MailServer) -> None:
    mail_channel(server.port).deliver(a_message(), None)
    assert set(server.helloes) == {"example.com"}


def test_addresses_of_any_script_go_where_the_server_takes_them(server: MailServer) -> None:
    mail_channel(server.port, to=["jürgen@bücher.example"]).deliver(a_message(), None)
    assert server.envelopes[0][1] == ["jürgen@xn--bcher-kva.example"]
    assert "SMTPUTF8" in server.envelopes[0][2]
    assert server.mails[0]["To"] == "jürgen@xn--bcher-kva.example"


def test_what_comes_of_the_farewell_is_no_matter(server: MailServer) -> None:
    for manner in (HANG_UP, "500 what?"):
        server.answers = {"QUIT": manner}
        mail_channel(server.port).deliver(a_message(), None)
    assert len(server.mails) == 2


def test_a_slow_farewell_holds_nobody_up(server: MailServer) -> None:
    server.answers = {"QUIT": SILENCE}
    started = time.monotonic()
    mail_channel(server.port).deliver(a_message(), None)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("answer", ["550 5.1.1 no such user", "451 4.7.1 greylisted, try again later"])
def test_a_recipient_who_is_refused_is_named_and_the_others_have_the_mail(server: MailServer, answer: str) -> None:
    server.answers = {"ann@example.com": answer}
    delivered = mail_channel(server.port).deliver(a_message(), None)
    assert delivered.detail == f"refused: ann@example.com ({answer})"
    assert server.envelopes[0][1] == ["ops@example.com"]


def test_nothing_is_left_out_of_an_ordinary_delivery(server: MailServer) -> None:
    delivered = mail_channel(server.port).deliver(a_message(), None)
    assert delivered == Delivered(reference=server.mails[0]["Message-ID"])


# ------------------------------------------------------------------------------------------------------ it is refused

VERBS = ("MAIL", "RCPT", "DATA")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "answer", ["421 4.3.0 closing", "450 4.2.1 busy", "451 4.7.1 greylisted", "452 4.3.1 disk full"]
)
def test_an_answer_of_the_fours_is_tried_again(server: MailServer, verb: str, answer: str) -> None:
    server.answers = {verb: answer}
    failure = failure_of(server.port)
    assert isinstance(failure, Transient)
    assert answer in str(failure)
    assert not failure.doubtful
    assert server.mails == []


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("answer", ["550 5.7.1 relaying denied", "552 5.3.4 too big", "554 5.7.1 not verified"])
def test_an_answer_of_the_fives_is_given_up(server: MailServer, verb: str, answer: str) -> None:
    server.answers = {verb: answer}
    failure = failure_of(server.port)
    assert isinstance(failure, Permanent)
    assert answer in str(failure)


def test_one_recipient_who_may_be_taken_later_is_worth_another_try(server: MailServer) -> None:
    server.answers = {"ops@example.com": "550 no such user", "ann@example.com": "451 greylisted"}
    failure = failure_of(server.port)
    assert isinstance(failure, Transient)
    assert "ops@example.com: 550 no such user" in str(failure)
    assert "ann@example.com: 451 greylisted" in str(failure)


def test_a_wrong_password_is_given_up_with_what_to_do(server: MailServer) -> None:
    failure = failure_of(server.port, password="wr0ng-pa55word")
    assert isinstance(failure, Permanent)
    assert "535" in str(failure)
    assert "check user and password" in str(failure)
    assert "wr0ng-pa55word" not in str(failure)


def test_a_login_that_is_missing_is_given_up_with_what_to_do(server: MailServer) -> None:
    failure = failure_of(server.port, user="", password="")
    assert isinstance(failure, Permanent)
    assert "530" in str(failure)
    assert "set user and password" in str(failure)


def test_a_login_that_cannot_be_checked_now_is_tried_again() -> None:
    features = b"250-mx.test\r\n250 AUTH PLAIN\r\n"
    with liar(READY, features, b"454 4.7.0 temporary failure\r\n") as port:
        failure = failure_of(port, tls="none", host="127.0.0.1")
    assert isinstance(failure, Transient)
    assert "454 4.7.0 temporary failure" in str(failure)


@pytest.mark.parametrize(
    ("options", "changes", "words"),
    [
        ({"tls": "none", "login": False}, {}, "offers no STARTTLS"),
        ({"auth_exclude_mechanism": ("PLAIN", "LOGIN")}, {}, "offers no login with a password"),
        ({"enable_SMTPUTF8": False}, {"to": ["jürgen@example.com"]}, "no addresses beyond ASCII"),
    ],
)
def test_what_the_server_cannot_do_is_given_up_with_what_to_do(
    options: dict[str, object], changes: dict[str, object], words: str
) -> None:
    with mail_server(**options) as server:  # type: ignore[arg-type]
        failure = failure_of(server.port, **changes)
    assert isinstance(failure, Permanent)
    assert words in str(failure)
    assert server.mails == []


def test_the_password_is_never_sent_in_the_open_when_starttls_is_taken_away() -> None:
    with mail_server(tls="none") as server:
        failure_of(server.port)
    assert server.logins == []


# --------------------------------------------------------------------------------------------- it breaks or stalls


@pytest.mark.parametrize(("verb", "doubtful"), [("MAIL", False), ("RCPT", False), ("DATA", True)])
@pytest.mark.parametrize("manner", [HANG_UP, SILENCE])
def test_a_broken_conversation_is_tried_again_and_doubtful_once_the_mail_was_sent(
    server: MailServer, verb: str, doubtful: bool, manner: str
) -> None:
    server.answers = {verb: manner}
    started = time.monotonic()
    failure = failure_of(server.port, timeout_seconds=TIMEOUT)
    assert isinstance(failure, Transient)
    assert failure.doubtful is doubtful
    assert f"localhost:{server.port}" in str(failure)
    assert time.monotonic() - started < TIMEOUT + 1.5


def test_a_mail_that_was_taken_without_an_answer_is_doubtful_and_its_repeat_can_be_told(server: MailServer) -> None:
    channel = mail_channel(server.port)
    server.answers = {"DATA": AFTER_TAKING}
    with pytest.raises(Transient) as caught:
        channel.deliver(a_message(), None)
    assert caught.value.doubtful
    server.answers = {}
    channel.deliver(a_message(doubtful=True), None)
    first, again = server.mails
    assert first["Message-ID"] == again["Message-ID"]


def test_nobody_there_is_tried_again() -> None:
    with liar() as port:
        pass
    failure = failure_of(port)
    assert isinstance(failure, Transient)
    assert f"no connection to localhost:{port}: Connection refused" in str(failure)


def test_a_name_that_cannot_be_resolved_is_tried_again() -> None:
    failure = failure_of(25, host="nowhere.invalid")
    assert isinstance(failure, Transient)
    assert "nowhere.invalid:25" in str(failure)


def test_after_failures_the_next_mail_goes_out(server: MailServer) -> None:
    channel = mail_channel(server.port, timeout_seconds=2)
    for answers in ({"DATA": HANG_UP}, {"RCPT": "550 no"}, {"MAIL": "421 no"}):
        server.answers = dict(answers)
        with pytest.raises(ResponderError):
            channel.deliver(a_message(), None)
    server.answers = {}
    channel.deliver(a_message(), None)
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("said", "then"),
    [
        ((), b""),
        ((b"",), b""),
        ((b"220",), b"x"),
        ((), b"2"),
        ((), b"220-still here\r\n" * 50_000),
        ((b"\x00\x01 what is this?\r\n",), b""),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), b""),
        ((b"220" + b"x" * 20_000 + b"\r\n",), b""),
        ((READY, b"\xff\xfe\r\n"), b""),
        ((READY, HELLO, b"9999 what?\r\n"), b""),
        ((READY, HELLO, OK, OK, OK, b"354 go on\r\n"), b"3"),
        ((READY, HELLO, OK, OK, OK, b"354 go on\r\n", b"garbage\r\n"), b""),
        ((READY, HELLO, OK, OK, OK, b"354 go on\r\n", b"250-OK\r\n"), b"250-OK\r\n" * 50_000),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_server_that_lies_is_tried_again_and_holds_nobody_up(said: tuple[bytes, ...], then: bytes) -> None:
    started = time.monotonic()
    with liar(*said, then=then) as port:
        failure = failure_of(port, **PLAIN, timeout_seconds=TIMEOUT)
    assert isinstance(failure, Transient)
    assert f"127.0.0.1:{port}" in str(failure)
    assert len(then) != 1 or "no complete answer" in str(failure)
    assert time.monotonic() - started < TIMEOUT + 2


def test_a_challenge_that_is_no_base64_is_tried_again() -> None:
    features = b"250-mx.test\r\n250 AUTH CRAM-MD5\r\n"
    with liar(READY, features, b"334 !\r\n") as port:
        assert isinstance(failure_of(port, tls="none", host="127.0.0.1"), Transient)


def test_endless_challenges_end() -> None:
    features = b"250-mx.test\r\n250 AUTH LOGIN\r\n"
    with liar(READY, features, *[b"334 VXNlcm5hbWU6\r\n"] * 50) as port:
        assert isinstance(failure_of(port, tls="none", host="127.0.0.1"), Transient)


def test_a_server_that_repeats_our_secrets_is_not_quoted_on_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    plain = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())
    features = b"250-mx.test\r\n250 AUTH PLAIN\r\n"
    with liar(READY, features, b"535 no: AUTH PLAIN " + plain + b" " + PASSWORD.encode() + b"\x1b[31m\r\n") as port:
        failure = failure_of(port, tls="none", host="127.0.0.1")
    assert isinstance(failure, Permanent)
    assert plain.decode() not in str(failure) + caplog.text
    assert PASSWORD not in str(failure) + caplog.text
    assert "535 no: AUTH PLAIN *** ***\\x1b[31m" in str(failure)


# ------------------------------------------------------------------------------------------------------------------ TLS


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("mail")


def _context(authority: Authority, folder: Path, *names: str, **dates: timedelta) -> ssl.SSLContext:
    leaf = authority.leaf(*names, **dates)
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(leaf.pem + authority.intermediate.pem)
    key.write_bytes(leaf.key_pem)
    return tls_of_the_server(str(chain), str(key))


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("names", "end", "trusted", "words"),
    [
        (("localhost",), 30, True, ""),
        (("elsewhere.example",), 30, True, "Hostname mismatch"),
        (("localhost",), -1, True, "certificate has expired"),
        (("localhost",), 30, False, "can be named as ca_file"),
    ],
    ids=["good", "another's", "expired", "unknown authority"],
)
def test_the_certificate_must_be_the_servers_own_and_valid(
    authority: Authority, tmp_path: Path, tls: str, names: tuple[str, ...], end: int, trusted: bool, words: str
) -> None:
    context = _context(authority, tmp_path, *names, begin=timedelta(days=-20), end=timedelta(days=end))
    roots = tmp_path / "roots.pem"
    roots.write_bytes(authority.root.pem)
    ca_file = str(roots) if trusted else ""
    with mail_server(tls=tls, context=context) as server:
        if not words:
            mail_channel(server.port, tls=tls, ca_file=ca_file).deliver(a_message(), None)
            return
        failure = failure_of(server.port, tls=tls, ca_file=ca_file)
    assert isinstance(failure, Transient)
    assert "certificate of localhost" in str(failure)
    assert words in str(failure)
    assert server.logins == []


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_old_tls_is_refused(tls: str) -> None:
    context = tls_of_the_server()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with mail_server(tls=tls, context=context) as server:
        failure = failure_of(server.port, tls=tls)
    assert isinstance(failure, Transient)
    assert "no TLS connection" in str(failure)
    assert server.logins == []


def test_tls_at_once_where_the_server_begins_in_the_open_says_what_to_set(server: MailServer) -> None:
    failure = failure_of(server.port, tls="tls")
    assert isinstance(failure, Transient)
    assert 'set tls = "starttls"' in str(failure)


def test_starttls_that_ends_in_nothing_is_tried_again() -> None:
    features = b"250-mx.test\r\n250 STARTTLS\r\n"
    with liar(READY, features, b"220 go on\r\n", then=b"x") as port:
        assert isinstance(failure_of(port, timeout_seconds=TIMEOUT), Transient)
    with liar(READY, features, b"454 4.7.0 TLS not available\r\n") as port:
        failure = failure_of(port)
    assert isinstance(failure, Transient)
    assert "454 4.7.0 TLS not available" in str(failure)


def test_what_is_slipped_in_before_tls_is_not_believed() -> None:
    """A man in the middle adds a line in the open behind the answer to STARTTLS."""
    features = b"250-mx.test\r\n250 STARTTLS\r\n"
    with liar(READY, features, b"220 go on\r\n250-mx.test\r\n250 AUTH PLAIN\r\n") as port:
        failure = failure_of(port, timeout_seconds=TIMEOUT)
    assert isinstance(failure, Transient)
