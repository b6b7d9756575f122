"""From HTTP to "again" or "never": what every channel over HTTP shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote, urlsplit

from mcp_responder.model.errors import Permanent, ResponderError, Transient
from mcp_responder.plumbing.http import HttpClient, HttpFailure, HttpResponse, address_of
from mcp_responder.plumbing.text import hide, shown_line
from mcp_responder.ports import Clock

LONGEST_WAIT = 24 * 3600.0
"""Seconds of Retry-After that are believed."""
LONGEST_WORDS = 200
"""Characters of the other side's answer that an error repeats."""
SHORTEST_SECRET = 6
"""Shorter parts of an address aren't hidden: they would turn every word into a mask."""

_AGAIN = frozenset({408, 425, 429})


class HttpSender:
    """Sends requests for one channel, and turns whatever isn't a success into Transient or Permanent.

    ``secrets`` are never repeated, even if the other side does; what is secret in the address is added to them.
    """

    def __init__(self, http: HttpClient, clock: Clock, timeout: float, secrets: Iterable[str] = ()) -> None:
        self._http = http
        self._clock = clock
        self._timeout = timeout
        self._secrets = tuple(secrets)

    def send(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> HttpResponse:
        """A 2xx answer. Raises Transient or Permanent."""
        try:
            response = self._http.request(method, url, body, headers, self._timeout)
        except HttpFailure as failure:
            raise Transient(str(failure), doubtful=failure.sent) from None
        if 200 <= response.status < 300:
            return response
        raise error_for(url, response, self._clock(), (*self._secrets, *secret_parts(url)))


def error_for(url: str, response: HttpResponse, now: datetime, secrets: Iterable[str]) -> ResponderError:
    """What a status that isn't 2xx means: try again later, or never."""
    detail = _detail(address_of(url).place, response, secrets)
    if response.status in _AGAIN or response.status >= 500:
        return Transient(detail, retry_after=retry_after(response.headers, now))
    return Permanent(detail)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait, from seconds or an HTTP date; None if it isn't said or can't be read."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    seconds = _seconds(value)
    if seconds is None:
        seconds = _seconds_until(value, now)
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def secret_parts(url: str) -> tuple[str, ...]:
    """All of a URL but scheme, host and port, whole and in parts, as the other side might quote it."""
    parts = urlsplit(url)
    values = [value for _, value in parse_qsl(parts.query)]
    candidates = [url, parts.path, parts.query, parts.password or "", *parts.path.split("/"), *values]
    candidates += [unquote(candidate) for candidate in candidates]
    candidates.append(address_of(url).authorization.removeprefix("Basic "))
    return tuple(candidate for candidate in candidates if len(candidate) >= SHORTEST_SECRET)


def _detail(place: str, response: HttpResponse, secrets: Iterable[str]) -> str:
    detail = f"{place} answered {response.status}"
    if 300 <= response.status < 400:
        return f"{detail}: redirects aren't followed, set the address that it leads to"
    # Hidden before it is cut: half a secret wouldn't be recognised.
    words = shown_line(hide(response.body.decode(errors="replace"), secrets), LONGEST_WORDS)
    return f"{detail}: {words}" if words else detail


def _seconds(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _seconds_until(value: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(value)
        # A date without a zone is in UTC.
        return ((then if then.tzinfo else then.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
