"""What is particular to e-mail: the thread, the headers, the two parts, the settings. A real server takes the mails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_responder.channels import _mail_html, _mail_text
from mcp_responder.channels._mail_letter import MOST_ITEMS, letter, web_address
from mcp_responder.channels._mail_message import Envelope, Told, address, build
from mcp_responder.channels.mail import INFO, KIND, Mail
from mcp_responder.model.alert import Link, Severity
from mcp_responder.model.incident import Event, IncidentStatus, TimelineEntry, summary
from mcp_responder.model.message import Digest, Message, Receipt
from mcp_responder.ports import Delivered

from .conformance import HOSTILE
from .mail_server import CERTIFICATE, PASSWORD, USER, MailServer, mail_server
from .messages import NEWS, NOW, PAGE, a_message, a_message_of, an_analysis, an_incident, receipt_of

ENVELOPE = Envelope(
    sender=address("Responder <responder@example.com>"),
    to=(address("ops@example.com"), address("Ann <ann@example.com>")),
)
VOID = {"meta", "br"}
TAGS = VOID | {"html", "head", "title", "style", "body", "div", "table", "tr", "td", "p", "h1", "h2"}
TAGS |= {"a", "b", "span", "pre", "blockquote"}


def table_for(server: MailServer, **changes: object) -> dict[str, object]:
    """Settings for this server."""
    return {
        "host": "localhost",
        "port": server.port,
        "ca_file": CERTIFICATE,
        "user": USER,
        "password": PASSWORD,
        "sender": "Responder <responder@example.com>",
        "to": ["ops@example.com", "Ann <ann@example.com>"],
        **changes,
    }


def mail_channel(server: MailServer, **changes: object) -> Mail:
    read = KIND.read(table_for(server, **changes))
    return Mail("night", read.server, read.envelope, lambda: NOW)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def mail(server: MailServer) -> Mail:
    return mail_channel(server)


def built(message: Message, previous: Receipt | None = None) -> EmailMessage:
    return build(message, previous, ENVELOPE, NOW)[0]


def text_of(mail: EmailMessage) -> str:
    return _part(mail, "plain")


def html_of(mail: EmailMessage) -> str:
    return _part(mail, "html")


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def plain(text: str) -> str:
    return " ".join(text.split())


# ---------------------------------------------------------------------------------------------------------- the thread


def test_a_page_its_report_and_its_end_are_one_thread_in_the_mailbox(mail: Mail, server: MailServer) -> None:
    page = a_message(Event.OPENED)
    report = a_message(Event.ANALYZED, analysis=an_analysis())
    end = a_message(Event.RESOLVED, analysis=an_analysis())
    receipt = None
    for message in (page, report, end):
        receipt = receipt_of(message, mail.deliver(message, receipt))
    first, second, third = server.mails
    stem = "[CRITICAL] payments-api: Connection pool exhausted on db-primary"
    assert [one["Subject"] for one in (first, second, third)] == [stem, f"Re: {stem}", f"Re: {stem}"]
    assert first["In-Reply-To"] is None
    assert second["In-Reply-To"] == third["In-Reply-To"] == first["Message-ID"]
    assert len({one["Message-ID"] for one in server.mails}) == 3
    for reply in (second, third):
        assert reply["References"].split()[-1] == first["Message-ID"]
    assert "Being looked into" in text_of(first)
    assert "A deploy at 03:05 removed the index" in plain(text_of(second))
    assert "Resolved by ann after 4 min" in text_of(third)


def test_another_try_has_the_same_message_id_and_other_news_another() -> None:
    assert built(a_message())["Message-ID"] == built(a_message(doubtful=True))["Message-ID"]
    assert built(a_message())["Message-ID"] != built(a_message(Event.RESOLVED))["Message-ID"]


def test_the_thread_holds_where_the_receipt_of_the_first_mail_was_lost() -> None:
    lost, next_one = built(a_message()), built(a_message(Event.RESOLVED))
    assert next_one["In-Reply-To"] is None
    assert lost["References"] == next_one["References"]


def test_two_incidents_are_two_threads() -> None:
    other = a_message(incident=msgspec.structs.replace(an_incident(), incident_id="INC-8"))
    assert built(other)["References"] != built(a_message())["References"]


def test_any_id_is_fit_for_a_message_id() -> None:
    message = a_message(delivery_id="INC 7.night <shift>@home\r\nBcc: eve@example.com.1")
    assert re.fullmatch(r"<[A-Za-z0-9%._~-]+@example\.com>", built(message)["Message-ID"])


def test_an_analysis_that_was_overtaken_by_the_end_is_told_with_it() -> None:
    previous = receipt_of(a_message(), Delivered(reference=built(a_message())["Message-ID"]))
    end, told = build(a_message(Event.RESOLVED, analysis=an_analysis()), previous, ENVELOPE, NOW)
    assert "deployctl rollback payments" in text_of(end)
    assert told.analysis == NOW.isoformat()


def test_an_analysis_that_was_told_is_one_line_of_the_end() -> None:
    report, told = build(a_message(Event.ANALYZED, analysis=an_analysis()), None, ENVELOPE, NOW)
    previous = receipt_of(a_message(Event.ANALYZED), Delivered(reference=told.reference))
    end = built(a_message(Event.RESOLVED, analysis=an_analysis()), previous)
    assert "deployctl" in text_of(report)
    assert "deployctl" not in text_of(end)
    assert "removed the index" in plain(text_of(end))


def test_what_becomes_worse_is_told_whole_again() -> None:
    told = Told("<first@example.com>", NOW.isoformat())
    previous = receipt_of(a_message(), Delivered(reference=told.reference))
    assert "deployctl" in text_of(built(a_message(Event.ESCALATED, analysis=an_analysis()), previous))


# --------------------------------------------------------------------------------------------------------- the headers


@pytest.mark.parametrize(
    ("severity", "event", "priority"),
    [
        (Severity.CRITICAL, Event.OPENED, ("1 (Highest)", "high", "urgent")),
        (Severity.HIGH, Event.ANALYZED, ("2 (High)", "high", "urgent")),
        (Severity.MEDIUM, Event.ANALYZED, ("3 (Normal)", "normal", "normal")),
        (Severity.LOW, Event.REOPENED, ("5 (Lowest)", "low", "non-urgent")),
        (Severity.CRITICAL, Event.RESOLVED, ("3 (Normal)", "normal", "normal")),
        (Severity.CRITICAL, Event.ACKNOWLEDGED, ("3 (Normal)", "normal", "normal")),
    ],
)
def test_the_headers_say_how_urgent_it_is(severity: Severity, event: Event, priority: tuple[str, ...]) -> None:
    mail = built(a_message(event, incident=msgspec.structs.replace(an_incident(event), severity=severity)))
    assert (mail["X-Priority"], mail["Importance"], mail["Priority"]) == priority
    assert mail["Subject"].startswith(f"[{severity}] ")


def test_the_headers_are_those_of_a_robot_and_can_be_filtered_by(mail: Mail, server: MailServer) -> None:
    mail.deliver(a_message(Event.ACKNOWLEDGED), None)
    (taken,) = server.mails
    assert taken["From"] == "Responder <responder@example.com>"
    assert taken["To"] == "ops@example.com, Ann <ann@example.com>"
    assert taken["Date"].datetime == NOW
    assert taken["Auto-Submitted"] == "auto-generated"
    assert taken["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert taken["MIME-Version"] == "1.0"
    assert taken.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in taken.iter_parts()] == ["text/plain", "text/html"]
    marks = {name: taken[f"X-Responder-{name}"] for name in ("Incident", "Severity", "Status", "Event")}
    assert marks == {
        "Incident": "INC-7",
        "Severity": "CRITICAL",
        "Status": "acknowledged",
        "Event": "acknowledged",
    }
    assert not taken.defects


def test_answers_of_people_go_where_they_should(server: MailServer) -> None:
    mail_channel(server, reply_to="Ops <ops@example.com>").deliver(a_message(), None)
    assert server.mails[0]["Reply-To"] == "Ops <ops@example.com>"


@pytest.mark.parametrize(
    "title",
    [
        "one\r\nBcc: eve@example.com",
        "one\nBcc: eve@example.com",
        "one\rBcc: eve@example.com",
        "one\u2028Bcc: eve@example.com\x85\x0b\x0c\x1c\x1d\x1e",
        "=?utf-8?q?one=0D=0ABcc:_eve@example.com?=",
        "=?utf-8?b?b25lDQpCY2M6IGV2ZUBleGFtcGxlLmNvbQ==?=",
        "\ud800\x00\x1b[2J",
        "Größe 決済 👩‍💻 " * 30,
    ],
    ids=ascii,
)
def test_a_title_never_becomes_a_header(mail: Mail, server: MailServer, title: str) -> None:
    incident = msgspec.structs.replace(an_incident(title=title), service=title)
    mail.deliver(a_message(incident=incident), None)
    (taken,) = server.mails
    assert taken["Bcc"] is None
    assert set(taken.keys()) == set(built(a_message()).keys())
    assert server.envelopes[0][1] == ["ops@example.com", "ann@example.com"]
    assert len(taken["Subject"]) <= 250


def test_lines_are_as_long_as_mail_allows_and_in_ascii(mail: Mail, server: MailServer) -> None:
    mail.deliver(a_message_of("Größe 決済 👩‍💻 https://example.com/" + "x" * 3000), None)
    (raw,) = server.raw
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998


# ------------------------------------------------------------------------------------------------------- what is said

SAID = (
    "CRITICAL",
    "payments-api",
    "production",
    "Connection pool exhausted on db-primary",
    "Since 2026-11-22 03:08:09 UTC (4 min)",
    "14 alerts",
    "3 firing now",
    "All 20 connections of the pool are held",
    "A deploy at 03:05 removed the index that the order search needs.",
    "87% sure, resource exhaustion",
    "a long-running report holds a lock",
    "Payments fail for every fourth customer.",
    "1. Look at who holds the connections",
    "psql -c 'select * from pg_locks'",
    "risk: low",
    "deployctl rollback payments",
    "pool_in_use below 15 for ten minutes",
    "✓ The pool is used up.",
    "found in e1 Last 7 days",
    "pool 20/20",
    "? The deploy removed an index.",
    "unproven: not found in e2 Deploys",
    "no query plans were available",
    "Deploys: access was denied",
    "HIGH by the analysis: reads from the cache still work",
    "db-primary",
    "cloudwatch_alarm",
    "INC-7",
    "03:08:09 opened by cloudwatch_alarm",
    "Alarm",
    "console.example.com",
    "rules (no API key is configured)",
)


class Page(HTMLParser):
    """What a person sees of an HTML part, and what it is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self._seen: list[str] = []
        self.feed(html)
        self.close()

    @property
    def seen(self) -> str:
        return plain("".join(self._seen))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        self._seen.append(" " if tag in ("div", "p", "td", "h1", "h2", "pre", "blockquote", "br") else "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["title"]):
            self._seen.append(data)


@pytest.mark.parametrize("words", SAID)
def test_both_parts_say_all_of_it(words: str) -> None:
    mail = built(a_message(Event.ANALYZED, analysis=an_analysis()))
    assert words in plain(text_of(mail))
    assert words in Page(html_of(mail)).seen


@pytest.mark.parametrize("event", NEWS)
def test_both_parts_say_the_news(event: Event) -> None:
    words = {
        Event.OPENED: "New incident, reported by cloudwatch_alarm",
        Event.ESCALATED: "Escalated by ann: on it",
        Event.REPEATED: "Still firing",
        Event.ACKNOWLEDGED: "Acknowledged by ann: on it",
        Event.RESOLVED: "Resolved by ann after 4 min: on it",
        Event.REOPENED: "Reopened by ann: on it",
        Event.ANALYZED: "The analysis is made",
        Event.ANALYSIS_FAILED: "The analysis failed: on it",
    }[event]
    if event is Event.OPENED:
        mail = built(a_message(event, timeline=a_message().timeline[:1]))
    else:
        mail = built(a_message(event))
    assert words in plain(text_of(mail))
    assert words in Page(html_of(mail)).seen


def test_a_reminder_is_told_whole_and_is_urgent() -> None:
    incident = msgspec.structs.replace(an_incident(), event=Event.REMINDED)
    entry = TimelineEntry(at=NOW, event=Event.REMINDED, text="nobody has acknowledged it for 30 minutes")
    told = Told("<first@example.com>", NOW.isoformat())
    previous = receipt_of(a_message(), Delivered(reference=told.reference))
    message = a_message(incident=incident, analysis=an_analysis(), timeline=(entry,))
    mail = built(msgspec.structs.replace(message, event=Event.REMINDED), previous)
    assert mail["Importance"] == "high"
    assert "Reminder: nobody has acknowledged it for 30 minutes" in text_of(mail)
    assert "deployctl" in text_of(mail)


def test_both_parts_say_why_it_is_told_here() -> None:
    instead = "slack couldn't be reached since 10:02 UTC; told here instead."
    mail = built(a_message(instead=instead))
    assert instead in plain(text_of(mail))
    assert instead in Page(html_of(mail)).seen


def test_a_storm_is_one_mail_about_all_of_it() -> None:
    incidents = tuple(
        summary(msgspec.structs.replace(an_incident(title=f"Broken {n}"), incident_id=f"INC-{n}"), a_message().activity)
        for n in range(30)
    )
    first = a_message(digest=Digest(since=NOW, incidents=incidents[:2]))
    mail, told = build(first, None, ENVELOPE, NOW)
    later = a_message(digest=Digest(since=NOW, incidents=incidents), delivery_id="d-later")
    reply = built(later, receipt_of(first, Delivered(reference=told.reference)))
    assert mail["Subject"] == "[CRITICAL] Storm since 2026-11-22 03:12:09 UTC"
    assert reply["Subject"] == f"Re: {mail['Subject']}"
    assert reply["References"].split()[0] == mail["References"]
    for part in (plain(text_of(reply)), Page(html_of(reply)).seen):
        assert "30 incidents" in part
        assert "Broken 3" in part
        assert "and 22 more" in part


def test_lists_are_cut_and_say_so() -> None:
    mail = built(a_message_of("words", repeat=20))
    for part in (plain(text_of(mail)), Page(html_of(mail)).seen):
        assert f"... and {40 - MOST_ITEMS} more on the incident's page" in part
        assert f"... {20 - MOST_ITEMS} earlier on the incident's page" in part


def test_deliveries_are_not_what_anybody_did() -> None:
    entry = TimelineEntry(at=NOW, event=Event.DELIVERED, channel="slack", text="opened")
    assert "delivered" not in text_of(built(a_message(timeline=(*a_message().timeline, entry))))


def test_what_happened_on_another_day_is_told_with_the_date() -> None:
    entry = TimelineEntry(at=NOW + timedelta(days=1), event=Event.COMMENTED, by="ann", text="better now")
    assert "2026-11-23 03:12:09 commented by ann: better now" in text_of(built(a_message(timeline=(entry,))))


@pytest.mark.parametrize(
    ("seconds", "words"), [(35, "35 s"), (240, "4 min"), (4320, "1 h 12 min"), (7200, "2 h"), (266400, "3 d 2 h")]
)
def test_durations_are_in_words(seconds: int, words: str) -> None:
    opened = an_incident().opened_at
    end = opened + timedelta(seconds=seconds)
    resolved = msgspec.structs.replace(an_incident(Event.RESOLVED), resolved_at=end, status=IncidentStatus.RESOLVED)
    assert f"after {words}" in text_of(built(a_message(Event.RESOLVED, incident=resolved)))


def test_commands_can_be_copied_from_the_text_as_they_are() -> None:
    command = (
        "kubectl -n payments get pods \\\n  --selector app=payments-api,tier=backend,region=eu-central-1 --output wide"
    )
    analysis = an_analysis()
    step = msgspec.structs.replace(analysis.remediation[0], command=command)
    mail = built(a_message(analysis=msgspec.structs.replace(analysis, remediation=(step,))))
    assert all(line in text_of(mail).replace("\n" + " " * 9, "\n") for line in command.split("\n"))


def test_the_text_is_made_for_72_columns() -> None:
    lines = text_of(built(a_message(Event.ANALYZED, analysis=an_analysis()))).split("\n")
    assert max(map(len, lines)) <= _mail_text.COLUMNS
    assert "-- " in lines


# ------------------------------------------------------------------------------------------------------- the HTML part


def test_the_html_loads_nothing_and_runs_nothing() -> None:
    page = Page(html_of(built(a_message_of(HOSTILE, repeat=3))))
    assert {tag for tag, _ in page.tags} <= TAGS
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "background")]
        assert "url(" not in (attributes.get("style") or "")
    assert "@import" not in _mail_html._STYLE
    assert "url(" not in _mail_html._STYLE


def test_links_lead_to_the_web_only_and_show_their_host() -> None:
    links = (
        Link(name="Runbook", url="https://wiki.example.com/runbook?a=1&b=<2>"),
        Link(name="Good", url="https://wiki.example.com/runbook?a=1&b=2"),
        Link(name="Script", url="javascript:alert(1)"),
        Link(name="Data", url="data:text/html,<script>alert(1)</script>"),
        Link(name="https://console.aws.amazon.com", url="https://console.aws.amazon.com@evil.example/login"),
    )
    page = Page(html_of(built(a_message(links=links))))
    leads = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert leads == [
        PAGE,
        "https://wiki.example.com/runbook?a=1&b=2",
        "https://console.aws.amazon.com@evil.example/login",
    ]
    assert "Script · javascript:alert(1)" in page.seen
    assert "https://console.aws.amazon.com evil.example" in page.seen


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com",
        "ftp://example.com",
        "JavaScript:alert(1)",
        "https://",
        "http://[::1",
        "https://a b",
        "https://example.com/" + "x" * 3000,
        "https://example.com/\u202e",
        'https://example.com/"onclick="x',
        "file:///etc",
    ],
    ids=ascii,
)
def test_what_is_no_address_of_the_web_leads_nowhere(url: str) -> None:
    assert web_address(url) == ""


def test_without_a_page_there_is_no_button() -> None:
    assert "Open the incident" not in html_of(built(a_message(url="")))


def _contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", [_mail_html.LIGHT, _mail_html.DARK], ids=["light", "dark"])
def test_everything_can_be_read_by_day_and_by_night(colours: dict[str, str]) -> None:
    for ink in ("ink", "dim", "link"):
        assert _contrast(colours[ink], colours["card"]) >= 4.5
    assert _contrast(colours["ink"], colours["code"]) >= 7
    for bar in (*_mail_html.BARS.values(), _mail_html.RESOLVED_BAR):
        assert _contrast("#ffffff", bar) >= 4.5
    for warning in (_mail_html.WARNING_LIGHT, _mail_html.WARNING_DARK):
        assert _contrast(*warning) >= 7


def test_every_colour_by_day_has_one_by_night() -> None:
    html = html_of(built(a_message(Event.ANALYZED, analysis=an_analysis(), doubtful=True)))
    dark = _mail_html._STYLE.partition("@media (prefers-color-scheme:dark)")[2]
    for tag, attributes in Page(html).tags:
        style = attributes.get("style") or ""
        for colour in set(re.findall(r"(?<!-)color:(#\w+)|background-color:(#\w+)", style)):
            if "".join(colour) not in ("#ffffff", *_mail_html.BARS.values()):
                classes = (attributes.get("class") or "").split()
                assert any(f".{name}{{" in dark for name in classes), (tag, style)


TEXT = st.text(max_size=300) | st.text(alphabet="<>&\"'`=?/ \r\n\u202e\ud800aé決", max_size=300)


@given(text=TEXT, event=st.sampled_from(NEWS))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_stays_text(text: str, event: Event) -> None:
    message = a_message_of(text)
    message = msgspec.structs.replace(
        message, event=event, incident=msgspec.structs.replace(message.incident, event=event), instead=text
    )
    mail = built(message)
    ordinary = Page(html_of(built(a_message_of("words"))))
    page = Page(html_of(mail))
    assert page.open == []
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in ordinary.tags} | {"br", "a"}
    for tag, attributes in page.tags:
        assert set(attributes) <= {"class", "style", "dir", "href", "lang", "charset", "name", "content", "role"} | {
            "width", "cellpadding", "cellspacing", "border", "align"
        }, tag  # fmt: skip
        assert tag != "a" or str(attributes["href"]).startswith(("https://", "http://"))
    _round_trip(mail)


def _round_trip(mail: EmailMessage) -> None:
    """What is sent is what is read."""
    sent = mail.as_bytes(policy=policy.SMTP)
    read: Any = message_from_bytes(sent, policy=policy.default)
    assert sent.isascii()
    assert not read.defects
    assert read.keys() == mail.keys()
    assert read["Subject"] == mail["Subject"]
    assert text_of(read) == text_of(mail)
    assert html_of(read) == html_of(mail)


@given(text=st.text(alphabet="x決🔥<&\x00 ", min_size=1, max_size=20), times=st.integers(1, 3000))
@settings(max_examples=25, deadline=None)
def test_no_mail_is_too_large(text: str, times: int) -> None:
    said = letter(a_message_of(text * times, repeat=12), NOW, reported=False)
    html, words = _mail_html.write(said), _mail_text.write(said)
    assert len(html.encode()) <= _mail_html.LONGEST
    assert len(words) <= _mail_text.LONGEST
    assert len(html) + len(words) + 1000 < INFO.longest_text
    assert Page(html).open == []


def test_what_is_cut_says_so_in_both_parts() -> None:
    mail = built(a_message_of("<&> 決済\n" * 2000, repeat=12))
    assert _mail_text.CUT_HERE in text_of(mail)
    assert "Cut here: too long for a mail" in Page(html_of(mail)).seen


# ------------------------------------------------------------------------------------------------------------ settings


def a_table(**changes: object) -> dict[str, object]:
    return {"host": "smtp.example.com", "sender": "responder@example.com", "to": ["ops@example.com"], **changes}


def test_settings_are_read_from_a_table_and_from_text() -> None:
    read = KIND.read(
        a_table(port="2525", user="u", password="p", timeout_seconds="3", reply_to="Ops <ops@example.com>")
    )
    assert (read.server.port, read.server.timeout, read.server.tls) == (2525, 3.0, "starttls")
    assert read.envelope.reply_to == address("Ops <ops@example.com>")


@pytest.mark.parametrize(
    ("tls", "host", "port"), [("starttls", "a", 587), ("tls", "a", 465), ("none", "localhost", 25)]
)
def test_the_usual_port_follows_from_the_encryption(tls: str, host: str, port: int) -> None:
    assert KIND.read(a_table(host=host, tls=tls)).server.port == port


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_may_be_written_to_in_the_open(host: str) -> None:
    assert KIND.read(a_table(host=host, tls="none")).server.tls == "none"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": ""}, "host"),
        ({"host": "x" * 70 + ".example.com"}, "host: isn't the name of a machine"),
        ({"port": 70000}, "port"),
        ({"tls": "ssl"}, "tls"),
        ({"tls": "none"}, "this machine only"),
        ({"tls": "none", "host": "10.0.0.1"}, "this machine only"),
        ({"user": "u"}, "password: is needed too"),
        ({"password": "T0K3N"}, "user: is needed too"),
        ({"user": "u", "password": "T0K3Né"}, "beyond ASCII"),
        ({"ca_file": "/nonexistent.pem"}, "ca_file: can't be read"),
        ({"ca_file": __file__}, "ca_file: can't be read"),
        ({"to": []}, "to"),
        ({"to": ["ops@example.com"] * 51}, "to"),
        ({"to": ["ops@example.com", "ann"]}, "to: 'ann' isn't an address"),
        ({"to": ["ops@example.com, ann@example.com"]}, "isn't an address"),
        ({"to": ["ops@example.com\r\nBcc: eve@example.com"]}, "isn't an address"),
        ({"to": [""]}, "isn't an address"),
        ({"sender": "<responder@>"}, "sender: '<responder@>' isn't an address"),
        ({"sender": "Responder"}, "sender"),
        ({"reply_to": "@example.com"}, "reply_to"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"recipients": ["x"]}, "recipients"),
    ],
)
def test_wrong_settings_are_refused_without_repeating_secrets(changes: dict[str, object], words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        KIND.read(a_table(**changes))
    assert words in str(caught.value)
    assert "T0K3N" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("ops@example.com", "ops@example.com"),
        ("<ops@example.com>", "ops@example.com"),
        ('"Ops, at night" <ops@example.com>', "ops@example.com"),
        ("Jürgen <jürgen@example.com>", "jürgen@example.com"),
        ("ops@bücher.example", "ops@xn--bcher-kva.example"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_addresses_are_read(text: str, spec: str) -> None:
    assert address(text).addr_spec == spec


def test_the_guide_is_true() -> None:
    for name in ("Severity", "Status", "Event", "Incident"):
        assert f"X-Responder-{name}" in KIND.guide
    assert Path(CERTIFICATE).is_file()
