"""What makes two alerts the same error.

The signature is the title without its values; if a stack trace comes along, also the types of the error and the few
calls of one's own code that tell where it broke. Who sent the alert has no part in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b

from mcp_responder.plumbing.masks import mask
from mcp_responder.plumbing.traces import Frame, Trace, may_hold_written_trace, parse_trace

TELLING_FRAMES = 3
TYPES_THAT_TELL_NOTHING = frozenset({"", "panic", "fatal error", "Error", "Exception"})
"""With these the error's message, masked, must speak."""


def signature(title: str, message: str = "") -> str:
    """16 hex characters, the same for every repetition of an error.

    The message only takes part with its stack trace, or with its first line when there is no title: messages hold
    the values of one occurrence.
    """
    line = _first_line(title) or _first_line(message)
    trace = _trace_in(title) or _trace_in(message)
    return _of_sentence(line) if trace is None else _hashed("\n".join((mask(line), *_telling(trace))))


def template(line: str) -> str:
    """The masked text that a line's signature stands for, to be read by people."""
    return mask(_first_line(line))


def signature_of_line(line: str) -> str:
    """The signature of a log line, or of a stack trace joined to one text; depends on nothing else."""
    return signature(line)


def signature_lines(lines: Iterable[bytes]) -> Iterator[str]:
    """One signature for each line, whatever bytes it holds."""
    for line in lines:
        yield signature(line.decode(errors="replace").rstrip("\r\n"))


@lru_cache(maxsize=4096)
def _of_sentence(line: str) -> str:
    return _hashed(mask(line))


@lru_cache(maxsize=4096)
def _hashed(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _trace_in(text: str) -> Trace | None:
    if "\n" in text or "\\n" in text:
        return parse_trace(text)
    return None


def _first_line(text: str) -> str:
    """A trace may come with its line ends written out as ``\\n``, all in one line."""
    text = text.strip()
    if "\n" in text:
        return text.partition("\n")[0]
    return text.partition("\\n")[0] if may_hold_written_trace(text) else text


def _telling(trace: Trace) -> Iterator[str]:
    """The thrown type, the root's type, and where in the program it broke."""
    yield trace.error_type
    yield from trace.causes[-1:]
    if trace.error_type in TYPES_THAT_TELL_NOTHING:
        yield mask(trace.message)
    yield from _telling_frames(trace.frames)


def _telling_frames(frames: tuple[Frame, ...]) -> list[str]:
    own = [frame for frame in frames if frame.in_app] or list(frames)
    places = dict.fromkeys(_place(frame) for frame in own)
    return list(places)[:TELLING_FRAMES]


def _place(frame: Frame) -> str:
    """Function and file name; numbers in both are the compiler's (``lambda$3``, ``main.5f3c9a1b.js``)."""
    file = frame.file.replace("\\", "/").rpartition("/")[2]
    return f"{mask(frame.function.replace('$', ' '))} {mask(file)}"
