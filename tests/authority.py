"""A certificate authority for a test: a root, an intermediate, and the certificates of whoever signs."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
ISSUER_URL = "http://crt.test.amazontrust.com/test.cer"


@lru_cache
def key(name: str) -> RSAPrivateKey:
    """A key for a name; making one takes a tenth of a second."""
    return generate_private_key(65537, 2048)


class Owner(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: RSAPrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def signed(self, text: bytes, version: str = "2") -> str:
        """A signature in the version's way, in Base64."""
        digest = SHA1() if version == "1" else SHA256()
        return base64.b64encode(self.key.sign(text, PKCS1v15(), digest)).decode()


class Authority:
    """Issues certificates. ``name`` tells two authorities apart; keys of one name are the same."""

    def __init__(self, name: str = "test", now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)
        self.name = name
        self.root = self._authority(f"{name} root", None)
        self.intermediate = self._authority(f"{name} intermediate", self.root)

    def _authority(self, name: str, issuer: Owner | None) -> Owner:
        own = key(name)
        builder = (
            self._builder(name, own, issuer, self.now - 30 * DAY, self.now + 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
        )
        return Owner(builder.sign((issuer.key if issuer else own), SHA256()), own)

    def leaf(
        self,
        *names: str,
        begin: timedelta = -DAY,
        end: timedelta = 30 * DAY,
        issuer: Owner | None = None,
        issuer_url: str = "",
        own: Any = None,
    ) -> Owner:
        """A server's certificate, valid from and to so long from now."""
        own = own or key("leaf")
        issuer = issuer or self.intermediate
        builder = (
            self._builder(names[0] if names else "nobody", own, issuer, self.now + begin, self.now + end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_usage(signs_certificates=False), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        if issuer_url:
            place = x509.UniformResourceIdentifier(issuer_url)
            access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        return Owner(builder.sign(issuer.key, SHA256()), own)

    @staticmethod
    def _builder(name: str, own: Any, issuer: Owner | None, begin: datetime, end: datetime) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issued_by = issuer.key if issuer else own
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issued_by.public_key()), critical=False)
        )


def chain(owners: Sequence[Owner]) -> bytes:
    """Certificates in one PEM file."""
    return b"".join(owner.pem for owner in owners)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
