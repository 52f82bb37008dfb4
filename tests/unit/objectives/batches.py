"""Drawn batches for the tests of the contrastive losses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from moonshelf.objectives.contrastive import Contrast, KeepOut, info_nce, symmetric_info_nce


@dataclass
class Batch:
    """Arguments of a loss; ``options`` are those that the dense form takes too, ``kept`` the scores
    that are not computed again."""

    query: Tensor
    item: Tensor
    temperature: Tensor
    symmetric: bool = True
    tile: int = 1024
    kept: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def stream(self) -> Contrast:
        loss = symmetric_info_nce if self.symmetric else info_nce
        with self.keeping():
            return loss(self.query, self.item, self.temperature, tile=self.tile, **self.options)

    def keeping(self) -> AbstractContextManager[Any]:
        return mock.patch("moonshelf.objectives.streaming.KEPT", self.kept)

    def blocks(self) -> list[Tensor]:
        """The extra items, as they are given."""
        extra: Tensor | Sequence[Tensor] | None = self.options.get("extra_items")
        return [extra] if isinstance(extra, Tensor) else list(extra or ())

    def extra(self) -> Tensor | None:
        """The extra items as one block."""
        return torch.cat(self.blocks()) if self.blocks() else None

    def leaves(self) -> list[Tensor]:
        every = (self.query, self.item, *self.blocks(), self.temperature)
        return [tensor for tensor in every if tensor.requires_grad]


def unit(generator: torch.Generator, rows: int, width: int, dtype=torch.float64) -> Tensor:
    return normalize(torch.randn(rows, width, generator=generator, dtype=torch.float64)).to(dtype)


@st.composite
def batches(draw: st.DrawFn, most: int = 12) -> Batch:
    """Every option switched on and off: masks, weights, extra items, offsets, odd tiles."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    rows, before, after = (draw(st.integers(low, most)) for low in (1, 0, 0))
    extra, width = draw(st.integers(0, 6)), draw(st.integers(1, 6))
    items = before + rows + after
    # Not only unit rows: nothing may depend on a bound of the scores.
    length = draw(st.sampled_from([1.0, 1.0, 4.0]))

    def leaf(count: int) -> Tensor:
        return (unit(generator, count, width) * length).requires_grad_()

    def labels(count: int) -> Tensor:
        return torch.randint(-1, draw(st.integers(1, 15)), (count,), generator=generator)

    options: dict[str, Any] = {"offset": before}
    if draw(st.booleans()):
        options["weights"] = torch.tensor(
            draw(st.lists(st.sampled_from([0.0, 0.3, 1.0, 5.0]), min_size=rows, max_size=rows)),
            dtype=torch.float64,
        )
    if extra:
        options["extra_items"] = leaf(extra)
    if extra and draw(st.booleans()):
        cuts = sorted(draw(st.lists(st.integers(0, extra), min_size=1, max_size=2)))
        blocks = options["extra_items"].detach().tensor_split(cuts)
        options["extra_items"] = [
            block.clone().requires_grad_(draw(st.booleans())) for block in blocks
        ]
    if draw(st.booleans()):
        with_ids, with_groups, with_queries, with_texts = (draw(st.booleans()) for _ in range(4))
        pairs = draw(st.integers(0, 8)) if with_ids else 0
        known = [torch.randint(rows, (pairs,), generator=generator), labels(pairs)]
        options["keep_out"] = KeepOut(
            item_ids=labels(items) if with_ids else None,
            groups=labels(items) if with_groups else None,
            queries=labels(items) if with_queries else None,
            extra_item_ids=labels(extra) if with_ids and draw(st.booleans()) else None,
            extra_groups=labels(extra) if with_groups and draw(st.booleans()) else None,
            extra_queries=labels(extra) if with_queries and draw(st.booleans()) else None,
            texts=labels(items) if with_texts else None,
            extra_texts=labels(extra) if with_texts and draw(st.booleans()) else None,
            known=torch.stack(known, dim=1) if pairs else None,
            margin=draw(st.sampled_from([None, 0.05, 0.1, 0.37])),
        )
    return Batch(
        query=leaf(rows),
        item=leaf(items),
        temperature=torch.tensor(
            # Scores up to 50: the temperature's gradient loses score^2 * 1e-16, in either form.
            draw(st.sampled_from([0.02, 0.07, 0.5])) * length**2,
            dtype=torch.float64,
            requires_grad=True,
        ),
        symmetric=draw(st.booleans()),
        tile=draw(st.integers(1, 9)),
        kept=draw(st.sampled_from([0, 20, 10**6])),
        options=options,
    )
