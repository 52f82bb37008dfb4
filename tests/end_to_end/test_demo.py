"""The demo through the command line: everything it leaves behind works with the other verbs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from moonshelf.catalog.store import Catalog
from tests.end_to_end.command import answer, said, start

pytestmark = pytest.mark.slow

SHOP = ("--products", 300, "stages.align.steps=20", "stages.align.batch=64", "compute.threads=1")
SECTIONS = ["Search", "Neighbors", "Evaluation", "Training", "Catalog", "Time"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("end") / "demo"


@pytest.fixture(scope="module")
def demo(out: Path) -> dict[str, Any]:
    return answer("demo", "--out", out, *SHOP, limit=240, fresh=True)


def section(page: str, title: str) -> str:
    found = re.search(
        rf'<section id="{title.lower()}"><h2>(.*?)(?=\n<section id=|</body>)', page, re.S
    )
    assert found, f"the page has no section {title}"
    return found.group(1)


def check_page(page: str) -> None:
    """It opens from disk: no script, and nothing it shows or runs comes from an address."""
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert not re.search(r"<(?:script|iframe|link|object|embed|base)\b", page, re.I)
    assert not re.search(r"\son\w+\s*=", re.sub(r'"data:[^"]*"', '""', page), re.I)
    addresses = re.findall(r"""(?:src|href|srcset|action)\s*=\s*["']?([^"'\s>]+)""", page)
    addresses += re.findall(r"url\(\s*[\"']?([^\"')]+)", page)
    assert {a.split(":")[0] if a.startswith("data:") else a[:1] for a in addresses} <= {"data", "#"}
    assert "@import" not in page


def test_the_report_is_whole_and_asks_nothing_of_the_network(demo: dict[str, Any]) -> None:
    page = Path(demo["report"]).read_text(encoding="utf-8")
    check_page(page)
    assert re.findall(r'<section id="[^"]+"><h2>([^<]*)</h2>', page) == SECTIONS
    searches = section(page, "Search")
    strips = re.findall(r'<section class="strip">.*?</section>', searches, re.S)
    assert len(strips) >= 6  # words, photos, both
    for strip in strips:
        cards = re.findall(r"<figure.*?</figure>", strip, re.S)
        assert len(cards) == 8
        assert all('<img src="data:image/' in card for card in cards)
    assert "<svg" in section(page, "Training")
    assert "random" in section(page, "Evaluation") and "moonshelf" in section(page, "Evaluation")


def test_the_store_is_searched_by_text_picture_and_filter(
    demo: dict[str, Any], tmp_path: Path
) -> None:
    store, catalog = demo["store"], Catalog.open(Path(demo["catalog"]))
    assert len(catalog) == 300
    shown = said("search", store, "--text", "red shirt", "--k", 3)
    found = answer("search", store, "--text", "red shirt", "--k", 3, fresh=True)
    assert len(found["hits"]) == 3 and all(hit["title"][:12] in shown for hit in found["hits"])
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)

    photo = tmp_path / "photo.jpg"
    row = int(catalog.split_rows("train")[0])
    photo.write_bytes(catalog.image(row))
    by_picture = answer("search", store, "--image", photo, "--k", 5, "--html", tmp_path / "s.html")
    assert len(by_picture["hits"]) == 5
    assert by_picture["hits"] != found["hits"]
    check_page((tmp_path / "s.html").read_text(encoding="utf-8"))

    color = catalog[row].attributes["color"][0]
    where = ("--where", f"color={color}", f"price<={catalog[row].price}")
    filtered = answer("search", store, "--image", photo, "--text", "new", "--k", 300, *where)
    ids = {
        p.id
        for p in catalog
        if color in p.attributes["color"] and (p.price or 0) <= (catalog[row].price or 0)
    }
    assert {hit["id"] for hit in filtered["hits"]} == ids and catalog[row].id in ids


def test_again_in_the_same_folder_it_does_not_train_again(demo: dict[str, Any]) -> None:
    run = Path(demo["run"])
    kept = [run / "metrics.jsonl", run / "encoder" / "model.safetensors"]
    before = [(p.read_bytes(), p.stat().st_mtime_ns) for p in kept]
    Path(demo["report"]).unlink()
    again = answer("demo", "--out", run.parent, *SHOP, limit=240)
    assert [(p.read_bytes(), p.stat().st_mtime_ns) for p in kept] == before
    assert Path(again["report"]).stat().st_size > 0
    other = start("demo", "--out", run.parent, "--products", 200)
    assert other.wait(60) == 2  # another shop never lands in this folder


def test_a_report_of_the_run(demo: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    words = ("--store", demo["store"], "--catalog", demo["catalog"], "--out", page)
    answer("report", demo["run"], *words)
    text = page.read_text(encoding="utf-8")
    check_page(text)
    assert len(re.findall(r'<section class="strip">', text)) >= 10
    assert "Evaluation shop-test" in text
