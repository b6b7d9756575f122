"""Atlassian Document Format, version 1: the part of it that a report needs.

The builders take any text. What Jira refuses or a reader can't see (controls, half surrogates, noncharacters) becomes
visible, each text is cut to its limit, and what is empty leaves no node behind: an empty text node is an invalid one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from mcp_responder.plumbing.text import shown, shown_line

LONGEST_LINK = 2000

# Unicode says that these are no characters; XML, in which Jira exports, can't hold them.
_NO_CHARACTERS = re.compile("[\ufdd0-\ufdef\ufffe\uffff]")
_LINK = re.compile(r"https?://[^\s<>\"{}|\\^`\[\]\x00-\x20\x7f-\U0010ffff]+")


class Strong(msgspec.Struct, frozen=True, tag_field="type", tag="strong"):
    pass


class Code(msgspec.Struct, frozen=True, tag_field="type", tag="code"):
    pass


class _Href(msgspec.Struct, frozen=True):
    href: str


class Link(msgspec.Struct, frozen=True, tag_field="type", tag="link"):
    attrs: _Href


Mark = Strong | Code | Link


class Text(msgspec.Struct, frozen=True, tag_field="type", tag="text", omit_defaults=True):
    text: str
    marks: tuple[Mark, ...] = ()


_BLANK = Text(" ")


class HardBreak(msgspec.Struct, frozen=True, tag_field="type", tag="hardBreak"):
    pass


Inline = Text | HardBreak


class Paragraph(msgspec.Struct, frozen=True, tag_field="type", tag="paragraph"):
    content: tuple[Inline, ...]


class _Level(msgspec.Struct, frozen=True):
    level: int


class Heading(msgspec.Struct, frozen=True, tag_field="type", tag="heading"):
    attrs: _Level
    content: tuple[Inline, ...]


class CodeBlock(msgspec.Struct, frozen=True, tag_field="type", tag="codeBlock"):
    content: tuple[Text, ...]


class ListItem(msgspec.Struct, frozen=True, tag_field="type", tag="listItem"):
    content: tuple[Paragraph | CodeBlock, ...]


class BulletList(msgspec.Struct, frozen=True, tag_field="type", tag="bulletList"):
    content: tuple[ListItem, ...]


class OrderedList(msgspec.Struct, frozen=True, tag_field="type", tag="orderedList"):
    content: tuple[ListItem, ...]


PanelType = Literal["info", "note", "warning", "success", "error"]


class _PanelType(msgspec.Struct, frozen=True, rename={"panel_type": "panelType"}):
    panel_type: PanelType


class Panel(msgspec.Struct, frozen=True, tag_field="type", tag="panel"):
    attrs: _PanelType
    content: tuple[Paragraph, ...]


Block = Paragraph | Heading | CodeBlock | BulletList | OrderedList | Panel


class Doc(msgspec.Struct, frozen=True, tag_field="type", tag="doc"):
    content: tuple[Block, ...]
    version: int = 1


def text(words: str, limit: int, *marks: Mark) -> tuple[Inline, ...]:
    """One line of text; nothing if there is nothing to see."""
    line = _clean(shown_line(words, limit), limit)
    return (Text(line, marks),) if line else ()


def strong(words: str, limit: int) -> tuple[Inline, ...]:
    return text(words, limit, Strong())


def code(words: str, limit: int) -> tuple[Inline, ...]:
    return text(words, limit, Code())


def link(words: str, url: str, limit: int) -> tuple[Inline, ...]:
    """A link; if the address isn't one that may be clicked, its text beside the words."""
    if len(url) <= LONGEST_LINK and _LINK.fullmatch(url):
        return text(words or url, limit, Link(_Href(url)))
    return text(f"{words} {url}", limit)


def lines(words: str, limit: int) -> tuple[Inline, ...]:
    """Text whose line ends stay."""
    parts: list[Inline] = []
    for line in _clean(shown(words, limit), limit).strip().split("\n"):
        parts += [HardBreak()] if parts else []
        parts += [Text(line)] if line.strip() else []
    return tuple(parts)


def paragraph(*parts: tuple[Inline, ...]) -> tuple[Paragraph, ...]:
    """One paragraph of these parts with a blank between them, or none."""
    first, *rest = [part for part in parts if part] or [()]
    content = (*first, *(inline for part in rest for inline in (_BLANK, *part)))
    return (Paragraph(content),) if content else ()


def heading(words: str) -> tuple[Heading, ...]:
    return (Heading(_Level(3), text(words, 100)),)


def code_block(words: str, limit: int) -> tuple[CodeBlock, ...]:
    """Text as it is, to be copied; or none."""
    copied = _clean(shown(words, limit), limit).strip("\n")
    return (CodeBlock((Text(copied),)),) if copied.strip() else ()


def panel(kind: PanelType, *paragraphs: tuple[Paragraph, ...]) -> tuple[Panel, ...]:
    content = tuple(one for some in paragraphs for one in some)
    return (Panel(_PanelType(kind), content),) if content else ()


def items(entries: Iterable[tuple[Paragraph | CodeBlock, ...]]) -> tuple[ListItem, ...]:
    """List items; entries without content are left out."""
    return tuple(ListItem(entry) for entry in entries if entry)


def bullets(entries: Iterable[tuple[Paragraph | CodeBlock, ...]]) -> tuple[BulletList, ...]:
    content = items(entries)
    return (BulletList(content),) if content else ()


def numbered(entries: Iterable[tuple[Paragraph | CodeBlock, ...]]) -> tuple[OrderedList, ...]:
    content = items(entries)
    return (OrderedList(content),) if content else ()


def doc(*blocks: tuple[Block, ...]) -> Doc:
    return Doc(tuple(block for some in blocks for block in some))


def _clean(words: str, limit: int) -> str:
    return _NO_CHARACTERS.sub("\N{REPLACEMENT CHARACTER}", words)[:limit]
