"""What can be asked of the store: lists with filters and cursors, and patterns over time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mcp_responder.model import incident as changes
from mcp_responder.model.alert import Severity, Status
from mcp_responder.model.errors import InvalidRequest, NotFound
from mcp_responder.model.incident import IncidentStatus
from mcp_responder.ports import Commit, HourCount, Query
from tests.contract.alarms import Sender, Store, digest
from tests.contract.clock import START, FakeClock


def titles(store: Store, **query: object) -> list[str]:
    return [record.alert.title for record in store.alerts(Query(**query)).items]


def incident_titles(store: Store, **query: object) -> list[str]:
    return [record.incident.title for record in store.incidents(Query(**query)).items]


# --------------------------------------------------------------------------------------------------------------- one


@pytest.mark.parametrize("name", ["", "nonsense", digest("nobody"), "é", "12", "' OR 1=1 --"])
def test_an_alert_that_is_not_there_is_not_found(store: Store, name: str) -> None:
    with pytest.raises(NotFound):
        store.alert(name)


def test_an_incident_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.incident("inc_none")


def test_an_alert_tells_its_incident_and_how_that_stands(sender: Sender, store: Store) -> None:
    incident = sender.opens()
    merged = sender.fires()
    sender.resolves()
    record = store.alert(merged.alert_id)
    assert record.incident_id == incident.incident_id
    assert record.incident_status is IncidentStatus.RESOLVED
    assert record.settled_at == START


# ------------------------------------------------------------------------------------------------------------- filters


@pytest.fixture
def three(sender: Sender, store: Store, clock: FakeClock) -> Store:
    sender.fires(title="Queue is long", source="grafana", service="mail", severity=Severity.LOW)
    clock.advance(minutes=10)
    sender.fires(title="Disk is full", source="cloudwatch", service="search", severity=Severity.CRITICAL)
    clock.advance(minutes=10)
    sender.fires(title="Deploy is done", source="github", service="search", status=Status.INFO)
    return store


def test_alerts_are_listed_newest_first(three: Store) -> None:
    assert titles(three) == ["Deploy is done", "Disk is full", "Queue is long"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "firing"}, ["Disk is full", "Queue is long"]),
        ({"status": "info"}, ["Deploy is done"]),
        ({"severity": Severity.LOW}, ["Queue is long"]),
        ({"source": "github"}, ["Deploy is done"]),
        ({"service": "search"}, ["Deploy is done", "Disk is full"]),
        ({"service": "search", "status": "firing"}, ["Disk is full"]),
        ({"since": START + timedelta(minutes=10)}, ["Deploy is done", "Disk is full"]),
        ({"until": START + timedelta(minutes=10)}, ["Queue is long"]),
        ({"since": START, "until": START + timedelta(minutes=20)}, ["Disk is full", "Queue is long"]),
        ({"since": START + timedelta(minutes=10, milliseconds=1)}, ["Deploy is done"]),
        ({"until": START + timedelta(minutes=10, milliseconds=1)}, ["Disk is full", "Queue is long"]),
        ({"words": ("is", "full")}, ["Disk is full"]),
        ({"words": ("search",)}, ["Deploy is done", "Disk is full"]),
        ({"words": ("search",), "severity": Severity.CRITICAL}, ["Disk is full"]),
        ({"source": "nobody"}, []),
        ({"service": "sear"}, []),
        ({"incident_id": "inc_none"}, []),
    ],
)
def test_each_filter_of_alerts(three: Store, query: dict[str, object], expected: list[str]) -> None:
    assert titles(three, **query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["Disk is full", "Queue is long"]),
        ({"status": "open"}, ["Disk is full", "Queue is long"]),
        ({"status": "resolved"}, []),
        ({"severity": Severity.CRITICAL}, ["Disk is full"]),
        ({"source": "grafana"}, ["Queue is long"]),
        ({"service": "search"}, ["Disk is full"]),
        ({"since": START + timedelta(minutes=10)}, ["Disk is full"]),
        ({"until": START + timedelta(minutes=10)}, ["Queue is long"]),
        ({"words": ("QUEUE",)}, ["Queue is long"]),
    ],
)
def test_each_filter_of_incidents(three: Store, query: dict[str, object], expected: list[str]) -> None:
    assert incident_titles(three, **query) == expected


def test_incidents_are_filtered_by_their_present_status(sender: Sender, store: Store, clock: FakeClock) -> None:
    first = sender.opens(service="a")
    second = sender.opens(service="b")
    third = sender.opens(service="c")
    store.commit(Commit(incident=changes.acknowledge(first, "kim", clock()).incident))
    store.commit(Commit(incident=changes.resolve(second, "kim", clock()).incident))
    for status, incident in (("acknowledged", first), ("resolved", second), ("open", third)):
        (record,) = store.incidents(Query(status=status)).items
        assert record.incident.incident_id == incident.incident_id


def test_alerts_of_one_incident(sender: Sender, store: Store) -> None:
    incident = sender.opens(service="a")
    merged = sender.fires(service="a")
    sender.opens(service="b")
    found = store.alerts(Query(incident_id=incident.incident_id)).items
    assert [record.alert.alert_id for record in found] == [merged.alert_id, incident.alert_id]


# --------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("title", "words", "found"),
    [
        ("Disk is full", ("disk",), True),
        ("Disk is full", ("DISK", "Full"), True),
        ("Disk is full", ("full", "disk"), True),
        ("Disk is full", ("dis",), False),
        ("Disk is full", ("isk",), False),
        ("Disk is full", ("disk", "empty"), False),
        ("ÜBERLAUF im Straßennetz", ("überlauf",), True),
        ("Überlauf im Straßennetz", ("STRASSENNETZ",), True),
        ("Überlauf im STRASSENNETZ", ("straßennetz",), True),
        ("Überlauf", ("uberlauf",), False),
        ("ОШИБКА базы", ("ошибка",), True),
        ("数据库 故障", ("故障",), True),
        ("Temperature above 300 \u212a", ("k",), True),
        ("Usage 100%", ("100%",), True),
        ("Usage 1000", ("100%",), False),
        ("Usage 1000", ("100",), False),
        ("Usage 1000", ("%",), False),
        ("Usage 1000", ("_____",), False),
        ("disk_full", ("disk_full",), True),
        ("disk-full", ("disk_full",), False),
        ("diskXfull", ("disk_full",), False),
        ("disk-full", ("disk",), True),
        ("disk-full", ("disk-full",), True),
        ("payment - api", ("payment", "-", "api"), True),
        ("C:\\temp is full", ("\\temp",), True),
        ("it's", ("'",), False),
        ('it\'s "quoted"', ('"quoted"',), True),
        ("Disk is full", ("",), False),
    ],
)
def test_words_are_whole_words_in_any_case(
    sender: Sender, store: Store, title: str, words: tuple[str, ...], found: bool
) -> None:
    sender.fires(title=title, service="", resource="")
    assert titles(store, words=words) == ([title] if found else [])
    assert incident_titles(store, words=words) == ([title] if found else [])


def test_words_may_stand_in_title_service_or_resource(sender: Sender, store: Store) -> None:
    sender.fires(title="Disk is full", service="Search-API", resource="i-0abc/vol1", message="secret")
    assert titles(store, words=("disk", "search", "vol1")) == ["Disk is full"]
    assert titles(store, words=("secret",)) == []
    assert titles(store, words=("fullsearch",)) == []


def test_words_are_looked_for_beyond_the_first_page(sender: Sender, store: Store) -> None:
    sender.fires(title="needle")
    for number in range(60):
        sender.fires(title=f"hay {number}")
    page = store.alerts(Query(words=("needle",), limit=1))
    assert [record.alert.title for record in page.items] == ["needle"]
    assert page.next is None


# ------------------------------------------------------------------------------------------------------------- cursors


def test_a_cursor_walks_everything_once_while_new_ones_come_in(sender: Sender, store: Store) -> None:
    before = [sender.fires(service=f"s{number}").alert_id for number in range(95)]
    walked: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = store.alerts(Query(limit=10, cursor=cursor))
        walked += [record.alert.alert_id for record in page.items]
        cursor = page.next
        sender.fires(service="new")
    assert walked == before[::-1]


def test_a_cursor_walks_what_a_filter_leaves(sender: Sender, store: Store) -> None:
    for number in range(30):
        sender.opens(service=f"s{number}", severity=Severity.HIGH if number % 3 else Severity.LOW)
    walked: list[str] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        page = store.incidents(Query(limit=5, cursor=cursor, severity=Severity.LOW))
        walked += [record.incident.service for record in page.items]
        cursor, pages = page.next, pages + 1
    assert walked == [f"s{number}" for number in range(27, -1, -3)]
    assert pages == 2


def test_a_page_that_holds_all_has_no_next(sender: Sender, store: Store) -> None:
    for _ in range(3):
        sender.fires()
    assert store.alerts(Query(limit=3)).next is None
    assert store.alerts(Query(limit=2)).next is not None


@pytest.mark.parametrize("cursor", ["!", "-1", "+1", " 1", "1_0", "é", "٣", "9" * 40, "1; DROP TABLE alerts"])
def test_a_cursor_of_somebody_elses_making_is_refused(sender: Sender, store: Store, cursor: str) -> None:
    sender.fires()
    for ask in (store.alerts, store.incidents):
        with pytest.raises(InvalidRequest) as refused:
            ask(Query(cursor=cursor))
        assert (refused.value.status, refused.value.code) == (422, "bad_cursor")


# ------------------------------------------------------------------------------------------------------------ patterns


def test_history_counts_firings_by_the_hour_oldest_first(sender: Sender, store: Store, clock: FakeClock) -> None:
    for _ in range(3):
        sender.fires(title="Disk is full")
    sender.fires(title="Queue is long")
    sender.resolves(title="Disk is full")
    clock.advance(hours=2, minutes=59)
    sender.fires(title="Disk is full", service="other", severity=Severity.LOW)
    clock.advance(minutes=1)
    sender.fires(title="Disk is full")
    assert store.history(digest("Disk is full"), START) == (
        HourCount(hour=START, count=3),
        HourCount(hour=START + timedelta(hours=2), count=1),
        HourCount(hour=START + timedelta(hours=3), count=1),
    )
    assert [h.count for h in store.history(digest("Disk is full"), START + timedelta(hours=2))] == [1, 1]
    assert store.history(digest("Nothing"), START) == ()


def test_history_does_not_count_repeats(sender: Sender, store: Store) -> None:
    sender.fires(name="event", title="Disk is full")
    sender.fires(name="event", title="Disk is full")
    assert store.history(digest("Disk is full"), START) == (HourCount(hour=START, count=1),)


def test_similar_clusters_by_signature_and_service_largest_first(
    sender: Sender, store: Store, clock: FakeClock
) -> None:
    sender.fires(title="Too old", service="web")
    clock.advance(hours=2)
    for _ in range(3):
        sender.fires(title="Disk is full", service="search")
    clock.advance(hours=1)
    for _ in range(2):
        sender.fires(title="Disk is full", service="mail")
    sender.fires(title="Queue is long", service="mail")
    sender.fires(title="Queue is long", service="mail", severity=Severity.LOW)
    clusters = store.similar(Severity.HIGH, START + timedelta(hours=2), 10)
    assert [(c.title, c.service, c.count, c.incidents) for c in clusters] == [
        ("Disk is full", "search", 3, 1),
        ("Disk is full", "mail", 2, 1),
        ("Queue is long", "mail", 1, 1),
    ]
    assert clusters[0].signature == digest("Disk is full")
    assert clusters[0].last_seen == START + timedelta(hours=2)
    assert store.similar(Severity.HIGH, START + timedelta(hours=2), 2) == clusters[:2]
    assert store.similar(Severity.MEDIUM, START, 10) == ()


def test_similar_counts_the_incidents_of_a_cluster(sender: Sender, store: Store, clock: FakeClock) -> None:
    sender.opens()
    sender.resolves()
    clock.advance(minutes=31)
    sender.opens()
    (cluster,) = store.similar(Severity.HIGH, START, 10)
    assert (cluster.count, cluster.incidents) == (2, 2)
