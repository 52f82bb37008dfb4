"""Strangers' texts as HTML: escaped, bounded, and unable to steer what stands beside them."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

ELLIPSIS = "\u2026"
# What a browser drops, refuses or obeys: controls, halves of pairs, no characters, and the marks
# that turn the direction of everything behind them. Joiners stay: emoji and Persian need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff"
    "\ud800-\udfff]"
)
# Widths of letters as shares of the font size, by what they look like; the rest is middling.
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[]/- "), frozenset("mwMW@%")


def visible(text: str) -> str:
    """``text`` with a mark for each character that has no picture of its own."""
    return _UNSEEN.sub("\ufffd", text)


def cut(text: str, most: int) -> str:
    """At most ``most`` characters; an ellipsis stands for the rest."""
    return text if len(text) <= most else text[: most - 1] + ELLIPSIS


def esc(text: str, most: int = 160) -> str:
    """A text for HTML, as content or within quotation marks, of at most ``most`` characters."""
    return html.escape(visible(cut(text, most)))


def bdi(text: str, most: int = 160) -> str:
    """The same as an element whose direction of writing ends with it."""
    return f"<bdi>{esc(text, most)}</bdi>"


def count(number: int, one: str, many: str = "") -> str:
    """``1 document``, ``1,200 documents``; ``many`` where an s is not enough."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(share: float) -> str:
    """``95.3 %``; never rounded up to all or down to nothing."""
    shown = 100 * share
    if 99.95 <= shown < 100:
        return "> 99.9 %"
    if 0 < shown < 0.05:
        return "< 0.1 %"
    return f"{shown:.1f}".removesuffix(".0") + " %"


def share_of(part: int, whole: int) -> float:
    """``part / whole``, 0 of nothing, never above 1."""
    return min(1.0, part / whole) if whole else 0.0


def left_out(shown: int, total: int, what: str) -> str:
    """A line that says what is not shown; nothing where all is."""
    if shown >= total:
        return ""
    return f'<p class="note">{shown:,} of {total:,} {html.escape(what)} are shown.</p>'


def width(text: str, size: float) -> float:
    """About how wide ``text`` is in pixels at a font size, rather too wide than too narrow."""
    return size * sum(map(_width, text))


def fitting(text: str, size: float, most: float) -> str:
    """As much of ``text`` as fits into ``most`` pixels."""
    text = cut(visible(text), 200)
    if width(text, size) <= most:
        return text
    while text and width(text + ELLIPSIS, size) > most:
        text = text[:-1]
    return text + ELLIPSIS


def bar(share: float, kind: str = "") -> str:
    """A thin bar of which ``share`` is filled."""
    return f'<i class="bar {kind}"><b style="width:{100 * share:.1f}%"></b></i>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table that scrolls by itself; cells are HTML already."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _width(character: str) -> float:
    if character in _NARROW:
        return 0.36
    if character in _WIDE:
        return 0.9
    if character.isascii():
        return 0.68 if character.isupper() else 0.57
    if unicodedata.combining(character):
        return 0.0
    return 1.05 if unicodedata.east_asian_width(character) in "WF" else 0.7
