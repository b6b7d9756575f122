"""What a service of AWS says that happened, read by the row of a table: no service has code of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice

import msgspec

from mcp_responder.model.alert import Alert, Link, Severity, Status
from mcp_responder.model.severity import judge, ruled, stated
from mcp_responder.plumbing.fields import array, dig, one_line, text
from mcp_responder.ports import Reading
from mcp_responder.sources._aws import read_arn, short_name
from mcp_responder.sources._reading import LONGEST_TITLE, is_address, plain, read_level

Facts = dict[str, object]
"""What an event says: for EventBridge its ``detail``, else the whole body."""
Find = tuple[str, ...] | Callable[[Facts], str]
"""Dotted paths, of which the first that holds something counts; or a function for what paths can't say."""

LONGEST_WORDS = 8000
"""Characters of each of an event's texts."""
LONGEST_NAME = 500
MOST_WORDS = 20
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of event is read. Empty finds find nothing."""

    label: str
    """What it is about, in front of its name in the title: "CodeBuild build"."""
    names: Find = ()
    """What it is called."""
    identity: Find = ()
    """What tells its alarm from others of the kind; else the name. Failure and success have the same."""
    family: str = ""
    """Kinds that tell of the same alarms have one family; else it is the label."""
    states: Find = ()
    shows_state: bool = True
    """Whether the state is in the title."""
    fires: str = ""
    """States in which something is broken, as words in any case, joints left out; "*" is every state."""
    ends: str = ""
    """States in which it is well again. What is neither is kept and opens nothing."""
    outcome: Callable[[Facts], Status] | None = None
    """Instead of ``fires`` and ``ends``."""
    levels: Find = ()
    """The sender's own word for how bad it is."""
    severity: Severity | Callable[[Facts], Severity | None] | None = None
    """How bad such a thing is, when the sender doesn't say; else the words decide."""
    services: Find = ()
    """Else the product."""
    resources: Find = ()
    """Else the first ARN that the event is about, else the name."""
    words: tuple[str, ...] = ()
    """All texts that say what happened."""
    links: dict[str, str] = {}
    """Title -> path of the address."""
    labels: dict[str, str] = {}
    """Label -> path."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent an event, and from where."""

    source: str
    product: str
    account: str = ""
    region: str = ""
    time: datetime | None = None
    event_id: str = ""
    arns: tuple[str, ...] = ()
    labels: dict[str, str] = {}


def words_of(states: str) -> frozenset[str]:
    """States as they are compared."""
    return frozenset(map(plain, states.split()))


def found(facts: Facts, find: Find) -> str:
    """The first text or number at these paths."""
    if callable(find):
        return find(facts)
    return next((words for path in find if (words := text(dig(facts, path)))), "")


def all_found(facts: Facts, paths: Iterable[str]) -> list[str]:
    """The texts at these paths, each once. "*" in a path stands for every item of an array."""
    texts = (words[:LONGEST_WORDS] for path in paths for words in _texts(facts, path) if words)
    return list(islice(dict.fromkeys(texts), MOST_WORDS))


def _texts(value: object, path: str) -> list[str]:
    head, star, rest = path.partition(".*.")
    if not star:
        return [text(dig(value, path))]
    return [words for item in array(dig(value, head))[:MOST_WORDS] for words in _texts(item, rest)]


def alert_of(kind: Kind, facts: Facts, origin: Origin, raw: bytes, reading: Reading) -> Alert:
    """The alert that an event of this kind is. Its title is empty if nothing has a name."""
    origin = _bounded(origin)
    named = found(facts, kind.names)[:LONGEST_NAME]
    name = short_name(named) or named
    state = found(facts, kind.states)[:LONGEST_NAME]
    title = _title(kind, name, state if kind.shows_state else "")
    status = _status(kind, facts, state)
    message = "\n".join(all_found(facts, kind.words)) or (f"State: {state}" if state else "")
    resource = found(facts, kind.resources)[:LONGEST_NAME]
    return Alert(
        source=origin.source,
        source_id=_source_id(kind, origin, found(facts, kind.identity)[:LONGEST_NAME] or named),
        event_id=origin.event_id,
        title=title,
        message=message,
        severity=_severity(kind, facts, status, (title, name, message), reading),
        timestamp=origin.time,
        raw_data=msgspec.Raw(raw),
        status=status,
        service=found(facts, kind.services)[:LONGEST_NAME] or origin.product,
        resource=_thing(resource) or _first_thing(origin.arns) or ("" if " " in name else name),
        account=origin.account,
        region=origin.region,
        labels=_labels(kind, facts, origin, state),
        links=_links(kind, facts),
    )


def _bounded(origin: Origin) -> Origin:
    """The origin with names of a sensible length."""
    return msgspec.structs.replace(
        origin,
        product=origin.product[:LONGEST_NAME],
        account=origin.account[:LONGEST_NAME],
        region=origin.region[:LONGEST_NAME],
        event_id=origin.event_id[:LONGEST_NAME],
        labels={name: value[:LONGEST_NAME] for name, value in origin.labels.items()},
    )


def _title(kind: Kind, name: str, state: str) -> str:
    """ "CodeBuild build failed: checkout"."""
    outcome = _HUMP.sub(" ", state).replace("_", " ").lower()
    # "ECS service" and "SERVICE_DEPLOYMENT_FAILED" have a word in common.
    head = kind.label.rpartition(" ")[2].lower()
    outcome = outcome.removeprefix(f"{head} ") if head else outcome
    label = " ".join(filter(None, (kind.label, outcome)))
    return one_line(": ".join(filter(None, (label, name))), LONGEST_TITLE)


def _status(kind: Kind, facts: Facts, state: str) -> Status:
    if kind.outcome:
        return kind.outcome(facts)
    said = plain(state)
    if said in words_of(kind.ends):
        return Status.RESOLVED
    return Status.FIRING if kind.fires == "*" or said in words_of(kind.fires) else Status.INFO


def _severity(kind: Kind, facts: Facts, status: Status, words: tuple[str, ...], reading: Reading) -> Severity:
    said = read_level(found(facts, kind.levels)) or stated(words[0])
    if said or status is Status.INFO:
        return said or Severity.LOW
    usual = kind.severity(facts) if callable(kind.severity) else kind.severity
    rules = reading.severities
    return ruled(*words, rules=rules) or usual or judge(*words, rules=rules) or Severity.MEDIUM


def _source_id(kind: Kind, origin: Origin, identity: str) -> str:
    """The alarm's identity; an ARN is one by itself. Without a name it is that of the first thing it is about, if the
    kind has a name at all; else nothing: the pipeline makes one of the title."""
    if not identity and not (kind.family or kind.label):
        return ""
    identity = identity or next(iter(origin.arns), "")[:LONGEST_NAME]
    family = kind.family or kind.label
    place = () if identity.startswith("arn:") else (origin.account, origin.region)
    return " ".join(filter(None, (*place, origin.product, family, identity)))


def _thing(words: str) -> str:
    return short_name(words) or words


def _first_thing(arns: tuple[str, ...]) -> str:
    return next((short_name(arn) for arn in arns if read_arn(arn).resource), "")


def _labels(kind: Kind, facts: Facts, origin: Origin, state: str) -> dict[str, str]:
    labels = {**{name: found(facts, (path,))[:LONGEST_NAME] for name, path in kind.labels.items()}, **origin.labels}
    return {name: value for name, value in {**labels, "state": state}.items() if value}


def _links(kind: Kind, facts: Facts) -> tuple[Link, ...]:
    found_links = ((name, dig(facts, path)) for name, path in kind.links.items())
    return tuple(Link(name=name, url=text(url)) for name, url in found_links if is_address(url))
