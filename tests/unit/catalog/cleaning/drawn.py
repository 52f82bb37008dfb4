"""A catalogue with styles (groups) and random pairs over it, for the tests of the cleaning."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moonshelf.catalog.pair_set import COLUMNS, PairSet
from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from tests.small_shop import picture

PRODUCTS, QUERIES = 24, 12
CATEGORIES = (("things", "bar"), ("things", "cross"), ("toys", "bar"), ())


def write_style_shop(path: Path, events: tuple[Event, ...] = ()) -> Catalog:
    """Groups of three, every fourth product in none; queries of words, of a photo, of both. The
    last four products are of the test split."""
    rng = np.random.default_rng(0)
    with CatalogWriter(path) as writer:
        for k in range(PRODUCTS):
            group = "" if k % 4 == 3 else f"g{k // 6}"
            split = "test" if k >= PRODUCTS - 4 else "train"
            writer.add_product(
                Product(
                    id=f"p{k}",
                    title=f"thing {k}",
                    images=(picture("red", "bar", "large", rng),),
                    category=CATEGORIES[k % 4],
                    group=f"{group}{split}" if group else "",
                    split=split,
                )
            )
        for k in range(QUERIES):
            photo = (picture("blue", "cross", "large", rng),) if k % 3 else ()
            writer.add_query(Query(f"q{k}", text="words" if k % 3 != 1 else "", images=photo))
        for event in events:
            writer.add_event(event)
        writer.commit()
    return Catalog.open(path)


def draw_pairs(catalog: Catalog, seed: int, count: int, unknown: float = 0.1) -> PairSet:
    """Random pairs with many ties; ``unknown``: share without a similarity."""
    rng = np.random.default_rng(seed)
    train = PRODUCTS - 4
    kind = rng.integers(0, 2, count)
    similarity = rng.integers(-5, 20, count) / 20
    similarity[rng.random(count) < unknown] = np.nan
    drawn = {
        "query_kind": kind,
        "query": np.where(
            kind == 1, rng.integers(0, QUERIES, count), rng.integers(0, train, count)
        ),
        "item": rng.integers(0, train, count),
        "level": rng.integers(0, 3, count),
        "count": rng.integers(1, 5, count),
        "time": rng.integers(-1, 6, count),
        "similarity": similarity,
    }
    columns = {name: drawn[name].astype(dtype) for name, dtype in COLUMNS.items()}
    known = np.stack([columns[n].astype(np.int64) for n in ("query_kind", "query", "item")], axis=1)
    return PairSet(catalog, columns, known, {})


def rows_of(pairs: PairSet) -> list[tuple[float, ...]]:
    """Pairs as tuples; an unknown similarity as 9."""
    columns = [np.nan_to_num(pairs.columns[name], nan=9) for name in COLUMNS]
    return [tuple(row) for row in np.stack(columns, axis=1).tolist()]
