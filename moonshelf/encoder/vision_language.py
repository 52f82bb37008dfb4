"""The product encoder of the MOON papers: picture -> ViT -> projector -> LLM <- title; readout.

    picture -> visual -> [V, D] -+
                                 +-> language model -> H -> readout -> head -> r in R^d, unit
    title   -> tokens -> [T, D] -+

The paper says (methods.md 3.2): all parts trainable, causal attention made bidirectional, last
layer mean-pooled. It leaves open: template tokens, how several pictures enter, the export width.
We chose: pictures first in display order, only picture and title tokens in the mean, an optional
linear head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moonshelf.catalog.marks import Mark, Marked
from moonshelf.catalog.product import Content
from moonshelf.encoder.base import Batch, Encoder, check_contents
from moonshelf.encoder.config import ExpertsConfig, VlmConfig
from moonshelf.encoder.experts import GuidedExperts, told, upcycle
from moonshelf.encoder.pictures import normalize, once_each, own_grid, patchify, to_canvas
from moonshelf.encoder.pooling import pool
from moonshelf.encoder.sequence import ATTRIBUTE, CATEGORY, TEXT, Tokens, attention_mask, pack
from moonshelf.encoder.text import TextTokenizer
from moonshelf.errors import CheckpointError, UsageError

_KINDS = {None: TEXT, Mark.CATEGORY: CATEGORY, Mark.ATTRIBUTE: ATTRIBUTE}


class VisionLanguageEncoder(Encoder):
    """A Qwen-VL backbone with a readout.

    Args:
        backbone: a ``Qwen3VLModel`` or ``Qwen2_5_VLModel``.
        mean, std: picture normalization per channel on the 0..1 scale.
    """

    config: VlmConfig
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        config: VlmConfig,
        backbone: nn.Module,
        tokenizer: TextTokenizer,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
    ) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.backbone: Any = backbone
        sizes: Any = backbone.config
        vision, width = sizes.vision_config, int(sizes.text_config.hidden_size)
        self.patch, self.merge = int(vision.patch_size), int(vision.spatial_merge_size)
        self.temporal = int(vision.temporal_patch_size)
        self._check_fit(backbone)
        self.head = nn.Linear(width, config.dim, bias=False) if config.dim else nn.Identity()
        self.dim = config.dim or width
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)
        self.picture_mean, self.picture_std = tuple(mean), tuple(std)
        self.pad = int(sizes.text_config.pad_token_id or 0)
        self._ids = {
            "image": tokenizer.id("<|image_pad|>"),
            "start": tokenizer.id("<|vision_start|>"),
            "end": tokenizer.id("<|vision_end|>"),
        }
        self._emb = tokenizer.id("<|emb|>") if config.readout == "emb" else None
        # Last of all that draws, so that the rest is what it would be without.
        self.experts = self._with_experts(config)
        if config.compile_layers:
            for layer in self.backbone.language_model.layers:
                layer.compile()

    def _check_fit(self, backbone: Any) -> None:
        """Canvas and vocabulary are those of the backbone, or an error says so before any use."""
        canvas, block = self.pictures, self.patch * self.merge
        if canvas.fixed and (canvas.height % block or canvas.width % block):
            raise UsageError(
                f"picture sides {(canvas.height, canvas.width)} are not multiples of {block}, "
                "the merged patch of this model",
                cure="change encoder.pictures, or set height = 0 and width = 0 (own grids)",
            )
        rows = backbone.get_input_embeddings().num_embeddings
        if len(self.tokenizer) > rows:
            raise CheckpointError(
                f"the tokenizer has {len(self.tokenizer)} tokens, the model {rows} embeddings",
                cure="use the tokenizer that belongs to the model",
            )

    # ---- CPU side ------------------------------------------------------------------------------

    def collate(self, contents: Sequence[Content]) -> Batch:
        check_contents(contents)
        shown = self.shown(contents)
        pictures, places, grids = self.shown_pictures(shown)
        products = [
            self._tokens(len(images), *words, grids)
            for images, words in zip(shown, self._words(contents), strict=True)
        ]
        return pictures | pack(products, self.config.pack, self.pad) | places

    def _words(self, contents: Sequence[Content]) -> list[tuple[list[int], list[int]]]:
        """Ids and kinds of the words of each content. The ids are the same with and without marks,
        which only an encoder with guided experts looks at."""
        limit, texts = self.config.max_text_tokens, [c.text or "" for c in contents]
        if self.config.experts.kind != "guided" or not any(c.marks for c in contents):
            return [(ids, [TEXT] * len(ids)) for ids in self.tokenizer.encode(texts, limit)]
        marked = [Marked(text, c.marks) for text, c in zip(texts, contents, strict=True)]
        found = self.tokenizer.encode_marked(marked, limit)
        return [(ids, [_KINDS[mark] for mark in marks]) for ids, marks in found]

    def upcycle(self, config: ExpertsConfig) -> None:
        """Gives an encoder without experts those of ``config``; its vectors stay what they were."""
        self.config = self.config.model_copy(update={"experts": config})
        self.experts = self._with_experts(self.config)

    def _with_experts(self, config: VlmConfig) -> dict[int, GuidedExperts]:
        found = upcycle(self.backbone.language_model, config.experts)
        if config.compile_layers:
            for layer in found.values():
                # How many tokens an expert gets is known only as it runs.
                layer.forward = torch.compiler.disable(layer.forward)  # pyright: ignore
        return found

    def shown_pictures(
        self, shown: Sequence[Sequence[Any]]
    ) -> tuple[Batch, Batch, Iterator[tuple[int, int]]]:
        """Tensors of the pictures of every product, each distinct one once; where each is shown,
        if one is shown twice; and the merged grid of each as it is shown."""
        distinct, places = once_each([p for images in shown for p in images])
        pictures, grids = self._picture_tensors(distinct)
        sizes = [(h // self.merge, w // self.merge) for h, w in grids]
        repeated = (
            {"visual_from": _token_rows(sizes, places)} if len(distinct) < len(places) else {}
        )
        return pictures, repeated, iter([sizes[place] for place in places])

    def add_pictures(self, tokens: Tokens, count: int, grids: Iterator[tuple[int, int]]) -> None:
        """Puts the next ``count`` pictures behind ``tokens``."""
        markers = (self._ids["start"], self._ids["end"]) if self.config.vision_markers else None
        for _ in range(count):
            tokens.add_picture(next(grids), self._ids["image"], markers)

    def _tokens(
        self, images: int, ids: list[int], kinds: list[int], grids: Iterator[tuple[int, int]]
    ) -> Tokens:
        tokens = Tokens()
        self.add_pictures(tokens, images, grids)
        tokens.add_text(ids, kinds)
        if self._emb is not None:
            tokens.add_control(self._emb)
        return tokens

    def _picture_tensors(self, pictures: list[Any]) -> tuple[Batch, list[tuple[int, int]]]:
        """Canvas: ``pixels uint8 [P, H, W, 3]``; own grids: ``patches [n, 3*t*p*p]``. Both with
        ``grid int64 [P, 3]`` (time, patch rows, patch columns)."""
        if not pictures:
            return {}, []
        factor = self.patch * self.merge
        if self.pictures.fixed:
            shape = (self.pictures.height // self.patch, self.pictures.width // self.patch)
            grids = [shape] * len(pictures)
            batch = {"pixels": to_canvas(pictures, self.pictures)}
        else:
            sized = [own_grid(p, self.pictures, factor) for p in pictures]
            grids = [(p.shape[0] // self.patch, p.shape[1] // self.patch) for p in sized]
            batch = {"patches": torch.cat([self._patches(p[None].cpu()) for p in sized])}
        batch["grid"] = torch.tensor([(1, h, w) for h, w in grids])
        return batch, grids

    def _patches(self, pixels: Tensor) -> Tensor:
        """What the vision tower takes: patches, or whole pictures where a stem replaces them."""
        ready = normalize(pixels, self.mean.to(pixels.device), self.std.to(pixels.device))
        if self.config.path is None and self.config.tiny.stem is not None:
            return ready
        return patchify(ready, self.patch, self.temporal, self.merge)

    # ---- tensor side ---------------------------------------------------------------------------

    def forward(self, batch: Batch) -> Tensor:
        hidden = self.hidden_states(batch)
        return F.normalize(self.head(pool(hidden, batch, self.config.readout)).float(), dim=-1)

    def parts(self, batch: Mapping[str, Tensor]) -> tuple[bool, ...]:
        return ("grid" in batch,)

    def filled(self, batch: Mapping[str, Tensor], wanted: Sequence[bool]) -> Batch:
        if self.parts(batch) == tuple(wanted):
            return dict(batch)
        block = self.patch * self.merge
        height, width = self.pictures.height or block, self.pictures.width or block
        black = np.zeros((height, width, 3), np.uint8)
        shown, _ = self._picture_tensors([black])
        shown["visual_from"] = torch.empty(0, dtype=torch.long)  # none of its tokens is in a row
        return dict(batch) | {k: v.to(batch["segment"].device) for k, v in shown.items()}

    def causal_states(self, batch: Batch) -> Tensor:
        """Last hidden states ``[R, C, D]``, each token looking back alone."""
        return self.hidden_states(batch, causal=True)

    def hidden_states(
        self, batch: Batch, *, causal: bool | None = None, cache: Any = None
    ) -> Tensor:
        """Last hidden states ``[R, C, D]`` of the packed rows.

        Args:
            causal: whether a token looks back alone; by default as ``config.attention`` says.
            cache: of the transformers library, filled with keys and values.
        """
        language = self.backbone.language_model
        embeds = language.embed_tokens(batch["input_ids"])
        extra: dict[str, Any] = {}
        if "grid" in batch:
            features, levels = self.visual_tokens(batch)
            if "visual_from" in batch:
                features, *levels = (f[batch["visual_from"]] for f in (features, *levels))
            order = torch.argsort(batch["visual_at"])
            at = batch["visual_at"][order]
            flat = embeds.reshape(-1, embeds.shape[-1]).index_copy(
                0, at, features[order].to(embeds.dtype)
            )
            embeds = flat.reshape(embeds.shape)
            if levels:
                mask = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
                mask[at] = True
                extra["visual_pos_masks"] = mask.reshape(batch["input_ids"].shape)
                extra["deepstack_visual_embeds"] = [level[order] for level in levels]
        if causal is None:
            causal = self.config.attention == "causal"
        mask = attention_mask(batch["segment"], causal=causal, dtype=embeds.dtype)
        with told(list(self.experts.values()), batch["kinds"]):
            return language(
                inputs_embeds=embeds,
                attention_mask=mask,
                position_ids=batch["position_ids"],
                past_key_values=cache,
                use_cache=cache is not None,
                **extra,
            ).last_hidden_state

    def next_states(self, token: Tensor, place: Tensor, seen: Tensor, cache: Any) -> Tensor:
        """States ``[R, D]`` of one more token a row, after what ``cache`` holds.

        Args:
            token: its id [R]; place: its position [3, R]; seen: bool [R, C], where the row may
            look, its own new place last.
        """
        language = self.backbone.language_model
        embeds = language.embed_tokens(token[:, None])
        blocked = torch.zeros(seen.shape, dtype=embeds.dtype, device=seen.device)
        blocked = blocked.masked_fill(~seen, torch.finfo(embeds.dtype).min)
        return language(
            inputs_embeds=embeds,
            attention_mask=blocked[:, None, None],
            position_ids=place[..., None],
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, 0]

    def visual_tokens(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Merged visual tokens ``[n, D]`` in picture order, and the DeepStack levels of the same
        shape (Qwen3-VL; empty elsewhere)."""
        patches = batch["patches"] if "patches" in batch else self._patches(batch["pixels"])
        grid = batch["grid"]
        out = self.backbone.visual(patches, grid_thw=grid, **_shared_positions(grid, self.merge))
        return out.pooler_output, list(getattr(out, "deepstack_features", None) or [])

    def _describe(self) -> dict[str, object]:
        config = self.backbone.config.to_dict()
        return {
            "backbone": {k: v for k, v in config.items() if k != "_name_or_path"},
            "picture_mean": list(self.picture_mean),
            "picture_std": list(self.picture_std),
        }


def _shared_positions(grid: Tensor, merge: int) -> dict[str, Tensor]:
    """Rotary places of one picture repeated for all, where all have its grid: the library makes
    them picture by picture, 20 ms for 256."""
    if len(grid) < 2 or bool((grid != grid[0]).any()):
        return {}
    from transformers.vision_utils import get_vision_position_ids

    return {"position_ids": get_vision_position_ids(grid[:1], merge).repeat(len(grid), 1)}


def _token_rows(sizes: Sequence[tuple[int, int]], places: Sequence[int]) -> Tensor:
    """Which merged visual tokens each shown picture has, where pictures are shown repeatedly."""
    counts = [h * w for h, w in sizes]
    starts = [0, *accumulate(counts)]
    return torch.cat([torch.arange(starts[p], starts[p] + counts[p]) for p in places])
