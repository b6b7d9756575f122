"""Takes secrets out of text before it leaves: to a model, to a channel.

Two kinds are found: what looks like a secret wherever it stands (keys of clouds and vendors, tokens, private keys), and
what is called one (``password=...``, ``"api_key": "..."``, ``Authorization: ...``, ``user:password@host``). A
placeholder such as ``<github-token>`` stands in its place. Every pattern reads a text once, so a megabyte of anything
takes a fraction of a second.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

Value = TypeVar("Value")


class _Rule(NamedTuple):
    """One kind of secret. ``hints`` are words of which one stands, in lower case, in any text that has it."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    instead: str | Callable[[re.Match[str]], str]


_LONGEST_REMEMBERED = 4096
_REMEMBERED = 2048


def redact(text: str) -> str:
    """The text with placeholders for its secrets. What is redacted already stays as it is."""
    # One incident is told to several channels, several times, and most of its texts are the same each time.
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _redact(text)


def _redact(text: str) -> str:
    lowered = text.lower()
    for rule in _RULES:
        if any(hint in lowered for hint in rule.hints):
            text = rule.pattern.sub(rule.instead, text)
    return _redact_named(text)


_remembered = lru_cache(_REMEMBERED)(_redact)


def redacted(value: Value) -> Value:
    """The same, with every text inside redacted: of structs, lists, tuples and mappings. Raw JSON stays as it is."""
    return cast(Value, _redacted(value))


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return value if isinstance(value, enum.Enum) else redact(value)
    if isinstance(value, msgspec.Struct):
        changed = {}
        for name in value.__struct_fields__:
            old = getattr(value, name)
            new = _redacted(old)
            if new is not old:
                changed[name] = new
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, Mapping):
        return {_redacted(key): _named(key, item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_redacted(item) for item in value)
    return value


def _named(key: object, item: object) -> object:
    """The value of a label: its name may say that it is a secret."""
    if not (isinstance(key, str) and isinstance(item, str)) or isinstance(item, enum.Enum):
        return _redacted(item)
    return SECRET if _SECRET_NAME.search(key) and not _trivial(item) else redact(item)


# ------------------------------------------------------------------------------------------------ what looks like one

SECRET = "<secret>"  # noqa: S105 - what stands in its place
_START = r"(?<![A-Za-z0-9_-])"


def _token(label: str, hint: str, pattern: str) -> _Rule:
    """A token that begins with its vendor's mark. It starts only where no token goes on, so none is read twice."""
    return _Rule((hint.lower(),), re.compile(_START + pattern), f"<{label}>")


_BASE64_LINES = r"(?:(?:\s|\\[rnt])*+(?:(?:Proc-Type|DEK-Info|Version|Comment): [^\n\\]{0,100}|[A-Za-z0-9+/=]{20,}+))*+"
_PRIVATE_KEYS = (
    _Rule(
        ("private key",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            rf"(?:(?:[^-]|-(?!----))*+-----END [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----|{_BASE64_LINES})"
        ),
        "<private-key>",
    ),
    _token("private-key", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}+"),
)
_AWS_KEY = r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"
_TOKENS = (
    _Rule(
        ("akia", "asia"),
        re.compile(rf"{_AWS_KEY}([^A-Za-z0-9/+\n]{{1,10}})[A-Za-z0-9/+]{{40}}(?![A-Za-z0-9/+=])"),
        r"<aws-access-key>\1<aws-secret-key>",
    ),
    _Rule(("akia", "asia", "abia", "acca"), re.compile(_AWS_KEY), "<aws-access-key>"),
    _token("github-token", "gh", r"gh[pousr]_[A-Za-z0-9]{30,}+"),
    _token("github-token", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,}+"),
    _token("gitlab-token", "gl", r"gl(?:pat|ptt|rtr?|dt|oas|soat|cbt|imt|ft|agent|ffct)-[A-Za-z0-9_.-]{20,}+"),
    _token("slack-token", "xox", r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}+"),
    _token("slack-token", "xapp-", r"xapp-[A-Za-z0-9-]{10,}+"),
    _token("stripe-key", "k_", r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}+"),
    _token("webhook-secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{16,}+"),
    _token("npm-token", "npm_", r"npm_[A-Za-z0-9]{30,}+"),
    _token("pypi-token", "pypi-", r"pypi-[A-Za-z0-9_-]{50,}+"),
    _token("anthropic-key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{16,}+"),
    _token("openai-key", "sk-", r"sk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_]{20,}[A-Za-z0-9_-]*+"),
    _token("google-api-key", "AIza", r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    _token("google-token", "ya29.", r"ya29\.[A-Za-z0-9_.-]{20,}+"),
    _token("google-client-secret", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{20,}+"),
    _token("azure-client-secret", "q~", r"[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~.-])"),
    _token("sendgrid-key", "SG.", r"SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}+"),
    _token("digitalocean-token", "_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    _token("vault-token", "hv", r"hv[sbr]\.[A-Za-z0-9_-]{20,}+"),
    _token("grafana-token", "gl", r"gl(?:sa|c)_[A-Za-z0-9+/=_]{20,}+"),
    _token("new-relic-key", "NRAK-", r"NRAK-[A-Z0-9]{20,}+"),
    _token("shopify-token", "shp", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    _token("hugging-face-token", "hf_", r"hf_[A-Za-z0-9]{30,}+"),
    _token("atlassian-token", "AT", r"AT(?:ATT|CTT)3[A-Za-z0-9_=-]{30,}+"),
    _token("databricks-token", "dapi", r"dapi[a-f0-9]{32}"),
    _token("telegram-token", ":AA", r"\d{8,10}:AA[A-Za-z0-9_-]{32,}+"),
    _token("jwt", "eyJ", r"eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+)*+"),
)
_ADDRESSES = (
    _Rule(("hooks.slack.com",), re.compile(r"(hooks\.slack\.com/[a-z]+)/[A-Za-z0-9/_-]{8,}+"), r"\1/<slack-webhook>"),
    _Rule(("/webhooks/",), re.compile(r"(/api/webhooks/\d+)/[A-Za-z0-9_-]{16,}+"), r"\1/<webhook-token>"),
    _Rule(("webhook.office.com",), re.compile(r"(webhook\.office\.com/webhookb2)/[^\s\"'<>]++"), r"\1/<webhook>"),
    # A number behind the host's colon is a port, and what follows a path.
    _Rule(
        ("://",),
        re.compile(r"://([^\s/?#\"'<>@:]{0,128}):(?!\d{1,5}(?:[/?#]))[^\s/?#\"'<>]{1,512}@"),
        r"://\1:<password>@",
    ),
    _Rule(("://",), re.compile(r"://[^\s/?#\"'<>@:]{20,512}@"), "://<credentials>@"),
    _Rule(("jdbc:oracle:",), re.compile(r"(jdbc:oracle:[a-z]{1,8}:[^\s/:@]{1,64})/[^\s@/]{1,128}@"), r"\1/<password>@"),
    _Rule(
        ("sig", "x-amz-", "x-goog-", "token=", "key=", "code="),
        re.compile(
            r"(?i)([?&](?:sig|signature|X-Amz-(?:Signature|Credential|Security-Token)|X-Goog-(?:Signature|Credential)"
            r"|(?:access_|auth_|id_)?token|(?:api_?)?key|code))=[^&\s\"'<>\\#]++"
        ),
        rf"\1={SECRET}",
    ),
)

# ------------------------------------------------------------------------------------------------- what is called one

_NAMES = (
    r"password|passwd|passphrase|passwort|pwd|secret|token|credential|private[_. -]?key|"
    r"(?:api|access|secret|encryption|signing|account|storage|subscription|licen[cs]e|master|auth|service|routing|"
    r"integration|client|consumer|app|application|webhook|session|shared|ingest|write)[_. -]?key|"
    r"session[_.-]?id|connect\.sid|(?<![a-z])pass|(?<![a-z])otp|(?<![a-z])salt|hmac"
)
_SECRET_NAME = re.compile(
    rf"(?i)(?:{_NAMES}|^(?:proxy-|x-)?authorization|^(?:set-)?cookie)(?:[_.-]?(?:value|string|base64|b64|\d{{1,3}}))?$"
)
_NAMED = re.compile(_NAMES)
"""Sought in lower-cased text: several times as fast as a search in any case."""
_ASSIGNED = re.compile(
    r"(?P<middle>\\{0,8}[\"']?[ \t]{0,4}(?:=>|:=|[:=])(?P<gap>[ \t]{0,4})\[?)"
    r"(?:(?P<plain>[\"'])(?P<value>(?:\\.|(?!(?P=plain))[^\n\\])*+)"
    r"|(?P<escaped>\\{1,8}[\"'])(?P<inner>(?:\\{3,16}[\"']|(?!(?P=escaped))[^\n])*+)"
    r"|(?![\[{(}])(?P<bare>(?:[^\s\"'<>,;&\\]|,(?!\s|[\w.-]{1,40}[=:]|$))++))"
)
_ARGUMENT = re.compile(r"[ \t]{1,4}(?![-<])[\"']?(?P<bare>[^\s\"'<>]++)")
_OPTION = re.compile(r"(?<![\w-])--[A-Za-z-]{0,20}\Z")
_ELEMENT = re.compile(r">(?P<bare>[^<\n]{1,512})(?=</)")
_TRIVIAL = frozenset(
    re.findall(
        r"\S+",
        "true false yes no null none nil undefined empty unset required missing invalid expired not is was has for "
        "string str integer int bytes object redacted *** [redacted] [filtered] {} [] ( {",
    )
)
_CAPITALS = re.compile("[A-Z]+")
_PROSE = re.compile(r"[A-Za-z][a-z]*[.!?:)]?")


def _trivial(value: str) -> bool:
    """Not a secret, whatever it is called: a word for none, a reference to where it is kept, a mask."""
    bare = value.strip()
    return (
        not bare
        or bare.lower().rstrip(".,:)") in _TRIVIAL
        or bare.startswith(("<", "$", "{{", "%(", "arn:", "***"))
        or set(bare) <= {"*", "x", "X", "."}
    )


def _redact_named(text: str) -> str:
    lowered = text.lower()
    if len(lowered) != len(text):
        # Some letters of other alphabets grow when they are lowered.
        lowered = _CAPITALS.sub(lambda match: match[0].lower(), text)
    pieces, place = [], 0
    for name in _NAMED.finditer(lowered):
        if name.start() >= place and (span := _secret_after(text, name.start(), name.end())):
            pieces += [text[place : span[0]], SECRET]
            place = span[1]
    return "".join((*pieces, text[place:]))


def _secret_after(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Where the secret is that a name stands in front of, if it is one."""
    follows = text[end : end + 1]
    if follows == ">":
        found = _ELEMENT.match(text, end)
    elif follows in " \t" and _OPTION.search(text, max(0, start - 24), start):
        found = _ARGUMENT.match(text, end)
    else:
        found = _ASSIGNED.match(text, end)
    if not found:
        return None
    group = next(name for name in ("bare", "value", "inner") if found.groupdict().get(name) is not None)
    if _trivial(found[group]) or (group == "bare" and _is_harmless(text, start, end, found)):
        return None
    return found.span(group)


def _is_harmless(text: str, start: int, end: int, found: re.Match[str]) -> bool:
    """Unquoted. After a colon and a blank a single word may be prose: "invalid token: expired"."""
    value, name = found["bare"], text[start:end].lower()
    if text[start - 1 : start] == text[end : end + 1] == ":":
        # The name of a secret, as in an ARN.
        return True
    if value.startswith("/") and name in ("pwd", "credential"):
        return True
    if value.isdigit() and len(value) < 6 and name in ("token", "pass", "otp", "salt"):
        return True
    facts = found.groupdict()
    prose = facts.get("gap") and ":" in facts["middle"] and _PROSE.fullmatch(value)
    return bool(prose) and not _begins_line(text, start)


def _begins_line(text: str, start: int) -> bool:
    """Whether the name stands where YAML and properties have one, and not in a sentence."""
    line = text[max(0, start - 80) : start].rpartition("\n")[2]
    return " " not in line.lstrip(" \t-{[,\"'")


_UNTIL_END = r"[^\"'\r\n\\<>]"
_HEADERS = (
    _Rule(
        ("authorization",),
        re.compile(
            r"(?i)(authorization\\{0,8}[\"']?[ \t]{0,4}(?:=>|[:=])[ \t]{0,4}\\{0,8}[\"']?[\[(]{0,1}\\{0,8}[\"']?)"
            r"(?:(?P<scheme>Bearer|Basic|Token|Negotiate|NTLM|ApiKey|Key|Bot|Splunk|GenieKey|SSWS|Hawk)[ \t]++"
            r"(?!<)[^\s\"'<>,;\\]++"
            rf"|(?P<long>Digest|AWS4-HMAC-SHA256|SharedKey|OAuth)[ \t]++{_UNTIL_END}++"
            r"|(?![A-Z]?[a-z]*[\s.,:]|<|\S{1,40}[ \t]{1,4}<)"
            r"(?=[^\s\"'<>,;\\]{0,200}[^a-zA-Z\s\"'<>,;\\])[^\s\"'<>,;\\]{8,}+)"
        ),
        lambda match: f"{match[1]}{f'{scheme} ' if (scheme := match['scheme'] or match['long']) else ''}<credentials>",
    ),
    _Rule(
        ("cookie",),
        re.compile(
            r"(?i)(cookie\\{0,8}[\"']?[ \t]{0,4}(?:=>|[:=])[ \t]{0,4}\\{0,8}[\"']?[\[(]{0,1}\\{0,8}[\"']?)"
            rf"(?=[\w.%-]{{1,128}}=){_UNTIL_END}++"
        ),
        r"\1<cookies>",
    ),
    _Rule(
        ("bearer", "basic"),
        re.compile(r"(?i)\b(bearer|basic)([ \t]+)(?=[A-Za-z0-9._~+/-]{0,200}[0-9._~+/=-])[A-Za-z0-9._~+/-]{16,}+=*+"),
        r"\1\2<credentials>",
    ),
)
_COMMANDS = (
    _Rule(
        ("-u", "--user"),
        re.compile(r"((?<![\w-])(?:-u|--user|--proxy-user)[ =]{1,4}[\"']?[^\s:\"'<>]{1,128}):[^\s\"'<>]{1,256}"),
        r"\1:<password>",
    ),
    _Rule(
        ("mysql", "mariadb"),
        re.compile(r"((?:mysql|mariadb)[^\n|;]{0,200}? -p)(?![ <])[^\s\"'<>]{1,128}"),
        rf"\1{SECRET}",
    ),
)
_RULES = (
    *_PRIVATE_KEYS,
    *_ADDRESSES,
    *_HEADERS,
    *_TOKENS,
    *_COMMANDS,
)
