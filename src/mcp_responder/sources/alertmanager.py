"""Prometheus Alertmanager: the webhook in its versions 4 and 3, and the alerts that its clients post.

Whatever speaks through an Alertmanager is heard: Prometheus, Thanos, Mimir, Cortex, Loki's ruler, vmalert. Grafana has
nearly the same webhook, and is read, too.

## Set up

1. In `alertmanager.yml` add a receiver, and a route to it:

        route:
          receiver: mcp-responder
        receivers:
          - name: mcp-responder
            webhook_configs:
              - url: https://<responder>/v1/sources/alertmanager
                send_resolved: true
                http_config:
                  authorization:
                    credentials_file: /etc/alertmanager/mcp-responder.key

2. Write the key into the file that is named there, and reload Alertmanager (`SIGHUP`, or `POST /-/reload`).
3. In Grafana instead: **Alerting, Contact points, Add contact point**, integration **Webhook**, the same **URL**, and
   under **Optional Webhook settings** the key as **Authentication Header Credentials** (scheme `Bearer`).

Try it:

    curl -X POST "$RESPONDER_URL/v1/sources/alertmanager" \\
      -H "X-API-Key: $RESPONDER_API_KEY" -H "Content-Type: application/json" \\
      -d '{"version": "4", "groupKey": "{}:{}", "status": "firing", "receiver": "mcp-responder",
           "alerts": [{"status": "firing", "startsAt": "2026-01-01T10:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
                       "labels": {"alertname": "DiskFills", "severity": "warning", "service": "search"},
                       "annotations": {"summary": "The disk fills within four hours"}}]}'

## How it is read

- Each alert of a group stands for itself, with its own status. Its fingerprint is its identity; where there is none it
  is computed of the labels, as Alertmanager does.
- **Reminders.** Alertmanager sends what still fires again: with `repeat_interval`, and whenever its group changes. Word
  for word and within five minutes that is the same event. Later it is a further event of the same alarm, of which its
  incident decides: merged while people were just told or one of them has acknowledged, else an update; what was closed
  too early is opened again. It is never dropped as known, since an alert that Alertmanager had lost for a while comes
  back with its old `startsAt`. An end is one event for ever.
- The title is the annotation `summary`, else the `alertname`. Other annotations that aren't links stand in the message.
- Severity: the label `severity` (or `priority`, `level`), else the rules on the words. With `severity: none`, and for
  `Watchdog`, `InfoInhibitor` and dead man's switches, the alert is only kept: they always fire.
- The service is a label `service`, `app`, `app_kubernetes_io_name`, `job`, `deployment`, ... that doesn't name an
  exporter or its namespace, else empty; the resource is the pod, the workload, the node or the instance.
- What `max_alerts` left out is told in the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from mcp_responder.model.alert import Alert, Link, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.model.severity import read_severity
from mcp_responder.plumbing.fields import array, instant, mapping, number, one_line, text
from mcp_responder.ports import Request, SourceInfo
from mcp_responder.sources._reading import (
    LONGEST_TITLE,
    MOST_LINKS,
    headline,
    is_address,
    judged,
    label_text,
    override,
    plain,
    raw_items,
    read_labels,
    read_status,
    unmark,
)
from mcp_responder.sources._synonyms import link_name

_TIMES = ("startsAt", "endsAt", "generatorURL", "annotations", "fingerprint")

INFO = SourceInfo(
    name="alertmanager",
    title="Prometheus Alertmanager",
    # Raw message delivery of SNS calls its JSON plain text, and never sends again what is refused.
    content_types=("application/json", "text/plain"),
    marks=frozenset(("alerts", *_TIMES)),
    largest_body=4 * 1024 * 1024,
)
"""Groups are large, and what Alertmanager is refused it never sends again."""

MOST_ALERTS = 5000
"""Alerts in one group."""

SERVICES = (
    *("exported_service", "service", "service_name", "app", "application", "app_name", "app_kubernetes_io_name"),
    *("exported_job", "job", "deployment", "statefulset", "daemonset", "cronjob", "workload", "k8s_deployment_name"),
    *("k8s_app", "component", "exported_container", "container", "app_kubernetes_io_instance", "exported_namespace"),
    *("namespace", "k8s_namespace_name"),
)
RESOURCES = (
    *("exported_pod", "pod", "pod_name", "k8s_pod_name", "persistentvolumeclaim", "deployment", "statefulset"),
    *("daemonset", "horizontalpodautoscaler", "cronjob", "job_name", "node", "nodename", "node_name", "k8s_node_name"),
    *("host", "hostname", "host_name", "server", "exported_instance", "instance", "target", "queue", "topic"),
    *("database", "datname", "container", "device"),
)
ENVIRONMENTS = (
    "environment",
    "env",
    "deployment_environment",
    "deployment_environment_name",
    "environment_name",
    "stage",
)
REGIONS = ("region", "aws_region", "cloud_region", "datacenter", "dc", "location")
ACCOUNTS = (
    *("account", "account_id", "aws_account_id", "cloud_account_id", "account_name", "subscription_id", "project_id"),
    *("tenant", "cluster", "cluster_name", "k8s_cluster_name"),
)
OWNERS = ("owner", "team", "squad", "owner_team", "assignee", "contact")
SEVERITIES = ("severity", "alert_severity", "severity_level", "priority", "urgency", "level")
"""Labels that say it, the most telling first; dots, dashes and slashes ("service.name") are underscores here."""

WHAT = ("rulename", "reason", "phase", "condition", "job_name", "mountpoint", "queue", "topic", "consumergroup", "code")
"""Labels that say what is wrong, not where; they stand in a title that is only the alert's name."""
_MOST_IN_TITLE = 3

WATCHERS = re.compile(
    r"kube-state-metrics|[-_]exporter|^node$|cadvisor|kubelet|blackbox|pushgateway|^kubernetes-|^monitoring$|^default$"
)
"""Names of those that only bring the news: their own labels say nothing of what is broken."""

HEARTBEATS = ("watchdog", "infoinhibitor", "deadmansswitch", "deadmanswitch", "deadmanssnitch")
"""Alerts that always fire, so that somebody notices when they stop; or that only silence others."""

SAID = ("description", "message", "details", "info")
"""Annotations that are the message; the others stand in it with their names."""
_BROKEN = "<error expanding template"
_MARKS = ("groupKey", "groupLabels", "commonLabels", "receiver", "externalURL")
_CLIENTS_KEYS = frozenset(
    ("labels", "annotations", "startsAt", "endsAt", "generatorURL", "status", "fingerprint", "receivers", "updatedAt")
)
_UNDERSCORED = str.maketrans("./-", "___")
_MOST_ANNOTATIONS = 20
_MOST_IN_GIST = 12
_LONGEST_GIST = 600
_LONGEST_FILTER = 1500
_LONGEST_LABELS = 20_000
"""Bytes; of more, which no Prometheus sends, the fingerprint is another one, since that is fast."""
_FNV_OFFSET, _FNV_PRIME, _64_BITS = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1


class _Told(NamedTuple):
    """One alert as it was told: its labels and annotations as text, and all else of it and of its group."""

    labels: dict[str, str]
    known: dict[str, str]
    """The labels, their names in one spelling."""
    annotations: dict[str, str]
    item: dict[str, object]
    group: dict[str, object]

    def label(self, names: Iterable[str]) -> str:
        """The first of these labels that there is."""
        return next((self.known[name] for name in names if name in self.known), "")

    def thing(self, names: Iterable[str]) -> str:
        """The same, but never the name of a watcher."""
        found = (self.known[name] for name in names if name in self.known)
        return next((value for value in found if not WATCHERS.search(value)), "")


def _told(item: dict[str, object], group: dict[str, object]) -> _Told:
    labels, annotations = (read_labels(mapping(item.get(name))) for name in ("labels", "annotations"))
    known = {name.lower().translate(_UNDERSCORED): value for name, value in labels.items()}
    return _Told(labels, known, annotations, item, group)


def detects(body: object) -> bool:
    """A group of alerts, or one alert as clients post it."""
    if not isinstance(body, dict):
        return False
    if "alerts" in body:
        alerts = array(body["alerts"])
        first = mapping(alerts[0]) if alerts else {}
        return any(mark in body for mark in _MARKS) and (
            isinstance(first.get("labels"), dict) or body["alerts"] in ([], None)
        )
    return _is_of_client(body)


def _is_of_client(body: dict[str, object]) -> bool:
    named = isinstance(mapping(body.get("labels")).get("alertname"), str)
    return named and _CLIENTS_KEYS.issuperset(body) and any(key in body for key in _TIMES)


def parse(body: object, raw: bytes, request: Request) -> list[Alert]:
    """Each alert of the group; none of an empty one."""
    if isinstance(body, dict) and isinstance(body.get("alerts"), list):
        return _group(body, body["alerts"], raw, request)
    if detects(body) and isinstance(body, dict) and "alerts" in body:
        # How Go writes an empty list.
        return []
    alert = _read(body, {}, raw, request) if isinstance(body, dict) and "labels" in body else None
    if alert is None:
        raise _no_group()
    return [alert]


def _no_group() -> InvalidRequest:
    return InvalidRequest("not_a_group", "A group of Alertmanager has 'alerts' with labels.", status=422)


def _group(group: dict[str, object], items: list[object], raw: bytes, request: Request) -> list[Alert]:
    if len(items) > MOST_ALERTS:
        words = (
            f"The group holds {len(items)} alerts; at most {MOST_ALERTS} are taken. Set 'max_alerts' of the webhook."
        )
        raise InvalidRequest("too_many_items", words, status=413)
    # A single alert keeps all that was said around it, too.
    texts = [raw] if len(items) == 1 else raw_items(raw, "alerts")
    found = [_read(mapping(item), group, its_text, request) for item, its_text in zip(items, texts, strict=True)]
    alerts = [alert for alert in found if alert]
    if items and not alerts:
        raise _no_group()
    return alerts


def _read(item: dict[str, object], group: dict[str, object], raw: bytes, request: Request) -> Alert | None:
    """The alert, or None if nothing is said of it."""
    told = _told(item, group)
    title = _title(told)
    if not title:
        return None
    status, environment = _status(told, request.received_at), told.label(ENVIRONMENTS)
    fingerprint = text(item.get("fingerprint")) or _fingerprint(told.labels)
    words = "\n".join((told.labels.get("alertname", ""), *_said(told)))
    at, is_own = _time(item, status)
    alert = Alert(
        source=INFO.name,
        source_id=fingerprint,
        event_id=f"{fingerprint}/resolved@{at.isoformat()}" if is_own and at and fingerprint else "",
        title=title,
        message=_message(told, title),
        severity=_severity(told) or judged(title, words, environment, request.reading),
        timestamp=at,
        approximate=not is_own,
        raw_data=msgspec.Raw(raw),
        status=status,
        service=told.thing(SERVICES),
        resource=told.thing(RESOURCES) or told.label(RESOURCES),
        environment=environment,
        region=told.label(REGIONS),
        account=told.label(ACCOUNTS),
        owner=told.label(OWNERS) or told.annotations.get("owner", "") or told.annotations.get("team", ""),
        labels=told.labels,
        links=_links(told),
    )
    return override(alert, {**group, **item}, request.reading)


# ------------------------------------------------------------------------------------------------- what and how it is


def _title(told: _Told) -> str:
    summary = told.annotations.get("summary") or told.annotations.get("title", "")
    if summary and not summary.startswith(_BROKEN):
        return unmark(one_line(summary, LONGEST_TITLE))[0]
    name = told.labels.get("alertname") or told.labels.get("alert", "")
    if not name:
        return headline("\n".join(_said(told))) or one_line(_pairs(told.labels), LONGEST_TITLE)
    what = [f"{label} {told.labels[label]}" for label in WHAT if label in told.labels][:_MOST_IN_TITLE]
    return one_line(f"{name} ({', '.join(what)})" if what else name, LONGEST_TITLE)


def _status(told: _Told, now: datetime) -> Status:
    """The alert's own; clients say only when it ends, which for what fires lies ahead."""
    if _is_heartbeat(told):
        return Status.INFO
    said = told.item.get("status")
    status = read_status(mapping(said).get("state")) or read_status(said)
    if status is None:
        ended = instant(told.item.get("endsAt"))
        over = ended is not None and ended <= now
        status = Status.RESOLVED if over else read_status(told.group.get("status"))
    return status or Status.FIRING


def _is_heartbeat(told: _Told) -> bool:
    name = plain(told.labels.get("alertname", ""))
    return told.labels.get("severity", "").lower() == "none" or name in HEARTBEATS or name.endswith(HEARTBEATS[2:])


def _severity(told: _Told) -> Severity | None:
    said = (known.get(name, "") for known in (told.labels, told.annotations) for name in SEVERITIES)
    return next(filter(None, map(read_severity, filter(None, said))), None)


def _time(item: dict[str, object], status: Status) -> tuple[datetime | None, bool]:
    """When it happened, and whether that is this event's own time: an end is, a begin is told again and again."""
    ended = instant(item.get("endsAt")) if status is Status.RESOLVED else None
    return (ended, True) if ended else (instant(item.get("startsAt")), False)


def _fingerprint(labels: dict[str, str]) -> str:
    """What Alertmanager makes of these labels: FNV-1a, 64 bits, over names and values in order."""
    parts = (part.encode(errors="surrogatepass") for name in sorted(labels) for part in (name, labels[name]))
    said = b"".join(part + b"\xff" for part in parts)
    if not said or len(said) > _LONGEST_LABELS:
        return blake2b(said, digest_size=8).hexdigest() if said else ""
    fnv = _FNV_OFFSET
    for byte in said:
        fnv = (fnv ^ byte) * _FNV_PRIME & _64_BITS
    return f"{fnv:016x}"


# --------------------------------------------------------------------------------------------------------- what to say


def _said(told: _Told) -> list[str]:
    return [told.annotations[name] for name in SAID if name in told.annotations]


def _message(told: _Told, title: str) -> str:
    summary = told.annotations.get("summary", "")
    left_out = number(told.group.get("truncatedAlerts")) or 0
    lines = (
        summary if summary != title else "",
        *_said(told),
        *_other_annotations(told),
        _values(told.item),
        one_line(f"Labels: {_pairs(told.labels)}", _LONGEST_GIST) if told.labels else "",
        f"Left out by the sender: {left_out:.0f} more of this group (max_alerts)." if left_out > 0 else "",
    )
    return "\n".join(filter(None, lines))


def _other_annotations(told: _Told) -> Iterator[str]:
    """Those with a name of their own; what isn't quite a link is kept as text."""
    names = [n for n in told.annotations if n not in (*SAID, "summary", *SEVERITIES) and not n.startswith("__")]
    for name in names[:_MOST_ANNOTATIONS]:
        if not _is_link(told.annotations[name]):
            yield f"{name}: {told.annotations[name]}"


def _values(item: dict[str, object]) -> str:
    """What Grafana measured."""
    values = [(name, label_text(value)) for name, value in mapping(item.get("values")).items()]
    told = ", ".join(f"{name}={value}" for name, value in values if value) or text(item.get("valueString"))
    return one_line(f"Values: {told}", _LONGEST_GIST) if told else ""


def _pairs(labels: dict[str, str]) -> str:
    telling = ((name, value) for name, value in labels.items() if not name.startswith("__"))
    return ", ".join(f"{name}={value}" for name, value in islice(telling, _MOST_IN_GIST))


def _links(told: _Told) -> tuple[Link, ...]:
    links: dict[str, Link] = {}
    for name, url in _addresses(told):
        links.setdefault(url, Link(name=one_line(name, 80), url=url))
    return tuple(links.values())[:MOST_LINKS]


def _addresses(told: _Told) -> Iterator[tuple[str, str]]:
    """(name, address), runbooks and the like first."""
    for known in (told.annotations, told.labels):
        yield from ((link_name(name), value) for name, value in known.items() if _is_link(value))
    fields = {"dashboardURL": "Dashboard", "panelURL": "Panel", "generatorURL": "Source", "silenceURL": "Silence"}
    for field, name in {**fields, "imageURL": "Image"}.items():
        value = text(told.item.get(field))
        if is_address(value):
            yield name, value
    if "silenceURL" not in told.item and is_address(told.group.get("externalURL")):
        yield from _silence(text(told.group["externalURL"]), told.labels)


def _silence(alertmanager: str, labels: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The page on which exactly this alert is silenced."""
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in labels.items()}
    matchers = ",".join(f'{name}="{value}"' for name, value in escaped.items())
    if len(matchers) <= _LONGEST_FILTER:
        address = f"{alertmanager.rstrip('/')}/#/silences/new"
        yield "Silence", f"{address}?filter={quote(f'{{{matchers}}}', safe='', errors='replace')}"


def _is_link(value: str) -> bool:
    """An address without what is left of a template that wasn't filled in."""
    return is_address(value) and value.isprintable() and not any(mark in value for mark in "{}<>")
