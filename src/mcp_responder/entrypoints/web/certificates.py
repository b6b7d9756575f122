"""Fetches certificates for the door, off its event loop: each once at a time, and never many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from mcp_responder.model.errors import CertificateMissing, Transient

AT_ONCE = 4
MOST_WAITING = 32
"""Addresses that are fetched or wait for it: who is sent forgeries by the thousand refuses the rest for now. So for
each of the hosts that we expect, and for all others together."""
RETRY_AFTER = 2.0


class _Lane:
    """Addresses that are fetched, none of them by another lane's threads."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="certificates")
        self.under_way: dict[str, asyncio.Future[None]] = {}


class CertificateFetch:
    """``fetch`` gets an address and the names that its certificate must have, blocks, and keeps what came.

    Each host of ``expected`` has threads and places of its own, which addresses elsewhere can't take.
    """

    def __init__(self, fetch: Callable[[str, tuple[str, ...]], None], expected: Collection[str] = ()) -> None:
        self._fetch = fetch
        self._lanes = {host: _Lane() for host in expected}
        self._others = _Lane()

    async def __call__(self, missing: CertificateMissing) -> None:
        """Wait until the certificate is here, or isn't to be had. Raises Transient when too many are waited for."""
        lane = self._lanes.get(urlsplit(missing.url).netloc, self._others)
        under_way = lane.under_way.get(missing.url)
        if under_way is None:
            if len(lane.under_way) >= MOST_WAITING:
                words = "Too many certificates of signatures are being fetched. Send it again."
                raise Transient(words, retry_after=RETRY_AFTER)
            under_way = asyncio.get_running_loop().run_in_executor(
                lane.threads, self._fetch, missing.url, missing.names
            )
            lane.under_way[missing.url] = under_way
            under_way.add_done_callback(lambda _: lane.under_way.pop(missing.url, None))
        # Whoever hangs up doesn't end the wait of the others.
        await asyncio.shield(under_way)
