"""No promise without a test, no test with a promise that nobody made."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.promises import PROMISES, promise

TESTS = Path(__file__).parent


def proofs() -> Iterator[tuple[str, str]]:
    """(promise, test) for every marked test; read, not imported, so that every test file counts."""
    for file in sorted(TESTS.rglob("test_*.py")):
        source = file.read_text(encoding="utf-8")
        if "@promise(" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                for call in filter(is_promise, node.decorator_list):
                    for name in call.args:  # type: ignore[attr-defined]
                        yield ast.literal_eval(name), f"{file.relative_to(TESTS)}::{node.name}"


def is_promise(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "promise"


def test_every_promise_is_proved_by_a_test() -> None:
    proved = {name for name, _ in proofs()}
    assert sorted(PROMISES.keys() - proved) == []


def test_every_marked_test_proves_a_promise_that_was_made() -> None:
    assert [(name, test) for name, test in proofs() if name not in PROMISES] == []


def test_only_tests_prove_promises() -> None:
    assert [test for _, test in proofs() if not test.rpartition("::")[2].startswith("test_")] == []


@pytest.mark.parametrize("names", [("alerts-never-happen",), ()])
def test_an_unknown_promise_is_refused_where_it_is_made(names: tuple[str, ...]) -> None:
    with pytest.raises(LookupError):
        promise(*names)


def test_a_promise_is_one_sentence() -> None:
    assert [name for name, words in PROMISES.items() if not (words[0].isalpha() and words.endswith("."))] == []
