"""Similarity dedup against the rule as it is written down, pair by pair."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.catalog.cleaning.choosing import ASKED, asked, group_numbers, hardest
from moonshelf.catalog.cleaning.dedup import REASONS, dedup, earlier_floors, lowest_floors
from moonshelf.catalog.pair_set import PairSet
from moonshelf.catalog.store import Catalog
from moonshelf.errors import DataError, UsageError
from tests.unit.catalog.cleaning.drawn import draw_pairs, rows_of, write_style_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_style_shop(tmp_path_factory.mktemp("shop") / "catalog")


def preference(pairs: PairSet, place: int) -> tuple[float, ...]:
    """Lowest first: what the docstring of ``hardest`` says, in its order."""
    similarity = float(pairs.similarity[place])
    acts = (pairs.level[place], pairs.count[place], pairs.time[place])
    rest = (pairs.query[place], pairs.item[place], place)
    known = math.inf if math.isnan(similarity) else similarity
    return (known, *(-int(act) for act in acts), *map(int, rest))


def slow_dedup(pairs: PairSet, floor: float, over: str) -> list[int]:
    """The reason of each pair, one at a time."""
    kinds = asked(pairs).tolist()
    why = [3 if math.isnan(s) else 2 for s in pairs.similarity]
    for kind in set(kinds):
        of_kind = (float(pairs.similarity[k]) for k, own in enumerate(kinds) if own == kind)
        known = sorted(value for value in of_kind if not math.isnan(value))
        for place in range(len(pairs)):
            here = kinds[place] == kind and why[place] == 2
            if here and float(pairs.similarity[place]) < known[int(floor * len(known))]:
                why[place] = 1
    samples = defaultdict(list)
    for place, reason in enumerate(why):
        if reason == 2:
            samples[pairs.item[place], kinds[place] if over == "kind" else 0].append(place)
    for places in samples.values():
        why[min(places, key=lambda place: preference(pairs, place))] = 0
    return why


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 9999), st.integers(1, 60), st.sampled_from((0.0, 0.05, 0.3)), st.booleans())
def test_dedup_is_the_rule_pair_by_pair(
    shop: Catalog, seed: int, count: int, floor: float, by_item: bool
) -> None:
    pairs = draw_pairs(shop, seed, count)
    if np.isnan(pairs.similarity).all():
        return
    over = "item" if by_item else "kind"
    cleaned = dedup(pairs, floor=floor, over=over)
    assert cleaned.why.tolist() == slow_dedup(pairs, floor, over)
    assert rows_of(cleaned.pairs) == [rows_of(pairs)[k] for k in np.flatnonzero(cleaned.why == 0)]
    assert sum(cleaned.counts().values()) == count


def test_the_kind_of_a_query_is_what_it_has(shop: Catalog) -> None:
    pairs = draw_pairs(shop, 3, 80)
    found = [ASKED[k] for k in asked(pairs)]
    for place, kind in enumerate(found):
        if pairs.query_kind[place] == 0:
            assert kind == "product"
        else:
            query = shop.query(int(pairs.query[place]))
            assert kind == {(True, False): "text", (False, True): "picture"}.get(
                (bool(query.text), bool(query.images)), "text and picture"
            )
    assert set(found) == set(ASKED)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 9999), st.integers(1, 80))
def test_twice_with_the_floors_of_the_first_is_once(shop: Catalog, seed: int, count: int) -> None:
    pairs = draw_pairs(shop, seed, count, unknown=0)
    first = dedup(pairs, floor=0.2)
    floors = json.loads(json.dumps(first.facts))["floors"]
    second = dedup(first.pairs, floor=0.2, floors=floors)
    assert not second.why.any()
    assert rows_of(second.pairs) == rows_of(first.pairs)


def test_floors_take_their_share_of_each_kind() -> None:
    values = [np.arange(100) / 100, 5 + np.arange(40) / 100, [np.nan] * 7]
    similarity = np.concatenate(values).astype(np.float32)
    kinds = np.array([0] * 100 + [1] * 40 + [1] * 7)
    floors = lowest_floors(similarity, kinds, 0.05)
    assert floors == pytest.approx({"product": 0.05, "text": 5.02})
    assert (similarity[:100] < floors["product"]).sum() == 5
    assert (similarity[100:140] < floors["text"]).sum() == 2
    few = lowest_floors(np.float32([0.3, 0.1]), np.array([2, 2]), 0.05)
    assert few == {"picture": pytest.approx(0.1)}  # a twentieth of two pairs is none


def test_the_hard_pair_stays_and_the_easy_one_goes(shop: Catalog) -> None:
    pairs = draw_pairs(shop, 0, 40, unknown=0)
    columns = {name: array.copy() for name, array in pairs.columns.items()}
    columns["item"][:], columns["query_kind"][:], columns["query"][:] = 5, 0, np.arange(40) % 20
    columns["similarity"] = np.linspace(-0.2, 0.9, 40).astype(np.float32)
    one = PairSet(shop, columns, pairs.known, {})
    cleaned = dedup(one, floor=0.05)
    assert cleaned.counts() == dict(zip(REASONS, (1, 2, 37, 0), strict=True))
    assert cleaned.why.tolist()[:4] == [1, 1, 0, 2]


def test_a_sample_of_each_group_ascending() -> None:
    keys = (np.array([2, 1, 2, 1, 2]), np.array([0, 0, 1, 0, 0]))
    groups = group_numbers(keys)
    same = groups[:, None] == groups[None, :]
    expected = np.all([k[:, None] == k[None, :] for k in keys], axis=0)
    assert np.array_equal(same, expected) and set(groups) == {0, 1, 2}


def test_unknown_similarities_stand_last(shop: Catalog) -> None:
    pairs = draw_pairs(shop, 0, 3)
    some = pairs.with_similarity(np.array([np.nan, 0.9, np.nan]))
    assert hardest(some, np.zeros(3, dtype=np.int64)).tolist() == [1]
    with pytest.raises(DataError, match="no pair has a similarity"):
        dedup(pairs.with_similarity(np.full(3, np.nan)))
    with pytest.raises(UsageError, match="no share"):
        dedup(some, floor=1.0)
    assert not len(dedup(pairs.select(np.zeros(3, dtype=bool))).pairs)


def test_floors_stand_for_the_same_encoder_alone() -> None:
    options = {"encoder": "abc", "floor": 0.05, "over": "kind"}
    line = {"step": "dedup", "options": options, "facts": {"floors": {"text": 0.25}}}
    merged = {"step": "merge", "options": {"by": "item"}}
    wanted: dict[str, Any] = {"encoder": "abc", "floor": 0.05}
    assert earlier_floors([line, merged], wanted) == {"text": 0.25}
    assert earlier_floors([line], {**wanted, "encoder": "other"}) is None
    assert earlier_floors([line], {**wanted, "floor": 0.1}) is None
    assert earlier_floors([merged], wanted) is None
    for bad in (None, {"floors": {"text": "high"}}, {"floors": 3}, {}):
        with pytest.raises(DataError, match="floors that are no numbers"):
            earlier_floors([{**line, "facts": bad}], wanted)


def test_floors_survive_the_manifest(shop: Catalog, tmp_path: Path) -> None:
    first = dedup(draw_pairs(shop, 7, 60, unknown=0), floor=0.1)
    saved = first.pairs.write(
        tmp_path / "pairs", step="dedup", options={"encoder": "e"}, facts=first.facts
    )
    floors = earlier_floors(saved.history, {"encoder": "e"})
    assert floors == first.facts["floors"]
    assert not dedup(saved, floor=0.1, floors=floors).why.any()
