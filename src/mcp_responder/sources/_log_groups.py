"""Log groups of CloudWatch: whose log it is by the group's name, and where to read it in the console."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from mcp_responder.sources._aws import console, is_region

_KINDS = (
    "aws application applications app apps audit api-gateway cluster clusters broker broker-logs brokers containers "
    "containerinsights data dataplane domain domains endpoint endpoints error errors general host instance "
    "instances job jobs lambda log logs messages output performance postgresql proxy query service services slowquery "
    "states state-machine state-machines stderr stdout syslog upgrade vendedlogs var access ecs k8s kubernetes "
    "kube pods production-logs iam-db-auth-error search-slow-logs index-slow-logs es-application-logs"
)
KINDS = frozenset(_KINDS.split())
"""Parts of a name that say what kind of thing or log it is."""
_PLACES = "prod production live prd stage staging stg dev development test testing qa uat sandbox demo"
PLACES = frozenset(_PLACES.split())
NAMED_BEHIND = frozenset(("lambda", "codebuild", "apigateway", "eks", "apprunner", "kinesisfirehose"))
"""Products of AWS whose groups have the name right behind, whatever it is."""
_EXECUTION = re.compile(r"API-Gateway-Execution-Logs_([^/]+)(?:/(.+))?")
_PREFIXES = re.compile(r"aws-waf-logs-|awslogs-")
_EDGE = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d\.(?=.)")
"""Lambda@Edge puts the region in front of the function's name."""


class Owner(NamedTuple):
    """Whose log it is."""

    service: str
    environment: str = ""


@lru_cache(maxsize=1024)
def owner_of(group: str) -> Owner:
    """Read from ``/aws/lambda/NAME``, ``/ecs/NAME``, ``/aws/rds/instance/NAME/error``, ``/shop/prod/NAME``."""
    if execution := _EXECUTION.fullmatch(group):
        return Owner(execution[1], execution[2] or "")
    parts = [part for part in group.split("/") if part]
    if parts[:1] == ["aws"] and parts[1:2] and parts[1] in NAMED_BEHIND and parts[2:]:
        return Owner(_EDGE.sub("", parts[2], count=1))
    places = [part for part in parts if part.lower() in PLACES]
    of_aws = len(parts) > 1 and parts[0].lower() in ("aws", "aws-glue")
    names = [part for part in (parts[2:] if of_aws else parts) if _is_name(part)]
    # What AWS names has its name in front, what people name behind.
    service = names[0 if of_aws else -1] if names else parts[1] if of_aws else next(iter(parts), "")
    return Owner(_PREFIXES.sub("", service, count=1), places[0] if places else "")


def _is_name(part: str) -> bool:
    word = part.lower().removesuffix(".log")
    return word not in KINDS and word not in PLACES


def group_page(region: str, group: str) -> str:
    """The group's page in the console; without a region, in the one that the reader used last."""
    place = f"?region={region}" if is_region(region) else ""
    return f"https://{console(region)}/cloudwatch/home{place}#logsV2:log-groups/log-group/{_twice(group)}"


def stream_page(region: str, group: str, stream: str, at: int | None) -> str:
    """The stream's page, from a time in epoch milliseconds on."""
    since = f"$3Fstart$3D{at}" if at else ""
    return f"{group_page(region, group)}/log-events/{_twice(stream)}{since}"


@lru_cache(maxsize=1024)
def _twice(name: str) -> str:
    """As the console writes a name into its address: encoded twice, with a dollar for the second percent."""
    return quote(quote(name, safe=""), safe="").replace("%", "$")
