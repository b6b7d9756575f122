"""How senders call the fields of an alert.

Names are compared without case and joints: ``dedup_key`` is also "dedupKey", "Dedup-Key" and "DEDUP KEY". Best first:
of two names for one field the earlier wins, and what stands outside wins over what is wrapped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from mcp_responder.sources._reading import plain

SYNONYMS: dict[str, str] = {
    "title": "title alert_title alertname alert_name alarm_name rule_name monitor_name check_name trigger_name "
    "condition_name problem_title problem_name issue_title incident_title event_title event_name summary headline "
    "short_description description_title subject alert alarm name trigger monitor check rule search_name",
    "message": "message msg alert_message summary error_message description body text content long_description details "
    "detail problem_details reason state_reason failure_reason cause error errors error_type exception output "
    "stack stack_trace traceback exception_stacktrace",
    "severity": "severity alert_severity severity_level sev alert_level level log_level level_name priority "
    "alert_priority urgency criticality importance",
    "status": "status alert_status state alert_state alarm_state current_state new_state event_action action "
    "new_state_value build_status job_status pipeline_status conclusion outcome result "
    "event_type event_state alert_transition transition alert_type notification_type",
    "resolved": "resolved is_resolved recovered",
    "event": "event event_kind",
    "service": "service service_name application application_name app app_name component component_name microservice "
    "system product job pipeline_name workload_name workload kube_deployment function_name project_name project_slug",
    "resource": "resource resource_name resource_id resource_arn host hostname instance instance_id node node_name "
    "server server_name machine device pod pod_name kube_pod container container_name db_instance_identifier "
    "db_instance target entity entity_name",
    "environment": "environment env environment_name deployment_environment stage",
    "region": "region aws_region region_name cloud_region cloudwatch_region datacenter availability_zone zone",
    "account": "account account_id aws_account aws_account_id account_name subscription_id project_id tenant tenant_id",
    "owner": "owner team owner_team assignee assigned_to responsible squad contact",
    "source_id": "source_id fingerprint alert_fingerprint dedup_key dedupe_key deduplication_key dedup_id alias "
    "incident_key alert_key alert_id alarm_id alarm_arn alert_uid rule_id rule_uid monitor_id check_id trigger_id "
    "aggregation_key aggreg_key problem_id incident_id issue_id",
    "group_id": "group_key",
    "event_id": "event_id event_uid event_uuid message_id notification_id delivery_id",
    "id": "uuid guid id",
    "timestamp": "timestamp ts time event_time event_timestamp datetime date occurred_at fired_at triggered_at "
    "starts_at started_at start_time detected_at created_at created opened_at generated_at sent_at updated_at "
    "last_updated",
    "ended": "ends_at ended_at end_time resolved_at closed_at recovered_at",
    "labels": "labels tags common_labels group_labels dimensions",
    "links": "links link url urls href permalink alert_url web_url html_url console_url incident_url event_url "
    "external_url source_url details_url log_url logs_url trace_url generator_url runbook runbook_url runbook_link "
    "playbook playbook_url dashboard dashboard_url panel_url monitor_url",
}

ALARMS = "alert alarm incident issue problem monitor check rule condition"
"""Objects whose ``id`` is that of the alarm."""

WRAPPERS = (
    f"{ALARMS} data event payload detail details context annotations common_annotations attributes notification "
    "essentials body content object exception error result custom_details"
)
"""Objects that are looked into."""

BATCHES = "alerts incidents events records items messages"
"""Arrays of objects that are alerts themselves."""
PURE_BATCHES = frozenset(("alerts", "incidents"))
"""Those that hold alerts and nothing else; what the others hold may also be a part of one alert."""

TELLING_LABELS = "severity service environment resource region account owner source_id message links"
"""Fields that may also stand among the labels; of titles only those before ``summary``."""


NOT_PLAIN = ("id", "labels", "links")


class Meaning(NamedTuple):
    """What a name says about the value behind it."""

    fields: tuple[tuple[str, int], ...] = ()
    """(field of an alert, place among its names)."""
    plainly: bool = True
    """Whether a plain value is taken as it is; else it matters where it stands and how it is called."""
    wraps: bool = False
    alarm: bool = False
    batch: bool = False


class Meanings(dict[str, Meaning]):
    """What a name says, in whatever spelling; those met before are remembered, since this is asked for every key."""

    def __init__(self, known: dict[str, Meaning]) -> None:
        super().__init__(known)
        self._known = known

    def __missing__(self, name: str) -> Meaning:
        if len(name) > _LONGEST_NAME:
            return NOTHING
        meant = self._known.get(plain(name), NOTHING)
        if len(self) < _MOST_REMEMBERED:
            self[name] = meant
        return meant


NOTHING = Meaning()
_LONGEST_NAME = 40
_MOST_REMEMBERED = 4096


def _object_names() -> dict[str, Meaning]:
    fields: dict[str, list[tuple[str, int]]] = {}
    for field, names in SYNONYMS.items():
        for place, name in enumerate(names.split()):
            fields.setdefault(plain(name), []).append((field, place))
    alarms, wrappers, batches = ({plain(name) for name in names.split()} for names in (ALARMS, WRAPPERS, BATCHES))
    return {
        name: Meaning(
            fields=tuple(fields.get(name, ())),
            plainly=not any(field in NOT_PLAIN for field, _ in fields.get(name, ())),
            wraps=name in wrappers,
            alarm=name in alarms,
            batch=name in batches,
        )
        for name in fields.keys() | wrappers | batches
    }


def _label_names() -> dict[str, Meaning]:
    telling, before_summary = TELLING_LABELS.split(), SYNONYMS["title"].split().index("summary")
    return {
        name: Meaning(fields=fields, plainly=meant.plainly)
        for name, meant in _object_names().items()
        if (fields := tuple(x for x in meant.fields if x[0] in telling or (x[0] == "title" and x[1] < before_summary)))
    }


IN_OBJECTS = Meanings(_object_names())
IN_LABELS = Meanings(_label_names())
"""Labels describe the alarm, and seldom name it."""


@lru_cache(maxsize=256)
def link_name(name: str) -> str:
    """What to show for a link: "Runbook" for ``runbook_url``."""
    said = plain(name)
    for ending in ("urls", "url", "links", "link", "href"):
        said = said.removesuffix(ending)
    return said.capitalize() if said not in ("", "html", "web") else "Link"
