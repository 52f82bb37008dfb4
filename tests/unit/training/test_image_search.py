"""Image-based search recall while training: ranks, what is asked, what is right, what is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from moonshelf.catalog.product import Content, Product, Query
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.errors import DataError
from moonshelf.report.sections import training_section
from moonshelf.training.contents import ContentSource
from moonshelf.training.image_search import ImageSearch
from moonshelf.training.run import train
from moonshelf.training.validation import Validation, best_ranks
from tests.invariants.resume_job import small_recipe
from tests.small_shop import picture, write_small_shop


def test_ranks_are_those_of_the_best_right_answer() -> None:
    """Against one comparison at a time; few distinct scores, so that many tie."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (40, 12)).astype(np.float64)
    right = rng.random((40, 12)) < 0.2
    right[:, 0] = True
    for row, found in enumerate(best_ranks(scores, right)):
        best = max(s for s, r in zip(scores[row], right[row], strict=True) if r)
        wrong = [s for s, r in zip(scores[row], right[row], strict=True) if not r]
        wanted = 1 + sum(s > best for s in wrong) + sum(s == best for s in wrong) / 2
        assert found == wanted


class Known:
    """Vectors by picture bytes; what is not known gets one of its own."""

    def __init__(self, same: dict[bytes, bytes]) -> None:
        self.same, self.asked = same, []

    def embed(self, contents: Iterable[Content], bf16: bool = False) -> np.ndarray:
        rows = []
        for content in contents:
            self.asked.append(content)
            shown = bytes(content.images[0]) if content.images else b""
            key = self.same.get(shown, shown)
            seed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
            torch.rand(1)  # an encoder may draw: it must not move the run's own states
            vector = np.random.default_rng(seed).normal(size=32)
            rows.append(vector / np.linalg.norm(vector))
        return np.array(rows, np.float32)


def shop(path: Path, *, photos: bool, val: int = 30) -> Catalog:
    """Val products in groups of two, train products, and photos of some val products."""
    rng = np.random.default_rng(0)
    with CatalogWriter(path) as writer:
        for k in range(val + 20):
            split = "val" if k < val else "train"
            image = (picture("red", "square", "large", rng),) if k != 1 else ()
            writer.add_product(
                Product(f"p{k}", f"thing {k}", image, group=f"g{k // 2}", split=split)
            )
        for k in range(val // 2 if photos else 0):
            shot = (picture("blue", "bar", "small", rng),)
            writer.add_query(Query(f"q{k}", images=shot, positives=(f"p{k + 2}",), split="val"))
        writer.add_query(Query("words", text="thing", positives=("p3",), split="val"))
        writer.commit()
    return Catalog.open(path)


def search(catalog: Catalog, encoder: Any, **words: Any) -> ImageSearch:
    given = {"items": 500, "seed": 0, "bf16": False, **words}
    return ImageSearch(encoder, ContentSource(catalog, None), **given)


def test_photos_of_users_are_asked_where_there_are_any(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", photos=True)
    shots = [q for q in catalog.queries("val") if q.images]
    same = {q.images[0]: catalog.get(q.positives[0]).images[0] for q in shots}
    encoder = Known(same)
    asked = search(catalog, encoder)
    assert asked.photos == "user" and asked.rows.tolist() == [*range(50)]
    figures = {"val/image-search/R@1": 100.0, "val/image-search/R@10": 100.0}
    assert asked() == {**figures, "val/image-search/photos": "user"}
    assert {c.images[0] for c in encoder.asked[: len(shots)]} == {*same}
    # One photo of three is answered by another product's vector: its right answer is elsewhere.
    wrong = {shot: (catalog.image(40) if k % 3 == 0 else own) for k, (shot, own) in
             enumerate(same.items())}  # fmt: skip
    assert search(catalog, Known(wrong))()["val/image-search/R@1"] == pytest.approx(100 * 2 / 3)


def test_augmented_photos_stand_in_and_their_group_is_right(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", photos=False)
    asked = search(catalog, Known({}))
    assert asked.photos == "augmented" and "augmented photos" in asked.notes[0]
    assert asked.rows.tolist() == [*range(30)]  # the val split alone
    photos = [bytes(content.images[0]) for content in asked._photos]
    assert len(photos) == 29  # p1 has no picture
    pictured = [row for row in range(30) if row != 1]
    # The picture of the other one of the group; p0's other one has none, so it finds itself.
    found = {
        shot: catalog.image(row ^ (row > 1)) for shot, row in zip(photos, pictured, strict=True)
    }
    encoder = Known(found)
    assert search(catalog, encoder)()["val/image-search/R@1"] == 100.0
    assert not {*photos} & {catalog.image(row) for row in pictured}


def test_galleries_and_queries_are_capped_and_follow_from_the_seed(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", photos=False)
    few, again = (search(catalog, Known({}), items=12) for _ in range(2))
    assert len(few._photos) == 12 and few.rows.tolist() == again.rows.tolist()
    states = torch.get_rng_state(), np.random.get_state()[1]
    few()
    assert torch.equal(states[0], torch.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])


def test_what_cannot_be_asked_is_left_out_and_said(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", photos=False, val=4)
    with pytest.raises(DataError, match="4 products to find"):
        search(catalog, Known({}))

    class Fine:
        notes = ("fine",)

        def __call__(self) -> dict[str, float]:
            return {"a": 1.0}

    both = Validation([lambda: search(catalog, Known({})), Fine])
    assert both() == {"a": 1.0}
    assert both.notes[0] == "fine" and "4 products to find" in both.notes[1]
    with pytest.raises(DataError):
        Validation([lambda: search(catalog, Known({}))])


@pytest.mark.parametrize("on", [True, False])
def test_a_run_logs_it_by_a_switch_and_learns_the_same(tmp_path: Path, on: bool) -> None:
    catalog = write_small_shop(tmp_path / "shop")
    words = (
        "steps=4",
        "validate_every=2",
        "validation_items=12",
        f"image_search={str(on).lower()}",
    )
    recipe = small_recipe(*(f"stages.align.{word}" for word in words))
    recipe = recipe.model_copy(update={"stages": {"align": recipe.stages["align"]}})
    notes: list[str] = []
    out = train(recipe, catalog, tmp_path / "run", note=notes.append)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    found = [line for line in lines if "val/image-search/R@10" in line]
    assert [line["step"] for line in found] == ([2, 4] if on else [])
    assert all("val/t-i/R@1" in line for line in found)
    assert all(line["val/image-search/photos"] == "augmented" for line in found)
    assert ("augmented photos" in training_section(out).facts.values()) == on
    assert any("augmented photos" in note for note in notes) == on
