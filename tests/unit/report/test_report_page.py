"""The report of a run: escaped, whole, and sound on catalogues that lack things."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moonshelf.catalog.product import Product
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.center import embed_catalog
from moonshelf.center.store import Store
from moonshelf.encoder import Encoder, FastConfig, build_encoder, load_encoder
from moonshelf.errors import UsageError
from moonshelf.report import sections, write_report
from moonshelf.report.curves import _series

HOSTILE = "<script>alert(1)</script>"


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), shade, np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, Store, Catalog]:
    """Test products with a hostile title, and without a title."""
    folder = tmp_path_factory.mktemp("shelf")
    with CatalogWriter(folder / "catalog") as writer:
        for k in range(6):
            writer.add_product(Product(f"a{k}", title=f"red lamp {k}", images=(png(k),)))
        writer.add_product(Product("b0", title=HOSTILE, images=(png(90),), split="test"))
        writer.add_product(Product("b1", images=(png(91),), split="test"))
        writer.commit()
    catalog = Catalog.open(folder / "catalog")
    config = FastConfig(
        vocabulary=300, width=16, stem={"width": 4}, pictures={"height": 16, "width": 16}, dim=8
    )
    run = build_encoder(config, ["red lamp"] * 9).save(folder / "run" / "encoder").parent
    encoder = load_encoder(run)
    return encoder, embed_catalog(encoder, catalog, folder / "store", run=run), catalog


def test_the_page_escapes_what_a_catalogue_says(
    shelf: tuple[Encoder, Store, Catalog], tmp_path: Path
) -> None:
    encoder, store, catalog = shelf
    found = [
        sections.search_section(encoder, store, catalog),
        sections.neighbor_section(encoder, store, catalog),
        sections.catalog_section(catalog),
    ]
    page = write_report(tmp_path / "report.html", HOSTILE, HOSTILE, found).read_text("utf-8")
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 6
    assert "8 products picked at random" in page


def test_a_folder_that_is_no_finished_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"metrics\.json cannot be read"):
        sections.training_section(tmp_path)


def test_stages_follow_each_other_on_the_axis() -> None:
    lines = [
        {"stage": "one", "seconds": 60.0, "loss": 3.0},
        {"stage": "one", "loss": 2.5},
        {"stage": "two", "seconds": 30.0, "loss": 2.0},
    ]
    assert _series(lines, ("loss",)) == {"loss": ([1.0, 1.0, 1.5], [3.0, 2.5, 2.0])}


def test_tables_of_a_strange_run_lose_their_code(tmp_path: Path) -> None:
    file = tmp_path / "evaluation" / "any-test" / "table.html"
    file.parent.mkdir(parents=True)
    file.write_text(
        "<h3 onclick=x()>R@1</h3><table><tr><td>1 &lt; 2</td></tr></table>"
        "<script>alert(1)</script><meta http-equiv=refresh content='0;url=x'><img src=x>"
    )
    (section,) = sections.saved_evaluations(tmp_path)
    assert section.body == (
        '<div class="evaluation"><h3>R@1</h3><table><tr><td>1 &lt; 2</td></tr></table></div>'
    )
