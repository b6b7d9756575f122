"""How a command can end badly, and the exit code that scripts see.

0 ok | 1 failed | 2 usage or configuration | 3 not found | 4 no server | 130 Ctrl-C | 141 the reader of the output left
"""

from __future__ import annotations

from mcp_responder.model.errors import InvalidRequest, Misconfigured, ResponderError

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
NO_SERVER = 4
INTERRUPTED = 130
READER_LEFT = 141


class Failed(ResponderError):
    """It was tried, and didn't work."""


class UsageError(ResponderError):
    """The command can't be run as it was written."""


class NoServer(ResponderError):
    """No service answers. Raised before anything was sent, so that something else may be tried."""


def exit_code(error: ResponderError) -> int:
    """What a script is told about an error."""
    if isinstance(error, UsageError | Misconfigured):
        return USAGE
    if isinstance(error, InvalidRequest) and error.status == 404:
        return NOT_FOUND
    return NO_SERVER if isinstance(error, NoServer) else FAILED
