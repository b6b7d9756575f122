"""Atlassian Document Format as its documentation gives it: stricter than Jira where Jira only drops things."""

from __future__ import annotations

from typing import Any

Node = dict[str, Any]

INLINE = {"text", "hardBreak"}
CHILDREN = {
    "doc": {"paragraph", "heading", "codeBlock", "bulletList", "orderedList", "panel"},
    "paragraph": INLINE,
    "heading": INLINE,
    "codeBlock": {"text"},
    "bulletList": {"listItem"},
    "orderedList": {"listItem"},
    "listItem": {"paragraph", "codeBlock", "bulletList", "orderedList"},
    "panel": {"paragraph", "heading", "bulletList", "orderedList"},
    "hardBreak": set[str](),
}
MAY_BE_EMPTY = {"doc", "hardBreak"}
PANELS = {"info", "note", "warning", "success", "error"}


def check(document: object) -> None:
    """Raises AssertionError where the document isn't valid."""
    assert isinstance(document, dict)
    assert set(document) == {"type", "version", "content"}
    assert (document["type"], document["version"]) == ("doc", 1)
    _check_children(document)


def text_of(node: Node) -> str:
    """What a reader sees, a block a line."""
    if node["type"] == "text":
        links = [mark["attrs"]["href"] for mark in node.get("marks", ()) if mark["type"] == "link"]
        return " ".join((node["text"], *links))
    between = "" if node["type"] in ("paragraph", "heading", "codeBlock") else "\n"
    return "\n" if node["type"] == "hardBreak" else between.join(map(text_of, node["content"]))


def nodes(node: Node) -> list[Node]:
    """The node and all that is in it."""
    return [node, *(inner for child in node.get("content", ()) for inner in nodes(child))]


def _check(node: Node) -> None:
    kind = node["type"]
    if kind == "text":
        _check_text(node)
        return
    attributes = {"heading": {"level"}, "panel": {"panelType"}}.get(kind, set())
    assert set(node.get("attrs", {})) == attributes
    assert set(node) <= {"type", "content", "attrs"}
    if kind == "heading":
        assert 1 <= node["attrs"]["level"] <= 6
    if kind == "panel":
        assert node["attrs"]["panelType"] in PANELS
    if kind == "codeBlock":
        assert not [text for text in node["content"] if "marks" in text]
    if kind == "listItem":
        assert node["content"][0]["type"] in ("paragraph", "codeBlock")
    _check_children(node)


def _check_children(node: Node) -> None:
    children = node.get("content", [])
    assert children or node["type"] in MAY_BE_EMPTY, f"an empty {node['type']}"
    for child in children:
        assert child["type"] in CHILDREN[node["type"]], f"{child['type']} in {node['type']}"
        _check(child)


def _check_text(node: Node) -> None:
    assert set(node) <= {"type", "text", "marks"}
    assert isinstance(node["text"], str)
    assert node["text"]
    assert not [letter for letter in node["text"] if letter < " " and letter != "\n"]
    kinds = [mark["type"] for mark in node.get("marks", ())]
    assert len(kinds) == len(set(kinds))
    # Code goes with links only.
    assert "code" not in kinds or set(kinds) <= {"code", "link"}
    for mark in node.get("marks", ()):
        assert mark["type"] in ("strong", "code", "link")
        if mark["type"] == "link":
            assert mark["attrs"]["href"].startswith(("https://", "http://"))
            assert set(mark["attrs"]) == {"href"}
