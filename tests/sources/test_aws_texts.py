"""What services of AWS write to SNS in words, and what an engineer reads in it."""

from __future__ import annotations

import pytest

from tests.sources.reading import read

ARN = "eu-central-1:210987654321"
BACKUP = f"Resource ARN : arn:aws:ec2:{ARN}:volume/vol-0f44. BackupJob ID : 1b2345b2-f22c"
POINT = f"Recovery point ARN: arn:aws:ec2:{ARN}::snapshot/snap-1. Backed up {BACKUP}"
BUDGET = """AWS Budget Notification March 01, 2026
AWS Account 111122223333

Dear AWS Customer,

You requested that we alert you when the {kind} Cost associated with your shop budget is greater than $80.00.

Budget Name: shop monthly
Budget Type: Cost
Budgeted Amount: $100.00
Alert Type: {kind}
Alert Threshold: > $80.00
{kind} Amount: $81.12

[1] https://console.aws.amazon.com/billing/home#/budgets
"""
BEANSTALK = """Timestamp: Sun Mar 01 09:30:12 UTC 2026
Message: {said}

Environment: shop-env
Application: shop

Environment URL: http://shop-env.eu-central-1.elasticbeanstalk.com
NotificationProcessId: ed05c426
"""
STACK = """StackId='arn:aws:cloudformation:eu-central-1:210987654321:stack/shop-api/6d3e'
Timestamp='2026-03-01T09:30:12.345Z'
EventId='Db-CREATE_FAILED-2026-03-01T09:30:12.345Z'
LogicalResourceId='{part}'
Namespace='210987654321'
PhysicalResourceId='{physical}'
ResourceProperties='{{"Engine":"postgres"}}
'
ResourceStatus='{status}'
ResourceStatusReason='Instance type is not supported'
ResourceType='AWS::RDS::DBInstance'
StackName='shop-api'
"""
WHOLE = {"part": "shop-api", "physical": "arn:aws:cloudformation:eu-central-1:210987654321:stack/shop-api/6d3e"}
HEALTH = "AWS Elastic Beanstalk Notification - Environment health has transitioned"
ELASTIC = "Environment health has transitioned from Ok to {}. 20 % of the requests fail."

# fmt: off
TEXTS = [
    ("Notification from AWS Backup", f"An AWS Backup job failed. {BACKUP}",
     ("firing", "HIGH", "AWS Backup failed: vol-0f44", "backup", "vol-0f44")),
    ("Notification from AWS Backup", f"An AWS Backup job was stopped. {BACKUP}",
     ("firing", "HIGH", "AWS Backup failed: vol-0f44", "backup", "vol-0f44")),
    ("Notification from AWS Backup", f"An AWS Backup job was completed successfully. {POINT}",
     ("resolved", "HIGH", "AWS Backup completed: vol-0f44", "backup", "vol-0f44")),
    ("AWS Budgets: shop monthly has exceeded your alert threshold", BUDGET.format(kind="ACTUAL"),
     ("firing", "MEDIUM", "Budget exceeded: shop monthly", "budgets", "")),
    ("AWS Budgets: shop monthly is forecasted to exceed", BUDGET.format(kind="FORECASTED"),
     ("firing", "LOW", "Budget exceeded: shop monthly", "budgets", "")),
    (f"{HEALTH} from Ok to Severe", BEANSTALK.format(said=ELASTIC.format("Severe")),
     ("firing", "HIGH", "Elastic Beanstalk severe: shop-env", "shop", "shop-env")),
    (f"{HEALTH} from Ok to Warning", BEANSTALK.format(said=ELASTIC.format("Warning")),
     ("firing", "MEDIUM", "Elastic Beanstalk warning: shop-env", "shop", "shop-env")),
    (f"{HEALTH} from Severe to Ok", BEANSTALK.format(said="Environment health has transitioned from Severe to Ok."),
     ("resolved", "MEDIUM", "Elastic Beanstalk ok: shop-env", "shop", "shop-env")),
    ("AWS Elastic Beanstalk Notification - Failed to deploy", BEANSTALK.format(said="Failed to deploy application."),
     ("firing", "HIGH", "Elastic Beanstalk failed: shop-env", "shop", "shop-env")),
    ("AWS Elastic Beanstalk Notification - New version", BEANSTALK.format(said="New application version was deployed."),
     ("info", "LOW", "Elastic Beanstalk: shop-env", "shop", "shop-env")),
    ("AWS CloudFormation Notification", STACK.format(part="Db", physical="", status="CREATE_FAILED"),
     ("firing", "HIGH", "CloudFormation stack create failed: shop-api/Db", "cloudformation", "shop-api/Db")),
    ("AWS CloudFormation Notification", STACK.format(part="Db", physical="", status="CREATE_COMPLETE"),
     ("info", "LOW", "CloudFormation stack create complete: shop-api/Db", "cloudformation", "shop-api/Db")),
    ("AWS CloudFormation Notification", STACK.format(**WHOLE, status="ROLLBACK_IN_PROGRESS"),
     ("firing", "HIGH", "CloudFormation stack rollback in progress: shop-api", "cloudformation", "shop-api")),
    ("AWS CloudFormation Notification", STACK.format(**WHOLE, status="UPDATE_COMPLETE"),
     ("resolved", "HIGH", "CloudFormation stack update complete: shop-api", "cloudformation", "shop-api")),
    ("Hello", "An AWS engineer wrote this", ("firing", "MEDIUM", "Hello", "", "")),
    ("Costs", "AWS Budgets are fine", ("firing", "LOW", "Costs", "", "")),
]
# fmt: on


def envelope(subject: str, message: str) -> dict[str, object]:
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": f"arn:aws:sns:{ARN}:oncall",
        "Subject": subject,
        "Message": message,
        "Timestamp": "2026-03-01T09:30:13.000Z",
    }


@pytest.mark.parametrize(("subject", "message", "expected"), TEXTS)
def test_texts(subject: str, message: str, expected: tuple[str, ...]) -> None:
    alert = read("sns", envelope(subject, message))
    assert (alert.status, alert.severity, alert.title, alert.service, alert.resource) == expected
    assert (alert.source, alert.event_id) == ("sns", "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324")
    assert message.strip() in alert.message


@pytest.mark.parametrize(
    ("failed", "succeeded"),
    [
        (f"An AWS Backup job failed. {BACKUP}", f"An AWS Backup job was completed successfully. {POINT}"),
        (
            STACK.format(part="Db", physical="", status="CREATE_FAILED"),
            STACK.format(**WHOLE, status="UPDATE_COMPLETE"),
        ),
    ],
)
def test_success_ends_the_failure_of_the_same(failed: str, succeeded: str) -> None:
    first, second = read("sns", envelope("x", failed)), read("sns", envelope("x", succeeded))
    assert (first.status, second.status) == ("firing", "resolved")
    assert first.source_id == second.source_id != ""


def test_a_budget_is_of_the_account_that_it_names() -> None:
    alert = read("sns", envelope("AWS Budgets", BUDGET.format(kind="ACTUAL")))
    assert (alert.account, alert.region, alert.labels["topic"]) == ("111122223333", "eu-central-1", "oncall")
