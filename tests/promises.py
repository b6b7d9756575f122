"""What this project promises, each with the tests that prove it.

``@promise("id")`` on a test says which promise it proves. ``tests/test_promises.py`` sees to it that every promise has
a test, and the documentation prints this list, so a sentence here must be true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

PROMISES = {
    "accepted-alert-is-never-lost": "An alert that was answered with 202 is there after kill -9 of every process.",
    "same-alert-twice-is-stored-once": "A sender's retry of an event gets the same id back, and is stored once.",
    "two-routes-are-one-event": "The same change of an alarm by SNS and by EventBridge is one event of one incident.",
    "every-event-has-one-outcome": "received = delivered + merged + suppressed + dead + in flight, whatever happens.",
    "why-tells-the-whole-path": "For every event there is an answer to why people were told of it, or were not.",
    "incident-is-told-once": "Repeats are merged: people hear of an incident once, and again only of real news.",
    "people-are-told-before-the-analysis": "Of what is CRITICAL or HIGH people hear at once; the analysis follows.",
    "analysis-lost-still-tells": "If the analysis is lost for good, people are told of the incident without it.",
    "claude-down-still-answers": "If the model can't be had, for whatever reason, the rules answer and say why.",
    "secrets-never-leave": "Keys, tokens and passwords in alerts and evidence reach neither a model nor a channel.",
    "claims-are-proved": "A claim counts as verified only if its quote and its numbers stand in the evidence.",
    "storm-is-one-digest": "Of a storm a channel is told a few incidents by themselves; the rest share a digest.",
    "page-reaches-the-fallback": "A page that a channel refuses, or fails to take for long, is told by the fallback.",
    "page-is-reminded-of": "A page that is told, and that nobody acknowledges, is told again after half an hour.",
    "failing-channel-is-spared": "A channel that fails is tried less and less often, until a try works.",
    "no-route-is-said": "What no route leads to a channel is an outcome, a warning in the log, and a metric.",
    "silence-keeps-quiet": "While an incident is silenced nobody hears of it, but of its end and of what is worse.",
    "dead-channel-delays-nobody": "A channel that hangs or refuses delays no other channel.",
    "down-channel-is-told-later": "A channel that is down is tried again for 24 hours; then it is a dead letter.",
    "retry-after-is-obeyed": "A channel that asks for patience isn't asked again before.",
    "refused-delivery-is-a-dead-letter": "What a channel refuses for good is kept as a dead letter, with its reason.",
    "removed-channel-loses-nothing": "News for a channel that was removed goes to those that are configured.",
    "full-disk-repeats-no-delivery": "While the store can't be written, what was delivered isn't delivered again.",
    "webhook-is-signed": "A receiver can verify by a shared secret that a delivery is ours and unchanged.",
    "dead-worker-is-noticed-at-once": "Work in the hands of a process that dies is taken up again at once.",
    "sigterm-drains": "SIGTERM finishes what is under way, and nobody is told twice for it.",
    "forged-message-is-refused": "Without an API key nothing comes in but what SNS signed for a listed topic.",
    "hostile-body-is-a-4xx": "No body, whatever its bytes, is answered with 5xx or stops the service.",
    "no-secret-in-log": "Logs hold no payload and no key.",
    "wrong-config-refuses-to-start": "A wrong setting stops the start and says key, place and fix.",
    "keys-open-their-own-doors-only": "A key does what its scopes say until it expires, at the rate that it was given.",
}

Test = TypeVar("Test", bound=Callable[..., object])


def promise(*names: str) -> Callable[[Test], Test]:
    """Mark a test as proof of these promises."""
    unknown = [name for name in names if name not in PROMISES]
    if unknown or not names:
        raise LookupError(f"there is no such promise: {unknown}; add it to tests/promises.py")

    def mark(test: Test) -> Test:
        return test

    return mark
