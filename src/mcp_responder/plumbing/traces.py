"""Stack traces: told from ordinary text, taken apart, and joined when they come line by line.

Frames go from the place of failure outwards, those of the root cause first. Knows Python, Java and its kin,
JavaScript, .NET, Go, Ruby, PHP, Dart, Rust and C++.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

MOST_FRAMES = 400
LONGEST_TRACE = 200_000
LONGEST_LINE = 500
FIRST_LINES, LAST_LINES = 600, 400
"""What is read of an endless recursion: what was thrown stands at one of the two ends."""
LONGEST_MESSAGE = 10
"""Lines that an error's message may have before its first frame."""


class Frame(msgspec.Struct, frozen=True):
    """One call. ``in_app`` is False for the language's own code and for installed libraries."""

    function: str
    file: str
    line: int
    in_app: bool


class Trace(msgspec.Struct, frozen=True):
    """One error as displayed: ``error_type`` is what was thrown in the end, ``causes`` lead from there to the root."""

    language: str
    error_type: str
    message: str
    frames: tuple[Frame, ...]
    causes: tuple[str, ...] = ()


class _Section(msgspec.Struct):
    """One error of a chain."""

    error_type: str
    message: str
    frames: list[Frame]


_FOREIGN = {
    "python": re.compile(r"(?:site|dist)-packages/|/lib(?:64)?/python[\d.]*/|^<|/python\d+_lib/versions/"),
    "java": re.compile(
        r"(?:(?:java|javax|jdk|sun|com\.sun|jakarta|kotlin|kotlinx|scala|groovy|android|androidx|akka|reactor|clojure"
        r"|io\.netty|io\.micrometer|com\.google\.common|com\.fasterxml|com\.mysql|com\.zaxxer|com\.android|okhttp3|rx"
        r"|org\.(?:springframework|apache|hibernate|eclipse|jboss|postgresql|junit|mortbay|codehaus|aspectj))\.|\$Proxy)"
    ),
    "javascript": re.compile(
        r"node_modules/|^node:|^internal/|^native$|^<anonymous>$|^unknown location$|^(?:module|events|net|fs|timers"
        r"|_\w+|bootstrap_node)\.js$|^webpack/|extension://"
    ),
    "dotnet": re.compile(r"(?:System|Microsoft|MS|Newtonsoft|lambda_method)\b"),
    "go": re.compile(
        r"/usr/(?:local|lib)/go\S*/src/|/go/pkg/mod/|/vendor/|/libexec/src/|/goroot/|/sdk/go[\d.]+/src/|^/go\d*/src/"
    ),
    "ruby": re.compile(r"/gems/|/lib/ruby/|^<internal|/bin/(?:bundle|rake|rails)\b"),
    "php": re.compile(r"/vendor/|/wp-includes/|^\[internal"),
    "dart": re.compile(r"dart:|package:(?:flutter|test|async|stack_trace)/|org-dartlang"),
    "rust": re.compile(r"/rustc/|/\.cargo/|/rustlib/|^(?:core|std|alloc|rust_begin_unwind|<?__|_start)"),
    "cpp": re.compile(
        r"/usr/|/build/glibc|^\.\./(?:sysdeps|csu|nptl)|^lib\w[^/]*\.so|^(?:__|_start|std::|raise$|abort$)"
    ),
}
_FOREIGN_BY_FUNCTION = frozenset({"java", "dotnet"})

_FRAMES = {
    "python": re.compile(r'^[\s|]*File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$'),
    "java": re.compile(
        r"^\s*at (?:[\w.@-]*/{1,2})?(?P<function>[\w$.<>/-]+)"
        r"\((?P<file>[\w$.-]+\.(?:java|kt|kts|scala|groovy|clj)|Unknown Source|Native Method|SourceFile|<\w+>)"
        r"(?::(?P<line>\d+))?\)"
    ),
    "javascript": re.compile(
        r"^\s*(?:eval )?at (?:(?P<function>[^()]*?[^()\s]) ?\()?"
        r"(?:(?P<file>\S.*?):(?P<line>\d+):\d+\)*"
        r"|(?P<native>native|<anonymous>|unknown location)\))"
        r"(?: \{)?$|^(?P<function2>[\w.$/<>*]*)@(?P<file2>\S+?):(?P<line2>\d+):\d+$"
    ),
    "dotnet": re.compile(
        r"^\s*(?:at|in|bei|à|en) (?P<function>[\w.`<>+|$\[\],&=-]+(?:\[[^\]]*\])?)\s?\([^()]*\)"
        r"(?: in (?P<file>.+?):(?:line |Zeile )?(?P<line>\d+))?(?: <[^>]*>)?\s*$"
    ),
    "go": re.compile(r"^\s+(?P<file>\S+\.(?:go|s|c)|_cgo\S*):(?P<line>\d+)(?: \+0x[0-9a-f]+)?$"),
    "ruby": re.compile(
        r"^\s*(?:\d+: )?(?:from )?(?P<file>[^\s:]+\.(?:rb|erb|haml|slim|rake|ru|gemspec)|\(?irb\)?|-e|<internal:[^>]+>"
        r"|\S*/bin/\w+):(?P<line>\d+)(?::in [`'](?P<function>[^'`]+)')?"
    ),
    "php": re.compile(
        r"^\s*#\d+ (?:(?P<file>[^\s(].*?)\((?P<line>\d+)\)|\[internal function\])(?:: (?P<function>[^(]+)\(.*)?$"
        r"|^\s*#\d+ (?P<function2>\{main\})"
    ),
    "dart": re.compile(
        r"^\s*#\d+\s+(?P<function>\S.*?) \((?P<file>(?:package|dart|file|org-dartlang[\w-]*):[^)]*?)"
        r"(?::(?P<line>\d+)(?::\d+)?)?\)$"
    ),
    "rust": re.compile(r"^\s*\d+:\s+(?:0x[0-9a-f]+ - )?(?P<function>[\w<{].*?)(?:::h[0-9a-f]{16})?$"),
    "cpp": re.compile(
        r"^\s*#\d+\s+(?:0x[0-9a-fA-F]+ (?:in )?)?(?P<function>[^\s(]+(?:<.*?>)?)\s*(?:\(.*?\))?(?: const)?"
        r"(?: (?:at |from )?\(?(?P<file>[^\s:()]+)(?::(?P<line>\d+)(?::\d+)?)?.*)?$"
    ),
}
_RUST_PLACE = re.compile(r"^\s+at (?P<file>\S+?):(?P<line>\d+)(?::\d+)?$")

_DOTTED = r"(?:[A-Za-z_$][\w$]*(?:\.|::|/))+[A-Za-z_$][\w$]*"
_TYPED = re.compile(
    rf"^(?P<type>{_DOTTED}|[A-Za-z_$][\w$]*(?:Exception|Error|Throwable|Failure|Fault|Warning|Interrupt|Exit))"
    r"(?: \[\w+\])?(?::\s*(?P<message>.*)|\s*(?=--->).*|)$"
)
_TYPE_INSIDE = re.compile(
    r"(?<![\w.$])(?P<type>(?:[A-Za-z_$][\w$]*\.)*[A-Za-z_$][\w$]*(?:Exception|Error|Throwable))(?: \[\w+\])?"
    r"(?::\s+(?P<message>.*)|$)"
)
_SCRIPT_TYPE = re.compile(r"^(?P<type>[A-Z][A-Za-z]*)(?: \[\w+\])?: (?P<message>.*)$")
_ANNOUNCEMENT = re.compile(
    r'^\s*(?:Exception in thread ".*?" |Uncaught (?:\(in promise\) )?|Unhandled [Ee]xception[:.]? +'
    r"|\[cause\]: |Caused by: |Wrapped by: |Suppressed: |-+> (?:\(Inner Exception #\d+\) )?)+"
)
_CAUSE = re.compile(r"^\s*(?:Caused by: |Wrapped by: |Suppressed: |\[cause\]: |-+> )")


def may_hold_trace(text: str) -> bool:
    """A cheap first look, fit for every alert: False is certain."""
    return "\n" in text and (
        ".rb:" in text
        or "panicked at " in text
        or "\ngoroutine " in text
        or "terminate called " in text
        or "@http" in text
        or "@file:" in text
        or _FRAME_START.search(text) is not None
    )


_FRAME_START = re.compile(r"\n[ \t|]*(?:at |#\d|File \"|eval at )")


def may_hold_written_trace(text: str) -> bool:
    """Whether the text is one line with line ends written out as backslash and n, as in JSON."""
    return "\\n" in text and "\n" not in text and may_hold_trace(_with_line_ends(text))


def _with_line_ends(text: str) -> str:
    return text.replace("\\r\\n", "\n").replace("\\n", "\n").replace("\\t", "\t")


def parse_trace(text: str) -> Trace | None:
    """The stack trace in a text, or None. Never raises."""
    if may_hold_written_trace(text):
        text = _with_line_ends(text)
    if not may_hold_trace(text):
        return None
    lines = [line[:LONGEST_LINE] for line in text[:LONGEST_TRACE].splitlines()]
    if len(lines) > FIRST_LINES + LAST_LINES:
        lines = lines[:FIRST_LINES] + lines[-LAST_LINES:]
    for language, parse in _PARSERS.items():
        if sections := parse(lines):
            return _trace(language, sections)
    return None


def _trace(language: str, sections: list[_Section]) -> Trace:
    """``sections`` come root first."""
    thrown = sections[-1]
    causes = tuple(section.error_type for section in reversed(sections[:-1]) if section.error_type)
    frames = tuple(frame for section in sections for frame in section.frames)[:MOST_FRAMES]
    return Trace(language, thrown.error_type, thrown.message, frames, causes)


def _frame(language: str, line: str, previous: str = "") -> Frame | None:
    match = _FRAMES[language].match(line)
    if not match:
        return None
    parts = match.groupdict()
    function = parts.get("function") or parts.get("function2") or previous
    file = parts.get("file") or parts.get("file2") or parts.get("native") or ""
    number = parts.get("line") or parts.get("line2") or "0"
    return _placed(language, function, file, number)


def _placed(language: str, function: str, file: str, number: str) -> Frame:
    place = function if language in _FOREIGN_BY_FUNCTION or not file else file
    foreign = _FOREIGN[language]
    hit = foreign.match(place) if language in _FOREIGN_BY_FUNCTION else foreign.search(place)
    if language in ("rust", "cpp") and foreign.match(function):
        hit = hit or foreign.match(function)
    return Frame(function.strip(), file, int(number[:9]), in_app=hit is None)


def _python(lines: list[str]) -> list[_Section]:
    sections: list[_Section] = []
    frames: list[Frame] = []
    inside = False
    for raw in lines:
        line = _GROUP_MARGIN.sub("", raw)
        if "Traceback (most recent call last)" in line:
            frames, inside = [], True
        elif frame := _frame("python", line):
            frames.append(frame)
            inside = True
        elif inside and (match := _PYTHON_ERROR.match(line)):
            sections.append(_Section(match["type"], match["message"] or "", frames[::-1]))
            frames, inside = [], False
    if inside and frames:
        sections.append(_Section("", "", frames[::-1]))
    if any(section.error_type.endswith("ExceptionGroup") for section in sections):
        sections.sort(key=lambda section: section.error_type.endswith("ExceptionGroup"))
    return sections if any(section.frames for section in sections) or _ended_traceback(lines, sections) else []


def _ended_traceback(lines: list[str], sections: list[_Section]) -> bool:
    return bool(sections) and any("Traceback (most recent" in line for line in lines)


_GROUP_MARGIN = re.compile(r"^\s*(?:\| ?|\+ )")
_PYTHON_ERROR = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?::\s*(?P<message>.*))?\s*$")


def _heading(line: str, language: str) -> _Section | None:
    """The error that a line announces."""
    rest = _ANNOUNCEMENT.sub("", line.strip())
    match = _TYPED.match(rest) or _TYPE_INSIDE.search(rest)
    if not match and (language == "javascript" or rest != line.strip()):
        match = _SCRIPT_TYPE.match(rest)
    if not match:
        return None
    return _Section(match["type"], match["message"] or "", [])


def _nearest_heading(lines: list[str], language: str) -> _Section:
    for line in reversed(lines[-LONGEST_MESSAGE:]):
        if section := _heading(line, language):
            return section
    return _Section("", lines[-1].strip() if lines else "", [])


def _headed(lines: list[str], language: str) -> list[_Section]:
    """Errors with a heading above their frames, the one thrown in the end first."""
    sections: list[_Section] = []
    loose: list[str] = []
    dropped = _Section("", "", [])
    current: _Section | None = None
    for line in lines:
        if frame := _frame(language, line):
            if current is None:
                current = _nearest_heading(loose, language)
                sections.append(current)
            current.frames.append(frame)
        elif _CAUSE.match(line) and current:
            current = dropped if line.lstrip().startswith("Suppressed") else _heading(line, language) or dropped
            if current is not dropped:
                sections.append(current)
        else:
            loose.append(line)
    return sections


def _java(lines: list[str]) -> list[_Section]:
    return _headed(lines, "java")[::-1]


def _javascript(lines: list[str]) -> list[_Section]:
    return _headed(lines, "javascript")[::-1]


def _dotnet(lines: list[str]) -> list[_Section]:
    """Inner errors are named in the heading (``A: a ---> B: b``), and their frames come first."""
    frames = [frame for line in lines if (frame := _frame("dotnet", line))]
    if not frames:
        return []
    first = next(i for i, line in enumerate(lines) if _frame("dotnet", line))
    heading = " ".join(line.strip() for line in lines[max(0, first - LONGEST_MESSAGE) : first])
    errors = [section for part in heading.split("---> ") if (section := _heading(part, "dotnet"))]
    errors = errors[::-1] or [_Section("", "", [])]
    errors[0].frames.extend(frames)
    return errors


def _go(lines: list[str]) -> list[_Section]:
    start = next((i for i, line in enumerate(lines) if _GOROUTINE.match(line)), None)
    if start is None:
        return []
    frames: list[Frame] = []
    for i in range(start + 1, len(lines)):
        if _GOROUTINE.match(lines[i]):
            break
        function = _GO_CALL.match(lines[i - 1])
        if function and not function["created"] and (frame := _frame("go", lines[i], function["function"])):
            frames.append(frame)
    section = next((s for line in lines[:start] if (s := _go_error(line))), _Section("", "", []))
    section.frames = frames
    return [section] if frames or section.error_type else []


def _go_error(line: str) -> _Section | None:
    match = _GO_ERROR.search(line)
    return _Section(match["type"], match["message"], []) if match else None


_GOROUTINE = re.compile(r"^goroutine \d+(?: \S+=\S+)* \[[^\]]*\]:")
_GO_CALL = re.compile(
    r"^\s*(?P<created>created by )?(?P<function>\S.*?)(?:\([^()]*\)|\(\.\.\.\))?(?: in goroutine \d+)?$"
)
_GO_ERROR = re.compile(r"(?:^|\s)(?P<type>panic|fatal error)(?: serving \S+)?: (?P<message>.*?)(?: \[recovered\].*)?$")


def _ruby(lines: list[str]) -> list[_Section]:
    sections: list[_Section] = []
    loose: list[str] = []
    for line in lines:
        frame = _frame("ruby", line)
        error = _RUBY_ERROR.search(line)
        if frame and error:
            sections.append(_Section(error["type"], error["message"], [frame]))
        elif frame and ".rb" in "".join((line, *loose[-1:])) + line:
            if not sections:
                sections.append(_ruby_heading(loose))
            sections[-1].frames.append(frame)
        else:
            loose.append(line)
    return sections[::-1] if any(frame.function for section in sections for frame in section.frames) else []


def _ruby_heading(lines: list[str]) -> _Section:
    for line in reversed(lines[-LONGEST_MESSAGE:]):
        if match := _RUBY_HEADING.search(line):
            return _Section(match["type"], match["message"] or "", [])
    return _Section("", "", [])


_RUBY_ERROR = re.compile(r":\d+(?::in [`'][^']*')?: (?P<message>.*) \((?P<type>[A-Z][\w:]*)\)\s*$")
_RUBY_HEADING = re.compile(
    r"(?<![\w:])(?P<type>[A-Z]\w*(?:::[A-Z]\w*)+|[A-Z]\w*(?:Error|Exception)|Interrupt)"
    r"(?: \(|: |$)(?P<message>.*?)(?:\):?)?$"
)


def _php(lines: list[str]) -> list[_Section]:
    """The root comes first, what was thrown over it after ``Next``."""
    sections: list[_Section] = []
    for line in lines:
        if match := _PHP_ERROR.search(line):
            sections.append(_php_section(match))
        elif (frame := _frame("php", line)) and frame.function != "{main}":
            if not sections:
                sections.append(_Section("", "", []))
            sections[-1].frames.append(frame)
    framed = any(_PHP_FRAME.match(line) for line in lines)
    return sections if sections and framed else []


def _php_section(match: re.Match[str]) -> _Section:
    error_type = match["type"] or match["old_type"] or match["logged_type"]
    message = match["message"] or match["old_message"] or match["logged_message"] or ""
    message, _, place = message.rpartition(" in ") if " in /" in message else (message, "", "")
    file, _, number = place.partition(":")
    frames = [_placed("php", "", file, number)] if number.isdecimal() else []
    return _Section(error_type.replace("\\\\", "\\"), message, frames)


_PHP_ERROR = re.compile(
    r"(?:Uncaught |^Next |^\s*\[previous exception\] )"
    r"(?:(?!exception ')(?P<type>[A-Za-z_\\][\w\\]*)(?::\s*(?P<message>.*))?$"
    r"|exception '(?P<old_type>[\w\\]+)' with message '(?P<old_message>.*)$)"
    r"|\[object\] \((?P<logged_type>[\w\\]+)\(code: .*?\): (?P<logged_message>.*)$"
)
_PHP_FRAME = re.compile(r"^\s*#\d+ (?:\S.*?\(\d+\): |\[internal function\]|\{main\})")


def _dart(lines: list[str]) -> list[_Section]:
    frames = [frame for line in lines if (frame := _frame("dart", line))]
    if not frames:
        return []
    first = next(i for i, line in enumerate(lines) if _frame("dart", line))
    heading = lines[:first]
    start = next((i + 1 for i, line in enumerate(heading) if _UNHANDLED.search(line)), max(0, len(heading) - 1))
    said = next((line.strip() for line in heading[start:] if line.strip()), "")
    error_type, message = _dart_error(said)
    return [_Section(error_type, message, frames)]


def _dart_error(said: str) -> tuple[str, str]:
    for words, error_type in _DART_WORDS.items():
        if said.startswith(words):
            return error_type, said.removeprefix(words).lstrip(": ")
    if match := re.match(r"Instance of '(\w+)", said):
        return match[1], said
    if match := re.match(r"(?:Exception: )?(?P<type>_?[A-Z]\w*(?:Error|Exception))(?:\b.*?:\s*(?P<message>.*))?", said):
        return match["type"], match["message"] or ""
    return "", said


_UNHANDLED = re.compile(r"Unhandled [Ee]xception:?\s*$")
_DART_WORDS = {
    "Bad state": "StateError",
    "Invalid argument": "ArgumentError",
    "Unsupported operation": "UnsupportedError",
    "Concurrent modification during iteration": "ConcurrentModificationError",
    "Reading static variable": "CyclicInitializationError",
    "Cannot instantiate abstract class": "AbstractClassInstantiationError",
    "Stack Overflow": "StackOverflowError",
    "Out of Memory": "OutOfMemoryError",
    "Failed assertion": "AssertionError",
    "Assertion failed": "AssertionError",
    "type '": "TypeError",
    "Null check operator": "TypeError",
}
"""Dart's own errors don't print their type but these words."""


def _rust(lines: list[str]) -> list[_Section]:
    for i, line in enumerate(lines):
        if match := _RUST_PANIC.search(line):
            following = lines[i + 1].strip() if i + 1 < len(lines) else ""
            frames = _rust_frames(lines[i + 1 :]) or [_placed("rust", "", match["file"], match["line"])]
            return [_Section("panic", match["message"] or following, frames)]
    return []


def _rust_frames(lines: list[str]) -> list[Frame]:
    frames: list[Frame] = []
    for line in lines:
        place = _RUST_PLACE.match(line)
        if place and frames:
            frames[-1] = _placed("rust", frames[-1].function, place["file"], place["line"])
        elif frame := _frame("rust", line):
            frames.append(frame)
    return frames


_RUST_PANIC = re.compile(
    r"thread '[^']*'(?: \(\d+\))? panicked at (?:'(?P<message>.*)', )?(?P<file>[^\s:]+):(?P<line>\d+):\d+:?\s*$"
)


def _cpp(lines: list[str]) -> list[_Section]:
    error = next((match for line in lines if (match := _CPP_ERROR.search(line))), None)
    what = next((match[1] for line in lines if (match := _CPP_WHAT.match(line))), "")
    frames = [frame for line in lines if (frame := _frame("cpp", line))]
    if not error and not any(_CPP_ADDRESS.match(line) for line in lines):
        return []
    error_type = next((part for part in error.groups() if part), "") if error else ""
    return [_Section(error_type, what, frames)]


_CPP_ERROR = re.compile(
    r"terminate called after throwing an instance of '([^']+)'|\w+Sanitizer: ([\w-]+)|received signal (SIG[A-Z]+)"
)
_CPP_WHAT = re.compile(r"^\s*what\(\):\s*(.*)$")
_CPP_ADDRESS = re.compile(r"^\s*#\d+\s+0x[0-9a-fA-F]+ ")

_PARSERS: dict[str, Callable[[list[str]], list[_Section]]] = {
    "go": _go,
    "rust": _rust,
    "java": _java,
    "dart": _dart,
    "php": _php,
    "javascript": _javascript,
    "dotnet": _dotnet,
    "cpp": _cpp,
    "python": _python,
    "ruby": _ruby,
}


def join_traces(lines: Iterable[str]) -> Iterator[str]:
    """Each stack trace as one text of several lines; ordinary text line by line. Nothing is lost or reordered."""
    event = _Event()
    for line in lines:
        text = line.rstrip("\r\n")
        if event.takes(text):
            continue
        yield from event.texts()
        event = _Event()
        event.takes(text)
    yield from event.texts()


class _Event:
    """The lines of what may become one trace: first a heading, then frames."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.blanks: list[str] = []
        self.state = ""

    def takes(self, line: str) -> bool:
        """Take the line if it belongs here."""
        if not self.lines:
            self.lines, self.state = [line], _first_state(line)
            return True
        if not line.strip() and self.state in _BRIDGES_BLANKS:
            self.blanks.append(line)
            return True
        state = _next_state(self.state, line, self.lines, after_blank=bool(self.blanks))
        if not state:
            return False
        self.lines += [*self.blanks, line]
        self.blanks, self.state = [], state
        return True

    def texts(self) -> Iterator[str]:
        """One text if it became a trace, else the lines as they came."""
        if self.state in _UNPROVEN:
            yield from self.lines
        elif self.lines:
            yield "\n".join(self.lines)
        yield from self.blanks


_BRIDGES_BLANKS = frozenset({"heading", "calls", "goroutine", "raised", "chained"})
_UNPROVEN = frozenset({"", "text", "heading"})

_FRAME_LINE = re.compile(
    r"^\s+(?:eval )?at \S.*(?:\(.*\)|:\d+(?::\d+\)*)?|:line \d+)(?: \{)?$"
    r"|^\s*#\d+\s+\S+.*[(:}]|^\s+(?:\d+: )?from \S+:\d+"
    r"|^\s*[^\s:]+\.(?:rb|erb|rake):\d+:in |^\s+\d+:\s+(?:0x[0-9a-f]+ - )?[\w<{]\S*::\S+|^\S*@\S+:\d+:\d+$"
)
_LINK = re.compile(
    r"^\s*(?:Caused by|Suppressed|Wrapped by|\[cause\]): |^\s*-+> |^\s*--- End of "
    r"|^\s*\.\.\. \d+ (?:more|common|levels)"
    r"|^Stack trace:$|^\[stacktrace\]|^stack backtrace:|^<asynchronous suspension>|^\s+thrown in |^Next [\w\\]+: "
    r"|^\s*\.\.\.\s*$|^\s+what\(\): |^note: "
)
_STRONG_LINK = re.compile(r"^\s*Caused by: |^goroutine \d+|^Next [\w\\]+: |^\[signal |^exit status \d|^created by ")
_PYTHON_LINK = re.compile(r"^\s*(?:\| )*(?:During handling of the above|The above exception was the direct cause)")
_NEW_ENTRY = re.compile(r"^[\[<({\"]?\d{2,4}[-/:.]\d|^[A-Z][a-z]{2} +\d|^\[?(?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL)")
_GO_START = re.compile(r"(?:^|\s)(?:panic|fatal error)(?: serving \S+)?: ")
_PLAIN_HEADING = re.compile(r"Uncaught |panicked at |terminate called |Unhandled [Ee]xception|Sanitizer: ")
_SCRIPT_PLACE = re.compile(r"^\S+\.[cm]?[jt]sx?:\d+$")
_RUST_CALL = re.compile(r"^\s+\d+:\s+(?:0x[0-9a-f]+ - )?[\w<{]\S*$")
_GO_LINE = re.compile(
    r"^\s+\S+\.(?:go|s|c):\d+|^created by |^[\w./*()\[\]{}~·$@%,-]+\(.*\)$|^\[signal |^runtime stack:|^goroutine \d+"
    r"|^exit status \d|^\.\.\.additional frames|^\s+panic: |^\[recovered"
)


def _first_state(line: str) -> str:
    if "Traceback (most recent call last)" in line:
        return _python_state(line)
    if _GOROUTINE.match(line):
        return "goroutine"
    if _FRAME_LINE.match(line):
        return "calls"
    return "heading" if _is_heading(line) else "text"


def _is_heading(line: str) -> bool:
    if not line or line[0].isspace():
        return False
    return bool(
        _PLAIN_HEADING.search(line)
        or _SCRIPT_PLACE.match(line)
        or _GO_START.search(line)
        or _heading(line, "javascript")
    )


def _next_state(state: str, line: str, lines: list[str], *, after_blank: bool) -> str:
    """The state with the line taken in; empty if it doesn't belong."""
    if state in ("python", "group", "raised", "chained"):
        return _next_python_state(state, line)
    if state == "goroutine":
        return "goroutine" if _GO_LINE.match(line) else ""
    if state == "calls":
        return _after_calls(line, lines, after_blank=after_blank)
    return _after_heading(state, line, lines)


def _python_state(line: str) -> str:
    return "group" if "Exception Group" in line else "python"


def _next_python_state(state: str, line: str) -> str:
    if state == "group":
        return "group" if line[:1].isspace() else ""
    if "Traceback (most recent call last)" in line:
        return _python_state(line) if state == "chained" else ""
    if _PYTHON_LINK.match(line):
        return "chained"
    if state == "python":
        return "python" if not line.strip() or line[0].isspace() else "raised"
    return ""


def _after_calls(line: str, lines: list[str], *, after_blank: bool) -> str:
    first, last = lines[0], lines[-1]
    if _STRONG_LINK.match(line):
        return "goroutine" if _GOROUTINE.match(line) else "calls"
    if after_blank:
        return ""
    if _RUBY_ERROR.search(line):
        return "calls" if "rescue in " in first else ""
    if _FRAME_LINE.match(line) or _LINK.match(line) or _RUST_CALL.match(line):
        return "calls"
    properties = last.endswith("{") or last.endswith(",") or line.rstrip() in ("}", "],", "]")
    return "calls" if properties and (line[:1].isspace() or line.startswith("}")) else ""


def _after_heading(state: str, line: str, lines: list[str]) -> str:
    if _GOROUTINE.match(line):
        return "goroutine"
    if _RUBY_ERROR.search(line):
        return ""
    if _FRAME_LINE.match(line) or (_LINK.match(line) and not line.startswith("note: ")):
        return "calls"
    if state == "text" or len(lines) > LONGEST_MESSAGE or _NEW_ENTRY.match(line):
        return ""
    announced = lines[0].startswith("Unhandled") or _SCRIPT_PLACE.match(lines[0])
    return "heading" if announced or not _is_heading(line) else ""
