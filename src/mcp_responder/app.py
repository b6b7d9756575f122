"""Builds the parts and puts them together: the only place that chooses a home."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import os
import random
import re
import ssl
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import msgspec

from mcp_responder.analysts.claude import ClaudeAnalyst
from mcp_responder.analysts.rules import RulesAnalyst
from mcp_responder.channels import Services, load_kinds
from mcp_responder.context.attached import Attached
from mcp_responder.context.history import History
from mcp_responder.context.similar import Similar
from mcp_responder.context.stack_trace import StackTrace
from mcp_responder.model.alert import Alert, Severity
from mcp_responder.model.analysis import Analysis
from mcp_responder.model.errors import InvalidRequest, Misconfigured, Permanent, Transient
from mcp_responder.model.incident import Activity
from mcp_responder.model.severity import pattern_of
from mcp_responder.operations import Operations
from mcp_responder.pipeline import confirm
from mcp_responder.pipeline.analyze import Analyzer
from mcp_responder.pipeline.confirm import Confirmer
from mcp_responder.pipeline.correlate import Correlate, Route, Rules
from mcp_responder.pipeline.investigate import investigate
from mcp_responder.pipeline.notify import Manners, Notifier, Observe
from mcp_responder.pipeline.notify import Store as NotifierStore
from mcp_responder.pipeline.receive import Limits, Receive
from mcp_responder.pipeline.remember import Remembering
from mcp_responder.pipeline.remind import Reminder, Reminders
from mcp_responder.pipeline.retry import Schedule
from mcp_responder.pipeline.route import MATCHED, Routes, Rule, everyone, read_hours
from mcp_responder.plumbing import certificates
from mcp_responder.plumbing.certificates import Certificates
from mcp_responder.plumbing.http import HttpClient, HttpFailure, address_of
from mcp_responder.ports import (
    AnalysisCache,
    Analyst,
    Channel,
    CostBook,
    IncidentStore,
    Reading,
    Request,
    Source,
    SourceSettings,
    Subject,
    Vouch,
    unchecked,
)
from mcp_responder.settings import Loaded, Patterns, RouteSettings, Settings, decode, explain
from mcp_responder.sources import load_sources, sns
from mcp_responder.sources._reading import READERS
from mcp_responder.sources.sns import SnsSettings
from mcp_responder.storage.memory import MemoryStore
from mcp_responder.storage.sqlite.store import SqliteStore

CONSOLE: dict[str, dict[str, object]] = {"console": {}}
"""Who is told when nobody is configured."""

IDENTIFYING = (
    *("signature", "service", "environment", "title", "source", "source_id", "resource", "account", "region"),
    *("owner", "severity", "key", "alert_id"),
)
"""Fields of an alert that may make an incident."""
PIN = re.compile("sha256/[A-Za-z0-9+/]{43}=")
CONFIRM_SECONDS = 10.0
"""How long the answer to a confirmation may take."""
OfSources = Mapping[str, SourceSettings]
"""Source -> its settings."""
BEDROCK_KEY = "AWS_BEARER_TOKEN_BEDROCK"
"""Where the SDK looks for a key of Amazon Bedrock."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def clock() -> datetime:
    """The present time."""
    return datetime.now(UTC)


def check(loaded: Loaded) -> None:
    """Whether a service would start with this. Raises Misconfigured, naming key, place and fix."""
    check_bind(loaded.settings)
    sources = build_sources()
    build_receive(loaded.settings, sources, loaded=loaded)
    build_certificates(loaded, sources)
    build_claude(loaded.settings, MemoryStore(clock))
    build_routes(loaded, build_channels(loaded))


def check_bind(settings: Settings) -> None:
    """Raises Misconfigured for an address beyond loopback in plain text, and for half a certificate."""
    tls = bool(settings.tls_certificate and settings.tls_key)
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise Misconfigured("tls_key", "configuration", "tls_certificate and tls_key go together; set both.")
    for key in ("tls_certificate", "tls_key"):
        name = getattr(settings, key)
        if name and not Path(name).is_file():
            raise Misconfigured(key, "configuration", f"there is no file '{name}'.")
    if tls:
        _check_certificate(settings)
    if settings.host not in LOOPBACK and not tls and not settings.behind_proxy:
        raise Misconfigured(
            "host",
            "configuration",
            f"'{settings.host}' can be reached from other machines in plain text; "
            "set tls_certificate and tls_key, or behind_proxy (--behind-proxy) if a proxy in front ends TLS.",
        )


def _check_certificate(settings: Settings) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            settings.tls_certificate, settings.tls_key, password=""
        )
    except (ssl.SSLError, OSError) as error:
        words = f"can't be used ({error.strerror or error}); both files hold PEM, and the key fits the certificate."
        raise Misconfigured("tls_certificate", "configuration", words) from error


def build_sources() -> dict[str, Source]:
    return load_sources()


def source_settings(settings: Settings, sources: Mapping[str, Source], loaded: Loaded | None = None) -> OfSources:
    """The settings of each source. Raises Misconfigured, also for a table of a source that doesn't exist."""
    origins, file = (loaded.origins, loaded.file) if loaded else ({}, "")
    found: dict[str, SourceSettings] = {name: source.INFO.settings() for name, source in sources.items()}
    for name, table in settings.sources.items():
        if name not in sources:
            words = f"there is no such source; known: {', '.join(sources)}."
            place = next((origins[key] for key in origins if key.startswith(f"sources.{name}.")), file)
            raise Misconfigured(f"sources.{name}", place or "configuration", words)
        kind = sources[name].INFO.settings
        try:
            found[name] = decode(table, kind)
        except msgspec.ValidationError as error:
            raise explain(error, kind, f"sources.{name}.", origins, file or "configuration") from error
        _check_fields(name, found[name])
    return found


def _check_fields(name: str, settings: SourceSettings) -> None:
    for field in settings.fields:
        if field not in (*READERS, "labels") and not field.startswith("labels."):
            raise Misconfigured(
                f"sources.{name}.fields.{field}",
                "configuration",
                f"can't be mapped; use labels, labels.NAME or one of: {', '.join(READERS)}.",
            )


def build_readings(settings: Settings, of_sources: OfSources) -> dict[str, Reading]:
    """How each source is to be read. Raises Misconfigured."""
    for number, rule in enumerate(settings.severities):
        try:
            pattern_of(rule)
        except re.error as error:
            raise Misconfigured(
                f"severities[{number}].pattern", "configuration", f"is no regular expression: {error}."
            ) from error
    return {
        name: Reading(fields=own.fields, severities=settings.severities, own=own if own != type(own)() else None)
        for name, own in of_sources.items()
    }


def build_receive(
    settings: Settings, sources: Mapping[str, Source], vouch: Vouch = unchecked, loaded: Loaded | None = None
) -> Receive:
    """What reads requests. A door must give a ``vouch``; ``loaded`` says where a wrong setting stands."""
    fields = settings.correlation.identity
    unknown = [field for field in fields if field not in IDENTIFYING]
    if unknown or not fields:
        words = f"can't be made of {unknown}; use some of: {', '.join(IDENTIFYING)}."
        raise Misconfigured("correlation.identity", "configuration", words)
    limits = Limits(items=settings.http.max_items, depth=settings.http.max_depth)
    return Receive(sources, fields, build_readings(settings, source_settings(settings, sources, loaded)), limits, vouch)


def sns_settings(loaded: Loaded, sources: Mapping[str, Source]) -> SnsSettings:
    """Raises Misconfigured."""
    found = source_settings(loaded.settings, sources, loaded)[sns.INFO.name]
    assert isinstance(found, SnsSettings)  # noqa: S101 - it is what that source declares
    return found


def build_http(settings: Settings) -> HttpClient:
    """Speaks to channels and the model. Raises Misconfigured for a proxy or pins that can't be read."""
    return HttpClient(proxy=_proxy(settings), pins=_pins(settings))


def _proxy(settings: Settings) -> str | None:
    proxy = settings.outgoing.proxy.reveal()
    if proxy in ("", "none"):
        return "" if proxy else None
    try:
        address_of(proxy)
    except ValueError as error:
        raise Misconfigured("outgoing.proxy", "configuration", f"{error}.") from None
    return proxy


def _pins(settings: Settings) -> dict[str, tuple[str, ...]]:
    for host, pins in settings.outgoing.pins.items():
        if not pins or not all(PIN.fullmatch(pin) for pin in pins):
            words = "must be a list of pins, each sha256/ and 44 characters of base64."
            raise Misconfigured(f"outgoing.pins.{host}", "configuration", words)
    return {host.lower(): pins for host, pins in settings.outgoing.pins.items()}


def build_sns_client(settings: SnsSettings) -> HttpClient:
    """Speaks to SNS, and to what stands in for it. Raises Misconfigured if its authorities can't be read."""
    authorities = settings.certificate_authorities
    if not authorities:
        return HttpClient(longest_response=certificates.LARGEST)
    try:
        tls = ssl.create_default_context()
        tls.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        words = f"'{authorities}' can't be read as certificates in PEM ({error.strerror or error})."
        raise Misconfigured("sources.sns.certificate_authorities", "configuration", words) from error
    return HttpClient(longest_response=certificates.LARGEST, tls=tls)


def build_certificates(loaded: Loaded, sources: Mapping[str, Source]) -> Certificates:
    """Raises Misconfigured."""
    settings = sns_settings(loaded, sources)
    client = build_sns_client(settings)
    folder = Path(loaded.settings.data_dir) / "certificates"
    return Certificates(client, clock, settings.certificate_authorities, folder)


def expected_hosts(loaded: Loaded, sources: Mapping[str, Source]) -> frozenset[str]:
    """Hosts that keep the certificates of those whom the user has listed."""
    return sns.expected_hosts(sns_settings(loaded, sources))


def build_keyless(loaded: Loaded, sources: Mapping[str, Source]) -> dict[str, int]:
    """Sources whose signed and listed requests need no API key -> most of them a minute."""
    settings = sns_settings(loaded, sources)
    return {sns.INFO.name: settings.keyless_per_minute} if settings.verify and settings.topics else {}


def build_confirmer(loaded: Loaded, store: IncidentStore, observe: confirm.Observe) -> Confirmer:
    sources = build_sources()
    client = build_sns_client(sns_settings(loaded, sources))

    def fetch(address: str) -> None:
        try:
            answer = client.request("GET", address, timeout=CONFIRM_SECONDS)
        except HttpFailure as error:
            raise Transient(f"{error}.", doubtful=error.sent) from None
        if answer.status == 429 or answer.status >= 500:
            raise Transient(f"it was answered with status {answer.status}.")
        if answer.status != 200:
            raise Permanent(f"it was answered with status {answer.status}; redirects aren't followed.")

    address = build_receive(loaded.settings, sources).confirmation
    return Confirmer(store, clock, _schedule(loaded.settings), random.random, address, fetch, observe)


def build_channels(loaded: Loaded) -> dict[str, Channel]:
    """The configured channels, or the console. Raises Misconfigured."""
    kinds = load_kinds()
    services = Services(http=build_http(loaded.settings), clock=clock, stdout=sys.stdout)
    channels: dict[str, Channel] = {}
    for name, table in (loaded.settings.channels or CONSOLE).items():
        kind = kinds.get(str(table.get("kind", name)))
        if kind is None:
            raise Misconfigured(
                f"channels.{name}.kind", loaded.file or "configuration", f"is none of: {', '.join(sorted(kinds))}."
            )
        try:
            read = kind.read({key: value for key, value in table.items() if key != "kind"})
        except msgspec.ValidationError as error:
            raise explain(error, kind.settings, f"channels.{name}.", loaded.origins, loaded.file) from error
        channels[name] = kind.build(name, read, services)
    return channels


def build_routes(loaded: Loaded, channels: Iterable[str]) -> Routes:
    """The configured routes, or one to everybody. Raises Misconfigured."""
    names = tuple(channels)
    return Routes([_rule(number, route, names, loaded) for number, route in enumerate(loaded.settings.routes)], names)


def _rule(number: int, route: RouteSettings, channels: tuple[str, ...], loaded: Loaded) -> Rule:
    place = loaded.origins.get("routes", loaded.file) or "configuration"
    for key, names in (("channels", route.channels), ("fallback", route.fallback)):
        for name in names:
            if name not in channels:
                close = difflib.get_close_matches(name, channels, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"configured are: {', '.join(channels)}."
                raise Misconfigured(f"routes[{number}].{key}", place, f"there is no channel '{name}'; {hint}")
    try:
        hours = tuple(read_hours(text) for text in _patterns(route.hours))
    except ValueError as error:
        raise Misconfigured(f"routes[{number}].hours", place, f"{error}.") from error
    worst = frozenset(severity for severity in Severity if severity.rank <= route.at_least.rank)
    severities = worst & frozenset(route.severity or Severity)
    if not severities:
        raise Misconfigured(f"routes[{number}].severity", place, "none of it is at_least that severe; leave one out.")
    return Rule(
        severities=severities,
        patterns={field: found for field in MATCHED if (found := _patterns(getattr(route, field)))},
        labels={name: _patterns(patterns) for name, patterns in route.labels.items()},
        hours=hours,
        channels=route.channels,
        fallback=route.fallback,
        goes_on=route.goes_on,
    )


def _patterns(given: Patterns) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


def build_decide(settings: Settings, route: Route) -> Correlate:
    correlation = settings.correlation
    rules = Rules(
        identity=correlation.identity,
        merge_window=timedelta(seconds=correlation.merge_window_seconds),
        reopen_window=timedelta(seconds=correlation.reopen_window_seconds),
    )
    labels = {name for route_settings in settings.routes for name in route_settings.labels}
    return Correlate(rules, route, sorted(labels))


def build_notifier(
    settings: Settings, store: NotifierStore, routes: Routes, public_url: str, observe: Observe
) -> Notifier:
    manners = Manners(
        schedule=_schedule(settings),
        patience=timedelta(seconds=settings.retry.fallback_seconds),
        alone=settings.digest.incidents,
        reminders=_reminders(settings),
    )
    return Notifier(store, clock, manners, routes, public_url, random.random, observe, routes.fallback)


def build_reminder(settings: Settings, store: IncidentStore, route: Route) -> Reminder:
    return Reminder(store, clock, route, _reminders(settings))


def _reminders(settings: Settings) -> Reminders:
    reminders = settings.reminders
    return Reminders(after=timedelta(minutes=reminders.after_minutes), repeat=reminders.repeat)


def _schedule(settings: Settings) -> Schedule:
    retry = settings.retry
    return Schedule(
        first=timedelta(seconds=retry.first_seconds),
        longest=timedelta(seconds=retry.longest_seconds),
        give_up=timedelta(seconds=retry.give_up_seconds),
    )


class Memory(IncidentStore, AnalysisCache, CostBook, Protocol):
    """What an analysis needs of a home."""


def build_analyzer(settings: Settings, store: Memory, route: Route) -> Analyzer:
    providers = (History(store), Similar(store), StackTrace())
    claude = build_claude(settings, store)
    analysts: tuple[Analyst, ...] = (RulesAnalyst(),)
    if claude:
        analysts = (Remembering(claude, store, store, clock), *analysts)
    deadline = settings.analysis.deadline_seconds

    def look_into(subject: Subject) -> Analysis:
        return investigate(subject, providers, analysts, deadline)

    throttle = timedelta(seconds=settings.analysis.throttle_seconds)
    return Analyzer(store, store, clock, route, look_into, throttle)


def build_claude(settings: Settings, book: CostBook) -> ClaudeAnalyst | None:
    """The model, if a key is configured. Raises Misconfigured if its costs can't be counted."""
    claude = settings.analysis.claude
    if not claude.enabled:
        return None
    for severity in Severity:
        model = claude.models.for_(severity)
        if claude.price(model) is None:
            words = f"the price of '{model}' isn't known; add a table [analysis.claude.prices.\"{model}\"]."
            raise Misconfigured(f"analysis.claude.models.{severity.lower()}", "configuration", words)
    keyless = claude.bedrock_region and not claude.api_key and BEDROCK_KEY not in os.environ
    if keyless and importlib.util.find_spec("boto3") is None:
        words = f"give an API key of Bedrock, here or as {BEDROCK_KEY}; or install boto3, which finds AWS credentials."
        raise Misconfigured("analysis.claude.api_key", "configuration", words)
    return ClaudeAnalyst(claude, book, clock, build_http(settings))


@contextlib.contextmanager
def open_operations(settings: Settings) -> Iterator[Operations]:
    """The store's operations without a running service. Raises Transient if one runs."""
    store = SqliteStore(Path(settings.data_dir), clock)
    try:
        yield Operations(store, clock, everyone(()))
    finally:
        store.close()


def analyze(path: Path, settings: Settings, *, offline: bool) -> Analysis:
    """Analyse an alert file, or a folder of ``alert.json`` and ``evidence/``, without a service.

    ``offline`` asks no model, whatever is configured; else costs are shown, but not booked.

    Raises InvalidRequest if no alert can be read from it, FileNotFoundError if there is no file.
    """
    folder = path if path.is_dir() else None
    body = (path / "alert.json" if folder else path).read_bytes()
    alert = read_alert(body, settings)
    subject = Subject(alert=alert, incident=None, activity=Activity(alerts=1, firing=1), now=clock())
    providers = (StackTrace(), *((Attached(folder / "evidence"),) if folder and (folder / "evidence").is_dir() else ()))
    claude = None if offline else build_claude(settings, MemoryStore(clock))
    analysts = (*((claude,) if claude else ()), RulesAnalyst())
    return investigate(subject, providers, analysts, settings.analysis.deadline_seconds)


def read_alert(body: bytes, settings: Settings) -> Alert:
    """The first alert of a body in any accepted form. Raises InvalidRequest."""
    sources = build_sources()
    received = build_receive(settings, sources)(Request(body=body, headers={}, received_at=clock()), "", "")
    if received.incoming:
        return received.incoming[0].alert
    raise received.rejected[0].error if received.rejected else InvalidRequest("no_alert", "There is no alert in it.")
