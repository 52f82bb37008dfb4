"""The loss you asked for is the loss you get: five ways in which contrastive losses go wrong in
silence elsewhere, and do not here."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from moonshelf.errors import UsageError
from moonshelf.objectives.contrastive import (
    KeepOut,
    info_nce,
    info_nce_dense,
    symmetric_info_nce,
)
from tests.invariants.sources import ROOT

LOSSES = [info_nce, symmetric_info_nce, info_nce_dense]


@pytest.mark.parametrize("offset", [0, 3])
@pytest.mark.parametrize("negatives", [0, 1, 4])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_target_of_row_i_is_item_i_however_many_negatives(loss, negatives, offset) -> None:
    """Perfect vectors give a loss near 0, and moving the target by one row does not."""
    rows, width = 8, 64
    every = torch.eye(width)
    query, item = every[:rows], torch.cat([every[20 : 20 + offset], every[:rows]])
    hard = every[32 : 32 + rows * negatives] if negatives else None
    result = loss(query, item, 0.05, extra_items=hard, offset=offset)
    assert result.figures()["loss"] < 1e-6
    assert result.figures()["accuracy"] == 1
    moved = loss(query, item.roll(1, dims=0), 0.05, extra_items=hard, offset=offset)
    assert moved.figures()["loss"] > 10
    assert moved.figures()["accuracy"] == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_a_constant_scorer_is_never_right(loss) -> None:
    """Ties are misses, and cost what chance costs. A product summed in two ways rounds in two ways,
    up in some of these sizes, down in others: none may make a winner."""
    for rows in (5, 40, 300):
        for width in (3, 64, 250, 1000):
            generator = torch.Generator().manual_seed(rows)
            query, item = torch.randn(2, 1, width, generator=generator).expand(-1, rows, -1)
            figures = loss(query, item, 0.05 * width).figures()
            assert figures["accuracy"] == 0, (rows, width)
            assert figures["loss"] == pytest.approx(math.log(rows), rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_an_alias_is_worth_a_copy(loss) -> None:
    """The same object in two places, vectors or labels, loses no positive."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(12, 8, generator=generator))
    labels = torch.arange(12) // 2

    def run(item: Tensor, groups: Tensor) -> tuple[float, Tensor]:
        left = vectors.clone().requires_grad_()
        right = left if item is vectors else item.clone().requires_grad_()
        result = loss(left, right, 0.1, keep_out=KeepOut(item_ids=labels, groups=groups))
        sides = [left] if right is left else [left, right]
        gradient = torch.stack(torch.autograd.grad(result.loss, sides)).sum(0)
        return result.figures()["loss"], gradient

    alias, alias_gradient = run(vectors, labels)
    copy, copy_gradient = run(vectors.clone(), labels.clone())
    assert alias == copy > 0.01
    torch.testing.assert_close(alias_gradient, copy_gradient)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_positives_is_an_error(loss) -> None:
    with pytest.raises(UsageError, match="no positive pairs"):
        loss(torch.zeros(0, 4), torch.zeros(5, 4))


@pytest.mark.parametrize("loss", LOSSES)
def test_variants_of_one_product_are_never_negatives(loss) -> None:
    """Rows 0..3 are one SPU: no change to them moves each other's loss; the share is reported."""
    generator = torch.Generator().manual_seed(0)
    query, item, extra = torch.randn(3, 10, 8, generator=generator).double()
    groups = torch.tensor([7, 7, 7, 7, 1, 2, 3, -1, -1, 4])
    extra_groups = torch.tensor([7, 7, 9, 9, 9, 9, 9, 9, 9, -1])
    keep_out = KeepOut(groups=groups, extra_groups=extra_groups, margin=None)
    only = torch.zeros(10).index_fill_(0, torch.arange(1), 1.0)

    item = item.requires_grad_()
    extra = extra.requires_grad_()
    result = loss(query, item, 1.0, keep_out=keep_out, weights=only, extra_items=extra, offset=0)
    to_item, to_extra = torch.autograd.grad(result.loss, (item, extra))
    silent = to_item.abs().sum(1) == 0
    assert silent.tolist() == [False, True, True, True, *[False] * 6]
    assert (to_extra.abs().sum(1) == 0).tolist() == [True, True, *[False] * 8]

    ahead, back = 4 * 3 + 4 * 2, 4 * 3
    shares = {
        info_nce: ahead / (10 * 19),
        info_nce_dense: ahead / (10 * 19),
        symmetric_info_nce: (ahead + back) / (10 * 19 + 10 * 9),
    }
    assert result.figures()["masked_share"] == pytest.approx(shares[loss])


MEASURE = """
import sys
import torch
from torch.nn.functional import normalize
from moonshelf.objectives.contrastive import KeepOut, info_nce_dense, symmetric_info_nce

def run(rows):
    generator = torch.Generator().manual_seed(0)
    query, item = normalize(torch.randn(2, rows, 128, generator=generator), dim=2)
    query, item = query.requires_grad_(), item.requires_grad_()
    keep_out = KeepOut(item_ids=torch.randint(rows, (rows,), generator=generator))
    if sys.argv[1] == "dense":
        loss = info_nce_dense(query, item, keep_out=keep_out, symmetric=True).loss
    else:
        loss = symmetric_info_nce(query, item, keep_out=keep_out, tile=256).loss
    loss.backward()

def peak():
    # Not getrusage: a child's ru_maxrss starts at what its parent used.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

run(300)  # kernels and their workspace are no memory of the loss
before = peak()
run(int(sys.argv[2]))
print((peak() - before) / 1024)
"""


def extra_memory(form: str, rows: int) -> float:
    """MiB that forward and backward add to the peak of a fresh process, vectors included."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, form, str(rows)],
        cwd=ROOT,
        # Freed blocks go back to the system, so the peak is what was held at one time.
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return float(done.stdout)


def exponent(sizes: dict[int, float]) -> float:
    """Of memory = c * rows ^ exponent, from the smallest to the largest."""
    low, high = min(sizes), max(sizes)
    return math.log(sizes[high] / sizes[low]) / math.log(high / low)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from Linux's /proc")
def test_memory_grows_with_the_batch_not_with_its_square() -> None:
    streaming = {rows: extra_memory("streaming", rows) for rows in (2048, 8192)}
    assert exponent(streaming) < 1.15, streaming
    assert streaming[8192] < 8192**2 * 4 / 2**20 / 4, "a quarter of one score matrix"


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from Linux's /proc")
def test_the_memory_measure_sees_a_square() -> None:
    """The test above can fail: the dense form's exponent is near 2."""
    assert exponent({rows: extra_memory("dense", rows) for rows in (2048, 4096)}) > 1.8
