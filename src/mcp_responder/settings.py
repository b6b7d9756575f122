"""One tree of settings: a TOML file for structure, the environment over it, and a fix for every mistake.

The file is ``responder.toml`` in the working directory, or what RESPONDER_CONFIG names. Each key can be set in the
environment: RESPONDER_ and the key in capitals, levels joined by two underscores (RESPONDER_CHANNELS__WEBHOOK__URL).
The docstrings under the fields are the reference documentation.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from mcp_responder.analysts.claude_settings import ClaudeSettings
from mcp_responder.model.alert import Severity
from mcp_responder.model.errors import Misconfigured
from mcp_responder.model.severity import SeverityRule
from mcp_responder.plumbing.secret import Secret, read_secret

PREFIX = "RESPONDER_"
NOT_SETTINGS = frozenset({"RESPONDER_CONFIG", "RESPONDER_URL"})
DEFAULT_FILE = "responder.toml"
MODEL_KEY = "ANTHROPIC_API_KEY"
"""What every tool of Anthropic calls its key; ours goes before it."""

Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file. An unknown key is an error, never ignored."""


class Http(Section, frozen=True, kw_only=True):
    """What the HTTP door lets in."""

    body_limit: Positive = 256 * 1024
    """Largest request body in bytes, after decompression."""
    max_items: Positive = 1000
    """Most alerts in one request."""
    max_depth: Positive = 64
    """Deepest nesting of a JSON body."""
    cors_origins: tuple[str, ...] = ()
    """Origins of web pages that may call the API."""


class Outgoing(Section, frozen=True, kw_only=True):
    """How the service reaches channels, the model and SNS. Redirects are never followed."""

    proxy: Secret = Secret("")
    """Address of a proxy for all HTTP. Empty: what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say; none: no proxy at all."""
    pins: dict[str, tuple[str, ...]] = {}
    """Host, or "*." and a domain -> pins of its public keys ("sha256/" and the base64 SHA-256 of the SPKI), of which it
    must have one. Name a second key, or a rotation cuts you off."""


class Correlation(Section, frozen=True, kw_only=True):
    """When alerts belong together."""

    identity: tuple[str, ...] = ("signature", "service", "environment")
    """The fields of an alert that together make an incident."""
    merge_window_seconds: Seconds = 300.0
    """A repeat this soon after the last news is merged in silence."""
    reopen_window_seconds: Seconds = 1800.0
    """A firing this soon after the end reopens the incident."""


class AnalysisSettings(Section, frozen=True, kw_only=True):
    """How the cause is looked for."""

    deadline_seconds: Seconds = 10.0
    """How long gathering evidence may take."""
    throttle_seconds: Seconds = 300.0
    """An incident that opens again this soon after its analysis isn't analysed anew."""
    claude: ClaudeSettings = ClaudeSettings()


class Retry(Section, frozen=True, kw_only=True):
    """How patient deliveries are."""

    first_seconds: Seconds = 2.0
    """The first wait after a failed delivery; it doubles from then on."""
    longest_seconds: Seconds = 600.0
    """The longest wait between two tries."""
    give_up_seconds: Seconds = 86_400.0
    """After this long a delivery is a dead letter."""
    fallback_seconds: Seconds = 300.0
    """When a channel has failed this long, the fallback of the route is told of what is CRITICAL or HIGH."""


class RemindersSettings(Section, frozen=True, kw_only=True):
    """When people are told again of what is CRITICAL or HIGH, open, and acknowledged by nobody."""

    after_minutes: Annotated[float, Meta(ge=0)] = 30.0
    """How long after it was told; 0 is never."""
    repeat: bool = False
    """Whether it is told again and again until somebody acknowledges."""


class DigestSettings(Section, frozen=True, kw_only=True):
    """When a storm is told in one message."""

    incidents: Annotated[int, Meta(ge=0)] = 10
    """Incidents that a channel is newly told of one by one in a minute (and as many CRITICAL ones); those beyond share
    one message, which is edited. 0 tells each by itself."""


Patterns = str | tuple[str, ...]


class RouteSettings(Section, frozen=True, kw_only=True):
    """Who hears of what. What is left out fits everything; patterns may hold * and ?, in any case of letters."""

    severity: tuple[Severity, ...] = ()
    """Severities that it is for."""
    at_least: Severity = Severity.LOW
    """The least severity that it is for."""
    source: Patterns = ()
    """Pattern, or patterns, of the source's name."""
    service: Patterns = ()
    """Pattern, or patterns, of the service."""
    environment: Patterns = ()
    """Pattern, or patterns, of the environment."""
    labels: dict[str, Patterns] = {}
    """Label of the incident's first alert -> pattern, or patterns."""
    hours: Patterns = ()
    """When the news comes in: as in "Mon-Fri 09:00-18:00 Europe/Berlin"; several may be given."""
    channels: tuple[str, ...] = ()
    """Channels that are told; none: nobody."""
    fallback: tuple[str, ...] = ()
    """Channels that are told in place of one that can't be."""
    goes_on: bool = msgspec.field(default=False, name="continue")
    """Whether the routes below it are looked at, too; else the first that fits decides."""


class Log(Section, frozen=True, kw_only=True):
    """The service's own log, on standard error."""

    level: Literal["auto", "debug", "info", "warning", "error"] = "auto"
    """debug, info, warning, error, or auto: warning on a terminal, where reports are read, else info."""
    format: Literal["auto", "json", "text"] = "auto"
    """json, text, or auto: text on a terminal, else JSON."""


class Settings(Section, frozen=True, kw_only=True):
    """Everything that can be set."""

    host: str = "127.0.0.1"
    """Address to listen on. Beyond loopback it needs TLS or behind_proxy."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """Port to listen on; 0 takes a free one."""
    data_dir: str = "data"
    """Folder of the database; made if absent."""
    public_url: str = ""
    """The address that links in messages start with; empty: the address that is listened on."""
    api_key: Secret | None = None
    """A key that is accepted with all rights and without a rate limit, for containers and scripts."""
    tls_certificate: str = ""
    """File with the certificate chain (PEM)."""
    tls_key: str = ""
    """File with the certificate's private key (PEM)."""
    behind_proxy: bool = False
    """Whether a proxy in front ends TLS; its X-Forwarded headers are then believed."""
    http: Http = Http()
    outgoing: Outgoing = Outgoing()
    correlation: Correlation = Correlation()
    analysis: AnalysisSettings = AnalysisSettings()
    retry: Retry = Retry()
    digest: DigestSettings = DigestSettings()
    reminders: RemindersSettings = RemindersSettings()
    sources: dict[str, dict[str, Any]] = {}
    """How a source is read: a table a source."""
    severities: tuple[SeverityRule, ...] = ()
    """Rules {pattern, severity} that judge an alert whose sender gives no severity; tried before the shipped ones."""
    channels: dict[str, dict[str, Any]] = {}
    """Who is told: a table a channel. ``kind`` is the channel's name if left out. None configured: the console."""
    routes: tuple[RouteSettings, ...] = ()
    """Who hears of what: a table a route, [[routes]], tried in their order. None: every channel hears of everything."""
    log: Log = Log()


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, and where each value that isn't a default came from (dotted key -> file or variable)."""

    settings: Settings
    origins: dict[str, str]
    file: str


def load(environment: Mapping[str, str], folder: Path) -> Loaded:
    """Read file and environment. Raises Misconfigured, naming key, place and fix."""
    path = _file(environment, folder)
    tree = _read(path) if path else {}
    origins = {key: str(path) for key in _keys(tree)}
    for variable, keys, value in _variables(environment):
        _put(tree, keys, value, variable)
        origins[".".join(keys)] = variable
    _take_model_key(tree, origins, environment)
    return Loaded(settings=_convert(tree, origins, path), origins=origins, file=str(path or ""))


def _take_model_key(tree: dict[str, Any], origins: dict[str, str], environment: Mapping[str, str]) -> None:
    """Put it where it belongs, unless there is a key, or another platform is asked."""
    key = environment.get(MODEL_KEY)
    analysis = tree.setdefault("analysis", {}) if key else None
    claude = analysis.setdefault("claude", {}) if isinstance(analysis, dict) else None
    if isinstance(claude, dict) and not claude.get("api_key") and not claude.get("bedrock_region"):
        claude["api_key"] = key
        origins["analysis.claude.api_key"] = MODEL_KEY


def _file(environment: Mapping[str, str], folder: Path) -> Path | None:
    named = environment.get("RESPONDER_CONFIG")
    if named:
        if not (folder / named).is_file():
            raise Misconfigured("RESPONDER_CONFIG", "environment", f"there is no file '{named}'; create or unset it.")
        return folder / named
    default = folder / DEFAULT_FILE
    return default if default.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured("(syntax)", str(path), f"is not valid TOML: {error}.") from error
    except OSError as error:
        raise Misconfigured("(file)", str(path), f"can't be read: {error.strerror}.") from error


def _variables(environment: Mapping[str, str]) -> Iterator[tuple[str, list[str], Any]]:
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in NOT_SETTINGS:
            yield variable, variable.removeprefix(PREFIX).lower().split("__"), _value(environment[variable])


def _value(text: str) -> Any:
    """Lists and tables are written as in the file; anything else is taken as text, and converted to the key's type."""
    if text[:1] in "[{" and text:
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


def _put(tree: dict[str, Any], keys: list[str], value: Any, variable: str) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise Misconfigured(key, variable, "is no table; remove what follows it in the variable's name.")
    tree[keys[-1]] = value


def _keys(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def decode(tree: object, into: Any) -> Any:
    """Convert text and tables to a settings type; Secrets too. Raises msgspec.ValidationError."""
    return msgspec.convert(tree, into, strict=False, dec_hook=read_secret)


def _convert(tree: dict[str, Any], origins: Mapping[str, str], path: Path | None) -> Settings:
    try:
        settings: Settings = decode(tree, Settings)
    except msgspec.ValidationError as error:
        raise explain(error, Settings, "", origins, path) from error
    return settings


def explain(
    error: msgspec.ValidationError, into: type, prefix: str, origins: Mapping[str, str], path: Path | str | None
) -> Misconfigured:
    """A conversion's error as key, place and fix."""
    words, _, where = str(error).partition(" - at `$")
    key = (prefix + where.rstrip("`").lstrip(".")).rstrip(".")
    unknown = re.search(r"unknown field `(.+?)`", words)
    if unknown:
        parent = key
        key = f"{key}.{unknown[1]}".lstrip(".")
        words = f"there is no such key{_suggestion(unknown[1], into, f'{parent}.'.removeprefix(prefix))}"
    if "enum value" in words:
        words = f"{words}; use one of: {', '.join(_choices(into, f'{key}.'.removeprefix(prefix)))}"
    place = next((origins[k] for k in origins if _same(k, key)), str(path or "file"))
    return Misconfigured(key, place, f"{words[:1].lower()}{words[1:]}{'' if words.endswith('?') else '.'}")


def _same(one: str, other: str) -> bool:
    """Whether one key stands in the other."""
    return one == other or one.startswith((f"{other}.", f"{other}[")) or other.startswith(f"{one}[")


def _choices(into: Any, path: str) -> tuple[str, ...]:
    for part in re.findall("[a-z_]+", path):
        into = {field.name: field.type for field in msgspec.structs.fields(into)}[part]
        into = get_args(into)[0] if get_origin(into) is tuple else into
    return get_args(into) or tuple(into)


def _suggestion(name: str, into: type, parent: str) -> str:
    for part in filter(None, parent.split(".")):
        field = next((f for f in msgspec.structs.fields(into) if f.name == part), None)
        if field is None or not isinstance(field.type, type) or not issubclass(field.type, msgspec.Struct):
            return "; remove it"
        into = field.type
    known = [field.name for field in msgspec.structs.fields(into)]
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known here: {', '.join(known)}"
