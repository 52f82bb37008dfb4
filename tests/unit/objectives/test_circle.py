"""The streaming circle loss is the one written down: values, gradients, options, edges."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from moonshelf.errors import UsageError
from moonshelf.objectives.circle import circle, circle_dense, nested_circle
from moonshelf.objectives.contrastive import Contrast, KeepOut, info_nce_dense
from tests.unit.objectives.batches import Batch, batches, unit

SHAPES = st.tuples(st.sampled_from([0.5, 8.0, 64.0]), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))


def leaves(batch: Batch) -> list[torch.Tensor]:
    return batch.leaves()[:-1]  # this loss has no temperature


def streamed(batch: Batch, scale: float, margin: float) -> Contrast:
    options = batch.options | {"symmetric": batch.symmetric, "tile": batch.tile}
    with batch.keeping():
        return circle(batch.query, batch.item, scale=scale, margin=margin, **options)


def dense(batch: Batch, scale: float, margin: float) -> Contrast:
    options = batch.options | {"symmetric": batch.symmetric}
    return circle_dense(batch.query, batch.item, scale=scale, margin=margin, **options)


@given(batch=batches(), shape=SHAPES)
@settings(deadline=None, max_examples=120)
def test_streaming_equals_dense_in_value_gradient_and_facts(
    batch: Batch, shape: tuple[float, float]
) -> None:
    fast, slow = streamed(batch, *shape), dense(batch, *shape)
    for name, value in slow.figures().items():
        assert fast.figures()[name] == pytest.approx(value, abs=1e-9, rel=1e-9), name
    ours = torch.autograd.grad(-3 * fast.loss, leaves(batch))
    theirs = torch.autograd.grad(-3 * slow.loss, leaves(batch), materialize_grads=True)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-8, atol=1e-9)


@given(batch=batches(most=5), shape=SHAPES)
@settings(deadline=None, max_examples=40)
def test_dense_is_the_papers_formula(batch: Batch, shape: tuple[float, float]) -> None:
    assert float(dense(batch, *shape).loss.detach()) == pytest.approx(by_hand(batch, *shape), 1e-9)


def by_hand(batch: Batch, g: float, m: float) -> float:
    """Equation 6 of 2002.10857 with nothing but Python numbers, plain pairs and exact powers."""
    keep: KeepOut = batch.options.get("keep_out") or KeepOut(margin=None)
    offset, rows, items = batch.options["offset"], len(batch.query), len(batch.item)
    extra = batch.extra()
    more = 0 if extra is None else len(extra)
    every = batch.item if extra is None else torch.cat([batch.item, extra])
    s = (batch.query @ every.T).tolist()
    out = [[False] * (items + more) for _ in range(rows)]
    for entries, labels in keep.relations(rows, offset, more):
        for row, label in entries.tolist():
            for column, other in enumerate(labels.tolist()):
                out[row][column] |= other == label

    def term(positive: float, negatives: list[tuple[float, bool]]) -> float:
        room = math.inf if keep.margin is None else keep.margin
        kept = [n for n, same in negatives if not same and n <= positive + room]
        pull = -g * max(0.0, 1 + m - positive) * (positive - (1 - m))
        push = [g * max(0.0, n + m) * (n - m) for n in kept]
        high = max([0.0, *(pull + n for n in push)])
        return high + math.log(math.exp(-high) + sum(math.exp(pull + n - high) for n in push))

    weights = batch.options.get("weights", torch.ones(rows)).tolist()
    loss = 0.0
    for i in range(rows):
        own = offset + i
        ahead = [(s[i][j], out[i][j]) for j in range(items + more) if j != own]
        back = [(s[r][own], out[r][own]) for r in range(rows) if r != i]
        both = [term(s[i][own], ahead), *([term(s[i][own], back)] if batch.symmetric else [])]
        loss += weights[i] * sum(both) / len(both)
    return loss / sum(weights) if sum(weights) else 0.0


def test_with_equal_weights_it_is_info_nce() -> None:
    """methods.md 2: a_p = a_n = 1 and m = 0.5. All similarities are 0.5, so both weights are 1."""
    generator = torch.Generator().manual_seed(0)
    query, item = (
        torch.cat([torch.full((5, 1), side), more], dim=1).double().requires_grad_()
        for side, more in ((0.5, torch.randn(5, 3, generator=generator)), (1.0, torch.zeros(5, 3)))
    )
    for loss in (circle, circle_dense):
        ours = loss(query, item, scale=20.0, margin=0.5, symmetric=True).loss
        theirs = info_nce_dense(query, item, 1 / 20.0, symmetric=True).loss
        torch.testing.assert_close(ours, theirs)
        for our, their in zip(
            torch.autograd.grad(ours, (query, item)),
            torch.autograd.grad(theirs, (query, item)),
            strict=True,
        ):
            torch.testing.assert_close(our, their)


def test_weights_have_no_gradient() -> None:
    """One pair, one negative, by hand: dL/ds_n = sigmoid(x) g a_n, not that of the product."""
    query = torch.tensor([[1.0, 0.0]]).double()
    item = torch.tensor([[0.6, 0.8], [0.5, 0.3]]).double().requires_grad_()
    circle(query, item, scale=4.0, margin=0.25).loss.backward()
    a_p, a_n = 1.25 - 0.6, 0.5 + 0.25
    share = 1 / (1 + math.exp(-(4 * a_n * (0.5 - 0.25) - 4 * a_p * (0.6 - 0.75))))
    assert item.grad is not None
    want = torch.tensor([[-share * 4 * a_p, 0.0], [share * 4 * a_n, 0.0]]).double()
    torch.testing.assert_close(item.grad, want)


@pytest.mark.parametrize("tile", [64, 256])
def test_float32_is_close_to_float64_and_does_not_overflow(tile: int) -> None:
    """At g = 2,000 a row spans thousands of nats: far more than one float32 exponent holds."""
    generator = torch.Generator().manual_seed(1)
    for scale in (64.0, 2000.0):
        query, item = (unit(generator, 200, 8, torch.float32).requires_grad_() for _ in range(2))
        keep_out = KeepOut(item_ids=torch.arange(200) // 2, margin=0.1)
        fast = circle(query, item, scale=scale, keep_out=keep_out, symmetric=True, tile=tile)
        wide = [x.detach().double().requires_grad_() for x in (query, item)]
        slow = circle_dense(*wide, scale=scale, keep_out=keep_out, symmetric=True)
        torch.testing.assert_close(fast.loss.double(), slow.loss, rtol=1e-5, atol=0)
        ours = torch.autograd.grad(fast.loss, (query, item))
        for our, their in zip(ours, torch.autograd.grad(slow.loss, wide), strict=True):
            torch.testing.assert_close(our.double(), their, rtol=2e-3, atol=scale * 1e-6)


def test_rows_without_negatives_cost_nothing() -> None:
    generator = torch.Generator().manual_seed(2)
    query, item = (unit(generator, 6, 4).requires_grad_() for _ in range(2))
    one = torch.zeros(6, dtype=torch.int64)
    alone = circle(query[:1], item[:1])
    masked = circle(query, item, keep_out=KeepOut(item_ids=one), symmetric=True, tile=4)
    for found in (alone, masked):
        assert float(found.loss.detach()) == 0
        assert all(g.abs().max() == 0 for g in torch.autograd.grad(found.loss, (query, item)))
        assert found.figures()["negative_similarity"] == 0


def test_ties_are_misses_and_no_number_is_not_hidden() -> None:
    same = torch.ones(5, 3)
    assert circle(same, same.clone()).figures()["accuracy"] == 0
    broken = torch.eye(6)
    broken[2, 1] = math.nan
    for keep_out in (None, KeepOut(margin=0.1)):
        assert circle(broken, torch.eye(6), keep_out=keep_out, tile=4).loss.isnan()


@given(batch=batches(most=8), widths=st.sets(st.integers(1, 6), min_size=1))
@settings(deadline=None, max_examples=40)
def test_every_prefix_at_once_is_a_loop_of_dense_losses(batch: Batch, widths: set[int]) -> None:
    used = sorted({min(width, batch.query.shape[1]) for width in widths})
    options = dict(batch.options)
    options.pop("extra_items", None)
    losses = []
    for width in used:
        query, item, *more = (
            normalize(side[:, :width], dim=1) for side in (batch.query, batch.item, *batch.blocks())
        )
        given_too = options | {"extra_items": more, "symmetric": batch.symmetric}
        losses.append(circle_dense(query, item, scale=16.0, **given_too).loss)
    slow = torch.stack(losses)
    given_too = batch.options | {"symmetric": batch.symmetric, "tile": batch.tile}
    fast = nested_circle(batch.query, batch.item, used, scale=16.0, **given_too)
    torch.testing.assert_close(fast.by_width, slow.detach(), rtol=1e-9, atol=1e-9)
    ours = torch.autograd.grad(fast.loss, leaves(batch), materialize_grads=True)
    theirs = torch.autograd.grad(slow.mean(), leaves(batch), materialize_grads=True)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    "given_too, message",
    [
        ({"scale": 0.0}, "scale is 0"),
        ({"scale": math.inf}, "scale is inf"),
        ({"margin": -0.1}, "margin is -0.1"),
        ({"margin": math.nan}, "margin is nan"),
    ],
)
def test_a_wrong_call_says_so(given_too: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        circle(torch.eye(3), torch.eye(3), **given_too)
    assert caught.value.cure
