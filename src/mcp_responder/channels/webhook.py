"""Webhook: every piece of news about an incident as a signed JSON POST to an address of yours.

Set-up, in ``responder.toml`` (or as ``RESPONDER_CHANNELS__WEBHOOK__URL`` and so on in the environment):

    [channels.webhook]
    kind = "webhook"
    url = "https://ops.example.com/incidents"
    secret = "whsec_..."          # openssl rand -base64 32, after "whsec_"; any other text works too

The body, always valid JSON in UTF-8:

    type          "incident." and opened, escalated, repeated, acknowledged, resolved, reopened, silenced,
                  analyzed or analysis_failed: the latest news. News that came while your side was down is told once,
                  as the latest.
    id            of this delivery; the same for every try, so that you can drop a repeat
    sent_at       when this try was made (RFC 3339, UTC)
    incident      id, title, severity (CRITICAL, HIGH, MEDIUM, LOW), status (open, acknowledged, resolved), service,
                  resource, environment, source, owner, signature, alert_id (of the alert that opened it), news (counts
                  up; the higher one is the later truth), reopened (how often), opened_at, last_seen, acknowledged_at,
                  acknowledged_by, resolved_at, resolved_by, silenced_until, silenced_by, alert_count,
                  firing_count (of its alarms, now), version: as GET /v1/incidents shows it
    analysis      null until it is made, then: summary, root_cause {statement, category, confidence, alternatives},
                  state, severity {level, reason}, impact, remediation [{step, command, risk}], monitoring [],
                  claims [{statement, evidence, quote, verified}], gaps [], evidence [{evidence_id, kind, title, query,
                  content, source_url, since, until, gap}], made_by {analyst, model, ...}, made_at
    timeline      [{at, event, by, text, alert_id, channel}], oldest first; what is empty is left out
    links         [{name, url}]
    url           the incident's own page
    reference     what your side answered to an earlier delivery about this incident, else ""
    digest        null, or {since, incidents []}: a storm, in one delivery with the type "digest". It is about all of
                  its incidents, each as in incident above, worst first; incident is the worst of them. They aren't
                  told by themselves unless they get worse or somebody acts. Each further delivery of a digest has the
                  incidents of the earlier ones, too, as they were told last
    instead       why it comes here and not where it should, as a sentence; else ""
    doubtful      true: an earlier try was cut off and may have arrived
    late_seconds  how much later than planned it goes out
    shortened     true: something was cut because the body would have been longer than 256,000 bytes

Answer any 2xx. If your answer is a JSON object with a short "reference" (or "id"), it comes back in the next delivery
about the same incident; a "url" in it is shown beside the delivery. 408, 425, 429, 5xx, time-outs and broken
connections are tried again, not before your Retry-After; anything else, redirects too, is given up at once.

With a secret set, each request carries ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` (Standard
Webhooks): ``v1,`` and the base64 HMAC-SHA256 of ``<id>.<timestamp>.<body>``. Verify it over the exact bytes and refuse
timestamps more than five minutes away. To rotate, set ``secrets = ["new", "old"]``: the header then holds one signature
for each, and either fits. A user and password in the address are sent as HTTP Basic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mcp_responder.channels._http import HttpSender
from mcp_responder.channels._kind import ChannelKind, Services
from mcp_responder.model.alert import Link
from mcp_responder.model.analysis import Analysis
from mcp_responder.model.incident import IncidentSummary, TimelineEntry, summary
from mcp_responder.model.message import Digest, Message, Receipt
from mcp_responder.plumbing.http import HttpClient, HttpResponse, address_of
from mcp_responder.plumbing.secret import Secret
from mcp_responder.plumbing.signing import sign, signing_key
from mcp_responder.plumbing.text import cut, one_line
from mcp_responder.ports import ChannelInfo, Clock, Delivered

INFO = ChannelInfo(kind="webhook", title="Outgoing webhook", longest_text=256_000, updates=False)
LONGEST_ANSWER = 4096
LONGEST_REFERENCE = 200
LONGEST_URL = 2000


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to post, and how to prove that it was us."""

    url: Secret
    """Address that is posted to; all of it but the host is kept secret."""
    secret: Secret = Secret("")
    """Signing secret: whsec_<base64>, or any text. Empty sends unsigned."""
    secrets: tuple[Secret, ...] = ()
    """Several signing secrets at once, for a rotation; each one signs."""
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 10.0
    """How long the other side may take to connect and answer."""

    def __post_init__(self) -> None:
        try:
            address_of(self.url.reveal())
        except ValueError as error:
            raise ValueError(f"url: {error}") from None
        for secret in self.signing_secrets:
            signing_key(secret)

    @property
    def signing_secrets(self) -> tuple[Secret, ...]:
        """``secret`` and ``secrets`` together."""
        return ((self.secret,) if self.secret else ()) + self.secrets


class Webhook:
    """POSTs the whole message to one address."""

    info = INFO

    def __init__(
        self, name: str, url: Secret, secrets: Sequence[Secret], http: HttpClient, clock: Clock, timeout: float = 10.0
    ) -> None:
        self.name = name
        self._url = url
        self._keys = tuple(signing_key(secret) for secret in secrets)
        self._clock = clock
        self._sender = HttpSender(http, clock, timeout, (secret.reveal() for secret in secrets))

    def __repr__(self) -> str:
        return f"Webhook({self.name!r}, {address_of(self._url.reveal()).place})"

    def deliver(self, message: Message, previous: Receipt | None) -> Delivered:
        """POST once. Raises Transient or Permanent."""
        now = self._clock()
        reference = previous.reference if previous else ""
        body = _encoded(_body(message, reference, now))
        headers = {"content-type": "application/json"}
        if self._keys:
            headers |= sign(self._keys, message.delivery_id, int(now.timestamp()), body)
        return _delivered(self._sender.send("POST", self._url.reveal(), body, headers), reference)


def _build(name: str, settings: WebhookSettings, services: Services) -> Webhook:
    return Webhook(
        name, settings.url, settings.signing_secrets, services.http, services.clock, settings.timeout_seconds
    )


KIND = ChannelKind(info=INFO, guide=__doc__ or "", settings=WebhookSettings, build=_build)


# ----------------------------------------------------------------------------------------------------------- the body


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    id: str
    sent_at: datetime
    incident: IncidentSummary
    analysis: Analysis | None
    timeline: tuple[TimelineEntry, ...]
    links: tuple[Link, ...]
    url: str
    reference: str
    doubtful: bool
    late_seconds: int
    instead: str
    digest: Digest | None
    shortened: bool = False


def _body(message: Message, reference: str, now: datetime) -> _Body:
    return _Body(
        type="digest" if message.digest else f"incident.{message.event}",
        id=message.delivery_id,
        sent_at=now,
        incident=summary(message.incident, message.activity),
        analysis=message.analysis,
        timeline=message.timeline,
        links=message.links,
        url=message.url,
        reference=reference,
        doubtful=message.doubtful,
        late_seconds=message.late_seconds,
        instead=message.instead,
        digest=message.digest,
    )


# -------------------------------------------------------------------------------------------------- never too long

_Json = dict[str, Any]


def _encoded(body: _Body) -> bytes:
    try:
        encoded = msgspec.json.encode(body)
    except UnicodeEncodeError:
        return _shortened(body)
    return encoded if len(encoded) <= INFO.longest_text else _shortened(body)


def _shortened(body: _Body) -> bytes:
    """The body after as few cuts as it takes; half surrogates, which JSON can't carry, become question marks."""
    plain = _each_text(msgspec.to_builtins(body), _without_surrogates)
    for cut_more in _CUTS:
        if _fits(plain):
            break
        plain = {**cut_more(plain), "shortened": True}
    return msgspec.json.encode(plain)


def _fits(plain: _Json) -> bool:
    # Counted first: encoding many megabytes after every cut would take seconds.
    return _characters(plain) <= INFO.longest_text and len(msgspec.json.encode(plain)) <= INFO.longest_text


def _cut_timeline(plain: _Json, keep: int) -> _Json:
    return {**plain, "timeline": plain["timeline"][-keep:] if keep else []}


def _cut_evidence(plain: _Json, longest: int) -> _Json:
    analysis = plain["analysis"]
    if analysis is None:
        return plain
    evidence = [{**one, "content": cut(one["content"], longest)} for one in analysis["evidence"]]
    return {**plain, "analysis": {**analysis, "evidence": evidence}}


def _cut_texts(plain: _Json, longest: int, most: int) -> _Json:
    """Cut every text and list, but keep the delivery's id; a link that would be broken is left out."""
    links = [link for link in plain["links"] if len(link["url"]) <= longest]
    shorter: _Json = _each_list(_each_text({**plain, "links": links}, lambda text: cut(text, longest)), most)
    return {**shorter, "id": plain["id"]}


_CUTS: tuple[Callable[[_Json], _Json], ...] = (
    lambda plain: _cut_timeline(plain, 100),
    lambda plain: _cut_timeline(plain, 10),
    lambda plain: _cut_timeline(plain, 0),
    lambda plain: _cut_evidence(plain, 4000),
    lambda plain: _cut_evidence(plain, 400),
    lambda plain: _cut_evidence(plain, 0),
    lambda plain: _cut_texts(plain, 10_000, 100),
    lambda plain: _cut_texts(plain, 1000, 40),
    lambda plain: _cut_texts(plain, 200, 10),
)
"""From what is missed least to what is missed most. The last leaves less than the limit of any message."""


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each_text(item, change) for key, item in value.items()}
    return [_each_text(item, change) for item in value] if isinstance(value, list | tuple) else value


def _each_list(value: Any, most: int) -> Any:
    if isinstance(value, dict):
        return {key: _each_list(item, most) for key, item in value.items()}
    return [_each_list(item, most) for item in value[:most]] if isinstance(value, list | tuple) else value


def _characters(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    return sum(map(_characters, value)) if isinstance(value, list | tuple) else len(str(value))


def _without_surrogates(text: str) -> str:
    return text.encode(errors="replace").decode()


# --------------------------------------------------------------------------------------------------------- the answer


def _delivered(response: HttpResponse, known: str) -> Delivered:
    answer = _answer(response.body)
    reference = _short_text(answer, "reference") or _short_text(answer, "id") or known
    url = answer.get("url")
    shown = isinstance(url, str) and url.startswith(("https://", "http://")) and len(url) <= LONGEST_URL
    return Delivered(reference=reference, url=one_line(str(url)) if shown else "")


def _answer(body: bytes) -> _Json:
    if not body or len(body) > LONGEST_ANSWER:
        return {}
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _short_text(answer: _Json, key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str | int) or isinstance(value, bool):
        return ""
    text = str(value)
    return one_line(text) if len(text) <= LONGEST_REFERENCE else ""
