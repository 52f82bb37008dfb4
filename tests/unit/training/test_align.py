"""What a step of stage align is made of: contents, augmentation, and what is no negative."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from moonshelf.catalog.marks import Mark, Marked
from moonshelf.catalog.pixels import PixelCache
from moonshelf.catalog.product import Event, Product, View
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.encoder import build_encoder
from moonshelf.objectives.contrastive import info_nce_dense
from moonshelf.training import contents
from moonshelf.training.augment import augment_pictures, augment_text
from moonshelf.training.contents import ContentSource, Draws
from moonshelf.training.distill import follow_teacher
from moonshelf.training.settings import (
    AlignConfig,
    AugmentConfig,
    DistillConfig,
    PairConfig,
    TermConfig,
)
from moonshelf.training.stages.align import AlignStage, Temperature
from tests.small_encoder import FAST
from tests.small_shop import picture, write_small_shop

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Rows 0, 1 share a group; 2, 3 a title; 4 has no picture; 5 no title; 6 a log with 0."""
    path = tmp_path_factory.mktemp("shop") / "catalog"
    rng = np.random.default_rng(0)
    titles = ["a red bar", "a green bar", "same", "same", "words only", "", "seven words"]
    groups = ["g", "g", "", "", "", "", ""]
    with CatalogWriter(path) as writer:
        for row, (title, group) in enumerate(zip(titles, groups, strict=True)):
            images = () if row == 4 else (picture("red", "bar", "large", rng),)
            writer.add_product(
                Product(f"p{row}", title, images, description="a long story of cloth", group=group)
            )
        for day, row in enumerate((0, 6, 2)):
            writer.add_event(Event(86_400 * day, "u", f"p{row}", "purchase"))
        writer.commit()
    return Catalog.open(path)


class Recorder(torch.nn.Module):
    """Stands in for an encoder: keeps the contents it was given."""

    def collate(self, contents):
        self.contents = list(contents)
        return {"x": torch.zeros(len(contents), 2)}


def stage(shop: Catalog, mini_batch: int | None = None, **terms: TermConfig) -> AlignStage:
    config = AlignConfig(
        steps=4,
        batch=16,
        mini_batch=mini_batch,
        terms=terms,
        augment=AugmentConfig(description=0.5, word_drop=0.5, crop=0.3, flip=True),
    )
    source = ContentSource(shop, PixelCache.build(shop, 32, 32))
    return AlignStage("align", config, Recorder(), source, seed=0, device=CPU)  # pyright: ignore[reportArgumentType]


def kept_out(found: AlignStage) -> set[tuple[int, int]]:
    """(query row, item row) pairs that are no negatives of each other in step 0."""
    work = found.work(0)
    keep_out = work.about.keep_out[0]
    pairs = set()
    for entries, labels in keep_out.relations(len(work.rows[0]), 0, 0):
        for place, label in entries.tolist():
            for column in np.flatnonzero(labels.numpy() == label):
                pairs.add((int(work.rows[0][place]), int(work.rows[1][column])))
    return {(a, b) for a, b in pairs if a != b}


def test_rows_without_what_a_view_feeds_are_left_out_and_counted(shop: Catalog):
    found = stage(shop, ti=TermConfig(query=View.TEXT, item=View.IMAGE))
    assert sorted(found.work(0).rows[0]) == [0, 1, 2, 3, 6]
    assert found.dropped == {"ti": 2}


def test_group_and_equal_text_are_no_negatives(shop: Catalog):
    t_i = stage(shop, x=TermConfig(query=View.TEXT, item=View.IMAGE))
    assert kept_out(t_i) == {(0, 1), (1, 0), (2, 3), (3, 2)}
    # With the picture in both views, equal titles do not make equal products.
    both = stage(shop, x=TermConfig(query=View.IMAGE, item=View.BOTH))
    assert kept_out(both) == {(0, 1), (1, 0)}


def test_session_partners_and_the_item_itself_are_no_negatives(shop: Catalog):
    found = stage(shop, x=TermConfig(source="session", query=View.BOTH, item=View.BOTH))
    assert sorted(map(tuple, np.array(found.work(0).rows).T.tolist())) == [(0, 6), (6, 2)]
    # 0 -> 6 -> 2: 6 was bought with 0 and with 2, and is itself an item.
    assert kept_out(found) == {(0, 6), (6, 2)}
    known = found.work(0).about.keep_out[0].known
    rows = found.work(0).rows[0]
    assert {(int(rows[p]), int(i)) for p, i in known.tolist()} == {
        *((0, 6), (0, 0)),
        *((6, 0), (6, 2), (6, 6)),
    }


def test_variants_are_turned_both_ways(tmp_path: Path):
    shop = write_small_shop(tmp_path / "shop", products=24)
    found = stage(shop, x=TermConfig(source="variant", query=View.BOTH, item=View.BOTH))
    steps = [found.work(step).rows for step in range(20)]
    turned = [query > item for query, item in steps]
    assert 0.3 < np.concatenate(turned).mean() < 0.7
    # Each pair for itself, and anew in each step.
    assert any(0 < step.sum() < len(step) for step in turned)
    ends = {
        (q, i) for rows in steps for q, i in zip(*(side.tolist() for side in rows), strict=True)
    }
    assert ends == {(i, q) for q, i in ends}
    assert len({step.tobytes() for step in turned}) > 10


def test_mini_batches_are_pieces_of_the_same_augmented_batch(shop: Catalog):
    term = TermConfig(query=View.BOTH, item=View.IMAGE)
    whole, pieces = stage(shop, x=term), stage(shop, mini_batch=2, x=term)

    def contents(found: AlignStage) -> list:
        seen = []
        for side in found.work(3).sides:
            for collate in side:
                collate()
                seen += found.encoder.contents  # pyright: ignore[reportOperatorIssue]
        return seen

    first, again, cut = contents(whole), contents(whole), contents(pieces)
    assert len(pieces.work(3).sides[0]) == 3
    for a, b, c in zip(first, again, cut, strict=True):
        assert a.text == b.text == c.text
        for x, y, z in zip(a.images, b.images, c.images, strict=True):
            assert np.array_equal(x, y) and np.array_equal(x, z)


def test_texts_of_a_step_are_drawn_once(shop: Catalog, monkeypatch: pytest.MonkeyPatch):
    drawn = []

    def counted(text: Marked, *rest: Any) -> Marked:
        drawn.append(text)
        return augment_text(text, *rest)

    monkeypatch.setattr(contents, "augment_text", counted)
    both = {"whole": PairConfig(query=View.IMAGE, item=View.BOTH)}
    term = TermConfig(query=View.TEXT, item=View.IMAGE, query_attributes=1.0, together=both)
    found = stage(shop, mini_batch=2, x=term)
    work = found.work(0)
    shown = []
    for collate in [*work.sides[0], *work.sides[0]]:  # GradCache asks twice
        collate()
        shown.append([content.text for content in found.encoder.contents])  # pyright: ignore
    assert len(drawn) == 2 * work.pairs  # two sides with text, each product once
    assert shown[: len(shown) // 2] == shown[len(shown) // 2 :]


def test_text_augmentation_stays_within_title_and_description():
    config = AugmentConfig(description=0.5, description_words=3, word_drop=0.4)
    title, description = "one two three", "alpha beta gamma delta epsilon"
    found = {augment_text(Marked(title), description, (), config, seed).text for seed in range(300)}
    for text in found:
        words = text.split()
        assert words
        assert set(words) <= set(title.split()) or set(words) <= set(description.split())
        assert len(words) <= 3
    assert len(found) > 10
    assert augment_text(Marked(title), "", (), AugmentConfig(description=1.0), 0).text == title
    assert augment_text(Marked(""), "", (), AugmentConfig(word_drop=0.9), 0) == Marked("")


def test_values_stand_in_for_the_title() -> None:
    values, config = ("Black", "Solid", "Shirts", "Cotton"), AugmentConfig(attributes=1.0)
    marked = [Marked.whole(value, Mark.ATTRIBUTE) for value in values]
    title = Marked("a title")
    drawn = [augment_text(title, "", marked, config, seed) for seed in range(300)]
    assert all(
        "".join(m.text[a:b] for a, b, _ in m.spans) == m.text.replace(" ", "") for m in drawn
    )
    found = {text for text, _ in drawn}
    assert {"Black", "Solid", "Shirts", "Cotton"} <= found
    assert any(len(text.split()) == 3 for text in found)
    assert all(set(text.split()) <= set(values) for text in found)
    assert augment_text(title, "", (), config, 0) == title


def test_a_term_has_text_shares_of_its_own() -> None:
    term = TermConfig(query="t", item="mm", query_attributes=1.0, item_description=0.0)
    query, item = term.augments(AugmentConfig(description=0.5, flip=True))
    assert (query.description, query.attributes, query.flip) == (0.5, 1.0, True)
    assert (item.description, item.attributes, item.flip) == (0.0, 0.0, True)


def test_picture_augmentation():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (6, 20, 16, 3), dtype=np.uint8)
    draws = rng.random((6, 8))
    assert augment_pictures(pictures, AugmentConfig(), draws) is pictures
    flipped = augment_pictures(pictures, AugmentConfig(flip=True), draws)
    for k in range(6):
        expected = pictures[k][:, ::-1] if draws[k, 0] < 0.5 else pictures[k]
        assert np.array_equal(flipped[k], expected)
    # A zoom of nothing gives back the picture; a real one and jitter change it, in shape and type.
    none = augment_pictures(pictures, AugmentConfig(crop=0.5), np.zeros((6, 8)))
    assert abs(none.astype(int) - pictures).max() <= 1
    for config in (AugmentConfig(crop=0.5), AugmentConfig(jitter=0.5)):
        changed = augment_pictures(pictures, config, draws)
        assert changed.shape == pictures.shape and changed.dtype == np.uint8
        assert abs(changed.astype(int) - pictures).mean() > 3


def test_augmentation_of_a_row_does_not_depend_on_its_batch_mates(shop: Catalog):
    source = ContentSource(shop, PixelCache.build(shop, 32, 32))
    config = AugmentConfig(crop=0.5, flip=True, jitter=0.3, word_drop=0.5)
    rows = np.array([0, 1, 4, 6])
    draws = Draws((1, 2, 3), 4)
    whole = source(rows, View.BOTH, config, draws)
    for k in range(4):
        (alone,) = source(rows[k : k + 1], View.BOTH, config, draws[k : k + 1])
        assert alone.text == whole[k].text
        for a, b in zip(alone.images, whole[k].images, strict=True):
            assert np.array_equal(a, b)


def test_following_a_teacher_is_zero_at_the_teacher_and_has_the_right_gradient():
    torch.manual_seed(0)
    q, i = (torch.nn.functional.normalize(torch.randn(6, 4), dim=1) for _ in range(2))
    config = DistillConfig(teacher="x", temperature=0.1)
    same = follow_teacher((q, i), torch.tensor(0.1), (q, i), config)
    assert abs(float(same)) < 1e-6
    student = torch.nn.functional.normalize(torch.randn(6, 3), dim=1).requires_grad_()
    loss = follow_teacher((student, i[:, :3]), torch.tensor(0.1), (q, i), config)
    scores, target = student @ i[:, :3].T / 0.1, q @ i.T / 0.1
    by_hand = 0
    for a, b in ((scores, target), (scores.T, target.T)):
        p = b.softmax(1)
        by_hand = by_hand + (p * (p.log() - a.softmax(1).log())).sum(1).mean() / 2
    torch.testing.assert_close(loss, by_hand)
    assert loss > 0


def test_temperature_starts_where_told_and_stays_in_range():
    temperature = Temperature(0.07, learn=True)
    assert float(temperature().detach()) == pytest.approx(0.07)
    with torch.no_grad():
        temperature.log_temperature.fill_(-50.0)
    assert float(temperature().detach()) == pytest.approx(0.01)
    assert not Temperature(0.07, learn=False).log_temperature.requires_grad


@pytest.mark.parametrize("mini_batch", [None, 3])
def test_losses_together_are_the_losses_alone(shop: Catalog, mini_batch: int | None):
    """One pass with shared pictures gives the sum of the losses of separate passes."""
    alone = {
        "": PairConfig(query=View.TEXT, item=View.IMAGE),
        "whole": PairConfig(query=View.IMAGE, item=View.BOTH, weight=0.5),
        "part": PairConfig(query=View.TEXT, item=View.BOTH, weight=2.0),
    }
    term = TermConfig(
        query=View.TEXT, item=View.IMAGE, together={k: v for k, v in alone.items() if k}
    )
    config = AlignConfig(steps=1, batch=16, mini_batch=mini_batch, terms={"x": term})
    source = ContentSource(shop, PixelCache.build(shop, 32, 32))
    encoder = build_encoder(FAST, ["a red bar", "a green bar", "same words"])
    found = AlignStage("align", config, encoder, source, seed=0, device=CPU)
    work = found.work(0)
    vectors = [torch.cat([encoder(collate()) for collate in side]) for side in work.sides]
    total, report = found.loss(work, *vectors)
    rows, expected = found.plan[0].pairs[:, 0], torch.zeros(())
    for pair, keep_out in zip(alone.values(), work.about.keep_out, strict=True):
        query, item = (encoder(encoder.collate(source(rows, v))) for v in (pair.query, pair.item))
        expected = (
            expected
            + pair.weight
            * info_nce_dense(
                query, item, found.temperature(), keep_out=keep_out, symmetric=True
            ).loss
        )
    torch.testing.assert_close(total, expected, rtol=1e-5, atol=1e-6)
    assert {"contrast", "contrast/whole", "contrast/part"} <= set(report)


def test_items_that_carry_the_shown_values_are_no_negatives(tmp_path: Path):
    path = tmp_path / "values"
    rng = np.random.default_rng(0)
    colors = ["Red", "Red", "Blue", "Red"]
    with CatalogWriter(path) as writer:
        for row, color in enumerate(colors):
            images = (picture("red", "bar", "large", rng),)
            writer.add_product(
                Product(f"p{row}", f"title {row}", images, attributes={"color": (color,)})
            )
        writer.commit()
    term = TermConfig(query=View.TEXT, item=View.IMAGE, query_attributes=1.0)
    config = AlignConfig(steps=1, batch=4, terms={"x": term})
    catalog = Catalog.open(path)
    source = ContentSource(catalog, PixelCache.build(catalog, 32, 32))
    found = AlignStage("align", config, Recorder(), source, seed=0, device=CPU)  # pyright: ignore[reportArgumentType]
    work = found.work(0)
    rows, known = work.rows[1], work.about.keep_out[0].known
    carried = {(int(rows[place]), int(row)) for place, row in known.tolist()}
    reds = {0, 1, 3}
    assert carried == {(a, b) for a in reds for b in reds} | {(2, 2)}


def test_carriers_are_sought_among_the_items(tmp_path: Path):
    """Of a variant the query's values and the item's differ: what counts is what the item has."""
    rng = np.random.default_rng(0)
    with CatalogWriter(tmp_path / "shop") as writer:
        for row, color in enumerate(["Red", "Blue", "Red", "Green"]):
            looks = (picture("red", "bar", "large", rng),)
            values = {"color": (color,)}
            writer.add_product(
                Product(f"p{row}", f"title {row}", looks, attributes=values, group=f"g{row // 2}")
            )
        catalog = writer.commit()
    term = TermConfig(source="variant", query=View.TEXT, item=View.IMAGE, query_attributes=1.0)
    config = AlignConfig(steps=1, batch=2, terms={"x": term})
    source = ContentSource(catalog, PixelCache.build(catalog, 32, 32))
    found = AlignStage("align", config, Recorder(), source, seed=0, device=CPU)  # pyright: ignore[reportArgumentType]
    colors, seen = {0: "Red", 1: "Blue", 2: "Red", 3: "Green"}, set()
    for step in range(20):
        work = found.work(step)
        queries, items = work.rows
        expected = {
            (int(q), int(i)) for q in queries for i in items if colors[int(q)] == colors[int(i)]
        }
        known = work.about.keep_out[0].known.tolist()
        assert {(int(queries[place]), row) for place, row in known} == expected
        seen |= expected
    assert seen == {(0, 2), (2, 0)}


def test_sides_of_one_product_hold_the_very_same_picture(shop: Catalog):
    """So that the encoder looks at each once, whatever was drawn for it."""
    together = {
        "whole": PairConfig(query=View.IMAGE, item=View.BOTH),
        "part": PairConfig(query=View.TEXT, item=View.BOTH, query_attributes=1.0),
    }
    term = TermConfig(query=View.TEXT, item=View.IMAGE, together=together)
    found = stage(shop, x=term)
    (collate,) = found.work(0).sides[0]
    collate()
    contents = found.encoder.contents  # pyright: ignore[reportAttributeAccessIssue]
    pictures = [p for content in contents for p in content.images]  # pyright: ignore
    products = found.work(0).pairs
    assert len(pictures) == 2 * products and len({id(p) for p in pictures}) == products


def test_a_turned_variant_still_has_what_its_view_needs(tmp_path: Path):
    path = tmp_path / "turned"
    rng = np.random.default_rng(0)
    with CatalogWriter(path) as writer:
        for row in range(12):
            images = () if row % 3 == 0 else (picture("red", "bar", "large", rng),)
            writer.add_product(Product(f"p{row}", f"title {row}", images, group=f"g{row // 3}"))
        writer.commit()
    catalog = Catalog.open(path)
    term = TermConfig(source="variant", query=View.IMAGE, item=View.BOTH)
    config = AlignConfig(steps=1, batch=4, terms={"x": term})
    source = ContentSource(catalog, PixelCache.build(catalog, 32, 32))
    found = AlignStage("align", config, Recorder(), source, seed=0, device=CPU)  # pyright: ignore[reportArgumentType]
    for step in range(20):
        assert not any(row % 3 == 0 for row in found.work(step).rows[0])
