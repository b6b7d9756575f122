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
        session: _Session | None = None
        try:
            session = _Session(self._server, self._tls, sender)
            self._begin(session, international=international)
            refused = session.send_message(mail, sender, to)
            session.leave()
        except (OSError, ValueError) as error:
            # SMTPException is an OSError. ValueError: what the server said can't be decoded.
            raise self._failure(error, session) from None
        finally:
            if session:
                session.close()
        return {name: self._words(*answer) for name, answer in refused.items()}

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

    def _failure(self, error: OSError | ValueError, session: _Session | None) -> ResponderError:
        """What became of it. Never repeats Python's words: they may hold what we said."""
        place = self._server.place
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            answers = error.recipients.values()
            said = "; ".join(f"{name}: {self._words(*answer)}" for name, answer in error.recipients.items())
            kind = Permanent if all(_lasts(code) for code, _ in answers) else Transient
            return kind(f"{place} accepted no recipient: {shown_line(said, 2 * LONGEST_WORDS)}")
        # What smtplib makes up itself comes as text, and is no answer of the server's.
        if (
            isinstance(error, smtplib.SMTPResponseException)
            and error.smtp_code > 0
            and isinstance(error.smtp_error, bytes)
        ):
            words, hint = self._words(error.smtp_code, error.smtp_error), _HINTS.get(error.smtp_code, "")
            detail = f"{place} answered {words}{f' ({hint})' if hint else ''}"
            return Permanent(detail) if _lasts(error.smtp_code) else Transient(detail)
        doubtful = session is not None and session.in_data
        return Transient(f"{self._broken(error, session)}", doubtful=doubtful)

    def _broken(self, error: OSError | ValueError, session: _Session | None) -> str:
        server = self._server
        if isinstance(error, ssl.SSLCertVerificationError):
            hint = "its authority can be named as ca_file" if error.verify_code in _UNKNOWN_ISSUER else ""
            return (
                f"the certificate of {server.place} isn't valid: {error.verify_message}{f' ({hint})' if hint else ''}"
            )
        if isinstance(error, ssl.SSLError):
            hint = ' (if its port doesn\'t begin with TLS, set tls = "starttls")' if server.tls == "tls" else ""
            return f"no TLS connection to {server.place}: {error.reason or 'it broke off'}{hint}"
        if isinstance(error, socket.gaierror):
            return f"the name of {server.place} can't be resolved"
        if isinstance(error, TimeoutError) or (session is not None and session.late):
            hint = (
                ' (port 465 begins with TLS: set tls = "tls")' if (server.port, server.tls) == (465, "starttls") else ""
            )
            return f"no complete answer from {server.place} within {server.timeout:g} s{hint}"
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return f"the connection to {server.place} broke"
        if isinstance(error, smtplib.SMTPException | ValueError):
            return f"{server.place} doesn't speak SMTP as it should"
        return f"no connection to {server.place}: {error.strerror or 'it broke'}"

    def _words(self, code: int, said: bytes | str) -> str:
        """The server's own, without our secrets, on one line."""
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        # Hidden before it is cut: half a secret wouldn't be recognised.
        return f"{code} {shown_line(hide(text, self._secrets()), LONGEST_WORDS)}".strip()

    def _secrets(self) -> Iterable[str]:
        user, password = self._server.user, self._server.password.reveal()
        if password:
            plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
            yield from (password, base64.b64encode(password.encode()).decode(), plain)


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


def _lasts(code: int) -> bool:
    return 500 <= code <= 599


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

    def __init__(self, server: MailServer, tls: ssl.SSLContext, sender: str) -> None:
        self.in_data = False
        self._until = time.monotonic() + server.timeout
        self._at_once = tls if server.tls == "tls" else None
        # Named after the sender's domain: asking the machine for its own name can take long.
        super().__init__(server.host, server.port, sender.rpartition("@")[2], server.timeout)

    @property
    def late(self) -> bool:
        return time.monotonic() >= self._until

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
