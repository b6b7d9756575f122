"""How bad an alarm is when its sender doesn't say: readable rules on its name, description, metric and namespace."""

from __future__ import annotations

import msgspec

from mcp_responder.model.alert import Severity


class SeverityRule(msgspec.Struct, frozen=True, kw_only=True):
    """If ``pattern`` (a regular expression, any case) is found in the alarm's words, it is this severe."""

    pattern: str
    severity: Severity
