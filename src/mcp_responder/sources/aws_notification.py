"""What services of AWS publish to Amazon SNS themselves: database events, scaling, mail, cost, compliance.

Alarms of CloudWatch are read by `cloudwatch_alarm`, events in EventBridge's form by `eventbridge`, and texts without
JSON (Backup, Budgets, Elastic Beanstalk, CloudFormation) by `sns`.

## Set up

1. Where the service is set up, choose your alarm topic: RDS **Event subscriptions, Create event subscription**; EC2
   **Auto Scaling Groups**, your group, **Activity, Activity notifications, Create notification**; SES **Identities**,
   **Notifications, Feedback notifications**; Cost Anomaly Detection **Alert subscriptions**, frequency **Individual
   alerts**; DevOps Guru **Settings, Notifications**; DMS **Event subscriptions**; Redshift **Events, Event
   subscriptions**; Systems Manager **Run Command, SNS notifications**; AWS Config **Settings, Delivery method**.
2. Subscribe to that topic as `sns` says. Its own address is for what comes without the envelope, by raw message
   delivery or from a Lambda function: `https://sns:<API key>@<responder>/v1/sources/aws_notification`.

Try it:

    curl -X POST "$RESPONDER_URL/v1/sources/aws_notification" \\
      -H "X-API-Key: $RESPONDER_API_KEY" -H "Content-Type: application/json" \\
      -d '{"Event Source": "db-instance", "Event Time": "2026-01-01 10:00:00.000", "Source ID": "orders-db",
           "Event ID": "http://docs.amazonwebservices.com/AmazonRDS/latest/UserGuide/USER_Events.html#RDS-EVENT-0089",
           "Event Message": "The free storage capacity for DB Instance: orders-db is low at 9% of 20 GB"}'

## How it is read

- RDS, Redshift, DMS, ElastiCache: what says that it failed, is low, fails over or no longer replicates fires; what says
  that this is over resolves the same; the rest is kept and opens nothing. RDS says it by its codes
  (`RDS-EVENT-0089`); where only words say it, a failure counts more than a success.
- Systems Manager Run Command: a command that failed, timed out or couldn't be delivered fires, the next success of the
  same document on the same instance resolves it.
- Auto Scaling: an error of a launch or a termination fires, the next one that works resolves it.
- SES: complaints, rejects and hard bounces fire as LOW; other mail events are kept only.
- AWS Config: NON_COMPLIANT fires, COMPLIANT resolves. DevOps Guru: an insight fires until it is closed.
- CodeDeploy: a failed deployment fires, the next that succeeds resolves it. A manual approval is kept only.
- Lambda: an asynchronous call or a batch that was given up fires. Events of S3 and CodeCommit are kept only.
"""

from __future__ import annotations

import re

import msgspec

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.errors import InvalidRequest
from mcp_responder.plumbing.fields import array, dig, instant, mapping, text
from mcp_responder.ports import Request, SourceInfo
from mcp_responder.sources._aws import read_arn
from mcp_responder.sources._aws_event import Facts, Find, Kind, Origin, alert_of, found
from mcp_responder.sources._eventbridge_kinds import COMMAND_ENDS, COMMAND_FIRES, LAMBDA_RESULT
from mcp_responder.sources._rds_events import LONGEST, Meaning, meaning, says_failure
from mcp_responder.sources._reading import override

INFO = SourceInfo(
    name="aws_notification", title="AWS service notifications", content_types=("application/json", "text/plain")
)


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """A form of message: how it is known, and where it says who sent it."""

    marks: tuple[str, ...]
    """Fields that it always has, and that together nobody else's has."""
    product: Find
    kind: Kind
    times: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    arns: tuple[str, ...] = ()
    """ARNs that say account and region."""


# ------------------------------------------------------------------------------------------- events of data services

_STARTED = re.compile(
    r"\blow\b|\bfailover\b|\bshut ?down\b|\brecovery (?:of|has started)\b"
    r"|\breplication(?! task)\b[^.]{0,80}\b(?:stopped|terminated)",
    re.IGNORECASE,
)
_OVER = re.compile(
    r"\bfailover[^.]{0,60}\b(?:complete|finished)|\brecovery\b[^.]{0,60}\bcomplete|\brestarted\b"
    r"|(?<!to be )\brecovered\b|\bno longer\b|\breplication task has started\b|\breplication\b[^.]{0,80}\bresumed\b"
    r"|\bis (?:now )?(?:available|healthy)\b|\bsuccessfully\b",
    re.IGNORECASE,
)
_TOPICS = re.compile(r"\bfailover\b|\bstorage\b|\brecovery\b|\bbackup\b|\bsnapshot\b|\breplication\b", re.IGNORECASE)
_EVENT_CODE = re.compile(r"\b([A-Z]+)-EVENT-\d+")
_ENDING = re.compile(r"(?:Started|Failed|Complete)$")
_ABOUT = ("Event ID", "About this Event")


def _said(facts: Facts) -> str:
    return text(facts.get("Event Message"))[:LONGEST]


def _data_known(facts: Facts) -> Meaning | None:
    return meaning(found(facts, _ABOUT))


def _data_outcome(facts: Facts) -> Status:
    """They have no states: the code says it, else the message."""
    if known := _data_known(facts):
        return known.status
    said = _said(facts)
    if text(facts.get("Severity")).upper() == "ERROR" or says_failure(said):
        return Status.FIRING
    if _OVER.search(said):
        return Status.RESOLVED
    return Status.FIRING if _STARTED.search(said) else Status.INFO


def _data_topic(facts: Facts) -> str:
    if known := _data_known(facts):
        return known.topic
    topic = _TOPICS.search(_said(facts))
    return topic[0].lower() if topic else ""


def _data_identity(facts: Facts) -> str:
    """A failover's end isn't the end of full storage."""
    thing = found(facts, ("Source ARN", "SourceArn", "Source ID", "SourceId", "Resource"))
    return " ".join(filter(None, (thing, _data_topic(facts))))


def _data_product(facts: Facts) -> str:
    """Of the code in the link to the documentation: "#RDS-EVENT-0089"."""
    code = _EVENT_CODE.search(found(facts, _ABOUT)[:LONGEST])
    return code[1].lower() if code else "rds"


# ------------------------------------------------------------------------------------------------------------- others


def _command_identity(facts: Facts) -> str:
    """The same document on the same machines."""
    machines = map(text, array(facts.get("instanceIds"))[:_MOST_MACHINES])
    return "/".join(filter(None, (text(facts.get("documentName")), text(facts.get("instanceId")), *machines)))


_MOST_MACHINES = 20


def _scaling_outcome(facts: Facts) -> Status:
    said = text(facts.get("Event"))
    if said.endswith("_ERROR"):
        return Status.FIRING
    return Status.RESOLVED if said.startswith("autoscaling:EC2_INSTANCE_") else Status.INFO


def _scaling_state(facts: Facts) -> str:
    """ "autoscaling:EC2_INSTANCE_LAUNCH_ERROR" without what goes without saying."""
    return found(facts, ("Event", "LifecycleTransition")).partition(":")[2].removeprefix("EC2_")


def _scaling_identity(facts: Facts) -> str:
    """A launch that works ends the errors of launches only."""
    about = _scaling_state(facts).removesuffix("_ERROR")
    return f"{found(facts, ('AutoScalingGroupARN', 'AutoScalingGroupName'))} {about}"


def _mail_state(facts: Facts) -> str:
    said = found(facts, ("notificationType", "eventType"))
    return " ".join(filter(None, (text(dig(facts, "bounce.bounceType")), said)))


def _cache_event(facts: Facts) -> str:
    """ElastiCache writes one pair: "ElastiCache:SnapshotFailed" and the cluster's name."""
    return next(iter(facts), "").partition(":")[2]


def _cache_identity(facts: Facts) -> str:
    """What was begun, so that only its own end resolves it."""
    return f"{_cache_name(facts)} {_ENDING.sub('', _cache_event(facts))}"


def _cache_name(facts: Facts) -> str:
    return text(next(iter(facts.values()), None))


def _insight_name(facts: Facts) -> str:
    return found(facts, ("InsightName", "InsightDescription"))


def _record_name(facts: Facts) -> str:
    place = found(facts, ("Records.0.s3.bucket.name", "Records.0.eventSourceARN"))
    thing = found(facts, ("Records.0.s3.object.key", "Records.0.codecommit.references.0.ref"))
    return " ".join(filter(None, (place, thing)))


def _first_record(facts: Facts) -> Facts:
    return mapping(next(iter(array(facts.get("Records"))), None))


_RECORDED = frozenset(("aws:s3", "aws:codecommit", "aws:ses"))

# fmt: off
FORMS: tuple[Form, ...] = (
    Form(
        marks=("Event Source", "Event Message"), product=_data_product,
        times=("Event Time",), arns=("Source ARN", "SourceArn"),
        kind=Kind(
            label="Database", names=("Source ID", "SourceId", "Resource"), identity=_data_identity,
            states=_data_topic, outcome=_data_outcome, levels=("Severity",), severity=Severity.HIGH,
            resources=("Source ID", "SourceId", "Resource"), words=("Event Message",),
            links={"Console": "Identifier Link", "About": "Event ID", "About this event": "About this Event"},
            labels={"event_source": "Event Source"},
        ),
    ),
    Form(
        marks=("commandId", "documentName", "status"), product=lambda _: "ssm", times=("eventTime",),
        kind=Kind(
            label="SSM command", names=("documentName",), identity=_command_identity, states=("status",),
            fires=COMMAND_FIRES, ends=COMMAND_ENDS, resources=("instanceId", "instanceIds.0"),
            words=("detailedStatus", "statusDetails"), labels={"command": "commandId"},
        ),
    ),
    Form(
        marks=("AutoScalingGroupName", "Event"), product=lambda _: "autoscaling",
        times=("Time", "EndTime"), event_ids=("RequestId", "ActivityId"), accounts=("AccountId",),
        arns=("AutoScalingGroupARN",),
        kind=Kind(
            label="Auto Scaling", names=("AutoScalingGroupName",), identity=_scaling_identity, states=_scaling_state,
            outcome=_scaling_outcome, severity=Severity.HIGH, resources=("AutoScalingGroupName",),
            words=("StatusMessage", "Description", "Cause"), labels={"instance": "EC2InstanceId"},
        ),
    ),
    Form(
        marks=("LifecycleTransition", "AutoScalingGroupName"), product=lambda _: "autoscaling", times=("Time",),
        event_ids=("RequestId",), accounts=("AccountId",),
        kind=Kind(
            label="Auto Scaling lifecycle", names=("AutoScalingGroupName",), states=_scaling_state,
            resources=("EC2InstanceId",),
        ),
    ),
    Form(
        marks=("mail", "notificationType"), product=lambda _: "ses",
        times=("bounce.timestamp", "complaint.timestamp", "mail.timestamp"),
        event_ids=("bounce.feedbackId", "complaint.feedbackId"), accounts=("mail.sendingAccountId",),
        arns=("mail.sourceArn",),
        kind=(_MAIL := Kind(
            label="SES", names=("mail.source",), states=_mail_state, severity=Severity.LOW,
            fires="permanent_bounce undetermined_bounce complaint reject rendering_failure",
            words=("bounce.bouncedRecipients.*.diagnosticCode", "bounce.bounceSubType", "reject.reason",
                   "failure.errorMessage", "complaint.complaintFeedbackType", "mail.commonHeaders.subject"),
            resources=("mail.source",), labels={"message_id": "mail.messageId"},
        )),
    ),
    Form(
        marks=("mail", "eventType"), product=lambda _: "ses", times=("bounce.timestamp", "mail.timestamp"),
        event_ids=("bounce.feedbackId", "complaint.feedbackId"), accounts=("mail.sendingAccountId",),
        arns=("mail.sourceArn",), kind=_MAIL,
    ),
    Form(
        marks=("configRuleName", "newEvaluationResult"), product=lambda _: "config",
        times=("newEvaluationResult.resultRecordedTime", "notificationCreationTime"), accounts=("awsAccountId",),
        regions=("awsRegion",),
        kind=Kind(
            label="AWS Config", names=("configRuleName",),
            identity=lambda facts: "/".join(found(facts, (name,)) for name in
                                            ("configRuleName", "resourceType", "resourceId")),
            states=("newEvaluationResult.complianceType",), fires="non_compliant", ends="compliant not_applicable",
            resources=("resourceId",), severity=Severity.MEDIUM, words=("newEvaluationResult.annotation",),
            labels={"resource_type": "resourceType"},
        ),
    ),
    Form(
        marks=("configurationItem", "messageType"), product=lambda _: "config", times=("notificationCreationTime",),
        accounts=("configurationItem.awsAccountId",), regions=("configurationItem.awsRegion",),
        kind=Kind(
            label="AWS Config change", names=("configurationItem.resourceId",),
            states=("configurationItemDiff.changeType",), resources=("configurationItem.resourceId",),
            labels={"resource_type": "configurationItem.resourceType"},
        ),
    ),
    Form(
        marks=("anomalyId", "anomalyDetailsLink"), product=lambda _: "cost", accounts=("accountId",),
        kind=Kind(
            label="Cost anomaly", names=("dimensionalValue", "monitorName"), identity=("anomalyId",), fires="*",
            severity=Severity.MEDIUM, services=("rootCauses.0.service",), links={"Anomaly": "anomalyDetailsLink"},
            words=("subscriptionName", "rootCauses.*.usageType"),
            labels={"impact": "impact.totalImpact", "impact_percent": "impact.totalImpactPercentage",
                    "monitor": "monitorName", "linked_account": "rootCauses.0.linkedAccount"},
        ),
    ),
    Form(
        marks=("InsightId", "MessageType"), product=lambda _: "devops-guru", accounts=("AccountId",),
        regions=("Region",), times=("EndTime", "StartTime"),
        kind=Kind(
            label="DevOps Guru", names=_insight_name, identity=("InsightId",), states=("MessageType",),
            shows_state=False, fires="new_insight severity_upgraded", ends="closed_insight",
            levels=("InsightSeverity",), words=("InsightDescription",), links={"Insight": "InsightUrl"},
        ),
    ),
    Form(
        marks=("eventTriggerName", "deploymentId"), product=lambda _: "codedeploy", accounts=("accountId",),
        regions=("region",), times=("completeTime", "createTime"),
        kind=Kind(
            label="CodeDeploy", names=("applicationName",), states=("status",), fires="failed", ends="succeeded",
            identity=lambda facts: f"{found(facts, ('applicationName',))}/{found(facts, ('deploymentGroupName',))}",
            services=("applicationName",), resources=("deploymentGroupName",), words=("errorInformation",),
            labels={"deployment": "deploymentId", "trigger": "eventTriggerName"},
        ),
    ),
    Form(
        marks=("approval", "consoleLink"), product=lambda _: "codepipeline", regions=("region",),
        event_ids=("approval.token",),
        kind=Kind(
            label="CodePipeline waits for an approval", names=("approval.pipelineName",),
            words=("approval.customData", "approval.actionName"),
            links={"Review": "approval.approvalReviewLink", "Pipeline": "consoleLink"},
        ),
    ),
    Form(
        marks=("requestContext", "responseContext"), product=lambda _: "lambda", times=("timestamp",),
        event_ids=("requestContext.requestId",), arns=("requestContext.functionArn",), kind=LAMBDA_RESULT,
    ),
    Form(
        marks=("requestContext", "KinesisBatchInfo"), product=lambda _: "lambda", times=("timestamp",),
        event_ids=("requestContext.requestId",), arns=("requestContext.functionArn",), kind=LAMBDA_RESULT,
    ),
    Form(
        marks=("requestContext", "DDBStreamBatchInfo"), product=lambda _: "lambda", times=("timestamp",),
        event_ids=("requestContext.requestId",), arns=("requestContext.functionArn",), kind=LAMBDA_RESULT,
    ),
    Form(
        marks=("executionArn", "stateMachineArn", "status"), product=lambda _: "states",
        times=("stopDate", "startDate"), arns=("stateMachineArn",),
        kind=Kind(
            label="Step Functions", names=("stateMachineArn",), states=("status",), fires="failed timed_out aborted",
            ends="succeeded", severity=Severity.HIGH, resources=("stateMachineArn",), words=("error", "cause"),
            labels={"execution": "name"},
        ),
    ),
    Form(
        marks=("Service", "Event", "Bucket"), product=lambda _: "s3", times=("Time",), event_ids=("RequestId",),
        kind=Kind(label="S3 test event", names=("Bucket",), resources=("Bucket",)),
    ),
)
"""The first whose marks a message has all of reads it."""

CHATBOT = Form(
    marks=("content", "source", "version"), product=lambda _: "chatbot", event_ids=("id",),
    kind=Kind(
        label="", family="custom", names=("content.title", "metadata.summary", "content.description"),
        identity=("metadata.threadId",), states=("metadata.eventType",), shows_state=False, fires="*",
        words=("content.description", "content.nextSteps.0"), resources=("metadata.relatedResources.0",),
    ),
)
"""A custom notification for AWS Chatbot (Amazon Q Developer)."""
CACHE = Form(
    marks=(), product=lambda _: "elasticache",
    kind=Kind(
        label="ElastiCache", names=_cache_name, identity=_cache_identity, states=_cache_event, severity=Severity.HIGH,
        fires="snapshotfailed cacheclusterscalingfailed addcachenodefailed cachenodereplacestarted "
        "createreplicationgroupfailed cacheclusterprovisioningfailed cachenodesrebooted",
        ends="snapshotcomplete cacheclusterscalingcomplete cachenodereplacecomplete addcachenodecomplete",
    ),
)
RECORDS = Form(
    marks=("Records",), product=lambda facts: text(_first_record(facts).get("eventSource")).removeprefix("aws:"),
    times=("Records.0.eventTime",), regions=("Records.0.awsRegion",),
    kind=Kind(
        label="AWS", names=_record_name, states=("Records.0.eventName",), resources=("Records.0.s3.bucket.name",),
        labels={"event_source": "Records.0.eventSource"},
    ),
)
# fmt: on

_FIRST_MARKS = frozenset(form.marks[0] for form in (*FORMS, CHATBOT, RECORDS))


def detects(body: object) -> bool:
    """A message whose form is known."""
    return isinstance(body, dict) and _form_of(body) is not None


def parse(body: object, raw: bytes, request: Request) -> list[Alert]:
    """One alert."""
    form = _form_of(body) if isinstance(body, dict) else None
    if not isinstance(body, dict) or form is None:
        raise InvalidRequest("not_a_notification", "No service of AWS is known to write this.", status=422)
    alert = alert_of(form.kind, body, _origin(form, body), raw, request.reading)
    if not alert.title:
        raise InvalidRequest("empty_alert", "The notification says nothing.", status=422)
    return [override(alert, body, request.reading)]


def _form_of(body: Facts) -> Form | None:
    if len(body) == 1 and next(iter(body)).startswith("ElastiCache:"):
        return CACHE
    if _FIRST_MARKS.isdisjoint(body):
        return None
    if _is_chatbot(body):
        return CHATBOT
    if text(_first_record(body).get("eventSource")) in _RECORDED:
        return RECORDS
    return next((form for form in FORMS if all(mark in body for mark in form.marks)), None)


def _is_chatbot(body: Facts) -> bool:
    return body.get("source") == "custom" and "version" in body and "description" in mapping(body.get("content"))


def _origin(form: Form, body: Facts) -> Origin:
    arn = read_arn(found(body, form.arns))
    times = (instant(dig(body, path)) for path in form.times)
    return Origin(
        source=INFO.name,
        product=found(body, form.product),
        account=found(body, form.accounts) or arn.account,
        region=found(body, form.regions) or arn.region,
        time=next(filter(None, times), None),
        event_id=found(body, form.event_ids),
    )
