"""Every objective in float64 on a small shop: test_parallel runs it alone, on several processes
and with weights in shards, and interrupts it on one number of processes to resume on another.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from moonshelf.catalog.pixels import PixelCache
from moonshelf.catalog.product import Product, View
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.encoder import FastConfig, VlmConfig, build_encoder
from moonshelf.encoder.base import Batch
from moonshelf.encoder.config import ExpertsConfig
from moonshelf.encoder.fast import FastEncoder
from moonshelf.encoder.language import END
from moonshelf.encoder.pictures import normalize
from moonshelf.encoder.vision_language import VisionLanguageEncoder
from moonshelf.training.checkpoint import LoopState, newest_state, save_state
from moonshelf.training.contents import ContentSource
from moonshelf.training.loop import run_loop
from moonshelf.training.optim import build_optimizer, embedding_names
from moonshelf.training.parallel import Group
from moonshelf.training.precision import Precision
from moonshelf.training.pretrain_settings import PretrainConfig
from moonshelf.training.recipe import StageConfig
from moonshelf.training.refine_settings import RefineConfig
from moonshelf.training.schedule import Schedule
from moonshelf.training.settings import (
    AlignConfig,
    DistillConfig,
    LoopConfig,
    OptimizerConfig,
    PairConfig,
    ScheduleConfig,
    TermConfig,
)
from moonshelf.training.sharding import Shards, whole
from moonshelf.training.stages.align import AlignStage
from moonshelf.training.stages.registry import RecipeStage, build_stage
from tests.small_shop import COLORS, SHAPES, picture

CPU = torch.device("cpu")
Arrays = dict[str, np.ndarray]
STEPS = 3
TEXT, PIC, MM = View.TEXT, View.IMAGE, View.BOTH
FAST = FastConfig(
    vocabulary=300,
    width=16,
    dim=16,
    stem={"width": 8, "blocks": [1, 1]},
    pictures={"height": 32, "width": 32},
)
VLM = VlmConfig(
    dim=0,
    pictures={"height": 32, "width": 32},
    tiny={
        "vocabulary": 300,
        "width": 32,
        "layers": 2,
        "heads": 2,
        "kv_heads": 1,
        "feed_forward": 48,
        "patch": 8,
        "vision_width": 16,
        "vision_depth": 1,
        "vision_heads": 2,
        "stem": {"width": 8, "blocks": [1, 1, 1]},
        "zero_init_residual": False,
    },
)
EXPERTS = VLM.model_copy(
    update={"experts": ExpertsConfig(kind="guided", general=6, top_k=1, layers=(1,))}
)


class DoubleFast(FastEncoder):
    """The fast encoder in float64 throughout, so that sums may differ in their order only."""

    def forward(self, batch: Batch) -> Tensor:
        count = int(batch["count"])
        total = torch.zeros(count, self.dim, dtype=torch.float64)
        if len(batch["ids"]):
            words = _mean(self.embed_tokens(batch["ids"]), batch["owner"], count)
            has = torch.bincount(batch["owner"], minlength=count) > 0
            total = total + F.normalize(self.text_head(words), dim=-1) * has[:, None]
        if "pixels" in batch:
            pixels = normalize(batch["pixels"], self.mean, self.std).double()
            states = self.norm(self.trunk(pixels).mean(dim=(2, 3)))
            seen = _mean(states[batch["picture"]], batch["shows"], count)
            has = torch.bincount(batch["shows"], minlength=count) > 0
            total = total + F.normalize(self.image_head(seen), dim=-1) * has[:, None]
        return F.normalize(total, dim=-1)


class DoubleVlm(VisionLanguageEncoder):
    """The same of the multimodal LLM, but for what its classes do in float32 themselves."""

    def _patches(self, pixels: Tensor) -> Tensor:
        return super()._patches(pixels).double()


def _mean(values: Tensor, owner: Tensor, count: int) -> Tensor:
    total = torch.zeros(count, values.shape[-1], dtype=values.dtype)
    number = torch.bincount(owner, minlength=count).clamp(min=1)
    return total.index_add(0, owner, values) / number[:, None]


def write_lacking_shop(path: Path) -> None:
    """Products of two a group: of three one has no picture and of five one no title."""
    rng = np.random.default_rng(0)
    with CatalogWriter(path) as writer:
        for number in range(48):
            color = list(COLORS)[number // 2 % len(COLORS)]
            shape = SHAPES[number // 4 % len(SHAPES)]
            lacks = number % 3 == 0
            writer.add_product(
                Product(
                    id=f"p{number}",
                    title="" if number % 5 == 1 and not lacks else f"{color} {shape} no {number}",
                    images=() if lacks else (picture(color, shape, "large", rng),),
                    description=f"a {shape} in {color}",
                    attributes={"color": (color,), "shape": (shape,)},
                    group=f"g{number // 2}",
                    category=("shapes", shape),
                    split="train",
                )
            )
        writer.commit()


@functools.cache
def source_of(shop: Path) -> ContentSource:
    catalog = Catalog.open(shop)
    return ContentSource(catalog, PixelCache.build(catalog, 32, 32))


def stage_of(case: str, group: Group, shop: Path, **given: Any) -> RecipeStage:
    """The stage of an objective, its weights in float64."""
    shape, settings = OBJECTIVES[case]
    config: StageConfig = settings.model_copy(update=given)
    source = source_of(shop)
    texts = source.texts(np.arange(len(source.catalog)))
    if shape is FAST:
        encoder = build_encoder(FAST, texts, seed=1)
        encoder.__class__ = DoubleFast
    else:
        encoder = build_encoder(shape, texts, seed=1, control=(END,))
        encoder.__class__ = DoubleVlm
    stage = build_stage(
        case,
        config,
        encoder.double(),
        source,
        seed=7,
        device=CPU,
        processes=group.size,
    )
    for module in stage.modules().values():
        module.double()
    if isinstance(stage, AlignStage) and stage.config.distill is not None:
        teacher = np.random.default_rng(0).normal(size=(len(source), 6)).astype(np.float16)
        stage.teacher = dict.fromkeys((TEXT, PIC, MM), teacher)
    return stage


def steps(
    case: str,
    group: Group,
    shop: Path,
    *,
    shard: bool = False,
    resume: Path | None = None,
    save: Path | None = None,
    **given: Any,
) -> Arrays:
    """Losses and gradients of three steps, or of those that the state in ``resume`` leaves to do;
    weights and queue after the last. ``save``: where to leave the state before the last."""
    stage = stage_of(case, group, shop, **given)
    modules = stage.modules()
    shards = Shards(stage.encoder, group) if shard and group.size > 1 else None
    named = [(f"{k}.{n}", p) for k, m in modules.items() for n, p in m.named_parameters()]
    tables = {f"encoder.{n}" for n in embedding_names(stage.encoder)}
    optimizer = build_optimizer(
        named, OptimizerConfig(), embeddings=tables, dtype=torch.float64, processes=group
    )
    state = LoopState(case.replace(" ", "-"))
    if resume is not None:
        saved, _ = newest_state(resume)
        assert saved is not None
        saved.restore(modules, optimizer, "", group)
        state = saved.state
    losses: list[float] = []
    found: Arrays = {}

    def note(state: LoopState, line: Mapping[str, Any] | None, last: bool) -> None:
        losses.append((line or {})["loss"])
        for name, p in named:
            if p.grad is not None:
                found[f"gradient/{state.step}/{name}"] = whole(p.grad, group).numpy().copy()
        if save is not None and state.step == STEPS - 1:
            save_state(save, state, modules, optimizer, "", group)

    run_loop(
        stage,
        optimizer,
        Schedule(ScheduleConfig(steps=STEPS)),
        LoopConfig(log_every=1),
        state=state,
        precision=Precision(torch.float32, None, "test"),
        device=CPU,
        hooks=[note],
        group=group,
        shards=shards,
    )
    found |= {f"weight/{name}": whole(p, group).numpy() for name, p in named}
    queue = modules.get("queue")
    if queue is not None:
        found |= {f"queue/{name}": b.numpy() for name, b in queue.named_buffers()}
    return {**found, "loss": np.array(losses)}


_TI = {"terms": {"title-picture": TermConfig(query=TEXT, item=PIC)}, "steps": 9, "batch": 16}
_MORE = {
    "more": TermConfig(
        query=TEXT,
        item=PIC,
        together={
            "whole": PairConfig(query=PIC, item=MM),
            "story": PairConfig(query=TEXT, item=MM, query_description=1.0),
        },
    )
}
_MM = {"variant": TermConfig(source="variant", query=MM, item=MM)}
OBJECTIVES: dict[str, tuple[FastConfig | VlmConfig, Any]] = {
    "InfoNCE": (FAST, AlignConfig(**_TI)),
    "terms together": (FAST, AlignConfig(**{**_TI, "terms": _MORE})),
    "Matryoshka": (FAST, AlignConfig(**_TI, matryoshka=(4, 8))),
    "distillation": (FAST, AlignConfig(**_TI, distill=DistillConfig(teacher="x"))),
    "circle": (FAST, RefineConfig(**_TI, queue=0, hard_negatives=0)),
    "queue": (FAST, RefineConfig(**_TI, loss="info_nce", queue=40, hard_negatives=0)),
    "hard negatives": (FAST, RefineConfig(**_TI, queue=20, hard_negatives=2)),
    "answers": (VLM, PretrainConfig(steps=9, batch=16)),
    "some lack a picture or a title": (FAST, AlignConfig(**{**_TI, "terms": _MM})),
    "experts": (EXPERTS, AlignConfig(**{**_TI, "terms": _MM})),
}
SHARDED = ("uneven", "mini-batches")
RESUMED = ("InfoNCE", "hard negatives", "answers")
"""One of each kind of stage."""
CUTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "uneven": {"batch": 13},
    "mini-batches": {"batch": 13, "mini_batch": 3},
}


def objectives(group: Group, shop: Path) -> dict[str, Arrays]:
    """Every objective, however its batch is cut; in shards too, with one pass a step and two."""
    found = {}
    for case in OBJECTIVES:
        for cutting, given in CUTS.items():
            found[f"whole/{case}/{cutting}"] = steps(case, group, shop, **given)
            if cutting in SHARDED:
                found[f"shards/{case}/{cutting}"] = steps(case, group, shop, shard=True, **given)
    return found


def interrupted(group: Group, shop: Path, states: Path) -> dict[str, Arrays]:
    """Leaves states behind, out of shards; two processes go on from those of one and of three."""
    found = {}
    for case in RESUMED:
        mini, place = CUTS["mini-batches"], states / case
        steps(case, group, shop, shard=True, save=place / str(group.size), **mini)
        if group.size == 2:
            for other, shard in ((1, True), (3, False)):
                given = {"shard": shard, "resume": place / str(other), **mini}
                found[f"resumed/{case}/{other}"] = steps(case, group, shop, **given)
    return found
