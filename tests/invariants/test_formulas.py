"""Chunked losses are dense losses, and prefixes in one pass are a loop over prefixes (methods.md
10.4): values and gradients in float64, each rule of what is no negative alone and all at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from moonshelf.objectives.circle import circle, circle_dense, nested_circle
from moonshelf.objectives.contrastive import KeepOut, info_nce, info_nce_dense
from moonshelf.objectives.matryoshka import nested_info_nce

ROWS, OFFSET, ITEMS, HARD, QUEUED, WIDTH = 7, 2, 12, 4, 9, 6
WIDTHS = (2, 3, WIDTH)


def labels(seed: int, count: int) -> Tensor:
    """int64 [count], few enough different ones that some pairs of a batch share one; -1: none."""
    return torch.randint(-1, 9, (count,), generator=torch.Generator().manual_seed(seed))


def rule(seed: int, name: str) -> dict[str, Tensor]:
    own, more = labels(seed, ITEMS), labels(seed + 1, HARD + QUEUED)
    return {name: own, f"extra_{name}": more}


KNOWN = {
    "item_ids": torch.arange(ITEMS),
    "extra_item_ids": torch.arange(ITEMS, ITEMS + HARD + QUEUED),
    "known": torch.tensor([[0, 1], [0, 13], [3, 20], [6, 2], [6, 99]]),
}
RULES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "item ids": rule(0, "item_ids"),
    "groups": rule(2, "groups"),
    "queries": rule(4, "queries"),
    "texts": rule(6, "texts"),
    "known": KNOWN,
    "margin": {"margin": 0.1},
}
RULES["all"] = {k: v for rules in RULES.values() for k, v in rules.items()}


def of_prefixes(dense: Any, query: Tensor, item: Tensor, extra: list[Tensor], **options: Any):
    """The mean over widths of a dense loss over prefixes made unit."""
    losses = []
    for width in WIDTHS:
        cut = [normalize(side[:, :width], dim=1) for side in (query, item, *extra)]
        losses.append(dense(cut[0], cut[1], extra_items=cut[2:], **options).loss)
    return torch.stack(losses).mean()


def losses(name: str, query: Tensor, item: Tensor, tau: Tensor, **options: Any) -> list[Tensor]:
    """A loss the fast way and as it is written down."""
    tiled, extra = {"tile": 3, **options}, options["extra_items"]
    shape = {"scale": 16.0, "margin": 0.25}
    rest = {k: v for k, v in options.items() if k != "extra_items"}
    if name == "InfoNCE":
        both = info_nce(query, item, tau, **tiled), info_nce_dense(query, item, tau, **options)
    elif name == "circle":
        both = circle(query, item, **shape, **tiled), circle_dense(query, item, **shape, **options)
    elif name == "InfoNCE of prefixes":
        fast = nested_info_nce(query, item, WIDTHS, tau, **tiled).loss
        return [fast, of_prefixes(info_nce_dense, query, item, extra, temperature=tau, **rest)]
    else:
        fast = nested_circle(query, item, WIDTHS, **shape, **tiled).loss
        return [fast, of_prefixes(circle_dense, query, item, extra, **shape, **rest)]
    return [found.loss for found in both]


@pytest.mark.parametrize("masks", RULES)
@pytest.mark.parametrize("name", ["InfoNCE", "circle", "InfoNCE of prefixes", "circle of prefixes"])
def test_the_fast_way_is_the_formula(
    name: str, masks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(1)

    def unit(rows: int) -> Tensor:
        return normalize(torch.randn(rows, WIDTH, generator=generator, dtype=torch.float64))

    query, item, hard = (unit(rows).requires_grad_() for rows in (ROWS, ITEMS, HARD))
    tau = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    options: dict[str, Any] = {
        "extra_items": [hard, unit(QUEUED)],  # with gradient, and without
        "offset": OFFSET,
        "symmetric": True,
        "weights": torch.tensor([1.0, 0.5, 0.0, 2.0, 1.0, 1.0, 3.0], dtype=torch.float64),
    }
    keep_out = KeepOut(**({"margin": None} | RULES[masks]))
    leaves = [query, item, hard, tau]
    for kept in (0, 1000):  # scores that wait for the backward pass: none, all
        monkeypatch.setattr("moonshelf.objectives.streaming.KEPT", kept)
        fast, slow = losses(name, query, item, tau, keep_out=keep_out, **options)
        torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
        ours = torch.autograd.grad(-2 * fast, leaves, materialize_grads=True)
        theirs = torch.autograd.grad(-2 * slow, leaves, materialize_grads=True, retain_graph=True)
        for our, their in zip(ours, theirs, strict=True):
            torch.testing.assert_close(our, their, rtol=1e-8, atol=1e-9)
    if masks != "nothing":  # the rule changes something, or nothing was compared
        _, without = losses(name, query, item, tau, keep_out=None, **options)
        assert abs(float((slow - without).detach())) > 1e-4
