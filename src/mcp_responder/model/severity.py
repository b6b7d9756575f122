"""How bad an alarm is when its sender doesn't say: readable rules on its name, description, metric and namespace.

First what the sender says: its level (``read_severity``), or a mark in a name (``stated``: "[P1] …", "severity: high").
Only then ``judge``: the user's rules, then the shipped words.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from mcp_responder.model.alert import Severity


class SeverityRule(msgspec.Struct, frozen=True, kw_only=True):
    """If ``pattern`` (a regular expression, any case) is found in the alarm's words, it is this severe."""

    pattern: str
    severity: Severity


SHIPPED: tuple[tuple[Severity, str], ...] = (
    # Users can't work, or data is gone: get up.
    (Severity.CRITICAL, "critical, emergency, disaster, outage, blackout, black out"),
    (Severity.CRITICAL, "down, unavailable, unreachable, not available, not reachable, offline"),
    (Severity.CRITICAL, "data loss, data lost, lost data, corrupt, corrupted, corruption, split brain, splitbrain"),
    (Severity.CRITICAL, "disk full, disk is full, no space left, storage full, volume full, out of disk"),
    (Severity.CRITICAL, "out of storage, out of disk space"),
    (Severity.CRITICAL, "read only file system, read only filesystem, quorum lost, lost quorum, no quorum, no leader"),
    (Severity.CRITICAL, "certificate expired, certificate has expired, certificate is expired, cert expired"),
    (Severity.CRITICAL, "no healthy hosts, no healthy targets, no healthy upstream, all targets unhealthy"),
    (Severity.CRITICAL, "data breach, compromised, ransomware, root account"),
    # It hurts now, or soon: look at once.
    (Severity.HIGH, "5 xx, http 500, http 502, http 503, http 504, bad gateway, internal server error"),
    (Severity.HIGH, "oom, oomkilled, out of memory, outofmemory, heap space, low memory, evicted"),
    (Severity.HIGH, "failover, fail over, failed over, crash, crashed, crashes, crashing, crashloop, segfault"),
    (Severity.HIGH, "panic, fatal, deadlock, deadlocks, dead lock, dead locks, deadlocked"),
    (Severity.HIGH, "unhealthy, un healthy, not responding, not ready, not running, unresponsive, stuck, broken"),
    (Severity.HIGH, "dead letter, dead letters, deadletter, dlq"),
    (Severity.HIGH, "exhausted, exhaustion, saturated, saturation, free storage, low disk, low storage, disk space"),
    (Severity.HIGH, "error, errors, exception, exceptions, fault, faults, burn rate"),
    (Severity.HIGH, "fail, fails, failed, failing, failure, failures, lost"),
    (Severity.HIGH, "timeout, timeouts, time out, time outs, timed out, refused, deadline exceeded"),
    (Severity.HIGH, "denied, unauthorized, unauthorised, intrusion, attack, ddos, malware"),
    # It may come to hurt: look today.
    (Severity.MEDIUM, "warn, warning, degraded, latency, latencies, slow, slowness, response time, duration, anomaly"),
    (Severity.MEDIUM, "throttle, throttles, throttled, throttling, rate limit, rate limited, too many requests, 4 xx"),
    (Severity.MEDIUM, "cpu, memory, load, disk, swap, iops, credit, credits, storage"),
    (Severity.MEDIUM, "connection, connections, queue, queues, backlog, lag, lagging, delay, delayed, age"),
    (Severity.MEDIUM, "retry, retries, restart, restarts, restarted, restarting, rollback, pending, expires, expiring"),
    # Good to know.
    (Severity.LOW, "usage, budget, billing, cost, costs, estimated charges, quota"),
    (Severity.LOW, "info, information, informational, notice, maintenance, scheduled, reminder"),
    (Severity.LOW, "success, successful, successfully, succeeded, completed"),
)
"""Words and phrases, in any case. The first row that has one of an alarm's phrases decides.

Words are heard with CamelCase, digits and joints taken apart: "HTTPCode_5XX" is "http code 5 xx".
"""

NEUTRAL = (
    "non critical, not critical, no errors, no error, 0 errors, without error, without errors, no data loss, "
    "scale down, scaled down, scaling down, slow down, slowed down, shut down, shutting down, cool down, drop down"
)
"""Phrases that sound worse than they are; they are passed over."""

PLACES = r"""
      ^ [\[(]? (?: dev | develop(?:ment)? | test(?:ing)? | qa | uat | staging | stage | stg | sandbox | demo ) [-_/.\]:]
    | ^ (?: \S+ [-_/.] )? (?: dev | develop(?:ment)? | test | qa | uat | staging | stg | sandbox ) $
    | ^ \S+ [-_.] (?: dev | staging | stg | sandbox ) [-_.] \S+ $
"""
"""Names of places where nobody is hurt: LOW, whatever happens there."""

WORDS: dict[Severity, str] = {
    Severity.CRITICAL: "critical crit fatal emergency emerg disaster page panic alert blocker highest severe urgent "
    "p0 p1 sev0 sev1 s0 s1 severity0 severity1 priority1 0 1 60 critical1",
    Severity.HIGH: "high error err major failure failed p2 sev2 s2 severity2 priority2 2 50 important",
    Severity.MEDIUM: "medium med moderate warning warn average minor normal p3 sev3 s3 severity3 priority3 3 40",
    Severity.LOW: "low info information informational notice debug trace verbose lowest trivial none "
    "p4 p5 sev4 sev5 s4 s5 severity4 severity5 priority4 priority5 4 5 10 20 30",
}
"""What senders call them: words, P1 to P5, sev1 to sev5, 1 to 5, and the numeric levels of JSON loggers."""

_BY_WORD = {word: severity for severity, words in WORDS.items() for word in words.split()}

_STATED = re.compile(
    r"""
    \b(?:severity|priority|urgency|sev|prio) \s* [:=] \s* ["']? (?P<said> [a-z]+[-\ ]?[0-9]? | [0-5]\b )
    | (?: ^ | [\s\[(_|-] ) (?P<mark> (?:p|sev-?|severity[- ]?) [0-5] ) (?= $ | [\s\])_:,|-] )
    | [\[(] \s* (?P<tag> critical|crit|fatal|high|major|error|medium|warning|warn|minor|low|info ) \s* [\])]
    | ^ (?P<head> critical|crit|fatal|warning|warn|info ) \s* [:|]
    | [-_/] (?P<tail> critical|crit|warning|warn|info ) $
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_PLACES = re.compile(PLACES, re.IGNORECASE | re.VERBOSE)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LONGEST = 2000


@lru_cache(maxsize=1024)
def read_severity(word: str) -> Severity | None:
    """A sender's own level ("warn", "P1", "sev-2", "3", "1 - Critical"), or None if it isn't known."""
    plain = "".join(letter for letter in word.lower().removesuffix(".0") if letter.isalnum())
    if plain in _BY_WORD:
        return _BY_WORD[plain]
    parts = re.split(r"[^a-z0-9]+", word.lower())
    return next((_BY_WORD[part] for part in parts if part in _BY_WORD), None) if len(word) <= 40 else None


def stated(words: str) -> Severity | None:
    """A level that somebody wrote into a name or a description: "[P1] …", "severity: high", "cpu-critical"."""
    return _stated(words[:_LONGEST])


@lru_cache(maxsize=512)
def _stated(words: str) -> Severity | None:
    levels = (read_severity(found[found.lastgroup or 0]) for found in _STATED.finditer(words))
    return next(filter(None, levels), None)


def judge(*words: str, rules: tuple[SeverityRule, ...] = ()) -> Severity | None:
    """What the rules say of an alarm's words: the user's, then ``PLACES`` and ``SHIPPED``; the first match decides.

    A user's pattern is looked for in the words as they were sent, one to a line, and in a last line that has all of
    them taken apart ("high cpu utilization").
    """
    return _judge(tuple(word[:_LONGEST] for word in words if word), rules)


def ruled(*words: str, rules: tuple[SeverityRule, ...] = ()) -> Severity | None:
    """What the user's rules and ``PLACES`` say; for events whose kind is known, so that single words decide nothing."""
    return _ruled(tuple(word[:_LONGEST] for word in words if word), rules)


@lru_cache(maxsize=512)
def _judge(words: tuple[str, ...], rules: tuple[SeverityRule, ...]) -> Severity | None:
    return _ruled(words, rules) or _worst(_spoken("\n".join(words)))


@lru_cache(maxsize=512)
def _ruled(words: tuple[str, ...], rules: tuple[SeverityRule, ...]) -> Severity | None:
    sent = "\n".join(words)
    heard = f"{sent}\n{' '.join(_spoken(sent))}" if rules else ""
    found = next((rule.severity for rule in rules if pattern_of(rule).search(heard)), None)
    return found or (Severity.LOW if any(_PLACES.search(word) for word in words) else None)


def _spoken(sent: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(sent)]


@lru_cache(maxsize=512)
def pattern_of(rule: SeverityRule) -> re.Pattern[str]:
    """The compiled pattern; raises ``re.error``, so that a configuration can be checked when it is read."""
    return re.compile(rule.pattern, re.IGNORECASE | re.MULTILINE)


def _worst(spoken: list[str]) -> Severity | None:
    row, at = len(SHIPPED), 0
    while at < len(spoken):
        length = 1
        for phrase, phrase_row in _PHRASES.get(spoken[at], ()):
            if spoken[at : at + len(phrase)] == phrase:
                row, length = min(row, phrase_row), len(phrase) if phrase_row == _PASSED_OVER else 1
                break
        at += length
    return SHIPPED[row][0] if row < len(SHIPPED) else None


_PASSED_OVER = len(SHIPPED)


def _by_first_word() -> dict[str, list[tuple[list[str], int]]]:
    """First word -> phrases and their rows; what is passed over comes first, then row by row."""
    rows = [(NEUTRAL, _PASSED_OVER), *((phrases, row) for row, (_, phrases) in enumerate(SHIPPED))]
    index: dict[str, list[tuple[list[str], int]]] = {}
    for phrases, row in rows:
        for phrase in phrases.split(", "):
            words = phrase.split()
            index.setdefault(words[0], []).append((words, row))
    return index


_PHRASES = _by_first_word()
