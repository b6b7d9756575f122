"""``serve`` and ``demo``: the commands that become the service."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from mcp_responder.entrypoints.cli.failures import UsageError
from mcp_responder.entrypoints.cli.terminal import Terminal
from mcp_responder.settings import load

VARIABLES = {
    "host": "RESPONDER_HOST",
    "port": "RESPONDER_PORT",
    "data_dir": "RESPONDER_DATA_DIR",
    "behind_proxy": "RESPONDER_BEHIND_PROXY",
}
"""An option is read just as its variable would be."""
LOG_FORMAT = "RESPONDER_LOG__FORMAT"


def serve(args: Namespace, terminal: Terminal) -> int:
    """Run the service until it is told to stop."""
    del terminal
    overrides = {VARIABLES[name]: str(getattr(args, name)) for name in VARIABLES if getattr(args, name) is not None}
    if args.json:
        overrides[LOG_FORMAT] = "json"
    # Before any process is started, so that a mistake is one sentence.
    load({**os.environ, **overrides}, Path.cwd())
    from mcp_responder.entrypoints import supervisor

    return supervisor.serve(overrides)


def demo(args: Namespace, terminal: Terminal) -> int:
    """Replay an incident through a throw-away instance."""
    del terminal
    if args.json:
        raise UsageError("The demo is a story for people; leave --json out.")
    if args.noisy_day:
        from mcp_responder.entrypoints import noisy_day

        return noisy_day.run()
    from mcp_responder.entrypoints import demo as story

    return story.run()
