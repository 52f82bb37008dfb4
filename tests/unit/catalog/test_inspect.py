"""The inspection counts what is there; its page runs nothing that a catalogue brings along."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from moonshelf.catalog.importing import import_records
from moonshelf.catalog.inspect import inspect_catalog, write_inspection_html
from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.store import Catalog
from tests.unit.catalog.making import picture, product

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    records = [
        product(0, group="g", title="same"),
        product(1, group="g", title="same", images=product(0).images, description="long"),
        product(2, images=(), category=(), attributes={}, price=None, split="test"),
        product(3, id="evil & co", title=EVIL, attributes={EVIL: (EVIL,)}, category=(EVIL,)),
        Query("q", text="x", positives=("p1", "p2")),
        Query("r", images=(picture(9, 30, 20),), split="val"),
        Event(86_400, "u", "p1", "click"),
        Event(3 * 86_400, "v", "p1", "click"),
        Event(5, "v", "p1", "purchase"),
    ]
    import_records(records, tmp_path / "shop", source={"reader": EVIL})
    return Catalog.open(tmp_path / "shop")


def test_counts(catalog: Catalog) -> None:
    found = inspect_catalog(catalog)
    assert found == json.loads(json.dumps(found))  # plain values
    assert found["counts"] == {"products": 4, "pictures": 3, "queries": 2, "events": 3}
    assert found["splits"]["test"] == {"products": 1, "queries": 0}
    assert found["splits"]["val"] == {"products": 0, "queries": 1}
    missing = {name: facts["products"] for name, facts in found["missing"].items()}
    assert missing == {
        "title": 0,
        "description": 3,
        "group": 2,
        "shop": 4,
        "category": 1,
        "attributes": 1,
        "pictures": 1,
        "price": 1,
        "time": 0,
    }
    assert found["groups"]["groups of several"] == 1 and found["groups"]["largest"] == 2
    duplicates = found["duplicates"]
    assert duplicates["titles used several times"] == 1
    assert duplicates["pictures used by several products"] == 1
    assert duplicates["products with such a picture"] == 2
    assert found["categories"][0] == {"category": "clothes", "products": 2, "paths": 2}
    by_key = {row["key"]: row for row in found["attributes"]}
    assert by_key["color"] == {"key": "color", "products": 2, "share": 0.5, "values": 1}
    assert by_key["size"]["values"] == 2
    assert found["pictures"]["width, least / median / most"] == "12 / 12 / 30"
    assert found["queries"]["with a picture"] == 1 and found["queries"]["positives, mean"] == 1.0
    assert found["events"]["click"] == {
        "events": 2,
        "users": 2,
        "first": "1970-01-02",
        "last": "1970-01-04",
    }


def test_one_bare_product_is_enough(tmp_path: Path) -> None:
    import_records([Product("p", title="x")], tmp_path / "shop")
    catalog = Catalog.open(tmp_path / "shop")
    found = inspect_catalog(catalog)
    assert found["pictures"] == {} and found["attributes"] == [] and found["events"] == {}
    write_inspection_html(catalog, tmp_path / "page.html", found)
    assert "no picture" in (tmp_path / "page.html").read_text()


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_is_self_contained_and_escaped(catalog: Catalog, tmp_path: Path) -> None:
    write_inspection_html(catalog, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert not [tag for tag, _ in tags.seen if tag in ("script", "link", "iframe")]
    pictures = [attributes for tag, attributes in tags.seen if tag == "img"]
    assert len(pictures) == 3
    assert all((a["src"] or "").startswith("data:image/jpeg;base64,") for a in pictures)
    assert not [a for _, a in tags.seen for name in a if name.startswith("on")]
    assert "evil &amp; co" in text and "http" not in text.replace("http-equiv", "")
