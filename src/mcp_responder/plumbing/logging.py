"""Logs are events with facts as keys, one JSON object a line on standard error: never payloads, headers or secrets.

Every line has ``timestamp`` (ISO 8601), ``level``, ``function`` (which part of the service), ``message`` (the event's
name) and the facts, of which figures stand under ``metrics``.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(function: str, level: str = "auto", style: str = "auto", stream: TextIO | None = None) -> None:
    """Set up logging for this process.

    ``level`` auto: warning on a terminal, else info. ``style`` is json, text, or auto: text on a terminal, else JSON.
    """
    out = stream or sys.stderr
    least = logging.WARNING if level == "auto" and out.isatty() else LEVELS.get(level, logging.INFO)
    text = style == "text" or (style == "auto" and out.isatty())

    def name_function(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("function", function)
        return event

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            name_function,
            *(_text() if text else _json()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Forgiving(out))),
        cache_logger_on_first_use=False,
    )


class _Forgiving:
    """A stream whose disk may be full: then its lines are lost, and whoever logs goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def _text() -> list[structlog.typing.Processor]:
    # Plain: the default would show local variables, and with them what the service was told in confidence.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=plain)]


def _json() -> list[structlog.typing.Processor]:
    return [structlog.processors.format_exc_info, _render]


def _render(_: WrappedLogger, __: str, event: EventDict) -> str:
    head = {
        "timestamp": event.pop("timestamp"),
        "level": str(event.pop("level")).upper(),
        "function": event.pop("function"),
        "message": event.pop("event"),
    }
    return msgspec.json.encode({**head, **event}, enc_hook=str).decode()
