"""The builder against a slow reading of the same log; and nothing of val or test, ever."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from moonshelf.catalog.pair_building import build_pairs
from moonshelf.catalog.pair_set import LEVELS, PRODUCT_QUERY, TABLE_QUERY, PairSet
from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.errors import DataError, UsageError
from tests.log_shop import write_log_shop

DAY = 86_400
Key = tuple[int, str, str]
Facts = tuple[str, int, int]
"""Level, count, time."""
SEEDS = range(8)


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> list[Catalog]:
    folder = tmp_path_factory.mktemp("shops")
    return [write_log_shop(folder / str(seed), seed) for seed in SEEDS]


def found(pairs: PairSet) -> dict[Key, Facts]:
    ids, asked = pairs.catalog.column("id").to_pylist(), pairs.catalog.query_ids()
    names = (ids, asked)
    return {
        (int(kind), names[kind][query], ids[item]): (LEVELS[level], int(count), int(time))
        for kind, query, item, level, count, time in zip(
            *(pairs.columns[n] for n in ("query_kind", "query", "item", "level", "count", "time")),
            strict=True,
        )
    }


def typed(query: Query) -> str:
    return "" if query.images else " ".join(query.text.lower().split())


def expected(catalog: Catalog, before: int | None, levels: tuple[str, ...]) -> dict[Key, Facts]:
    """Read one line of the log after the other, as the rules are written down."""
    queries = {query.id: query for query in catalog.queries()}
    train = {product.id for product in catalog if product.split == "train"}
    held_out = {typed(q) for q in queries.values() if q.split != "train" and typed(q)}
    log = [Event(**row) for row in catalog.events().to_pylist()]
    acts: dict[tuple[str, str], list[Event]] = {}
    for event in log:
        if event.query and event.kind in LEVELS:
            acts.setdefault((event.query, event.item), []).append(event)
    best = max(g for q in queries.values() if q.split == "train" for g in q.grades)
    told: dict[Key, Facts] = {}
    judged = {
        (query.id, item): not query.grades or query.grades[k] == best
        for query in queries.values()
        for k, item in enumerate(query.positives)
    }
    for query, item in {*acts, *judged}:
        if queries[query].split != "train" or item not in train:
            continue
        if typed(queries[query]) in held_out:
            continue
        all_acts = acts.get((query, item), [])
        seen = [e for e in all_acts if before is None or e.time < before]
        if seen:
            level = max((e.kind for e in seen), key=LEVELS.index)
            fact = (level, len(seen), max(e.time for e in seen))
        elif not all_acts and judged.get((query, item), False):
            fact = ("purchase", 1, -1)
        else:
            continue
        if fact[0] in levels:
            told[TABLE_QUERY, query, item] = fact
    if "purchase" in levels:
        told |= sessions(log, train, before)
    return told


def sessions(log: list[Event], train: set[str], before: int | None) -> dict[Key, Facts]:
    found: dict[Key, Facts] = {}
    bought = [e for e in log if e.kind == "purchase" and (before is None or e.time < before)]
    for user in {event.user for event in bought}:
        mine = sorted((e for e in bought if e.user == user), key=lambda e: e.time)
        for first, then in itertools.pairwise(mine):
            near = then.time - first.time <= 30 * DAY and first.item != then.item
            if near and {first.item, then.item} <= train:
                key = (PRODUCT_QUERY, first.item, then.item)
                count, last = found.get(key, ("purchase", 0, -1))[1:]
                found[key] = ("purchase", count + 1, max(last, then.time))
    return found


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("before", [None, 20 * DAY])
@pytest.mark.parametrize("levels", [LEVELS, ("purchase",), ("click", "cart")])
def test_pairs_are_those_of_a_slow_reading(shops, seed, before, levels) -> None:
    pairs = build_pairs(shops[seed], before=before, levels=levels).pairs
    assert found(pairs) == expected(shops[seed], before, levels)
    assert np.isnan(pairs.similarity).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_of_val_or_test_is_in_any_pair(shops, seed) -> None:
    catalog = shops[seed]
    built = build_pairs(catalog)
    products = {p.id: p.split for p in catalog}
    queries = {q.id: q for q in catalog.queries()}
    ids, asked = catalog.column("id").to_pylist(), catalog.query_ids()
    held_out = {typed(q) for q in queries.values() if q.split != "train"} - {""}
    rows = [*zip(built.pairs.query_kind, built.pairs.query, built.pairs.item, strict=True)]
    assert rows
    for kind, query, item in [*rows, *built.pairs.known.tolist()]:
        assert products[ids[item]] == "train"
        if kind == PRODUCT_QUERY:
            assert products[ids[query]] == "train"
        else:
            assert queries[asked[query]].split == "train"
            assert typed(queries[asked[query]]) not in held_out
    # The draw had something to leave out: else this would test nothing.
    assert built.left_out["with a product of another split"] > 0
    assert built.left_out["with a query of another split"] > 0
    assert built.seen == len(built.pairs) + sum(built.left_out.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_no_pair_but_known_is_never_a_negative(shops, seed) -> None:
    """Other levels and middling grades stand among the known ones; the worst grade does not."""
    catalog = shops[seed]
    every = build_pairs(catalog).pairs
    few = build_pairs(catalog, levels=("purchase",)).pairs
    assert np.array_equal(every.known, few.known) and len(few) < len(every)
    known = set(map(tuple, every.known.tolist()))
    asked, ids = catalog.query_ids(), catalog.column("id").to_pylist()
    assert known >= {(k, *names) for k, *names in rows_of(every)}
    acted = {(e["query"], e["item"]) for e in catalog.events().to_pylist() if e["kind"] in LEVELS}
    grades = {
        (q.id, item): grade
        for q in catalog.queries("train")
        for item, grade in zip(q.positives, q.grades, strict=False)
    }
    for kind, query, item in known:
        if kind == TABLE_QUERY and (asked[query], ids[item]) not in acted:
            assert grades.get((asked[query], ids[item]), 1.0) > 0
    named = {(asked[query], ids[item]) for kind, query, item in known if kind == TABLE_QUERY}
    twins = {typed(q) for split in ("val", "test") for q in catalog.queries(split)} - {""}
    alone = {q.id for q in catalog.queries("train") if typed(q) not in twins}
    train = {product.id for product in catalog if product.split == "train"}
    assert named >= {(q, i) for (q, i), g in grades.items() if g > 0 and q in alone and i in train}


def rows_of(pairs: PairSet) -> list[tuple[int, int, int]]:
    columns = (pairs.query_kind, pairs.query, pairs.item)
    return [tuple(map(int, row)) for row in zip(*columns, strict=True)]  # type: ignore[misc]


def judged_shop(path: Path) -> Catalog:
    with CatalogWriter(path) as writer:
        for k in range(4):
            writer.add_product(Product(f"p{k}", f"thing {k}"))
        positives = ("p0", "p1", "p2", "p3")
        writer.add_query(Query("q", "a thing", positives=positives, grades=(2.0, 1.5, 1.0, 0.0)))
        writer.add_query(Query("plain", "another", positives=("p1",)))
        writer.add_event(Event(5 * DAY, "u", "p1", "click", "q"))
        writer.add_event(Event(9 * DAY, "u", "p0", "cart", "q"))
        return writer.commit()


def test_only_the_best_grade_counts_unless_told_otherwise(tmp_path: Path) -> None:
    catalog = judged_shop(tmp_path / "shop")
    own = {item: fact for (_, query, item), fact in found(build_pairs(catalog).pairs).items()
           if query == "q"}  # fmt: skip
    # p1 was clicked: a pair by what happened, at the level of what happened.
    assert own == {"p0": ("cart", 1, 9 * DAY), "p1": ("click", 1, 5 * DAY)}
    more = found(build_pairs(catalog, least_grade=1.0).pairs)
    assert more[TABLE_QUERY, "q", "p2"] == ("purchase", 1, -1)
    assert (TABLE_QUERY, "q", "p3") not in more
    known = {item for kind, _, item in build_pairs(catalog).pairs.known.tolist() if kind}
    assert known == {0, 1, 2}, "the worst grade says that the item is wrong"


def test_a_judgment_whose_events_lie_behind_the_cut_is_not_known_yet(tmp_path: Path) -> None:
    catalog = judged_shop(tmp_path / "shop")
    early = build_pairs(catalog, before=7 * DAY).pairs
    assert set(found(early)) == {(TABLE_QUERY, "q", "p1"), (TABLE_QUERY, "plain", "p1")}
    assert 0 not in early.known[:, 2]
    assert set(found(build_pairs(catalog, before="1970-01-02").pairs)) == {
        (TABLE_QUERY, "plain", "p1")
    }


def test_a_catalogue_without_pairs_is_told(tmp_path: Path) -> None:
    with CatalogWriter(tmp_path / "none") as writer:
        writer.add_product(Product("p", "a thing"))
        writer.add_product(Product("out", "another", split="test"))
        writer.add_query(Query("q", "thing", positives=("out",)))
        catalog = writer.commit()
    with pytest.raises(DataError, match=r"no pair of a train query.*1 with a product of another"):
        build_pairs(catalog)
    with pytest.raises(UsageError, match="no level 'like'"):
        build_pairs(catalog, levels=("like",))
    with CatalogWriter(tmp_path / "bare") as writer:
        writer.add_product(Product("p", "a thing"))
        bare = writer.commit()
    with pytest.raises(DataError, match="no pair"):
        build_pairs(bare)
