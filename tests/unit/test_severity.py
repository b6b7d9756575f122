"""How bad it is, when nobody says so."""

from __future__ import annotations

import re

import pytest

from mcp_responder.model.alert import Severity
from mcp_responder.model.severity import SHIPPED, SeverityRule, judge, pattern_of, read_severity, stated

CRITICAL, HIGH, MEDIUM, LOW = Severity


@pytest.mark.parametrize(
    ("words", "severity"),
    [
        ("Outage of the payment provider", CRITICAL),
        ("checkout is down", CRITICAL),
        ("KubeAPIDown", CRITICAL),
        ("HostUnreachable", CRITICAL),
        ("orders-db: no space left on device", CRITICAL),
        ("TLS certificate has expired", CRITICAL),
        ("possible data loss on shard 3", CRITICAL),
        ("HTTPCode_ELB_5XX_Count", HIGH),
        ("api-5xx", HIGH),
        ("pod OOMKilled", HIGH),
        ("RDS failover", HIGH),
        ("UnHealthyHostCount", HIGH),
        ("orders-dlq", HIGH),
        ("FreeStorageSpace", HIGH),
        ("StatusCheckFailed_System", HIGH),
        ("PaymentTimeouts", HIGH),
        ("ServerCpuTooHigh", MEDIUM),
        ("api p99 latency", MEDIUM),
        ("ThrottledRequests", MEDIUM),
        ("ApproximateAgeOfOldestMessage", MEDIUM),
        ("DatabaseConnections", MEDIUM),
        ("monthly budget", LOW),
        ("AWS/Usage CallCount", LOW),
        ("EstimatedCharges", LOW),
        ("scheduled maintenance", LOW),
        ("dev-orders-db-cpu", LOW),
        ("orders-api-5xx-staging", LOW),
        ("my.sandbox.api-down", LOW),
        ("something odd", None),
        ("latest-build", None),
        ("", None),
    ],
)
def test_words(words: str, severity: Severity | None) -> None:
    assert judge(words) is severity


@pytest.mark.parametrize("words", ["no errors found", "non-critical job", "scale-down of workers", "shutting down"])
def test_phrases_that_sound_worse_than_they_are(words: str) -> None:
    assert judge(words) is None


@pytest.mark.parametrize("words", ["/dev/sda1 is full: disk full", "Contest page is down"])
def test_places_are_recognised_only_as_places(words: str) -> None:
    assert judge(words) is CRITICAL


def test_the_worst_word_decides_wherever_it_stands() -> None:
    assert judge("orders-latency", "the database is unavailable", "Latency") is CRITICAL


def test_the_users_rules_come_first_and_in_their_order() -> None:
    rules = (
        SeverityRule(pattern=r"^orders-", severity=LOW),
        SeverityRule(pattern=r"high cpu", severity=HIGH),
        SeverityRule(pattern=r"cpu", severity=CRITICAL),
    )
    assert judge("orders-db is down", rules=rules) is LOW
    assert judge("HighCPUUtilization", rules=rules) is HIGH
    assert judge("CPU", rules=rules) is CRITICAL
    assert judge("something is down", rules=rules) is CRITICAL


def test_a_pattern_that_is_no_pattern_is_found_when_it_is_read() -> None:
    with pytest.raises(re.error):
        pattern_of(SeverityRule(pattern="(", severity=LOW))


@pytest.mark.parametrize(
    ("words", "severity"),
    [
        ("[P1] Checkout", CRITICAL),
        ("Checkout (P2)", HIGH),
        ("SEV3: Checkout", MEDIUM),
        ("severity: high", HIGH),
        ("Runbook: x. Severity = Critical.", CRITICAL),
        ("priority: 4", LOW),
        ("checkout-cpu-critical", CRITICAL),
        ("checkout-cpu-warning", MEDIUM),
        ("CRITICAL: disk", CRITICAL),
        ("[warning] disk", MEDIUM),
        ("p99 latency of p3.2xlarge", None),
        ("severity: unknown", None),
        ("Checkout", None),
    ],
)
def test_what_a_name_states(words: str, severity: Severity | None) -> None:
    assert stated(words) is severity


@pytest.mark.parametrize(
    ("word", "severity"),
    [("P1", CRITICAL), ("sev 2", HIGH), ("3 - Moderate", MEDIUM), ("Informational", LOW), ("50", HIGH), ("blue", None)],
)
def test_senders_levels(word: str, severity: Severity | None) -> None:
    assert read_severity(word) is severity


def test_the_shipped_table_goes_from_bad_to_good_and_says_nothing_twice() -> None:
    ranks = [severity.rank for severity, _ in SHIPPED]
    phrases = [phrase for _, row in SHIPPED for phrase in row.split(", ")]
    assert ranks == sorted(ranks)
    assert len(phrases) == len(set(phrases))
    assert all(phrase == phrase.lower().strip() for phrase in phrases)
