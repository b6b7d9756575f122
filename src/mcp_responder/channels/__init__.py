"""TELL: one file a channel. A new file with a ``KIND`` is found by itself; no other edit is needed."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from mcp_responder.channels._kind import Callback, Called, CalledBack, ChannelKind, Deed, Services

__all__ = ["Callback", "Called", "CalledBack", "ChannelKind", "Deed", "Services", "load_kinds"]


def load_kinds() -> dict[str, ChannelKind[Any]]:
    """Every kind of channel, by its slug."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    kinds = [importlib.import_module(f"{__name__}.{name}").KIND for name in names]
    return {kind.info.kind: kind for kind in kinds}
