"""The description is complete, and true: hundreds of made-up requests are answered as it says."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mcp_responder.entrypoints.web.parameters import NewKey
from mcp_responder.model.alert import Status
from mcp_responder.operations import SCOPES
from mcp_responder.ports import Query
from tests.web.conftest import Stage
from tests.web.house import Client, House

OPEN = {"/healthz", "/readyz", "/metrics"}
CALLBACKS = {"POST /v1/channels/{name}/actions", "POST /v1/channels/{name}/events"}
"""Open too: what they are sent is signed, and only the channel knows what it means."""
INGEST = {"/v1/alerts", "/v1/sources/{source}"}
EXAMPLES = 15
"""Requests for each operation."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def document(client: Client) -> Any:
    answer = client.get("/openapi.json", key="")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return answer.json


def operations(document: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


def test_every_route_is_described_and_nothing_else(document: Any, house: House) -> None:
    served = {
        f"{method} {route.path}"
        for route in house.api.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    described = set(operations(document))
    assert described - {f"POST {path}" for path in INGEST} == served - {"GET /openapi.json"}


def test_every_operation_explains_itself(document: Any) -> None:
    described = operations(document)
    assert len({operation["operationId"] for operation in described.values()}) == len(described)
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in described.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= tags, name


def test_every_reference_leads_somewhere(document: Any) -> None:
    for reference in references(document):
        _, kind, section, name = reference.split("/")
        assert kind == "components"
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
        Draft202012Validator.check_schema(document["components"]["schemas"].get(name, {}))
        assert name in document["components"][section]


def test_every_closed_operation_names_its_scope_and_problems(document: Any) -> None:
    for name, operation in operations(document).items():
        if name.removeprefix("GET ") in OPEN or name in CALLBACKS:
            assert "security" not in operation
            continue
        assert [list(one) for one in operation["security"]] == [["apiKey"], ["bearer"], ["basic"]]
        [scope] = operation["security"][0]["apiKey"]
        assert f"`{scope}`" in operation["description"]
        assert {"401", "403", "429", "500", "503"} <= set(operation["responses"])


def test_the_ingest_routes_are_written_out(document: Any) -> None:
    for path in INGEST:
        operation = document["paths"][path]["post"]
        assert {"202", "400", "413", "415", "422"} <= set(operation["responses"])
        assert set(operation["requestBody"]["content"]) == {"application/json", "text/plain"}
        headers = {one["name"] for one in operation["parameters"] if one["in"] == "header"}
        assert headers == {"Idempotency-Key", "Content-Encoding"}
    assert "404" in document["paths"]["/v1/sources/{source}"]["post"]["responses"]
    accepted = document["components"]["schemas"]["AcceptedView"]["properties"]
    assert set(accepted) == {"alert_id", "source", "signature", "status_url"}


def test_a_body_is_required_where_something_in_it_is(document: Any) -> None:
    required = {
        name for name, operation in operations(document).items() if operation.get("requestBody", {}).get("required")
    }
    ingest = {f"POST {path}" for path in INGEST}
    one = "POST /v1/incidents/{incident_id}"
    assert required == ingest | CALLBACKS | {"POST /v1/keys", f"{one}/comment", f"{one}/silence"}


def test_times_are_described_as_times(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["AlertView"]["properties"]["received_at"] == {"type": "string", "format": "date-time"}
    resolved_at = schemas["IncidentView"]["properties"]["resolved_at"]["anyOf"]
    assert {"type": "string", "format": "date-time"} in resolved_at


def test_the_metrics_are_described_as_closed_where_they_are(client: Client, stage: Stage) -> None:
    stage.app = House(behind_proxy=True).door
    assert client.get("/openapi.json").json["paths"]["/metrics"]["get"]["security"]


def test_the_scopes_of_a_new_key_are_all_there_are() -> None:
    scopes = get_type_hints(NewKey)["scopes"]
    assert get_args(get_args(scopes)[0]) == SCOPES


# ------------------------------------------------------------------------------------------------ requests by the dozen


@pytest.fixture
def schema(client: Client, house: House) -> Any:
    for title in ("Disk full", "Pool exhausted"):
        house.opens(title=title)
    house.fires(status=Status.INFO)
    described = schemathesis.openapi.from_dict(client.get("/openapi.json").json)
    described.config.update(base_url=client.url)
    return described.exclude(path=sorted(INGEST), method="POST")


@pytest.mark.parametrize("mode", GenerationMode)
def test_made_up_requests_are_answered_as_described(schema: Any, house: House, mode: GenerationMode) -> None:
    """Requests that keep to the description, and such that don't."""
    for operation in schema.get_all_operations():
        path = operation.ok().path
        if mode is GenerationMode.POSITIVE or (path not in OPEN and f"POST {path}" not in CALLBACKS):
            _ask(operation.ok(), mode, house)


def _ask(operation: Any, mode: GenerationMode, house: House) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), real=booleans())
    def ask(case: Case[Any], real: bool) -> None:
        if real:
            _aim(case, house)
        case.call_and_validate(checks=CHECKS, headers={"X-API-Key": house.tokens["all"]})

    ask()


def _aim(case: Case[Any], house: House) -> None:
    """Ask for what exists, so that not every request ends in 404."""
    real = {
        "incident_id": house.store.incidents(Query(limit=1)).items[0].incident.incident_id,
        "alert_id": house.store.alerts(Query(limit=1)).items[0].alert.alert_id,
        "name": "grafana" if "sources" in case.path else "ops" if "channels" in case.path else "ingest",
    }
    for name in case.path_parameters or {}:
        case.path_parameters[name] = real[name]
