"""What CI systems and status pages tell: the state and the name stand one level down, in the object of the job.

GitLab: ``object_attributes.status``. GitHub: ``workflow_run.conclusion``. Jenkins: ``build.status``.
"""

from __future__ import annotations

from collections.abc import Iterator

from mcp_responder.model.alert import Status
from mcp_responder.plumbing.fields import mapping, text
from mcp_responder.sources._reading import plain, read_status

JOBS = (
    *("object_attributes", "workflow_job", "workflow_run", "check_run", "check_suite", "deployment_status", "build"),
    *("job", "pipeline", "run", "task", "stage", "deployment", "release", "execution"),
)
"""Objects that are jobs, the most telling first."""
STATES = ("conclusion", "result", "build_status", "status", "state", "phase")
"""Fields that say how it went, the outcome before the progress."""
NAMES = ("name", "title")
PLACES = ("project", "repository")
BRANCHES = ("ref", "head_branch", "branch")

_EVIDENCE = frozenset((*JOBS, "object_kind"))
_OUTCOMES: dict[Status, str] = {
    Status.FIRING: "failed failure fail error errored unstable timed_out timeout startup_failure action_required",
    Status.RESOLVED: "success succeeded successful passed fixed",
    Status.INFO: "created started queued pending requested waiting waiting_for_resource preparing running in_progress "
    "scheduled manual blocked skipped neutral stale cancelled canceled canceling aborted not_built",
}
_BY_WORD = {plain(word): status for status, words in _OUTCOMES.items() for word in words.split()}


def job_status(body: dict[str, object], *, titled: bool) -> Status | None:
    """What the objects in a body say of their state.

    An alert that has words of its own believes only a job: "Checkout fails" with ``database: {status: ok}`` fires.
    """
    if titled and _EVIDENCE.isdisjoint(body):
        return None
    # GitLab's own top level is that of the job.
    said = _outcome(body) if "object_kind" in body else None
    for _, job in _jobs(body):
        said = said or _outcome(job)
    if said or titled:
        return said
    states = [state for _, inner in _objects(body) if (state := _state(inner))]
    return min(states, key=_WORST.index, default=None)


_WORST = (Status.FIRING, Status.RESOLVED, Status.INFO)


def job_title(body: dict[str, object]) -> str:
    """What it is about: "check run: linter, octo/shop, main". The same for success and failure of the same job, so that
    one can end the other; the commit, which is another each time, only if nothing else has a name."""
    kind, job = next(_jobs(body), ("", {}))
    name = _name(body, job)
    parts = (name, _place(body), _first(job, BRANCHES) or _first(body, BRANCHES))
    about = ", ".join(filter(None, parts)) if parts[0] or parts[1] else _commit(body, job)
    kind = text(body.get("object_kind")) or kind
    return f"{kind.replace('_', ' ')}: {about}" if kind and about else about


def _name(body: dict[str, object], job: dict[str, object]) -> str:
    said = text(body.get("build_name")) or _first(job, NAMES) or _first(mapping(body.get("workflow")), NAMES)
    if said or job:
        return said
    stated = (_first(inner, NAMES) for _, inner in _objects(body) if _state(inner))
    return next(filter(None, stated), "")


def _jobs(body: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    for name in JOBS:
        job = mapping(body.get(name))
        if job:
            yield name, job


def _objects(body: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    return ((name, inner) for name, inner in body.items() if isinstance(inner, dict))


def _outcome(job: dict[str, object]) -> Status | None:
    outcomes = (_BY_WORD.get(plain(text(job.get(name))[:60])) for name in STATES)
    return next(filter(None, outcomes), None)


def _state(inner: dict[str, object]) -> Status | None:
    words = (text(inner.get(name))[:60] for name in STATES)
    return next(filter(None, (_BY_WORD.get(plain(word)) or read_status(word) for word in words)), None)


def _place(body: dict[str, object]) -> str:
    names = ("path_with_namespace", "full_name", "name")
    return next(filter(None, (_first(mapping(body.get(place)), names) for place in PLACES)), "")


def _commit(body: dict[str, object], job: dict[str, object]) -> str:
    commit = mapping(body.get("commit"))
    said = (job.get("display_title"), body.get("commit_title"), commit.get("title"), commit.get("message"))
    return next(filter(None, map(text, said)), "").partition("\n")[0]


def _first(value: dict[str, object], names: tuple[str, ...]) -> str:
    return next(filter(None, (text(value.get(name)) for name in names)), "")
