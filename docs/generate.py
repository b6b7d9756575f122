"""Writes the pages that are made from code: ``python -m docs.generate``.

With ``--check`` it writes nothing, says which are stale, and fails if any is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from docs.generator import cli, errors, http, metrics, plugins, promises, settings

ROOT = Path(__file__).parents[1]
PAGES: dict[str, Callable[[], str]] = {
    "responder.example.toml": settings.example,
    "docs/reference/settings.md": settings.page,
    "docs/reference/cli.md": cli.page,
    "docs/reference/http.md": http.page,
    "docs/reference/sources.md": plugins.sources_page,
    "docs/reference/channels.md": plugins.channels_page,
    "docs/reference/metrics.md": metrics.page,
    "docs/reference/errors.md": errors.page,
    "docs/reference/promises.md": promises.page,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what has changed, or with ``--check`` name it and fail."""
    parser = argparse.ArgumentParser(
        prog="python -m docs.generate", description="Write the pages that are made from code."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is stale")
    check = parser.parse_args(arguments).check
    stale = {name: text for name, text in written().items() if _read(ROOT / name) != text}
    for name, text in stale.items():
        if not check:
            (ROOT / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name} {'is stale; run `make docs`' if check else 'written'}\n")
    return 1 if check and stale else 0


def written() -> dict[str, str]:
    """Every page and the text that it should have."""
    return {name: f"{make().rstrip()}\n" for name, make in PAGES.items()}


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
