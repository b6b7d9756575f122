"""Text for Slack: what comes from outside is shown as it is, and can't link, mention or format.

Every function cuts first and escapes then, and its result is never longer than its limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from mcp_responder.plumbing.text import cut, shown, shown_line

LONGEST_URL = 2000
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIAL = re.compile("[&<>]")
_MARKED = re.compile(r"(?<!\w)([*_~])(?=\S)([^\n]*?\S)\1(?!\w)")
"""What Slack would show bold, slanted or struck out, without the marks."""
_LOOKALIKES = {"*": "\u2217", "_": "\uff3f", "~": "\u223c"}
_UNFIT = re.compile(r'[\s<>|"`\\^{}]')
"""What no address may hold as it is."""


def escaped(text: str, limit: int, settle: Callable[[str], str] = str) -> str:
    """The text with the three characters escaped that mean something to Slack everywhere.

    ``settle`` sees what is left after cutting.
    """
    room = limit
    while True:
        ready = _SPECIAL.sub(lambda match: _ENTITIES[match.group()], settle(cut(text, room)))
        if len(ready) <= limit:
            return ready
        room -= max(1, (len(ready) - limit) // 5)


def line(text: str, limit: int) -> str:
    """One line of plain text, as in a header."""
    return escaped(shown_line(text, limit), limit)


def words(text: str, limit: int) -> str:
    """One line of running text. Its code spans stay; marks that would change its look are replaced by lookalikes."""
    return escaped(shown_line(text, limit), limit, _unmarked)


def code(text: str, limit: int) -> str:
    """A code span; empty if there is no text."""
    shown_text = shown_line(text, limit).replace("`", "'")
    return f"`{escaped(shown_text, limit - 2)}`" if shown_text else ""


def code_block(text: str, limit: int) -> str:
    """Lines to be copied: only what would end the block early is changed."""
    inside = shown(text, limit).strip("\n").replace("```", "'''")
    return f"```\n{escaped(inside, limit - 8)}\n```" if inside else ""


def link(name: str, url: str, limit: int = 200) -> str:
    """A link that shows its name; the name alone if the address isn't one of the web's."""
    label = words(name, limit).replace("|", "¦")
    if not url.startswith(("http://", "https://")) or len(url) > LONGEST_URL or not url.isprintable():
        return label
    address = _UNFIT.sub(lambda match: f"%{ord(match.group()):02X}", url)
    return f"<{address.replace('&', '&amp;')}|{label or 'link'}>"


def moment(at: datetime) -> str:
    """A time in the reader's own zone; in UTC where Slack can't tell it."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{at:%Y-%m-%d %H:%M} UTC>"


def from_slack(text: str) -> str:
    """What a person wrote, without Slack's own markup of addresses and escaped characters."""
    plain = re.sub(r"<(https?://[^|>]+)(?:\|[^>]*)?>", r"\1", text)
    for character, entity in reversed(_ENTITIES.items()):
        plain = plain.replace(entity, character)
    return plain


def _unmarked(text: str) -> str:
    # An odd one would begin a span that swallows what follows; three begin a block.
    if text.count("`") % 2 or "``" in text:
        text = text.replace("`", "'")
    return _MARKED.sub(lambda match: f"{_LOOKALIKES[match[1]]}{match[2]}{_LOOKALIKES[match[1]]}", text)
