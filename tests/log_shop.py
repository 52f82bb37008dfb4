"""A small random catalogue with typed queries, photos, judgments and a log, for tests of pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moonshelf.catalog.product import EVENT_KINDS, SPLITS, Event, Product, Query
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from tests.small_shop import COLORS, SHAPES, picture

# Product text is hostile: none of it may break a command, a page or a match of words.
HOSTILE = ("<script>alert(1)</script>", "\x1b[31mred\x1b[0m", "{0} %s \\n", "Ｒｅｄ  dress", "بحث")


def write_log_shop(
    path: Path, seed: int = 0, *, products: int = 40, queries: int = 24, events: int = 160
) -> Catalog:
    """A shop drawn by ``seed``: every split, products that lack this or that, queries of all
    kinds, graded or not, and a log that runs over all of them."""
    rng = np.random.default_rng(seed)
    with CatalogWriter(path) as writer:
        for number in range(products):
            writer.add_product(_product(number, rng))
        for number in range(queries):
            writer.add_query(_query(number, products, rng))
        for _ in range(events):
            asked = rng.integers(-queries // 3, queries)
            writer.add_event(
                Event(
                    time=86_400 * int(rng.integers(60)),
                    user=f"u{rng.integers(8)}",
                    item=f"p{rng.integers(products)}",
                    kind=str(rng.choice(EVENT_KINDS)),
                    query=f"q{asked}" if asked >= 0 else "",
                )
            )
        writer.commit()
    return Catalog.open(path)


def _split(rng: np.random.Generator) -> str:
    return str(rng.choice(SPLITS, p=[0.7, 0.15, 0.15]))


def _look(rng: np.random.Generator) -> tuple[str, bytes]:
    color, shape = str(rng.choice([*COLORS])), str(rng.choice(SHAPES))
    return f"{color} {shape}", picture(color, shape, "large", rng)


def _product(number: int, rng: np.random.Generator) -> Product:
    look, photo = _look(rng)
    lacks = rng.random(4) < 0.2
    return Product(
        id=f"p{number}",
        title="" if lacks[0] and not lacks[1] else f"{look} {rng.choice(HOSTILE)} no {number}",
        images=() if lacks[1] else (photo,),
        category=() if lacks[2] else ("things", str(look.split()[1])),
        attributes={} if lacks[2] else {"color": (str(look.split()[0]),)},
        description="" if lacks[3] else f"a {look} for every day of the year",
        split=_split(rng),
    )


def _query(number: int, products: int, rng: np.random.Generator) -> Query:
    look, photo = _look(rng)
    words, shown = ((True, False), (False, True), (True, True))[int(rng.integers(3))]
    positives = tuple(f"p{k}" for k in rng.permutation(products)[: int(rng.integers(5))])
    grades = tuple(float(g) for g in rng.integers(0, 4, len(positives)) / 2)
    # A few wordings only, in other letters: some are asked in several splits.
    text = look.upper() if rng.random() < 0.5 else f" {look}  "
    return Query(
        id=f"q{number}",
        text=text if words else "",
        images=(photo,) if shown else (),
        positives=positives,
        grades=grades if rng.random() < 0.6 else (),
        split=_split(rng),
    )
