"""The events of EventBridge that are known by name: a row says where each tells its name, its state, its reasons."""

from __future__ import annotations

import re

import msgspec

from mcp_responder.model.alert import Severity, Status
from mcp_responder.plumbing.fields import array, dig, mapping, number, text
from mcp_responder.sources._aws import short_name
from mcp_responder.sources._aws_event import Facts, Find, Kind, found
from mcp_responder.sources._rds_events import LONGEST, Meaning, meaning, says_failure
from mcp_responder.sources._reading import plain

CRITICAL, HIGH, MEDIUM, LOW = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW

WORDS = (
    *("title", "Title", "description", "Description", "Message", "message", "reason", "stoppedReason", "statusReason"),
    *("StatusMessage", "statusMessage", "cause", "Cause", "error", "errorMessage", "failureReason", "FailureReason"),
    *("detailMessage", "detail-message", "eventDescription.*.latestDescription", "containers.*.reason"),
)
"""Where most events say what happened."""


# --------------------------------------------------------------------------------------------------------------- ECS

_BROKE_BY_ITSELF = frozenset(("", "EssentialContainerExited", "TaskFailedToStart"))
_KILLED = re.compile(r"\bfailed\b|\bunhealthy\b|\berror\b", re.IGNORECASE)


def _ecs_task(facts: Facts) -> str:
    """How a task ended. One that a deployment, a person or a scaling stopped has exit codes of a kill, and is well."""
    state = text(facts.get("lastStatus"))
    if state != "STOPPED":
        return state
    code, reason = text(facts.get("stopCode")), text(facts.get("stoppedReason"))[:1000]
    exits = [number(mapping(container).get("exitCode")) for container in array(facts.get("containers"))]
    broke = code in _BROKE_BY_ITSELF and any(left not in (None, 0) for left in exits)
    if broke or code == "TaskFailedToStart" or _KILLED.search(reason):
        return "FAILED"
    finished = code == "EssentialContainerExited" and exits and not _ecs_service(facts)
    return "COMPLETED" if finished else state


def _ecs_service(facts: Facts) -> str:
    kind, _, name = text(facts.get("group")).partition(":")
    return name if kind == "service" else ""


def _ecs_task_name(facts: Facts) -> str:
    """Its service or its family; a task that was started by hand has neither."""
    return text(facts.get("group")).partition(":")[2] or short_name(text(facts.get("taskDefinitionArn")))


def _ecs_task_identity(facts: Facts) -> str:
    return f"{short_name(text(facts.get('clusterArn')))}/{_ecs_task_name(facts)}"


def _ecs_service_name(facts: Facts) -> str:
    """The service is only in the ARN, as "service/<cluster>/<name>"."""
    return short_name(text(dig(facts, "resources.0")))


def _ecs_service_identity(facts: Facts) -> str:
    path = text(dig(facts, "resources.0")).split("/")
    cluster = short_name(text(facts.get("clusterArn"))) or (path[-2] if len(path) > 2 else "")
    return f"{cluster}/{path[-1]}" if path[-1] else ""


def _ecs_action(facts: Facts) -> Status:
    """Warnings and errors of the scheduler; a steady state is the end of them, and of broken tasks."""
    if text(facts.get("eventName")) == "SERVICE_STEADY_STATE":
        return Status.RESOLVED
    return Status.FIRING if text(facts.get("eventType")) in ("WARN", "ERROR") else Status.INFO


# ------------------------------------------------------------------------------------------------------------- others


def _health_state(facts: Facts) -> str:
    return f"{text(facts.get('eventTypeCategory')) or 'issue'} {text(facts.get('statusCode')) or 'open'}"


def _health_severity(facts: Facts) -> Severity:
    return HIGH if text(facts.get("eventTypeCategory")) in ("issue", "investigation") else LOW


def _health_identity(facts: Facts) -> str:
    """One event of AWS is told for each account that it concerns."""
    return " ".join(filter(None, (text(facts.get("eventArn")), found(facts, ("affectedAccount", "account")))))


def _threat_level(facts: Facts) -> str:
    """GuardDuty counts from 1 (low) to 10."""
    score = number(facts.get("severity"))
    bounds = ((9.0, CRITICAL), (7.0, HIGH), (4.0, MEDIUM), (0.0, LOW))
    return next((level for bound, level in bounds if score is not None and score >= bound), "")


def _threat_outcome(facts: Facts) -> Status:
    return Status.RESOLVED if dig(facts, "service.archived") is True else Status.FIRING


_ENDS = re.compile(
    r"\b(?:completed?|finished|restarted|resumed|succeeded|resolved|no longer|healthy|available|sufficient)\b"
    r"|(?<!to be )\brecovered\b",
    re.IGNORECASE,
)
_HURTS = re.compile(r"\b(?:stopped|terminated|shut ?down)\b", re.IGNORECASE)
_RDS_FIRES = frozenset(("failure", "failover", "global failover", "low storage", "availability", "recovery"))
_REPLICA = "read replica"
"""What is created and reset without pain, too."""


def _rds_known(facts: Facts) -> Meaning | None:
    return meaning(text(facts.get("EventID")))


def rds_state(facts: Facts) -> str:
    """What the code is about, else the category that hurts, else the first."""
    if known := _rds_known(facts):
        return known.topic
    categories = [text(category) for category in array(facts.get("EventCategories"))]
    worst = next((category for category in categories if category.lower() in (*_RDS_FIRES, _REPLICA)), "")
    return worst or next(iter(categories), "")


def rds_outcome(facts: Facts) -> Status:
    """RDS has no states. What the code says; else what began fires, and what its message calls done resolves."""
    if known := _rds_known(facts):
        return known.status
    state, said = rds_state(facts).lower(), text(facts.get("Message"))[:LONGEST]
    if state == "failure" or says_failure(said):
        return Status.FIRING
    if state not in (*_RDS_FIRES, _REPLICA):
        return Status.INFO
    if state == _REPLICA and _HURTS.search(said):
        return Status.FIRING
    if _ENDS.search(said):
        return Status.RESOLVED
    return Status.INFO if state == _REPLICA else Status.FIRING


def _rds_severity(facts: Facts) -> Severity | None:
    """A database that fails over is down for a minute."""
    return None if rds_outcome(facts) is Status.INFO else HIGH


def _rds_identity(facts: Facts) -> str:
    """A failover's end isn't the end of full storage."""
    return f"{found(facts, ('SourceArn', 'SourceIdentifier'))} {rds_state(facts).lower()}"


_DMS_FIRES = frozenset(("failure", "failover", "lowstorage"))


def _dms_outcome(facts: Facts) -> Status:
    """A task says in its state how it is; an instance only in its category and its words."""
    state, said = plain(text(facts.get("eventType"))), text(facts.get("detailMessage"))[:LONGEST]
    if state in ("replicationtaskfailed", "readingpaused"):
        return Status.FIRING
    if state in ("replicationtaskstarted", "readingresumed"):
        return Status.RESOLVED
    category = plain(text(facts.get("category")))
    if category == "failure" or says_failure(said):
        return Status.FIRING
    if category not in _DMS_FIRES:
        return Status.INFO
    return Status.RESOLVED if _ENDS.search(f"{state} {said}") else Status.FIRING


def _volume_state(facts: Facts) -> str:
    """ "createVolume failed"."""
    return f"{text(facts.get('event'))} {text(facts.get('result'))}".strip()


def _volume_outcome(facts: Facts) -> Status:
    result = plain(text(facts.get("result")))
    if "fail" in result:
        return Status.FIRING
    return Status.RESOLVED if result in _VOLUME_ENDS else Status.INFO


_VOLUME_ENDS = frozenset(("available", "attached", "succeeded", "completed", "deleted"))


def _volume_identity(facts: Facts) -> str:
    """What was tried with which volume; a second try to attach it is the same."""
    thing, tried = found(facts, ("source", "resources.0")), text(facts.get("event")).lower()
    return f"{thing} {tried.removeprefix('re')}" if thing else ""


def _expiry_severity(facts: Facts) -> Severity:
    days = number(facts.get("DaysToExpiry"))
    return HIGH if days is not None and days <= 7 else MEDIUM


def _scan_severity(facts: Facts) -> Severity:
    counts = mapping(facts.get("finding-severity-counts"))
    return next((level for level in (CRITICAL, HIGH, MEDIUM) if number(counts.get(level))), LOW)


def _scan_outcome(facts: Facts) -> Status:
    return Status.FIRING if _scan_severity(facts) in (CRITICAL, HIGH) else Status.RESOLVED


def _api_call(facts: Facts) -> str:
    return text(facts.get("eventName"))


def _lambda_name(facts: Facts) -> str:
    """The function of an ARN that may have a version behind it."""
    return text(dig(facts, "requestContext.functionArn")).partition(":function:")[2].partition(":")[0]


def _joined(*paths: str) -> Find:
    return lambda facts: "/".join(filter(None, (text(dig(facts, path)) for path in paths)))


_RUN_FIRES, _RUN_ENDS = "failed failure timed_out timeout fault error", "succeeded success completed"
COMMAND_FIRES = (
    "failed timed_out delivery_timed_out execution_timed_out undeliverable terminated rate_exceeded access_denied "
    "invalid_platform incomplete no_instances_in_tag"
)
COMMAND_ENDS = "success"
"""How a command of Systems Manager ends; what was cancelled or waits is neither."""


def _finding_outcome(facts: Facts) -> Status:
    """Somebody settled it, it passes, or it is only said for information."""
    workflow, compliance = text(dig(facts, "Workflow.Status")), text(dig(facts, "Compliance.Status"))
    if text(facts.get("RecordState")) == "ARCHIVED" or workflow in ("RESOLVED", "SUPPRESSED") or compliance == "PASSED":
        return Status.RESOLVED
    return Status.INFO if text(dig(facts, "Severity.Label")) == "INFORMATIONAL" else Status.FIRING


def _open_finding_outcome(facts: Facts) -> Status:
    """The same of a finding in OCSF."""
    state = plain(found(facts, ("status", "status_id")))
    closed = plain(found(facts, ("activity_name", "activity_id"))) in ("close", "3")
    if closed or state in _OPEN_FINDING_ENDS or plain(text(dig(facts, "compliance.status"))) in ("pass", "passed"):
        return Status.RESOLVED
    return Status.INFO if plain(found(facts, ("severity", "severity_id"))) in ("informational", "1") else Status.FIRING


_OPEN_FINDING_ENDS = frozenset(("suppressed", "resolved", "archived", "deleted", "3", "4", "5", "6"))


def _internet_name(facts: Facts) -> str:
    """The monitor; of its event's ARN, which is "...:monitor/NAME/health-event/ID", where nothing else names it."""
    arn = found(facts, ("EventArn", "eventArn", "resources.0"))
    return found(facts, ("MonitorName", "monitorName")) or arn.partition(":monitor/")[2].partition("/")[0] or arn


def _stack_name(facts: Facts) -> str:
    """A stack's ARN ends with an id."""
    return text(facts.get("stack-id")).partition(":stack/")[2].partition("/")[0]


STACK_FIRES = (
    "create_failed delete_failed update_failed rollback_failed update_rollback_failed import_rollback_failed "
    "rollback_complete update_rollback_complete rollback_in_progress update_rollback_in_progress"
)
STACK_ENDS = "create_complete update_complete delete_complete import_complete"
"""A stack that was rolled back stands, but isn't what somebody wanted."""

# fmt: off
LAMBDA_RESULT = Kind(
    label="Lambda call", names=_lambda_name, identity=("requestContext.functionArn",), severity=HIGH,
    states=("requestContext.condition",), shows_state=False, ends="success",
    fires="retriesexhausted retryattemptsexhausted eventageexceeded maximumeventageexceeded recordageexceeded",
    services=_lambda_name, resources=_lambda_name,
    words=("responsePayload.errorType", "responsePayload.errorMessage", "responsePayload.stackTrace.0",
           "responseContext.functionError", "requestContext.condition"),
    labels={"request_id": "requestContext.requestId"},
)
"""What a function's asynchronous call came to."""

FINDING = Kind(
    label="Security Hub", names=("Title", "GeneratorId"), identity=("Id",), outcome=_finding_outcome,
    levels=("Severity.Label", "FindingProviderFields.Severity.Label"), resources=("Resources.0.Id",),
    words=("Title", "Description", "Remediation.Recommendation.Text"),
    links={"Remediation": "Remediation.Recommendation.Url"},
    labels={"generator": "GeneratorId", "product": "ProductName", "workflow": "Workflow.Status"},
)
"""One finding of Security Hub."""

OPEN_FINDING = Kind(
    label="Security Hub", names=("finding_info.title", "finding_info.types.0", "class_name"),
    identity=("finding_info.uid", "metadata.uid"), outcome=_open_finding_outcome,
    levels=("vendor_attributes.severity", "severity"), resources=("resources.0.uid", "resources.0.name"),
    words=("finding_info.title", "finding_info.desc", "message", "remediation.desc"),
    links={"Remediation": "remediation.references.0", "Finding": "finding_info.src_url"},
    labels={"product": "metadata.product.name", "class": "class_name", "workflow": "status",
            "finding_account": "cloud.account.uid"},
)
"""One finding of Security Hub in the Open Cybersecurity Schema Framework (OCSF)."""

INTERNET = Kind(
    label="Internet Monitor", family="Internet Monitor", names=_internet_name,
    identity=("EventArn", "eventArn", "EventId", "eventId", "resources.0"),
    states=("Status", "status", "EventStatus", "eventStatus"), fires="active", ends="resolved", severity=MEDIUM,
    resources=_internet_name, words=("ImpactType", "impactType"),
    labels={"impact": "ImpactType", "traffic": "PercentOfTotalTrafficImpacted"},
)
"""Clients who can't reach an application over the internet."""

KINDS: dict[str, Kind] = {
    # Containers
    "ECS Task State Change": Kind(
        label="ECS task", names=_ecs_task_name, identity=_ecs_task_identity, family="ECS service",
        states=_ecs_task, fires="failed", ends="completed", services=_ecs_task_name, resources=("taskArn",),
        severity=HIGH, words=("stoppedReason", "containers.*.reason"),
        labels={"stop_code": "stopCode", "cluster": "clusterArn", "exit_code": "containers.0.exitCode"},
    ),
    "ECS Service Action": Kind(
        label="ECS service", names=_ecs_service_name, identity=_ecs_service_identity, outcome=_ecs_action,
        states=("eventName",), levels=("eventType",), services=_ecs_service_name, words=("reason",),
    ),
    "ECS Deployment State Change": Kind(
        label="ECS service", family="ECS deployment", names=_ecs_service_name, identity=_ecs_service_identity,
        states=("eventName",),
        fires="service_deployment_failed", ends="service_deployment_completed", services=_ecs_service_name,
        severity=HIGH, words=("reason",),
    ),
    "ECR Image Scan": Kind(
        label="ECR image scan", names=("repository-name",), outcome=_scan_outcome,
        severity=_scan_severity, labels={"image": "image-tags.0", "digest": "image-digest"},
    ),
    # Machines
    "EC2 Instance State-change Notification": Kind(
        label="EC2 instance", names=("instance-id",), states=("state",),
    ),
    "EC2 Spot Instance Interruption Warning": Kind(
        label="EC2 spot instance will be interrupted", names=("instance-id",), states=("instance-action",),
        shows_state=False, fires="*", severity=MEDIUM,
    ),
    "EC2 Instance Launch Unsuccessful": Kind(
        label="Auto Scaling can't launch", names=("AutoScalingGroupName",), family="Auto Scaling launch",
        states=("StatusCode",), shows_state=False, fires="*", severity=HIGH, resources=("AutoScalingGroupName",),
        words=("StatusMessage", "Description", "Cause"),
    ),
    "EC2 Instance Launch Successful": Kind(
        label="Auto Scaling launched", names=("AutoScalingGroupName",), family="Auto Scaling launch",
        resources=("AutoScalingGroupName",), outcome=lambda _: Status.RESOLVED, words=("Description", "Cause"),
    ),
    "EC2 Instance Terminate Unsuccessful": Kind(
        label="Auto Scaling can't terminate", names=("AutoScalingGroupName",), family="Auto Scaling terminate",
        states=("StatusCode",), shows_state=False, fires="*", severity=MEDIUM, resources=("AutoScalingGroupName",),
        words=("StatusMessage", "Description", "Cause"),
    ),
    "EC2 Instance Terminate Successful": Kind(
        label="Auto Scaling terminated", names=("AutoScalingGroupName",), family="Auto Scaling terminate",
        resources=("AutoScalingGroupName",), outcome=lambda _: Status.RESOLVED, words=("Description", "Cause"),
    ),
    **dict.fromkeys(("EC2 Command Status-change Notification", "EC2 Command Invocation Status-change Notification"),
                    Kind(
        label="SSM command", names=("document-name",), identity=_joined("document-name", "instance-id"),
        states=("status",), fires=COMMAND_FIRES, ends=COMMAND_ENDS, resources=("instance-id",),
        labels={"command": "command-id"},
    )),
    "EC2 Automation Execution Status-change Notification": Kind(
        label="SSM automation", names=("Definition",), states=("Status",), fires=_RUN_FIRES, ends=_RUN_ENDS,
    ),
    **dict.fromkeys(("EBS Volume Notification", "EBS Snapshot Notification"), Kind(
        label="EBS", names=("source", "resources.0"), identity=_volume_identity, states=_volume_state,
        outcome=_volume_outcome, severity=MEDIUM, words=("cause",),
        labels={"snapshot": "snapshot_id", "request_id": "request-id"},
    )),
    # Delivery
    "CodePipeline Pipeline Execution State Change": Kind(
        label="CodePipeline", names=("pipeline",), states=("state",), fires="failed", ends="succeeded",
        resources=("pipeline",), words=("failedActions.*.additionalInformation",), labels={"execution": "execution-id"},
    ),
    "CodePipeline Stage Execution State Change": Kind(
        label="CodePipeline stage", names=_joined("pipeline", "stage"), states=("state",), fires="failed",
        ends="succeeded", resources=("pipeline",), words=("failedActions.*.additionalInformation",),
        labels={"execution": "execution-id"},
    ),
    "CodePipeline Action Execution State Change": Kind(
        label="CodePipeline action", names=_joined("pipeline", "stage", "action"), states=("state",), fires="failed",
        ends="succeeded", resources=("pipeline",), words=("execution-result.external-execution-summary",),
        links={"Execution": "execution-result.external-execution-url"}, labels={"execution": "execution-id"},
    ),
    "CodeBuild Build State Change": Kind(
        label="CodeBuild", names=("project-name",), states=("build-status",), fires=_RUN_FIRES, ends=_RUN_ENDS,
        resources=("project-name",), words=("additional-information.phases.*.phase-context.0",),
        links={"Log": "additional-information.logs.deep-link"}, labels={"build": "build-id"},
    ),
    "CodeBuild Build Phase Change": Kind(
        label="CodeBuild phase", names=_joined("project-name", "completed-phase"), states=("completed-phase-status",),
        resources=("project-name",),
    ),
    "CodeDeploy Deployment State-change Notification": Kind(
        label="CodeDeploy", names=_joined("application", "deploymentGroup"), states=("state",), fires="failure",
        ends="success", services=("application",), resources=("deploymentGroup",),
        labels={"deployment": "deploymentId"},
    ),
    "CodeDeploy Instance State-change Notification": Kind(
        label="CodeDeploy instance", names=_joined("application", "deploymentGroup", "instanceId"), states=("state",),
        fires="failure", ends="success", services=("application",), resources=("instanceId",),
    ),
    "CloudFormation Stack Status Change": Kind(
        label="CloudFormation stack", names=_stack_name,
        states=("status-details.status",), words=("status-details.status-reason",),
        fires=STACK_FIRES, ends=STACK_ENDS,
    ),
    "Amplify Deployment Status Change": Kind(
        label="Amplify deployment", names=_joined("appId", "branchName"), states=("jobStatus",), fires="failed",
        ends="succeed",
    ),
    "Health status change": Kind(
        label="Elastic Beanstalk", names=("EnvironmentName",), states=("Status", "Severity"), levels=("Severity",),
        fires="degraded severe warning error warn", ends="ok", services=("ApplicationName",),
        resources=("EnvironmentName",), shows_state=False, words=("Message",),
    ),
    # Jobs
    "Backup Job State Change": Kind(
        label="AWS Backup", names=("resourceArn",), identity=_joined("backupVaultName", "resourceArn"),
        states=("state",), fires="failed aborted expired", ends="completed", resources=("resourceArn",),
        words=("statusMessage",), severity=HIGH, labels={"vault": "backupVaultName", "job": "backupJobId"},
    ),
    "Restore Job State Change": Kind(
        label="AWS Backup restore", names=("resourceType", "restoreJobId"), states=("status", "state"),
        fires="failed aborted", ends="completed", words=("statusMessage",), severity=HIGH,
        labels={"job": "restoreJobId"},
    ),
    "Copy Job State Change": Kind(
        label="AWS Backup copy", names=("resourceArn",), states=("state",), fires="failed", ends="completed",
        resources=("resourceArn",), words=("statusMessage",), severity=HIGH, labels={"job": "copyJobId"},
    ),
    "Glue Job State Change": Kind(
        label="Glue job", names=("jobName",), states=("state",), fires="failed timeout error", ends="succeeded",
        resources=("jobName",), words=("message",), severity=HIGH, labels={"run": "jobRunId"},
    ),
    "Glue Crawler State Change": Kind(
        label="Glue crawler", names=("crawlerName",), states=("state",), fires="failed", ends="succeeded",
        resources=("crawlerName",), words=("errorMessage", "message"), severity=HIGH,
    ),
    "Glue Data Quality Evaluation Results Available": Kind(
        label="Glue data quality", names=("rulesetNames.0",), states=("state",), fires="failed", ends="succeeded",
        severity=MEDIUM,
    ),
    "Batch Job State Change": Kind(
        label="Batch job", names=("jobName",), states=("status",), fires="failed", ends="succeeded", severity=HIGH,
        resources=("jobName",), words=("statusReason", "container.reason", "attempts.*.container.reason"),
        labels={"job": "jobId", "queue": "jobQueue", "exit_code": "container.exitCode",
                "log_stream": "container.logStreamName"},
    ),
    "Step Functions Execution Status Change": Kind(
        label="Step Functions", names=("stateMachineArn",), states=("status",), fires="failed timed_out aborted",
        ends="succeeded", severity=HIGH, resources=("stateMachineArn",), words=("error", "cause"),
        labels={"execution": "name"},
    ),
    "EMR Cluster State Change": Kind(
        label="EMR cluster", names=("name", "clusterId"), states=("state",), fires="terminated_with_errors",
        levels=("severity",), resources=("clusterId",), words=("message",),
    ),
    "EMR Step Status Change": Kind(
        label="EMR step", names=("name", "stepId"), identity=_joined("clusterId", "name"), states=("state",),
        fires="failed", ends="completed", levels=("severity",), resources=("clusterId",), words=("message",),
    ),
    "EMR Auto Scaling Policy State Change": Kind(
        label="EMR scaling policy", names=("resourceId",), states=("state",), fires="failed", ends="attached",
        words=("message",),
    ),
    "SageMaker Training Job State Change": Kind(
        label="SageMaker training", names=("TrainingJobName",), states=("TrainingJobStatus",), fires="failed",
        ends="completed", words=("FailureReason",),
    ),
    **dict.fromkeys(("DMS Replication Task State Change", "DMS Replication Instance State Change",
                     "DMS Replication State Change"), Kind(
        label="DMS", names=("resources.0",), states=("eventType",), words=("detailMessage",), outcome=_dms_outcome,
        severity=HIGH, links={"Console": "resourceLink"}, labels={"dms_event": "eventName", "category": "category"},
    )),
    # What watches
    "AWS Health Event": Kind(
        label="AWS Health", names=("eventTypeCode",), identity=_health_identity, states=_health_state,
        fires="issue_open investigation_open scheduledChange_open scheduledChange_upcoming",
        ends="issue_closed investigation_closed scheduledChange_closed", severity=_health_severity,
        services=lambda facts: text(facts.get("service")).lower(), resources=("affectedEntities.0.entityValue",),
        words=("eventDescription.*.latestDescription", "affectedEntities.*.entityValue"),
        labels={"scope": "eventScopeCode", "category": "eventTypeCategory"},
    ),
    "GuardDuty Finding": Kind(
        label="GuardDuty", names=("type", "title"), identity=("arn", "id"), outcome=_threat_outcome,
        levels=_threat_level, words=("title", "description"),
        resources=("resource.instanceDetails.instanceId", "resource.s3BucketDetails.0.name",
                   "resource.eksClusterDetails.name", "resource.lambdaDetails.functionName",
                   "resource.rdsDbInstanceDetails.dbInstanceIdentifier", "resource.accessKeyDetails.userName"),
        labels={"count": "service.count", "resource_type": "resource.resourceType"},
    ),
    "Inspector2 Finding": Kind(
        label="Inspector", names=("title",), identity=("findingArn",), states=("status",), fires="active",
        ends="closed suppressed", shows_state=False, levels=("severity",), words=("description",),
        resources=("resources.0.id",), labels={"type": "type"},
        links={"Advisory": "packageVulnerabilityDetails.sourceUrl"},
    ),
    "KMS CMK Deletion": Kind(
        label="KMS key deleted", names=("key-id", "resources.0"), fires="*", severity=HIGH,
    ),
    "KMS Imported Key Material Expiration": Kind(
        label="KMS key material expired", names=("key-id", "resources.0"), fires="*", severity=HIGH,
    ),
    **dict.fromkeys(("Internet Monitor Health Event", "Health Event Created", "Health Event Updated"), INTERNET),
    "Health Event Closed": msgspec.structs.replace(INTERNET, outcome=lambda _: Status.RESOLVED),
    "Macie Finding": Kind(
        label="Macie", names=("type",), identity=("id",), fires="*", levels=("severity.description",),
        words=("title", "description"), resources=("resourcesAffected.s3Bucket.name",),
    ),
    "Access Analyzer Finding": Kind(
        label="Access Analyzer", names=("resource",), identity=("id",), states=("status",), fires="active",
        ends="archived resolved", shows_state=False, resources=("resource",), severity=MEDIUM,
    ),
    "Config Rules Compliance Change": Kind(
        label="AWS Config", names=("configRuleName",), identity=_joined("configRuleName", "resourceType", "resourceId"),
        states=("newEvaluationResult.complianceType",), fires="non_compliant", ends="compliant not_applicable",
        resources=("resourceId",), severity=MEDIUM, words=("newEvaluationResult.annotation",),
        labels={"resource_type": "resourceType"},
    ),
    "Trusted Advisor Check Item Refresh Notification": Kind(
        label="Trusted Advisor", names=("check-name",), identity=_joined("check-name", "resource_id"),
        states=("status",), fires="error warn", ends="ok", shows_state=False, levels=("status",),
        resources=("resource_id",), words=("check-item-detail.Reason", "check-item-detail.Status"),
    ),
    "ACM Certificate Approaching Expiration": Kind(
        label="Certificate expires", names=("CommonName",), identity=("resources.0",), family="ACM", fires="*",
        severity=_expiry_severity, labels={"days": "DaysToExpiry"},
    ),
    "ACM Certificate Expired": Kind(
        label="Certificate expired", names=("CommonName",), identity=("resources.0",), family="ACM", fires="*",
        severity=CRITICAL,
    ),
    "ACM Certificate Renewal Action Required": Kind(
        label="Certificate can't be renewed", names=("CommonName",), identity=("resources.0",), family="ACM",
        fires="*", severity=_expiry_severity, words=("RenewalStatusReason",), labels={"days": "DaysToExpiry"},
    ),
    "ACM Certificate Available": Kind(
        label="Certificate available", names=("CommonName",), identity=("resources.0",), family="ACM",
        outcome=lambda _: Status.RESOLVED,
    ),
    "Synthetics Canary TestRun Failure": Kind(
        label="Canary", names=("canary-name",), states=("test-run-status",), fires="*", severity=HIGH,
        resources=("canary-name",), words=("message", "state-reason"),
    ),
    "Synthetics Canary TestRun Successful": Kind(
        label="Canary", names=("canary-name",), states=("test-run-status",), resources=("canary-name",),
        outcome=lambda _: Status.RESOLVED, words=("message",),
    ),
    **dict.fromkeys(("DevOps Guru New Insight Open", "DevOps Guru Insight Closed",
                     "DevOps Guru Insight Severity Upgraded", "DevOps Guru New Anomaly Association"), Kind(
        label="DevOps Guru", names=("insightDescription", "insightType"), identity=("insightId",),
        states=("messageType",), shows_state=False, fires="new_insight severity_upgraded",
        ends="closed_insight", levels=("insightSeverity",), links={"Insight": "insightUrl"},
    )),
    "AWS X-Ray Insight Update": Kind(
        label="X-Ray insight", names=("RootCauseServiceId.Name", "GroupName"), identity=("InsightId",),
        states=("State",), shows_state=False, fires="active", ends="closed", services=("RootCauseServiceId.Name",),
        words=("Summary",), severity=HIGH,
    ),
    "CloudWatch Alarm Configuration Change": Kind(
        label="CloudWatch alarm configuration", names=("alarmName",), states=("operation",),
        words=("configuration.description",), labels={"alarm_state": "state.value"},
    ),
    # Databases
    **dict.fromkeys(("RDS DB Instance Event", "RDS DB Cluster Event", "RDS DB Cluster Snapshot Event",
                     "RDS DB Snapshot Event", "RDS DB Proxy Event", "RDS DB Parameter Group Event"), Kind(
        label="RDS", names=("SourceIdentifier", "SourceArn"), identity=_rds_identity, states=rds_state,
        outcome=rds_outcome, severity=_rds_severity, resources=("SourceIdentifier",), words=("Message",),
        labels={"rds_event": "EventID", "source_type": "SourceType"},
    )),
    # What failed in the background
    "Lambda Function Invocation Result - Failure": LAMBDA_RESULT,
    "Lambda Function Invocation Result - Success": LAMBDA_RESULT,
    # Money
    "Anomaly Detected": Kind(
        label="Cost anomaly", names=("monitorName", "dimensionalValue"), identity=("anomalyId",), fires="*",
        severity=MEDIUM, links={"Anomaly": "anomalyDetailsLink"}, words=("dimensionValue",),
        labels={"impact": "impact.totalImpact", "service": "rootCauses.0.service"},
    ),
    # What is only good to know
    **dict.fromkeys(("AWS API Call via CloudTrail", "AWS Service Event via CloudTrail",
                     "AWS Console Sign In via CloudTrail", "AWS Console Action via CloudTrail"), Kind(
        label="CloudTrail", names=_api_call, words=("errorCode", "errorMessage"), shows_state=False,
        labels={"event_source": "eventSource", "by": "userIdentity.arn", "from": "sourceIPAddress"},
    )),
    "Scheduled Event": Kind(label="Scheduled event", names=("resources.0",)),
    **dict.fromkeys(("Object Created", "Object Deleted", "Object Restore Completed", "Object Tags Added"), Kind(
        label="S3 object", names=_joined("bucket.name", "object.key"), resources=("bucket.name",),
        labels={"reason": "reason"},
    )),
}
"""Detail type -> how it is read."""
# fmt: on
