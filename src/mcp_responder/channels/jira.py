"""Jira Cloud: one issue an incident, made at once, edited with the analysis, moved and commented as things go on.

Set-up, in ``responder.toml`` (or as ``RESPONDER_CHANNELS__JIRA__TOKEN`` and so on in the environment):

    [channels.jira]
    kind = "jira"
    url = "https://example.atlassian.net"
    email = "incidents@example.com"        # of the account that the token belongs to
    token = "..."                          # https://id.atlassian.com/manage-profile/security/api-tokens
    project = "OPS"
    issue_type = "Bug"

The account needs, in the project: Browse projects, Create issues, Edit issues, Add comments and Transition issues; with
``assignees`` also Assign issues, and the global permission Browse users and groups. A token with scopes needs
``read:jira-work``, ``write:jira-work`` and ``read:jira-user``, and ``api_url``.

What happens in Jira:

    made at once        summary "[CRITICAL] service: title", description, priority by severity, labels, components,
                        assignee by service, custom fields; one more label, mcp-responder-<incident>
    analysis            the description is written anew, and a comment names the cause. A summary, description or
                        field that somebody else has changed is left as it is: the report is then the comment
    other news          a comment: escalated, repeated, acknowledged, resolved, reopened, and by whom
    status              acknowledged, resolved and reopened take the transition of that name, or to the status of
                        that name
    a storm             one issue for all its incidents, edited as they come and go

What the project's screens don't have is left out, and the timeline says so; a field that is required and isn't
configured is in Jira's words in the dead letter. After a cut connection or a crash the issue is looked for by its label
and its key before another is made. An issue that was deleted is made anew.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mcp_responder.channels._jira_client import JiraClient, JiraRefusal, Json
from mcp_responder.channels._jira_fields import Fields, Wanted, label, unknown_placeholders
from mcp_responder.channels._jira_issue import PROPERTY, Issue, Told, find, read
from mcp_responder.channels._jira_report import LONGEST_TEXT, comment, description, footer, name_of, summary
from mcp_responder.channels._jira_transitions import move
from mcp_responder.channels._kind import ChannelKind, Services
from mcp_responder.model.alert import Severity
from mcp_responder.model.errors import Permanent, Transient
from mcp_responder.model.incident import IncidentStatus
from mcp_responder.model.message import Message, Receipt, ReceiptState
from mcp_responder.plumbing.http import address_of
from mcp_responder.plumbing.secret import Secret
from mcp_responder.plumbing.text import cut
from mcp_responder.ports import ChannelInfo, Delivered

INFO = ChannelInfo(kind="jira", title="Jira Cloud", longest_text=LONGEST_TEXT, updates=True)
PRIORITIES = {
    Severity.CRITICAL: "Highest",
    Severity.HIGH: "High",
    Severity.MEDIUM: "Medium",
    Severity.LOW: "Low",
}
TRANSITIONS = {"acknowledged": "In Progress", "resolved": "Done", "reopened": "To Do"}
MOST_TRIES = 3
"""Of one write. Jira names what it refuses in rounds: first the fields that no screen has, then wrong values."""
LONGEST_DETAIL = 1000


class JiraSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where issues are made, as whom, and how an incident becomes an issue."""

    url: str
    """Address of the site, as in the browser: https://example.atlassian.net."""
    email: str
    """E-mail address of the account that makes the issues."""
    token: Secret
    """API token of that account."""
    project: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
    """Key of the project, such as OPS."""
    api_url: str = ""
    """Another address for the API: https://api.atlassian.com/ex/jira/<cloud id> for a token with scopes."""
    issue_type: str = "Bug"
    """Name of the issue type, such as Bug, Incident or Task."""
    priorities: dict[Severity, str] = {}
    """Priority by severity. Default: CRITICAL Highest, HIGH High, MEDIUM Medium, LOW Low; "" sets none."""
    labels: tuple[str, ...] = ()
    """Labels of every issue."""
    components: tuple[str, ...] = ()
    """Components of every issue, by name."""
    assignees: dict[str, str] = {}
    """Service -> account id or e-mail address; "*" stands for all other services. Default: nobody."""
    fields: dict[str, Wanted] = {}
    """Custom fields by name (or id) -> value, in which {service}, {severity}, {root_cause} ... are filled in."""
    transitions: dict[str, str] = {}
    """Transition, or status that it leads to. Default: acknowledged In Progress, resolved Done, reopened To Do; ""
    makes none."""
    resolution: str = "Done"
    """Resolution to set when the screen of the transition asks for one."""
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 10.0
    """How long Jira may take to connect and answer, each time that it is asked."""

    def __post_init__(self) -> None:
        for key, address in (("url", self.url), ("api_url", self.api_url or self.url)):
            try:
                address_of(address)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        if wrong := [name for name in self.labels if not name or name != label(name)]:
            raise ValueError(f"labels: a label can't be empty or hold blanks: {wrong}")
        if wrong := sorted(self.transitions.keys() - TRANSITIONS.keys()):
            raise ValueError(f"transitions: {wrong} is none of {', '.join(TRANSITIONS)}")
        for name, wanted in self.fields.items():
            if unknown := unknown_placeholders(wanted):
                raise ValueError(f"fields: {name}: there is no placeholder {unknown}")


class Jira:
    """Keeps one issue up to date with one incident."""

    info = INFO

    def __init__(self, name: str, settings: JiraSettings, services: Services) -> None:
        self.name = name
        self._settings = settings
        self._jira = JiraClient(
            settings.api_url or settings.url,
            settings.email,
            settings.token,
            services.http,
            services.clock,
            settings.timeout_seconds,
        )
        self._fields = Fields(self._jira, services.clock)
        self._priorities = PRIORITIES | settings.priorities
        self._transitions = TRANSITIONS | settings.transitions

    def __repr__(self) -> str:
        return f"Jira({self.name!r}, {address_of(self._settings.url).place}, {self._settings.project})"

    def deliver(self, message: Message, previous: Receipt | None) -> Delivered:
        """Make the issue, or bring it up to date. Raises Transient or Permanent."""
        notes: list[str] = []
        issue = self._known(message, previous)
        if issue is None:
            issue = self._made(message, notes)
        else:
            self._update(issue, message, notes)
        url = f"{self._settings.url.rstrip('/')}/browse/{issue.key}" if issue.key else ""
        return Delivered(reference=issue.key, url=url, detail=cut("; ".join(notes), LONGEST_DETAIL))

    def _known(self, message: Message, previous: Receipt | None) -> Issue | None:
        """The incident's issue, if there is one. Raises Transient while that can't be told."""
        reference = previous.reference if previous else ""
        if reference and (issue := read(self._jira, reference)):
            return issue
        unnamed = previous is not None and previous.state is ReceiptState.DELIVERED and not reference
        if not (message.doubtful or unnamed):
            return None
        if key := find(self._jira, self._settings.project, self._label(message), self._told(message)):
            return read(self._jira, key)
        if previous and previous.state is ReceiptState.RETRYING and previous.attempts < 2:
            # What was sent when the connection was cut may still be at work in Jira.
            raise Transient("An earlier try may have made the issue: it is looked for once more.", doubtful=True)
        return None

    def _made(self, message: Message, notes: list[str]) -> Issue:
        """A new issue. What follows its making is doubtful, because nobody has kept its key yet."""
        told = msgspec.structs.replace(self._told(message), status=IncidentStatus.OPEN.value)
        needed, offered = self._needed(message), self._offered(message, notes)
        answer, left_out = self._write("POST", "issue", needed, offered, notes, told)
        key = answer.get("key") if isinstance(answer, dict) else None
        issue = Issue(key=key if isinstance(key, str) else "", told=told)
        try:
            if issue.key:
                if "description" in left_out:
                    self._say(issue, message, notes, whole=True)
                self._move(issue, message, notes)
                self._remember(issue, message)
        except Transient as error:
            raise Transient(str(error), error.retry_after, doubtful=True) from None
        return issue

    def _update(self, issue: Issue, message: Message, notes: list[str]) -> None:
        """Each step may be done again: the last one writes down that all were."""
        self._move(issue, message, notes)
        described = self._edit(issue, message, notes)
        self._comment(issue, message, notes, whole=not described)
        self._remember(issue, message)

    # --------------------------------------------------------------------------------------------------- the fields

    def _needed(self, message: Message) -> Json:
        return {
            "project": {"key": self._settings.project},
            "issuetype": {"name": self._settings.issue_type},
            "summary": summary(message),
        }

    def _offered(self, message: Message, notes: list[str]) -> Json:
        """What an issue has if its screens have it."""
        assignees = self._settings.assignees
        assignee = assignees.get(message.incident.service) or assignees.get("*", "")
        components = [{"name": name} for name in self._settings.components]
        return {
            "description": description(message),
            "labels": [*self._settings.labels, self._label(message)],
            **({"components": components} if components else {}),
            **self._fields.person("assignee", assignee, notes),
            **self._priority(message),
            **self._fields.custom(self._settings.fields, message, notes),
        }

    def _priority(self, message: Message) -> Json:
        name = self._priorities[message.incident.severity]
        return {"priority": {"name": name}} if name else {}

    def _label(self, message: Message) -> str:
        return label(f"{PROPERTY}-{name_of(message)}")

    def _told(self, message: Message) -> Told:
        analysis = message.analysis
        return Told(
            about=name_of(message),
            channel=self.name,
            news=message.news,
            severity=message.incident.severity.value,
            status=_status(message).value,
            analysis=analysis.made_at.isoformat() if analysis and not message.digest else "",
        )

    def _write(
        self, method: str, path: str, needed: Json, offered: Json, notes: list[str], told: Told | None = None,
        tries: int = MOST_TRIES,
    ) -> tuple[Any, frozenset[str]]:  # fmt: skip
        """Write the fields, without those of ``offered`` that Jira refuses; the answer, and what was left out.

        Raises Permanent in Jira's words if it refuses more than that.
        """
        properties = {"properties": [{"key": PROPERTY, "value": told}]} if told else {}
        try:
            body = {"fields": needed | offered, **properties}
            return self._jira.send(method, path, body, once=method == "POST"), frozenset()
        except JiraRefusal as refusal:
            left_out = frozenset(refusal.errors)
            mendable = refusal.status == 400 and not refusal.messages and left_out and left_out <= offered.keys()
            if not mendable or tries == 1:
                raise self._explained(refusal, needed) from None
            notes += [f"left out: {words} ({field})" for field, words in refusal.errors.items()]
        rest = {field: value for field, value in offered.items() if field not in left_out}
        answer, also = self._write(method, path, needed, rest, notes, told, tries - 1)
        return answer, left_out | also

    def _explained(self, refusal: JiraRefusal, needed: Json) -> Permanent:
        """Jira's words, and which setting is about them."""
        named = {"project": "project", "issuetype": "issue_type"}
        settings = [f"channels.{self.name}.{named[field]}" for field in refusal.errors if field in named]
        if any(field not in needed and field not in named for field in refusal.errors):
            settings.append(f"channels.{self.name}.fields")
        return Permanent(f"{refusal} Look at {' and '.join(settings)}." if settings else str(refusal))

    # -------------------------------------------------------------------------------------------------- the updates

    def _move(self, issue: Issue, message: Message, notes: list[str]) -> None:
        """Make the transition that the incident's status asks for, once for each change."""
        status = _status(message)
        if issue.told.status == status:
            return
        reopened = status is IncidentStatus.OPEN and (message.incident.reopened or issue.told.status)
        name = "reopened" if reopened else status.value
        wanted = self._transitions.get(name, "")
        if wanted and wanted.casefold() != issue.status.casefold():
            custom = self._fields.custom(self._settings.fields, message, [])
            move(self._jira, issue.key, wanted, self._settings.resolution, custom, notes)

    def _edit(self, issue: Issue, message: Message, notes: list[str]) -> bool:
        """Write anew what has changed, but nothing that a person did; whether the analysis is there to be read."""
        told = self._told(message)
        escalated = issue.told.severity != told.severity
        if not escalated and issue.told.analysis == told.analysis and not message.digest:
            return True
        offered = {
            "summary": summary(message),
            "description": description(message),
            **(self._priority(message) if escalated else {}),
            **self._fields.custom(self._settings.fields, message, notes),
        }
        locked = issue.locked
        try:
            free = {field: value for field, value in offered.items() if field not in locked}
            _, left_out = self._write("PUT", issue.path, {}, free, notes) if free else (None, frozenset())
        except Permanent as error:
            # The news itself can still be told, in a comment.
            notes.append(f"not edited: {error}")
            left_out = frozenset(offered)
        return issue.told.analysis == told.analysis or "description" not in locked | left_out

    def _comment(self, issue: Issue, message: Message, notes: list[str], *, whole: bool) -> None:
        if message.digest or issue.told.news >= message.news:
            # Of a storm, the description is the news.
            return
        if not (message.doubtful and self._has_comment(issue, message)):
            self._say(issue, message, notes, whole=whole)

    def _say(self, issue: Issue, message: Message, notes: list[str], *, whole: bool) -> None:
        body = comment(message, whole=whole, notes=notes)
        try:
            self._jira.send("POST", f"{issue.path}/comment", {"body": body}, once=True)
        except JiraRefusal as refusal:
            raise Permanent(str(refusal)) from None

    def _has_comment(self, issue: Issue, message: Message) -> bool:
        """Whether one of the newest comments ends in the words that name this news."""
        listed = self._jira.get(f"{issue.path}/comment", orderBy="-created", maxResults=50)
        return b'"text":' + msgspec.json.encode(footer(message)) in msgspec.json.encode(listed)

    def _remember(self, issue: Issue, message: Message) -> None:
        told = self._told(message)
        if told == issue.told:
            return
        try:
            self._jira.send("PUT", f"{issue.path}/properties/{PROPERTY}", msgspec.to_builtins(told))
        except JiraRefusal:
            # Then the next update writes again what is there already; nobody misses anything.
            return
        except Transient as error:
            raise Transient(str(error), error.retry_after, doubtful=True) from None


def _status(message: Message) -> IncidentStatus:
    """A storm is over with the last of its incidents."""
    if message.digest is None:
        return message.incident.status
    over = all(incident.status is IncidentStatus.RESOLVED for incident in message.digest.incidents)
    return IncidentStatus.RESOLVED if over else IncidentStatus.OPEN


KIND = ChannelKind(info=INFO, guide=__doc__ or "", settings=JiraSettings, build=Jira)
