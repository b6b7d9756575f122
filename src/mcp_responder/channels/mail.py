"""E-mail: a page at once, the report and the end as replies in the same thread.

Set-up, in ``responder.toml``; the password is best kept out of the file, as ``RESPONDER_CHANNELS__MAIL__PASSWORD``:

    [channels.mail]
    kind = "mail"
    host = "smtp.example.com"
    user = "responder@example.com"
    password = "..."
    sender = "Responder <responder@example.com>"
    to = ["oncall@example.com", "Ann <ann@example.com>"]

Mails are handed to your own mail service, which brings them on. What it is called there:

    Google Workspace     "SMTP relay service": host smtp-relay.gmail.com, user an account, password an "app password";
                         allowed in the Admin console, Apps, Google Workspace, Gmail, Routing
    Gmail                host smtp.gmail.com, user the address, password an "app password" (needs 2-Step Verification)
    Microsoft 365        "Client SMTP submission": host smtp.office365.com, user a licensed mailbox with "Authenticated
                         SMTP" on, which must be the sender or have "Send As". Microsoft turns passwords off for it (for
                         existing tenants from the end of 2026); then relay through a Postfix or another service
    Amazon SES           "SMTP endpoint": host email-smtp.REGION.amazonaws.com, user and password its "SMTP credentials"
                         (no access key); the sender is a "verified identity", in the "sandbox" the recipients too
    Postfix              the machine's own: host localhost, tls "none", no user

``tls`` is "starttls" (port 587), "tls" from the first byte (port 465), or "none" (port 25), which is for this machine
only. TLS is 1.2 or later, and the server's certificate must be valid; ``ca_file`` names an authority of your own.

The subject is "[CRITICAL] service: title", and stays; later mails have "Re: ". An escalation changes the word in
brackets, and so begins a new conversation in programs that go by the subject. For filters each mail has the headers
``X-Responder-Severity``, ``X-Responder-Status``, ``X-Responder-Event`` and ``X-Responder-Incident``. Its plain-text
part says all that the HTML part says; nothing is loaded from anywhere.

A retry has the Message-ID of the first try, so that mailboxes drop a repeat. Answers 4xx, time-outs and broken
connections are tried again; answers 5xx are given up at once. Recipients that the server refuses while it takes others
are named in the delivery's receipt: the others have the mail.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from email.headerregistry import Address
from typing import Annotated

import msgspec
from msgspec import Meta

from mcp_responder.channels._kind import ChannelKind, Services
from mcp_responder.channels._mail_message import Envelope, address, build
from mcp_responder.channels._mail_smtp import MailServer, SmtpSender, Tls, tls_context
from mcp_responder.model.message import Message, Receipt
from mcp_responder.plumbing.secret import Secret
from mcp_responder.ports import ChannelInfo, Clock, Delivered

INFO = ChannelInfo(kind="mail", title="E-mail", longest_text=120_000, updates=False)
USUAL_PORTS: dict[Tls, int] = {"starttls": 587, "tls": 465, "none": 25}


class MailSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Through which server, from whom, to whom."""

    host: Annotated[str, Meta(min_length=1)]
    """The mail server that takes mails from us."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """Its port; 0 is the usual one: 587 with "starttls", 465 with "tls", 25 with "none"."""
    tls: Tls = "starttls"
    """How it is encrypted: "starttls", "tls" from the first byte, or "none", which is for this machine only."""
    ca_file: str = ""
    """File with authorities (PEM) that are trusted beside the system's."""
    user: str = ""
    """Who we are to the server; empty: it knows us without."""
    password: Secret = Secret("")
    """The user's password, or app password."""
    sender: str
    """From whom the mails are: an address, with a name or without."""
    to: Annotated[tuple[str, ...], Meta(min_length=1, max_length=50)]
    """Who gets them; they see each other."""
    reply_to: str = ""
    """Where answers of people go, if not to the sender."""
    timeout_seconds: Annotated[float, Meta(gt=0, le=120)] = 30.0
    """How long handing in a mail may take."""

    def __post_init__(self) -> None:
        _check_host(self.host, self.tls)
        _check_login(self.user, self.password)
        if self.ca_file:
            try:
                tls_context(self.ca_file)
            except OSError as error:
                raise ValueError(f"ca_file: can't be read as PEM ({error.strerror or 'no certificate'})") from None
        self.envelope  # noqa: B018 - raises if an address isn't one

    @property
    def envelope(self) -> Envelope:
        """The addresses. Raises ValueError, which names the key."""
        return Envelope(
            sender=_address("sender", self.sender),
            to=tuple(_address("to", one) for one in self.to),
            reply_to=_address("reply_to", self.reply_to) if self.reply_to else None,
        )

    @property
    def server(self) -> MailServer:
        return MailServer(
            host=self.host,
            port=self.port or USUAL_PORTS[self.tls],
            tls=self.tls,
            user=self.user,
            password=self.password,
            ca_file=self.ca_file,
            timeout=self.timeout_seconds,
        )


class Mail:
    """Sends each piece of news as one mail to all recipients."""

    info = INFO

    def __init__(self, name: str, server: MailServer, envelope: Envelope, clock: Clock) -> None:
        self.name = name
        self._place = server.place
        self._envelope = envelope
        self._sender = SmtpSender(server)
        self._clock = clock

    def __repr__(self) -> str:
        return f"Mail({self.name!r}, {self._place})"

    def deliver(self, message: Message, previous: Receipt | None) -> Delivered:
        """Hand in one mail. Raises Transient or Permanent, if no recipient was accepted."""
        envelope = self._envelope
        mail, told = build(message, previous, envelope, self._clock())
        to = [one.addr_spec for one in envelope.to]
        refused = self._sender.send(mail, envelope.sender.addr_spec, to, international=envelope.international)
        return Delivered(reference=told.reference, detail=_left_out(refused))


def _build(name: str, settings: MailSettings, services: Services) -> Mail:
    return Mail(name, settings.server, settings.envelope, services.clock)


KIND = ChannelKind(info=INFO, guide=__doc__ or "", settings=MailSettings, build=_build)


def _left_out(refused: Mapping[str, str]) -> str:
    return f"refused: {'; '.join(f'{name} ({words})' for name, words in refused.items())}" if refused else ""


def _address(key: str, text: str) -> Address:
    try:
        return address(text)
    except ValueError as error:
        raise ValueError(f"{key}: {text!r} {error}") from None


def _check_host(host: str, tls: Tls) -> None:
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError("host: isn't the name of a machine") from None
    if tls == "none" and not _is_this_machine(host):
        raise ValueError('tls: "none" sends in the open, which is for this machine only; use "starttls" or "tls"')


def _check_login(user: str, password: Secret) -> None:
    if bool(user) != bool(password):
        raise ValueError(f"{'password' if user else 'user'}: is needed too; set both or none")
    if not (user + password.reveal()).isascii():
        raise ValueError("password: user and password can't have letters beyond ASCII")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
