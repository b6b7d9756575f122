"""Problem codes: collected from the places in the code where they are raised."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import mcp_responder
from docs.generator.markdown import MADE, code, table

SOURCE = Path(mcp_responder.__file__).parent
PUT_TOGETHER = {"invalid_body": "The body's '…' must be …", "not_ready": "The store can't be read: …"}
"""Sentences that stand nowhere in one piece."""
OWN_CODE = re.compile(r"[a-z]+(_[a-z]+)*")
WITH_CODE = {"InvalidRequest": 400, "HttpProblem": 400, "Unverified": 403, "__init__": 400}
"""Calls of which the first argument is the code and the second the sentence, and their status if they say none."""
WITHOUT_CODE = {
    "Refused": (409, "illegal_change"),
    "Transient": (503, "unavailable"),
    "BadParameter": (422, "invalid_parameter"),
}
"""Calls that stand for a code; the sentence is the last plain argument."""
ROOMS = {"Transient": "writer.py"}
"""Transient means something else where nobody asks over HTTP."""

HEAD = f"""\
# Errors

{MADE}

Every error of the HTTP API is a problem document (RFC 9457) of the type `application/problem+json`:

```json
{{
  "type": "urn:mcp-responder:problem:wrong_key",
  "title": "Wrong key",
  "status": 401,
  "detail": "This API key isn't known here: it was mistyped, or revoked.",
  "code": "wrong_key"
}}
```

`code` is stable and for programs; `detail` is a sentence for people and may change. Some problems have more members:
`parameter` (of the query), `field` (of the body), and `accepted` and `rejected` when no alert of a request could be
read. An item that is rejected from a batch has a code and a detail of the same kind.

**Send again?** 429 and 503: yes, after `Retry-After` seconds. 500 and a broken connection: yes; give the alert an id or
send an `Idempotency-Key`, and nothing is stored twice. All others: not before something is changed.

In the sentences below `…` stands for what differs from case to case.
"""


class Problem(NamedTuple):
    """A code with its status and a sentence."""

    status: int
    code: str
    detail: str


def problems() -> list[Problem]:
    """Every code that stands in the program, by status; sentences that say nothing only where there is no other."""
    found = sorted({one for path in sorted(SOURCE.rglob("*.py")) for one in _in_file(path)})
    told = {(one.status, one.code) for one in found if _tells(one)}
    return [one for one in found if _tells(one) or (one.status, one.code) not in told]


def _tells(problem: Problem) -> bool:
    return re.search(r"[a-z]{3}", problem.detail) is not None


def page() -> str:
    """The reference."""
    rows = ((str(one.status), code(one.code), PUT_TOGETHER.get(one.code, one.detail)) for one in problems())
    return "\n".join((HEAD, *table(("status", "code", "detail"), rows)))


def _in_file(path: Path) -> Iterator[Problem]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = dict(_assigned(tree.body))
    for scope in ast.walk(tree):
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            sentences = {**constants, **dict(_assigned(ast.walk(scope)))}
            for node in ast.walk(scope):
                if isinstance(node, ast.Call):
                    yield from _raised(node, sentences, path)


def _assigned(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _sentence(node.value, {}):
            yield node.targets[0].id, _sentence(node.value, {})


def _raised(call: ast.Call, sentences: dict[str, str], path: Path) -> Iterator[Problem]:
    name = _name(call)
    if name in WITH_CODE and len(call.args) > 1:
        first = call.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and OWN_CODE.fullmatch(first.value):
            yield Problem(_status(call, WITH_CODE[name]), first.value, _sentence(call.args[1], sentences) or "…")
    if name in WITHOUT_CODE and call.args and ROOMS.get(name, "") in (*path.parts, ""):
        status, its_code = WITHOUT_CODE[name]
        detail = _sentence(call.args[-1], sentences)
        if detail:
            yield Problem(status, its_code, f"The parameter '…' {detail}." if name == "BadParameter" else detail)


def _name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _status(call: ast.Call, usual: int) -> int:
    given = next((keyword.value for keyword in call.keywords if keyword.arg == "status"), None)
    if given is None and len(call.args) > 2:
        given = call.args[2]
    return int(given.value) if isinstance(given, ast.Constant) and isinstance(given.value, int) else usual


def _sentence(node: ast.expr, sentences: dict[str, str]) -> str:
    """The words of a text; what is put into it is an ellipsis."""
    if isinstance(node, ast.Name):
        return sentences.get(node.id, "")
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""
