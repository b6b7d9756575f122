"""A CloudWatch alarm, however it was told: by SNS, by a Lambda action, by EventBridge.

Whatever makes an alert's identity (title, ARN, event id, service, severity) comes only from what all three say, so that
the same change by two routes is one event of one alarm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import msgspec

from mcp_responder.model.alert import Alert, Link, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.model.severity import judge, stated
from mcp_responder.plumbing.fields import array, instant, mapping, one_line, text
from mcp_responder.ports import Reading
from mcp_responder.sources._aws import alarm_arn, alarm_page, read_arn, region_code
from mcp_responder.sources._reading import LONGEST_TITLE

SOURCE = "cloudwatch_alarm"

TELLING = (
    *("ServiceName", "FunctionName", "DBInstanceIdentifier", "DBClusterIdentifier", "InstanceId", "QueueName"),
    *("TableName", "LoadBalancer", "LoadBalancerName", "TargetGroup", "ApiName", "ApiId", "StateMachineArn"),
    *("TopicName", "BucketName", "StreamName", "DeliveryStreamName", "CacheClusterId", "ReplicationGroupId"),
    *("DistributionId", "DomainName", "FileSystemId", "VolumeId", "NatGatewayId", "BrokerName", "CertificateArn"),
    *("AutoScalingGroupName", "RuleName", "PodName", "ClusterName", "CanaryName", "LogGroupName", "host", "Host"),
)
"""Dimensions that name the thing, the most telling first; else it is the first one there is."""

SERVICE_DIMENSIONS = ("ServiceName", "Service", "service", "ApplicationName", "Application", "App")
ENVIRONMENT_DIMENSIONS = ("Environment", "environment", "Env", "env", "Stage", "stage")

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

_STATES = {"ALARM": Status.FIRING, "OK": Status.RESOLVED}
_COMPARISONS = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": ">=",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "<=",
    "GreaterThanUpperThreshold": "above the band",
    "LessThanLowerThreshold": "below the band",
    "LessThanLowerOrGreaterThanUpperThreshold": "outside the band",
}


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
    suppressed_by: str = ""
    rule: str = ""
    children: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    threshold: str = ""
    comparison: str = ""


def named_alarm(name: object, arn: object, account: object, region: object) -> Alarm:
    """An alarm by its names, each of which may be missing. Raises InvalidRequest if nothing says which one it is."""
    known = read_arn(text(arn))
    called = text(name) or known.resource.removeprefix("alarm:")
    if not called:
        raise InvalidRequest("not_an_alarm", "The alarm has neither a name nor an ARN.", status=422)
    code = known.region or region_code(text(region))
    owner = known.account or text(account)
    return Alarm(
        name=called,
        arn=text(arn) if known.resource else alarm_arn(code, owner, called),
        account=text(account) or known.account,
        region=code,
    )


def read_change(alarm: Alarm, detail: dict[str, object]) -> Alarm:
    """The change as EventBridge (``detail``) and Lambda actions (``alarmData``) tell it, in camelCase."""
    state, before = mapping(detail.get("state")), mapping(detail.get("previousState"))
    configuration = mapping(detail.get("configuration"))
    facts = reason_data(state.get("reasonData"))
    return msgspec.structs.replace(
        alarm,
        description=text(configuration.get("description")),
        state=text(state.get("value")),
        reason=text(state.get("reason")),
        changed_at=instant(state.get("timestamp")),
        old_state=text(before.get("value")),
        suppressed_by=text(state.get("actionsSuppressedBy")),
        rule=text(configuration.get("alarmRule")),
        children=tuple(filter(None, _children(facts.get("triggeringAlarms")))),
        metrics=in_order(_metrics(configuration.get("metrics"))),
        threshold=text(facts.get("threshold")) or text(configuration.get("threshold")),
        comparison=text(configuration.get("comparisonOperator")),
    )


def reason_data(value: object) -> dict[str, object]:
    """The JSON text of ``reasonData``."""
    try:
        return mapping(json.loads(value)) if isinstance(value, str) else mapping(value)
    except (ValueError, RecursionError):
        return {}


def in_order(metrics: Iterator[Metric]) -> tuple[Metric, ...]:
    """By their ids, so that the order of the sender decides nothing."""
    return tuple(sorted(metrics, key=lambda metric: metric.metric_id))


def _metrics(value: object) -> Iterator[Metric]:
    for item in map(mapping, array(value)):
        measured = mapping(item.get("metricStat"))
        metric = mapping(measured.get("metric"))
        yield Metric(
            metric_id=text(item.get("id")),
            name=text(metric.get("name")) or text(metric.get("metricName")),
            namespace=text(metric.get("namespace")),
            dimensions=read_dimensions(metric.get("dimensions")),
            statistic=text(measured.get("stat")),
            period=text(measured.get("period")),
            expression=text(item.get("expression")),
            label=text(item.get("label")),
            watched=item.get("returnData") is not False,
        )


def read_dimensions(value: object) -> dict[str, str]:
    """Dimensions as EventBridge ({name: value}) and SNS ([{name, value}]) write them."""
    if isinstance(value, dict):
        return {name: text(inner) for name, inner in value.items() if text(inner)}
    pairs = [(text(item.get("name")), text(item.get("value"))) for item in map(mapping, array(value))]
    return {name: inner for name, inner in pairs if name and inner}


def _children(value: object) -> Iterator[str]:
    for child in map(mapping, array(value)):
        yield child_words(child.get("arn"), mapping(child.get("state")).get("value"))


def child_words(arn: object, state: object) -> str:
    """A child of a composite alarm: its name and state."""
    name = read_arn(text(arn)).resource.removeprefix("alarm:") or text(arn)
    return f"{name} ({text(state)})" if text(state) else name


def status_of(alarm: Alarm) -> Status:
    """ALARM fires and OK resolves. What isn't known is only kept, and so is an alarm whose actions are suppressed:
    somebody decided that it must page nobody."""
    status = _STATES.get(alarm.state.upper(), Status.INFO)
    return Status.INFO if status is Status.FIRING and alarm.suppressed_by else status


def alert_of(alarm: Alarm, raw: bytes, reading: Reading) -> Alert:
    """The alert that a change of state is."""
    dimensions = _dimensions(alarm)
    page = alarm_page(alarm.region, alarm.name)
    return Alert(
        source=SOURCE,
        source_id=alarm.arn,
        event_id=_event_id(alarm),
        title=one_line(alarm.name, LONGEST_TITLE) or one_line(alarm.arn, LONGEST_TITLE),
        message=_message(alarm),
        severity=_severity(alarm, reading),
        timestamp=alarm.changed_at,
        raw_data=msgspec.Raw(raw),
        status=status_of(alarm),
        service=_service(alarm, dimensions),
        resource=_first(dimensions, TELLING) or next(iter(dimensions.values()), ""),
        environment=_first(dimensions, ENVIRONMENT_DIMENSIONS),
        account=alarm.account,
        region=alarm.region,
        labels=_labels(alarm, dimensions),
        links=(Link(name="CloudWatch alarm", url=page),) if page else (),
    )


def _event_id(alarm: Alarm) -> str:
    """The same for the same change, whoever tells it; a change that was suppressed may be told again when it isn't."""
    if alarm.changed_at is None:
        return ""
    moment = alarm.changed_at.isoformat(timespec="milliseconds")
    return " ".join(filter(None, (alarm.arn, alarm.state, moment, alarm.suppressed_by)))


def _dimensions(alarm: Alarm) -> dict[str, str]:
    dimensions: dict[str, str] = {}
    for metric in alarm.metrics:
        for name, value in metric.dimensions.items():
            dimensions.setdefault(name, value)
    return dimensions


def _first(dimensions: dict[str, str], names: tuple[str, ...]) -> str:
    return next((dimensions[name] for name in names if name in dimensions), "")


def _service(alarm: Alarm, dimensions: dict[str, str]) -> str:
    """What an engineer calls it: the ECS or application's service, the product of AWS, or the custom namespace."""
    namespace = next((metric.namespace for metric in alarm.metrics if metric.namespace), "")
    product = namespace.lower().removeprefix("aws/")
    is_product = namespace.startswith("AWS/") or product in PRODUCTS
    return _first(dimensions, SERVICE_DIMENSIONS) or (PRODUCTS.get(product, product) if is_product else namespace)


def _severity(alarm: Alarm, reading: Reading) -> Severity:
    said = stated(alarm.name) or stated(alarm.description)
    words = [word for metric in alarm.metrics for word in (metric.name, metric.namespace)]
    return said or judge(alarm.name, alarm.description, *words, rules=reading.severities) or Severity.MEDIUM


def _message(alarm: Alarm) -> str:
    children = f"Children: {', '.join(alarm.children)}" if alarm.children else ""
    rule = f"Rule: {alarm.rule}" if alarm.rule else ""
    suppressed = f"Its actions are suppressed by {alarm.suppressed_by}." if alarm.suppressed_by else ""
    lines = (alarm.description, alarm.reason, _watched(alarm), rule, children, suppressed)
    return "\n".join(filter(None, lines))


def _watched(alarm: Alarm) -> str:
    """What is compared with what: "AWS/EC2 CPUUtilization (InstanceId=i-1), Average over 300 s > 50.0"."""
    words = "; ".join(_metric_words(metric) for metric in alarm.metrics)
    bound = f"{_COMPARISONS.get(alarm.comparison, alarm.comparison)} {alarm.threshold}".strip()
    return " ".join(filter(None, (words, bound if alarm.comparison else "")))


def _metric_words(metric: Metric) -> str:
    if metric.expression:
        return " = ".join(filter(None, (metric.label or metric.metric_id, metric.expression)))
    dimensions = ", ".join(f"{name}={value}" for name, value in metric.dimensions.items())
    named = f"{metric.namespace} {metric.name}".strip()
    over = f"{metric.statistic} over {metric.period} s" if metric.period else metric.statistic
    return ", ".join(filter(None, (f"{named} ({dimensions})" if dimensions else named, over)))


def _labels(alarm: Alarm, dimensions: dict[str, str]) -> dict[str, str]:
    measured = next((metric for metric in alarm.metrics if metric.name), Metric())
    names = dict.fromkeys(metric.name for metric in alarm.metrics if metric.name)
    watched = next((metric for metric in alarm.metrics if metric.watched), Metric())
    labels = {
        **dimensions,
        "metric": ", ".join(names),
        "namespace": measured.namespace,
        "expression": watched.expression,
        "statistic": measured.statistic,
        "period": measured.period,
        "comparison": alarm.comparison,
        "threshold": alarm.threshold,
        "state": alarm.state,
        "old_state": alarm.old_state,
        "actions_suppressed_by": alarm.suppressed_by,
    }
    return {name: value for name, value in labels.items() if value}
