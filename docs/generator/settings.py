"""responder.example.toml and the settings' reference: from the types that a configuration is decoded into."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from docs.generator.markdown import MADE, code, field_docs, plain, table
from mcp_responder.channels import load_kinds
from mcp_responder.plumbing.secret import Secret
from mcp_responder.ports import SourceSettings
from mcp_responder.settings import PREFIX, RouteSettings, Section, Settings
from mcp_responder.sources import load_sources

WIDTH = 100

ROUTES = """\
[[routes]]
at_least = "HIGH"
environment = "prod*"
channels = ["slack", "pager"]
fallback = ["mail"]

[[routes]]
channels = ["slack"]"""
EXAMPLES = {
    "sources": '[sources.generic.fields]\ntitle = ["problem.displayName"]\n"labels.team" = ["custom.squad"]',
    "severities": '[[severities]]\npattern = "checkout|payment"\nseverity = "CRITICAL"',
    "routes": ROUTES,
}
"""Tables whose keys are the user's own."""
REQUIRED: dict[str, str | list[str]] = {
    "channels.jira.url": "https://example.atlassian.net",
    "channels.jira.email": "incidents@example.com",
    "channels.jira.token": "ATATT3x...",
    "channels.jira.project": "OPS",
    "channels.mail.host": "smtp.example.com",
    "channels.mail.sender": "incidents@example.com",
    "channels.mail.to": ["oncall@example.com"],
    "channels.slack.token": "xoxb-...",
    "channels.slack.channel": "C0123456789",
    "channels.webhook.url": "https://ops.example.com/incidents",
}
"""Settings without a default, or without one that works."""

FILE_HEAD = """\
mcp-responder: every setting, its default, and what it is for.

Copy this file to responder.toml in the directory that the service is started in (or name it with
RESPONDER_CONFIG), and take the # away from what you change, and from the [table] above it. Without any
file the defaults hold.
Check the result with: mcp-responder config check"""

PAGE_HEAD = f"""\
# Settings

{MADE}

The service reads one file, `responder.toml` in the directory it is started in, or the file that `RESPONDER_CONFIG`
names. Without a file the defaults hold. [responder.example.toml](../../responder.example.toml) has every setting, ready
to copy.

**Environment.** Each key can be set as a variable, which goes before the file: `RESPONDER_` and the key in capitals,
levels joined by two underscores. Lists and tables are written as in the file:

```sh
export RESPONDER_PORT=9000
export RESPONDER_CHANNELS__WEBHOOK__URL=https://ops.example.com/incidents
export RESPONDER_CORRELATION__IDENTITY='["signature", "service"]'
```

**Mistakes.** An unknown key or a wrong value stops the start, with the key, where it was set, and what to do.
`mcp-responder config check` finds the same mistakes without starting anything. `mcp-responder config show` prints each
value and where it came from; secrets are shown as `***`.

**Changes** take effect at the next start.
"""

NOT_KEYS = {
    "ANTHROPIC_API_KEY": "The model's key, if `analysis.claude.api_key` isn't set.",
    "RESPONDER_CONFIG": "The configuration file, if it isn't `responder.toml` in the working directory.",
    "RESPONDER_URL": "For the command line: the service to talk to, if it isn't the one of this directory.",
}


class Setting(NamedTuple):
    """One key: where it stands, its default as TOML writes it, and what it is for."""

    key: str
    default: str
    doc: str

    @property
    def variable(self) -> str:
        return PREFIX + self.key.replace(".", "__").upper()


def sections() -> Iterator[tuple[str, str, list[Setting]]]:
    """(table, what it is for, its settings), the top level first under the name ""."""
    docs = field_docs(Settings)
    fields = msgspec.structs.fields(Settings)
    tables = {field.name: field.type for field in fields if _is_table(field.type)}
    yield "", "", [_setting(field, "", docs) for field in fields if field.name not in tables | _open_tables()]
    for name, kind in tables.items():
        yield from _tables(name, kind)


def _tables(name: str, kind: type[msgspec.Struct]) -> Iterator[tuple[str, str, list[Setting]]]:
    """A table, and the tables inside of it."""
    inner = {field.name: field.type for field in msgspec.structs.fields(kind) if _is_struct(field.type)}
    docs = {**field_docs(kind), **dict.fromkeys(inner, "")}
    fields = [field for field in msgspec.structs.fields(kind) if field.name not in inner]
    yield name, _about(kind), [_setting(field, f"{name}.", docs) for field in fields]
    for inner_name, inner_kind in inner.items():
        yield from _tables(f"{name}.{inner_name}", inner_kind)


def channel_sections() -> Iterator[tuple[str, str, list[Setting]]]:
    """The settings of each kind of channel, under the channel's usual name."""
    for name, kind in load_kinds().items():
        yield f"channels.{name}", _about(kind.settings), _settings(kind.settings, f"channels.{name}.")


def source_sections() -> Iterator[tuple[str, str, list[Setting]]]:
    """The settings that only some source has."""
    common = msgspec.structs.fields(SourceSettings)
    for name, source in load_sources().items():
        kind = source.INFO.settings
        docs = field_docs(kind)
        own = [field for field in msgspec.structs.fields(kind) if field.name not in {one.name for one in common}]
        if own:
            yield f"sources.{name}", _about(kind), [_setting(field, f"sources.{name}.", docs) for field in own]


def open_tables() -> dict[str, str]:
    """Tables whose keys are the user's own, and what they are for."""
    docs = field_docs(Settings)
    return {name: docs.get(name) or _about(SourceSettings) for name in _open_tables()}


def _open_tables() -> dict[str, str]:
    return {**EXAMPLES, "channels": ""}


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _about(kind: type[Any]) -> str:
    return plain(" ".join((kind.__doc__ or "").split()))


def _settings(kind: type[msgspec.Struct], prefix: str) -> list[Setting]:
    docs = field_docs(kind)
    return [_setting(field, prefix, docs) for field in msgspec.structs.fields(kind)]


def _setting(field: msgspec.structs.FieldInfo, prefix: str, docs: dict[str, str]) -> Setting:
    key = prefix + field.name
    return Setting(key, _default(field), docs[field.name])


def _default(field: msgspec.structs.FieldInfo) -> str:
    """As TOML writes it; empty if there is none."""
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return "" if default is msgspec.NODEFAULT else _toml(default)


def _toml(value: object) -> str:
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps("" if value is None else value)


# ----------------------------------------------------------------------------------------------------------- the file


def example() -> str:
    """The example file: explanations after "# ", settings after a bare "#"."""
    return "\n".join((*_said(FILE_HEAD), *_example_lines()))


def _example_value(setting: Setting) -> str:
    example = REQUIRED.get(setting.key)
    return setting.default if example is None else json.dumps(example)


def _example_lines() -> Iterator[str]:
    for name, about, settings in (*sections(), *source_sections(), *channel_sections()):
        if name:
            yield from ("", "", *_said(about), f"#[{name}]")
        if name.startswith("channels."):
            yield f'#kind = "{name.removeprefix("channels.")}"'
        for setting in settings:
            yield from ("", *_said(setting.doc), f"#{_assignment(setting)}")
    for name, lines in EXAMPLES.items():
        yield from ("", "", *_said(f"{open_tables()[name]} For example:"), *(f"#{line}" for line in lines.split("\n")))


def _assignment(setting: Setting) -> str:
    return f"{setting.key.rpartition('.')[2]} = {_example_value(setting)}"


def _said(text: str) -> Iterator[str]:
    for paragraph in text.split("\n"):
        yield from (f"# {line}".rstrip() for line in textwrap.wrap(paragraph, WIDTH - 2) or [""])


# ----------------------------------------------------------------------------------------------------------- the page


def page() -> str:
    """The reference."""
    return "\n".join((PAGE_HEAD, *_page_lines()))


def _page_lines() -> Iterator[str]:
    for name, about, settings in sections():
        yield from ("", f"## {f'`[{name}]`' if name else 'Top level'}", "", *((about, "") if about else ()))
        yield from _settings_table(settings)
    docs = open_tables()
    for name, example_lines in EXAMPLES.items():
        yield from ("", f"## `{name}`", "", docs[name], "", "```toml", example_lines, "```")
        if name == "routes":
            yield from ("", *_route_table())
        for table_name, about, settings in source_sections() if name == "sources" else ():
            yield from ("", f"### `[{table_name}]`", "", about, "", *_settings_table(settings))
    yield from ("", "## `channels`", "", docs["channels"], "", "Set-up guides: [channels](channels.md).")
    for name, about, settings in channel_sections():
        yield from ("", f"### `[{name}]`", "", about, "", *(_settings_table(settings) if settings else ()))
    yield from ("", "## Variables that aren't settings", "")
    yield from table(("variable", "what it is for"), ((code(name), NOT_KEYS[name]) for name in sorted(NOT_KEYS)))


def _route_table() -> Iterator[str]:
    docs = field_docs(RouteSettings)
    rows = (
        (code(field.encode_name), code(_default(field)), docs[field.name])
        for field in msgspec.structs.fields(RouteSettings)
    )
    return table(("key", "default", "what it is for"), rows)


def _settings_table(settings: list[Setting]) -> Iterator[str]:
    rows = (
        (code(one.key), code(one.default) or "required", f"{one.doc.replace('<', '&lt;')}<br>{code(one.variable)}")
        for one in settings
    )
    return table(("key", "default", "what it is for, and its variable"), rows)
