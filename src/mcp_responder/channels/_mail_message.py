"""From a Letter to a mail: headers, the thread, both parts. However it is sent, this is what is sent."""

from __future__ import annotations

from datetime import datetime
from email import policy
from email.errors import NonASCIILocalPartDefect
from email.header import Header
from email.headerregistry import Address, HeaderRegistry, UniqueUnstructuredHeader
from email.message import EmailMessage
from email.policy import Policy
from urllib.parse import quote

import msgspec

from mcp_responder.channels import _mail_html, _mail_text
from mcp_responder.channels._mail_letter import letter
from mcp_responder.model.alert import Severity
from mcp_responder.model.incident import Event
from mcp_responder.model.message import Message, Receipt

_PRIORITY = {
    Severity.CRITICAL: ("1 (Highest)", "high", "urgent"),
    Severity.HIGH: ("2 (High)", "high", "urgent"),
    Severity.MEDIUM: ("3 (Normal)", "normal", "normal"),
    Severity.LOW: ("5 (Lowest)", "low", "non-urgent"),
}
"""X-Priority, Importance, Priority: each is read by some programs."""
_CALM = frozenset({Event.ACKNOWLEDGED, Event.SILENCED, Event.RESOLVED})
"""News that nobody has to be woken for."""


class _Subject(UniqueUnstructuredHeader):
    """Folded and encoded as a whole: word by word, as Python does it, blanks are lost and others added."""

    def fold(self, *, policy: Policy) -> str:
        text = str(self)
        header = Header(text, "us-ascii" if text.isascii() else "utf-8", header_name="Subject")
        return f"Subject: {header.encode(linesep=policy.linesep)}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("subject", _Subject)  # type: ignore[arg-type]  # the registry adds BaseHeader itself
_POLICY = policy.SMTP.clone(header_factory=_HEADERS)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """From whom, to whom."""

    sender: Address
    to: tuple[Address, ...]
    reply_to: Address | None = None

    @property
    def international(self) -> bool:
        """Whether an address can be written to only with SMTPUTF8."""
        return not all(address.addr_spec.isascii() for address in (self.sender, *self.to))


class Told(msgspec.Struct, frozen=True):
    """What is known of earlier mails about an incident; kept as the receipt's reference."""

    first: str = ""
    """Message-ID of the first."""
    analysis: str = ""
    """When the analysis was made that has been told."""

    @classmethod
    def by(cls, previous: Receipt | None) -> Told:
        """Read it from a receipt."""
        first, _, analysis = (previous.reference if previous else "").partition(" ")
        return cls(first, analysis)

    @property
    def reference(self) -> str:
        return f"{self.first} {self.analysis}".strip()


def address(text: str) -> Address:
    """One address, with a name or without; the domain in ASCII. Raises ValueError if it isn't one."""
    header = policy.default.header_factory("to", text)
    defects = [one for one in header.defects if not isinstance(one, NonASCIILocalPartDefect)]
    read = header.addresses[0] if len(header.addresses) == 1 else Address()
    try:
        domain = read.domain.encode("idna").decode()
    except UnicodeError:
        domain = ""
    if defects or not (read.username and domain and text.isprintable()):
        raise ValueError("isn't an address; write ops@example.com or Ops <ops@example.com>")
    return Address(read.display_name, read.username, domain)


def build(message: Message, previous: Receipt | None, envelope: Envelope, now: datetime) -> tuple[EmailMessage, Told]:
    """The mail about the news, and what will have been told with it."""
    told = Told.by(previous)
    made_at = message.analysis.made_at.isoformat() if message.analysis else ""
    said = letter(message, now, reported=bool(told.first) and made_at == told.analysis)
    own = _message_id(message.delivery_id, envelope)
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = envelope.sender
    mail["To"] = envelope.to
    if envelope.reply_to:
        mail["Reply-To"] = envelope.reply_to
    mail["Date"] = now
    # Python decodes what looks like an encoded word, and would put its line ends into the header.
    subject = said.subject.replace("=?", "= ?")
    mail["Subject"] = f"Re: {subject}" if told.first else subject
    mail["Message-ID"] = own
    if told.first:
        mail["In-Reply-To"] = told.first
    # A root that is never sent holds the thread together even where the first mail's receipt was lost.
    root = _message_id(_thread(message), envelope)
    mail["References"] = f"{root} {told.first}".strip()
    _add_marks(mail, message)
    mail.set_content(_mail_text.write(said), cte="quoted-printable")
    mail.add_alternative(_mail_html.write(said), subtype="html", cte="quoted-printable")
    return mail, Told(told.first or own, made_at or told.analysis)


def _add_marks(mail: EmailMessage, message: Message) -> None:
    """Headers for programs: how urgent it is, that no robot shall answer, what a filter may go by."""
    incident = message.incident
    severity = Severity.MEDIUM if message.event in _CALM else incident.severity
    mail["X-Priority"], mail["Importance"], mail["Priority"] = _PRIORITY[severity]
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    mail["X-Responder-Incident"] = _token(incident.incident_id)
    mail["X-Responder-Severity"] = incident.severity.value
    mail["X-Responder-Status"] = incident.status.value
    mail["X-Responder-Event"] = message.event.value


def _thread(message: Message) -> str:
    digest = message.digest
    return f"storm-{digest.since:%Y%m%dT%H%M%S}" if digest else message.incident.incident_id


def _message_id(name: str, envelope: Envelope) -> str:
    return f"<{_token(name)}@{envelope.sender.domain}>"


def _token(text: str) -> str:
    """Fit for an id in a header."""
    return quote(text, safe="", errors="replace")
