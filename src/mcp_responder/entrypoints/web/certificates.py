"""Fetches certificates for the door, off its event loop: each once at a time, and never many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mcp_responder.model.errors import CertificateMissing, Transient

AT_ONCE = 4
MOST_WAITING = 32
"""Addresses that are fetched or wait for it: who is sent forgeries by the thousand refuses the rest for now."""
RETRY_AFTER = 2.0


class CertificateFetch:
    """``fetch`` gets an address and the names that its certificate must have, blocks, and keeps what came."""

    def __init__(self, fetch: Callable[[str, tuple[str, ...]], None]) -> None:
        self._fetch = fetch
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="certificates")
        self._under_way: dict[str, asyncio.Future[None]] = {}

    async def __call__(self, missing: CertificateMissing) -> None:
        """Wait until the certificate is here, or isn't to be had. Raises Transient when too many are waited for."""
        under_way = self._under_way.get(missing.url)
        if under_way is None:
            if len(self._under_way) >= MOST_WAITING:
                words = "Too many certificates of signatures are being fetched. Send it again."
                raise Transient(words, retry_after=RETRY_AFTER)
            under_way = asyncio.get_running_loop().run_in_executor(
                self._threads, self._fetch, missing.url, missing.names
            )
            self._under_way[missing.url] = under_way
            under_way.add_done_callback(lambda _: self._under_way.pop(missing.url, None))
        # Whoever hangs up doesn't end the wait of the others.
        await asyncio.shield(under_way)
