"""An incident in the mailbox: through the real service and a real mail server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.channels.mail_server import CERTIFICATE, PASSWORD, USER, MailServer, mail_server
from tests.service import KEY, Service, eventually, running

ALARM = {"title": "Connection pool exhausted", "severity": "CRITICAL", "service": "payments", "source_id": "pool"}


@pytest.fixture
def mailbox() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


def settings_for(mailbox: MailServer) -> dict[str, str]:
    return {
        "CHANNELS__MAIL__HOST": "localhost",
        "CHANNELS__MAIL__PORT": str(mailbox.port),
        "CHANNELS__MAIL__CA_FILE": CERTIFICATE,
        "CHANNELS__MAIL__USER": USER,
        "CHANNELS__MAIL__PASSWORD": PASSWORD,
        "CHANNELS__MAIL__SENDER": "Responder <responder@example.com>",
        "CHANNELS__MAIL__TO": '["oncall@example.com"]',
        "RETRY__FIRST_SECONDS": "0.2",
    }


def event_of(mail: EmailMessage) -> str:
    return str(mail["X-Responder-Event"])


def test_page_report_deeds_and_end_are_one_thread(mailbox: MailServer, tmp_path: Path) -> None:
    with running(tmp_path, **settings_for(mailbox)) as service:
        service.send(ALARM)
        eventually(lambda: mailbox.mails[1])
        incident = service.get("/v1/incidents")["items"][0]["id"]
        assert service.call("POST", f"/v1/incidents/{incident}/acknowledge", {"by": "ann"})[0] == 200
        eventually(lambda: mailbox.mails[2])
        service.send({**ALARM, "status": "resolved"})
        eventually(lambda: mailbox.mails[3])
        log = service.stdout + service.stderr
    first, *replies = mailbox.mails
    assert [event_of(mail) for mail in (first, *replies)] == ["opened", "analyzed", "acknowledged", "resolved"]
    assert first["Subject"] == "[CRITICAL] payments: Connection pool exhausted"
    for reply in replies:
        assert reply["Subject"] == f"Re: {first['Subject']}"
        assert reply["In-Reply-To"] == first["Message-ID"]
    assert mailbox.encrypted == [True] * 4
    assert PASSWORD not in log


def test_a_mail_server_that_is_back_gets_the_latest_news_once(mailbox: MailServer, tmp_path: Path) -> None:
    mailbox.answers = {"MAIL": "451 4.3.0 try again later"}
    with running(tmp_path, **settings_for(mailbox)) as service:
        service.send(ALARM)
        incident = eventually(lambda: service.get("/v1/incidents")["items"][0]["id"])

        def refused() -> None:
            assert "451 4.3.0 try again later" in str(service.get(f"/v1/incidents/{incident}"))

        eventually(refused)
        service.send({**ALARM, "status": "resolved"})
        mailbox.answers = {}
        eventually(lambda: mailbox.mails[0])
    assert event_of(mailbox.mails[-1]) == "resolved"


def test_the_command_that_tries_the_channel_says_what_came_back(mailbox: MailServer, tmp_path: Path) -> None:
    with running(tmp_path, **settings_for(mailbox)) as service:
        said = _test_channel(service, tmp_path)
        assert said.returncode == 0
        assert "took a test message" in said.stdout
        mailbox.answers = {"RCPT": "550 5.7.1 relaying denied"}
        said = _test_channel(service, tmp_path)
    assert said.returncode == 1
    assert "550 5.7.1 relaying denied" in said.stderr
    (mail,) = mailbox.mails
    assert mail["Subject"].startswith("[LOW] mcp-responder: TEST")


def _test_channel(service: Service, folder: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; from mcp_responder.entrypoints.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, "channels", "test", "mail"],
        env={"RESPONDER_URL": service.url, "RESPONDER_API_KEY": KEY},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
