"""The fast dual encoder: convolutions for pictures, a bag of words for titles, one space.

The control arm of every table, a teacher for distillation, and the quick start. Nothing of it is
from the papers; its parts are those that learn fastest at this size (docs/log.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moonshelf.catalog.product import Content
from moonshelf.encoder.base import Batch, Encoder, check_contents
from moonshelf.encoder.config import FastConfig
from moonshelf.encoder.pictures import normalize, once_each, to_canvas
from moonshelf.encoder.stem import ConvTrunk
from moonshelf.encoder.text import TextTokenizer


class FastEncoder(Encoder):
    """One vector a modality; both together are their normalized sum."""

    config: FastConfig
    mean: Tensor
    std: Tensor

    def __init__(self, config: FastConfig, tokenizer: TextTokenizer) -> None:
        super().__init__()
        self.config, self.tokenizer, self.dim = config, tokenizer, config.dim
        self.embed_tokens = nn.Embedding(len(tokenizer), config.width)
        nn.init.normal_(self.embed_tokens.weight, std=0.5)
        self.text_head = nn.Linear(config.width, config.dim, bias=False)
        self.trunk = ConvTrunk(config.stem)
        self.norm = nn.LayerNorm(self.trunk.out_channels)
        self.image_head = nn.Linear(self.trunk.out_channels, config.dim, bias=False)
        self.register_buffer("mean", torch.tensor([0.5, 0.5, 0.5]), persistent=False)
        self.register_buffer("std", torch.tensor([0.5, 0.5, 0.5]), persistent=False)

    def collate(self, contents: Sequence[Content]) -> Batch:
        """``ids [n]`` and ``owner [n]`` (words and whose they are), ``pixels [P, H, W, 3]``
        (distinct pictures), ``picture [n]`` and ``shows [n]`` (which is shown, and by whom), and
        ``count`` (B)."""
        check_contents(contents)
        texts = self.tokenizer.encode([c.text or "" for c in contents], self.config.max_text_tokens)
        shown = self.shown(contents)
        batch = {
            "ids": torch.tensor([i for ids in texts for i in ids], dtype=torch.long),
            "owner": torch.tensor(
                [k for k, ids in enumerate(texts) for _ in ids], dtype=torch.long
            ),
            "shows": torch.tensor([k for k, im in enumerate(shown) for _ in im], dtype=torch.long),
            "count": torch.tensor(len(contents)),
        }
        distinct, places = once_each([p for images in shown for p in images])
        if distinct:
            batch["pixels"] = to_canvas(distinct, self.pictures)
            batch["picture"] = torch.tensor(places)
        return batch

    def forward(self, batch: Batch) -> Tensor:
        count = int(batch["count"])
        total = torch.zeros(count, self.dim, device=batch["owner"].device)
        if len(batch["ids"]):
            words = _mean_by_owner(self.embed_tokens(batch["ids"]), batch["owner"], count)
            has = torch.bincount(batch["owner"], minlength=count) > 0
            total = total + _unit(self.text_head(words)) * has[:, None]
        if "pixels" in batch:
            pixels = normalize(batch["pixels"], self.mean, self.std)
            states = self.norm(self.trunk(pixels).mean(dim=(2, 3)).float())
            seen = _mean_by_owner(states[batch["picture"]], batch["shows"], count)
            has = torch.bincount(batch["shows"], minlength=count) > 0
            total = total + _unit(self.image_head(seen)) * has[:, None]
        return _unit(total)

    def parts(self, batch: Mapping[str, Tensor]) -> tuple[bool, ...]:
        return len(batch["ids"]) > 0, "pixels" in batch

    def filled(self, batch: Mapping[str, Tensor], wanted: Sequence[bool]) -> Batch:
        found = dict(batch)
        words, pictures = (w and not h for w, h in zip(wanted, self.parts(batch), strict=True))
        device = batch["owner"].device
        if words:  # one more row, of one word
            found["ids"], found["owner"] = batch["owner"].new_zeros(1), batch["count"].reshape(1)
            found["count"] = batch["count"] + 1
        if pictures:
            shape = (1, self.pictures.height, self.pictures.width, 3)
            found["pixels"] = torch.zeros(shape, dtype=torch.uint8, device=device)
            found["picture"] = torch.empty(0, dtype=torch.long, device=device)
        return found


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x.float(), dim=-1)


def _mean_by_owner(values: Tensor, owner: Tensor, count: int) -> Tensor:
    total = torch.zeros(count, values.shape[-1], device=values.device)
    number = torch.bincount(owner, minlength=count).clamp(min=1)
    return total.index_add(0, owner, values.float()) / number[:, None]
