"""What happens in AWS, as its services write it to EventBridge and SNS, and what an engineer reads in it."""

from __future__ import annotations

import msgspec
import pytest

from mcp_responder.model.alert import Alert, Severity, Status
from mcp_responder.model.severity import SeverityRule
from mcp_responder.ports import Reading
from mcp_responder.sources import load_sources
from tests.sources.reading import detected, read, request

ACCOUNT, REGION = "210987654321", "eu-central-1"
ARN = f"{REGION}:{ACCOUNT}"

CLUSTER = {"clusterArn": f"arn:aws:ecs:{ARN}:cluster/shop"}
STOPPED = {**CLUSTER, "group": "service:checkout", "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}
SERVICE = [f"arn:aws:ecs:{ARN}:service/shop/checkout"]
GROUP = {"AutoScalingGroupName": "shop-web", "StatusMessage": "No capacity", "Cause": "A difference."}
BACKUP = {"backupVaultName": "nightly", "resourceArn": f"arn:aws:rds:{ARN}:db:orders-db", "backupJobId": "1b2345b2"}
GLUE = {"jobName": "orders-etl", "severity": "ERROR", "jobRunId": "jr_0f1", "message": "JobName: x failed"}
STATES = {"stateMachineArn": f"arn:aws:states:{ARN}:stateMachine:refunds", "name": "r-17", "cause": "States.Timeout"}
CONFIG = {"configRuleName": "s3-no-public", "resourceType": "AWS::S3::Bucket", "resourceId": "shop-invoices"}
CERTIFICATE = [f"arn:aws:acm:{ARN}:certificate/61f50cd4"]
HEALTH = {
    "eventArn": "arn:aws:health:eu-central-1::event/RDS/AWS_RDS_OPERATIONAL_ISSUE/x1",
    "service": "RDS",
    "eventTypeCode": "AWS_RDS_OPERATIONAL_ISSUE",
    "eventTypeCategory": "issue",
    "eventDescription": [{"language": "en_US", "latestDescription": "Increased API error rates."}],
    "affectedEntities": [{"entityValue": "orders-db"}],
}
OUTAGE = f"arn:aws:internetmonitor:{ARN}:monitor/shop/health-event/2026-03-01/x"
DATABASE = {
    "SourceType": "DB_INSTANCE",
    "SourceArn": f"arn:aws:rds:{ARN}:db:orders-db",
    "SourceIdentifier": "orders-db",
}
THREAT = {
    "schemaVersion": "2.0",
    "id": "16afba5c",
    "type": "CryptoCurrency:EC2/BitcoinTool.B!DNS",
    "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "i-0abc"}},
    "title": "i-0abc talks to a mining pool",
}


def event(
    kind: str, source: str, detail: object, resources: list[str] | None = None, **more: object
) -> dict[str, object]:
    return {
        "version": "0",
        "id": "5e0c1a52-8b1d-4a0e-9f6b-0d6a7c3f1b22",
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": "2026-03-01T09:30:12Z",
        "region": REGION,
        "resources": resources or [],
        "detail": detail,
        **more,
    }


def told(kind: str, source: str, detail: object, resources: list[str] | None = None, **more: object) -> Alert:
    return read("eventbridge", event(kind, source, detail, resources, **more))


def seen(alert: Alert) -> tuple[str, str, str, str, str]:
    return (alert.status, alert.severity, alert.title, alert.service, alert.resource)


def containers(*codes: int) -> dict[str, object]:
    return {"containers": [{"name": "app", "exitCode": code} for code in codes]}


# fmt: off
EVENTS = [
    # ------------------------------------------------------------------------------------------------------------ ECS
    ("ECS Task State Change", "aws.ecs",
     {**STOPPED, "stopCode": "EssentialContainerExited", **containers(1)}, [f"arn:aws:ecs:{ARN}:task/shop/9f0c"],
     ("firing", "HIGH", "ECS task failed: checkout", "checkout", "9f0c")),
    ("ECS Task State Change", "aws.ecs",
     {**STOPPED, "stopCode": "TaskFailedToStart", "stoppedReason": "CannotPullContainerError: not found"}, [],
     ("firing", "HIGH", "ECS task failed: checkout", "checkout", "checkout")),
    ("ECS Task State Change", "aws.ecs",
     {**STOPPED, "stopCode": "ServiceSchedulerInitiated", "stoppedReason": "Scaling activity initiated by deployment "
      "ecs-svc/1", **containers(143)}, [],
     ("info", "LOW", "ECS task stopped: checkout", "checkout", "checkout")),
    ("ECS Task State Change", "aws.ecs",
     {**STOPPED, "stopCode": "ServiceSchedulerInitiated", "stoppedReason": "Task failed ELB health checks in "
      "(target-group x)", **containers(137)}, [],
     ("firing", "HIGH", "ECS task failed: checkout", "checkout", "checkout")),
    ("ECS Task State Change", "aws.ecs",
     {**CLUSTER, "group": "family:nightly", "lastStatus": "STOPPED", "stopCode": "EssentialContainerExited",
      **containers(0)}, [],
     ("resolved", "HIGH", "ECS task completed: nightly", "nightly", "nightly")),
    ("ECS Task State Change", "aws.ecs", {**CLUSTER, "group": "service:checkout", "lastStatus": "RUNNING"}, [],
     ("info", "LOW", "ECS task running: checkout", "checkout", "checkout")),
    ("ECS Service Action", "aws.ecs", {"eventType": "WARN", "eventName": "SERVICE_TASK_START_IMPAIRED"}, SERVICE,
     ("firing", "MEDIUM", "ECS service task start impaired: checkout", "checkout", "checkout")),
    ("ECS Service Action", "aws.ecs", {"eventType": "ERROR", "eventName": "SERVICE_TASK_PLACEMENT_FAILURE",
                                       "reason": "RESOURCE:MEMORY"}, SERVICE,
     ("firing", "HIGH", "ECS service task placement failure: checkout", "checkout", "checkout")),
    ("ECS Service Action", "aws.ecs", {"eventType": "INFO", "eventName": "SERVICE_STEADY_STATE"}, SERVICE,
     ("resolved", "LOW", "ECS service steady state: checkout", "checkout", "checkout")),
    ("ECS Deployment State Change", "aws.ecs", {"eventType": "ERROR", "eventName": "SERVICE_DEPLOYMENT_FAILED",
                                                "reason": "circuit breaker: task failed to start"}, SERVICE,
     ("firing", "HIGH", "ECS service deployment failed: checkout", "checkout", "checkout")),
    # ------------------------------------------------------------------------------------------------------- machines
    ("EC2 Instance State-change Notification", "aws.ec2", {"instance-id": "i-0abc", "state": "stopped"}, [],
     ("info", "LOW", "EC2 instance stopped: i-0abc", "ec2", "i-0abc")),
    ("EC2 Spot Instance Interruption Warning", "aws.ec2", {"instance-id": "i-0abc", "instance-action": "terminate"}, [],
     ("firing", "MEDIUM", "EC2 spot instance will be interrupted: i-0abc", "ec2", "i-0abc")),
    ("EC2 Instance Launch Unsuccessful", "aws.autoscaling", GROUP, [],
     ("firing", "HIGH", "Auto Scaling can't launch: shop-web", "autoscaling", "shop-web")),
    ("EC2 Instance Launch Successful", "aws.autoscaling", GROUP, [],
     ("resolved", "MEDIUM", "Auto Scaling launched: shop-web", "autoscaling", "shop-web")),
    ("EC2 Command Status-change Notification", "aws.ssm", {"document-name": "AWS-RunShellScript", "status": "TimedOut"},
     [], ("firing", "HIGH", "SSM command timed out: AWS-RunShellScript", "ssm", "AWS-RunShellScript")),
    # ------------------------------------------------------------------------------------------------------- delivery
    ("CodePipeline Action Execution State Change", "aws.codepipeline",
     {"pipeline": "shop", "stage": "Deploy", "action": "ECS", "state": "FAILED",
      "execution-result": {"external-execution-summary": "Timed out"}}, [],
     ("firing", "HIGH", "CodePipeline action failed: shop/Deploy/ECS", "codepipeline", "shop")),
    ("CodePipeline Stage Execution State Change", "aws.codepipeline",
     {"pipeline": "shop", "stage": "Deploy", "state": "CANCELED"}, [],
     ("info", "LOW", "CodePipeline stage canceled: shop/Deploy", "codepipeline", "shop")),
    ("CodeBuild Build State Change", "aws.codebuild", {"project-name": "shop-build", "build-status": "FAILED"}, [],
     ("firing", "HIGH", "CodeBuild failed: shop-build", "codebuild", "shop-build")),
    ("CodeBuild Build State Change", "aws.codebuild", {"project-name": "shop-build", "build-status": "STOPPED"}, [],
     ("info", "LOW", "CodeBuild stopped: shop-build", "codebuild", "shop-build")),
    ("CodeDeploy Deployment State-change Notification", "aws.codedeploy",
     {"application": "shop", "deploymentGroup": "blue", "deploymentId": "d-1", "state": "FAILURE"}, [],
     ("firing", "HIGH", "CodeDeploy failure: shop/blue", "shop", "blue")),
    ("CloudFormation Stack Status Change", "aws.cloudformation",
     {"stack-id": f"arn:aws:cloudformation:{ARN}:stack/shop-api/6d3e",
      "status-details": {"status": "UPDATE_ROLLBACK_COMPLETE", "status-reason": ""}}, [],
     ("firing", "MEDIUM", "CloudFormation stack update rollback complete: shop-api", "cloudformation", "shop-api")),
    ("Health status change", "aws.elasticbeanstalk",
     {"EnvironmentName": "shop-env", "ApplicationName": "shop", "Status": "Environment health changed",
      "Severity": "ERROR", "Message": "Environment health has transitioned from Ok to Severe."}, [],
     ("info", "HIGH", "Elastic Beanstalk: shop-env", "shop", "shop-env")),
    # ----------------------------------------------------------------------------------------------------------- jobs
    ("Backup Job State Change", "aws.backup", {**BACKUP, "state": "FAILED", "statusMessage": "Access denied"}, [],
     ("firing", "HIGH", "AWS Backup failed: orders-db", "backup", "orders-db")),
    ("Glue Job State Change", "aws.glue", {**GLUE, "state": "TIMEOUT"}, [],
     ("firing", "HIGH", "Glue job timeout: orders-etl", "glue", "orders-etl")),
    ("Glue Crawler State Change", "aws.glue", {"crawlerName": "lake", "state": "Failed", "errorMessage": "denied"}, [],
     ("firing", "HIGH", "Glue crawler failed: lake", "glue", "lake")),
    ("Batch Job State Change", "aws.batch", {"jobName": "invoices", "status": "FAILED", "container": {"exitCode": 1},
                                             "statusReason": "Essential container in task exited"}, [],
     ("firing", "HIGH", "Batch job failed: invoices", "batch", "invoices")),
    ("Step Functions Execution Status Change", "aws.states", {**STATES, "status": "TIMED_OUT"}, [],
     ("firing", "HIGH", "Step Functions timed out: refunds", "states", "refunds")),
    ("EMR Cluster State Change", "aws.emr", {"severity": "CRITICAL", "state": "TERMINATED_WITH_ERRORS",
                                             "name": "nightly", "clusterId": "j-1"}, [],
     ("firing", "CRITICAL", "EMR cluster terminated with errors: nightly", "emr", "j-1")),
    ("DMS Replication Task State Change", "aws.dms",
     {"eventType": "REPLICATION_TASK_FAILED", "detailMessage": "Last Error Task error notification received"},
     [f"arn:aws:dms:{ARN}:task:ORDERS"],
     ("firing", "HIGH", "DMS replication task failed: ORDERS", "dms", "ORDERS")),
    # --------------------------------------------------------------------------------------------------- what watches
    ("AWS Health Event", "aws.health", {**HEALTH, "statusCode": "open"}, [],
     ("firing", "HIGH", "AWS Health issue open: AWS_RDS_OPERATIONAL_ISSUE", "rds", "orders-db")),
    ("AWS Health Event", "aws.health", {**HEALTH, "eventTypeCategory": "scheduledChange", "statusCode": "upcoming"}, [],
     ("firing", "LOW", "AWS Health scheduled change upcoming: AWS_RDS_OPERATIONAL_ISSUE", "rds", "orders-db")),
    ("AWS Health Event", "aws.health", {**HEALTH, "eventTypeCategory": "accountNotification"}, [],
     ("info", "LOW", "AWS Health account notification open: AWS_RDS_OPERATIONAL_ISSUE", "rds", "orders-db")),
    *[("GuardDuty Finding", "aws.guardduty", {**THREAT, "severity": score}, [],
       ("firing", severity, "GuardDuty: CryptoCurrency:EC2/BitcoinTool.B!DNS", "guardduty", "i-0abc"))
      for score, severity in ((9.3, "CRITICAL"), (8, "HIGH"), (7.0, "HIGH"), (6.9, "MEDIUM"), (4, "MEDIUM"), (2,
       "LOW"))],
    ("GuardDuty Finding", "aws.guardduty", {**THREAT, "severity": 8, "service": {"archived": True}}, [],
     ("resolved", "HIGH", "GuardDuty: CryptoCurrency:EC2/BitcoinTool.B!DNS", "guardduty", "i-0abc")),
    ("Inspector2 Finding", "aws.inspector2", {"title": "CVE-2026-1 - openssl", "severity": "CRITICAL",
     "status": "ACTIVE",
                                              "findingArn": f"arn:aws:inspector2:{ARN}:finding/1",
                                              "resources": [{"id": "i-0abc"}]}, [],
     ("firing", "CRITICAL", "Inspector: CVE-2026-1 - openssl", "inspector2", "i-0abc")),
    ("Config Rules Compliance Change", "aws.config",
     {**CONFIG, "newEvaluationResult": {"complianceType": "NON_COMPLIANT"}}, [],
     ("firing", "MEDIUM", "AWS Config non compliant: s3-no-public", "config", "shop-invoices")),
    ("Trusted Advisor Check Item Refresh Notification", "aws.trustedadvisor",
     {"check-name": "Service Limits", "status": "ERROR", "resource_id": "r-1"}, [],
     ("firing", "HIGH", "Trusted Advisor: Service Limits", "trustedadvisor", "r-1")),
    ("ACM Certificate Approaching Expiration", "aws.acm", {"DaysToExpiry": 31, "CommonName": "shop.example"},
     CERTIFICATE,
     ("firing", "MEDIUM", "Certificate expires: shop.example", "acm", "61f50cd4")),
    ("ACM Certificate Approaching Expiration", "aws.acm", {"DaysToExpiry": 3, "CommonName": "shop.example"},
     CERTIFICATE,
     ("firing", "HIGH", "Certificate expires: shop.example", "acm", "61f50cd4")),
    ("ACM Certificate Expired", "aws.acm", {"CommonName": "shop.example"}, CERTIFICATE,
     ("firing", "CRITICAL", "Certificate expired: shop.example", "acm", "61f50cd4")),
    ("Synthetics Canary TestRun Failure", "aws.synthetics", {"canary-name": "login", "test-run-status": "FAILED"}, [],
     ("firing", "HIGH", "Canary failed: login", "synthetics", "login")),
    ("DevOps Guru New Insight Open", "aws.devops-guru",
     {"insightId": "AH1", "insightSeverity": "high", "messageType": "NEW_INSIGHT", "insightDescription": "Latency"}, [],
     ("firing", "HIGH", "DevOps Guru: Latency", "devops-guru", "Latency")),
    # ------------------------------------------------------------------------------------------------------ databases
    ("RDS DB Instance Event", "aws.rds", {**DATABASE, "EventCategories": ["low storage"], "EventID": "RDS-EVENT-0089",
                                          "Message": "The free storage capacity is low at 9%"}, [],
     ("firing", "HIGH", "RDS low storage: orders-db", "rds", "orders-db")),
    ("RDS DB Instance Event", "aws.rds", {**DATABASE, "EventCategories": ["failover"],
                                          "Message": "Multi-AZ instance failover started."}, [],
     ("firing", "HIGH", "RDS failover: orders-db", "rds", "orders-db")),
    ("RDS DB Instance Event", "aws.rds", {**DATABASE, "EventCategories": ["failover"],
                                          "Message": "Multi-AZ instance failover completed"}, [],
     ("resolved", "HIGH", "RDS failover: orders-db", "rds", "orders-db")),
    ("RDS DB Cluster Event", "aws.rds", {**DATABASE, "EventCategories": ["notification", "failure"],
                                         "Message": "Unable to start the cluster"}, [],
     ("firing", "HIGH", "RDS failure: orders-db", "rds", "orders-db")),
    ("RDS DB Instance Event", "aws.rds", {**DATABASE, "EventCategories": ["backup"],
                                          "Message": "Backing up DB instance"}, [],
     ("info", "LOW", "RDS backup: orders-db", "rds", "orders-db")),
    # --------------------------------------------------------------------------------------------- only good to know
    ("AWS API Call via CloudTrail", "aws.iam", {"eventName": "DeleteUser", "errorCode": "AccessDenied"}, [],
     ("info", "LOW", "CloudTrail: DeleteUser", "iam", "DeleteUser")),
    ("Scheduled Event", "aws.events", {}, [f"arn:aws:events:{ARN}:rule/nightly"],
     ("info", "LOW", "Scheduled event: nightly", "events", "nightly")),
    ("Object Created", "aws.s3", {"bucket": {"name": "shop-in"}, "object": {"key": "a/error.csv"}},
     ["arn:aws:s3:::shop-in"], ("info", "LOW", "S3 object: shop-in/a/error.csv", "s3", "shop-in")),
    # --------------------------------------------------------------------------------------- what nobody has heard of
    ("Payment Failed", "com.example.shop", {"service": "payments", "message": "Card processor is down"}, [],
     ("firing", "CRITICAL", "Payment Failed: payments", "payments", "payments")),
    ("Payment Alert", "com.example.shop", {"name": "refunds", "severity": "warning", "status": "resolved"}, [],
     ("resolved", "MEDIUM", "Payment Alert: refunds", "com.example.shop", "refunds")),
    ("Stock Level", "com.example.shop", {"name": "widgets", "level": "error"}, [],
     ("firing", "HIGH", "Stock Level: widgets", "com.example.shop", "widgets")),
    ("Order Placed", "com.example.shop", {"id": "o-17", "status": "new"}, [],
     ("info", "LOW", "Order Placed: o-17", "com.example.shop", "o-17")),
    ("MediaLive Channel Alert", "aws.medialive", {"alarm_state": "SET", "message": "Input lost", "name": "studio"}, [],
     ("firing", "HIGH", "MediaLive Channel Alert: studio", "medialive", "studio")),
    # ------------------------------------------------------------------------------------------- disks, keys, networks
    ("EBS Volume Notification", "aws.ec2", {"event": "createVolume", "result": "failed", "cause": "invalid key"},
     [f"arn:aws:ec2:{ARN}:volume/vol-01"],
     ("firing", "MEDIUM", "EBS create volume failed: vol-01", "ec2", "vol-01")),
    ("EBS Snapshot Notification", "aws.ec2",
     {"event": "createSnapshot", "result": "failed", "source": f"arn:aws:ec2::{REGION}:volume/vol-01"},
     [f"arn:aws:ec2::{REGION}:snapshot/snap-1"],
     ("firing", "MEDIUM", "EBS create snapshot failed: vol-01", "ec2", "snap-1")),
    ("KMS CMK Deletion", "aws.kms", {"key-id": "1234abcd"}, [f"arn:aws:kms:{ARN}:key/1234abcd"],
     ("firing", "HIGH", "KMS key deleted: 1234abcd", "kms", "1234abcd")),
    ("KMS Imported Key Material Expiration", "aws.kms", {"key-id": "1234abcd"}, [f"arn:aws:kms:{ARN}:key/1234abcd"],
     ("firing", "HIGH", "KMS key material expired: 1234abcd", "kms", "1234abcd")),
    ("KMS CMK Rotation", "aws.kms", {"key-id": "1234abcd"}, [f"arn:aws:kms:{ARN}:key/1234abcd"],
     ("info", "LOW", "KMS CMK Rotation", "kms", "1234abcd")),
    ("Internet Monitor Health Event", "aws.internetmonitor", {"Status": "ACTIVE", "EventArn": OUTAGE}, [OUTAGE],
     ("firing", "MEDIUM", "Internet Monitor active: shop", "internetmonitor", "shop")),
    ("DMS Replication Task State Change", "aws.dms",
     {"eventType": "REPLICATION_TASK_FAILED", "resourceLink": "https://console.aws.amazon.com/dms/v2/home#taskDetails/x"},
     [f"arn:aws:dms:{ARN}:task:STOCK"],
     ("firing", "HIGH", "DMS replication task failed: STOCK", "dms", "STOCK")),
    ("DMS Replication Instance State Change", "aws.dms",
     {"type": "ReplicationInstance", "category": "LowStorage", "detailMessage": "Free storage is low."},
     [f"arn:aws:dms:{ARN}:rep:MOVERS"], ("firing", "HIGH", "DMS: MOVERS", "dms", "MOVERS")),
    ("EC2 Command Invocation Status-change Notification", "aws.ssm",
     {"document-name": "AWS-RunShellScript", "instance-id": "i-0abc", "status": "Undeliverable"}, [],
     ("firing", "MEDIUM", "SSM command undeliverable: AWS-RunShellScript", "ssm", "i-0abc")),
]
# fmt: on


@pytest.mark.parametrize(("kind", "source", "detail", "resources", "expected"), EVENTS)
def test_events(kind: str, source: str, detail: object, resources: list[str], expected: tuple[str, ...]) -> None:
    body = event(kind, source, detail, resources)
    assert detected(body) == "eventbridge"
    assert seen(read("eventbridge", body)) == expected


# fmt: off
PAIRS = [
    ("ECS Task State Change", {**STOPPED, "stopCode": "EssentialContainerExited", **containers(1)},
     "ECS Service Action", {"eventType": "INFO", "eventName": "SERVICE_STEADY_STATE"}, SERVICE),
    ("ECS Service Action", {"eventType": "WARN", "eventName": "SERVICE_TASK_START_IMPAIRED"},
     "ECS Service Action", {"eventType": "INFO", "eventName": "SERVICE_STEADY_STATE"}, SERVICE),
    ("ECS Deployment State Change", {"eventName": "SERVICE_DEPLOYMENT_FAILED"},
     "ECS Deployment State Change", {"eventName": "SERVICE_DEPLOYMENT_COMPLETED"}, SERVICE),
    ("EC2 Instance Launch Unsuccessful", GROUP, "EC2 Instance Launch Successful", GROUP, []),
    ("CodePipeline Pipeline Execution State Change", {"pipeline": "shop", "state": "FAILED", "execution-id": "1"},
     "CodePipeline Pipeline Execution State Change", {"pipeline": "shop", "state": "SUCCEEDED", "execution-id": "2"},
      []),
    ("CodeBuild Build State Change", {"project-name": "b", "build-status": "FAILED", "build-id": "1"},
     "CodeBuild Build State Change", {"project-name": "b", "build-status": "SUCCEEDED", "build-id": "2"}, []),
    ("Backup Job State Change", {**BACKUP, "state": "FAILED"},
     "Backup Job State Change", {**BACKUP, "state": "COMPLETED", "backupJobId": "2"}, []),
    ("Glue Job State Change", {**GLUE, "state": "FAILED"},
     "Glue Job State Change", {**GLUE, "state": "SUCCEEDED", "severity": "INFO", "jobRunId": "2"}, []),
    ("Step Functions Execution Status Change", {**STATES, "status": "FAILED"},
     "Step Functions Execution Status Change", {**STATES, "status": "SUCCEEDED", "name": "r-18"}, []),
    ("AWS Health Event", {**HEALTH, "statusCode": "open"}, "AWS Health Event", {**HEALTH, "statusCode": "closed"}, []),
    ("GuardDuty Finding", {**THREAT, "severity": 8},
     "GuardDuty Finding", {**THREAT, "severity": 8, "service": {"archived": True}}, []),
    ("Config Rules Compliance Change", {**CONFIG, "newEvaluationResult": {"complianceType": "NON_COMPLIANT"}},
     "Config Rules Compliance Change", {**CONFIG, "newEvaluationResult": {"complianceType": "COMPLIANT"}}, []),
    ("RDS DB Instance Event", {**DATABASE, "EventCategories": ["failover"], "Message": "Failover started"},
     "RDS DB Instance Event", {**DATABASE, "EventCategories": ["failover"], "Message": "Failover completed"}, []),
    ("ACM Certificate Expired", {"CommonName": "a"}, "ACM Certificate Available", {"CommonName": "a"}, CERTIFICATE),
    ("Synthetics Canary TestRun Failure", {"canary-name": "login"},
     "Synthetics Canary TestRun Successful", {"canary-name": "login"}, []),
    ("Import failed", {"name": "prices"}, "Import succeeded", {"name": "prices"}, []),
    ("OrderFailed", {"orderId": "o-17"}, "OrderSucceeded", {"orderId": "o-17"}, []),
    ("OrderFailed", {}, "OrderSucceeded", {}, [f"arn:aws:sqs:{ARN}:orders"]),
    ("EBS Volume Notification", {"event": "createVolume", "result": "failed"},
     "EBS Volume Notification", {"event": "createVolume", "result": "available"}, [f"arn:aws:ec2:{ARN}:volume/vol-01"]),
    ("EBS Volume Notification", {"event": "attachVolume", "result": "failed"},
     "EBS Volume Notification", {"event": "reattachVolume", "result": "attached"},
     [f"arn:aws:ec2:{ARN}:volume/vol-01"]),
    ("DMS Replication Task State Change", {"eventType": "REPLICATION_TASK_FAILED", "resourceLink": "https://x.example"},
     "DMS Replication Task State Change", {"eventType": "REPLICATION_TASK_STARTED"}, [f"arn:aws:dms:{ARN}:task:T"]),
    ("Internet Monitor Health Event", {"Status": "ACTIVE"},
     "Internet Monitor Health Event", {"Status": "RESOLVED"}, [OUTAGE]),
    ("Health Event Created", {"Status": "ACTIVE"}, "Health Event Closed", {}, [OUTAGE]),
    ("RDS DB Instance Event", {**DATABASE, "EventCategories": ["read replica"], "Message": "Replication has stopped."},
     "RDS DB Instance Event", {**DATABASE, "EventCategories": ["read replica"],
                               "Message": "Replication for the Read Replica resumed."}, []),
    ("Lambda Function Invocation Result - Failure",
     {"requestContext": {"functionArn": f"arn:aws:lambda:{ARN}:function:f", "condition": "RetriesExhausted"}},
     "Lambda Function Invocation Result - Success",
     {"requestContext": {"functionArn": f"arn:aws:lambda:{ARN}:function:f", "condition": "Success"}}, []),
]
# fmt: on


@pytest.mark.parametrize(("failed", "why", "succeeded", "how", "resources"), PAIRS)
def test_success_ends_the_failure_of_the_same(
    failed: str, why: object, succeeded: str, how: object, resources: list[str]
) -> None:
    first, second = told(failed, "aws.x", why, resources), told(succeeded, "aws.x", how, resources)
    assert (first.status, second.status) == (Status.FIRING, Status.RESOLVED)
    assert first.source_id == second.source_id != ""


def test_what_says_nothing_of_its_subject_is_told_apart_by_its_source_and_its_resources() -> None:
    first = told("OrderFailed", "com.example.shop", {})
    assert first.source_id != told("OrderFailed", "com.example.stock", {}).source_id
    assert first.source_id != told("RefundFailed", "com.example.shop", {}).source_id
    assert first.source_id != told("OrderFailed", "com.example.shop", {}, [f"arn:aws:sqs:{ARN}:orders"]).source_id


def test_tasks_of_dms_are_told_apart_and_linked() -> None:
    link = "https://console.aws.amazon.com/dms/v2/home?region=eu-central-1#taskDetails/orders"
    detail = {"eventType": "REPLICATION_TASK_FAILED", "resourceLink": link}
    tasks = [
        told("DMS Replication Task State Change", "aws.dms", detail, [f"arn:aws:dms:{ARN}:task:{name}"])
        for name in ("ONE", "TWO")
    ]
    assert tasks[0].source_id != tasks[1].source_id
    assert [each.url for each in tasks[0].links] == [link]


# fmt: off
DATABASE_EVENTS = [
    # By the code, whatever the words sound like.
    ("0020", "recovery", "Recovery of the DB instance has started. Recovery time will vary with the amount of data to "
     "be recovered.", "firing"),
    ("0021", "recovery", "Recovery of the DB instance is complete.", "resolved"),
    ("0034", "failover", "Abandoning user requested failover since a failover recently completed.", "info"),
    ("0023", "recovery", "Emergent Snapshot Request: a snapshot is in progress.", "info"),
    ("0069", "failover", "Cluster failover failed, check the status of your cluster instances.", "firing"),
    ("0050", "failover", "Multi-AZ instance activation started after a completed recovery.", "firing"),
    ("0049", "failover", "Multi-AZ instance failover completed", "resolved"),
    ("0222", "availability", "Free storage capacity is low at 4%, of 20 GB 0.8 GB are available.", "firing"),
    ("0045", "read replica", "Replication has stopped.", "firing"),
    ("0057", "read replica", "Replication streaming has been terminated.", "firing"),
    ("0062", "read replica", "Replication for the Read Replica was manually stopped.", "firing"),
    ("0046", "read replica", "Replication for the Read Replica resumed.", "resolved"),
    # By the words.
    ("9001", "recovery", "Recovery has started. Time will vary with the amount of data to be recovered.", "firing"),
    ("9001", "availability", "The DB instance is not available.", "firing"),
    ("9001", "failover", "Failover complete but the instance is unhealthy.", "firing"),
    ("9001", "backup", "Backup failed: there is no longer enough space.", "firing"),
    ("9001", "failover", "The instance has recovered from a partial failover failure.", "resolved"),
    ("9001", "failover", "The instance failed over; failover completed.", "resolved"),
    ("9001", "backup", "Finished DB Instance backup", "info"),
    ("9001", "read replica", "Replication has stopped.", "firing"),
    ("9001", "read replica", "Replication for the Read Replica resumed.", "resolved"),
]
# fmt: on


@pytest.mark.parametrize(("code", "category", "said", "status"), DATABASE_EVENTS)
def test_what_a_database_says_means_the_same_by_eventbridge_and_by_sns(
    code: str, category: str, said: str, status: str
) -> None:
    detail = {**DATABASE, "EventCategories": [category], "EventID": f"RDS-EVENT-{code}", "Message": said}
    about = f"http://docs.amazonwebservices.com/AmazonRDS/latest/UserGuide/USER_Events.html#RDS-EVENT-{code}"
    assert told("RDS DB Instance Event", "aws.rds", detail).status == status
    assert read("aws_notification", {**RDS, "Event ID": about, "Event Message": said}).status == status


def test_by_its_code_storage_that_grew_ends_storage_that_was_full() -> None:
    def alarm(code: str, category: str) -> Alert:
        detail = {**DATABASE, "EventCategories": [category], "EventID": f"RDS-EVENT-{code}"}
        return told("RDS DB Instance Event", "aws.rds", detail)

    full, grown = alarm("0221", "availability"), alarm("0218", "configuration change")
    assert (full.status, grown.status) == (Status.FIRING, Status.RESOLVED)
    assert full.source_id == grown.source_id


def test_a_databases_failover_doesnt_end_its_full_storage() -> None:
    full = told("RDS DB Instance Event", "aws.rds", {**DATABASE, "EventCategories": ["low storage"], "Message": "low"})
    over = told(
        "RDS DB Instance Event", "aws.rds", {**DATABASE, "EventCategories": ["failover"], "Message": "completed"}
    )
    assert full.source_id != over.source_id


def test_the_rules_of_the_user_decide_before_ours_and_the_place_counts() -> None:
    detail = {"pipeline": "shop", "state": "FAILED"}
    body = event("CodePipeline Pipeline Execution State Change", "aws.codepipeline", detail)
    rules = Reading(severities=(SeverityRule(pattern="codepipeline", severity=Severity.LOW),))
    assert read("eventbridge", body, rules).severity is Severity.LOW
    detail = {**STOPPED, "group": "service:checkout-staging", "stopCode": "TaskFailedToStart"}
    assert told("ECS Task State Change", "aws.ecs", detail).severity is Severity.LOW


def test_findings_of_security_hub_are_alerts_each() -> None:
    def finding(number: int, **more: object) -> dict[str, object]:
        return {
            "Id": f"arn:aws:securityhub:{ARN}:finding/{number}",
            "Title": f"Bucket {number} is public",
            "Severity": {"Label": "HIGH"},
            "Workflow": {"Status": "NEW"},
            "Resources": [{"Id": f"arn:aws:s3:::b{number}"}],
            **more,
        }

    findings = [finding(1), finding(2, RecordState="ARCHIVED"), finding(3, Severity={"Label": "INFORMATIONAL"})]
    body = event("Security Hub Findings - Imported", "aws.securityhub", {"findings": findings})
    raw = msgspec.json.encode(body)
    alerts = load_sources()["eventbridge"].parse(body, raw, request(raw))
    found = [alert for alert in alerts if isinstance(alert, Alert)]
    assert [alert.status for alert in found] == [Status.FIRING, Status.RESOLVED, Status.INFO]
    assert [alert.resource for alert in found] == ["b1", "b2", "b3"]
    assert found[0].severity is Severity.HIGH
    assert len({alert.event_id for alert in found}) == len({alert.source_id for alert in found}) == 3


def test_findings_of_security_hub_in_ocsf_are_alerts_each() -> None:
    def finding(number: int, **more: object) -> dict[str, object]:
        return {
            "activity_name": "Create",
            "class_name": "Compliance Finding",
            "finding_info": {"uid": f"f-{number}", "title": f"Bucket {number} is public", "desc": "Anyone may read."},
            "metadata": {"uid": f"e-{number}", "product": {"name": "Security Hub"}},
            "severity": "High",
            "status": "New",
            "resources": [{"uid": f"arn:aws:s3:::b{number}"}],
            **more,
        }

    findings = [finding(1), finding(2, activity_name="Close"), finding(3, severity="Informational"),
                finding(4, status="Suppressed"), finding(5, compliance={"status": "Pass"})]  # fmt: skip
    body = event("Findings Imported V2", "aws.securityhub", {"findings": findings})
    raw = msgspec.json.encode(body)
    found = [
        alert for alert in load_sources()["eventbridge"].parse(body, raw, request(raw)) if isinstance(alert, Alert)
    ]
    states = (Status.FIRING, Status.RESOLVED, Status.INFO, Status.RESOLVED, Status.RESOLVED)
    assert tuple(alert.status for alert in found) == states
    assert found[0].title == "Security Hub: Bucket 1 is public"
    assert (found[0].severity, found[0].resource) == (Severity.HIGH, "b1")
    assert len({alert.event_id for alert in found}) == len({alert.source_id for alert in found}) == 5
    one = told("Findings Imported V2", "aws.securityhub", {"findings": [finding(1, activity_name="Close")]})
    assert (one.status, one.source_id) == (Status.RESOLVED, found[0].source_id)


def test_what_codestar_notifications_pass_on_is_an_event() -> None:
    """It calls the type ``detailType``, and says beside the details which actions failed."""
    body = event("", "aws.codepipeline", {"pipeline": "shop", "state": "FAILED"})
    del body["detail-type"]
    body |= {
        "detailType": "CodePipeline Pipeline Execution State Change",
        "additionalAttributes": {"failedActions": [{"action": "Deploy", "additionalInformation": "No such image"}]},
    }
    assert detected(body) == "eventbridge"
    alert = read("eventbridge", body)
    assert (alert.title, alert.message) == ("CodePipeline failed: shop", "No such image")


def test_one_time_series_of_an_alarm_fires_by_itself() -> None:
    detail = {
        "alarmName": "orders-writes",
        "alarmContributor": {"id": "6d442278dba546f6", "attributes": {"TableName": "orders"}},
        "state": {"value": "ALARM", "reason": "Threshold Crossed", "timestamp": "2026-03-01T09:30:12.345+0000"},
        "configuration": {
            "metrics": [
                {"id": "m1", "expression": 'SELECT AVG(X) FROM "AWS/DynamoDB" GROUP BY TableName', "returnData": True}
            ]
        },
        "alarmTags": {"team": "orders", "service": "shop", "env": "production"},
    }
    arn = f"arn:aws:cloudwatch:{ARN}:alarm:orders-writes"
    one = told("CloudWatch Alarm Contributor State Change", "aws.cloudwatch", detail, [arn])
    whole = told("CloudWatch Alarm State Change", "aws.cloudwatch", {**detail, "alarmContributor": None}, [arn])
    by_sns = {
        "AlarmName": "orders-writes",
        "AlarmArn": arn,
        "NewStateValue": "ALARM",
        "StateChangeTime": "2026-03-01T09:30:12.345+0000",
        "AlarmContributorId": "6d442278dba546f6",
        "AlarmContributorAttributes": {"TableName": "orders"},
    }
    assert (one.source, one.source_id, one.resource) == ("cloudwatch_alarm", f"{arn} 6d442278dba546f6", "orders")
    assert "Time series: TableName=orders" in one.message
    assert read("cloudwatch_alarm", by_sns).event_id == one.event_id
    assert (whole.source_id, whole.title) == (arn, one.title)
    assert (one.owner, one.service, one.environment) == ("orders", "shop", "production")
    untagged = told("CloudWatch Alarm State Change", "aws.cloudwatch", {**detail, "alarmTags": {}}, [arn])
    assert untagged.service == "dynamodb"


def test_a_muted_alarm_is_kept_and_opens_nothing() -> None:
    detail = {
        "alarmName": "a",
        "state": {"value": "ALARM", "timestamp": "2026-03-01T09:30:12.345+0000"},
        "muteDetail": {"mutedByArn": f"arn:aws:cloudwatch:{ARN}:alarm-mute-rule:planned-work"},
    }
    alert = told("CloudWatch Alarm State Change", "aws.cloudwatch", detail)
    assert alert.status is Status.INFO
    assert "suppressed by planned-work" in alert.message
    detail["state"] = {"value": "OK"}
    assert told("CloudWatch Alarm State Change", "aws.cloudwatch", detail).status is Status.RESOLVED


# ------------------------------------------------------------------------------------------------------- over SNS

RDS = {"Event Source": "db-instance", "Source ID": "orders-db", "Source ARN": f"arn:aws:rds:{ARN}:db:orders-db"}
SCALING = {
    "AutoScalingGroupName": "shop-web",
    "AccountId": ACCOUNT,
    "Service": "AWS Auto Scaling",
    "Time": "2026-03-01T09:30:12Z",
}
MAIL = {"source": "shop@example.com", "messageId": "m-1", "sourceArn": f"arn:aws:ses:{ARN}:identity/example.com"}

COMMAND = {
    "commandId": "ceb96b84",
    "documentName": "AWS-RunShellScript",
    "instanceId": "i-0abc",
    "requestedDateTime": "2026-03-01T09:30:10.1Z",
    "eventTime": "2026-03-01T09:30:12.5Z",
}

# fmt: off
MESSAGES = [
    ({**RDS, "Event Message": "Multi-AZ instance failover started."},
     ("firing", "HIGH", "Database failover: orders-db", "rds", "orders-db")),
    ({**RDS, "Event Message": "DB instance shutdown"}, ("firing", "HIGH", "Database: orders-db", "rds", "orders-db")),
    ({**RDS, "Event Message": "DB instance restarted"}, ("resolved", "HIGH", "Database: orders-db", "rds",
     "orders-db")),
    ({**RDS, "Event Message": "Recovery of the DB instance has started. Recovery time will vary."},
     ("firing", "HIGH", "Database recovery: orders-db", "rds", "orders-db")),
    ({**RDS, "Event Message": "Recovery of the DB instance is complete."},
     ("resolved", "HIGH", "Database recovery: orders-db", "rds", "orders-db")),
    ({**RDS, "Event Message": "Finished DB Instance backup"},
     ("info", "LOW", "Database backup: orders-db", "rds", "orders-db")),
    ({"Event Source": "replication-task", "SourceId": "orders", "Event Message": "Replication task has failed.",
      "Event ID": "http://docs.aws.amazon.com/dms/latest/userguide/CHAP_Events.html#DMS-EVENT-0078"},
     ("firing", "HIGH", "Database replication: orders", "dms", "orders")),
    ({"Event Source": "cluster", "Resource": "lake", "Severity": "ERROR",
     "Event Message": "The cluster is not reachable",
      "About this Event": "http://docs.aws.amazon.com/redshift/latest/mgmt/x.html#REDSHIFT-EVENT-3600"},
     ("firing", "HIGH", "Database: lake", "redshift", "lake")),
    *[({**COMMAND, "status": said}, (status, severity, f"SSM command {words}: AWS-RunShellScript", "ssm", "i-0abc"))
      for said, words, status, severity in (
          ("InProgress", "in progress", "info", "LOW"), ("Pending", "pending", "info", "LOW"),
          ("Failed", "failed", "firing", "HIGH"), ("TimedOut", "timed out", "firing", "HIGH"),
          ("Undeliverable", "undeliverable", "firing", "MEDIUM"), ("Terminated", "terminated", "firing", "MEDIUM"),
          ("Success", "success", "resolved", "LOW"), ("Cancelled", "cancelled", "info", "LOW"))],
    ({"commandId": "c-2", "documentName": "AWS-RunShellScript", "instanceIds": ["i-1", "i-2"], "status": "Failed",
      "outputS3BucketName": "", "eventTime": "2026-03-01T09:30:12.5Z"},
     ("firing", "HIGH", "SSM command failed: AWS-RunShellScript", "ssm", "i-1")),
    ({"ElastiCache:CacheClusterScalingFailed": "sessions-001"},
     ("firing", "HIGH", "ElastiCache cache cluster scaling failed: sessions-001", "elasticache", "sessions-001")),
    ({"ElastiCache:SnapshotComplete": "sessions-001"},
     ("resolved", "HIGH", "ElastiCache snapshot complete: sessions-001", "elasticache", "sessions-001")),
    ({**SCALING, "Event": "autoscaling:EC2_INSTANCE_TERMINATE_ERROR"},
     ("firing", "HIGH", "Auto Scaling instance terminate error: shop-web", "autoscaling", "shop-web")),
    ({**SCALING, "Event": "autoscaling:EC2_INSTANCE_LAUNCH"},
     ("resolved", "HIGH", "Auto Scaling instance launch: shop-web", "autoscaling", "shop-web")),
    ({**SCALING, "Event": "autoscaling:TEST_NOTIFICATION"},
     ("info", "LOW", "Auto Scaling test notification: shop-web", "autoscaling", "shop-web")),
    ({**SCALING, "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "EC2InstanceId": "i-0abc"},
     ("info", "LOW", "Auto Scaling lifecycle instance terminating: shop-web", "autoscaling", "i-0abc")),
    ({"notificationType": "Bounce", "mail": MAIL, "bounce": {"bounceType": "Permanent", "feedbackId": "f-1"}},
     ("firing", "LOW", "SES permanent bounce: shop@example.com", "ses", "shop@example.com")),
    ({"eventType": "Delivery", "mail": MAIL}, ("info", "LOW", "SES delivery: shop@example.com", "ses",
     "shop@example.com")),
    ({**CONFIG, "messageType": "ComplianceChangeNotification", "awsAccountId": ACCOUNT, "awsRegion": REGION,
      "newEvaluationResult": {"complianceType": "NON_COMPLIANT"}},
     ("firing", "MEDIUM", "AWS Config non compliant: s3-no-public", "config", "shop-invoices")),
    ({"messageType": "ConfigurationItemChangeNotification", "configurationItem": {"resourceId": "sg-1"},
      "configurationItemDiff": {"changeType": "UPDATE"}},
     ("info", "LOW", "AWS Config change update: sg-1", "config", "sg-1")),
    ({"anomalyId": "a-1", "anomalyDetailsLink": "https://console.aws.amazon.com/cost-management/home#/a-1",
      "accountId": ACCOUNT, "dimensionalValue": "Amazon EC2", "rootCauses": [{"service": "Amazon EC2"}]},
     ("firing", "MEDIUM", "Cost anomaly: Amazon EC2", "Amazon EC2", "")),
    ({"AccountId": ACCOUNT, "Region": REGION, "MessageType": "NEW_INSIGHT", "InsightId": "AH1",
     "InsightName": "Latency",
      "InsightSeverity": "medium", "StartTime": 1772357412345},
     ("firing", "MEDIUM", "DevOps Guru: Latency", "devops-guru", "Latency")),
    ({"region": REGION, "accountId": ACCOUNT, "eventTriggerName": "t", "applicationName": "shop", "deploymentId": "d-1",
      "deploymentGroupName": "blue", "status": "FAILED"}, ("firing", "HIGH", "CodeDeploy failed: shop", "shop",
       "blue")),
    ({"region": REGION, "consoleLink": "https://console.aws.amazon.com/x",
      "approval": {"pipelineName": "shop", "actionName": "Approve", "token": "t"}},
     ("info", "LOW", "CodePipeline waits for an approval: shop", "codepipeline", "shop")),
    ({"requestContext": {"functionArn": f"arn:aws:lambda:{ARN}:function:stock", "condition": "RetryAttemptsExhausted"},
      "responseContext": {"functionError": "Unhandled"}, "KinesisBatchInfo": {"batchSize": 100}},
     ("firing", "HIGH", "Lambda call: stock", "stock", "stock")),
    ({**STATES, "executionArn": f"arn:aws:states:{ARN}:execution:refunds:r-17", "status": "FAILED"},
     ("firing", "HIGH", "Step Functions failed: refunds", "states", "refunds")),
    ({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "awsRegion": REGION,
                   "s3": {"bucket": {"name": "shop-in"}, "object": {"key": "a.csv"}}}]},
     ("info", "LOW", "AWS object created:put: shop-in a.csv", "s3", "shop-in")),
    ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-03-01T09:30:12Z", "Bucket": "shop-in"},
     ("info", "LOW", "S3 test event: shop-in", "s3", "shop-in")),
    ({"version": "1.0", "source": "custom", "content": {"title": "Disk full on web-1", "description": "98 %"}},
     ("firing", "CRITICAL", "Disk full on web-1", "chatbot", "")),
]
# fmt: on


@pytest.mark.parametrize(("body", "expected"), MESSAGES)
def test_messages(body: dict[str, object], expected: tuple[str, ...]) -> None:
    assert detected(body) == "aws_notification"
    assert seen(read("aws_notification", body)) == expected


def test_a_scaling_that_works_ends_the_errors_of_its_own_kind() -> None:
    words = ("LAUNCH_ERROR", "LAUNCH", "TERMINATE_ERROR", "TERMINATE")
    alarms = [
        read("aws_notification", {**SCALING, "Event": f"autoscaling:EC2_INSTANCE_{word}"}).source_id for word in words
    ]
    assert alarms[0] == alarms[1] != alarms[2] == alarms[3]


def test_a_success_ends_the_command_that_failed_on_the_same_instance() -> None:
    failed, repaired = (
        read("aws_notification", {**COMMAND, "commandId": said, "status": said}) for said in ("Failed", "Success")
    )
    elsewhere = read("aws_notification", {**COMMAND, "instanceId": "i-1", "status": "Success"})
    assert failed.source_id == repaired.source_id != elsewhere.source_id


@pytest.mark.parametrize("name", ["eventbridge", "cloudwatch_logs", "alertmanager", "aws_notification", "sns"])
def test_raw_delivery_of_sns_calls_its_json_plain_text(name: str) -> None:
    assert "text/plain" in load_sources()[name].INFO.content_types
