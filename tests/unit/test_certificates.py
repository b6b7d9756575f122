"""A certificate is believed when an authority that is trusted here vouches for it, and no other."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from mcp_responder.plumbing import certificates
from mcp_responder.plumbing.certificates import ABSENT_FOR, FLAWED_FOR, KEPT, Certificate, Certificates
from mcp_responder.plumbing.http import HttpClient, HttpFailure, HttpResponse
from tests.authority import DAY, ISSUER_URL, Authority, Owner, chain
from tests.contract.clock import FakeClock

HOST = "sns.eu-west-1.amazonaws.com"
URL = f"https://{HOST}/SimpleNotificationService-0123456789abcdef.pem"
NAMES = (HOST, "sns.amazonaws.com")
TEXT = b"Message\nDisk full\n"

clock = FakeClock()
authority = Authority(now=clock())
imposter = Authority("imposter", now=clock())


class Web:
    """What stands at some addresses; everything that was asked."""

    def __init__(self, pages: dict[str, Any]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def request(self, method: str, url: str, timeout: float) -> HttpResponse:
        assert method == "GET"
        assert timeout <= 5
        self.asked.append(url)
        page = self.pages[url]
        if isinstance(page, Exception):
            raise page
        return page if isinstance(page, HttpResponse) else HttpResponse(200, {}, page)


class Stand:
    def __init__(self, tmp: Path, page: Any, folder: Path | None = None, **more: Any) -> None:
        roots = tmp / "roots.pem"
        roots.write_bytes(authority.root.pem)
        self.clock = FakeClock()
        self.web = Web({URL: page, **{f"http://{place}": body for place, body in more.items()}})
        self.certificates = Certificates(cast("HttpClient", self.web), self.clock, str(roots), folder)

    def found(self, names: Sequence[str] = NAMES) -> Certificate:
        self.certificates.fetch(URL, names)
        found = self.certificates.look_up(URL)
        assert found
        return found


def good(*names: str, **options: Any) -> Owner:
    return authority.leaf(*(names or NAMES[:1]), **options)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_signature_of_its_owner_is_told_from_any_other(tmp_path: Path, version: str) -> None:
    leaf = good()
    found = Stand(tmp_path, chain([leaf, authority.intermediate])).found()
    digest: Any = {"1": "sha1", "2": "sha256"}
    signature = base64.b64decode(leaf.signed(TEXT, version))
    assert found.has_signed(TEXT, signature, digest[version])
    assert not found.has_signed(TEXT + b"!", signature, digest[version])
    assert not found.has_signed(TEXT, signature[:-1] + bytes([signature[-1] ^ 1]), digest[version])
    assert not found.has_signed(TEXT, signature, digest["1" if version == "2" else "2"])
    assert not found.has_signed(TEXT, b"", digest[version])


@pytest.mark.parametrize("name", NAMES)
def test_it_may_be_made_out_to_any_of_the_names(tmp_path: Path, name: str) -> None:
    assert Stand(tmp_path, chain([good(name), authority.intermediate])).found().key


def test_an_intermediate_that_isnt_sent_along_is_fetched_once(tmp_path: Path) -> None:
    stand = Stand(tmp_path, good(issuer_url=ISSUER_URL).pem)
    stand.web.pages[ISSUER_URL] = authority.intermediate.der
    assert stand.found().key
    assert stand.found().key
    assert stand.web.asked == [URL, ISSUER_URL, URL]


@pytest.mark.parametrize(
    "elsewhere",
    [
        *[
            "http://evil.example/test.cer",
            "http://crt.test.amazontrust.com.evil.example/test.cer",
            "file:///etc/passwd",
        ],
        *["http://crt.test.amazontrust.com:8080/test.cer", "http://crt.test.amazontrust.com/test.cer?x", "ldap://x/y"],
        *[
            "http://a@crt.test.amazontrust.com/test.cer",
            "http://169.254.169.254/latest",
            "https://crt.x.amazontrust.com/y",
        ],
    ],
)
def test_an_issuer_elsewhere_is_never_fetched(tmp_path: Path, elsewhere: str) -> None:
    stand = Stand(tmp_path, good(issuer_url=elsewhere).pem)
    assert "vouches" in stand.found().flaw
    assert stand.web.asked == [URL]


def test_a_forged_issuer_at_the_right_place_helps_nobody(tmp_path: Path) -> None:
    forged = imposter.leaf(*NAMES, issuer_url=ISSUER_URL)
    stand = Stand(tmp_path, forged.pem)
    stand.web.pages[ISSUER_URL] = imposter.intermediate.der
    assert "vouches" in stand.found().flaw


def test_another_issuer_at_the_right_place_is_no_reason_to_refuse_for_good(tmp_path: Path) -> None:
    stand = Stand(tmp_path, good(issuer_url=ISSUER_URL).pem)
    stand.web.pages[ISSUER_URL] = imposter.intermediate.der
    assert "isn't its issuer" in stand.found().absent
    stand.web.pages[ISSUER_URL] = authority.intermediate.der
    stand.clock.advance(seconds=ABSENT_FOR.total_seconds())
    assert stand.found().key


FLAWED: dict[str, tuple[bytes, str]] = {
    "expired": (chain([good(begin=-9 * DAY, end=-DAY), authority.intermediate]), "valid from"),
    "not valid yet": (chain([good(begin=DAY), authority.intermediate]), "valid from"),
    "another host's": (chain([good("sns.eu-west-1.amazonaws.com.evil.example"), authority.intermediate]), "made out"),
    "nobody's": (chain([authority.leaf(), authority.intermediate]), "made out"),
    "another authority's": (chain([imposter.leaf(*NAMES), imposter.intermediate]), "vouches"),
    "with its own root along": (chain([imposter.leaf(*NAMES), imposter.intermediate, imposter.root]), "vouches"),
    "self-signed": (
        imposter.leaf(*NAMES, issuer=Owner(imposter.leaf(*NAMES).certificate, imposter.root.key)).pem,
        "vou",
    ),
    "issued by a server's certificate": (chain([good(issuer=good()), good(), authority.intermediate]), "vouches"),
    "of an elliptic curve": (chain([good(own=generate_private_key(SECP256R1())), authority.intermediate]), "RSA"),
}


@pytest.mark.parametrize(("page", "words"), FLAWED.values(), ids=FLAWED)
def test_what_isnt_to_be_trusted_is_remembered_for_a_minute(tmp_path: Path, page: bytes, words: str) -> None:
    stand = Stand(tmp_path, page)
    found = stand.found()
    assert words in found.flaw
    assert found.key is None
    assert not found.has_signed(TEXT, b"x", "sha256")
    stand.clock.advance(seconds=FLAWED_FOR.total_seconds())
    assert stand.certificates.look_up(URL) is None


ABSENT: dict[str, Any] = {
    "down": HttpFailure("no connection to sns.eu-west-1.amazonaws.com:443"),
    "a page": b"<html>Sign in to the hotel's network</html>",
    "nothing": b"",
    "half a certificate": authority.root.pem[:300],
    "a certificate of rubbish": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "huge": b"-----BEGIN CERTIFICATE-----\n" + b"A" * certificates.LARGEST,
    "a redirect": HttpResponse(302, {"location": "https://evil.example/cert.pem"}, b""),
    "an error": HttpResponse(503, {}, chain([good(), authority.intermediate])),
}


@pytest.mark.parametrize("page", ABSENT.values(), ids=ABSENT)
def test_what_cant_be_fetched_is_tried_again_in_seconds(tmp_path: Path, page: Any) -> None:
    stand = Stand(tmp_path, page)
    assert stand.found().absent
    assert stand.web.asked == [URL]
    stand.clock.advance(seconds=ABSENT_FOR.total_seconds())
    assert stand.certificates.look_up(URL) is None
    stand.web.pages[URL] = chain([good(), authority.intermediate])
    assert stand.found().key


def test_an_issuer_that_cant_be_fetched_is_tried_again(tmp_path: Path) -> None:
    stand = Stand(tmp_path, good(issuer_url=ISSUER_URL).pem)
    stand.web.pages[ISSUER_URL] = HttpFailure("no connection")
    assert stand.found().absent
    stand.web.pages[ISSUER_URL] = authority.intermediate.der
    stand.clock.advance(seconds=ABSENT_FOR.total_seconds())
    assert stand.found().key


def test_it_is_kept_until_it_expires(tmp_path: Path) -> None:
    stand = Stand(tmp_path, chain([good(end=2 * DAY), authority.intermediate]))
    assert stand.found().key
    stand.clock.advance(days=2, seconds=-1)
    assert stand.certificates.look_up(URL)
    stand.clock.advance(seconds=1)
    assert stand.certificates.look_up(URL) is None


def test_forgeries_by_the_thousand_neither_fill_the_memory_nor_drive_out_the_good(tmp_path: Path) -> None:
    stand = Stand(tmp_path, chain([good(), authority.intermediate]))
    assert stand.found().key
    for number in range(3 * KEPT):
        url = f"{URL}{number}"
        stand.web.pages[url] = b"?"
        stand.certificates.fetch(url, NAMES)
    assert stand.certificates.look_up(URL)
    assert sum(stand.certificates.look_up(f"{URL}{number}") is not None for number in range(3 * KEPT)) == KEPT


def test_a_good_one_is_there_after_a_restart_without_a_network(tmp_path: Path) -> None:
    leaf = good(issuer_url=ISSUER_URL, end=2 * DAY)
    stand = Stand(tmp_path, leaf.pem, folder=tmp_path / "kept")
    stand.web.pages[ISSUER_URL] = authority.intermediate.der
    assert stand.found().key
    again = Stand(tmp_path, HttpFailure("no network"), folder=tmp_path / "kept")
    again.certificates.load()
    found = again.certificates.look_up(URL)
    assert found
    assert found.has_signed(TEXT, base64.b64decode(leaf.signed(TEXT)), "sha256")
    assert again.web.asked == []


@pytest.mark.parametrize("page", [imposter.leaf(*NAMES).pem, b"?", HttpFailure("no connection")])
def test_what_isnt_good_is_kept_nowhere(tmp_path: Path, page: Any) -> None:
    stand = Stand(tmp_path, page, folder=tmp_path / "kept")
    assert stand.found().key is None
    assert not list(tmp_path.glob("kept/*"))


FORGED = {
    "expired": good(begin=-9 * DAY, end=-DAY),
    "another authority's": imposter.leaf(*NAMES),
    "another host's": good("sns.eu-west-1.amazonaws.com.evil.example"),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_what_is_kept_is_checked_again_and_removed(tmp_path: Path, forged: Owner) -> None:
    folder = tmp_path / "kept"
    assert Stand(tmp_path, chain([good(), authority.intermediate]), folder=folder).found().key
    (file,) = folder.glob("*")
    kept = json.loads(file.read_bytes())
    file.write_text(json.dumps({**kept, "chain": chain([forged, authority.intermediate]).decode()}))
    (folder / "rubbish.json").write_bytes(b"?")
    (folder / "half.json").write_text(json.dumps({**kept, "chain": "?"}))
    again = Stand(tmp_path, HttpFailure("no network"), folder=folder)
    again.certificates.load()
    assert again.certificates.look_up(URL) is None
    assert not list(folder.glob("*"))


def test_a_folder_that_cant_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    stand = Stand(tmp_path, chain([good(), authority.intermediate]), folder=tmp_path / "kept")
    stand.certificates.load()
    assert stand.found().key


def test_the_systems_authorities_are_trusted_too(tmp_path: Path) -> None:
    alone = Certificates(cast("HttpClient", Web({})), clock)
    assert len(alone._roots) > 20
