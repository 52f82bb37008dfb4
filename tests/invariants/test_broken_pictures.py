"""A picture that cannot be read costs its own row and no other (methods.md 10.4; elsewhere one
broken picture empties the batch it is in)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from moonshelf.catalog.pixels import PixelCache
from moonshelf.catalog.product import Product
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.center.embed import embed_catalog
from moonshelf.encoder import build_encoder
from tests.small_encoder import FAST
from tests.small_shop import COLORS, picture

BROKEN = 3


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, Catalog]:
    """A catalogue as it was written, and one whose disk has lost most of a picture since."""
    rng = np.random.default_rng(0)
    pictures = [picture(color, "bar", "large", rng) for color in COLORS]
    found = []
    for name in ("whole", "broken"):
        with CatalogWriter(tmp_path_factory.mktemp("shop") / name) as writer:
            for k, data in enumerate(pictures):
                writer.add_product(Product(f"p{k}", f"thing no {k}", (data,)))
            found.append(writer.commit())
    blob = next(iter(found[1].path.glob("generation-*/pictures-*.blob")))
    data = bytearray(blob.read_bytes())
    at = data.find(pictures[BROKEN])
    assert at >= 0
    data[at + 60 : at + len(pictures[BROKEN])] = bytes(len(pictures[BROKEN]) - 60)
    blob.write_bytes(data)
    return found[0], Catalog.open(found[1].path)


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_embedding_gives_every_row_a_vector_or_an_error(
    shops: tuple[Catalog, Catalog], batch: int, tmp_path: Path
) -> None:
    encoder = build_encoder(FAST, [f"thing no {k}" for k in range(40)], seed=0)
    whole, broken = (
        embed_catalog(encoder, shop, tmp_path / str(k), version="1", batch_size=batch)
        for k, shop in enumerate(shops)
    )
    assert len(broken) == len(whole) == len(COLORS)
    good = np.arange(len(COLORS)) != BROKEN
    np.testing.assert_array_equal(broken.missing, ~good)
    np.testing.assert_array_equal(np.asarray(broken.vectors)[good], np.asarray(whole.vectors)[good])
    assert not np.asarray(broken.vectors)[BROKEN].any() and not whole.missing.any()
    (failed,) = map(json.loads, (broken.path / "failed.jsonl").read_text().splitlines())
    assert failed["id"] == f"p{BROKEN}" and failed["error"]


def test_training_sees_every_other_picture(shops: tuple[Catalog, Catalog]) -> None:
    whole, broken = (PixelCache.build(shop, 32, 32) for shop in shops)
    good = np.array([k for k in range(len(COLORS)) if k != BROKEN])
    assert [broken.has(k) for k in range(len(COLORS))] == [k != BROKEN for k in range(len(COLORS))]
    np.testing.assert_array_equal(broken.take(good), whole.take(good))
    (problem,) = broken.problems
    assert f"p{BROKEN}" in problem.where
