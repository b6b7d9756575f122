"""The analyst who needs no network and always answers: readable rules over whatever was gathered.

Evidence is read into one form (``reading``), each rule looks for its kind of failure (one file a field), the deepest
finding that still lasts is the cause (``judging``), and all of it becomes a Draft (``drafting``).
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from mcp_responder.analysts.rules.drafting import draft
from mcp_responder.analysts.rules.judging import RULES, judge
from mcp_responder.analysts.rules.reading import read
from mcp_responder.model.analysis import Answer, Evidence, MadeBy
from mcp_responder.ports import Subject

__all__ = ["RULES", "RulesAnalyst"]


class RulesAnalyst:
    """Says what its rules find, and "unknown" when they find nothing."""

    name = "rules"

    def __init__(self) -> None:
        self._thinking = Lock()

    def analyze(self, subject: Subject, evidence: Sequence[Evidence]) -> Answer:
        """Never raises Transient or Permanent: what can't be read is left out."""
        # It only computes: two at once take as long, and keep those who tell people from the interpreter.
        with self._thinking:
            case = read(subject, evidence)
            return Answer(draft=draft(case, judge(case)), made_by=MadeBy(analyst=self.name))
