"""All prefixes at once are the prefixes one by one: values, gradients, options, edges."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from moonshelf.errors import UsageError
from moonshelf.objectives.contrastive import info_nce, info_nce_dense
from moonshelf.objectives.matryoshka import nested_info_nce, nested_info_nce_loop
from tests.unit.objectives.batches import Batch, batches, unit


@st.composite
def nested_batches(draw: st.DrawFn, most: int = 10) -> tuple[Batch, list[int]]:
    batch = draw(batches(most))
    d = batch.query.shape[1]
    widths = draw(st.sets(st.integers(1, d), min_size=1, max_size=d))
    return batch, sorted(widths)


def one_by_one(batch: Batch, widths: list[int]) -> list[torch.Tensor]:
    """The loss of each width by the dense form."""
    options, losses = dict(batch.options), []
    options.pop("extra_items", None)
    for width in widths:
        query, item, *more = (
            normalize(side[:, :width], dim=1) for side in (batch.query, batch.item, *batch.blocks())
        )
        more_options = options | {"extra_items": more, "symmetric": batch.symmetric}
        losses.append(info_nce_dense(query, item, batch.temperature, **more_options).loss)
    return losses


def at_once(batch: Batch, widths: list[int]):
    options = batch.options | {"symmetric": batch.symmetric, "tile": batch.tile}
    return nested_info_nce(batch.query, batch.item, widths, batch.temperature, **options)


@given(drawn=nested_batches())
@settings(deadline=None, max_examples=150)
def test_one_pass_equals_a_loop_of_dense_losses(drawn: tuple[Batch, list[int]]) -> None:
    batch, widths = drawn
    fast, slow = at_once(batch, widths), one_by_one(batch, widths)
    torch.testing.assert_close(fast.by_width, torch.stack(slow).detach(), rtol=1e-9, atol=1e-10)
    mean = torch.stack(slow).mean()
    torch.testing.assert_close(fast.loss, mean, rtol=1e-9, atol=1e-10)
    ours = torch.autograd.grad(fast.loss * -3, batch.leaves(), materialize_grads=True)
    theirs = torch.autograd.grad(mean * -3, batch.leaves(), materialize_grads=True)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-8, atol=1e-9)


def test_the_loop_is_the_loop() -> None:
    """The public reference is the dense one too."""
    generator = torch.Generator().manual_seed(0)
    query, item = (unit(generator, 7, 6) for _ in range(2))
    batch = Batch(query, item, torch.tensor(0.1, dtype=torch.float64))
    loop = nested_info_nce_loop(query, item, [2, 5, 6], 0.1, symmetric=True)
    torch.testing.assert_close(loop, torch.stack(one_by_one(batch, [2, 5, 6])).mean())


def test_one_width_is_the_plain_loss() -> None:
    generator = torch.Generator().manual_seed(1)
    query, item = (unit(generator, 9, 8) for _ in range(2))
    found = nested_info_nce(query, item, [8], 0.07, symmetric=True)
    plain = info_nce(query, item, 0.07, symmetric=True)
    torch.testing.assert_close(found.loss, plain.loss)
    torch.testing.assert_close(found.accuracy, plain.accuracy)
    same = torch.ones(4, 8, dtype=torch.float64)
    assert float(nested_info_nce(same, same, [4, 8], 0.07).accuracy) == 0  # ties are misses


def test_float32_and_bfloat16_stay_near() -> None:
    generator = torch.Generator().manual_seed(2)
    exact = [unit(generator, 64, 32) for _ in range(2)]
    reference = nested_info_nce(*exact, [4, 16, 32], 0.1, symmetric=True).loss
    single = [side.float().requires_grad_() for side in exact]
    found = nested_info_nce(*single, [4, 16, 32], 0.1, symmetric=True, tile=24)
    assert float(found.loss.detach()) == pytest.approx(float(reference), rel=1e-5)
    rough = nested_info_nce(*single, [4, 16, 32], 0.1, symmetric=True, compute_dtype=torch.bfloat16)
    assert float(rough.loss.detach()) == pytest.approx(float(reference), rel=3e-2)
    rough.loss.backward()
    assert all(bool(side.grad.isfinite().all()) for side in single if side.grad is not None)


def test_a_prefix_of_zeros_has_no_direction_and_no_gradient_that_is_none() -> None:
    generator = torch.Generator().manual_seed(3)
    query, item = (unit(generator, 5, 4) for _ in range(2))
    query[2, :2] = 0
    query.requires_grad_()
    found = nested_info_nce(query, item, [2, 4], 0.1)
    found.loss.backward()
    assert query.grad is not None and bool(query.grad.isfinite().all())


@pytest.mark.parametrize("widths", [[], [0, 4], [4, 2], [2, 2], [2, 5]])
def test_wrong_widths_say_so(widths: list[int]) -> None:
    side = torch.ones(3, 4)
    with pytest.raises(UsageError, match="widths are"):
        nested_info_nce(side, side, widths)


def test_a_second_derivative_is_refused() -> None:
    generator = torch.Generator().manual_seed(4)
    query, item = (unit(generator, 4, 4).requires_grad_() for _ in range(2))
    with pytest.raises(UsageError, match="no second derivative"):
        torch.autograd.grad(nested_info_nce(query, item, [2, 4]).loss, query, create_graph=True)
