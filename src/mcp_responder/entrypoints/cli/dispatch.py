"""Runs one command and turns whatever happens into an exit code and, on standard error, one sentence."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

from mcp_responder.entrypoints.cli.commands import build_parser, complete
from mcp_responder.entrypoints.cli.failures import FAILED, INTERRUPTED, READER_LEFT, USAGE, exit_code
from mcp_responder.entrypoints.cli.terminal import Terminal, complain
from mcp_responder.model.errors import ResponderError

Handler = Callable[[Namespace, Terminal], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``mcp-responder`` with these arguments (the process's own if None); returns the exit code."""
    if sys.stdout is None:
        # Closed by the caller (>&-): what is said goes nowhere, and that is no failure.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  open to the end
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return READER_LEFT
    except OSError as error:
        # A full disk or a closed file: what couldn't be written now must not fail once more at the end.
        _forget_output()
        what = f"'{error.filename}' can't be used" if error.filename else "The output can't be written"
        complain(f"{what}: {error.strerror or error}.")
        return FAILED
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        args = build_parser().parse_args(complete(arguments))
        return _handler(args.run)(args, Terminal(sys.stdout, os.environ))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USAGE
    except ResponderError as error:
        complain(str(error))
        return exit_code(error)
    except UnicodeEncodeError as error:
        complain(f"An argument isn't valid text ({error.reason}); write it in UTF-8.")
        return USAGE
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  this is a door: a bug is told in a sentence too, and fails
        complain(
            f"This is a bug in mcp-responder: {type(error).__name__}: {error} ({_place(error)}). Please report it."
        )
        return FAILED


def _handler(name: str) -> Handler:
    module, _, function = name.partition(":")
    return cast("Handler", getattr(import_module(f"mcp_responder.entrypoints.cli.{module}"), function))


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"


def _forget_output() -> None:
    """Python flushes once more when it ends; let it do so into nothing."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
