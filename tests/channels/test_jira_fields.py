"""Custom fields by name, people by address."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from mcp_responder.channels import Services
from mcp_responder.channels.jira import KIND
from mcp_responder.model.errors import Transient
from mcp_responder.model.incident import Event
from mcp_responder.model.message import Message
from mcp_responder.plumbing.http import HttpClient
from mcp_responder.ports import Channel, Delivered

from .adf_checker import text_of
from .jira_server import ANN, EMAIL, TOKEN, JiraServer, custom, jira_server
from .messages import NOW, a_message, an_analysis, receipt_of
from .server import Reply

OPENED = a_message()
ANALYZED = a_message(Event.ANALYZED, analysis=an_analysis())
FIELDS = (
    custom(1, "Affected service", "string", widget="textfield"),
    custom(2, "Cause", "string", widget="textarea"),
    custom(3, "Alerts", "number", widget="float"),
    custom(4, "Environment type", "option", widget="select"),
    custom(5, "Teams", "array", items="option", widget="multiselect"),
    custom(6, "Tags", "array", items="string", widget="labels"),
    custom(7, "Started on", "date", widget="datepicker"),
    custom(8, "Started at", "datetime", widget="datetime"),
    custom(9, "Commander", "user", widget="userpicker"),
    custom(10, "Watchers by name", "array", items="user", widget="multiuserpicker"),
    custom(11, "Where", "option-with-child", widget="cascadingselect"),
    custom(12, "Runbook", "string", widget="url"),
    custom(13, "Twice", "string"),
    custom(14, "twice", "string"),
    custom(15, "Fixed in", "array", items="version", widget="multiversion"),
    custom(16, "Group", "group", widget="grouppicker"),
    custom(17, "Strange", "sd-approvals"),
)


@pytest.fixture
def server() -> Iterator[JiraServer]:
    with jira_server() as server:
        server.fields = list(FIELDS)
        server.people = [{"accountId": ANN, "emailAddress": "ann@example.com", "accountType": "atlassian"}]
        yield server


@pytest.fixture
def http() -> Iterator[HttpClient]:
    http = HttpClient()
    yield http
    http.close()


@pytest.fixture
def now() -> list[Any]:
    return [NOW]


@pytest.fixture
def tell(server: JiraServer, http: HttpClient, now: list[Any]) -> Any:
    def channel(**settings: object) -> Channel:
        table = {"url": server.url, "email": EMAIL, "token": TOKEN, "project": "OPS", "timeout_seconds": 1}
        services = Services(http=http, clock=lambda: now[0], stdout=io.StringIO())
        return KIND.build("night", KIND.read({**table, **settings}), services)

    def tell(message: Message = ANALYZED, **settings: object) -> Delivered:
        return channel(**settings).deliver(message, None)

    tell.channel = channel  # type: ignore[attr-defined]
    return tell


@pytest.mark.parametrize(
    ("name", "wanted", "number", "value"),
    [
        ("Affected service", "{service}", 1, "payments-api"),
        ("affected SERVICE", "{service} in {environment}", 1, "payments-api in production"),
        ("customfield_1", "{severity}", 1, "CRITICAL"),
        ("Alerts", "{alerts}", 3, 14.0),
        ("Alerts", 7, 3, 7.0),
        ("Environment type", "{environment}", 4, {"value": "production"}),
        ("Teams", ["Payments", "{service}"], 5, [{"value": "Payments"}, {"value": "payments-api"}]),
        ("Tags", ["{category}", "on call"], 6, ["resource_exhaustion", "on-call"]),
        ("Tags", "one", 6, ["one"]),
        ("Started on", "{opened_at}", 7, "2026-11-22"),
        ("Started at", "{opened_at}", 8, "2026-11-22T03:08:09.000+0000"),
        ("Commander", "ann@example.com", 9, {"accountId": ANN}),
        ("Commander", ANN, 9, {"accountId": ANN}),
        ("Watchers by name", ["ann@example.com"], 10, [{"accountId": ANN}]),
        ("Where", "{environment} > eu-west-1", 11, {"value": "production", "child": {"value": "eu-west-1"}}),
        ("Runbook", "https://runbooks.example.com/{service}", 12, "https://runbooks.example.com/payments-api"),
        ("Fixed in", "2.1", 15, [{"name": "2.1"}]),
        ("Group", "sre", 16, {"name": "sre"}),
        ("Strange", "as it is", 17, "as it is"),
    ],
)
def test_a_value_has_the_shape_of_its_field(
    tell: Any, server: JiraServer, name: str, wanted: object, number: int, value: object
) -> None:
    assert tell(fields={name: wanted}).detail == ""
    assert server.only.fields[f"customfield_{number}"] == value


def test_a_field_of_many_lines_is_a_document(tell: Any, server: JiraServer) -> None:
    tell(fields={"Cause": "{root_cause}\n\n{impact}"})
    document = server.only.fields["customfield_2"]
    assert document["type"] == "doc"
    assert text_of(document).startswith("A deploy at 03:05 removed the index")
    assert "every fourth customer" in text_of(document)


def test_what_is_empty_is_left_out_until_the_analysis_fills_it(tell: Any, server: JiraServer) -> None:
    settings = {"fields": {"Affected service": "{root_cause}", "Teams": ["{summary}"]}}
    delivered = tell(OPENED, **settings)
    assert not [name for name in server.only.fields if name.startswith("customfield")]
    tell.channel(**settings).deliver(ANALYZED, receipt_of(OPENED, delivered))
    assert server.only.fields["customfield_1"].startswith("A deploy at 03:05")
    assert len(server.only.fields["customfield_5"]) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"Team": "x"}, "field 'Team' left out: this Jira has no field of that name"),
        ({"Twice": "x"}, "several fields of that name; configure one of customfield_13, customfield_14"),
        ({"Alerts": "{service}"}, "'payments-api' is no number"),
        ({"Alerts": "inf"}, "no number that JSON can hold"),
        ({"Started on": "yesterday"}, "'yesterday' is no date"),
        ({"Commander": "bob@example.com"}, "0 accounts were found for bob@example.com; configure the account id"),
    ],
)
def test_what_doesnt_fit_is_left_out_and_told(
    tell: Any, server: JiraServer, fields: dict[str, object], words: str
) -> None:
    assert words in tell(fields=fields).detail
    assert not [name for name in server.only.fields if name.startswith("customfield")]


def test_long_and_hostile_values_are_cut_and_clean(tell: Any, server: JiraServer) -> None:
    tell(fields={"Affected service": "x\x00\ud800\n" * 1000, "Cause": "y" * 100_000})
    assert len(server.only.fields["customfield_1"]) == 255
    assert "\x00" not in server.only.fields["customfield_1"]


def test_the_list_of_fields_is_asked_for_once_in_ten_minutes(tell: Any, server: JiraServer, now: list[Any]) -> None:
    channel = tell.channel(fields={"Alerts": 1})
    for minutes in (0, 5, 9, 11, 12):
        now[0] = NOW + timedelta(minutes=minutes)
        channel.deliver(OPENED, None)
    assert server.calls().count("GET field") == 2


def test_a_list_of_fields_that_is_late_is_waited_for(tell: Any, server: JiraServer) -> None:
    server.fail("GET", "/field", Reply(503, {"Retry-After": "5"}))
    with pytest.raises(Transient):
        tell(fields={"Alerts": 1})
    assert server.issues == {}


def test_fields_that_may_not_be_listed_are_left_out(tell: Any, server: JiraServer) -> None:
    server.fail("GET", "/field", Reply(403, body=b'{"errorMessages": ["No."], "errors": {}}'))
    assert "field 'Alerts' left out" in tell(fields={"Alerts": 1}).detail
    assert server.only


def test_what_jira_refuses_of_a_field_is_left_out(tell: Any, server: JiraServer) -> None:
    server.absent = {"customfield_1"}
    assert "Field 'customfield_1' cannot be set." in tell(fields={"Affected service": "x", "Alerts": 1}).detail
    assert server.only.fields["customfield_3"] == 1.0


# ----------------------------------------------------------------------------------------------------------- assignees


@pytest.mark.parametrize(
    ("assignees", "assignee"),
    [
        ({"payments-api": ANN}, {"accountId": ANN}),
        ({"payments-api": "ann@example.com", "*": "x"}, {"accountId": ANN}),
        ({"*": "ANN@example.com"}, {"accountId": ANN}),
        ({"other": ANN}, None),
        ({}, None),
    ],
)
def test_the_service_decides_on_the_assignee(
    tell: Any, server: JiraServer, assignees: dict[str, str], assignee: object
) -> None:
    server.people[0]["found_by"] = "ann@example.com ANN@example.com"
    tell(assignees=assignees)
    assert server.only.fields.get("assignee") == assignee


def test_a_hidden_address_is_known_by_being_the_only_one(tell: Any, server: JiraServer) -> None:
    server.people = [{"accountId": ANN, "emailAddress": "", "found_by": "ann@example.com"}]
    tell(assignees={"*": "ann@example.com"})
    assert server.only.fields["assignee"] == {"accountId": ANN}


def test_of_several_hidden_addresses_none_is_taken(tell: Any, server: JiraServer) -> None:
    server.people = [{"accountId": f"id-{n}", "emailAddress": "", "found_by": "ann@example.com"} for n in range(2)]
    assert "2 accounts were found" in tell(assignees={"*": "ann@example.com"}).detail
    assert "assignee" not in server.only.fields


def test_a_person_is_looked_up_once(tell: Any, server: JiraServer) -> None:
    channel = tell.channel(assignees={"*": "ann@example.com"})
    for _ in range(3):
        channel.deliver(OPENED, None)
    assert server.calls().count("GET user/search") == 1


def test_without_permission_to_look_nobody_is_assigned(tell: Any, server: JiraServer) -> None:
    server.fail("GET", "/user/search", Reply(403, body=b'{"errorMessages": ["No permission."], "errors": {}}'))
    assert "assignee left out" in tell(assignees={"*": "ann@example.com"}).detail
    assert server.only
