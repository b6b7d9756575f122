"""An incident in Jira: through the real service and a Jira on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.channels.jira_server import EMAIL, TOKEN, JiraServer, jira_server
from tests.channels.server import Reply
from tests.service import KEY, Service, eventually, running

ALARM = {"title": "Connection pool exhausted", "severity": "CRITICAL", "service": "payments", "source_id": "pool"}


@pytest.fixture
def jira() -> Iterator[JiraServer]:
    with jira_server() as server:
        yield server


def settings_for(jira: JiraServer) -> dict[str, str]:
    return {
        "CHANNELS__JIRA__URL": jira.url,
        "CHANNELS__JIRA__EMAIL": EMAIL,
        "CHANNELS__JIRA__TOKEN": TOKEN,
        "CHANNELS__JIRA__PROJECT": "OPS",
        "CHANNELS__JIRA__ASSIGNEES": '{ "*" = "5b10a2844c20165700ede21g" }',
        "RETRY__FIRST_SECONDS": "0.2",
    }


def shown(service: Service) -> str:
    """The incident's page, with its timeline and deliveries."""
    incident = service.get("/v1/incidents")["items"][0]["id"]
    return str(service.get(f"/v1/incidents/{incident}"))


def test_page_report_deeds_and_end_are_one_issue(jira: JiraServer, tmp_path: Path) -> None:
    with running(tmp_path, **settings_for(jira)) as service:
        service.send(ALARM)
        eventually(lambda: jira.only.said()[0])
        incident = service.get("/v1/incidents")["items"][0]["id"]
        assert service.call("POST", f"/v1/incidents/{incident}/acknowledge", {"by": "ann"})[0] == 200
        eventually(lambda: jira.only.said()[1])
        assert jira.only.status == "In Progress"
        service.send({**ALARM, "status": "resolved"})
        eventually(lambda: jira.only.said()[2])
        log = service.stdout + service.stderr
    issue = jira.only
    assert issue.status == "Done"
    assert issue.fields["summary"] == "[CRITICAL] payments: Connection pool exhausted"
    assert f"Incident {incident}" in issue.description
    for said, words in zip(issue.said(), ("Analyzed", "Acknowledged by ann", "Resolved"), strict=True):
        assert words in said
    assert TOKEN not in log


def test_a_worker_that_dies_with_the_issue_just_made_leaves_one_issue(jira: JiraServer, tmp_path: Path) -> None:
    jira.lagging = True
    jira.fail("POST", "/issue", Reply(manner="hang"), done=True)
    with running(tmp_path, **settings_for(jira)) as service:
        service.send(ALARM)
        eventually(lambda: jira.only)
        os.kill(service.worker(), signal.SIGKILL)

        def told() -> None:
            assert "OPS-1" in shown(service)
            assert jira.only.said()

        eventually(told)
    assert list(jira.issues) == ["OPS-1"]
    assert "POST issue/bulkfetch" in jira.calls()


def test_what_jira_left_out_stands_in_the_timeline(jira: JiraServer, tmp_path: Path) -> None:
    jira.absent = {"priority"}
    with running(tmp_path, **settings_for(jira)) as service:
        service.send(ALARM)

        def told() -> None:
            assert "Field 'priority' cannot be set" in shown(service)

        eventually(told)


def test_what_cant_be_mended_is_a_dead_letter_in_jiras_words(jira: JiraServer, tmp_path: Path) -> None:
    jira.required = {"customfield_10050": "Team"}
    with running(tmp_path, **settings_for(jira)) as service:
        service.send(ALARM)

        def buried() -> None:
            assert "Team is required. (customfield_10050)" in str(service.get("/v1/dead-letters"))

        eventually(buried)


def test_the_command_that_tries_the_channel_says_what_came_back(jira: JiraServer, tmp_path: Path) -> None:
    with running(tmp_path, **settings_for(jira)) as service:
        said = _test_channel(service, tmp_path)
        assert (said.returncode, said.stderr) == (0, "")
        assert f"{jira.url}/browse/OPS-1" in said.stdout
        jira.permitted = False
        refused = _test_channel(service, tmp_path)
    assert refused.returncode == 1
    assert "You do not have permission to create issues in this project." in refused.stderr


def _test_channel(service: Service, folder: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; from mcp_responder.entrypoints.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, "channels", "test", "jira"],
        env={"RESPONDER_URL": service.url, "RESPONDER_API_KEY": KEY},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
