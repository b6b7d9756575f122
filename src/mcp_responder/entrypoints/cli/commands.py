"""The table of all commands: what each is called, what it does, what it takes, and which function runs it.

Nothing heavy is imported here; a command's module is loaded when the command is run.
"""

from __future__ import annotations

import re
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypedDict

from mcp_responder import __version__
from mcp_responder.entrypoints.cli.failures import USAGE
from mcp_responder.entrypoints.cli.terminal import complain

if TYPE_CHECKING:
    from argparse import _SubParsersAction

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
ALERT_STATUSES = ("firing", "resolved", "info")
INCIDENT_STATUSES = ("open", "acknowledged", "resolved")
SCOPES = ("ingest", "read", "respond", "admin")
PORTS = range(65_536)

DESCRIPTION = "mcp-responder takes alerts in, says what is broken and why, and loses nothing on the way."
EPILOG = """\
The service is found by RESPONDER_URL (with RESPONDER_API_KEY), else in the data folder of this directory's settings.
Every command but demo knows --json. Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 not found, 4 no server.

Example:
  mcp-responder serve &
  mcp-responder send --title 'Database connection pool exhausted' --severity CRITICAL --service checkout
  mcp-responder incidents
"""


class Parser(ArgumentParser):
    """Says what is wrong in one sentence, with a guess at what was meant."""

    def error(self, message: str) -> NoReturn:
        command = self.prog.partition(" ")[2]
        complain(f"{f'{command}: ' if command else ''}{_plain(message, command)} (see '{self.prog} --help').")
        sys.exit(USAGE)


def _plain(message: str, group: str) -> str:
    unknown = re.match(r"argument COMMAND: invalid choice: (['\"].*['\"]) \(choose from (.*)\)$", message, re.DOTALL)
    if not unknown:
        return message
    word, known = unknown[1][1:-1], re.findall(r"'([^']+)'", unknown[2])
    meant = get_close_matches(word, known, n=1) or ([f"{group} show {word}"] if "show" in known and group else [])
    return f"there is no command '{word}'" + (f"; did you mean '{meant[0]}'?" if meant else "")


Arguments = Callable[[ArgumentParser], None]


class Looks(TypedDict):
    """What all parsers have in common."""

    formatter_class: type[RawDescriptionHelpFormatter]
    allow_abbrev: bool


class Command(NamedTuple):
    """One command. ``run`` is ``module:function`` in this package."""

    name: str
    run: str
    what: str
    example: str
    arguments: Arguments | None = None


# ------------------------------------------------------------------------------------------------- types of arguments


UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def span(text: str) -> timedelta:
    """``90s``, ``30m``, ``2h``, ``7d``, ``2w``. Raises ValueError for anything else."""
    found = re.fullmatch(r"([0-9]{1,5})([smhdw])", text)
    if not found:
        raise ValueError(text)
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _span(text: str) -> str:
    """A length of time, as the API takes it."""
    try:
        span(text)
    except ValueError as error:
        raise ArgumentTypeError(f"'{text}' is no length of time; write 30m, 24h or 90d") from error
    return text


def _lifetime(text: str) -> str:
    if not span(_span(text)):
        raise ArgumentTypeError(f"'{text}' would have ended at once; write 24h or 90d")
    return text


def _moment(text: str) -> str:
    """How long ago, or a time (of UTC if it names no other), as the API takes it."""
    with suppress(ValueError):
        span(text)
        return text
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(f"'{text}' is no time; write 30m, 2h, 7d or 2026-11-22T03:00:00Z") from error


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:6]) in PORTS):
        raise ArgumentTypeError(f"'{text}' is no port; write a number from 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ArgumentTypeError(f"'{text}' is no count; write a whole number")
    return int(text)


def _scopes(text: str) -> tuple[str, ...]:
    scopes = tuple(filter(None, (scope.strip() for scope in text.split(","))))
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ArgumentTypeError(f"'{text}' holds no such scopes; write some of {', '.join(SCOPES)}, joined by commas")
    return scopes


# ---------------------------------------------------------------------------------------------------------- arguments


def _serve(parser: ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (default: the settings', 127.0.0.1)")
    parser.add_argument("--port", type=_port, help="port to listen on; 0 takes a free one (default: 8080)")
    parser.add_argument("--data-dir", metavar="FOLDER", help="folder of the database (default: data)")
    parser.add_argument("--behind-proxy", action="store_const", const="true", help="a proxy in front ends TLS")


def _demo(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--noisy-day", action="store_true", help="a day of 1,000 alerts instead, and what throttle and cache save"
    )


def _send(parser: ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="FILE", help="what to post, as it is; - is standard input")
    parser.add_argument("--source", metavar="NAME", help="the source that reads it (default: it is detected)")
    parser.add_argument("--content-type", metavar="TYPE", help="of the file (default: JSON if it looks like it)")
    parser.add_argument("--idempotency-key", metavar="KEY", help="the same key again is the same event")
    parser.add_argument("--title", help="instead of a file: what is wrong, in a line")
    parser.add_argument("--message", help="details")
    parser.add_argument("--severity", help="CRITICAL, HIGH, MEDIUM or LOW, or what you call it")
    parser.add_argument("--status", help="firing (default), resolved or info")
    parser.add_argument("--service", help="the service that it is about")
    parser.add_argument("--source-id", metavar="ID", help="your own name of the alarm; its resolve has the same")
    parser.add_argument("--environment", help="production, staging, ...")
    parser.add_argument("--label", action="append", metavar="NAME=VALUE", help="a label; may be repeated")


def _filters(statuses: Sequence[str]) -> Arguments:
    def add(parser: ArgumentParser) -> None:
        parser.add_argument("--status", choices=statuses, metavar="STATUS", help=", ".join(statuses))
        parser.add_argument(
            "--severity", type=str.upper, choices=SEVERITIES, metavar="SEVERITY", help=", ".join(SEVERITIES)
        )
        parser.add_argument("--source", metavar="NAME", help="only from this source")
        parser.add_argument("--service", metavar="NAME", help="only about this service")
        parser.add_argument("--since", type=_moment, metavar="TIME", help="30m, 2h, 7d ago, or 2026-11-22T03:00:00Z")
        parser.add_argument("--until", type=_moment, metavar="TIME", help="likewise")
        parser.add_argument("-q", "--query", dest="q", metavar="WORDS", help="words in title, service or resource")
        parser.add_argument("--limit", type=_count, metavar="N", help="how many (default: 50)")
        parser.add_argument("--cursor", help="where the list before this one ended")

    return add


def _id(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID")


def _name(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")


def _test_source(parser: ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("file", metavar="FILE", help="a body as it is sent, or gzip of it; - is standard input")
    parser.add_argument("--header", action="append", metavar="'NAME: VALUE'", help="of the request; may be repeated")


def _comment(parser: ArgumentParser) -> None:
    _id(parser)
    parser.add_argument("text", nargs="+", metavar="TEXT", help="the words; - takes them from standard input")


def _time(text: str) -> str:
    """A time (of UTC if it names no other)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"'{text}' is no time; write 2026-11-22T03:00:00Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _test_routes(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--severity", type=str.upper, choices=SEVERITIES, required=True, metavar="SEVERITY", help=", ".join(SEVERITIES)
    )
    parser.add_argument("--source", default="", metavar="NAME", help="the source that it comes from")
    parser.add_argument("--service", default="", metavar="NAME", help="the service that it is about")
    parser.add_argument("--environment", default="", metavar="NAME", help="production, staging, ...")
    parser.add_argument("--label", action="append", metavar="NAME=VALUE", help="a label; may be repeated")
    parser.add_argument("--at", type=_time, metavar="TIME", help="when, as 2026-11-22T03:00:00Z (default: now)")


def _silence(parser: ArgumentParser) -> None:
    _id(parser)
    parser.add_argument("--minutes", type=_count, default=60, metavar="N", help="how long (default: 60)")


def _create_key(parser: ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("--scopes", type=_scopes, required=True, help=f"some of {','.join(SCOPES)}")
    parser.add_argument("--expires-in", type=_lifetime, metavar="TIME", help="24h, 90d, ... (default: never)")
    parser.add_argument("--per-minute", type=_count, default=0, metavar="N", help="requests a minute (default: 0, any)")


def _rotate_key(parser: ArgumentParser) -> None:
    _name(parser)
    parser.add_argument(
        "--overlap", type=_span, default="24h", metavar="TIME", help="how long the old one works on (default: 24h)"
    )


def _analyze(parser: ArgumentParser) -> None:
    parser.add_argument("path", metavar="FOLDER_OR_FILE", help="an alert, or alert.json with evidence/; - is stdin")
    parser.add_argument("--offline", action="store_true", help="use no network: the rules alone")


def _signature(parser: ArgumentParser) -> None:
    parser.add_argument("--join", action="store_true", help="join the lines of a stack trace to one text first")


def _since(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--since", type=_moment, default="24h", metavar="TIME", help="30m, 2h, 7d ago, or a time (default: 24h)"
    )


def _share(text: str) -> float:
    """``40`` or ``40%`` as 0.4."""
    number = text.removesuffix("%")
    if not (number.isascii() and number.isdigit() and int(number[:4]) <= 100):
        raise ArgumentTypeError(f"'{text}' is no share; write 40 or 40%")
    return int(number) / 100


def _volume(text: str) -> float:
    try:
        volume = float(text)
    except ValueError:
        volume = -1.0
    if not 0 <= volume < 1e9:
        raise ArgumentTypeError(f"'{text}' is no number of alerts")
    return volume


def _cost(parser: ArgumentParser) -> None:
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument(
        "--alerts-per-day", type=_volume, metavar="N", help="volume of the estimate; a month has 30 days"
    )
    volume.add_argument("--alerts-per-month", type=_volume, metavar="N", help="the same by the month (default: 1000)")
    parser.add_argument(
        "--cached", type=_share, default=0.4, metavar="PERCENT", help="analyses that the cache answers (default: 40)"
    )
    parser.add_argument(
        "--since", type=_moment, default="30d", metavar="TIME", help="of the real costs: 30m, 2h, 7d ago (default: 30d)"
    )


# -------------------------------------------------------------------------------------------------------------- table

COMMANDS = (
    Command(
        "serve",
        "processes:serve",
        "Run the service: take alerts in over HTTP, analyse, notify. Ctrl-C stops it.",
        "serve --port 9000 --data-dir /var/lib/mcp-responder",
        _serve,
    ),
    Command("demo", "processes:demo", "Replay a real-looking incident through a throw-away service.", "demo", _demo),
    Command(
        "send",
        "send:send",
        "Send an alert, made of options or from a file, to the service.",
        "send --title 'Pool exhausted' --severity HIGH --service checkout\n  mcp-responder send alarm.json --source "
        "cloudwatch_alarm",
        _send,
    ),
    Command(
        "alerts list",
        "alerts:list_alerts",
        "List alerts, newest first.",
        "alerts --severity HIGH --since 2h",
        _filters(ALERT_STATUSES),
    ),
    Command("alerts show", "alerts:show_alert", "Show one alert.", "alerts show 0f6cc3a1b2", _id),
    Command(
        "incidents list",
        "incidents:list_incidents",
        "List incidents, newest first.",
        "incidents --status open --service checkout",
        _filters(INCIDENT_STATUSES),
    ),
    Command(
        "incidents show",
        "incidents:show_incident",
        "Show one incident: cause, impact, steps, proof, timeline, deliveries.",
        "incidents show inc_0f6cc3a1b2",
        _id,
    ),
    Command("ack", "incidents:acknowledge", "Take an incident: its repeats fall silent.", "ack inc_0f6cc3a1b2", _id),
    Command("resolve", "incidents:resolve", "Say that an incident is over.", "resolve inc_0f6cc3a1b2", _id),
    Command("reopen", "incidents:reopen", "Say that an incident isn't over.", "reopen inc_0f6cc3a1b2", _id),
    Command(
        "silence",
        "incidents:silence",
        "Hear no more of an incident for a while, but of its end and of worse.",
        "silence inc_0f6cc3a1b2 --minutes 120",
        _silence,
    ),
    Command(
        "comment",
        "incidents:comment",
        "Write into an incident's timeline; nobody is paged for it.",
        "comment inc_0f6cc3a1b2 'rolled back to 1.42'",
        _comment,
    ),
    Command("why", "alerts:explain", "Print an alert's whole path, and how it ended.", "why 0f6cc3a1b2", _id),
    Command(
        "analyze", "analyses:analyze", "Analyse an alert in a file, without a service.", "analyze ./case", _analyze
    ),
    Command(
        "signature",
        "signatures:signature",
        "Read lines on standard input, print the signature of each.",
        "signature < app.log | sort | uniq -c | sort -rn | head",
        _signature,
    ),
    Command("sources list", "plugins:list_sources", "List what can be heard.", "sources"),
    Command("sources show", "plugins:show_source", "Show how to set a source up.", "sources show generic", _name),
    Command(
        "sources test",
        "trial:test_source",
        "Say what would become of a body; nothing is sent or stored, and no signature is verified.",
        "sources test alertmanager group.json",
        _test_source,
    ),
    Command("channels list", "plugins:list_channels", "List who is told.", "channels"),
    Command("channels show", "plugins:show_channel", "Show one channel.", "channels show webhook", _name),
    Command("channels test", "plugins:test_channel", "Send a test message.", "channels test webhook", _name),
    Command(
        "routes test",
        "routes:test_routes",
        "Say who would hear of an incident, by the settings here; nothing is sent.",
        "routes test --severity CRITICAL --service checkout --at 2026-11-22T03:00:00Z",
        _test_routes,
    ),
    Command("keys list", "keys:list_keys", "List API keys, without their secrets.", "keys"),
    Command(
        "keys create",
        "keys:create",
        "Make an API key; it is printed once.",
        "keys create ci --scopes ingest,read --expires-in 90d",
        _create_key,
    ),
    Command(
        "keys rotate",
        "keys:rotate",
        "Make a second key of a name; the old one works on for a while.",
        "keys rotate ci --overlap 48h",
        _rotate_key,
    ),
    Command("keys revoke", "keys:revoke", "End a key at once.", "keys revoke ci", _name),
    Command("config show", "configuration:show", "Show each setting and where it came from.", "config show"),
    Command("config check", "configuration:check", "Say whether the settings are valid.", "config check"),
    Command("ledger", "ledger:ledger", "Show that every event is accounted for.", "ledger --since 7d", _since),
    Command(
        "cost",
        "cost:cost",
        "Show what models have cost, and estimate a month at some volume of alerts.",
        "cost --alerts-per-day 500 --cached 60",
        _cost,
    ),
    Command("queues", "ledger:queues", "Show the work that waits.", "queues"),
)

GROUPS = {
    "alerts": "what came in",
    "incidents": "what is broken",
    "sources": "who can be heard",
    "channels": "who is told",
    "routes": "who hears of what",
    "keys": "who may call the API",
    "config": "what is set",
}
LISTED_BY_DEFAULT = frozenset(GROUPS) - {"config", "routes"}


# ------------------------------------------------------------------------------------------------------------- parser


def build_parser() -> ArgumentParser:
    """The parser of the whole command line."""
    parser: ArgumentParser = Parser("mcp-responder", description=DESCRIPTION, epilog=EPILOG, **LOOKS)
    parser.add_argument("--version", action="version", version=f"mcp-responder {__version__}")
    parser.add_argument("--json", action="store_true", help="print JSON")
    tops = parser.add_subparsers(metavar="COMMAND", required=True)
    groups: dict[str, _SubParsersAction[ArgumentParser]] = {}
    for command in COMMANDS:
        group, _, verb = command.name.rpartition(" ")
        if group and group not in groups:
            groups[group] = _add_group(tops, group)
        _add_command(groups[group] if group else tops, verb, command)
    return parser


LOOKS: Looks = {"formatter_class": RawDescriptionHelpFormatter, "allow_abbrev": False}


def _add_group(tops: _SubParsersAction[ArgumentParser], name: str) -> _SubParsersAction[ArgumentParser]:
    verbs = "|".join(command.name.partition(" ")[2] for command in COMMANDS if command.name.startswith(f"{name} "))
    default = " Without a word: list." if name in LISTED_BY_DEFAULT else ""
    examples = "\n".join(f"  mcp-responder {c.example}" for c in COMMANDS if c.name.startswith(f"{name} "))
    group = tops.add_parser(
        name,
        help=f"{verbs}: {GROUPS[name]}",
        description=f"{name.capitalize()}: {GROUPS[name]}.{default}",
        epilog=f"Examples:\n{examples}",
        **LOOKS,
    )
    return group.add_subparsers(metavar="COMMAND", required=True)


def _add_command(parent: _SubParsersAction[ArgumentParser], verb: str, command: Command) -> None:
    parser = parent.add_parser(
        verb,
        help=_clause(command.what),
        description=command.what,
        epilog=f"Example:\n  mcp-responder {command.example}",
        **LOOKS,
    )
    parser.add_argument("--json", action="store_true", default=SUPPRESS, help="print JSON, one document")
    parser.set_defaults(run=command.run)
    if command.arguments:
        command.arguments(parser)


def _clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def complete(arguments: Sequence[str]) -> list[str]:
    """Put in the ``list`` that a group means when no word follows it."""
    completed = list(arguments)
    place = next((number for number, word in enumerate(completed) if not word.startswith("-")), len(completed))
    if completed[place : place + 1] and completed[place] in LISTED_BY_DEFAULT:
        following = completed[place + 1 : place + 2]
        if not following or (following[0].startswith("-") and following[0] not in ("-h", "--help")):
            completed.insert(place + 1, "list")
    return completed
