"""A line of a log in plain text: its level, what it says behind time, thread and level, and whether it tells a failure.

A level is believed only where loggers write it: in front, behind a time, in brackets, before a colon, as
``level=...``. Without one the words decide, and phrases that only sound bad ("0 errors") are passed over.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mcp_responder.model.alert import Severity
from mcp_responder.model.severity import judge
from mcp_responder.plumbing.traces import parse_trace

LEVELS: dict[Severity, str] = {
    Severity.CRITICAL: "fatal critical crit emergency emerg alert panic dpanic ftl pnc",
    Severity.HIGH: "error err eror severe fail",
    Severity.MEDIUM: "warning warn wrn",
    Severity.LOW: "notice info information inf config debug dbug dbg fine finer finest trace trce trc verbose log",
}
"""Words for levels; LOW is all that is below a warning."""
BY_WORD = {word: severity for severity, words in LEVELS.items() for word in words.split()}

LONGEST_HEAD = 400
"""Characters in which a level is looked for."""
LONGEST_JUDGED = 4000
"""Characters whose words are judged."""
_MOST_PIECES = 12

_WORDS = "|".join(sorted(BY_WORD, key=len, reverse=True))
_LOUD = "|".join(sorted((word.upper() for word in BY_WORD), key=len, reverse=True))
_DATE = r"(?:\d{4}[-/.]\d\d[-/.]\d\d|\d\d[-/.]\d\d[-/.]\d{2,4}|\d{1,2}[/ -][A-Z][a-z]{2}[/ -]\d{4})"
_MONTH = r"(?:[A-Z][a-z]{2}\ +)?[A-Z][a-z]{2}\ +\d{1,2}(?:,?\ \d{4})?"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?:\s?[AP]M\b)?"
_ZONE = r"(?:\s?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_PIECE = re.compile(
    rf"""
    (?P<time> [\[(]? (?: {_DATE} (?:[T\s:]? {_CLOCK})? | {_CLOCK} | {_MONTH} [,\ ]* {_CLOCK} (?:\ \d{{4}})? )
        {_ZONE} [\])]? )
  | (?P<tornado> \[(?P<letter>[CEWID])\ \d{{6}}\ [\d:]+\ [^\]]*\] )
  | (?P<glog> (?P<initial>[FEWI])\d{{4}}\ [\d:.]+\s+\d+\ [^\]\s]+\] )
  | (?P<postgres> \S*:\[\d+\]:(?=[A-Z]+: ) )
  | (?P<boxed> [\[(<|] \s? (?:[\w.-]+:)? (?P<level>{_WORDS}) \s* [\])>|] :? )
  | (?P<python> (?-i:(?P<first>{_LOUD})):(?P<module>[\w.]+):(?=[^\s/]) )
  | (?P<before> (?:[\w-]+\.)? (?!panic) (?P<early>{_WORDS}) (?=:(?!:)) :? )
  | (?P<loud> (?-i:(?P<shout>{_LOUD})) (?![\w/=.-]) )
  | (?P<request> [Rr]equest[ _]?I[Dd]:\ ? | \(?{_UUID}\)? | [A-Z],(?=\ \[) )
  | (?P<caller> \d+\#\d+:(?:\ \*\d+)? | \S+\.(?:go|py|[jt]s|java|rs|rb|cs|php):\d+(?=\s) | [\w.<>$:]+:\d+(?=\ -\ ) )
  | (?P<box> [\[(<] [^\[\]()<>\n]{{0,80}} [\])>] )
  | (?P<number> \d[\d.\#]*(?![\w-]) )
  | (?P<mark> [-|:,*\#>~]+ | [a-z_]+\[\d+\]:(?=\s) )
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BLANKS = re.compile(r"[\s:]*")
_AFTER_TIME = re.compile(
    rf"(?P<before>(?:[\w.$@/\[\]:-]+\s+){{1,3}}?)[\[(]?(?P<loud>{_LOUD})[\])]?(?![\w/=.-])"
    rf"|(?P<quiet>(?i:{_WORDS}))(?=\s|$)"
)
"""Behind a time: a host or a thread before a level in capitals, or a level by itself."""
_PROGRAM = re.compile(r"[\w.-]+\s+[\w./-]+(?:\[\d+\])?:\s+")
"""Behind a time: syslog's host and program."""
_AFTER_TAB = re.compile(rf"(?P<quiet>(?i:{_WORDS}))(?=\t)")
_PAIR = re.compile(
    rf"(?<![\w.-])(?:log[._]?)?(?:level|lvl|severity|levelname)[\"']?\s*[=:]\s*[\"']?(?P<level>{_WORDS})\b",
    re.IGNORECASE,
)
_MAY_PAIR = re.compile(r"[lL](?:evel|EVEL|vl)|everity|EVERITY")
"""A cheap first look."""
_PAIRED_MESSAGE = re.compile(r"(?<![\w.-])(?:msg|message|event)=(?:\"((?:[^\"\\]|\\.)*)\"|(\S+))")
_PAIRED_ERROR = re.compile(r"(?<![\w.-])(?:err|error)=(?:\"((?:[^\"\\]|\\.)*)\"|(\S+))")
_SYSLOG = re.compile(r"<(\d{1,3})>\d?\s*")
_SYSLOG_LEVELS = (*(Severity.CRITICAL,) * 3, Severity.HIGH, Severity.MEDIUM)
_LETTERS = {"C": "fatal", "F": "fatal", "E": "error", "W": "warning", "I": "info", "D": "debug"}
_LOGGER = re.compile(r"(?P<logger>[A-Za-z_$][\w$-]*(?:(?:\.|::|/)[\w$\[\]-]+)*)\s*(?:\s(?:-{1,3}|:)|[:\]])\s+(?=\S)")
_OF_THREAD = re.compile(r"\[(?:pid|tid|client|thread)\b")
_DOTTED = re.compile(r"\.|::|/")


class Told(NamedTuple):
    """How bad an event is, the sender's word for that, and a title where better words are known than its own."""

    level: Severity
    """LOW for all that is below a warning."""
    word: str = ""
    title: str = ""
    echo: bool = False
    """It only repeats what another line of the same request says better."""


class Head(NamedTuple):
    """What stands in front of a line."""

    level: Severity | None = None
    """None if it has no level; LOW for all below a warning."""
    word: str = ""
    """The level as the sender writes it."""
    rest: str = ""
    """What the line says behind."""
    logger: str = ""
    bare: bool = True
    """Nothing stands in front."""


def read_head(line: str) -> Head:
    """The level of a line and what it says; of a text, that of its first line."""
    line = line[: LONGEST_HEAD * 4].strip()
    head = line[:LONGEST_HEAD]
    if _MAY_PAIR.search(head) and (pair := _PAIR.search(head)):
        return Head(BY_WORD[pair["level"].lower()], pair["level"], _of_pairs(line), bare=False)
    walk = _Walk(line)
    while walk.step():
        pass
    rest = line[walk.at :]
    logger = _LOGGER.match(rest) if walk.word else None
    if logger and _is_logger(logger["logger"]):
        return Head(walk.level, walk.word, rest[logger.end() :], logger["logger"], bare=False)
    return Head(walk.level, walk.word, rest or line, walk.logger, bare=walk.at == 0)


class _Walk:
    """Goes over the head of a line, piece by piece."""

    def __init__(self, line: str) -> None:
        self.line, self.end = line, min(len(line), LONGEST_HEAD)
        self.level: Severity | None = None
        self.word = self.logger = ""
        self.at = 0
        self._reached = self._pieces = 0
        self._timed = False
        if syslog := _SYSLOG.match(line):
            number = int(syslog[1]) % 8
            self.level = _SYSLOG_LEVELS[number] if number < len(_SYSLOG_LEVELS) else Severity.LOW
            self.at = self._reached = syslog.end()

    def step(self) -> bool:
        """Take one more piece, if there is one."""
        found, said = self._piece()
        if found is None or self._pieces >= _MOST_PIECES or found.start() >= self.end or (said and self.word):
            return False
        if self.word and not self._belongs_behind(found):
            return False
        kinds = found.groupdict()
        self._timed = self._timed or bool(kinds.get("time"))
        if said:
            postgres = bool(kinds.get("before")) and self.line.startswith("  ", found.end())
            self.level, self.word = _severity(said, postgres=postgres), said
        self.logger = self.logger or kinds.get("module") or ""
        blanks = _BLANKS.match(self.line, found.end())
        self._reached = blanks.end() if blanks else found.end()
        # "0 errors": a number alone is no head.
        if said or self._timed or self.level or kinds.get("request"):
            self.at = self._reached
        self._pieces += 1
        return True

    def _piece(self) -> tuple[re.Match[str] | None, str]:
        """What stands here, and the level that it says."""
        line, at = self.line, self._reached
        found = _PIECE.match(line, at)
        if found:
            letter = found["letter"] or found["initial"]
            levels = (found["level"], found["first"], found["early"], found["shout"])
            return found, _LETTERS[letter.upper()] if letter else next(filter(None, levels), "")
        behind = _AFTER_TIME.match(line, at) if self._timed else None
        if behind:
            return behind, behind["loud"] or behind["quiet"]
        if at and (tabbed := _AFTER_TAB.match(line, at)):
            return tabbed, tabbed["quiet"]
        return (_PROGRAM.match(line, at) if self._timed and not self.word else None), ""

    def _belongs_behind(self, found: re.Match[str]) -> bool:
        """Whether a piece behind the level is still of the head, not of what is said."""
        kinds, rest = found.groupdict(), self.line[found.end() : found.end() + LONGEST_HEAD].lstrip()
        if kinds.get("number"):
            return rest.startswith(("--", "["))
        if kinds.get("box"):
            logger = _LOGGER.match(rest)
            return bool(_OF_THREAD.match(found[0]) or (logger and _is_logger(logger["logger"])))
        return True


def _is_logger(name: str) -> bool:
    """Whether it names a part of a program, and not what was thrown."""
    return _DOTTED.search(name) is not None and not name.endswith(("Error", "Exception"))


def _severity(word: str, *, postgres: bool) -> Severity:
    level = BY_WORD[word.lower()]
    # To PostgreSQL a wrong password is fatal: to the session.
    return Severity.HIGH if postgres and word == "FATAL" else level


def _of_pairs(line: str) -> str:
    """``time=... level=error msg="it broke" err="why"``: what broke and why."""
    said = [found[1] or found[2] for pattern in (_PAIRED_MESSAGE, _PAIRED_ERROR) if (found := pattern.search(line))]
    return ": ".join(part.replace('\\"', '"') for part in said if part) or line


# --------------------------------------------------------------------------------------------- without a readable level

_HARMLESS = re.compile(
    r"""
    \b(?:no|zero|without|any|never|not|free\ of)\s+(?:[a-z]+\s+){0,2}?
        (?:errors?|exceptions?|failures?|failed|failing|fail|fatal|problems?|crash(?:es|ed)?|timeouts?)\b
  | (?<![\w.])0\s+(?:[a-z]+\s+)?(?:errors?|exceptions?|failures|crashes|timeouts)\b
  | (?:^|[,:;(|=])\s*0\s+(?:[a-z]+\s+)?fail(?:ed|ing|s)\b
  | \b(?:errors?|exceptions?|failures?|failed|fails|failing|fatal|crash(?:es|ed)|timeouts?|panic)
        (?:[\ _-]?(?:count|rate|total|ratio|percent(?:age)?|budget))?
        ["']?\s*(?:[=:]|\bis\b|\bare\b|\bwas\b)\s*["']?
        (?:0+(?:\.0+)?\s?%?|none|null|nil|false|no|n/a|-|\[\]|\{\}|""|'')(?![\w.])
  | \b(?:errors?|exceptions?|failures?|fail)[\ _-]?
        (?:rate|budget|handl\w+|pages?|report(?:s|ing|er)|track\w+|count(?:s|er|ers)?|metrics?|boundar\w+|middleware
          |threshold|templates?|logs?|logg\w+|over|safe|back|correction)\b
  | \b(?:on|if|when|in\ case\ of|upon|ignor\w+|recover\w*\ from|handled|for|of)\s+(?:an?\s+|the\s+|any\s+|all\s+)?
        (?:errors?|failures?|exceptions?|panic|crash)\b
  | \b(?:previous|last|earlier)\s+(?:error|failure|exception)\b
  | \b(?:errors?|failures?)\s+(?:was\s+|were\s+)?(?:fixed|resolved|cleared|corrected|recovered)\b
  | \b(?:access|permission)\ denied\ (?:page|handler|policy)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_FAILURE = re.compile(
    r"""
    (?<![\w./=-])(?:
        errors?|exceptions?|fail(?:ed|s|ing|ure|ures)?|fatal|panic|panicked|crash(?:ed|es|ing)?|aborted|abort
      | segfault|segmentation\ fault|core\ dumped|unhandled|uncaught|traceback|timed[\ -]?out
      | time-?out\ (?:exceeded|expired)|refused|denied|unreachable|could\ not|couldn['\u2019]t|unable\ to|cannot
      | can['\u2019]t|out\ of\ memory|oom[\ -]?kill\w*
      | no\ space\ left|corrupt(?:ed|ion)?|deadlock\w*|stack\ overflow
    )(?![\w/=-]|\.\w)
  | \b(?-i:[A-Z][A-Za-z0-9]*(?:Error|Exception|Fault|Throwable))\b(?=:|\s|$|\))(?!\ ?(?:handler|count))
  | \b(?:errors?|failures?|failed|exceptions?)["']?\ ?[=:]\ ?["']?[1-9]
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ACCESS = re.compile(
    r'\S+ \S+ \S+ \[[^\]]+\] "(?P<request>[A-Z]+ [^"? ]*)[^"]*" (?P<status>\d{3}) '
    r'|.{0,120}?"(?P<request2>(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) [^"? ]*)[^"]*" (?P<status2>\d{3})\b'
)
_FLOW = re.compile(r"\d+ (?:\d{12}|unknown|-) eni-[0-9a-f]+ ")
_GATEWAY = re.compile(rf"\({_UUID}\) (?P<words>.*)", re.DOTALL)
_GATEWAY_FAILED = re.compile(
    r"(?!(?:Method|Endpoint|Gateway) (?:request|response)).*?(?:failed|status: 5\d\d)", re.DOTALL
)


FINE = Told(Severity.LOW)


def judge_text(text: str) -> Told:
    """How bad a text is by its words: at most HIGH, as nobody said that it is worse."""
    text = text[:LONGEST_JUDGED]
    if access := _ACCESS.match(text):
        failed = (access["status"] or access["status2"]).startswith("5")
        request = access["request"] or access["request2"]
        return Told(Severity.MEDIUM, title=f"{request}: {access['status'] or access['status2']}") if failed else FINE
    if _FLOW.match(text):
        return FINE
    if gateway := _GATEWAY.match(text):
        words = gateway["words"].strip()
        failed = _GATEWAY_FAILED.match(words) is not None
        return Told(Severity.HIGH, title=words, echo=words.startswith("Method completed")) if failed else FINE
    if parse_trace(text):
        return Told(Severity.HIGH)
    if not _FAILURE.search(_HARMLESS.sub(" ", text)):
        return FINE
    said = judge(text)
    return Told(Severity.MEDIUM if said in (None, Severity.MEDIUM, Severity.LOW) else Severity.HIGH)
