"""``python -m bench [NAME ...]``: measure everything, or some rows, and print the table.

A run of everything is also written into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
from types import FrameType

from bench import report
from bench.load import LoadError
from bench.machine import facts
from bench.measure import Patience, Plan
from bench.peers import RUNS, NotInstalledError, versions
from bench.report import Figure
from bench.rows import ROWS, Row


def main() -> int:
    """The exit code: 0, or 1 if a row misses what it must, or couldn't be measured."""
    words = _arguments()
    if not shutil.which("wrk"):
        print("bench needs wrk (apt-get install wrk)")
        return 1
    signal.signal(signal.SIGTERM, _stop)
    told = {**facts(), **versions()}
    print("  ".join(f"{name} {value}" for name, value in told.items()), flush=True)
    rows = [row for row in ROWS if not words.rows or row.name in words.rows]
    plan = Plan(rounds=1, seconds=2, patience=Patience(0)) if words.quick else Plan()
    try:
        figures, notes, failed = _measure(rows, plan)
    except KeyboardInterrupt:
        print("stopped; everything that was started has ended")
        return 130
    finally:
        with contextlib.suppress(OSError):
            RUNS.rmdir()
    print(f"\n{report.table(figures)}" if figures else "")
    if len(rows) == len(ROWS) and not words.quick:
        report.write(report.block(figures, told, notes, "make bench"))
        print(f"written into {report.PAGE}")
    return int(failed or any(figure.missed for figure in figures))


def _measure(rows: list[Row], plan: Plan) -> tuple[list[Figure], list[str], bool]:
    """The figures, what is to be said beside them, and whether a row failed."""
    failed = False
    figures: list[Figure] = []
    notes: list[str] = []
    for row in rows:
        print(f"\n{row.name}: {row.title}", flush=True)
        try:
            found = row.measure(plan)
        except NotInstalledError as error:
            print(f"    left out: {error}")
            notes.append(f"`{row.name}` left out: {error}")
        except (LoadError, OSError) as error:
            print(f"    FAILED: {error}")
            notes.append(f"`{row.name}` failed: {error}")
            failed = True
        else:
            figures += found
            print("\n".join("  = " + " | ".join(filter(None, figure.cells())) for figure in found), flush=True)
    return figures, notes, failed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("rows", nargs="*", metavar="NAME", help=f"only these: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="one round of 2 s: to see that it works, not how fast")
    words = parser.parse_args()
    unknown = sorted(set(words.rows) - set(names))
    if unknown:
        parser.error(f"there is no row {', '.join(unknown)}; known: {', '.join(names)}")
    return words


def _stop(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
