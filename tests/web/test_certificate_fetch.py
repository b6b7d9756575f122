"""Whoever sends forgeries by the thousand can't keep the certificate of the true sender from being fetched."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mcp_responder.entrypoints.web.certificates import AT_ONCE, MOST_WAITING, CertificateFetch
from mcp_responder.model.errors import CertificateMissing, Transient
from mcp_responder.sources.sns import SnsSettings, expected_hosts

OURS, THEIRS = "sns.eu-west-1.amazonaws.com", "sns.us-east-1.amazonaws.com"


def missing(host: str, number: int) -> CertificateMissing:
    return CertificateMissing(f"https://{host}/SimpleNotificationService-{number:032x}.pem", (host,))


class Slow:
    """Answers for one host once it may."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.may = threading.Event()
        self.asked: list[str] = []

    def __call__(self, url: str, names: tuple[str, ...]) -> None:
        self.asked.append(url)
        if self.host in names:
            self.may.wait(10)


async def flooded(fetch: CertificateFetch, slow: Slow, wanted: CertificateMissing) -> None:
    flood = [asyncio.ensure_future(fetch(missing(slow.host, number))) for number in range(MOST_WAITING)]
    try:
        await asyncio.sleep(0)
        await asyncio.wait_for(fetch(wanted), 5)
    finally:
        slow.may.set()
        await asyncio.gather(*flood)


def test_a_flood_of_other_hosts_certificates_doesnt_hold_up_those_of_ours() -> None:
    slow = Slow(THEIRS)
    wanted = missing(OURS, 1)
    asyncio.run(flooded(CertificateFetch(slow, (OURS,)), slow, wanted))
    assert wanted.url in slow.asked[: AT_ONCE + 1]


def test_of_one_host_only_so_many_wait() -> None:
    slow = Slow(OURS)
    with pytest.raises(Transient) as error:
        asyncio.run(flooded(CertificateFetch(slow, (OURS,)), slow, missing(OURS, MOST_WAITING)))
    assert error.value.retry_after


def test_hosts_are_expected_of_the_regions_that_topics_name() -> None:
    topics = ("eu-west-1:123456789012:a", "eu-west-1:123456789012:b*", "*:123456789012:c", "cn-north-1:123456789012:d")
    settings = SnsSettings(
        topics=tuple(f"arn:aws:sns:{topic}" for topic in topics), hosts=("http://127.0.0.1:4566", "sns.cloud.example")
    )
    aws = {OURS, "sns.cn-north-1.amazonaws.com.cn"}
    assert expected_hosts(settings) == aws | {"127.0.0.1:4566", "sns.cloud.example"}
