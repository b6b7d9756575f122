"""Pieces of Markdown, and the docstrings that stand under fields."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

MADE = "<!-- Made by `make docs`; edit the code that it describes. -->"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table; bars and line ends inside of cells are made harmless."""
    yield _row(heads)
    yield _row(["---"] * len(heads))
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def plain(docstring: str) -> str:
    """A docstring's double backticks are Markdown's single ones."""
    return docstring.replace("``", "`")


def field_docs(struct: type[Any]) -> dict[str, str]:
    """The docstring under each field of a class, as the source has it, the base classes' too."""
    docs: dict[str, str] = {}
    for cls in reversed(struct.__mro__):
        if cls.__module__.startswith("mcp_responder"):
            docs |= _own_field_docs(cls)
    return docs


def _own_field_docs(cls: type[Any]) -> dict[str, str]:
    tree = ast.parse(inspect.getsource(cls))
    (defined,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    docs = {}
    for node, following in zip(defined.body, defined.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(following, ast.Expr):
            value = following.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                docs[node.target.id] = plain(" ".join(value.value.split()))
    return docs
