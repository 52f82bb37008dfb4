"""Packing: many short products in one row of tokens, without one seeing another.

A title is about 7 tokens and a small picture 6, so one product a row would be mostly padding.
Rows of ``capacity`` tokens hold several products; a block-diagonal mask keeps them apart, so a
vector does not depend on its neighbours. Layout of one product:

    [<|vision_start|>] picture tokens [<|vision_end|>] ... title tokens [<|emb|>]

Positions follow the Qwen-VL M-RoPE rule: words count 1, 2, 3 on all three axes; a picture's tokens
share one time step and spread over height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

PAD, TEMPLATE, TEXT, IMAGE, CATEGORY, ATTRIBUTE = 0, 1, 2, 3, 4, 5
"""Kinds of tokens; the last two are words that name a category or attributes, told apart from
other words only for an encoder with an expert for each."""


@dataclass(slots=True)
class Tokens:
    """One product as tokens, before packing. ``grids`` are merged (height, width) per picture."""

    ids: list[int] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    grids: list[tuple[int, int]] = field(default_factory=list)

    def add_picture(
        self, grid: tuple[int, int], image_id: int, markers: tuple[int, int] | None
    ) -> None:
        count = grid[0] * grid[1]
        if markers:
            self._add([markers[0]], TEMPLATE)
        self._add([image_id] * count, IMAGE)
        if markers:
            self._add([markers[1]], TEMPLATE)
        self.grids.append(grid)

    def add_text(self, ids: Sequence[int], kinds: Sequence[int] | None = None) -> None:
        """Words; ``kinds`` of each where not all are TEXT."""
        self.ids.extend(ids)
        self.kinds.extend([TEXT] * len(ids) if kinds is None else kinds)

    def add_control(self, token: int) -> None:
        self._add([token], TEMPLATE)

    def _add(self, ids: Sequence[int], kind: int) -> None:
        self.ids.extend(ids)
        self.kinds.extend([kind] * len(ids))

    def positions(self) -> np.ndarray:
        """M-RoPE positions ``int64 [3, T]`` (time, height, width)."""
        out = np.empty((3, len(self.ids)), np.int64)
        at, cursor, picture = 0, 0, 0
        while cursor < len(self.ids):
            if self.kinds[cursor] == IMAGE:
                h, w = self.grids[picture]
                y, x = np.divmod(np.arange(h * w), w)
                out[:, cursor : cursor + h * w] = np.stack([np.zeros_like(y), y, x]) + at
                at += max(h, w)
                cursor += h * w
                picture += 1
            else:
                out[:, cursor] = at
                at += 1
                cursor += 1
        return out


def pack(products: Sequence[Tokens], capacity: int, pad_id: int) -> dict[str, Tensor]:
    """Rows of tokens for the language model.

    Args:
        products: B of them, in the order of the vectors to come.
        capacity: tokens a row, raised to the longest product; 0 puts one product in a row.

    Returns:
        ``input_ids [R, C]``, ``segment [R, C]`` (index of the product, -1 on padding),
        ``kinds [R, C]`` (PAD, TEMPLATE, TEXT, ...), ``position_ids [3, R, C]``,
        ``visual_at [n]`` (flat places of the picture tokens, in picture order),
        ``last [B]`` (flat place of each product's last token), ``count`` (B, as a 0-d tensor).
    """
    longest = max(len(p.ids) for p in products)
    width = max(capacity, longest) if capacity else longest
    places = _places([len(p.ids) for p in products], width, alone=capacity == 0)
    rows = 1 + max(row for row, _ in places)
    ids = np.full((rows, width), pad_id, np.int64)
    segment = np.full((rows, width), -1, np.int64)
    kinds = np.zeros((rows, width), np.int64)
    positions = np.zeros((3, rows, width), np.int64)
    visual: list[np.ndarray] = []
    last = np.empty(len(products), np.int64)
    for k, (product, (row, start)) in enumerate(zip(products, places, strict=True)):
        span = slice(start, start + len(product.ids))
        ids[row, span], kinds[row, span], segment[row, span] = product.ids, product.kinds, k
        positions[:, row, span] = product.positions()
        at = row * width + start
        visual.append(at + np.flatnonzero(np.asarray(product.kinds) == IMAGE))
        last[k] = at + len(product.ids) - 1
    return {
        "input_ids": torch.from_numpy(ids),
        "segment": torch.from_numpy(segment),
        "kinds": torch.from_numpy(kinds),
        "position_ids": torch.from_numpy(positions),
        "visual_at": torch.from_numpy(np.concatenate(visual)),
        "last": torch.from_numpy(last),
        "count": torch.tensor(len(products)),
    }


def _places(lengths: Sequence[int], width: int, *, alone: bool) -> list[tuple[int, int]]:
    """(row, start) of each product: longest first into the first of a few open rows with room."""
    if alone:
        return [(k, 0) for k in range(len(lengths))]
    places: list[tuple[int, int]] = [(0, 0)] * len(lengths)
    open_rows: list[list[int]] = []  # [row, used]
    rows = 0
    for k in sorted(range(len(lengths)), key=lambda k: -lengths[k]):
        for entry in open_rows:
            if entry[1] + lengths[k] <= width:
                break
        else:
            entry = [rows, 0]
            rows += 1
            open_rows.append(entry)
        places[k] = (entry[0], entry[1])
        entry[1] += lengths[k]
        # A bounded list keeps packing linear; nearly full rows are closed first.
        open_rows = [e for e in open_rows if e[1] < width][-16:]
    return places


def attention_mask(segment: Tensor, *, causal: bool, dtype: torch.dtype) -> Tensor:
    """Additive ``[R, 1, C, C]``: 0 where a token may look, a large negative number elsewhere."""
    allowed = segment[:, :, None] == segment[:, None, :]
    if causal:
        allowed = (
            allowed & torch.ones(allowed.shape[1:], dtype=torch.bool, device=segment.device).tril()
        )
    blocked = torch.zeros(allowed.shape, dtype=dtype, device=segment.device)
    return blocked.masked_fill(~allowed, torch.finfo(dtype).min)[:, None]
