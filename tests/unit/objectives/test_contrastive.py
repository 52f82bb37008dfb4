"""The streaming losses are the losses as written down: values, gradients, options, edges."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from moonshelf.errors import UsageError
from moonshelf.objectives.contrastive import (
    Contrast,
    KeepOut,
    info_nce,
    info_nce_dense,
    symmetric_info_nce,
)
from tests.unit.objectives.batches import Batch, batches, unit


def dense(batch: Batch) -> Contrast:
    return info_nce_dense(
        batch.query, batch.item, batch.temperature, symmetric=batch.symmetric, **batch.options
    )


def plain(rows: int = 6, width: int = 4, dtype: torch.dtype = torch.float64, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return [unit(generator, rows, width, dtype).requires_grad_() for _ in range(2)]


@given(batch=batches())
@settings(deadline=None, max_examples=150)
def test_streaming_equals_dense_in_value_gradient_and_facts(batch: Batch) -> None:
    fast, slow = batch.stream(), dense(batch)
    for name, value in slow.figures().items():
        assert fast.figures()[name] == pytest.approx(value, abs=1e-10, rel=1e-10), name
    ours = torch.autograd.grad(fast.loss, batch.leaves())
    theirs = torch.autograd.grad(slow.loss, batch.leaves(), materialize_grads=True)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-9, atol=1e-10)


@given(batch=batches(most=4))
@settings(deadline=None, max_examples=12)
def test_gradients_are_the_slopes(batch: Batch) -> None:
    def loss(*_: torch.Tensor) -> torch.Tensor:
        return -3 * batch.stream().loss  # a negative factor: weights live in exponents inside

    assert torch.autograd.gradcheck(loss, batch.leaves())


@given(batch=batches(most=5))
@settings(deadline=None, max_examples=60)
def test_dense_is_the_formula(batch: Batch) -> None:
    assert float(dense(batch).loss.detach()) == pytest.approx(by_hand(batch), abs=1e-10)


def by_hand(batch: Batch) -> float:
    """methods.md section 2 with nothing but Python numbers."""
    keep: KeepOut = batch.options.get("keep_out") or KeepOut(margin=None)
    offset, rows, items = batch.options["offset"], len(batch.query), len(batch.item)
    extra = batch.extra()
    every = batch.item if extra is None else torch.cat([batch.item, extra])
    s = (batch.query @ every.T).tolist()
    tau, margin = float(batch.temperature.detach()), keep.margin

    def label(own: torch.Tensor | None, more: torch.Tensor | None, column: int) -> int:
        given = own if column < items else more
        return -1 if given is None else int(given[column if column < items else column - items])

    def same_product(i: int, j: int) -> bool:
        known = [] if keep.known is None else keep.known.tolist()
        labels = [
            (keep.item_ids, keep.extra_item_ids),
            (keep.groups, keep.extra_groups),
            (keep.queries, keep.extra_queries),
            (keep.texts, keep.extra_texts),
        ]
        alike = any(
            label(own, more, j) == label(own, more, offset + i) >= 0 for own, more in labels
        )
        item_id = label(keep.item_ids, keep.extra_item_ids, j)
        return alike or (item_id >= 0 and [i, item_id] in known)

    def term(positive: float, negatives: list[tuple[float, bool]]) -> float:
        kept = [
            n for n, same in negatives if not same and (margin is None or n <= positive + margin)
        ]
        high = max([positive, *kept])
        total = sum(math.exp((x - high) / tau) for x in [positive, *kept])
        return (high - positive) / tau + math.log(total)

    weights = batch.options.get("weights", torch.ones(rows)).tolist()
    loss = 0.0
    for i in range(rows):
        p = s[i][offset + i]
        ahead = [(s[i][j], same_product(i, j)) for j in range(len(every)) if j != offset + i]
        back = [(s[r][offset + i], same_product(r, offset + i)) for r in range(rows) if r != i]
        both = [term(p, ahead), *([term(p, back)] if batch.symmetric else [])]
        loss += weights[i] * sum(both) / len(both)
    return loss / sum(weights) if sum(weights) else 0.0


@pytest.mark.parametrize("rows, tile", [(300, 128), (300, 1024), (257, 256)])
def test_float32_is_close_to_float64(rows: int, tile: int) -> None:
    query, item = plain(rows, 32, torch.float32)
    keep_out = KeepOut(item_ids=torch.arange(rows) // 2, margin=0.1)
    fast = symmetric_info_nce(query, item, 0.02, keep_out=keep_out, tile=tile)
    wide = [x.detach().double().requires_grad_() for x in (query, item)]
    slow = info_nce_dense(*wide, 0.02, keep_out=keep_out, symmetric=True)
    torch.testing.assert_close(fast.loss.double(), slow.loss, rtol=1e-6, atol=0)
    ours = torch.autograd.grad(fast.loss, (query, item))
    for our, their in zip(ours, torch.autograd.grad(slow.loss, wide), strict=True):
        torch.testing.assert_close(our.double(), their, rtol=1e-4, atol=1e-6)


def test_scores_far_apart_neither_overflow_nor_vanish() -> None:
    """At tau = 0.001 a row spans 2,000 nats: far more than one float32 exponent holds."""
    query, item = plain(40, 8, torch.float32)
    fast = symmetric_info_nce(query, item, 1e-3, tile=16)
    slow = info_nce_dense(query.double(), item.double(), 1e-3, symmetric=True)
    torch.testing.assert_close(fast.loss.double(), slow.loss, rtol=1e-5, atol=0)
    for gradient in torch.autograd.grad(fast.loss, (query, item)):
        assert torch.isfinite(gradient).all()


def test_half_precision_input_is_summed_in_float32() -> None:
    query, item = (x.detach().bfloat16().requires_grad_() for x in plain(50, 16))
    low = symmetric_info_nce(query, item, 0.05, tile=16)
    wide = [x.detach().float().requires_grad_() for x in (query, item)]
    high = symmetric_info_nce(*wide, 0.05, tile=16)
    assert low.loss.dtype == torch.float32
    assert torch.equal(low.loss, high.loss)
    for our, their in zip(
        torch.autograd.grad(low.loss, (query, item)),
        torch.autograd.grad(high.loss, wide),
        strict=True,
    ):
        assert our.dtype == torch.bfloat16
        assert torch.equal(our, their.bfloat16())


def test_bfloat16_products_are_close_and_only_on_request() -> None:
    query, item = plain(200, 64, torch.float32)
    exact = symmetric_info_nce(query, item, 0.05)
    rounded = symmetric_info_nce(query, item, 0.05, tile=64, compute_dtype=torch.bfloat16)
    assert not torch.equal(exact.loss, rounded.loss)
    torch.testing.assert_close(exact.loss, rounded.loss, rtol=5e-3, atol=0)
    for our, their in zip(
        torch.autograd.grad(rounded.loss, (query, item)),
        torch.autograd.grad(exact.loss, (query, item)),
        strict=True,
    ):
        assert our.dtype == torch.float32
        similarity = torch.nn.functional.cosine_similarity(our.flatten(), their.flatten(), dim=0)
        assert similarity > 0.999


def test_autocast_does_not_reach_inside() -> None:
    query, item = plain(50, 16, torch.float32)
    outside = symmetric_info_nce(query, item, 0.05)
    with torch.autocast("cpu", torch.bfloat16):
        inside = symmetric_info_nce(query, item, 0.05)
        ours = torch.autograd.grad(inside.loss, (query, item))
    assert torch.equal(inside.loss, outside.loss)
    for our, their in zip(ours, torch.autograd.grad(outside.loss, (query, item)), strict=True):
        assert torch.equal(our, their)


@pytest.mark.parametrize("loss", [info_nce, symmetric_info_nce, info_nce_dense])
def test_one_pair_alone_costs_nothing(loss) -> None:
    query, item = plain(1)
    result = loss(query, item, 0.05)
    assert float(result.loss.detach()) == 0
    assert all(g.abs().max() == 0 for g in torch.autograd.grad(result.loss, (query, item)))
    assert result.figures()["accuracy"] == 1
    assert result.figures()["masked_share"] == result.figures()["negative_similarity"] == 0


def masked_or_weightless() -> list[dict]:
    one = torch.zeros(6, dtype=torch.int64)
    return [
        {"keep_out": KeepOut(item_ids=one)},
        {"keep_out": KeepOut(groups=one, margin=None)},
        {"weights": torch.zeros(6)},
    ]


@pytest.mark.parametrize("options", masked_or_weightless(), ids=["ids", "groups", "weights"])
@pytest.mark.parametrize("loss", [info_nce, symmetric_info_nce])
def test_nothing_left_to_contrast_gives_zero(loss, options: dict) -> None:
    query, item = plain(6)
    temperature = torch.tensor(0.05, requires_grad=True)
    result = loss(query, item, temperature, tile=4, **options)
    assert float(result.loss.detach()) == 0
    for gradient in torch.autograd.grad(result.loss, (query, item, temperature)):
        assert gradient.abs().max() == 0
    assert result.figures()["masked_share"] == ("keep_out" in options)


def test_weights_are_relative_and_pick_rows() -> None:
    query, item = plain(6)
    some = torch.tensor([1.0, 0, 0, 2, 0, 0])
    once = symmetric_info_nce(query, item, weights=some)
    twice = symmetric_info_nce(query, item, weights=2 * some)
    torch.testing.assert_close(once.loss, twice.loss)
    assert float(once.weight) == 3
    rows = [symmetric_info_nce(query, item, weights=w).figures()["loss"] for w in torch.eye(6)]
    assert once.figures()["loss"] == pytest.approx((rows[0] + 2 * rows[3]) / 3)


def test_chunks_of_rows_combine_by_weight() -> None:
    """What ranks do: each its own queries against all items."""
    query, item = plain(10)
    weights = torch.linspace(0, 1, 10)
    whole = info_nce(query, item, weights=weights)
    parts = [
        info_nce(query[a:b], item, weights=weights[a:b], offset=a)
        for a, b in ((0, 3), (3, 4), (4, 10))
    ]
    total = sum(part.weight for part in parts)
    combined = torch.stack([part.loss * part.weight / total for part in parts]).sum()
    torch.testing.assert_close(combined, whole.loss)
    for our, their in zip(
        torch.autograd.grad(combined, (query, item)),
        torch.autograd.grad(whole.loss, (query, item)),
        strict=True,
    ):
        torch.testing.assert_close(our, their)


def test_a_log_temperature_learns() -> None:
    query, item = plain(6)
    log_temperature = torch.tensor(-2.0, dtype=torch.float64, requires_grad=True)

    def loss(t: torch.Tensor) -> torch.Tensor:
        return symmetric_info_nce(query, item, t.exp(), tile=4).loss

    assert torch.autograd.gradcheck(loss, (log_temperature,))
    tight = torch.tensor([0.07], requires_grad=True)  # as a parameter of one element
    symmetric_info_nce(query, item, tight).loss.backward()
    assert tight.grad is not None and tight.grad.shape == (1,)


def test_gradients_go_only_where_they_are_asked_for() -> None:
    query, item = plain(6)
    queue = unit(torch.Generator().manual_seed(1), 5, 4)
    full = symmetric_info_nce(query, item, extra_items=queue, tile=4).loss
    want = torch.autograd.grad(full, (query, item))
    symmetric_info_nce(query, item.detach(), extra_items=queue, tile=4).loss.backward()
    symmetric_info_nce(query.detach(), item, extra_items=queue, tile=4).loss.backward()
    torch.testing.assert_close(query.grad, want[0])
    torch.testing.assert_close(item.grad, want[1])
    assert queue.grad is None


class Products(TorchDispatchMode):
    """Counts the multiplications of matrix products (torch's own counter leaves addmm_ out)."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in ("mm", "addmm", "addmm_"):
            left, right = args[-2:]
            self.count += left.numel() * right.shape[1]
        return func(*args, **(kwargs or {}))


def test_a_queue_costs_two_products_and_gets_no_gradient(monkeypatch) -> None:
    """Its scores once and the queries' gradient: the floor. A block with gradient costs a third,
    and what is not kept one more, and neither for the sake of the other."""
    rows, more, width = 8, 40, 4
    query, item = plain(rows, width)
    queue = unit(torch.Generator().manual_seed(1), more, width)
    hard = queue.clone().requires_grad_()

    def cost(*extra: torch.Tensor, kept: int = 1000) -> float:
        monkeypatch.setattr("moonshelf.objectives.streaming.KEPT", kept)
        with Products() as used:
            symmetric_info_nce(query, item, extra_items=extra, tile=8).loss.backward()
        return used.count / (rows * more * width)

    alone = cost()
    assert cost(queue) == pytest.approx(alone + 2)
    assert cost(hard, queue) == pytest.approx(alone + 5)
    assert cost(torch.cat([hard, queue])) == pytest.approx(alone + 6)
    assert cost(queue, kept=0) == pytest.approx(cost(kept=0) + 3)


@pytest.mark.parametrize("kept", [0, 20, 1000])
def test_backward_can_be_repeated_but_not_differentiated(kept: int, monkeypatch) -> None:
    monkeypatch.setattr("moonshelf.objectives.streaming.KEPT", kept)
    query, item = plain(6)
    loss = symmetric_info_nce(query, item, tile=4).loss
    first = torch.autograd.grad(loss, query, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(loss, query, retain_graph=True)[0])
    with pytest.raises(UsageError, match="no second derivative"):
        torch.autograd.grad(loss, query, create_graph=True)


def test_zero_vectors_score_like_chance() -> None:
    nothing = torch.zeros(7, 3)
    assert float(symmetric_info_nce(nothing, nothing.clone()).loss) == pytest.approx(math.log(7))


def test_a_vector_that_is_not_a_number_is_not_hidden() -> None:
    query, item = plain(6)
    broken = query.detach().clone()
    broken[2, 1] = math.nan
    for keep_out in (None, KeepOut(margin=0.1)):
        assert symmetric_info_nce(broken, item, keep_out=keep_out, tile=4).loss.isnan()


@given(scale=st.floats(0.01, 100), rows=st.integers(2, 40), width=st.integers(1, 64))
@settings(deadline=None, max_examples=30)
def test_ties_are_misses_whatever_the_rounding(scale: float, rows: int, width: int) -> None:
    one = torch.randn(2, width, generator=torch.Generator().manual_seed(rows)) * scale
    query, item = one[:1].expand(rows, -1), one[1:].expand(rows, -1)
    for dtype in (torch.float32, torch.bfloat16):
        result = info_nce(query, item, 0.05 * scale**2, compute_dtype=dtype)
        assert result.figures()["accuracy"] == 0


BAD = {
    "no rows": (lambda q, p: info_nce(q[:0], p), "no positive pairs"),
    "too few items": (lambda q, p: info_nce(q, p[:5]), "6 queries at offset 0"),
    "offset": (lambda q, p: info_nce(q, p, offset=1), "items 1..6"),
    "negative offset": (lambda q, p: info_nce(q, p, offset=-1), "offset -1"),
    "width": (lambda q, p: info_nce(q, p[:, :3]), r"item is .* \[6, 3\]"),
    "extra width": (lambda q, p: info_nce(q, p, extra_items=p[:, :3]), "extra_items is"),
    "one vector": (lambda q, p: info_nce(q[0], p), "query is"),
    "whole numbers": (lambda q, p: info_nce(q.long(), p), "query is torch.int64"),
    "nan": (lambda q, p: info_nce(q, p, math.nan), "temperature is nan"),
    "inf": (lambda q, p: info_nce(q, p, math.inf), "temperature is inf"),
    "zero": (lambda q, p: info_nce(q, p, 0), "temperature is 0.0"),
    "below zero": (lambda q, p: info_nce(q, p, torch.tensor(-0.1)), "temperature is -0.1"),
    "learned nan": (lambda q, p: info_nce(q, p, torch.tensor(math.nan)), "temperature is nan"),
    "per row": (lambda q, p: info_nce(q, p, torch.ones(6)), "expected a scalar"),
    "weights": (lambda q, p: info_nce(q, p, weights=torch.ones(5)), r"expected constants \[6\]"),
    "learned weights": (
        lambda q, p: info_nce(q, p, weights=torch.ones(6, requires_grad=True)),
        "requires_grad=True",
    ),
    "minus": (lambda q, p: info_nce(q, p, weights=-torch.ones(6)), "negative or non-finite"),
    "nan weight": (lambda q, p: info_nce(q, p, weights=torch.ones(6) * math.nan), "non-finite"),
    "tile": (lambda q, p: info_nce(q, p, tile=0), "tile is 0"),
    "half": (lambda q, p: info_nce(q, p, compute_dtype=torch.float16), "compute_dtype"),
}


@pytest.mark.parametrize("call, message", BAD.values(), ids=BAD.keys())
def test_a_wrong_call_says_so(call, message: str) -> None:
    query, item = plain(6)
    with pytest.raises(UsageError, match=message) as caught:
        call(query, item)
    assert caught.value.cure
