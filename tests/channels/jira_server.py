"""A Jira on loopback, as the documents of REST v3 describe it, that fails when a test says so."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .adf_checker import check, text_of
from .server import Asked, Reply, ScriptedServer, serving

EMAIL, TOKEN = "incidents@example.com", "T0K3N-of-the-account"
ROBOT, ANN = "5b10a2844c20165700ede21g", "5b109f2e9729b51b54dc274d"
HTML = "text/html;charset=UTF-8"
NOT_ON_SCREEN = "Field '{0}' cannot be set. It is not on the appropriate screen, or unknown."
GONE = "Issue does not exist or you do not have permission to see it."
DOCUMENTS = {"description", "environment"}
LONGEST_TEXT = 32_767

Json = dict[str, Any]


class Refused(Exception):
    def __init__(self, status: int, errors: dict[str, str] | None = None, *messages: str) -> None:
        super().__init__(status)
        self.reply = answer({"errorMessages": list(messages), "errors": errors or {}}, status)


@dataclass
class Issue:
    """An issue and all that hangs on it."""

    number: int
    key: str
    fields: Json
    properties: dict[str, Json] = field(default_factory=dict)
    status: str = "To Do"
    comments: list[Json] = field(default_factory=list)
    histories: list[Json] = field(default_factory=list)
    indexed: bool = True

    @property
    def description(self) -> str:
        return text_of(self.fields["description"])

    def said(self) -> list[str]:
        return [text_of(comment["body"]) for comment in self.comments]

    def shown(self, properties: list[str]) -> Json:
        fields = {"labels": self.fields.get("labels", []), "status": {"name": self.status}}
        known = {name: self.properties[name] for name in properties if name in self.properties}
        return {
            "id": str(self.number),
            "key": self.key,
            "fields": {**fields, "creator": {"accountId": ROBOT}},
            "properties": known,
        }


@dataclass
class Fault:
    """What happens instead of an answer, or, with ``done``, after the work was done."""

    method: str
    path: str
    reply: Reply
    done: bool = False
    times: int = 1


def custom(number: int, name: str, kind: str, *, items: str = "", widget: str = "") -> Json:
    """An entry of the list of fields."""
    schema = {"type": kind, "customId": number, **({"items": items} if items else {})}
    schema["custom"] = f"com.atlassian.jira.plugin.system.customfieldtypes:{widget or kind}"
    return {"id": f"customfield_{number}", "key": f"customfield_{number}", "name": name, "custom": True,
            "schema": schema}  # fmt: skip


class JiraServer(ScriptedServer):
    """One project, OPS, with a simple workflow."""

    def __init__(self) -> None:
        super().__init__()
        self.issues: dict[str, Issue] = {}
        self.faults: list[Fault] = []
        self.lagging = False
        """Whether the search's index misses the issues that are made from now on."""
        self.absent: set[str] = set()
        """Fields that no screen has."""
        self.required: dict[str, str] = {}
        """Field -> what Jira calls it."""
        self.priorities = {"Highest", "High", "Medium", "Low", "Lowest"}
        self.issue_types = {"Bug", "Task"}
        self.fields: list[Json] = []
        self.people: list[Json] = []
        self.permitted = True
        self.transitions: list[Json] = [
            {"id": "11", "name": "Back", "to": {"name": "To Do"}, "fields": {}},
            {"id": "21", "name": "In Progress", "to": {"name": "In Progress"}, "fields": {}},
            {"id": "31", "name": "Close", "to": {"name": "Done"}, "fields": {}},
        ]
        self._writing = threading.RLock()

    @property
    def only(self) -> Issue:
        (issue,) = self.issues.values()
        return issue

    def calls(self) -> list[str]:
        """Methods and paths, without the API's prefix and the query."""
        return [f"{one.method} {urlsplit(one.path).path.removeprefix('/rest/api/3/')}" for one in self.asked]

    def fail(self, method: str, path: str, reply: Reply, *, done: bool = False, times: int = 1) -> None:
        """Fail the next request of which the path ends so."""
        self.faults.append(Fault(method, path, reply, done, times))

    def change(self, key: str, **fields: object) -> None:
        """Ann edits an issue by hand."""
        self.issues[key].fields.update(fields)
        items = [{"field": name, "fieldId": name, "fieldtype": "jira"} for name in fields]
        self.issues[key].histories.insert(0, {"author": {"accountId": ANN}, "items": items})

    def take(self, asked: Asked) -> Reply:
        with self._writing:
            self.asked.append(asked)
            fault = self._fault(asked)
            if fault and not fault.done:
                return fault.reply
            reply = self._answered(asked)
            return fault.reply if fault else reply

    def _fault(self, asked: Asked) -> Fault | None:
        path = urlsplit(asked.path).path
        for fault in self.faults:
            if fault.times and asked.method == fault.method and path.endswith(fault.path):
                fault.times -= 1
                return fault
        return None

    def _answered(self, asked: Asked) -> Reply:
        basic = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {basic}":
            body = b"<html><body><h1>Unauthorized (401)</h1><p>Client must be authenticated.</p></body></html>"
            return Reply(401, {"content-type": HTML}, body)
        parts = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = json.loads(asked.body) if asked.body else {}
        for method, pattern, handler in ROUTES:
            if asked.method == method and (found := re.fullmatch(f"/rest/api/3/{pattern}", parts.path)):
                try:
                    return handler(self, body, query, *map(unquote, found.groups()))
                except Refused as refused:
                    return refused.reply
        return Reply(404, {"content-type": HTML}, b"<html>Oops, you've found a dead link.</html>")

    # ------------------------------------------------------------------------------------------------------- routes

    def _create(self, body: Json, _: Json) -> Reply:
        fields = body["fields"]
        self._check(fields, making=True)
        number = 1 + max((issue.number for issue in self.issues.values()), default=0)
        properties = {one["key"]: one["value"] for one in body.get("properties", ())}
        issue = Issue(number, f"OPS-{number}", dict(fields), properties, indexed=not self.lagging)
        self.issues[issue.key] = issue
        return answer({"id": str(10000 + number), "key": issue.key, "self": f"{self.url}/issue/{number}"}, 201)

    def _check(self, fields: Json, *, making: bool) -> None:
        if not self.permitted:
            raise Refused(403, None, "You do not have permission to create issues in this project.")
        if making and fields["project"] != {"key": "OPS"}:
            raise Refused(400, {"project": "valid project is required"})
        if making and fields["issuetype"]["name"] not in self.issue_types:
            raise Refused(400, {"issuetype": "Specify a valid issue type"})
        if errors := {name: NOT_ON_SCREEN.format(name) for name in fields if name in self.absent}:
            raise Refused(400, errors)
        errors = dict(self._wrong(fields))
        if making:
            errors |= {name: f"{said} is required." for name, said in self.required.items() if name not in fields}
        if errors:
            raise Refused(400, errors)

    def _wrong(self, fields: Json) -> Iterator[tuple[str, str]]:
        summary = fields.get("summary", "x")
        if not summary.strip() or "\n" in summary or len(summary) > 255:
            yield "summary", "The summary is invalid: it is empty, has line ends, or more than 255 characters."
        if fields.get("priority", {"name": "High"})["name"] not in self.priorities:
            yield "priority", "The priority selected is invalid."
        for label in fields.get("labels", ()):
            if " " in label or len(label) > 255:
                yield "labels", f"The label '{label}' contains spaces which is invalid."
        for name in DOCUMENTS & set(fields):
            yield from self._wrong_document(name, fields[name])

    def _wrong_document(self, name: str, document: object) -> Iterator[tuple[str, str]]:
        try:
            check(document)
        except (AssertionError, KeyError, TypeError):
            yield name, "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
        if len(json.dumps(document, ensure_ascii=False)) > LONGEST_TEXT:
            yield name, "The entered text is too long. It exceeds the allowed limit of 32,767 characters."

    def _issue(self, key: str) -> Issue:
        if key not in self.issues:
            raise Refused(404, None, GONE)
        return self.issues[key]

    def _read(self, _: Json, query: Json, key: str) -> Reply:
        issue = self._issue(key)
        shown = issue.shown(query.get("properties", "").split(","))
        if "changelog" in query.get("expand", ""):
            shown["changelog"] = {"startAt": 0, "maxResults": 100, "histories": issue.histories}
        return answer(shown)

    def _edit(self, body: Json, _: Json, key: str) -> Reply:
        issue = self._issue(key)
        self._check(body["fields"], making=False)
        issue.fields |= body["fields"]
        items = [{"field": name, "fieldId": name} for name in body["fields"]]
        issue.histories.insert(0, {"author": {"accountId": ROBOT}, "items": items})
        return Reply(204)

    def _property(self, body: Json, _: Json, key: str, name: str) -> Reply:
        self._issue(key).properties[name] = body
        return Reply(200)

    def _search(self, body: Json, _: Json) -> Reply:
        found = re.fullmatch(r'project = "(\w+)"(?: AND labels = "([^"]*)")? ORDER BY key DESC', body["jql"])
        if not found or found[1] != "OPS":
            raise Refused(400, None, f"The value '{body['jql']}' does not exist for the field 'project'.")
        issues = [issue for issue in self.issues.values() if issue.indexed]
        if found[2]:
            issues = [issue for issue in issues if found[2] in issue.fields.get("labels", ())]
        issues.sort(key=lambda issue: -issue.number)
        shown = [issue.shown(body.get("properties", [])) for issue in issues[: body["maxResults"]]]
        return answer({"issues": shown, "isLast": True})

    def _bulk(self, body: Json, _: Json) -> Reply:
        keys = body["issueIdsOrKeys"]
        if len(keys) > 100:
            raise Refused(400, None, "The number of requested issues exceeds the limit of 100.")
        shown = [self.issues[key].shown(body.get("properties", [])) for key in keys if key in self.issues]
        return answer({"issueErrors": [], "issues": shown})

    def _comments(self, _: Json, query: Json, key: str) -> Reply:
        assert query["orderBy"] == "-created"
        return answer({"comments": self._issue(key).comments[::-1], "total": len(self._issue(key).comments)})

    def _comment(self, body: Json, _: Json, key: str) -> Reply:
        errors = dict(self._wrong_document("comment", body["body"]))
        if errors:
            raise Refused(400, errors)
        self._issue(key).comments.append({"id": "1", "author": {"accountId": ROBOT}, "body": body["body"]})
        return answer({"id": "1"}, 201)

    def _offered(self, _: Json, query: Json, key: str) -> Reply:
        assert query["expand"] == "transitions.fields"
        self._issue(key)
        return answer({"expand": "transitions", "transitions": self.transitions})

    def _transition(self, body: Json, _: Json, key: str) -> Reply:
        issue = self._issue(key)
        chosen = next((one for one in self.transitions if one["id"] == body["transition"]["id"]), None)
        if chosen is None:
            raise Refused(400, None, "It seems that you have tried to perform an illegal workflow operation.")
        fields = body.get("fields", {})
        needed = {name for name, described in chosen["fields"].items() if described["required"]}
        if missing := needed - set(fields):
            raise Refused(400, {name: f"{name.capitalize()} is required." for name in missing})
        if extra := set(fields) - set(chosen["fields"]):
            raise Refused(400, {name: NOT_ON_SCREEN.format(name) for name in extra})
        issue.status = chosen["to"]["name"]
        issue.fields |= fields
        return Reply(204)

    def _fields(self, _: Json, __: Json) -> Reply:
        system = {"id": "summary", "key": "summary", "name": "Summary", "schema": {"type": "string"}}
        return answer([system, *self.fields])

    def _people(self, _: Json, query: Json) -> Reply:
        return answer([one for one in self.people if query["query"] in one.get("found_by", one.get("emailAddress"))])


Handler = Callable[..., Reply]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "issue", JiraServer._create),
    ("POST", "issue/bulkfetch", JiraServer._bulk),
    ("GET", "issue/([^/]+)", JiraServer._read),
    ("PUT", "issue/([^/]+)", JiraServer._edit),
    ("PUT", "issue/([^/]+)/properties/([^/]+)", JiraServer._property),
    ("GET", "issue/([^/]+)/comment", JiraServer._comments),
    ("POST", "issue/([^/]+)/comment", JiraServer._comment),
    ("GET", "issue/([^/]+)/transitions", JiraServer._offered),
    ("POST", "issue/([^/]+)/transitions", JiraServer._transition),
    ("POST", "search/jql", JiraServer._search),
    ("GET", "field", JiraServer._fields),
    ("GET", "user/search", JiraServer._people),
)


def answer(body: object, status: int = 200) -> Reply:
    return Reply(status, {"content-type": "application/json;charset=UTF-8"}, json.dumps(body).encode())


def jira_server() -> AbstractContextManager[JiraServer]:
    return serving(JiraServer())


def heard(asked: list[Asked]) -> list[str]:
    """What was written into issues, an item for each delivery: an edit and the comment with it are one."""
    told: list[str] = []
    edited = ""
    for one in asked:
        path = urlsplit(one.path).path
        body = json.loads(one.body) if one.body else {}
        if path.endswith("/comment") and one.method == "POST":
            said = f"{path}\n{text_of(body['body'])}"
            told = [*told[:-1], f"{told[-1]}\n{said}"] if edited == path.removesuffix("/comment") else [*told, said]
            edited = ""
        elif "fields" in body and (path.endswith("/issue") or one.method == "PUT"):
            fields = body["fields"]
            told.append("\n".join((path, fields["summary"], text_of(fields["description"]))))
            edited = path if one.method == "PUT" else ""
    return told
