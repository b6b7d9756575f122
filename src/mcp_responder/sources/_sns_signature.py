"""What SNS signs, and which addresses are its own. Pure: nothing is fetched or computed here."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from mcp_responder.plumbing.fields import text
from mcp_responder.ports import Seal

CONFIRM = "SubscriptionConfirmation"
_OF_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_OF_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_ONE_LINE = re.compile(r"[^\x00-\x1f]*")
_SHAPES = {
    "MessageId": re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII),
    "Timestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII),
    "TopicArn": re.compile(r"arn:aws[a-z-]{0,20}:sns:[a-z0-9-]{1,40}:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?", re.ASCII),
}
"""Of what is signed; any other field, but the message, is one line."""
_DIGESTS: dict[str, Literal["sha1", "sha256"]] = {"1": "sha1", "2": "sha256"}
"""SignatureVersion -> how it is computed."""

_SNS = r"https://(sns\.([a-z]{2,4}(?:-[a-z]+){1,3}-\d{1,2})\.(amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu))"
_CERTIFICATE = re.compile(_SNS + r"/SimpleNotificationService-[0-9a-f]{8,128}\.pem", re.ASCII)
_OWN_CERTIFICATE = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*){1,8}\.pem", re.ASCII)
_ENDPOINT = re.compile(_SNS + r"/\?[!-~]+", re.ASCII)
_OWN_ENDPOINT = re.compile(r"(/[A-Za-z0-9_-]+)*/?\?[!-~]+", re.ASCII)


def seal_of(envelope: dict[str, object], hosts: Sequence[str]) -> Seal:
    """The signature of an envelope. ``hosts`` are further places that may keep certificates, beside SNS's own."""
    # Lambda writes some of the names in another way.
    url = text(envelope.get("SigningCertURL") or envelope.get("SigningCertUrl"))
    signed = text(envelope.get("Signature"))
    if not url or not signed:
        return Seal(flaw="It carries no signature (Signature and SigningCertURL).")
    digest = _DIGESTS.get(text(envelope.get("SignatureVersion")))
    if digest is None:
        return Seal(flaw="Its SignatureVersion is neither 1 nor 2.")
    try:
        signature = base64.b64decode(signed, validate=True)
    except (binascii.Error, ValueError):
        return Seal(flaw="Its Signature isn't Base64.")
    odd = _odd_field(_in_one_spelling(envelope))
    if odd:
        # Names and values are signed without marks between them: a line more could be read as the next field.
        return Seal(flaw=f"Its {odd} isn't written as SNS writes it.")
    names = certificate_names(url, hosts)
    if not names:
        return Seal(flaw="Its SigningCertURL isn't an address at which SNS keeps certificates; it wasn't fetched.")
    return Seal(
        text=text_to_sign(envelope),
        signature=signature,
        digest=digest,
        certificate_url=url,
        certificate_names=names,
    )


def text_to_sign(envelope: dict[str, object]) -> bytes:
    """Names and values, a line each, in the order of the alphabet; what isn't there is left out."""
    known = _in_one_spelling(envelope)
    pairs = ((name, known.get(name)) for name in _signed_names(envelope))
    return "".join(f"{name}\n{value}\n" for name, value in pairs if isinstance(value, str)).encode(errors="replace")


def _signed_names(envelope: dict[str, object]) -> tuple[str, ...]:
    return _OF_NOTIFICATION if envelope.get("Type") == "Notification" else _OF_CONFIRMATION


def _in_one_spelling(envelope: dict[str, object]) -> dict[str, object]:
    if "SubscribeUrl" in envelope and "SubscribeURL" not in envelope:
        return {**envelope, "SubscribeURL": envelope["SubscribeUrl"]}
    return envelope


def _odd_field(envelope: dict[str, object]) -> str:
    """The first of the signed fields, but the message, that SNS wouldn't write like this; empty if there is none."""
    for name in _signed_names(envelope):
        value = envelope.get(name)
        absent = value is None and name == "Subject"
        right = isinstance(value, str) and (name == "Message" or _SHAPES.get(name, _ONE_LINE).fullmatch(value))
        if not (right or absent):
            return name
    return ""


@lru_cache(maxsize=256)
def _names_in_region(host: str, region: str, domain: str) -> tuple[str, ...]:
    """The names that AWS puts into SNS's certificates, which depend on the region's age and partition."""
    named = (host, f"sns.{domain}", f"sns-signing.{region}.{domain}", f"sns-{region}.{domain}")
    return (*named, "sns-us-gov-west-1.amazonaws.com") if region.startswith("us-gov-") else named


def certificate_names(url: str, hosts: Sequence[str]) -> tuple[str, ...]:
    """The names of which a certificate at this address must have one; none if it must not be fetched from there."""
    aws = _CERTIFICATE.fullmatch(url)
    if aws:
        return _names_in_region(aws[1], aws[2], aws[3])
    origin = _origin(url, hosts)
    allowed = origin and _OWN_CERTIFICATE.fullmatch(url.removeprefix(origin)) and ".." not in url
    return (urlsplit(origin).hostname or "",) if allowed else ()


def confirmation_url(envelope: dict[str, object], hosts: Sequence[str]) -> str:
    """The address that confirms this very subscription; empty if it isn't SNS's, or does anything else."""
    url = text(envelope.get("SubscribeURL") or envelope.get("SubscribeUrl"))
    if envelope.get("Type") != CONFIRM or not is_endpoint(url, hosts):
        return ""
    said = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    asked = dict(said)
    right = len(asked) == len(said) and asked.get("Action") == "ConfirmSubscription" and bool(asked.get("Token"))
    same_topic = asked.get("TopicArn") == envelope.get("TopicArn")
    same_token = "Token" not in envelope or asked.get("Token") == envelope["Token"]
    return url if right and same_topic and same_token else ""


def is_endpoint(url: str, hosts: Sequence[str]) -> bool:
    """Whether an address is SNS's API."""
    if _ENDPOINT.fullmatch(url):
        return "#" not in url
    origin = _origin(url, hosts)
    return bool(origin and _OWN_ENDPOINT.fullmatch(url.removeprefix(origin))) and "#" not in url


def _origin(url: str, hosts: Sequence[str]) -> str:
    """The beginning of an address that is one of the user's own hosts: scheme, name and port."""
    origins = (host.rstrip("/") if "://" in host else f"https://{host}" for host in hosts)
    return next((origin for origin in origins if url.startswith(f"{origin}/")), "")


def hosts_of(topics: Sequence[str]) -> frozenset[str]:
    """SNS's hosts of the regions that topics name."""
    regions = (topic.split(":")[3] for topic in topics)
    return frozenset(f"sns.{region}.{_domain(region)}" for region in regions if "*" not in region)


def _domain(region: str) -> str:
    if region.startswith("cn-"):
        return "amazonaws.com.cn"
    return "amazonaws.eu" if region.startswith("eusc-") else "amazonaws.com"


def is_listed(topic: str, topics: Sequence[str]) -> bool:
    """Whether a topic's ARN is in a list, in which ``*`` stands for anything within a part of it."""
    return bool(topic) and any(_pattern(listed).fullmatch(topic) for listed in topics)


@lru_cache(maxsize=256)
def _pattern(listed: str) -> re.Pattern[str]:
    return re.compile(r"[^:\s]*".join(map(re.escape, listed.split("*"))))
