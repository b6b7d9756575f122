"""What a model is asked, and how its answer becomes a Draft."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from string import Template
from typing import Any

import msgspec

from mcp_responder.analysts.excerpt import excerpts
from mcp_responder.model.analysis import Draft, Evidence
from mcp_responder.plumbing.text import one_line, shown_line
from mcp_responder.ports import Subject

PROMPT = "analysis.v1"
"""The version of the prompt: a changed text is a new version."""
CHARACTERS_A_TOKEN = 3
"""A careful guess for logs."""
LONGEST_STATEMENT = 400
LONGEST_TEXT = 2000
MOST_ITEMS = 20


def system_prompt() -> str:
    """How to analyse, and in which form to answer."""
    return _prompt("system").template


def question(subject: Subject, evidence: Sequence[Evidence], most_tokens: int) -> str:
    """The user prompt: the alert's facts, and the evidence as far as it fits, between markers that nobody can guess."""
    alert, activity = subject.alert, subject.activity
    marker = f"==== {secrets.token_hex(6)}"
    contents = excerpts([item.content for item in evidence], most_tokens * CHARACTERS_A_TOKEN)
    shown = [(item.kind, _marked(item, text, marker)) for item, text in zip(evidence, contents, strict=True)]
    return _prompt("user").substitute(
        title=msgspec.json.encode(shown_line(alert.title, 300)).decode(),
        severity=subject.incident.severity if subject.incident else alert.severity,
        service=shown_line(alert.service, 100) or "unknown",
        environment=shown_line(alert.environment, 100) or "unknown",
        now=f"{subject.now:%Y-%m-%dT%H:%M:%SZ}",
        activity=f"{activity.alerts} alerts of this incident, {activity.firing} alarms firing",
        marker=marker,
        alert=_section(text for kind, text in shown if kind == "alert"),
        history=_section(text for kind, text in shown if kind == "history"),
        similar=_section(text for kind, text in shown if kind == "similar"),
        logs=_section(text for kind, text in shown if kind not in ("alert", "history", "similar")),
        gaps=_section(f"- {one_line(item.gap)}" for item in evidence if item.gap),
    )


def _marked(item: Evidence, content: str, marker: str) -> str:
    if item.gap:
        return ""
    head = f"{marker} {item.evidence_id} ({item.kind}): {shown_line(item.title, 200)} [{shown_line(item.query, 200)}]"
    return f"{head}\n{content or '(looked, and found nothing)'}\n{marker} end of {item.evidence_id}"


def _section(texts: Iterator[str]) -> str:
    return "\n\n".join(filter(None, texts)) or "Nothing."


@cache
def _prompt(part: str) -> Template:
    path = resources.files(__package__) / "prompts" / f"{PROMPT}.{part}.md"
    return Template(path.read_text(encoding="utf-8"))


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of a Draft in the API's dialect: every field required, nothing else allowed, limits as words."""
    from anthropic import transform_schema

    (root,), parts = msgspec.json.schema_components([Draft], ref_template="#/$defs/{name}")
    del root
    definitions = {name: _strict(part) for name, part in parts.items()}
    # Whether a claim is proved is for the program to say.
    claim = definitions["Claim"]
    claim["properties"].pop("verified")
    claim["required"].remove("verified")
    own = definitions.pop("Draft")
    return transform_schema({**own, "$defs": definitions})


def _strict(part: dict[str, Any]) -> dict[str, Any]:
    if "properties" not in part:
        return part
    properties = {
        name: {key: value for key, value in facts.items() if key != "default"}
        for name, facts in part["properties"].items()
    }
    return {**part, "properties": properties, "required": list(properties)}


def read_draft(text: str, evidence: Sequence[Evidence]) -> Draft:
    """A model's answer as a Draft; what is too long is cut. Raises ValueError, in words that the model can act on."""
    try:
        tree = msgspec.json.decode(_unfenced(text))
        draft = msgspec.convert(_bounded(tree), Draft)
    except msgspec.ValidationError as error:
        raise ValueError(f"it doesn't fit the schema ({error})") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("it isn't JSON") from error
    known = {item.evidence_id for item in evidence if not item.gap}
    strange = sorted({claim.evidence for claim in draft.claims} - known)
    if strange:
        raise ValueError(f"claims quote evidence that doesn't exist ({', '.join(strange)[:100]})")
    if not draft.root_cause.statement.strip():
        raise ValueError("root_cause.statement is empty")
    return draft


def _unfenced(text: str) -> str:
    """Without a Markdown fence around it, which models like."""
    bare = text.strip()
    return bare.partition("\n")[2].removesuffix("```") if bare.startswith("```") else bare


def _bounded(value: object, key: str = "") -> object:
    if isinstance(value, str):
        return value[: LONGEST_STATEMENT if key == "statement" else LONGEST_TEXT]
    if isinstance(value, list):
        return [_bounded(item) for item in value[:MOST_ITEMS]]
    if isinstance(value, dict):
        return {name: _bounded(item, name) for name, item in value.items() if name != "verified"}
    return value
