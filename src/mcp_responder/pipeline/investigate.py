"""Gather evidence in parallel, take the secrets out, ask the first analyst who answers, prove what he says."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from threading import Thread

import structlog
from msgspec.structs import asdict, replace

from mcp_responder.model.alert import Alert
from mcp_responder.model.analysis import Analysis, Answer, Evidence
from mcp_responder.model.errors import Misconfigured, Permanent, ResponderError, Transient
from mcp_responder.pipeline.prove import prove
from mcp_responder.plumbing.redaction import redact, redacted
from mcp_responder.ports import Analyst, ContextProvider, Subject

LONGEST_RAW = 16_000
LONGEST_REASON = 200

_Seen = Evidence | None
"""None says that the provider is through."""
_Sightings = SimpleQueue[tuple[int, _Seen]]
log = structlog.get_logger()


def investigate(
    subject: Subject, providers: Sequence[ContextProvider], analysts: Sequence[Analyst], deadline: float
) -> Analysis:
    """What is wrong and why. Raises the last analyst's Transient or Permanent when none of them could answer.

    Analysts see what was redacted, and their quotes are proved against the same text.
    """
    subject = redacted(subject)
    evidence = redacted(gather(subject, providers, deadline))
    answer = _first_answer(subject, evidence, analysts)
    proven = prove(redacted(answer.draft), evidence)
    return Analysis(**asdict(proven), made_by=answer.made_by, made_at=subject.now, evidence=evidence)


def gather(subject: Subject, providers: Sequence[ContextProvider], deadline_seconds: float) -> tuple[Evidence, ...]:
    """The alert itself and all that the providers brought in time; who raised or came late is a gap."""
    sightings: _Sightings = SimpleQueue()
    for place, provider in enumerate(providers):
        # Daemons, not a pool: a provider that hangs must not keep the process from ending.
        Thread(target=_look, args=(place, provider, subject, sightings), daemon=True).start()
    brought = _collect(sightings, providers, time.monotonic() + deadline_seconds)
    found = (alert_evidence(subject.alert), *(item for items in brought for item in items))
    return tuple(replace(item, evidence_id=f"e{number}") for number, item in enumerate(found, 1))


def alert_evidence(alert: Alert) -> Evidence:
    """The alert as evidence, so that claims can quote it."""
    parts = [alert.title, alert.message, *_facts(alert)]
    raw = bytes(alert.raw_data).decode("utf-8", "replace")
    if raw != "null":
        # Before it is cut: half a secret is hard to tell.
        parts.append(redact(raw)[:LONGEST_RAW])
    return Evidence(
        evidence_id="", kind="alert", title=alert.title, query=f"alert from {alert.source}", content="\n".join(parts)
    )


def _facts(alert: Alert) -> Iterator[str]:
    named = {name: getattr(alert, name) for name in ("service", "resource", "environment", "account", "region")}
    yield from (f"{name}: {value}" for name, value in (named | alert.labels).items() if value)


def _look(place: int, provider: ContextProvider, subject: Subject, sightings: _Sightings) -> None:
    try:
        for item in provider.gather(subject):
            sightings.put((place, item))
    except Exception as error:  # noqa: BLE001  the port lets a provider raise anything, and promises a gap for it
        sightings.put((place, _gap(provider, f"{type(error).__name__}: {error}"[:LONGEST_REASON])))
    sightings.put((place, None))


def _collect(sightings: _Sightings, providers: Sequence[ContextProvider], until: float) -> list[list[Evidence]]:
    brought: list[list[Evidence]] = [[] for _ in providers]
    busy = set(range(len(providers)))
    while busy:
        try:
            place, item = sightings.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            break
        if item is None:
            busy.discard(place)
        else:
            brought[place].append(item)
    for place in busy:
        brought[place].append(_gap(providers[place], "was not back before the deadline"))
    return brought


def _gap(provider: ContextProvider, reason: str) -> Evidence:
    return Evidence(evidence_id="", kind=provider.name, title=provider.name, gap=f"{provider.name}: {reason}")


def _first_answer(subject: Subject, evidence: Sequence[Evidence], analysts: Iterable[Analyst]) -> Answer:
    reasons: list[str] = []
    failure: ResponderError = Misconfigured("analysts", "investigate", "name at least one analyst")
    for analyst in analysts:
        try:
            answer = analyst.analyze(subject, evidence)
        except (Transient, Permanent) as error:
            failure = error
        except Exception as error:
            # A mistake in one analyst must not keep the next from answering. Not its words: they may hold a secret.
            log.exception("analyst_failed", function="analysis", analyst=analyst.name)
            failure = Permanent(f"failed unexpectedly ({type(error).__name__}); see the log")
        else:
            reasons.append(answer.made_by.reason)
            reason = "; ".join(filter(None, reasons))
            return replace(answer, made_by=replace(answer.made_by, reason=reason))
        reasons.append(f"{analyst.name}: {failure}")
    raise failure
