"""Pairs to look at: query and item side by side, with what was decided about them and why."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from moonshelf.catalog.pair_set import LEVELS, TABLE_QUERY, PairSet
from moonshelf.center.strip import thumbnail_url
from moonshelf.errors import MoonshelfError
from moonshelf.report.page import Section

LONGEST = 160
_TWO = "display:grid;grid-template-columns:1fr 1fr"
_UNDER, _DOT = " \u203a ", " \u00b7 "


def pair_section(title: str, lead: str, pairs: PairSet, places: Sequence[int]) -> Section:
    """A section with a card for each of ``places``: pictures, titles, level and similarity.

    Pictures are re-encoded, all words of the catalogue are escaped.
    """
    cards = "\n".join(f"<li>{_card(pairs, int(place))}</li>" for place in places)
    body = f'<section class="strip"><ol>\n{cards}\n</ol></section>' if len(places) else ""
    return Section(title, lead, {}, body)


def _card(pairs: PairSet, place: int) -> str:
    catalog = pairs.catalog
    item = catalog[int(pairs.item[place])]
    row = int(pairs.query[place])
    if pairs.query_kind[place] == TABLE_QUERY:
        query = catalog.query(row)
        words = query.text
    else:
        query = catalog[row]
        words = query.title
    similarity = float(pairs.similarity[place])
    facts = [LEVELS[pairs.level[place]], f"{int(pairs.count[place])} x"]
    if not math.isnan(similarity):
        facts.append(f"cosine {similarity:.3f}")
    wells = _well(query.images, "words alone") + _well(item.images, "no picture")
    return (
        f'<figure><div style="{_TWO}">{wells}</div><figcaption>'
        f'<span class="name">{_short(words) or "(a picture)"}</span>'
        f'<span class="name">\u2192 {_short(item.title or item.id)}</span>'
        f"<small>{_joined(item.category, _UNDER)}</small>"
        f'<span class="score">{_joined(facts, _DOT)}</span></figcaption></figure>'
    )


def _well(pictures: tuple[bytes, ...], nothing: str) -> str:
    if not pictures:
        return f'<div class="well none">{nothing}</div>'
    try:
        return f'<div class="well"><img src="{thumbnail_url(pictures[0])}" alt=""></div>'
    except MoonshelfError:  # shown, not hidden: the card says so
        return '<div class="well none">no readable picture</div>'


def _joined(parts: Sequence[str], mark: str) -> str:
    return html.escape(mark.join(parts))


def _short(text: str) -> str:
    return html.escape(text if len(text) <= LONGEST else text[: LONGEST - 1] + "\u2026")
