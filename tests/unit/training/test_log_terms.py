"""Terms of a log: queries as content, what a term draws, what is no negative, mixed steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from moonshelf.catalog.images import decode_picture
from moonshelf.catalog.pair_building import build_pairs
from moonshelf.catalog.pair_set import LEVELS, TABLE_QUERY, PairSet
from moonshelf.catalog.pixels import PixelCache
from moonshelf.catalog.product import Content, Product, Query, View
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.encoder import build_encoder
from moonshelf.errors import DataError, UsageError
from moonshelf.objectives.contrastive import info_nce_dense
from moonshelf.training.augment import augment_pictures
from moonshelf.training.contents import ContentSource, Draws
from moonshelf.training.settings import AlignConfig, AugmentConfig, TermConfig
from moonshelf.training.stages.align import AlignStage
from moonshelf.training.terms import find_terms
from tests.log_shop import write_log_shop
from tests.small_encoder import FAST
from tests.small_shop import picture

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_log_shop(tmp_path_factory.mktemp("shop") / "catalog", 1, queries=40, events=400)


@pytest.fixture(scope="module")
def pairs(shop: Catalog) -> PairSet:
    return build_pairs(shop).pairs.write(shop.path.parent / "pairs", step="build", options={})


def source_of(catalog: Catalog) -> ContentSource:
    caches = [PixelCache.build(catalog, 32, 32, of=of) for of in ("products", "queries")]
    return ContentSource(catalog, caches[0], query_pixels=caches[1])


def log_term(query: str, item: str, **more: Any) -> TermConfig:
    return TermConfig(source="log", query=query, item=item, **more)


def stage(pairs: PairSet, encoder: Any = None, **given: Any) -> AlignStage:
    config = AlignConfig(
        **{"steps": 4, "batch": 12, "pairs": pairs.path and str(pairs.path), **given}
    )
    source = source_of(pairs.catalog)
    encoder = encoder or build_encoder(FAST, source.texts(np.arange(len(source))))
    return AlignStage("align", config, encoder, source, seed=3, device=CPU)


def test_queries_are_content_like_any_other(shop: Catalog) -> None:
    source, queries = source_of(shop), shop.queries()
    rows = np.arange(len(queries)) + len(shop)
    assert len(source) == len(shop) + len(queries)
    assert source.texts(rows) == [query.text for query in queries]
    for query, words, photo, both in zip(
        queries, *(source(rows, view) for view in View), strict=True
    ):
        assert words == Content(query.text) and photo.text is None and both.text == query.text
        assert len(photo.images) == len(query.images)
        for seen, data in zip(photo.images, query.images, strict=True):
            assert np.array_equal(seen, decode_picture(data, 32, 32))
    for view in View:
        usable = source.usable(view)
        able = {"t": lambda q: q.text.strip(), "i": lambda q: q.images}.get(view.value)
        expected = [bool(able(q)) if able else True for q in queries]
        assert usable[len(shop) :].tolist() == expected
    plain = ContentSource(shop, None)  # without a cache: the encoded bytes
    assert [c.images for c in plain(rows, View.IMAGE)] == [q.images[:1] for q in queries]


def test_products_and_queries_of_one_call_are_changed_alike(shop: Catalog) -> None:
    source = source_of(shop)
    photos = np.flatnonzero(source.usable(View.IMAGE))
    rows = np.random.default_rng(0).permutation(photos)[:16]
    assert (rows < len(shop)).any() and (rows >= len(shop)).any()
    config, draws = AugmentConfig(crop=0.4, flip=True, word_drop=0.3), Draws((1, 2), len(rows))
    plain, changed = source(rows, View.BOTH), source(rows, View.BOTH, config, draws)
    for k, (before, after) in enumerate(zip(plain, changed, strict=True)):
        by_hand = augment_pictures(np.stack(before.images), config, draws.uniform[k : k + 1])  # pyright: ignore
        assert np.array_equal(by_hand[0], after.images[0])  # pyright: ignore
        assert set((after.text or "").split()) <= set((before.text or "").split())


def test_richer_text_is_of_products_alone(shop: Catalog) -> None:
    source = source_of(shop)
    rich = [k for k, p in enumerate(shop) if p.title.strip() and p.description and p.attributes]
    rows = np.array([rich[0], len(shop)])
    config = AugmentConfig(richer=1.0, description_words=3)
    product, query = source(rows, View.TEXT, config, Draws((0,), 2))
    own = shop[rich[0]]
    assert product.text is not None and product.text.startswith(own.title)
    rest = product.text.removeprefix(own.title).split()
    assert rest[:2] == [own.attributes["color"][0], own.category[-1]] and len(rest) == 5
    assert " ".join(rest[2:]) in own.description
    assert query.text == shop.queries()[0].text
    some = source(np.full(200, rich[0]), View.TEXT, AugmentConfig(richer=0.3), Draws((1,), 200))
    assert 0.15 < np.mean([content.text != own.title for content in some]) < 0.45


@pytest.mark.parametrize("query", ["t", "i", "mm"])
@pytest.mark.parametrize("levels", [LEVELS, ("purchase",), ("cart", "click")])
def test_a_term_draws_pairs_of_its_queries_and_levels(
    shop: Catalog, pairs: PairSet, query: str, levels: tuple[Any, ...]
) -> None:
    config = AlignConfig(
        steps=1, pairs="x", terms={"x": log_term(query, "mm", levels=levels, optional=True)}
    )
    source, queries = source_of(shop), shop.queries()
    groups = np.full(len(shop), -1)
    found = find_terms("align", config, source, groups, pairs)
    expected = set()
    for kind, asked, item, level in zip(
        pairs.query_kind, pairs.query, pairs.item, pairs.level, strict=True
    ):
        if LEVELS[level] not in levels:
            continue
        if kind == TABLE_QUERY:
            words, photo = bool(queries[asked].text.strip()), bool(queries[asked].images)
            fit = {"t": words, "i": photo, "mm": words and photo}[query]
        else:
            fit = query == "mm"
        if fit:
            expected.add((int(asked) + len(shop) * int(kind == TABLE_QUERY), int(item)))
    (term,) = found.planned
    assert set(map(tuple, term.pairs.tolist())) == expected and len(expected) > 2


def test_no_pair_set_and_no_pairs_are_told(shop: Catalog, pairs: PairSet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names none") as told:
        stage(replace(pairs, path=None), terms={"x": log_term("t", "i")})
    assert "data.pairs=" in told.value.cure
    with CatalogWriter(tmp_path / "shop") as writer:
        for k in range(4):
            writer.add_product(Product(f"p{k}", f"thing {k}"))
        for k in range(3):
            writer.add_query(Query(f"q{k}", f"a {k}", positives=("p0", f"p{k}")[: k + 1]))
        catalog = writer.commit()
    few = build_pairs(catalog).pairs.write(tmp_path / "few", step="build", options={})
    terms = {"typed": log_term("t", "t"), "photo": log_term("i", "mm")}
    with pytest.raises(
        DataError, match="for term photo it has no click or cart or purchase after a photo"
    ):
        stage(few, terms=terms)
    terms["photo"] = log_term("i", "mm", optional=True)
    found = stage(few, terms=terms)
    assert found.plan.shares() == {"typed": 1.0} and "photo" in found.without_pairs


def kept_out(found: AlignStage, step: int = 0) -> set[tuple[int, int]]:
    """(row of the query, row of the item) of all that is no negative, the pairs aside."""
    work = found.work(step)
    queries, items = work.rows
    pairs = set()
    for entries, labels in work.about.keep_out[0].relations(len(queries), 0, 0):
        for place, value in entries.tolist():
            for column in np.flatnonzero(labels.numpy() == value):
                if place != column:
                    pairs.add((int(queries[place]), int(items[column])))
    return pairs


def test_what_the_log_knows_is_no_negative_even_where_cleaning_left_it_out(
    shop: Catalog, pairs: PairSet, tmp_path: Path
) -> None:
    """One pair a query is left; the others of the query, and of its words, are still known."""
    _, first = np.unique(np.stack([pairs.query_kind, pairs.query]), axis=1, return_index=True)
    few = pairs.select(first).write(tmp_path / "few", step="one", options={})
    source = source_of(shop)
    known = {(query + len(shop) * kind, item) for kind, query, item in pairs.known.tolist()}
    for query, item in (("t", "i"), ("i", "mm"), ("mm", "mm"), ("t", "t")):
        found = stage(few, batch=64, terms={"x": log_term(query, item)})
        queries, items = found.work(0).rows
        texts = source.texts(queries) if query == "t" else queries.tolist()
        told = source.texts(items) if item == "t" else items.tolist()
        expected = {
            (int(q), int(i))
            for a, q in enumerate(queries)
            for b, i in enumerate(items)
            if a != b
            and ((q, i) in known or (i, q) in known or q == i or told[a] == told[b]
                 or items[a] == i or texts[a] == texts[b])
        }  # fmt: skip
        assert kept_out(found) == expected
        further = {(q, i) for q, i in expected if (q, i) in known} - set(
            map(tuple, found.plan.terms[0].pairs.tolist())
        )
        assert further or query == "mm"


TYPES = {
    "one": log_term("t", "t", item_richer=1.0, share=1),
    "four": log_term("t", "mm", item_richer=1.0, share=3),
    "six": log_term("i", "mm", share=2),
    "eight": log_term("mm", "mm", share=2),
    "own": TermConfig(query="t", item="i", query_attributes=1.0, share=1),
    "variant": TermConfig(source="session", query="mm", item="t", share=1),
}


@pytest.mark.parametrize("mini_batch", [None, 5])
@pytest.mark.parametrize("name", ["four", "six", "own", "variant"])
def test_mixed_with_one_term_is_that_term(
    pairs: PairSet, name: str, mini_batch: int | None
) -> None:
    given = {"terms": {name: TYPES[name]}, "mini_batch": mini_batch}
    augment = AugmentConfig(word_drop=0.3, crop=0.3, flip=True)
    alone, mixed = (
        stage(pairs, mixing=mixing, augment=augment, **given) for mixing in ("homogeneous", "mixed")
    )
    for step in range(3):
        one, other = alone.work(step), mixed.work(step)
        assert one.label == other.label and one.counts == other.counts
        for mine, theirs in zip(one.rows, other.rows, strict=True):
            assert np.array_equal(mine, theirs)
        for a, b in zip(one.sides, other.sides, strict=True):
            for first, second in zip(a, b, strict=True):
                batches = (first(), second())
                assert batches[0].keys() == batches[1].keys()
                assert all(torch.equal(batches[0][k], batches[1][k]) for k in batches[0])
        assert losses(alone, one) == losses(mixed, other)


def losses(found: AlignStage, work: Any) -> float:
    vectors = [torch.cat([found.embed(collate()) for collate in side]) for side in work.sides]
    return found.loss(work, *vectors)[0].item()


def test_a_mixed_step_is_one_loss_over_rows_of_all_terms(pairs: PairSet) -> None:
    found = stage(pairs, batch=20, mini_batch=7, mixing="mixed", terms=TYPES)
    work, parts = found.work(1), found.plan.parts(1)
    assert [len(part.pairs) for part in parts] == [2, 6, 4, 4, 2, 2] and work.label == "mixed"
    assert np.array_equal(np.concatenate([p.pairs for p in parts]).T, np.stack(work.rows))
    # Each row looks as its own term shows it, whatever mini-batch it falls into.
    encoder, source = found.encoder, found.source
    vectors = [torch.cat([encoder(collate()) for collate in side]) for side in work.sides]
    start = 0
    for part in parts:
        term = TYPES[part.name]
        for side, view in enumerate((term.query, term.item)):
            if (part.name, side) in {("one", 1), ("four", 1), ("own", 0)}:
                continue  # drawn text
            alone = encoder(encoder.collate(source(part.pairs[:, side], view)))
            own = vectors[side][start : start + len(part.pairs)]
            torch.testing.assert_close(own, alone, rtol=1e-4, atol=1e-5)
        start += len(part.pairs)
    dense = info_nce_dense(
        *vectors, found.temperature(), keep_out=work.about.keep_out[0], symmetric=True
    )
    total, _ = found.loss(work, *vectors)
    torch.testing.assert_close(total, dense.loss, rtol=1e-5, atol=1e-6)


def test_no_row_of_a_mixed_step_is_a_negative_of_its_own_product(pairs: PairSet) -> None:
    """The same item may stand in rows of several types, and the same query too."""
    found = stage(pairs, batch=60, mixing="mixed", terms=TYPES)
    source, work = found.source, found.work(0)
    queries, items = work.rows
    parts = found.plan.parts(0)
    shown = np.concatenate([np.full(len(p.pairs), p.name) for p in parts])
    assert len(np.unique(items)) < len(items)
    out = kept_out(found)
    titles, asked = source.texts(items), source.texts(queries)
    words = {name for name, term in TYPES.items() if term.query is View.TEXT} - {"own"}
    for a, b in np.argwhere(~np.eye(len(items), dtype=bool)).tolist():
        same_text = {shown[a], shown[b]} <= {"one", "variant"} and titles[a] == titles[b]
        same_words = {shown[a], shown[b]} <= words and asked[a] == asked[b]
        if items[a] == items[b] or same_text or same_words:
            assert (int(queries[a]), int(items[b])) in out


def test_a_mixed_step_has_neither_together_nor_weights() -> None:
    whole = {"whole": {"query": "i", "item": "mm"}}
    for term in ({"together": whole}, {"weight": 0.5}):
        terms = {"x": {"query": "t", "item": "i", **term}}
        AlignConfig.model_validate({"steps": 1, "terms": terms})
        with pytest.raises(ValueError, match="a mixed step has one loss: term x"):
            AlignConfig.model_validate({"steps": 1, "terms": terms, "mixing": "mixed"})


def test_a_broken_photo_is_left_out_and_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = [picture("red", "bar", "large", rng) for _ in range(6)]
    with CatalogWriter(tmp_path / "shop") as writer:
        for k in range(3):
            writer.add_product(Product(f"p{k}", f"thing {k}", (whole[k],)))
            writer.add_query(Query(f"q{k}", images=(whole[3 + k],), positives=(f"p{k}",)))
        catalog = writer.commit()
    blob = next(iter(catalog.path.glob("generation-*/pictures-*.blob")))
    data = bytearray(blob.read_bytes())
    at = data.find(whole[4])
    assert at >= 0
    data[at + 60 : at + len(whole[4])] = bytes(len(whole[4]) - 60)
    blob.write_bytes(data)
    catalog = Catalog.open(catalog.path)
    pairs = build_pairs(catalog).pairs.write(tmp_path / "pairs", step="build", options={})
    found = stage(pairs, terms={"x": log_term("i", "mm")})
    assert found.dropped == {"x": 1}
    assert sorted(found.work(0).rows[1].tolist()) == [0, 2]
