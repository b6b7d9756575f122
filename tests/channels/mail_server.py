"""A real mail server on loopback (aiosmtpd) that refuses, stalls and hangs up as it is told; and one that lies."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

TLS = Path(__file__).parent / "tls"
CERTIFICATE = str(TLS / "localhost.crt")
USER, PASSWORD = "responder@example.com", "n1ght-sh1ft-pa55word"
HANG_UP, SILENCE, AFTER_TAKING = "(hangs up)", "(says nothing)", "(takes the mail and hangs up)"


@dataclass
class MailServer:
    """Takes mails, except where ``answers`` says otherwise: by verb or recipient, an answer or one of the manners."""

    port: int = 0
    answers: dict[str, str] = field(default_factory=dict)
    raw: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, list[str], list[str]]] = field(default_factory=list)
    """Sender, recipients, options of MAIL."""
    logins: list[tuple[str, str]] = field(default_factory=list)
    helloes: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    @property
    def mails(self) -> list[EmailMessage]:
        """What was taken, read as a mail program reads it."""
        return [
            mail for raw in self.raw if isinstance(mail := message_from_bytes(raw, policy=policy.default), EmailMessage)
        ]

    async def handle_EHLO(self, server: SMTP, session: Any, envelope: Any, name: str, said: list[str]) -> list[str]:  # noqa: N802
        self.helloes.append(name)
        session.host_name = name
        return said

    async def handle_MAIL(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self._answer(server, "MAIL", "250 OK")

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        answer = await self._answer(server, address if address in self.answers else "RCPT", "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answers.get("DATA", "2").startswith(("2", AFTER_TAKING)):
            self.raw.append(envelope.content)
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos), list(envelope.mail_options)))
            self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return await self._answer(server, "DATA", "250 OK")

    async def handle_QUIT(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        return await self._answer(server, "QUIT", "221 Bye")

    async def _answer(self, server: SMTP, verb: str, usual: str) -> str:
        answer = self.answers.get(verb, usual)
        if answer in (HANG_UP, AFTER_TAKING):
            server.transport.abort()
            raise ConnectionResetError
        if answer == SILENCE:
            await asyncio.sleep(30)
        return answer

    def authenticate(self, server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        login = data.login.decode(), data.password.decode()
        self.logins.append(login)
        return AuthResult(success=login == (USER, PASSWORD), handled=False)


def tls_of_the_server(certificate: str = CERTIFICATE, key: str = str(TLS / "localhost.key")) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@contextmanager
def mail_server(
    *, tls: str = "starttls", login: bool = True, context: ssl.SSLContext | None = None, **options: Any
) -> Iterator[MailServer]:
    """``tls`` is "starttls", "tls" or "none"; ``options`` are aiosmtpd's."""
    server, secured = MailServer(), context or tls_of_the_server()
    options = {"enable_SMTPUTF8": True, "hostname": "mx.test", **options}
    if login:
        strict = tls == "starttls"
        options |= {"authenticator": server.authenticate, "auth_required": strict, "auth_require_tls": strict}
    if tls == "starttls":
        options |= {"tls_context": secured, "require_starttls": True}
    loop, listener = asyncio.new_event_loop(), socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]

    def protocol() -> SMTP:
        return SMTP(server, loop=loop, **options)

    async def serve() -> None:
        await loop.create_server(protocol, sock=listener, ssl=secured if tls == "tls" else None)

    async def stop() -> None:
        others = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    loop.run_until_complete(serve())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listener.close()
        loop.close()


@contextmanager
def liar(*said: bytes, then: bytes = b"") -> Iterator[int]:
    """Answers the connection and each line after it with what it is told, whatever was asked; at last it goes on to say
    ``then``, again and again. Gives its port."""
    closing = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_lie, args=(listener, said, then, closing))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            closing.set()
            with contextlib.suppress(OSError):
                socket.create_connection(listener.getsockname(), 1).close()
            thread.join()


def _lie(listener: socket.socket, said: tuple[bytes, ...], then: bytes, closing: threading.Event) -> None:
    while not closing.is_set():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(0.05)
            for answer in said:
                connection.sendall(answer)
                _hear(connection, closing)
            while then and not closing.wait(0 if len(then) > 1 else 0.02):
                connection.sendall(then)


def _hear(connection: socket.socket, closing: threading.Event) -> None:
    while not closing.is_set():
        with contextlib.suppress(TimeoutError):
            connection.recv(65536)
            return
