"""Who hears of what: patterns, hours of the week, the order of routes, and what is hardly meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mcp_responder.model.alert import Severity
from mcp_responder.model.incident import Incident
from mcp_responder.pipeline.route import Routes, Rule, everyone, read_hours

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
CHANNELS = ("slack", "mail", "pager")


def incident(severity: Severity = Severity.HIGH, at: datetime = MONDAY, **fields: object) -> Incident:
    facts = {"source": "grafana", "service": "payments-api", "environment": "production", "resource": "", "title": "x"}
    return Incident(
        **{"incident_id": "i", "identity": "i", "signature": "s", **facts, **fields},
        severity=severity,
        opened_at=at,
        news_at=at,
    )


def at(day: int, clock: str) -> datetime:
    """A moment of the week that begins on ``MONDAY``, in UTC."""
    hours, minutes = map(int, clock.split(":"))
    return MONDAY + timedelta(days=day, hours=hours, minutes=minutes)


@pytest.mark.parametrize(
    ("text", "day", "clock", "covered"),
    [
        ("Mon-Fri 09:00-18:00", 0, "08:59", False),
        ("Mon-Fri 09:00-18:00", 0, "09:00", True),
        ("Mon-Fri 09:00-18:00", 4, "17:59", True),
        ("Mon-Fri 09:00-18:00", 4, "18:00", False),
        ("Mon-Fri 09:00-18:00", 5, "12:00", False),
        ("09:00-18:00", 6, "12:00", True),
        ("sat,SUN 00:00-24:00", 5, "00:00", True),
        ("sat,sun 00:00-24:00", 6, "23:59", True),
        ("sat,sun 00:00-24:00", 0, "00:00", False),
        ("Fri-Mon 8:00-9:00", 0, "08:30", True),
        ("Fri-Mon 8:00-9:00", 1, "08:30", False),
        ("Fri 22:00-06:00", 4, "23:00", True),
        ("Fri 22:00-06:00", 5, "05:59", True),
        ("Fri 22:00-06:00", 5, "06:00", False),
        ("Fri 22:00-06:00", 4, "05:00", False),
        ("Mon-Fri 09:00-18:00 Europe/Berlin", 0, "08:00", True),
        ("Mon-Fri 09:00-18:00 Europe/Berlin", 0, "17:00", False),
        ("Mon-Fri 09:00-18:00 Europe/Berlin", 100 * 7, "07:00", False),
        ("Mon 00:00-24:00 Asia/Tokyo", -1, "15:00", True),
    ],
)
def test_hours_are_those_of_the_week_in_their_zone(text: str, day: int, clock: str, covered: bool) -> None:
    assert read_hours(text).covers(at(day, clock)) is covered


def test_hours_follow_the_change_to_summer_time() -> None:
    hours = read_hours("09:00-10:00 Europe/Berlin")
    assert hours.covers(datetime(2026, 3, 28, 8, 30, tzinfo=UTC))
    assert hours.covers(datetime(2026, 3, 29, 7, 30, tzinfo=UTC))
    assert not hours.covers(datetime(2026, 3, 29, 8, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "can't be read"),
        ("Mon-Fri", "can't be read"),
        ("9-18", "can't be read"),
        ("Mox 09:00-18:00", "no day of the week"),
        ("Mon-Tue-Wed 09:00-18:00", "no day of the week"),
        ("09:00-25:00", "no time of a day"),
        ("09:60-10:00", "no time of a day"),
        ("09:00-09:00", "begins when it ends"),
        ("09:00-18:00 Mars/Olympus", "no time zone 'Mars/Olympus'"),
        ("09:00-18:00 ../../etc/passwd", "no time zone"),
    ],
)
def test_hours_that_cant_be_read_are_told_why(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_hours(text)


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule(), True),
        (Rule(severities=frozenset({Severity.CRITICAL})), False),
        (Rule(patterns={"service": ("payments-*",)}), True),
        (Rule(patterns={"service": ("PAYMENTS-???",)}), True),
        (Rule(patterns={"service": ("search", "pay*")}), True),
        (Rule(patterns={"service": ("pay",)}), False),
        (Rule(patterns={"source": ("grafana",), "environment": ("staging",)}), False),
        (Rule(labels={"team": ("core",)}), True),
        (Rule(labels={"team": ("core",), "tier": ("*",)}), True),
        (Rule(labels={"tier": ("?*",)}), False),
        (Rule(hours=(read_hours("Mon 00:00-01:00"),)), True),
        (Rule(hours=(read_hours("Tue 00:00-01:00"), read_hours("Mon 00:00-01:00"))), True),
        (Rule(hours=(read_hours("Tue 00:00-01:00"),)), False),
    ],
)
def test_a_route_fits_when_all_that_it_names_fits(rule: Rule, fits: bool) -> None:
    assert rule.fits(incident(labels={"team": "core"})) is fits


def test_the_first_route_that_fits_decides_unless_it_goes_on() -> None:
    high = frozenset({Severity.HIGH})
    routes = Routes(
        [
            Rule(severities=frozenset({Severity.LOW}), channels=("mail",)),
            Rule(severities=high, channels=("pager", "slack"), fallback=("mail",), goes_on=True),
            Rule(severities=high, channels=("slack",)),
            Rule(channels=("mail",)),
        ],
        CHANNELS,
    )
    assert routes(incident()) == ("pager", "slack")
    assert routes.fallback(incident()) == ("mail",)
    assert routes(incident(Severity.LOW)) == ("mail",)
    assert routes(incident(Severity.MEDIUM)) == ("mail",)


def test_without_routes_everybody_hears_of_everything() -> None:
    assert everyone(CHANNELS)(incident(Severity.LOW)) == CHANNELS
    assert list(Routes((), CHANNELS).doubts()) == []


def test_what_fits_no_route_is_told_to_nobody() -> None:
    assert Routes([Rule(patterns={"service": ("search",)}, channels=("slack",))], CHANNELS)(incident()) == ()


def test_who_was_told_hears_how_it_goes_on() -> None:
    night = Rule(hours=(read_hours("18:00-09:00"),), channels=("pager",))
    routes = Routes([night, Rule(channels=("slack",))], CHANNELS)
    assert routes(incident(channels=("slack", "gone"))) == ("pager", "slack")


def test_what_is_hardly_meant_is_said() -> None:
    routes = Routes(
        [
            Rule(severities=frozenset({Severity.CRITICAL, Severity.HIGH}), channels=("slack",)),
            Rule(severities=frozenset({Severity.HIGH}), patterns={"service": ("x",)}, channels=("mail",)),
            Rule(severities=frozenset({Severity.MEDIUM}), hours=(read_hours("9:00-18:00"),), channels=("mail",)),
        ],
        CHANNELS,
    )
    doubts = list(routes.doubts())
    assert [doubt.split(" ")[0] for doubt in doubts] == ["routes[1]", "MEDIUM:", "LOW:", "channels.pager:"]
    assert "routes[0] takes all" in doubts[0]


def test_routes_that_cover_everything_leave_no_doubt() -> None:
    assert list(Routes([Rule(channels=("mail", "slack"), fallback=("pager",))], CHANNELS).doubts()) == []
