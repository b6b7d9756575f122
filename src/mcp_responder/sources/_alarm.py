"""A CloudWatch alarm, however it was told: by SNS, by a Lambda action, by EventBridge.

Whatever makes an alert's identity (title, ARN, event id, service, severity) comes only from what all three say, so that
the same change by two routes is one event of one alarm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

import msgspec

from mcp_responder.model.alert import Alert, Link, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.model.severity import judge, stated
from mcp_responder.plumbing.fields import array, instant, mapping, one_line, text
from mcp_responder.ports import Reading
from mcp_responder.sources._aws import alarm_arn, alarm_name, alarm_page, read_arn, region_code
from mcp_responder.sources._links import links_in
from mcp_responder.sources._reading import LONGEST_TITLE, read_labels

SOURCE = "cloudwatch_alarm"

TELLING = (
    *("ServiceName", "FunctionName", "DBInstanceIdentifier", "DBClusterIdentifier", "InstanceId", "QueueName"),
    *("TableName", "LoadBalancer", "LoadBalancerName", "TargetGroup", "ApiName", "ApiId", "StateMachineArn"),
    *("TopicName", "BucketName", "StreamName", "DeliveryStreamName", "CacheClusterId", "ReplicationGroupId"),
    *("DistributionId", "DomainName", "FileSystemId", "VolumeId", "NatGatewayId", "BrokerName", "CertificateArn"),
    *("AutoScalingGroupName", "RuleName", "PodName", "ClusterName", "CanaryName", "LogGroupName", "host", "Host"),
    *("Resource", "resource"),
)
"""Dimensions that name the thing, the most telling first; else it is the first one there is."""

SERVICE_DIMENSIONS = ("ServiceName", "Service", "service", "ApplicationName", "Application", "App")
ENVIRONMENT_DIMENSIONS = ("Environment", "environment", "Env", "env", "Stage", "stage")
SERVICE_TAGS = ("service", "servicename", "app", "application", "component")
ENVIRONMENT_TAGS = ("environment", "env", "stage")
OWNER_TAGS = ("owner", "team", "squad")

PRODUCTS = {
    "applicationelb": "alb",
    "networkelb": "nlb",
    "gatewayelb": "gwlb",
    "cwagent": "ec2",
    "ecs/containerinsights": "ecs",
    "containerinsights": "eks",
    "lambdainsights": "lambda",
    "cloudwatchsynthetics": "synthetics",
}
"""Namespaces that don't say their product's usual name; all others of AWS do ("AWS/RDS")."""

LONGEST_NAME = 1000
"""Characters of a name, an ARN and whatever is a label; CloudWatch allows 255."""
LONGEST_TEXT = 8000
"""Characters of a description and of a reason; CloudWatch itself writes some 1,000."""
MOST_METRICS = 100
"""More than an alarm may have."""
MOST_SHOWN = 20
"""Children and metrics that a message names; CloudWatch itself tells ten children."""

_STATES = {"ALARM": Status.FIRING, "OK": Status.RESOLVED}
_STATISTICS = {"SUM": "Sum", "AVERAGE": "Average", "MAXIMUM": "Maximum", "MINIMUM": "Minimum", "SAMPLECOUNT": "Count"}
"""SNS writes them in capitals, EventBridge as the console does."""
_COMPARISONS = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": ">=",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "<=",
    "GreaterThanUpperThreshold": "above the band",
    "LessThanLowerThreshold": "below the band",
    "LessThanLowerOrGreaterThanUpperThreshold": "outside the band",
}
_BAND = "ANOMALY_DETECTION_BAND"
_QUERIED = re.compile(r"\bFROM\s+(?:SCHEMA\(\s*)?[\"']?([\w./-]{1,255})", re.IGNORECASE)
"""The namespace in a query of Metrics Insights."""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric, or one expression over metrics, that an alarm watches."""

    metric_id: str = ""
    name: str = ""
    namespace: str = ""
    dimensions: dict[str, str] = {}
    statistic: str = ""
    period: str = ""
    expression: str = ""
    label: str = ""
    watched: bool = True
    """Whether the alarm compares this one; the others only feed expressions."""


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that set a composite alarm off."""

    name: str
    region: str = ""
    state: str = ""


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """A change of an alarm's state."""

    name: str
    arn: str
    account: str
    region: str
    description: str = ""
    state: str = ""
    reason: str = ""
    changed_at: datetime | None = None
    old_state: str = ""
    old_since: datetime | None = None
    suppressed_by: str = ""
    """What keeps it from acting: "WaitPeriod", a suppressor alarm, a mute rule."""
    rule: str = ""
    children: tuple[Child, ...] = ()
    metrics: tuple[Metric, ...] = ()
    threshold: str = ""
    comparison: str = ""
    contributor: str = ""
    """Of an alarm over many time series: which of them changed. Each fires and ends by itself."""
    contributed: dict[str, str] = {}
    """What that time series is grouped by."""
    tags: dict[str, str] = {}


# ------------------------------------------------------------------------------------------------------------ reading


def named_alarm(name: object, arn: object, account: object, region: object) -> Alarm:
    """An alarm by its names, each of which may be missing. Raises InvalidRequest if nothing says which one it is."""
    said, owner, place = (text(value)[:LONGEST_NAME] for value in (arn, account, region))
    known = read_arn(said)
    called = text(name)[:LONGEST_NAME] or known.resource.removeprefix("alarm:")
    if not called:
        raise InvalidRequest("not_an_alarm", "The alarm has neither a name nor an ARN.", status=422)
    code = known.region or region_code(place)
    return Alarm(
        name=called,
        arn=said if known.resource else alarm_arn(code, known.account or owner, called),
        account=owner or known.account,
        region=code,
    )


def read_change(alarm: Alarm, detail: dict[str, object]) -> Alarm:
    """The change as EventBridge (``detail``) and Lambda actions (``alarmData``) tell it, in camelCase."""
    state, before = mapping(detail.get("state")), mapping(detail.get("previousState"))
    configuration = mapping(detail.get("configuration"))
    facts = _reason_data(state.get("reasonData"))
    contributor = mapping(detail.get("alarmContributor"))
    muted = text(mapping(detail.get("muteDetail")).get("mutedByArn"))
    return msgspec.structs.replace(
        alarm,
        description=text(configuration.get("description")),
        state=text(state.get("value")),
        reason=text(state.get("reason")),
        changed_at=instant(state.get("timestamp")),
        old_state=text(before.get("value")),
        old_since=instant(before.get("timestamp")),
        suppressed_by=text(state.get("actionsSuppressedBy")) or muted.partition(":alarm-mute-rule:")[2] or muted,
        rule=text(configuration.get("alarmRule")),
        children=read_children(facts.get("triggeringAlarms")),
        metrics=read_metrics(configuration),
        threshold=text(facts.get("threshold")) or text(configuration.get("threshold")),
        comparison=text(configuration.get("comparisonOperator")),
        contributor=text(contributor.get("id")),
        contributed=read_labels(mapping(contributor.get("attributes"))),
        tags=read_labels(detail.get("alarmTags")),
    )


def read_message(alarm: Alarm, body: dict[str, object]) -> Alarm:
    """The change as the message for SNS tells it, with capital letters."""
    trigger = mapping(body.get("Trigger"))
    return msgspec.structs.replace(
        alarm,
        description=text(body.get("AlarmDescription")),
        state=text(body.get("NewStateValue")),
        reason=text(body.get("NewStateReason")),
        changed_at=instant(body.get("StateChangeTime")),
        old_state=text(body.get("OldStateValue")),
        suppressed_by=text(body.get("ActionsSuppressedBy")),
        rule=text(body.get("AlarmRule")),
        children=read_children(body.get("TriggeringChildren")),
        metrics=read_metrics(trigger),
        threshold=text(trigger.get("Threshold")),
        comparison=text(trigger.get("ComparisonOperator")),
        contributor=text(body.get("AlarmContributorId")),
        contributed=read_labels(mapping(body.get("AlarmContributorAttributes"))),
        tags=read_labels(body.get("AlarmTags")),
    )


def _reason_data(value: object) -> dict[str, object]:
    """The JSON text of ``reasonData``."""
    try:
        return mapping(json.loads(value)) if isinstance(value, str) else mapping(value)
    except (ValueError, RecursionError):
        return {}


def _camel(value: object) -> dict[str, object]:
    """An object whose names begin in lower case: SNS writes "MetricStat" what EventBridge calls "metricStat"."""
    return {name[:1].lower() + name[1:]: inner for name, inner in islice(mapping(value).items(), MOST_METRICS)}


def read_metrics(value: object) -> tuple[Metric, ...]:
    """What an alarm watches, by ids, so that the order of the sender decides nothing."""
    watching = _camel(value)
    items = array(watching.get("metrics"))[:MOST_METRICS]
    metrics = [_metric(_camel(item)) for item in items]
    if not items and (watching.get("metricName") or watching.get("namespace")):
        metrics = [_metric({"metricStat": {**watching, "metric": watching}})]
    metrics += [Metric(expression=query) for query in _queries(watching.get("evaluationCriteria"))]
    return tuple(sorted(metrics, key=lambda metric: metric.metric_id))


def _metric(item: dict[str, object]) -> Metric:
    measured = _camel(item.get("metricStat"))
    metric = _camel(measured.get("metric"))
    statistic = text(measured.get("stat")) or text(measured.get("extendedStatistic")) or text(measured.get("statistic"))
    return Metric(
        metric_id=text(item.get("id")),
        name=text(metric.get("name")) or text(metric.get("metricName")),
        namespace=text(metric.get("namespace")) or _queried(text(item.get("expression"))),
        dimensions=read_dimensions(metric.get("dimensions")),
        statistic=_STATISTICS.get(statistic.upper(), statistic),
        period=text(measured.get("period")) or text(item.get("period")),
        expression=text(item.get("expression")),
        label=text(item.get("label")),
        watched=item.get("returnData") is not False,
    )


def _queries(criteria: object) -> Iterator[str]:
    """The queries of an alarm on PromQL."""
    for inner in _camel(criteria).values():
        query = text(_camel(inner).get("query"))
        if query:
            yield query


def _queried(expression: str) -> str:
    found = _QUERIED.search(expression[:LONGEST_TEXT]) if expression[:6].upper() == "SELECT" else None
    return found[1] if found else ""


def read_dimensions(value: object) -> dict[str, str]:
    """Dimensions as EventBridge ({name: value}) and SNS ([{name, value}]) write them."""
    if isinstance(value, dict):
        pairs = [(name, text(inner)) for name, inner in islice(value.items(), MOST_METRICS)]
    else:
        items = map(mapping, array(value)[:MOST_METRICS])
        pairs = [(text(item.get("name")), text(item.get("value"))) for item in items]
    return {name: inner for name, inner in pairs if name and inner}


def read_children(value: object) -> tuple[Child, ...]:
    """The alarms that set a composite alarm off."""
    children = (_child(_camel(item)) for item in array(value))
    return tuple(child for child in children if child.name)


def _child(item: dict[str, object]) -> Child:
    arn = text(item.get("arn"))
    state = text(_camel(item.get("state")).get("value"))
    return Child(name=alarm_name(arn) or arn, region=read_arn(arn).region, state=state)


# ------------------------------------------------------------------------------------------------------------ telling


def status_of(alarm: Alarm) -> Status:
    """ALARM fires and OK resolves. What isn't known is only kept, and so is an alarm whose actions are suppressed:
    somebody decided that it must page nobody."""
    status = _STATES.get(alarm.state.upper(), Status.INFO)
    return Status.INFO if status is Status.FIRING and alarm.suppressed_by else status


def alert_of(alarm: Alarm, raw: bytes, reading: Reading, links: Iterable[Link] = ()) -> Alert:
    """The alert that a change of state is; ``links`` are those that the message brings besides its texts."""
    dimensions = _dimensions(alarm)
    tags = {name.lower(): value for name, value in alarm.tags.items()}
    return Alert(
        source=SOURCE,
        source_id=" ".join(filter(None, (alarm.arn, alarm.contributor))),
        event_id=_event_id(alarm),
        title=one_line(alarm.name, LONGEST_TITLE) or one_line(alarm.arn, LONGEST_TITLE),
        message=_message(alarm),
        severity=_severity(alarm, reading),
        timestamp=alarm.changed_at,
        raw_data=msgspec.Raw(raw),
        status=status_of(alarm),
        service=_first(tags, SERVICE_TAGS) or _service(alarm, dimensions),
        resource=_first(dimensions, TELLING) or next(iter(dimensions.values()), ""),
        environment=_first(tags, ENVIRONMENT_TAGS) or _first(dimensions, ENVIRONMENT_DIMENSIONS),
        account=alarm.account,
        region=alarm.region,
        owner=_first(tags, OWNER_TAGS),
        labels=_labels(alarm, dimensions),
        links=(*_pages(alarm), *links, *links_in(alarm.description)),
    )


def _event_id(alarm: Alarm) -> str:
    """The same for the same change, whoever tells it; a change that was suppressed may be told again when it isn't."""
    if alarm.changed_at is None:
        return ""
    moment = alarm.changed_at.isoformat(timespec="milliseconds")
    return " ".join(filter(None, (alarm.arn, alarm.contributor, alarm.state, moment, alarm.suppressed_by)))


def _dimensions(alarm: Alarm) -> dict[str, str]:
    dimensions = dict(alarm.contributed)
    for metric in alarm.metrics:
        for name, value in metric.dimensions.items():
            dimensions.setdefault(name, value)
    return dimensions


def _first(values: dict[str, str], names: tuple[str, ...]) -> str:
    return next((values[name] for name in names if name in values), "")


def _service(alarm: Alarm, dimensions: dict[str, str]) -> str:
    """What an engineer calls it: the ECS or application's service, the product of AWS, or the custom namespace."""
    namespace = next((metric.namespace for metric in alarm.metrics if metric.namespace), "")
    product = namespace.lower().removeprefix("aws/")
    is_product = namespace.startswith("AWS/") or product in PRODUCTS
    return _first(dimensions, SERVICE_DIMENSIONS) or (PRODUCTS.get(product, product) if is_product else namespace)


def _severity(alarm: Alarm, reading: Reading) -> Severity:
    said = stated(alarm.name) or stated(alarm.description)
    words = [word for metric in alarm.metrics for word in (metric.name, metric.namespace)]
    words += [child.name for child in alarm.children[:MOST_SHOWN]]
    return said or judge(alarm.name, alarm.description, *words, rules=reading.severities) or Severity.MEDIUM


def _pages(alarm: Alarm) -> Iterator[Link]:
    named = [("CloudWatch alarm", alarm.region, alarm.name)]
    named += [(f"Child: {child.name}", child.region, child.name) for child in alarm.children[:MOST_SHOWN]]
    for title, region, name in named:
        page = alarm_page(region, name)
        if page:
            yield Link(name=one_line(title, LONGEST_TITLE), url=page)


def _message(alarm: Alarm) -> str:
    children = _listed((_child_words(child) for child in alarm.children), len(alarm.children), ", ")
    grouped = ", ".join(f"{name}={value}" for name, value in alarm.contributed.items())
    lines = (
        alarm.description[:LONGEST_TEXT],
        alarm.reason[:LONGEST_TEXT],
        f"Time series: {grouped or alarm.contributor}" if alarm.contributor else "",
        _watched(alarm),
        f"Rule: {alarm.rule[:LONGEST_TEXT]}" if alarm.rule else "",
        f"Children: {children}" if children else "",
        f"Its actions are suppressed by {alarm.suppressed_by}." if alarm.suppressed_by else "",
        f"Before: {alarm.old_state} since {alarm.old_since:%Y-%m-%d %H:%M} UTC" if alarm.old_since else "",
    )
    return "\n".join(filter(None, lines))


def _child_words(child: Child) -> str:
    return f"{child.name} ({child.state})" if child.state else child.name


def _listed(words: Iterator[str], count: int, between: str) -> str:
    """The first words of a list, and how many more there are."""
    more = (f"and {count - MOST_SHOWN} more",) if count > MOST_SHOWN else ()
    return between.join((*islice(words, MOST_SHOWN), *more))


def _watched(alarm: Alarm) -> str:
    """What is compared with what: "AWS/EC2 CPUUtilization (InstanceId=i-1), Average over 300 s > 50.0"."""
    band = next((metric for metric in alarm.metrics if metric.expression.startswith(_BAND)), None)
    metrics = [metric for metric in alarm.metrics if metric is not band]
    words = _listed(map(_metric_words, metrics), len(metrics), "; ")
    bound = band.expression if band else alarm.threshold
    comparison = _COMPARISONS.get(alarm.comparison, alarm.comparison) or "against"
    return " ".join(filter(None, (words, f"{comparison} {bound}".strip() if alarm.comparison or bound else "")))


def _metric_words(metric: Metric) -> str:
    if metric.expression:
        return " = ".join(filter(None, (metric.label or metric.metric_id, metric.expression[:LONGEST_TEXT])))
    dimensions = ", ".join(f"{name}={value}" for name, value in metric.dimensions.items())
    named = f"{metric.namespace} {metric.name}".strip()
    over = f"{metric.statistic} over {metric.period} s" if metric.period else metric.statistic
    return ", ".join(filter(None, (f"{named} ({dimensions})" if dimensions else named, over)))


def _labels(alarm: Alarm, dimensions: dict[str, str]) -> dict[str, str]:
    measured = next((metric for metric in alarm.metrics if metric.name), Metric())
    names = dict.fromkeys(metric.name for metric in alarm.metrics if metric.name)
    watched = next((metric for metric in alarm.metrics if metric.watched), Metric())
    labels = {
        **alarm.tags,
        **dimensions,
        "metric": ", ".join(names),
        "namespace": measured.namespace or watched.namespace,
        "expression": watched.expression,
        "statistic": measured.statistic,
        "period": measured.period,
        "comparison": alarm.comparison,
        "threshold": alarm.threshold,
        "contributor": alarm.contributor,
        "state": alarm.state,
        "old_state": alarm.old_state,
        "actions_suppressed_by": alarm.suppressed_by,
    }
    return {name: value[:LONGEST_NAME] for name, value in labels.items() if value}
