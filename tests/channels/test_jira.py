"""What is particular to Jira: the life of an issue, what its screens refuse, and finding it again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from mcp_responder.channels import Services
from mcp_responder.channels.jira import KIND, Jira
from mcp_responder.entrypoints.web.handlers import sample_message
from mcp_responder.model.alert import Severity
from mcp_responder.model.errors import Permanent, Transient
from mcp_responder.model.incident import Event, IncidentStatus, summary
from mcp_responder.model.message import Digest, Message, Receipt, ReceiptState
from mcp_responder.plumbing.http import HttpClient
from mcp_responder.ports import Channel, Delivered

from .adf_checker import check, nodes, text_of
from .jira_server import ANN, EMAIL, TOKEN, Issue, JiraServer, custom, jira_server
from .messages import NOW, a_message, a_message_of, an_analysis, an_incident, receipt_of
from .server import Reply

TIMEOUT = 0.5


@pytest.fixture
def server() -> Iterator[JiraServer]:
    with jira_server() as server:
        yield server


@pytest.fixture
def http() -> Iterator[HttpClient]:
    http = HttpClient()
    yield http
    http.close()


class World:
    """A channel and the Jira that it faces."""

    def __init__(self, server: JiraServer, http: HttpClient) -> None:
        self.server = server
        self.now = NOW
        self._http = http

    def channel(self, **settings: object) -> Channel:
        table = {"url": self.server.url, "email": EMAIL, "token": TOKEN, "project": "OPS", "timeout_seconds": TIMEOUT}
        services = Services(http=self._http, clock=lambda: self.now, stdout=io.StringIO())
        return KIND.build("night", KIND.read({**table, **settings}), services)

    def tell(self, *messages: Message, **settings: object) -> Delivered:
        """Each in turn, as the pipeline does."""
        channel, previous, delivered = self.channel(**settings), None, Delivered()
        for message in messages:
            delivered = channel.deliver(message, previous)
            previous = receipt_of(message, delivered)
        return delivered

    @property
    def issue(self) -> Issue:
        return self.server.only


@pytest.fixture
def world(server: JiraServer, http: HttpClient) -> World:
    return World(server, http)


OPENED = a_message()
ANALYZED = a_message(Event.ANALYZED, analysis=an_analysis())
ACKNOWLEDGED = a_message(Event.ACKNOWLEDGED, analysis=an_analysis())
RESOLVED = a_message(Event.RESOLVED, analysis=an_analysis())


def later(message: Message, news: int) -> Message:
    return msgspec.structs.replace(message, news=news)


def retrying(attempts: int) -> Receipt:
    return Receipt(channel="night", state=ReceiptState.RETRYING, news=0, event=Event.OPENED, at=NOW, attempts=attempts)


# ------------------------------------------------------------------------------------------------- the life of an issue


def test_the_issue_is_made_with_one_request(world: World) -> None:
    delivered = world.tell(OPENED)
    assert world.server.calls() == ["POST issue"]
    assert delivered == Delivered(reference="OPS-1", url=f"{world.server.url}/browse/OPS-1")
    fields = world.issue.fields
    assert fields["summary"] == "[CRITICAL] payments-api: Connection pool exhausted on db-primary"
    assert fields["issuetype"] == {"name": "Bug"}
    assert fields["priority"] == {"name": "Highest"}
    assert fields["labels"] == ["mcp-responder-INC-7"]
    for words in ("db-primary", "production", "2026-11-22 03:08:09 UTC", "14 alerts, 3 firing", "under way", "INC-7"):
        assert words in world.issue.description


def test_the_analysis_is_written_into_the_description_and_told_in_a_short_comment(world: World) -> None:
    world.tell(OPENED, ANALYZED)
    for words in (
        "A deploy at 03:05 removed the index that the order search needs. (resource exhaustion, 87% sure)",
        "Or: a long-running report holds a lock",
        "pool 20/20",
        "Unproven: The deploy removed an index.",
        "every fourth customer",
        "pool_in_use below 15",
        "no query plans were available",
        "Deploys: access was denied",
        "https://console.example.com/alarm/1",
    ):
        assert words in world.issue.description
    (said,) = world.issue.said()
    assert "Analyzed" in said
    assert "87% sure" in said
    assert "every fourth customer" not in said


def test_commands_are_in_code_blocks(world: World) -> None:
    world.tell(ANALYZED)
    blocks = [text_of(node) for node in nodes(world.issue.fields["description"]) if node["type"] == "codeBlock"]
    assert blocks == ["psql -c 'select * from pg_locks'", "deployctl rollback payments"]


def test_a_life_is_told_in_comments_and_moves_the_issue(world: World) -> None:
    again = later(a_message(Event.REOPENED), 9)
    world.tell(OPENED, ACKNOWLEDGED)
    assert world.issue.status == "In Progress"
    channel, previous = world.channel(), Receipt(
        channel="night", state=ReceiptState.DELIVERED, news=4, event=Event.ACKNOWLEDGED, at=NOW, reference="OPS-1"
    )  # fmt: skip
    channel.deliver(RESOLVED, previous)
    assert world.issue.status == "Done"
    channel.deliver(again, previous)
    assert world.issue.status == "To Do"
    acknowledged, resolved, reopened = world.issue.said()
    assert "Acknowledged by ann, 2026-11-22 03:12:09 UTC. on it" in acknowledged
    assert "Resolved by ann" in resolved
    assert "Reopened by ann" in reopened
    assert reopened.rstrip().endswith("INC-7 #9 http://127.0.0.1:8080/incidents/INC-7")


def test_an_issue_that_is_made_late_is_moved_at_once(world: World) -> None:
    world.tell(RESOLVED)
    assert world.issue.status == "Done"
    assert world.issue.said() == []


def test_escalation_raises_priority_and_summary(world: World) -> None:
    high = msgspec.structs.replace(OPENED, incident=msgspec.structs.replace(an_incident(), severity=Severity.HIGH))
    world.tell(high)
    assert world.issue.fields["priority"] == {"name": "High"}
    world.channel().deliver(a_message(Event.ESCALATED), receipt_of(high, Delivered(reference="OPS-1")))
    assert world.issue.fields["priority"] == {"name": "Highest"}
    assert world.issue.fields["summary"].startswith("[CRITICAL]")


def test_other_news_writes_a_comment_and_nothing_else(world: World) -> None:
    world.tell(OPENED)
    before = dict(world.issue.fields)
    world.server.asked.clear()
    world.channel().deliver(a_message(Event.REPEATED), receipt_of(OPENED, Delivered(reference="OPS-1")))
    assert world.server.calls() == ["GET issue/OPS-1", "POST issue/OPS-1/comment",
                                    "PUT issue/OPS-1/properties/mcp-responder"]  # fmt: skip
    assert world.issue.fields == before


def test_the_same_news_again_changes_nothing(world: World) -> None:
    world.tell(OPENED, ANALYZED, ANALYZED)
    assert len(world.issue.said()) == 1


def test_an_issue_that_was_moved_by_hand_is_not_moved_again(world: World) -> None:
    world.tell(OPENED, ACKNOWLEDGED)
    world.issue.status = "In Review"
    world.channel().deliver(later(ACKNOWLEDGED, 20), receipt_of(ACKNOWLEDGED, Delivered(reference="OPS-1")))
    assert world.issue.status == "In Review"


def test_what_a_person_wrote_is_kept_and_the_report_is_a_comment(world: World) -> None:
    world.tell(OPENED)
    mine = {"type": "doc", "version": 1, "content": []}
    world.server.change("OPS-1", description=mine, summary="Ann's own words")
    world.channel().deliver(ANALYZED, receipt_of(OPENED, Delivered(reference="OPS-1")))
    assert world.issue.fields["description"] == mine
    assert world.issue.fields["summary"] == "Ann's own words"
    (said,) = world.issue.said()
    assert "every fourth customer" in said


def test_an_issue_that_was_deleted_is_made_anew(world: World) -> None:
    world.tell(OPENED)
    del world.server.issues["OPS-1"]
    world.server.issues["OPS-2"] = Issue(2, "OPS-2", {})
    delivered = world.channel().deliver(ANALYZED, receipt_of(OPENED, Delivered(reference="OPS-1")))
    assert delivered.reference == "OPS-3"
    assert "87% sure" in world.server.issues["OPS-3"].description


def test_an_issue_that_was_moved_to_another_project_keeps_being_told(world: World) -> None:
    world.tell(OPENED)
    moved = world.server.issues["OPS-1"]
    moved.key = "PAY-9"
    world.server.issues["PAY-9"] = moved
    delivered = world.channel().deliver(ANALYZED, receipt_of(OPENED, Delivered(reference="OPS-1")))
    assert delivered.reference == "PAY-9"
    assert len(moved.said()) == 1


def test_a_storm_is_one_issue_that_is_edited(world: World) -> None:
    one, other = summary(an_incident(), OPENED.activity), summary(an_incident(title="Disk full"), OPENED.activity)
    storm = a_message(digest=Digest(since=NOW, incidents=(one,)))
    grown = a_message(digest=Digest(since=NOW, incidents=(one, other)), news=5)
    over = a_message(
        digest=Digest(since=NOW, incidents=(msgspec.structs.replace(one, status=IncidentStatus.RESOLVED),)), news=6
    )
    channel = world.channel()
    first = channel.deliver(storm, None)
    channel.deliver(grown, receipt_of(storm, first))
    assert "Disk full" in world.issue.description
    assert world.issue.fields["summary"].startswith("[CRITICAL] Storm: 2 incidents")
    channel.deliver(over, receipt_of(grown, first))
    assert world.issue.status == "Done"
    assert world.issue.said() == []


def test_a_test_message_can_be_told_from_real_ones_and_says_its_key(world: World) -> None:
    delivered = world.channel().deliver(sample_message(NOW), None)
    assert (delivered.reference, delivered.url) == ("OPS-1", f"{world.server.url}/browse/OPS-1")
    assert world.issue.fields["summary"].startswith("[LOW] mcp-responder: TEST: nothing is broken")
    assert "mcp-responder-TEST" in world.issue.fields["labels"]


# ---------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("absent", [{"priority"}, {"labels", "components"}, {"priority", "labels", "assignee"}])
def test_what_no_screen_has_is_left_out_and_told(world: World, absent: set[str]) -> None:
    world.server.absent = absent
    delivered = world.tell(OPENED, components=["db"], assignees={"payments-api": ANN})
    assert not absent & set(world.issue.fields)
    for name in absent:
        assert f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown." in delivered.detail


def test_a_wrong_value_and_a_missing_screen_are_both_mended(world: World) -> None:
    world.server.absent = {"labels"}
    delivered = world.tell(OPENED, priorities={"CRITICAL": "P1"})
    assert {"labels", "priority"}.isdisjoint(world.issue.fields)
    assert "The priority selected is invalid. (priority)" in delivered.detail


def test_without_a_description_on_the_screens_the_report_is_a_comment(world: World) -> None:
    world.server.absent = {"description"}
    world.tell(ANALYZED)
    (said,) = world.issue.said()
    assert "every fourth customer" in said


def test_a_required_field_is_asked_for_in_jiras_words(world: World) -> None:
    world.server.required = {"customfield_10050": "Team"}
    with pytest.raises(Permanent, match=r"400: Team is required. \(customfield_10050\) Look at channels.night.fields"):
        world.tell(OPENED)
    assert len(world.server.asked) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"project": "NOPE"}, r"valid project is required \(project\) Look at channels.night.project"),
        ({"issue_type": "Incident"}, r"Specify a valid issue type \(issuetype\) Look at channels.night.issue_type"),
        ({"token": "wr0ng-token"}, r"answered 401.*Unauthorized.*Check email and token"),
    ],
)
def test_what_cant_be_mended_is_permanent(world: World, settings: dict[str, object], words: str) -> None:
    with pytest.raises(Permanent, match=words) as caught:
        world.tell(OPENED, **settings)
    assert "wr0ng" not in str(caught.value)
    assert world.server.issues == {}


def test_a_missing_permission_is_permanent_in_jiras_words(world: World) -> None:
    world.server.permitted = False
    with pytest.raises(Permanent, match="403: You do not have permission to create issues in this project"):
        world.tell(OPENED)


def test_an_edit_that_is_refused_leaves_the_report_to_the_comment(world: World) -> None:
    world.tell(OPENED)
    world.server.fail("PUT", "/issue/OPS-1", Reply(403, body=b'{"errorMessages": ["You may not."], "errors": {}}'))
    delivered = world.channel().deliver(ANALYZED, receipt_of(OPENED, Delivered(reference="OPS-1")))
    assert "You may not." in delivered.detail
    (said,) = world.issue.said()
    assert "every fourth customer" in said


def test_an_issue_that_somebody_else_edits_is_edited_later(world: World) -> None:
    world.tell(OPENED)
    world.server.fail("PUT", "/issue/OPS-1", Reply(409, body=b"{}"))
    with pytest.raises(Transient):
        world.channel().deliver(ANALYZED, receipt_of(OPENED, Delivered(reference="OPS-1")))


def test_a_pause_that_jira_asks_for_is_passed_on(world: World) -> None:
    world.server.fail("POST", "/issue", Reply(429, {"Retry-After": "17", "X-RateLimit-Reset": "2026-11-22T03:13Z"}))
    with pytest.raises(Transient) as caught:
        world.tell(OPENED)
    assert (caught.value.retry_after, caught.value.doubtful) == (17.0, False)


def test_the_worst_message_gets_through(world: World) -> None:
    world.tell(a_message_of('x"\\\u0007🔥\n' * 10_000, repeat=500))
    check(world.issue.fields["description"])


# ---------------------------------------------------------------------------------------------------------- transitions


def test_a_transition_is_known_by_its_own_name_or_by_where_it_leads(world: World) -> None:
    world.tell(OPENED, RESOLVED, transitions={"resolved": "close"})
    assert world.issue.status == "Done"
    world.tell(later(OPENED, 1), RESOLVED, transitions={"resolved": "IN PROGRESS"})
    assert world.server.issues["OPS-2"].status == "In Progress"


def test_a_transition_that_isnt_offered_is_told_and_the_news_too(world: World) -> None:
    delivered = world.tell(OPENED, RESOLVED, transitions={"resolved": "Ship it"})
    assert "no transition 'Ship it'; the workflow offers Back -> To Do" in delivered.detail
    (said,) = world.issue.said()
    assert "Resolved by ann" in said
    assert "no transition 'Ship it'" in said


def test_no_transition_is_made_where_none_is_wanted(world: World) -> None:
    world.tell(OPENED, RESOLVED, transitions={"resolved": ""})
    assert "GET issue/OPS-1/transitions" not in world.server.calls()


@pytest.mark.parametrize(
    ("allowed", "wanted", "chosen"),
    [(["Won't Do", "Done"], "done", "Done"), (["Fixed", "Duplicate"], "Done", "Fixed")],
)
def test_the_screen_of_a_transition_gets_its_resolution(
    world: World, allowed: list[str], wanted: str, chosen: str
) -> None:
    values = [{"name": name} for name in allowed]
    world.server.transitions[2]["fields"] = {"resolution": {"required": True, "allowedValues": values}}
    world.tell(OPENED, RESOLVED, resolution=wanted)
    assert world.issue.status == "Done"
    assert world.issue.fields["resolution"] == {"name": chosen}


def test_a_screen_that_wants_a_configured_field_gets_it(world: World) -> None:
    world.server.fields = [custom(10060, "Cause", "string", widget="textfield")]
    world.server.transitions[2]["fields"] = {"customfield_10060": {"required": True}}
    world.tell(OPENED, RESOLVED, fields={"Cause": "{category}"})
    assert world.issue.status == "Done"


def test_a_screen_that_wants_something_unknown_is_told(world: World) -> None:
    world.server.transitions[2]["fields"] = {"customfield_10060": {"required": True}}
    delivered = world.tell(OPENED, RESOLVED)
    assert "Customfield_10060 is required." in delivered.detail
    assert len(world.issue.said()) == 1


# --------------------------------------------------------------------------------------------------- finding it again


@pytest.mark.parametrize("lagging", [False, True], ids=["search knows it", "search lags"])
@pytest.mark.parametrize("labels", [True, False], ids=["labels", "no labels"])
def test_after_an_answer_that_was_lost_the_issue_is_found(world: World, *, lagging: bool, labels: bool) -> None:
    for number in (40, 41):
        world.server.issues[f"OPS-{number}"] = Issue(number, f"OPS-{number}", {"labels": ["other"]})
    world.server.lagging, world.server.absent = lagging, set() if labels else {"labels"}
    world.server.fail("POST", "/issue", Reply(manner="close"), done=True, times=1 if labels else 2)
    if not labels:
        world.server.faults[0].times = 0
        world.server.fail("POST", "/issue", Reply(400, body=b'{"errorMessages":[],"errors":{"labels":"No."}}'))
        world.server.fail("POST", "/issue", Reply(manner="close"), done=True)
    with pytest.raises(Transient) as caught:
        world.tell(OPENED)
    assert caught.value.doubtful
    assert "OPS-42" in world.server.issues
    delivered = world.channel().deliver(msgspec.structs.replace(OPENED, doubtful=True), retrying(1))
    assert delivered.reference == "OPS-42"
    assert len(world.server.issues) == 3
    assert world.server.issues["OPS-42"].said() == []


def test_after_a_crash_the_analysis_goes_into_the_issue_that_was_made(world: World) -> None:
    """The worker died between Jira's answer and its own receipt; meanwhile there is more news."""
    world.server.lagging = True
    world.tell(OPENED)
    delivered = world.channel().deliver(msgspec.structs.replace(ANALYZED, doubtful=True), None)
    assert delivered.reference == "OPS-1"
    assert "87% sure" in world.issue.description
    assert len(world.issue.said()) == 1


def test_another_incidents_or_channels_issue_is_not_taken(world: World) -> None:
    world.tell(msgspec.structs.replace(OPENED, incident=msgspec.structs.replace(an_incident(), incident_id="INC-8")))
    other = KIND.build(
        "day",
        KIND.read({"url": world.server.url, "email": EMAIL, "token": TOKEN, "project": "OPS"}),
        Services(http=HttpClient(), clock=lambda: NOW, stdout=io.StringIO()),
    )
    other.deliver(OPENED, None)
    delivered = world.channel().deliver(msgspec.structs.replace(OPENED, doubtful=True), None)
    assert delivered.reference == "OPS-3"


def test_what_may_be_on_its_way_is_looked_for_twice_before_another_is_made(world: World) -> None:
    doubtful = msgspec.structs.replace(OPENED, doubtful=True)
    with pytest.raises(Transient, match="looked for once more") as caught:
        world.channel().deliver(doubtful, retrying(1))
    assert caught.value.doubtful
    assert world.server.issues == {}
    assert world.channel().deliver(doubtful, retrying(2)).reference == "OPS-1"


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_gateway_that_lost_patience_leaves_doubt(world: World, status: int) -> None:
    world.server.fail("POST", "/issue", Reply(status, {"content-type": "text/html"}, b"<html>"), done=True)
    with pytest.raises(Transient) as caught:
        world.tell(OPENED)
    assert caught.value.doubtful


def test_a_connection_that_never_was_leaves_no_doubt(world: World) -> None:
    world.server.stop()
    with pytest.raises(Transient) as caught:
        world.tell(OPENED)
    assert not caught.value.doubtful


def test_a_comment_whose_answer_was_lost_is_not_written_twice(world: World) -> None:
    world.tell(OPENED)
    world.server.fail("POST", "/comment", Reply(manner="close"), done=True)
    previous = receipt_of(OPENED, Delivered(reference="OPS-1"))
    with pytest.raises(Transient) as caught:
        world.channel().deliver(ACKNOWLEDGED, previous)
    assert caught.value.doubtful
    world.channel().deliver(msgspec.structs.replace(ACKNOWLEDGED, doubtful=True), previous)
    assert len(world.issue.said()) == 1
    assert world.issue.status == "In Progress"


def test_each_step_of_an_update_may_fail_and_be_done_again(world: World) -> None:
    world.tell(OPENED)
    previous = receipt_of(OPENED, Delivered(reference="OPS-1"))
    steps = ("GET /OPS-1", "GET /transitions", "POST /transitions", "PUT /OPS-1", "POST /comment", "PUT /mcp-responder")
    doubtful = False
    for step in steps:
        method, path = step.split()
        world.server.fail(method, path, Reply(503), done=method != "GET")
        with pytest.raises(Transient) as caught:
            world.channel().deliver(msgspec.structs.replace(ACKNOWLEDGED, doubtful=doubtful), previous)
        doubtful = doubtful or caught.value.doubtful
    world.channel().deliver(msgspec.structs.replace(ACKNOWLEDGED, doubtful=doubtful), previous)
    assert world.issue.status == "In Progress"
    assert len(world.issue.said()) == 1
    assert "87% sure" in world.issue.description


def test_what_fails_after_the_making_is_doubtful_and_goes_on_in_the_same_issue(world: World) -> None:
    world.server.fail("POST", "/transitions", Reply(503))
    with pytest.raises(Transient) as caught:
        world.tell(RESOLVED)
    assert caught.value.doubtful
    world.channel().deliver(msgspec.structs.replace(RESOLVED, doubtful=True), retrying(1))
    assert world.issue.status == "Done"


def test_a_message_that_was_taken_without_a_key_is_looked_for(world: World) -> None:
    world.tell(OPENED)
    world.channel().deliver(ANALYZED, receipt_of(OPENED, Delivered()))
    assert len(world.server.issues) == 1


def test_two_hours_down_end_in_one_issue_that_says_how_late_it_is(world: World) -> None:
    """Every request fails for two hours; the doubt of the lost ones stays, and one issue comes of it."""
    manners = (Reply(503), Reply(manner="close"), Reply(504, body=b"<html>"), Reply(500))
    begin, doubtful, previous = world.now, False, None
    for number, wait in enumerate((2, 4, 8, 16, 32, 64, 128, 256, 512, *[600] * 10)):
        world.server.fail("POST", "/issue", manners[number % 4])
        world.server.fail("POST", "/search/jql", manners[number % 4])
        with pytest.raises(Transient) as caught:
            world.channel().deliver(msgspec.structs.replace(OPENED, doubtful=doubtful), previous)
        doubtful = doubtful or caught.value.doubtful
        previous = retrying(number + 1)
        world.now += timedelta(seconds=wait)
        world.server.faults.clear()
    late = int((world.now - begin).total_seconds())
    delivered = world.channel().deliver(
        msgspec.structs.replace(ANALYZED, doubtful=doubtful, late_seconds=late), previous
    )
    assert delivered.reference == world.issue.key
    assert "Told late by 1:57:02." in world.issue.description


# ------------------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "example.atlassian.net"}, "url: the address must begin with http"),
        ({"api_url": "ftp://x"}, "api_url"),
        ({"project": 'OPS" OR 1=1'}, "project"),
        ({"labels": ["two words"]}, "labels"),
        ({"transitions": {"closed": "Done"}}, "'closed'.*acknowledged, resolved, reopened"),
        ({"fields": {"Team": "{squad}"}}, "Team: there is no placeholder.*squad"),
        ({"priorities": {"URGENT": "P1"}}, "priorities"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"tokens": "x"}, "tokens"),
    ],
)
def test_wrong_settings_are_refused_without_repeating_the_token(settings: dict[str, object], words: str) -> None:
    table = {"url": "https://example.atlassian.net", "email": EMAIL, "token": TOKEN, "project": "OPS"}
    with pytest.raises(msgspec.ValidationError, match=words) as caught:
        KIND.read({**table, **settings})
    assert TOKEN not in str(caught.value)


def test_a_token_with_scopes_asks_another_address_and_links_to_the_site(world: World) -> None:
    delivered = world.tell(OPENED, url="https://example.atlassian.net/", api_url=world.server.url + "/")
    assert delivered.url == "https://example.atlassian.net/browse/OPS-1"


def test_severities_without_a_priority_set_none(world: World) -> None:
    world.tell(OPENED, priorities={"CRITICAL": ""})
    assert "priority" not in world.issue.fields


def test_it_says_where_it_tells_and_no_more(world: World) -> None:
    channel = world.channel()
    assert isinstance(channel, Jira)
    assert repr(channel) == f"Jira('night', {world.server.place}, OPS)"
