"""Which documents come first, when it is enough, and what was not seen: against references."""

from __future__ import annotations

import time
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.graph.records import Document
from moonshelf.graph.schema.sample import (
    Stopping,
    batches,
    greedy_order,
    ngrams,
    thinned,
    unseen_estimate,
)


def document(place: int, text: str) -> Document:
    return Document(id=f"d{place}", fields=(("title", text),))


def slow_order(sets: list[set[str]]) -> list[int]:
    """Counts every set anew for every pick."""
    recurring = {m for s in sets for m in s if sum(m in other for other in sets) > 1}
    left, seen, order = list(range(len(sets))), set(), []
    while left:
        best = max(left, key=lambda k: (len((sets[k] & recurring) - seen), -k))
        order.append(best)
        left.remove(best)
        seen |= sets[best]
    return order


@given(st.lists(st.sets(st.sampled_from("abcdefghij")), max_size=12))
def test_lazy_greedy_is_greedy(sets: list[set[str]]) -> None:
    assert list(greedy_order(sets)) == slow_order(sets)


def test_ngrams_mask_digits_and_stay_within_fields() -> None:
    found = ngrams(Document(id="x", fields=(("title", "LG 1.5 Ton"), ("text", "18000 BTU"))))
    assert found == {"lg", "0", "ton", "btu", "lg 0", "0 0", "0 ton", "0 btu"}


def test_what_recurs_comes_first_and_everything_comes_once() -> None:
    texts = ["zz yy xx ww vv", "red shoe", "red boot", "blue shoe boot", "red shoe"]
    found = list(batches([document(k, t) for k, t in enumerate(texts)], size=2))
    assert [[d.id for d in batch] for batch in found] == [["d1", "d2"], ["d0", "d3"], ["d4"]]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100])
@pytest.mark.parametrize("most", [1, 3, 8])
def test_thinning_is_even_and_within_bounds(count: int, most: int) -> None:
    kept = [int(d.id[1:]) for d in thinned((document(k, "") for k in range(count)), most)]
    assert len(kept) == count if count <= most else most / 2 <= len(kept) <= most
    assert len({b - a for a, b in pairwise(kept)}) <= 1
    assert kept[:1] == [0][:count]


def test_the_order_is_the_same_in_any_process_and_fast() -> None:
    random = np.random.default_rng(0)
    words = np.array([f"w{k}" for k in range(3000)])
    texts = [" ".join(words[random.zipf(1.3, 40) % 3000]) for _ in range(4000)]
    documents = [document(k, text) for k, text in enumerate(texts)]
    start = time.process_time()
    first = list(islice(batches(documents), 40))
    assert time.process_time() - start < 10
    assert first == list(islice(batches(iter(documents)), 40))
    new = [len(frozenset().union(*(ngrams(d) for d in batch))) for batch in first]
    assert new[0] == max(new)


def test_stopping_needs_two_poor_batches_in_a_row_after_six() -> None:
    stopping = Stopping(most=20)
    rich, poor = (10, 100), (4, 100)
    assert not stopping.reason([])
    assert not stopping.reason([poor] * 5)
    assert "2 batches in a row" in stopping.reason([rich] * 4 + [poor] * 2)
    assert not stopping.reason([rich] * 5 + [poor])
    assert not stopping.reason([poor] * 5 + [rich, poor])
    assert not stopping.reason([(5, 100)] * 8), "5 % is not below 5 %"
    assert "cap of 20" in stopping.reason([rich] * 20)
    assert stopping.reason([(0, 0)] * 6), "nothing to learn at all"


def reference(counts: list[int]) -> tuple[float, float]:
    """Chao1 (bias-corrected) and Good-Turing coverage as their papers print them, in float64."""
    f = np.bincount(np.array(counts, dtype=np.int64), minlength=3).astype(np.float64)
    seen = f[1:].sum()
    chao = seen + f[1] * (f[1] - 1.0) / (2.0 * (f[2] + 1.0))
    occurrences = float((np.arange(len(f)) * f).sum())
    return float(chao), float(1.0 - f[1] / occurrences) if occurrences else 0.0


@given(st.lists(st.integers(0, 6), max_size=40))
def test_estimates_equal_the_reference(counts: list[int]) -> None:
    found = unseen_estimate(counts)
    richness, coverage = reference(counts)
    assert found.richness == pytest.approx(richness, abs=1e-12)
    assert found.coverage == pytest.approx(coverage, abs=1e-12)
    assert found.unseen >= 0 and found.seen == sum(c > 0 for c in counts)
    assert unseen_estimate(dict(enumerate(counts))) == found


def test_estimates_by_hand() -> None:
    found = unseen_estimate({"a": 1, "b": 1, "c": 1, "d": 2, "e": 5})
    assert found.richness == 5 + 3 * 2 / (2 * 2) == 6.5
    assert found.coverage == 1 - 3 / 10
    assert unseen_estimate([]).coverage == 0


def test_estimates_near_the_truth_of_a_known_population() -> None:
    """Good-Turing is nearly unbiased for the mass; Chao1 is a lower bound that nears the number."""
    random = np.random.default_rng(1)
    shares = 1 / np.arange(1, 201)
    shares /= shares.sum()
    errors, richness = [], []
    for _ in range(50):
        draws = random.choice(200, size=400, p=shares)
        counts = np.bincount(draws, minlength=200)
        found = unseen_estimate(counts.tolist())
        errors.append(found.coverage - shares[counts > 0].sum())
        richness.append(found.richness)
        assert found.seen < found.richness
    assert abs(np.mean(errors)) < 0.01
    assert 140 < np.mean(richness) < 210
