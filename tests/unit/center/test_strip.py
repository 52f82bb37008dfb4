"""Result strips: self-contained, escaped, complete."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from moonshelf.catalog.product import Product
from moonshelf.center.store import Hit
from moonshelf.center.strip import result_page, result_strip, thumbnail_url
from moonshelf.errors import ImageError
from tests.unit.center.fakes import FakeCatalog
from tests.unit.center.pictures import png

EVIL = "<script>alert(1)</script>\"' onerror=x & {color}"


def hit(item: str, title: str = "", score: float = 0.5, **more) -> Hit:
    facts = {"category": ("Shoes", "Boots"), "attributes": {}, "price": None, "row": 0} | more
    return Hit(id=item, score=score, title=title, **facts)


@pytest.fixture
def catalog() -> FakeCatalog:
    return FakeCatalog(
        [
            Product(id="red", images=(png((200, 20, 20), (900, 600)),)),
            Product(id=EVIL, title=EVIL, images=(png((20, 20, 200)),)),
            Product(id="broken", images=(b"junk",)),
            Product(id="bare"),
        ]
    )


class Tags(HTMLParser):
    """All tags and attributes of a page; balanced, or it fails."""

    VOID = frozenset({"img", "meta", "br", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words += data


def test_a_page_is_whole_and_asks_for_nothing(catalog):
    hits = [hit("red", "Red boots", price=1299.0), hit(EVIL, EVIL), hit("broken"), hit("bare")]
    page = result_page(
        [result_strip(hits, catalog, text="boots", picture=png((9, 9, 9)), note="price<=500")]
    )
    tags = Tags(page)
    images = [attrs["src"] or "" for tag, attrs in tags.found if tag == "img"]
    assert len(images) == 3  # the query and two of the four items
    assert all(src.startswith("data:image/jpeg;base64,") for src in images)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", page)
    assert "price<=500" in tags.words and "boots" in tags.words and "1,299" in tags.words
    assert tags.words.count("no readable picture") == 2
    assert "prefers-color-scheme:dark" in page and "default-src 'none'" in page


def test_titles_stay_text(catalog):
    evil = [hit(EVIL, EVIL, category=(EVIL, EVIL))]
    tags = Tags(result_page([result_strip(evil, catalog, text=EVIL, note=EVIL)], title=EVIL))
    names = {tag for tag, _ in tags.found}
    assert "script" not in names
    assert not [attrs for _, attrs in tags.found if any(a.startswith("on") for a in attrs)]
    assert tags.words.count(EVIL) == 6  # page title, query, note, card, two category levels


def test_order_scores_and_right_answers_are_shown(catalog):
    strip = result_strip(
        [hit("bare", "first", 0.91234), hit("red", "second", -0.2)], catalog, wanted=["red"]
    )
    tags = Tags(strip)
    assert tags.words.index("first") < tags.words.index("second")
    assert "0.912" in tags.words and "-0.200" in tags.words
    figures = [attrs for tag, attrs in tags.found if tag == "figure"]
    assert [attrs.get("class") for attrs in figures] == [None, "wanted"]
    widths = [attrs["style"] for tag, attrs in tags.found if "style" in attrs]
    assert widths == ["width:91%", "width:0%"]


def test_no_hits_say_so(catalog):
    assert "Nothing matches" in result_strip([], catalog, text="x")


def test_long_titles_are_cut(catalog):
    assert "y" * 200 not in result_strip([hit("red", "y" * 5000)], catalog)


def test_thumbnails_are_small_pixels_only():
    url = thumbnail_url(png((1, 2, 3), (2000, 1000)), side=100)
    image = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
    assert image.size == (100, 50) and image.format == "JPEG"
    with pytest.raises(ImageError):
        thumbnail_url(b"<svg onload=alert(1)>")
