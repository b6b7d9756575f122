"""Stack traces that stand in the alert's message or in the newest alerts of its incident."""

from __future__ import annotations

from collections.abc import Iterator

from mcp_responder.model.alert import Alert
from mcp_responder.model.analysis import Evidence
from mcp_responder.plumbing.traces import Frame, Trace, parse_trace
from mcp_responder.ports import Subject

MOST_FRAMES = 30


class StackTrace:
    """Reads each distinct trace once."""

    name = "stack_trace"

    def gather(self, subject: Subject) -> Iterator[Evidence]:
        """One piece of evidence for each different trace; nothing when no message holds one."""
        told: set[str] = set()
        for alert in (subject.alert, *subject.recent):
            trace = parse_trace(alert.message)
            content = "\n".join(_lines(trace)) if trace else ""
            if trace and content not in told:
                told.add(content)
                yield self._evidence(alert, trace, content)

    def _evidence(self, alert: Alert, trace: Trace, content: str) -> Evidence:
        return Evidence(
            evidence_id="",
            kind=self.name,
            title=f"{trace.language} stack trace: {trace.error_type}",
            query=f"stack trace in the message of alert {alert.alert_id or alert.title}",
            content=content,
        )


def _lines(trace: Trace) -> Iterator[str]:
    yield f"{trace.error_type}: {trace.message}"
    yield from (_frame(frame) for frame in trace.frames[:MOST_FRAMES])
    yield from (f"caused by {cause}" for cause in trace.causes)


def _frame(frame: Frame) -> str:
    own = " [in app]" if frame.in_app else ""
    return f"  at {frame.function} ({frame.file}:{frame.line}){own}"
