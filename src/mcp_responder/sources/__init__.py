"""HEAR: one file a source; the file name is its slug. What several of them share is in the underscore files."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from mcp_responder.ports import Source

LAST = "generic"
"""Detects any JSON object, so it is asked when nobody else knows the body."""


@cache
def load_sources() -> dict[str, Source]:
    """All sources by name, in the order in which they are asked whether a body is theirs."""
    names = [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]
    names.sort(key=lambda name: (name == LAST, name))
    return {name: cast("Source", import_module(f"{__name__}.{name}")) for name in names}
