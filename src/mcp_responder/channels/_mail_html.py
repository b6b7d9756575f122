"""A Letter as HTML that reads on a phone and at night.

Styles stand in the elements, because some programs drop the ``<style>``; classes are there for what only that can say:
dark mode and narrow screens. Nothing is loaded from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from mcp_responder.channels._mail_letter import Block, Letter
from mcp_responder.model.alert import Severity
from mcp_responder.model.incident import IncidentStatus

LONGEST = 90_000
"""Bytes: Gmail hides what comes after 102 kB."""
CUT_HERE = "Cut here: too long for a mail. The rest is on the incident&#x27;s page."

BARS = {
    Severity.CRITICAL: "#b3001b",
    Severity.HIGH: "#a84300",
    Severity.MEDIUM: "#7a5d00",
    Severity.LOW: "#1d5fa8",
}
RESOLVED_BAR = "#1a6e32"
"""White is read on each of them, by day and by night."""
LIGHT = {"page": "#f0f2f5", "card": "#ffffff", "ink": "#1c2128", "dim": "#59616b", "code": "#f0f2f5", "link": "#0b57a4"}
DARK = {"page": "#0e1116", "card": "#1a1e25", "ink": "#e8ebef", "dim": "#a3acb8", "code": "#0e1116", "link": "#8ab8ff"}
WARNING_LIGHT, WARNING_DARK = ("#fff3cd", "#5c4400"), ("#3d3005", "#ffe39a")

_SANS = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace"
_BREAK = "overflow-wrap:anywhere;word-break:break-word"
_INK, _DIM = f"color:{LIGHT['ink']}", f"color:{LIGHT['dim']}"
_STYLE = f"""\
:root{{color-scheme:light dark;supported-color-schemes:light dark}}
@media (prefers-color-scheme:dark){{
.page{{background-color:{DARK["page"]}!important}}
.card{{background-color:{DARK["card"]}!important}}
.ink{{color:{DARK["ink"]}!important}}
.dim{{color:{DARK["dim"]}!important}}
.code{{background-color:{DARK["code"]}!important;color:{DARK["ink"]}!important}}
.quote{{border-color:#4a5361!important}}
.link{{color:{DARK["link"]}!important}}
.warning{{background-color:{WARNING_DARK[0]}!important;color:{WARNING_DARK[1]}!important}}
.button{{background-color:{DARK["ink"]}!important;color:{DARK["card"]}!important}}
}}
@media (max-width:480px){{.pad{{padding-left:16px!important;padding-right:16px!important}}}}"""
_TABLE = 'role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"'


def write(letter: Letter) -> str:
    """At most LONGEST bytes; what was cut is said."""
    head, tail = _head(letter), _tail(letter)
    return head + "".join(_within(LONGEST - _size(head) - _size(tail), letter)) + tail


def _within(room: int, letter: Letter) -> Iterator[str]:
    """Whole blocks, in order, as many as fit; the next heading counts as part of its first block."""
    cut_here = f'<p class="dim" style="margin:24px 0 0;{_DIM}">{CUT_HERE}</p>'
    room -= _size(cut_here)
    for section in letter.sections:
        heading = _heading(section.title)
        for block in section.blocks:
            piece = heading + _block(block)
            room -= _size(piece)
            if room < 0:
                yield cut_here
                return
            yield piece
            heading = ""


def _head(letter: Letter) -> str:
    return "".join(
        (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">'
            '<meta name="format-detection" content="telephone=no,date=no,address=no,email=no">'
            f"<title>{escape(letter.subject)}</title><style>{_STYLE}</style></head>"
            f'<body class="page" style="margin:0;padding:0;background-color:{LIGHT["page"]}">',
            _preview(letter.preview),
            f'<table class="page" {_TABLE} style="background-color:{LIGHT["page"]}">'
            '<tr><td align="center" style="padding:12px 8px">'
            f'<table {_TABLE} style="max-width:600px">',
            _bar(letter),
            f'<tr><td class="pad card ink" style="background-color:{LIGHT["card"]};padding:20px 24px 24px;{_SANS};'
            f'font-size:16px;line-height:1.5;{_INK};{_BREAK}">',
            *map(_warning, letter.warnings),
            f'<p dir="auto" style="margin:0;font-weight:600">{escape(letter.news)}</p>',
            *(f'<p class="dim" style="margin:2px 0 0;font-size:14px;{_DIM}">{escape(one)}</p>' for one in letter.facts),
            _button(letter.url),
        )
    )


def _tail(letter: Letter) -> str:
    return (
        f'<p class="dim" style="margin:28px 0 0;font-size:13px;{_DIM}">{escape(letter.signature)}</p>'
        "</td></tr></table></td></tr></table></body></html>\n"
    )


def _preview(text: str) -> str:
    """Read in the list of mails; the blanks keep what follows out of it."""
    return (
        '<div style="display:none;max-height:0;overflow:hidden;font-size:1px;line-height:1px;opacity:0">'
        f"{escape(text[:200])}{'&#847;&zwnj;&nbsp;' * 30}</div>"
    )


def _bar(letter: Letter) -> str:
    resolved = letter.status is IncidentStatus.RESOLVED
    colour = RESOLVED_BAR if resolved else BARS[letter.severity]
    words = f"RESOLVED · {letter.severity}" if resolved else f"{letter.severity} · {letter.status}"
    place = f'<p dir="auto" style="margin:6px 0 0;font-size:15px;color:#ffffff">{escape(letter.place)}</p>'
    return (
        f'<tr><td class="pad" style="background-color:{colour};padding:18px 24px;{_SANS};color:#ffffff;{_BREAK}">'
        f'<p style="margin:0;font-size:14px;font-weight:700;letter-spacing:.05em;color:#ffffff">{words}</p>'
        '<h1 dir="auto" style="margin:6px 0 0;font-size:21px;line-height:1.3;font-weight:700;color:#ffffff">'
        f"{escape(letter.title)}</h1>{place if letter.place else ''}</td></tr>"
    )


def _warning(text: str) -> str:
    background, ink = WARNING_LIGHT
    return (
        f'<p class="warning" style="margin:0 0 14px;padding:10px 14px;border-radius:6px;font-size:15px;'
        f'background-color:{background};color:{ink}">{escape(text)}</p>'
    )


def _button(url: str) -> str:
    if not url:
        return ""
    return (
        f'<p style="margin:18px 0 0"><a class="button" href="{escape(url)}" style="display:block;padding:14px 20px;'
        f"border-radius:8px;background-color:{LIGHT['ink']};color:#ffffff;font-weight:600;text-align:center;"
        'text-decoration:none">Open the incident</a></p>'
    )


def _heading(title: str) -> str:
    return (
        f'<h2 class="dim" style="margin:26px 0 6px;font-size:13px;line-height:1.3;font-weight:700;letter-spacing:.06em;'
        f'text-transform:uppercase;{_DIM}">{escape(title)}</h2>'
    )


def _block(block: Block) -> str:
    if block.url:
        return _link(block)
    gap = "10px" if block.code or block.quote else "4px"
    return (
        f'<div style="margin:0 0 {gap}">{_sentence(block)}{_quote(block.quote) if block.quote else ""}'
        f"{_code(block.code) if block.code else ''}</div>"
    )


def _sentence(block: Block) -> str:
    mark = f'<b class="dim" style="{_DIM}">{escape(block.mark)}</b> ' if block.mark else ""
    note = f' <span class="dim" style="font-size:14px;{_DIM}">({escape(block.note)})</span>' if block.note else ""
    direction = "" if mark else ' dir="auto"'
    return f"<div{direction}>{mark}{_isolated(block.text)}{note}</div>"


def _isolated(text: str) -> str:
    """Text of either direction, which doesn't turn around what stands beside it."""
    lines = escape(text).replace("\n", "<br>")
    return f'<span dir="auto" style="unicode-bidi:isolate">{lines}</span>'


def _code(text: str) -> str:
    return (
        f'<pre class="code" dir="ltr" style="margin:6px 0 4px;padding:10px 12px;border-radius:6px;{_MONO};'
        f'font-size:14px;line-height:1.45;white-space:pre-wrap;{_BREAK};background-color:{LIGHT["code"]};{_INK}">{escape(text)}</pre>'
    )


def _quote(text: str) -> str:
    return (
        f'<blockquote class="quote dim" dir="auto" style="margin:4px 0;padding:2px 0 2px 12px;border-left:3px solid '
        f'#c3cad3;{_MONO};font-size:14px;{_DIM}">{escape(text)}</blockquote>'
    )


def _link(block: Block) -> str:
    """A whole line to tap on."""
    host = f' <span class="dim" style="font-size:14px;{_DIM}">{escape(block.note)}</span>' if block.note else ""
    return (
        f'<p style="margin:0"><a class="link" href="{escape(block.url)}" style="display:block;padding:10px 0;'
        f'color:{LIGHT["link"]}">{_isolated(block.text)}{host}</a></p>'
    )


def _size(text: str) -> int:
    return len(text.encode())
