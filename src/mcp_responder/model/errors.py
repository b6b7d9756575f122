"""Everything that can go wrong, by what the one who catches it should do.

ResponderError
├── InvalidRequest     the caller's fault: answer 4xx with a problem document
│   ├── NotFound           404
│   ├── Unverified         403: it isn't shown that these are its sender's words
│   └── Refused            409: legal request, wrong moment
├── Transient          try again later (``retry_after``)
│   └── CertificateMissing  fetch it, and read again
├── Permanent          never try again: bury
├── Conflict           somebody was faster: read again and redo the pure change
│   └── LeaseLost          the task is in other hands by now: drop it
└── Misconfigured      refuse to start: names key, place and fix
"""

from __future__ import annotations


class ResponderError(Exception):
    """Something in the responder went wrong."""


class InvalidRequest(ResponderError):
    """The request can't be used as it is.

    ``status`` is the HTTP status, ``code`` a stable word for programs, ``detail`` a sentence for people: what
    happened, why, what to do.
    """

    def __init__(self, code: str, detail: str, status: int = 400, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.retry_after = retry_after


class NotFound(InvalidRequest):
    """There is nothing of that name."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__("not_found", f"There is no {what} '{name}'.", status=404)


class Unverified(InvalidRequest):
    """Nothing shows that these are the words of whom they name as their sender."""

    def __init__(self, code: str, detail: str, status: int = 403) -> None:
        super().__init__(code, detail, status=status)


class Refused(InvalidRequest):
    """The request is well formed, but the state of the thing forbids it."""

    def __init__(self, detail: str) -> None:
        super().__init__("illegal_change", detail, status=409)


class Transient(ResponderError):
    """Didn't work now and may work later; ``retry_after`` is in seconds when the other side said so.

    ``doubtful``: it may have worked all the same, such as a request that was sent and never answered.
    """

    def __init__(self, detail: str, retry_after: float | None = None, *, doubtful: bool = False) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.doubtful = doubtful


class CertificateMissing(Transient):
    """A signature can be verified once the certificate at ``url``, made out to one of ``names``, is here."""

    def __init__(self, url: str, names: tuple[str, ...]) -> None:
        super().__init__("The certificate of the signature isn't here yet. Send it again.")
        self.url = url
        self.names = names


class TakesLong(ResponderError):
    """To read it takes longer than whoever hurries may wait."""


class Permanent(ResponderError):
    """Won't ever work as asked; trying again is pointless."""


class Conflict(ResponderError):
    """The thing was changed by somebody else since it was read."""


class LeaseLost(Conflict):
    """The lease of a task has ended; whoever holds it now does the work."""


class Misconfigured(ResponderError):
    """The configuration can't be used: which key, where it was set, how to mend it."""

    def __init__(self, key: str, place: str, fix: str) -> None:
        super().__init__(f"{place}: {key}: {fix}")
        self.key = key
        self.place = place
        self.fix = fix
