"""SNS as a test needs it: a host with a certificate that signs, and that answers confirmations."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mcp_responder.sources._sns_signature import text_to_sign
from tests.authority import Authority, Owner, chain
from tests.channels.server import Reply, ScriptedServer

TOPIC = "arn:aws:sns:eu-central-1:210987654321:alarms"
PATH = "/SimpleNotificationService-0123456789abcdef.pem"


class Sns(ScriptedServer):
    """Speaks HTTPS on localhost. Its certificates are at ``PATH``, whatever it was scripted to answer elsewhere."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.authority = Authority()
        self.signer: Owner = self.authority.leaf("localhost")
        self.certificate = Reply(body=chain([self.signer, self.authority.intermediate]))
        self.roots = folder / "roots.pem"
        self.roots.write_bytes(self.authority.root.pem)
        own = folder / "server.pem"
        own.write_bytes(self.signer.key_pem + chain([self.signer, self.authority.intermediate]))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(own)
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def host(self) -> str:
        return f"localhost:{self.server_port}"

    @property
    def settings(self) -> dict[str, str]:
        """Of a service that believes this host."""
        return {
            "SOURCES__SNS__HOSTS": f'["{self.host}"]',
            "SOURCES__SNS__CERTIFICATE_AUTHORITIES": str(self.roots),
            "SOURCES__SNS__TOPICS": f'["{TOPIC}"]',
        }

    def take(self, asked: Any) -> Reply:
        reply = super().take(asked)
        return self.certificate if asked.path.endswith(".pem") else reply

    def fetched(self) -> list[str]:
        """The addresses that were asked for."""
        return [asked.path for asked in self.asked]

    def envelope(self, message: str = "Disk full", version: str = "2", **fields: Any) -> dict[str, Any]:
        """A signed notification, or what ``Type`` says."""
        unsigned = {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Message": message,
            "Timestamp": "2026-03-01T10:00:00.000Z",
            "SignatureVersion": version,
            "SigningCertURL": f"https://{self.host}{PATH}",
            **fields,
        }
        return {**unsigned, "Signature": self.signer.signed(text_to_sign(unsigned), version)}

    def confirmation(self, **fields: Any) -> dict[str, Any]:
        """What asks to confirm a subscription."""
        token = fields.setdefault("Token", "2336412f37")
        topic = fields.setdefault("TopicArn", TOPIC)
        query = f"Action=ConfirmSubscription&TopicArn={quote(topic, safe=':')}&Token={token}"
        url = f"https://{self.host}/?{query}"
        given = {"Type": "SubscriptionConfirmation", "SubscribeURL": url, **fields}
        return self.envelope("You have chosen to subscribe.", **given)


@contextlib.contextmanager
def sns_on_localhost(folder: Path) -> Iterator[Sns]:
    server = Sns(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
