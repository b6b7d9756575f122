"""Certificates of those who sign messages: fetched once, their chains and dates checked, kept until they expire.

``cryptography`` is imported with the first certificate: a service that is sent nothing signed never pays for it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import ssl
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from mcp_responder.plumbing.http import HttpClient, HttpFailure

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

LARGEST = 64 * 1024
"""Bytes of an answer with a certificate."""
SECONDS = 4.0
"""How long one answer may take."""
KEPT = 64
"""Certificates that are kept."""
LONGEST_CHAIN = 4
"""Certificates between the leaf and its root."""
ABSENT_FOR = timedelta(seconds=5)
FLAWED_FOR = timedelta(minutes=1)
_ISSUER = re.compile(r"http://crt\.[a-z0-9-]{1,40}\.amazontrust\.com/[A-Za-z0-9._-]{1,80}", re.ASCII)
"""Where Amazon keeps its authorities' certificates; in the open, for the check of the chain protects them."""
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a certificate until some time: its key, or why there is none."""

    until: datetime
    key: RSAPublicKey | None = None
    absent: str = ""
    """Why it couldn't be fetched."""
    flaw: str = ""
    """Why it isn't to be trusted."""

    def has_signed(self, text: bytes, signature: bytes, digest: Literal["sha1", "sha256"]) -> bool:
        """Whether its owner made this signature of a text."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA1, SHA256

        # SHA-1 is what SNS signs with unless the topic's owner wants better.
        algorithm = SHA1() if digest == "sha1" else SHA256()  # noqa: S303
        if self.key is None:
            return False
        try:
            self.key.verify(signature, text, PKCS1v15(), algorithm)
        except InvalidSignature:
            return False
        return True


class _Kept(msgspec.Struct, frozen=True):
    """A certificate in a file, with what stands between it and a root."""

    url: str
    names: tuple[str, ...]
    chain: str
    """PEM, the leaf first."""


class _AbsentError(Exception):
    """Nothing usable came back; it may the next time."""


class _FlawedError(Exception):
    """It came, and isn't to be trusted."""


class Certificates:
    """Keeps certificates by their address. ``authorities`` is a PEM file of roots beside the system's.

    ``look_up`` is for any thread and waits for nothing, ``fetch`` waits for answers. What is good is kept in ``folder``
    too, if there is one: a restart needs nothing from outside to verify what is signed.
    """

    def __init__(
        self, http: HttpClient, clock: Callable[[], datetime], authorities: str = "", folder: Path | None = None
    ) -> None:
        self._http = http
        self._clock = clock
        self._authorities = authorities
        self._folder = folder
        self._known: OrderedDict[str, Certificate] = OrderedDict()
        self._troubles: OrderedDict[str, Certificate] = OrderedDict()
        self._issuers: dict[str, x509.Certificate] = {}
        self._lock = threading.Lock()

    def look_up(self, url: str) -> Certificate | None:
        """What is known, or None: it must be fetched."""
        found = self._known.get(url) or self._troubles.get(url)
        return found if found and self._clock() < found.until else None

    def fetch(self, url: str, names: Sequence[str]) -> None:
        """Fetch and check a certificate that must be made out to one of ``names``; what came of it is looked up.

        The address must have been checked.
        """
        from cryptography.exceptions import UnsupportedAlgorithm

        try:
            leaf, *others = self._certificates(url)
            between = self._check(leaf, others, names, self._clock())
            self._keep(self._known, url, Certificate(until=leaf.not_valid_after_utc, key=_rsa_key(leaf)))
            self._write(url, names, [leaf, *between])
        except _AbsentError as error:
            # From now on: the answer may have taken longer than that.
            self._keep(self._troubles, url, Certificate(until=self._clock() + ABSENT_FOR, absent=str(error)))
        except _FlawedError as error:
            self._keep(self._troubles, url, Certificate(until=self._clock() + FLAWED_FOR, flaw=str(error)))
        except (ValueError, UnsupportedAlgorithm):
            flaw = "it holds what can't be read"
            self._keep(self._troubles, url, Certificate(until=self._clock() + FLAWED_FOR, flaw=flaw))

    def load(self) -> None:
        """Take what the folder has. It is checked again; what is no good any more is removed."""
        files = self._files()
        if not files:
            return
        from cryptography.exceptions import UnsupportedAlgorithm

        for file in files:
            try:
                kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
                leaf, *others = _certificates_in(kept.chain.encode())
                self._check(leaf, others, kept.names, self._clock(), fetch=False)
                self._keep(self._known, kept.url, Certificate(until=leaf.not_valid_after_utc, key=_rsa_key(leaf)))
            except (OSError, ValueError, UnsupportedAlgorithm, _AbsentError, _FlawedError):
                with contextlib.suppress(OSError):
                    file.unlink()

    def _files(self) -> list[Path]:
        """Oldest first."""
        if self._folder is None:
            return []
        try:
            return sorted(self._folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
        except OSError:
            return []

    def _write(self, url: str, names: Sequence[str], certificates: Sequence[x509.Certificate]) -> None:
        from cryptography.hazmat.primitives.serialization import Encoding

        if self._folder is None:
            return
        chain = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
        name = blake2b(url.encode(), digest_size=16).hexdigest()
        # A full disk mustn't refuse what could be verified.
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            new = self._folder / f"{name}.new"
            new.write_bytes(msgspec.json.encode(_Kept(url, tuple(names), chain.decode())))
            new.replace(self._folder / f"{name}.json")
            for file in self._files()[:-KEPT]:
                file.unlink(missing_ok=True)

    def _keep(self, shelf: OrderedDict[str, Certificate], url: str, certificate: Certificate) -> None:
        with self._lock:
            shelf[url] = certificate
            shelf.move_to_end(url)
            while len(shelf) > KEPT:
                shelf.popitem(last=False)

    def _certificates(self, url: str) -> list[x509.Certificate]:
        try:
            return _certificates_in(self._get(url))
        except ValueError:
            raise _AbsentError("what was answered there is no certificate") from None

    def _get(self, url: str) -> bytes:
        try:
            answer = self._http.request("GET", url, timeout=SECONDS)
        except HttpFailure as error:
            raise _AbsentError(str(error)) from None
        if answer.status != 200:
            raise _AbsentError(f"it was answered with status {answer.status}")
        if len(answer.body) >= LARGEST:
            raise _AbsentError(f"the answer has more than {LARGEST} bytes")
        return answer.body

    def _check(
        self,
        leaf: x509.Certificate,
        others: list[x509.Certificate],
        names: Sequence[str],
        now: datetime,
        *,
        fetch: bool = True,
    ) -> list[x509.Certificate]:
        """What stands between the leaf and a root. Raises if one of them isn't to be trusted."""
        from cryptography.x509 import verification

        name = next((name for name in names if _is_made_out_to(leaf, name)), None)
        if name is None:
            raise _FlawedError(f"it isn't made out to {' or '.join(names)}")
        if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
            raise _FlawedError(
                f"it is valid from {leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%F}"
            )
        between = [*others, *(self._missing_issuers(leaf, others, now) if fetch else ())]
        policy = verification.PolicyBuilder().store(verification.Store(self._roots)).time(now)
        try:
            policy.max_chain_depth(LONGEST_CHAIN).build_server_verifier(_general_name(name)).verify(leaf, between)
        except verification.VerificationError:
            raise _FlawedError("no authority that is trusted here vouches for it") from None
        return between

    def _missing_issuers(
        self, leaf: x509.Certificate, given: Sequence[x509.Certificate], now: datetime
    ) -> list[x509.Certificate]:
        """What stands between the leaf and a root, where it wasn't sent along: AWS sends the leaf only."""
        known = {root.subject for root in self._roots} | {certificate.subject for certificate in given}
        fetched: list[x509.Certificate] = []
        last = given[-1] if given else leaf
        while last.issuer not in known and len(fetched) < LONGEST_CHAIN - 1:
            url = next(filter(_ISSUER.fullmatch, _issuer_urls(last)), None)
            if url is None:
                break
            last = self._issuer(last, url, now)
            known.add(last.subject)
            fetched.append(last)
        return fetched

    def _issuer(self, certificate: x509.Certificate, url: str, now: datetime) -> x509.Certificate:
        """Who has issued a certificate, kept by the address."""
        kept = self._issuers.get(url)
        if kept and now < kept.not_valid_after_utc and _has_issued(kept, certificate):
            return kept
        fetched = self._certificates(url)[0]
        if not _has_issued(fetched, certificate):
            # It came in the open: whoever changed it on its way must not make us refuse the true sender.
            raise _AbsentError("what is kept as its issuer isn't its issuer")
        self._issuers[url] = fetched
        return fetched

    @cached_property
    def _roots(self) -> list[x509.Certificate]:
        """The system's authorities, and the user's. Reading them takes some 20 ms."""
        files = [*_system_files(), *([Path(self._authorities)] if self._authorities else [])]
        roots = [certificate for file in files for certificate in _readable(file)]
        if not roots:
            raise _AbsentError("this machine has no list of authorities (the package ca-certificates)")
        return roots


def _certificates_in(body: bytes) -> list[x509.Certificate]:
    """The certificates in PEM, or the one in DER. Raises ValueError."""
    from cryptography import x509

    written = _PEM.findall(body)[: LONGEST_CHAIN + 1]
    return [x509.load_pem_x509_certificate(pem) for pem in written] or [x509.load_der_x509_certificate(body)]


def _system_files() -> list[Path]:
    paths = ssl.get_default_verify_paths()
    named = Path(paths.cafile or "")
    return [named] if paths.cafile and named.is_file() else sorted(Path(paths.capath or "/nonexistent").glob("*.pem"))


def _readable(file: Path) -> list[x509.Certificate]:
    return [certificate for pem in _PEM.findall(file.read_bytes()) if (certificate := _parsed(pem))]


def _parsed(pem: bytes) -> x509.Certificate | None:
    from cryptography import x509

    # Some old authorities break today's rules; nobody can do anything about it here.
    with contextlib.suppress(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.load_pem_x509_certificate(pem)
    return None


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _rsa_key(certificate: x509.Certificate) -> RSAPublicKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise _FlawedError("its key isn't an RSA key")
    return key


def _general_name(name: str) -> x509.DNSName | x509.IPAddress:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_made_out_to(certificate: x509.Certificate, name: str) -> bool:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return _general_name(name) in list(names)


def _issuer_urls(certificate: x509.Certificate) -> list[str]:
    """Where the certificate of its issuer can be had, as it says itself."""
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    wanted = AuthorityInformationAccessOID.CA_ISSUERS
    places = (entry.access_location for entry in access if entry.access_method == wanted)
    return [place.value for place in places if isinstance(place, x509.UniformResourceIdentifier)]
