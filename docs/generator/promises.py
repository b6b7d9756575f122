"""The promises that tests keep: from the manifest in ``tests/promises.py``."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from docs.generator.markdown import MADE, code, table

MODULE = "tests.promises"
HEAD = f"""\
# Promises

{MADE}

What you can rely on. Each promise has an id and at least one test that carries it (`@promise("id")` in `tests/`); a
promise without a test, or a test of a promise that isn't listed, fails the build.
"""
NONE_YET = "The list isn't written yet; the tests are."


def promises() -> dict[str, str]:
    """Id -> sentence; empty while there is no manifest."""
    if find_spec(MODULE) is None:
        return {}
    manifests: list[dict[str, str]] = [value for value in vars(import_module(MODULE)).values() if _is_manifest(value)]
    return manifests[0] if manifests else {}


def _is_manifest(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(one, str) for one in (*value, *value.values()))


def page() -> str:
    """The reference."""
    kept = promises()
    rows = ((code(name), " ".join(sentence.split())) for name, sentence in kept.items())
    return "\n".join((HEAD, *(table(("id", "promise"), rows) if kept else (NONE_YET,))))
