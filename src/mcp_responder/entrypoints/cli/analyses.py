"""``analyze``: what is wrong with an alert in a file, without any service."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from mcp_responder import app
from mcp_responder.entrypoints.cli.failures import OK, UsageError
from mcp_responder.entrypoints.cli.report import analysis_lines
from mcp_responder.entrypoints.cli.terminal import Terminal
from mcp_responder.settings import load

ALERT_FILE = "alert.json"


def analyze(args: Namespace, terminal: Terminal) -> int:
    """The report, or the Analysis as JSON. Fails if no alert can be read."""
    settings = load(os.environ, Path.cwd()).settings
    with _case(args.path) as path:
        analysis = app.analyze(path, settings, offline=args.offline)
    if args.json:
        terminal.json(msgspec.json.encode(analysis))
        return OK
    about = next((evidence.title for evidence in analysis.evidence if evidence.kind == "alert"), "")
    terminal.show(terminal.title(analysis.severity.level, analysis.state, about))
    terminal.show(analysis_lines(analysis, terminal))
    return OK


@contextmanager
def _case(name: str) -> Iterator[Path]:
    """Where the alert is; standard input becomes a file for as long as it is needed."""
    if name != "-":
        yield _existing(Path(name))
        return
    with TemporaryDirectory(prefix="mcp-responder-") as folder:
        path = Path(folder) / ALERT_FILE
        path.write_bytes(sys.stdin.buffer.read())
        yield path


def _existing(path: Path) -> Path:
    """Raises UsageError unless the alert can be read there."""
    try:
        with (path / ALERT_FILE if path.is_dir() else path).open("rb"):
            return path
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        wanted = (
            f"a folder with {ALERT_FILE} in it" if path.is_dir() else f"a folder with {ALERT_FILE}, or an alert's file"
        )
        raise UsageError(f"No alert can be read at '{path}' ({reason}); name {wanted}.") from error
