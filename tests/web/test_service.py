"""The service about itself, and what it says of paths and methods that it doesn't have."""

from __future__ import annotations

import pytest
from fastapi import Query

from mcp_responder.model.errors import Transient
from mcp_responder.ports import Commit
from tests.web.conftest import Stage
from tests.web.house import UNKNOWN, Client, House


def test_health_and_readiness_are_open(client: Client, house: House) -> None:
    assert client.get("/healthz", key="").json == {"status": "ok"}
    assert client.get("/readyz", key="").json == {"status": "ready"}
    house.reason = "The disk is full."
    answer = client.get("/readyz", key="")
    assert answer.problem(503, "not_ready")["detail"] == "The disk is full."
    assert answer.headers["retry-after"] == "1"
    assert client.get("/healthz", key="").status == 200


def test_metrics_are_open_to_this_machine(client: Client) -> None:
    answer = client.get("/metrics", key="")
    assert (answer.status, answer.body) == (200, b"# HELP up It is.\nup 1\n")
    assert answer.headers["content-type"].startswith("text/plain; version=")


@pytest.mark.parametrize(
    "settings", [{"host": "0.0.0.0", "tls_certificate": "a"}, {"behind_proxy": True}, {"host": "example.com"}]
)
def test_metrics_need_a_key_where_others_can_ask(client: Client, stage: Stage, settings: dict[str, object]) -> None:
    client.house = House(**settings)
    stage.app = client.house.door
    client.get("/metrics", key="").problem(401, "missing_key")
    client.get("/metrics", key="ingest").problem(403, "missing_scope")
    assert client.get("/metrics", key="read").status == 200


@pytest.mark.parametrize("host", ["localhost", "::1", "127.0.0.1", "127.1.2.3"])
def test_loopback_has_several_names(client: Client, stage: Stage, host: str) -> None:
    stage.app = House(host=host).door
    assert client.get("/metrics", key="").status == 200


def test_queues_are_shown_by_lane(client: Client, house: House) -> None:
    house.fires()
    lanes = client.get("/v1/queues").json["lanes"]
    assert lanes["channel:slack"] == {"ready": 1, "delayed": 0, "leased": 0, "oldest": 0.0}


def test_dead_letters_are_shown_newest_first(client: Client, house: House) -> None:
    for title in ("one", "two"):
        incident_id = house.opens(title=title)
        [leased] = house.store.receive("channel:slack", 1, 0)
        house.store.commit(Commit(incident_id=incident_id, letter=f"{title} is gone", finished=leased))
        house.clock.advance(seconds=1)
    letters = client.items("/v1/dead-letters")
    assert [letter["reason"] for letter in letters] == ["two is gone", "one is gone"]
    assert letters[0]["task"]["work"] == {"type": "notify", "incident_id": incident_id, "channel": "slack"}
    assert len(client.items("/v1/dead-letters?limit=1")) == 1


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/alerts/", "/v2/alerts", "/docs", "/redoc", "/%ff", "//"])
def test_an_unknown_path_is_a_problem(client: Client, path: str) -> None:
    assert "/openapi.json" in client.get(path).problem(404, "unknown_path")["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/alerts", "GET, HEAD, POST"),
        ("PUT", "/v1/sources/grafana", "GET, HEAD, POST"),
        ("PATCH", "/v1/keys", "GET, HEAD, POST"),
        ("GET", "/v1/keys/ci", "DELETE"),
        ("GET", "/v1/incidents/1/resolve", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/v1/incidents", "GET, HEAD"),
        ("TRACE", "/v1/alerts/1", "GET, HEAD"),
    ],
)
def test_a_method_that_isnt_possible_says_which_are(client: Client, method: str, path: str, allowed: str) -> None:
    answer = client.ask(method, path)
    answer.problem(405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/v1/alerts", 200), ("/nothing", 404)])
def test_head_is_get_without_a_body(client: Client, path: str, status: int) -> None:
    head, get = client.ask("HEAD", path), client.get(path)
    assert (head.status, head.body) == (status, b"")
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}


def test_a_mistake_of_ours_tells_nothing(client: Client, house: House) -> None:
    house.breaks(UNKNOWN)
    answer = client.get("/v1/incidents/1")
    answer.problem(500, "internal_error")
    assert b"hunter2" not in answer.body
    assert b"Traceback" not in answer.body


def test_a_store_that_is_behind_says_when_to_come_back(client: Client, house: House) -> None:
    house.breaks(Transient("The disk is full.", 30))
    answer = client.get("/v1/incidents/1")
    assert answer.problem(503, "unavailable")["detail"] == "The disk is full."
    assert answer.headers["retry-after"] == "30"


def test_what_fastapi_itself_checks_is_a_problem_too(client: Client, house: House) -> None:
    async def later(size: int = Query(le=3)) -> int:
        return size

    house.api.add_api_route("/later", later)
    problem = client.get("/later?size=4").problem(422, "invalid_parameter")
    assert problem["parameter"] == "size"
    assert "less than or equal to 3" in problem["detail"]


@pytest.mark.parametrize("path", ["/v1/alerts", "/v1/keys", "/v1/queues", "/v1/dead-letters", "/v1/ledger"])
def test_nothing_is_shown_without_a_key(client: Client, path: str) -> None:
    answer = client.get(path, key="")
    answer.problem(401, "missing_key")
    assert len(answer.headers.getlist("www-authenticate")) == 2
    client.get(path, key="ingest").problem(403, "missing_scope")
    client.get(path, key="mistyped").problem(401, "wrong_key")
