"""Names of AWS: ARNs, regions as codes and as CloudWatch writes them out, console addresses."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

REGIONS: dict[str, str] = {
    "us-east-1": "N. Virginia, Virginia",
    "us-east-2": "Ohio",
    "us-west-1": "N. California, California",
    "us-west-2": "Oregon",
    "af-south-1": "Cape Town",
    "ap-east-1": "Hong Kong",
    "ap-east-2": "Taipei",
    "ap-northeast-1": "Tokyo",
    "ap-northeast-2": "Seoul",
    "ap-northeast-3": "Osaka, Osaka-Local",
    "ap-south-1": "Mumbai",
    "ap-south-2": "Hyderabad",
    "ap-southeast-1": "Singapore",
    "ap-southeast-2": "Sydney",
    "ap-southeast-3": "Jakarta",
    "ap-southeast-4": "Melbourne",
    "ap-southeast-5": "Malaysia",
    "ap-southeast-6": "New Zealand",
    "ap-southeast-7": "Thailand",
    "ca-central-1": "Canada (Central)",
    "ca-west-1": "Calgary",
    "eu-central-1": "Frankfurt",
    "eu-central-2": "Zurich",
    "eu-north-1": "Stockholm",
    "eu-south-1": "Milan",
    "eu-south-2": "Spain",
    "eu-west-1": "Ireland",
    "eu-west-2": "London",
    "eu-west-3": "Paris",
    "eusc-de-east-1": "Germany, Brandenburg",
    "il-central-1": "Tel Aviv",
    "me-central-1": "UAE",
    "me-south-1": "Bahrain",
    "mx-central-1": "Mexico (Central)",
    "sa-east-1": "São Paulo, Sao Paulo",
    "us-gov-east-1": "US-East, US-Gov-East",
    "us-gov-west-1": "US-West, US-Gov-West, AWS GovCloud (US)",
    "cn-north-1": "Beijing",
    "cn-northwest-1": "Ningxia",
}
"""Code -> the places in its name; "EU (Ireland)" and "Europe (Ireland)" are both Ireland."""

_BY_PLACE = {place.lower(): code for code, places in REGIONS.items() for place in places.split(", ")}
_CODE = re.compile(r"[a-z]{2,4}(?:-[a-z]+){1,3}-\d{1,2}")
_PLACE = re.compile(r"\(([^()]+)\)\s*$|\s-\s+(.+)$")
_LONGEST = 80


class Arn(NamedTuple):
    """The parts of an ARN; all empty if it is none."""

    service: str = ""
    region: str = ""
    account: str = ""
    resource: str = ""


def read_arn(words: str) -> Arn:
    """``arn:partition:service:region:account:resource``."""
    parts = words.split(":", 5)
    return Arn(*parts[2:]) if len(parts) == 6 and parts[0] == "arn" else Arn()


def short_name(arn: str) -> str:
    """What an engineer calls it: the last part of its ARN, without the kind of thing it is."""
    resource = read_arn(arn).resource
    return resource.rpartition("/")[2] if "/" in resource else resource.partition(":")[2] or resource


def alarm_arn(region: str, account: str, name: str) -> str:
    """The ARN that CloudWatch gives an alarm."""
    return f"arn:{_partition(region)}:cloudwatch:{region}:{account}:alarm:{name}"


def region_code(words: str) -> str:
    """The code of a region that is written out ("EU (Ireland)"); what isn't known stays as it is."""
    return _region_code(words.strip()[:_LONGEST])


@lru_cache(maxsize=256)
def _region_code(words: str) -> str:
    if is_region(words) or words.lower() in _BY_PLACE:
        return _BY_PLACE.get(words.lower(), words)
    place = _PLACE.search(words)
    return _BY_PLACE.get((place[1] or place[2]).strip().lower(), words) if place else words


def is_region(words: str) -> bool:
    """Whether it looks like a region's code."""
    return bool(_CODE.fullmatch(words))


def alarm_name(arn: str) -> str:
    """The name of the alarm that an ARN belongs to; nothing if it is none of an alarm."""
    resource = read_arn(arn).resource
    return resource.removeprefix("alarm:") if resource.startswith("alarm:") else ""


def alarm_page(region: str, name: str) -> str:
    """The alarm's page in the console, or nothing if the region isn't known."""
    if not is_region(region):
        return ""
    return f"https://{console(region)}/cloudwatch/home?region={region}#alarmsV2:alarm/{quote(name, safe='')}"


def console(region: str) -> str:
    """The console's host for a region; the common one if the region isn't known."""
    domain = {"aws-cn": "amazonaws.cn", "aws-us-gov": "amazonaws-us-gov.com", "aws-eusc": "amazonaws-eusc.eu"}
    host = f"console.{domain.get(_partition(region), 'aws.amazon.com')}"
    return f"{region}.{host}" if is_region(region) else host


def _partition(region: str) -> str:
    starts = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc"}
    return next((partition for start, partition in starts.items() if region.startswith(start)), "aws")
