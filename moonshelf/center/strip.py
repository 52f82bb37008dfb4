"""Search results to look at: a strip of pictures as self-contained HTML, light and dark.

Pictures become small data URLs (re-encoded, so nothing but pixels of the original travels);
titles and everything else of the catalogue are escaped; nothing is fetched, no script runs.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import Protocol

from moonshelf.center.store import Hit
from moonshelf.errors import MoonshelfError

THUMBNAIL = 240  # pixels of the longer side; shown at 150, sharp on dense screens
MAX_TITLE = 160

STRIP_STYLE = """
.strip{--ink:#1b1e24;--soft:#5d6573;--line:#dfe3ea;--card:#fff;--well:#f3f5f8;--bar:#2f6fde;
 color:var(--ink);font:14px/1.4 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
 margin:0 0 28px}
@media(prefers-color-scheme:dark){.strip{--ink:#e8eaf0;--soft:#9aa3b2;--line:#2c323d;
 --card:#1a1e26;--well:#232935;--bar:#6aa1ff}}
.strip *{box-sizing:border-box}
.strip .ask{display:flex;gap:12px;align-items:center;margin:0 0 10px}
.strip .ask img{width:72px;height:72px;object-fit:contain;background:#fff;border-radius:8px;
 border:1px solid var(--line)}
.strip .ask b{font-size:16px;overflow-wrap:anywhere}
.strip .ask small,.strip figcaption small{color:var(--soft);display:block}
.strip ol{list-style:none;margin:0;padding:0;display:grid;gap:12px;
 grid-template-columns:repeat(auto-fill,minmax(130px,1fr))}
.strip figure{margin:0;height:100%;background:var(--card);border:1px solid var(--line);
 border-radius:10px;overflow:hidden;display:flex;flex-direction:column}
.strip figure.wanted{outline:2px solid #2e9e5b;outline-offset:-1px}
.strip .well{background:#fff;aspect-ratio:1;display:flex;align-items:center;justify-content:center;
 color:var(--soft);font-size:12px;text-align:center}
.strip .well.none{background:var(--well)}
.strip .well img{width:100%;height:100%;object-fit:contain;display:block}
.strip figcaption{padding:8px 10px 10px;display:flex;flex-direction:column;gap:2px;flex:1}
.strip .name{display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;overflow:hidden;
 overflow-wrap:anywhere;min-height:2.8em}
.strip .score{display:flex;align-items:center;gap:8px;margin-top:auto;padding-top:6px;
 font-variant-numeric:tabular-nums;font-size:12px;color:var(--soft)}
.strip .score i{flex:1;height:4px;border-radius:2px;background:var(--well);overflow:hidden}
.strip .score i b{display:block;height:100%;background:var(--bar)}
""".strip()

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<style>
body{{margin:0 auto;padding:28px 24px;max-width:1180px;background:#fafbfc}}
@media(prefers-color-scheme:dark){{body{{background:#12151b}}}}
{style}
</style></head><body>
{body}
</body></html>
"""


class PictureSource(Protocol):
    """What is needed of a catalogue: pictures by item."""

    def row(self, item_id: str, /) -> int: ...
    def image(self, row: int, k: int = 0, /) -> bytes: ...


def result_strip(
    hits: Sequence[Hit],
    catalog: PictureSource,
    *,
    text: str | None = None,
    picture: bytes | None = None,
    note: str = "",
    wanted: Iterable[str] = (),
) -> str:
    """An HTML fragment: the query and its results as cards with picture, title, price and score.

    Put :data:`STRIP_STYLE` once into the page, or use :func:`result_page`.

    Args:
        hits: best first.
        catalog: where the pictures come from; an item without a readable one gets a note.
        text, picture: the query as it was given.
        note: a line below it, e.g. the filter.
        wanted: ids of right answers; their cards are framed.
    """
    right = frozenset(wanted)
    cards = "\n".join(
        f"<li>{_card(rank, hit, catalog, hit.id in right)}</li>"
        for rank, hit in enumerate(hits, start=1)
    )
    body = f"<ol>\n{cards}\n</ol>" if hits else "<p>Nothing matches.</p>"
    return f'<section class="strip">\n{_ask(text, picture, note)}\n{body}\n</section>'


def result_page(strips: Sequence[str], title: str = "Search results") -> str:
    """A complete page of :func:`result_strip` fragments; opens from disk, fetches nothing."""
    return _PAGE.format(title=html.escape(title), style=STRIP_STYLE, body="\n".join(strips))


def thumbnail_url(data: bytes, side: int = THUMBNAIL) -> str:
    """A picture as a small JPEG data URL.

    Raises:
        ImageError: it cannot be read.
    """
    from moonshelf.catalog.images import open_picture

    picture = open_picture(data)
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=84, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _ask(text: str | None, picture: bytes | None, note: str) -> str:
    parts = []
    if picture is not None:
        parts.append(f'<img src="{thumbnail_url(picture)}" alt="the picture searched with">')
    words = f"<b>{html.escape(text)}</b>" if text else ""
    small = f"<small>{html.escape(note)}</small>" if note else ""
    parts.append(f"<div>{words}{small}</div>" if words or small else "")
    return f'<div class="ask">{"".join(parts)}</div>'


def _card(rank: int, hit: Hit, catalog: PictureSource, right: bool) -> str:
    title = hit.title if len(hit.title) <= MAX_TITLE else hit.title[: MAX_TITLE - 1] + "\u2026"
    title = html.escape(title or hit.id)
    price = "" if hit.price is None else f"{hit.price:,.2f}".removesuffix(".00")
    facts = " \u00b7 ".join(p for p in (price, html.escape(" \u203a ".join(hit.category))) if p)
    share = round(100 * min(max(hit.score, 0.0), 1.0))
    return (
        f'<figure{" class=wanted" if right else ""} title="{html.escape(hit.id)}">'
        f"{_well(hit, catalog, title)}<figcaption>"
        f'<span class="name">{title}</span><small>{facts}</small>'
        f'<span class="score">{rank}<i><b style="width:{share}%"></b></i>{hit.score:.3f}</span>'
        "</figcaption></figure>"
    )


def _well(hit: Hit, catalog: PictureSource, title: str) -> str:
    try:
        url = thumbnail_url(catalog.image(catalog.row(hit.id)))
    except (MoonshelfError, LookupError):  # shown, not hidden: the card says so
        return '<div class="well none">no readable picture</div>'
    return f'<div class="well"><img src="{url}" alt="{title}" loading="lazy"></div>'
