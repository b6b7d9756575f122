"""Jobs of CI systems: what failed fires, what went well resolves, and what isn't over pages nobody."""

from __future__ import annotations

import pytest

from mcp_responder.model.alert import Status
from tests.sources.reading import generic

GITLAB = {"object_kind": "pipeline", "project": {"path_with_namespace": "shop/api"}, "commit": {"title": "Fix it"}}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        *[(word, Status.FIRING) for word in ("failed", "FAILURE", "error", "timed_out", "UNSTABLE", "action_required")],
        *[(word, Status.RESOLVED) for word in ("success", "SUCCESS", "passed", "succeeded", "fixed")],
        *[(word, Status.INFO) for word in ("created", "STARTED", "queued", "pending", "in_progress", "running")],
        *[(word, Status.INFO) for word in ("skipped", "canceled", "cancelled", "neutral")],
    ],
)
def test_the_state_of_a_job_stands_one_level_down(said: str, status: Status) -> None:
    gitlab = generic(**GITLAB, object_attributes={"status": said, "ref": "main"})
    github = generic(action="created", workflow_run={"name": "tests", "status": "completed", "conclusion": said})
    jenkins = generic(name="shop", build={"phase": "FINALIZED", "status": said})
    assert [alert.status for alert in (gitlab, github, jenkins)] == [status] * 3
    assert [alert.title for alert in (gitlab, github, jenkins)] == [
        "pipeline: shop/api, main",
        "workflow run: tests",
        "shop",
    ]


def test_success_and_failure_of_a_job_have_one_title_whatever_was_committed() -> None:
    failed = generic(**{**GITLAB, "commit": {"title": "Break it"}}, object_attributes={"status": "failed"})
    passed = generic(**GITLAB, object_attributes={"status": "success"})
    assert failed.title == passed.title


def test_a_name_is_a_better_title_than_pairs() -> None:
    assert generic(object_attributes={"name": "nightly", "status": "failed"}).title == "object attributes: nightly"
    assert generic(component={"name": "Database", "status": "under_maintenance"}).title == "Database"
    assert generic(object_kind="push", commit={"message": "Fix it\n\nlong"}).title == "push: Fix it"


@pytest.mark.parametrize("part", [{"status": "ok"}, {"state": "running"}, {"status": "success"}, {"status": "pending"}])
def test_an_alert_with_words_of_its_own_isnt_ended_by_the_state_of_something_in_it(part: dict[str, object]) -> None:
    assert generic(title="Checkout is down", database=part).status is Status.FIRING


def test_what_the_body_says_itself_wins() -> None:
    assert generic(title="x", status="resolved", build={"status": "FAILURE"}).status is Status.RESOLVED
    assert generic(status="failed", build={"status": "SUCCESS"}).status is Status.FIRING


def test_of_states_that_differ_the_worst_counts() -> None:
    assert generic(web={"state": "up"}, db={"state": "down"}).status is Status.FIRING
    assert generic(web={"state": "up"}, db={"state": "ok"}).status is Status.RESOLVED
    assert generic(web={"state": ["up"]}, db={"state": 1}).status is Status.FIRING
