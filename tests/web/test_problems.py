"""Every error is a problem document, and none tells a secret."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from mcp_responder.entrypoints.web.problems import BadParameter, HttpProblem, LastResort, http_problem, problem_response
from mcp_responder.model.errors import InvalidRequest, NotFound, Permanent, Refused, ResponderError, Transient


def told(error: BaseException) -> tuple[int, dict[bytes, bytes], dict[str, Any]]:
    status, headers, body = problem_response(error)
    return status, dict(headers), json.loads(body)


def test_an_invalid_request_tells_all_it_knows() -> None:
    status, headers, problem = told(NotFound("alert", "a-1"))
    assert status == 404
    assert headers == {b"content-type": b"application/problem+json"}
    assert problem == {
        "type": "urn:mcp-responder:problem:not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no alert 'a-1'.",
        "code": "not_found",
    }


def test_what_the_state_forbids_is_a_conflict() -> None:
    status, _, problem = told(Refused("INC-1 is resolved; reopen it first."))
    assert (status, problem["code"]) == (409, "illegal_change")


def test_401_asks_for_both_kinds_of_credentials() -> None:
    _, headers, _ = problem_response(InvalidRequest("missing_key", "Send one.", status=401))
    challenges = [value.split()[0] for name, value in headers if name == b"www-authenticate"]
    assert challenges == [b"Basic", b"Bearer"]


@pytest.mark.parametrize(("given", "sent"), [(0.01, b"1"), (1.2, b"2"), (30, b"30")])
def test_retry_after_is_whole_seconds_and_never_too_early(given: float, sent: bytes) -> None:
    _, headers, _ = told(InvalidRequest("rate_limited", "Wait.", status=429, retry_after=given))
    assert headers[b"retry-after"] == sent


@pytest.mark.parametrize(("error", "sent"), [(Transient("The disk is full."), b"5"), (Transient("Wait.", 17), b"17")])
def test_what_may_work_later_is_503_with_a_time(error: Transient, sent: bytes) -> None:
    status, headers, problem = told(error)
    assert (status, problem["code"], headers[b"retry-after"]) == (503, "unavailable", sent)
    assert problem["detail"] == str(error)


@pytest.mark.parametrize("error", [ValueError("token=hunter2"), ResponderError("hunter2"), Permanent("hunter2")])
def test_an_unknown_error_tells_nothing(error: Exception, logs: list[Any]) -> None:
    status, _, problem = told(error)
    assert (status, problem["code"]) == (500, "internal_error")
    assert "hunter2" not in str(problem)
    assert [(entry["event"], entry["error"]) for entry in logs] == [("request_failed", type(error).__name__)]


def test_members_and_headers_of_a_problem_are_told() -> None:
    error = HttpProblem("odd", "It is odd.", 422, members={"rejected": [1]}, headers={"Allow": "GET"})
    _, headers, problem = told(error)
    assert problem["rejected"] == [1]
    assert headers[b"allow"] == b"GET"


def test_any_invalid_request_may_have_members() -> None:
    error = InvalidRequest("all_rejected", "None could be read.", status=422)
    error.members = {"rejected": (1, 2)}  # type: ignore[attr-defined]
    assert told(error)[2]["rejected"] == [1, 2]


def test_a_bad_parameter_is_named() -> None:
    _, _, problem = told(BadParameter("limit", "must be a number"))
    assert problem["parameter"] == "limit"
    assert problem["detail"] == "The parameter 'limit' must be a number."


@pytest.mark.parametrize("name", ["\ud800", "\x00\n", "x" * 100_000, "<script>"])
def test_hostile_names_are_encoded_and_cut(name: str) -> None:
    _, _, body = problem_response(NotFound("alert", name))
    assert len(json.loads(body)["detail"]) <= 2000


def test_what_the_framework_refuses_keeps_its_status_and_headers() -> None:
    problem = http_problem(HTTPException(416, headers={"Content-Range": "bytes */9"}))
    status, headers, body = problem_response(problem)
    assert (status, json.loads(body)["code"]) == (416, "requested_range_not_satisfiable")
    assert (b"content-range", b"bytes */9") in headers


def run(app: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    asyncio.run(LastResort(app)({"type": "http"}, receive, send))
    return sent


def test_the_last_resort_answers_what_nobody_caught() -> None:
    async def app(*_: object) -> None:
        raise KeyError("hunter2")

    start, body = run(app)
    assert start["status"] == 500
    assert b"hunter2" not in body["body"]
    assert (b"content-length", str(len(body["body"])).encode()) in start["headers"]


def test_the_last_resort_cant_take_back_an_answer_that_has_begun() -> None:
    async def app(_: object, __: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        raise KeyError("x")

    with pytest.raises(KeyError):
        run(app)


def test_the_last_resort_has_nothing_to_say_to_a_caller_who_has_gone() -> None:
    from starlette.requests import ClientDisconnect

    async def app(*_: object) -> None:
        raise ClientDisconnect

    assert run(app) == []
