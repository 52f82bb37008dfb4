"""A page to look at crops with: pictures with their boxes drawn in, and why others have none."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from moonshelf.catalog.crops.box import Box, Looked
from moonshelf.catalog.crops.looking import MainPicture, main_pictures
from moonshelf.catalog.crops.table import CropTable
from moonshelf.catalog.images import open_picture
from moonshelf.catalog.store import Catalog
from moonshelf.errors import ImageError
from moonshelf.files import write_bytes_atomically

SHOWN = 60
_SIDE = 192
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#222}
h1{font-size:1.5rem}.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));
gap:.8rem}.card{border:1px solid #ddd;border-radius:6px;padding:.5rem;font-size:.8rem;
overflow:hidden;overflow-wrap:anywhere}.card img{max-width:100%}.none{color:#b00}
"""


def write_crops_page(catalog: Catalog, table: CropTable, path: Path, seed: int = 0) -> None:
    """Writes a page of ``SHOWN`` pictures drawn by ``seed``, their boxes in red.

    Raises:
        DiskFullError: there is no room.
    """
    seen = list(main_pictures(catalog))
    order = np.random.default_rng(seed).permutation(len(seen))
    cards = "".join(_cards(catalog, table, [seen[k] for k in np.sort(order[:SHOWN])]))
    counts = ", ".join(f"{html.escape(why)}: {n:,}" for why, n in table.counts().items())
    name = f"{html.escape(table.detector)} {html.escape(table.version)}"
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Crops</title>'
        f"<style>{_STYLE}</style><h1>Crops by {name}</h1>"
        f"<p>{len(table):,} pictures. {counts}.</p><div class=cards>{cards}</div></html>\n"
    )
    write_bytes_atomically(path, page.encode())


def _cards(catalog: Catalog, table: CropTable, chosen: list[MainPicture]) -> Iterator[str]:
    for picture in chosen:
        found = table.get(picture.digest)
        title = html.escape(picture.title[:120] or "(no title)")
        why = "" if isinstance(found, Box) else html.escape(found.reason if found else "not yet")
        drawn = _drawn(catalog.picture(picture.number), found)
        yield f"<div class=card>{drawn}<div>{title}</div><div class=none>{why}</div></div>"


def _drawn(data: bytes, found: Looked | None) -> str:
    """The picture re-encoded: what a browser gets was decoded by us before."""
    from PIL import Image, ImageDraw

    try:
        image = open_picture(data)
    except ImageError as error:
        return html.escape(error.what[:80])
    scale = _SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.BICUBIC)
    if isinstance(found, Box):
        left, top, right, bottom = found.pixels(image.height, image.width)
        corners = (left, top, right - 1, bottom - 1)
        ImageDraw.Draw(image).rectangle(corners, outline=(220, 0, 0), width=2)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}">'
