"""One incident in Slack, Jira and the mailbox, analysed by Claude: told, edited, taken, ended; and each vendor ill."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.channels import jira_server, mail_server, slack_server
from tests.channels.server import Reply, ScriptedServer, scripted_server
from tests.claude_server import draft, fails, says
from tests.scenarios.stories import a_service, alarm
from tests.service import Service, eventually, running

SECOND = 1.0
CAUSE = "The database at db.internal:5432 refuses connections."
QUOTED = {"message": "connect ECONNREFUSED db.internal:5432"}


@dataclass
class Vendors:
    """Everybody who is told, and who is asked."""

    slack: slack_server.SlackServer
    jira: jira_server.JiraServer
    mailbox: mail_server.MailServer
    claude: ScriptedServer
    settings: dict[str, str] = field(default_factory=dict)

    def message(self, incident: str) -> dict[str, Any] | None:
        """The incident's own message in Slack."""
        for one in self.slack.messages:
            if one["metadata"]["event_payload"]["incident"] == incident and "thread_ts" not in one:
                return one
        return None

    def issue(self, incident: str) -> jira_server.Issue | None:
        return next((one for one in self.jira.issues.values() if f"Incident {incident}" in one.description), None)

    def mails(self, service: str) -> list[str]:
        """The events that the mailbox has heard about one service's incident."""
        ours = [one for one in self.mailbox.mails if f"] {service}: " in str(one["Subject"])]
        return [str(one["X-Responder-Event"]) for one in ours]


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with (
        slack_server.slack_server() as one,
        jira_server.jira_server() as two,
        mail_server.mail_server() as three,
        scripted_server() as four,
    ):
        found = Vendors(one, two, three, four)
        found.settings = {
            "CHANNELS__SLACK__TOKEN": slack_server.TOKEN,
            "CHANNELS__SLACK__CHANNEL": slack_server.CHANNEL,
            "CHANNELS__SLACK__SIGNING_SECRET": slack_server.SIGNING_SECRET,
            "CHANNELS__SLACK__BASE_URL": f"{one.url}/api",
            "CHANNELS__JIRA__URL": two.url,
            "CHANNELS__JIRA__EMAIL": jira_server.EMAIL,
            "CHANNELS__JIRA__TOKEN": jira_server.TOKEN,
            "CHANNELS__JIRA__PROJECT": "OPS",
            "CHANNELS__MAIL__HOST": "localhost",
            "CHANNELS__MAIL__PORT": str(three.port),
            "CHANNELS__MAIL__CA_FILE": mail_server.CERTIFICATE,
            "CHANNELS__MAIL__USER": mail_server.USER,
            "CHANNELS__MAIL__PASSWORD": mail_server.PASSWORD,
            "CHANNELS__MAIL__SENDER": "Responder <responder@example.com>",
            "CHANNELS__MAIL__TO": '["oncall@example.com"]',
            "ANALYSIS__CLAUDE__API_KEY": "sk-ant-of-the-test",
            "ANALYSIS__CLAUDE__BASE_URL": four.url,
            "RETRY__FIRST_SECONDS": "0.2",
            "RETRY__LONGEST_SECONDS": "0.5",
        }
        yield found


@pytest.fixture(scope="module")
def service(vendors: Vendors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("everywhere"), **vendors.settings) as service:
        yield service


@pytest.fixture(autouse=True)
def well(vendors: Vendors) -> None:
    """Everybody answers, unless the test makes one ill."""
    vendors.claude.script(says(draft()))


def incident_of(service: Service, alert_id: str) -> str:
    incident: str = service.get(f"/v1/alerts/{alert_id}")["incident"]["id"]
    return incident


def holds(check: Callable[[], object]) -> None:
    """Until it is true."""

    def true() -> None:
        assert check()

    eventually(true)


def press(service: Service, action: str, incident: str) -> None:
    body = slack_server.pressed(action, incident, trigger=f"{action}-{incident}")
    headers = {"content-type": "application/x-www-form-urlencoded", **slack_server.signed(body, time.time())}
    assert service.ask("POST", "/v1/channels/slack/actions", body, headers).status == 200


def test_one_incident_from_its_page_to_its_end(service: Service, vendors: Vendors) -> None:
    warm, shop = a_service("warm"), a_service("shop")
    service.send(alarm(warm))
    holds(lambda: vendors.mails(warm))
    fired = {**alarm(shop), **QUOTED}
    started = time.monotonic()
    [alert_id] = service.send(fired)
    holds(lambda: len(vendors.slack.messages) > 1 and len(vendors.jira.issues) > 1 and vendors.mails(shop))
    assert time.monotonic() - started < SECOND
    incident = incident_of(service, alert_id)

    # The analysis is Claude's, and it edits the message and the issue; the mailbox gets a reply.
    holds(lambda: CAUSE in json.dumps(vendors.message(incident)))
    holds(lambda: (found := vendors.issue(incident)) and CAUSE in found.description)
    holds(lambda: vendors.mails(shop) == ["opened", "analyzed"])
    assert service.get(f"/v1/incidents/{incident}")["analysis"]["made_by"]["analyst"] == "claude"

    press(service, "acknowledge", incident)
    holds(lambda: "Acknowledged by *slack: Ada Lovelace*" in json.dumps(vendors.message(incident)))
    holds(lambda: (found := vendors.issue(incident)) and found.status == "In Progress")
    holds(lambda: vendors.mails(shop)[-1] == "acknowledged")

    service.send({**fired, "status": "resolved"})
    holds(lambda: (found := vendors.message(incident)) and found["text"].startswith("RESOLVED: "))
    holds(lambda: (found := vendors.issue(incident)) and found.status == "Done")
    holds(lambda: vendors.mails(shop)[-1] == "resolved")
    service.settled()


def slack_is_down(vendors: Vendors) -> None:
    vendors.slack.next_answers.extend([Reply(500), "ratelimited", Reply(manner="close")])


def jira_is_down(vendors: Vendors) -> None:
    vendors.jira.fail("POST", "/issue", Reply(503), times=3)


def mail_is_down(vendors: Vendors) -> None:
    vendors.mailbox.answers = {"MAIL": "451 4.3.0 try again later"}


def claude_is_down(vendors: Vendors) -> None:
    vendors.claude.script(fails(529, "overloaded_error", "Overloaded."))


@pytest.mark.parametrize(
    ("falls_ill", "others"),
    [
        (slack_is_down, ("jira", "mail")),
        (jira_is_down, ("slack", "mail")),
        (mail_is_down, ("slack", "jira")),
        (claude_is_down, ("slack", "jira", "mail")),
    ],
)
def test_when_one_is_ill_the_others_hear_at_once_and_nothing_is_lost(
    service: Service, vendors: Vendors, falls_ill: Callable[[Vendors], None], others: tuple[str, ...]
) -> None:
    falls_ill(vendors)
    name = a_service("ill")
    # A title of its own: else the answer that is remembered would do.
    [alert_id] = service.send({**alarm(name, title=f"Order lost: {falls_ill.__name__}"), **QUOTED})
    incident = incident_of(service, alert_id)
    heard: dict[str, Callable[[], object]] = {
        "slack": lambda: vendors.message(incident),
        "jira": lambda: vendors.issue(incident),
        "mail": lambda: vendors.mails(name),
    }
    holds(lambda: all(heard[channel]() for channel in others))
    vendors.mailbox.answers = {}
    holds(lambda: all(hears() for hears in heard.values()))
    holds(lambda: service.get(f"/v1/incidents/{incident}")["analysis"])
    made_by = service.get(f"/v1/incidents/{incident}")["analysis"]["made_by"]
    assert made_by["analyst"] == ("rules" if falls_ill is claude_is_down else "claude")
    holds(lambda: service.get(f"/v1/alerts/{alert_id}")["outcome"] == "delivered")
    assert service.get("/v1/dead-letters")["items"] == []
    service.settled()
