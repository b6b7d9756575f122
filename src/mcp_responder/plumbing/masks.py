"""Masks the values in a line of text, so that what stays is the sentence somebody once wrote into a program.

Two steps, each remembered. Every word is masked by itself: numbers, ids, addresses, paths, hosts, ``key=value``. The
masked words then meet as a sentence, of which there are few: quantities, dates, names of users and lists of values
become one placeholder each.
"""

from __future__ import annotations

import re
from functools import lru_cache

PLACEHOLDER = "<*>"

LONGEST_TEXT = 4096
"""Characters that are looked at; what follows can't make a sentence another one."""
LONGEST_REMEMBERED_WORD = 80
REMEMBERED_WORDS = 20_000
REMEMBERED_SENTENCES = 8_192

_NAMES = (
    "2fa 3xx 4xx 5xx 32bit 64bit aarch64 amd64 arm64 b2b base32 base64 crc32 e2e ec2 ed25519 fat32 h2 h264 http1 http2 "
    "http3 i18n i386 i686 ipv4 ipv6 k3s k8s l10n l4 l7 latin1 log4j log4j2 md5 mp3 mp4 neo4j nfs3 nfs4 oauth1 oauth2 "
    "p50 p75 p90 p95 p99 p999 pbkdf2 ps2 route53 rs256 s3 saml2 sha1 sha2 sha224 sha256 sha384 sha512 slf4j smb2 smb3 "
    "socks4 socks5 sqlite3 ssh1 ssh2 ssl3 tls1 utf16 utf32 utf8 web3 win32 win64 x264 x509 x64 x86"
)
NAMES_WITH_DIGITS = frozenset(_NAMES.split())
"""Names of the trade whose digits are no value: S3 and EC2 are two things, node1 and node2 are one."""

_KEYS = (
    "action alarm alarmname alert alertname cause check err errmsg error error_type errortype event exception kind "
    "level lvl message metric monitor msg operation outcome phase queue reason result rule service severity state "
    "status summary title topic type"
)
TELLING_KEYS = frozenset(_KEYS.split())
"""Keys whose value says what happened; the values of all others say to whom."""

_TOP_DOMAINS = "com|net|org|edu|gov|mil|arpa|biz|local|internal|localdomain|lan|corp|cloud|svc"
_NO_COUNTRIES = "id|is|to|no|so|sh|py|js|ts|rb|rs|cs|cc|pl|go|md|gz|db|kt|vb|hs|ml|my|mm|ps|pm|in|at|as|it|me|ip"
"""Country codes that are more often the end of a file or of a setting's name."""

_DIGITS = r"""
    (?P<number>(?:(?<![^\W_)\]>])[-+]|^[<>~]=?)?\d[^\W_]*(?:[.,:/+_-]+[A-Fa-f]*\d[^\W_]*)*%?)
  | (?P<name>(?<![^\W_])[^\W\d_]++\d[^\W_]*)
  | (?P<hex>(?<!\w)[0-9a-f]{8,}(?!\w))
  | (?P<truth>(?<![\w.-])(?:true|false)(?![\w.-]))
"""
_VALUE = re.compile(_DIGITS, re.VERBOSE)
_VALUE_OR_ADDRESS = re.compile(
    rf"""
    (?P<url>(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*+://[^\s"'<>()\[\]{{}},;|]*[^\s"'<>()\[\]{{}},;|.:!?])
  | (?P<email>(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{{2,}}(?!\w))
  | (?P<path>(?<![^"'(\[{{<=:,|>@\#`])(?:[A-Za-z]:[\\/]|\\\\|~?/|\.\.?/)
        [^\s"'<>()\[\]{{}},;|]*[^\s"'<>()\[\]{{}},;|.:!?=])
  | (?P<pair>(?<![\w.-])[A-Za-z_][A-Za-z_.-]*+=(?![=\s])[^\s,;"'()\[\]{{}}<>=&]+)
  | (?P<host>(?<![\w.$/-])(?!(?:com|org|net|edu|gov|java|javax|scala)\.)
        (?:(?:[\w-]++\.){{1,9}}(?:{_TOP_DOMAINS})
          |(?:[\w-]++\.){{2,9}}(?:io|(?!(?:{_NO_COUNTRIES})\b)[a-z]{{2}})
          |(?:[\w-]++\.){{1,9}}(?:com?|ac|net?|org?|edu|gov)\.[a-z]{{2}})
        (?![\w$-]|\.\w|\())
  | (?P<mac>(?<![^\W_])(?:[0-9A-Fa-f]{{2}}[:-]){{5,}}[0-9A-Fa-f]{{2}}(?![^\W_]))
  | (?P<uuid>(?<![^\W_])[0-9A-Fa-f]{{8}}(?:-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}(?![^\W_]))
  | (?P<ipv6>(?<![\w:])(?=[0-9A-Fa-f:.]{{0,45}}\d)(?:[0-9A-Fa-f]{{0,4}}:){{2,}}[0-9A-Fa-f.]*(?![\w:]))
  | {_DIGITS}""",
    re.VERBOSE,
)
_MAY_BE_ADDRESS = re.compile(r"[/\\@=.:]|-.{4}-")
_PLAIN_NUMBER = re.compile(r"([(\[#]|(?:[A-Za-z]+[-_#:])*)-?\d+(?:[.:]\d+)*%?([,.;:)\]]*)")
_STEM = re.compile(r"([^\W\d_]{2,})\d+([^\W\d_]{3,})?")
_HEX = re.compile(r"[0-9a-f]{6,}|[0-9A-F]{6,}")
_WORD_OR_HEX = re.compile(r"[a-f]{8,}|true|false")
_GENERATED = re.compile(r"(?<![\w.~@-])[\w.~@-]*<\*>(?:[\w.~:@/+-]*<\*>){2,}(?:[\w.~-]*\w)?")
_NUMBERED_HOST = re.compile(r"(?<![\w.$/-])[\w-]*<\*>[\w-]*(?:\.[a-z][a-z-]*){2,}(?![\w$.(-])")
_POD = re.compile(r"(?<=<\*>-)[bcdfghjklmnpqrstvwxz]{5}(?!\w)")
_NEIGHBOURS = re.compile(r"<\*>(?:(?:[_.:/+~#@,-]*|[_:/.-][A-Za-z][_:/.-])<\*>)+")


def _masked_value(match: re.Match[str]) -> str:
    kind, text = match.lastgroup, match[0]
    if kind == "name":
        return _masked_name(text)
    if kind == "pair":
        return _masked_pair(text)
    if kind == "number" and text.lower() in NAMES_WITH_DIGITS:
        return text
    return PLACEHOLDER


def _masked_name(name: str) -> str:
    """``node17`` is a node; ``7f3a9b2c`` and ``x2kq9`` are anything."""
    if name.lower() in NAMES_WITH_DIGITS:
        return name
    stem = None if _HEX.fullmatch(name) else _STEM.fullmatch(name)
    return f"{stem[1]}{PLACEHOLDER}{stem[2] or ''}" if stem else PLACEHOLDER


def _masked_pair(pair: str) -> str:
    key, _, value = pair.partition("=")
    return f"{key}={mask_word(value)}" if key.lower() in TELLING_KEYS else f"{key}={PLACEHOLDER}"


def mask_word(word: str) -> str:
    """One word without blanks, its values replaced."""
    if word.isalpha():
        return PLACEHOLDER if _WORD_OR_HEX.fullmatch(word) else word
    if plain := _PLAIN_NUMBER.fullmatch(word):
        return f"{plain[1]}{PLACEHOLDER}{plain[2]}"
    values = _VALUE_OR_ADDRESS if _MAY_BE_ADDRESS.search(word) else _VALUE
    masked = values.sub(_masked_value, word)
    return _joined(masked) if PLACEHOLDER in masked else masked


def _joined(masked: str) -> str:
    """The parts of one id, address or list are one value."""
    masked = masked.replace("-[<*>]", "-<*>")
    if masked.count(PLACEHOLDER) > 1:
        masked = _NEIGHBOURS.sub(PLACEHOLDER, _GENERATED.sub(PLACEHOLDER, masked))
    if "." in masked:
        masked = _NUMBERED_HOST.sub(PLACEHOLDER, masked)
    if "<*>-" in masked:
        masked = _NEIGHBOURS.sub(PLACEHOLDER, _POD.sub(PLACEHOLDER, masked))
    return masked


class _Words(dict[str, str]):
    """Masked words by word; forgets all of them when there are too many."""

    def __missing__(self, word: str) -> str:
        masked = mask_word(word)
        if len(word) <= LONGEST_REMEMBERED_WORD:
            if len(self) >= REMEMBERED_WORDS:
                self.clear()
            self[word] = masked
        return masked


_masked_words = _Words()

_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:[a-z]*day)?"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?:[a-z]{2,6})?"
_ZONE = "(?:UTC|GMT|AM|PM|am|pm|[ECMP][SD]T|CES?T|EES?T|WES?T|BST|IST|JST|KST|MSK|A[CEW][SD]T)"
_MAY_BE_DATE = re.compile("Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec")
_DATE = re.compile(
    rf"(?<!\w)(?:{_DAY},? )?{_MONTH}\.? <\*>(?:,? <\*>)*(?: {_ZONE}(?: <\*>)?)*"
    rf"|(?<!\w)(?:{_DAY},? )?<\*>[ /-]{_MONTH}[ /-]<\*>(?: <\*>)*(?: {_ZONE}(?: <\*>)?)*"
)
_TIME = re.compile(rf"<\*> {_ZONE}(?!\w)")
_QUOTED_PAIR = re.compile(
    r"""(?<![\w"])(?P<name>[A-Za-z_][\w.-]*)=(?:"[^"]*"|'[^']*')"""
    r"""|"(?P<key>[A-Za-z_][\w.-]*)":\ ?"(?:[^"\\]|\\.)*\""""
)
_OBJECT = re.compile(r"(?:(?<=\w)|<\*>)\{<\*>[^{}]*\}|(?<==<\*>)\(<\*>\)")
_QUANTITY = re.compile(
    r"(<\*>)\s?(?:[kmgtp]i?b|bytes?|b|ns|nanos(?:econds?)?|us|µs|micros(?:econds?)?|ms|millis(?:econds?)?|s|secs?"
    r"|seconds?|mins?|minutes?|hrs?|hours?|days?|[kmg]?hz|percent|%)(?![\w(-])",
    re.IGNORECASE,
)
_MAY_BE_WHO = re.compile("user|User|account|Account|client|Client|host |machine |for ")
_WHO = re.compile(
    r"""(\b(?:[Uu]ser(?:name)?|[Aa]ccount|[Cc]lient|(?:on|from|at|to)\ (?:host|machine)
        |(?:password|publickey|login|logon|auth|authentication|access)(?:\ failures?|\ failed)?\ for)\ )
    (?!unknown\b|(?:from|by|for|on|at|in|not)\ )
    (?:(?:"[^"]*"|'[^']*')(?:@'[^']*'|@[\w.<*>-]+)?|[\w.@\\$<*>-]*[\w$>])
    (?=$|[,;)\]]|\.(?:\s|$)|\ [(\[]
      |\ (?:by|from|on|at|to|in|via|with|has|is|was|for|logged|locked|failed|denied|does|did|cannot|could|tried)\b)""",
    re.VERBOSE,
)
_NOTHING = re.compile(r"([=:] ?)(?:null|none|None|nil|NaN|nan|undefined|N/A)(?![\w.])")
_UNREADABLE = re.compile(r"(?<=<\*> )\*{2,}(?![^\s,)])|(?<!\S)\*{2,}(?= <\*>)")
_LIST = re.compile(r"<\*>(?:[\s,;:/|+#&-]{1,3}<\*>)+")
_REPEATED = re.compile(r"(?<!\S)((?>[^\s,]*?<\*>)[^\s,]*+)(?:,? \1)+(?![^\s,.;:)\]])")


def _masked_quoted_pair(match: re.Match[str]) -> str:
    key = match["name"] or match["key"]
    if key.lower() in TELLING_KEYS:
        return match[0]
    return f"{key}={PLACEHOLDER}" if match["name"] else f'"{key}":{PLACEHOLDER}'


def _masked_object(match: re.Match[str]) -> str:
    return "" if match[0].startswith("(") else PLACEHOLDER


def _without_objects(text: str) -> str:
    """``Window{<*> Token{<*> main}}`` is one object, however deep."""
    for _ in range(4):
        text, found = _OBJECT.subn(_masked_object, text)
        if not found:
            break
    return text


@lru_cache(maxsize=REMEMBERED_SENTENCES)
def _settled(text: str) -> str:
    """A sentence of masked words, its values of several words made one placeholder each."""
    if '="' in text or "='" in text or '":' in text:
        text = _QUOTED_PAIR.sub(_masked_quoted_pair, text)
    if _MAY_BE_WHO.search(text):
        text = _WHO.sub(rf"\1{PLACEHOLDER}", text)
    if PLACEHOLDER in text:
        text = _settled_values(text)
    return _NOTHING.sub(rf"\1{PLACEHOLDER}", text)


def _settled_values(text: str) -> str:
    if _MAY_BE_DATE.search(text):
        text = _DATE.sub(PLACEHOLDER, text)
    text = _TIME.sub(PLACEHOLDER, text)
    if "{<*>" in text or "=<*>(" in text:
        text = _without_objects(text)
    text = _QUANTITY.sub(r"\1", text)
    if "**" in text:
        text = _UNREADABLE.sub(PLACEHOLDER, text)
    text = _LIST.sub(PLACEHOLDER, text.replace("<*> ()", "<*> (<*>)"))
    return _REPEATED.sub(r"\1", text) if text.count(PLACEHOLDER) > 1 else text


def mask(text: str) -> str:
    """The sentence without its values: what two lines written by the same statement share.

    >>> mask("Disk /dev/sda1 is 93% full on host web-17")
    'Disk <*> is <*> full on host <*>'
    """
    return _settled(" ".join(map(_masked_words.__getitem__, text[:LONGEST_TEXT].split())))
