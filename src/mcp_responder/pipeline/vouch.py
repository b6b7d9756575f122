"""Is it signed by whom it says? Answers at once from the certificates that are here."""

from __future__ import annotations

from mcp_responder.model.errors import CertificateMissing, Transient, Unverified
from mcp_responder.plumbing.certificates import Certificates
from mcp_responder.ports import Signed

RETRY_AFTER = 5.0
"""Seconds until it makes sense to send again what can't be verified yet."""


class Verifier:
    """The ``Vouch`` of a door."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates

    def __call__(self, signed: Signed) -> None:
        if not signed.required:
            return
        seal = signed.seal
        if seal.flaw:
            raise Unverified(
                "not_verifiable",
                f"{seal.flaw} What can't be verified is taken only if the source's setting 'verify' is false.",
            )
        certificate = self._certificates.look_up(seal.certificate_url)
        if certificate is None:
            raise CertificateMissing(seal.certificate_url, seal.certificate_names)
        if certificate.absent:
            words = f"The certificate of the signature can't be fetched: {certificate.absent}. Send it again."
            raise Transient(words, retry_after=RETRY_AFTER)
        if certificate.flaw:
            raise Unverified(
                "untrusted_certificate", f"The certificate of the signature is no good: {certificate.flaw}."
            )
        if not certificate.has_signed(seal.text, seal.signature, seal.digest):
            raise Unverified(
                "wrong_signature",
                f"The signature isn't that of {signed.signer}: forged, or changed on its way. Send it as it came.",
            )
