"""Readouts: from the last hidden states of a packed batch to one state a product.

The paper says: the mean of the last hidden states is the representation (methods.md 3.2, 4.3).
It leaves open: which tokens count. We chose: picture and title tokens, never padding or template
tokens. ``balanced`` is our arm against pooling imbalance (methods.md 10.3): picture tokens
outnumber words, so each modality is averaged first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from moonshelf.encoder.sequence import IMAGE, TEXT


def pool(hidden: Tensor, batch: dict[str, Tensor], readout: str) -> Tensor:
    """``[R, C, D]`` to ``[B, D]`` (float32).

    Args:
        readout: ``mean``, ``balanced`` (mean of the modality means), ``last`` or ``emb`` (the state
            at the product's last token, which is ``<|emb|>`` for ``emb``).
    """
    flat = hidden.reshape(-1, hidden.shape[-1])
    if readout in ("last", "emb"):
        return flat[batch["last"]].float()
    segment, kinds, count = (
        batch["segment"].flatten(),
        batch["kinds"].flatten(),
        int(batch["count"]),
    )
    if readout == "mean":
        return _segment_mean(flat, segment, kinds >= TEXT, count)[0]
    if readout == "balanced":
        words = (kinds >= TEXT) & (kinds != IMAGE)
        text, has_text = _segment_mean(flat, segment, words, count)
        image, has_image = _segment_mean(flat, segment, kinds == IMAGE, count)
        return (text + image) / (has_text + has_image)[:, None]
    raise ValueError(f"unknown readout {readout!r}")


def _segment_mean(flat: Tensor, segment: Tensor, keep: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean of the kept tokens of each product ``[B, D]`` (zero where none), 0/1 flags ``[B]``."""
    at = keep.nonzero(as_tuple=True)[0]
    owner = segment[at]
    total = torch.zeros(count, flat.shape[-1], device=flat.device)
    total = total.index_add(0, owner, flat[at].float())
    number = torch.zeros(count, device=flat.device).index_add(
        0, owner, torch.ones(len(at), device=flat.device)
    )
    return total / number.clamp(min=1.0)[:, None], (number > 0).float()
