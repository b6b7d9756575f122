"""What a person sees who has just started it: a line to paste, and a report."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.service import Service, eventually, running

CURL = re.compile(r"^  curl .*\\\n.*\\\n.*$", re.MULTILINE)
KEY = re.compile(r"API key 'first' \(shown once, keep it\): (\S+)")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("first"), API_KEY="") as service:
        yield service


def banner(service: Service) -> str:
    """All that is printed before the first report."""

    def printed() -> str:
        text = service.stdout
        assert "See what became of it" in text
        return text

    return str(eventually(printed))


def test_the_printed_curl_leads_to_a_report_on_the_terminal(service: Service) -> None:
    line = CURL.findall(banner(service))[-1]
    answered = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=30)
    assert [item["source"] for item in json.loads(answered.stdout)["accepted"]] == ["generic"]

    def reported() -> str:
        report = service.stdout.rpartition("See what became of it")[2]
        assert "Cause" in report
        return " ".join(report.split())

    report = eventually(reported)
    assert "CRITICAL | open | checkout | Database connection pool exhausted" in report
    assert "resource exhaustion" in report
    assert f"{service.url}/v1/incidents/inc_" in report


def test_the_first_key_is_printed_once_and_never_again(service: Service) -> None:
    key = KEY.findall(banner(service))[0]
    assert service.call("GET", "/v1/keys", X_API_Key=key)[0] == 200
    assert service.stop() == 0
    service.start()
    eventually(lambda: service.stdout.split("listens on")[2])
    assert KEY.findall(service.stdout) == [key]
    assert service.call("GET", "/v1/keys", X_API_Key=key)[0] == 200
