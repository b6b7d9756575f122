"""Hands one mail to a mail server: timed as a whole, TLS 1.2 or later, every refusal "again" or "never"."""

from __future__ import annotations

import base64
import contextlib
import smtplib
import socket
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from email.message import EmailMessage
from functools import cached_property
from typing import Any, Literal

import msgspec

from mcp_responder.model.errors import Permanent, ResponderError, Transient
from mcp_responder.plumbing.secret import Secret
from mcp_responder.plumbing.text import hide, shown_line

Tls = Literal["starttls", "tls", "none"]

LONGEST_WORDS = 200
"""Characters of the server's answer that an error repeats."""
LARGEST_TALK = 1_000_000
"""Bytes that a server may say in one session."""
CONNECT_SECONDS = 10.0
FAREWELL_SECONDS = 1.0
_MECHANISMS = frozenset({"CRAM-MD5", "PLAIN", "LOGIN"})
_HINTS = {
    530: "it wants a login, or TLS, first: set user and password",
    534: "check user and password; many services want an app password here",
    535: "check user and password; many services want an app password here",
    550: "may this account send from that sender, and to those recipients?",
    553: "may this account send from that sender?",
    554: "may this account send from that sender, and to those recipients?",
}
"""What to do about an answer."""


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where mails are handed in, and how."""

    host: str
    port: int
    tls: Tls
    user: str = ""
    password: Secret = Secret("")
    ca_file: str = ""
    timeout: float = 30.0
    """Seconds for all of it."""

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"


class SmtpSender:
    """Sends mails through one server, each in a session of its own."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    def send(self, mail: EmailMessage, sender: str, to: Sequence[str], *, international: bool) -> Mapping[str, str]:
        """Hand it in; the recipients that the server refused, while it took others, with its words.

        ``international``: the addresses need SMTPUTF8. Raises Transient or Permanent.
        """
        until = time.monotonic() + self._server.timeout
        session: _Session | None = None
        try:
            session = _Session(self._server, self._tls, sender, until)
            self._begin(session, international=international)
            refused = session.send_message(mail, sender, to)
            session.leave()
        except (OSError, ValueError) as error:
            # SMTPException is an OSError. ValueError: what the server said can't be decoded.
            if (answers := _answers(error)) is not None:
                raise self._refusal(answers) from None
            words = _words_of(error, self._server, late=time.monotonic() >= until)
            raise Transient(words, doubtful=session is not None and session.in_data) from None
        finally:
            if session:
                session.close()
        return {name: self._said(*answer) for name, answer in refused.items()}

    def _begin(self, session: _Session, *, international: bool) -> None:
        server = self._server
        session.ehlo_or_helo_if_needed()
        if server.tls == "starttls":
            if not session.has_extn("starttls"):
                raise Permanent(f'{server.place} offers no STARTTLS; if its port begins with TLS, set tls = "tls"')
            session.starttls(context=self._tls)
            session.ehlo_or_helo_if_needed()
        if server.user:
            if not _MECHANISMS & set(session.esmtp_features.get("auth", "").upper().split()):
                raise Permanent(f"{server.place} offers no login with a password; it may want OAuth, or another port")
            session.login(server.user, server.password.reveal())
        if international and not session.has_extn("smtputf8"):
            raise Permanent(f"{server.place} takes no addresses beyond ASCII (SMTPUTF8); use others")

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Made on first use and once: reading the system's certificates takes some 30 ms.
        return tls_context(self._server.ca_file)

    def _refusal(self, answers: Mapping[str, tuple[int, bytes]]) -> ResponderError:
        """What the server answered, to each recipient if it refused all of them."""
        said = "; ".join(f"{name}{self._said(*answer)}" for name, answer in answers.items())
        hint = next((f" ({_HINTS[code]})" for code, _ in answers.values() if code in _HINTS), "")
        detail = f"{self._server.place} answered {shown_line(said, 2 * LONGEST_WORDS)}{hint}"
        return Permanent(detail) if all(500 <= code <= 599 for code, _ in answers.values()) else Transient(detail)

    def _said(self, code: int, words: bytes) -> str:
        """The server's own words, without our secrets, on one line."""
        # Hidden before it is cut: half a secret wouldn't be recognised.
        return f"{code} {shown_line(hide(words.decode(errors='replace'), self._secrets()), LONGEST_WORDS)}".strip()

    def _secrets(self) -> Iterable[str]:
        user, password = self._server.user, self._server.password.reveal()
        if password:
            plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
            yield from (password, base64.b64encode(password.encode()).decode(), plain)


def _answers(error: OSError | ValueError) -> Mapping[str, tuple[int, bytes]] | None:
    """What the server refused it with, by "recipient: "; None if it broke or made no sense."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return {f"{name}: ": answer for name, answer in error.recipients.items()}
    # What smtplib makes up itself comes as text, and with codes below zero what it can't read.
    if isinstance(error, smtplib.SMTPResponseException) and isinstance(error.smtp_error, bytes) and error.smtp_code > 0:
        return {"": (error.smtp_code, error.smtp_error)}
    return None


def _words_of(error: OSError | ValueError, server: MailServer, *, late: bool) -> str:
    """What broke. Never Python's words: they may repeat what we said."""
    place = server.place
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = " (its authority can be named as ca_file)" if error.verify_code in _UNKNOWN_ISSUER else ""
        return f"the certificate of {place} isn't valid: {error.verify_message}{hint}"
    if isinstance(error, ssl.SSLError):
        hint = ' (if its port doesn\'t begin with TLS, set tls = "starttls")' if server.tls == "tls" else ""
        return f"no TLS connection to {place}: {error.reason or 'it broke off'}{hint}"
    if isinstance(error, socket.gaierror):
        return f"the name of {place} can't be resolved"
    if isinstance(error, TimeoutError) or late:
        hint = ' (port 465 begins with TLS: set tls = "tls")' if (server.port, server.tls) == (465, "starttls") else ""
        return f"no complete answer from {place} within {server.timeout:g} s{hint}"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return f"the connection to {place} broke"
    if isinstance(error, smtplib.SMTPException | ValueError):
        return f"{place} doesn't speak SMTP as it should"
    return f"no connection to {place}: {error.strerror or 'it broke'}"


_UNKNOWN_ISSUER = (18, 19, 20, 21)
"""OpenSSL's codes for: self-signed, self-signed in the chain, issuer not found, leaf not verified."""


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Verifies by the system's authorities, and those of a file. Raises OSError if the file can't be used."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    context.sslsocket_class = _TimedTls
    return context


class _Timed(socket.socket):
    """Waits no longer than until the session's end, and listens to no endless talk.

    A socket's own time-out starts anew with each byte, so a server that drips them would hold a thread for hours.
    """

    until = 0.0
    heard = 0

    def recv_into(self, *arguments: Any) -> int:
        self._wait()
        count = super().recv_into(*arguments)
        self.heard += count
        if self.heard > LARGEST_TALK:
            raise ConnectionAbortedError("endless talk")
        return count

    def sendall(self, *arguments: Any) -> None:
        self._wait()
        super().sendall(*arguments)

    def _wait(self) -> None:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)


class _TimedTls(_Timed, ssl.SSLSocket):
    """The same inside TLS; the handshake is timed as a whole."""


class _Session(smtplib.SMTP):
    """One conversation. ``in_data``: the mail is on its way, and the server may have taken it."""

    def __init__(self, server: MailServer, tls: ssl.SSLContext, sender: str, until: float) -> None:
        self.in_data = False
        self._until = until
        self._at_once = tls if server.tls == "tls" else None
        # Named after the sender's domain: asking the machine for its own name can take long.
        super().__init__(server.host, server.port, sender.rpartition("@")[2], server.timeout)

    def leave(self) -> None:
        """Say goodbye; whatever comes of that, the mail is delivered."""
        self._time(time.monotonic() + FAREWELL_SECONDS)
        with contextlib.suppress(OSError, ValueError):
            self.quit()

    def starttls(self, *arguments: Any, **named: Any) -> tuple[int, bytes]:
        answer = super().starttls(*arguments, **named)
        self._time(self._until)
        return answer

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.in_data = True
        return super().data(msg)

    def _time(self, until: float) -> None:
        if isinstance(self.sock, _Timed):
            self.sock.until = until

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connects; smtplib's own TLS variant of this session overrides the same method."""
        plain = socket.create_connection((host, port), min(timeout, CONNECT_SECONDS))
        timed: _Timed = _Timed(plain.family, plain.type, plain.proto, plain.detach())
        timed.settimeout(timeout)
        if self._at_once:
            secured = self._at_once.wrap_socket(timed, server_hostname=host)
            assert isinstance(secured, _TimedTls)  # noqa: S101 - the context's own class
            timed = secured
        timed.until = self._until
        return timed
