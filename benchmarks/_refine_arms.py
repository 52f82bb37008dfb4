"""The arms of ``negatives``: stages of one encoder on the drawn shop, each with one thing more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moonshelf.training.contents import ContentSource
    from moonshelf.training.stages.align import AlignStage

ARMS = ("queue", "circle", "prefixes", "hard", "queue beside hard")
QUEUE = 4096
WIDTHS = (8, 16, 32, 64, 128, 192, 256)


def base(arm: str) -> str:
    """What an arm is compared with: the same without its queue, or the plain step."""
    return "hard" if arm == "queue beside hard" else "plain"


def stages(catalog: Path, wanted: Sequence[str]) -> dict[str, AlignStage]:
    """The plain step, the arms that are ``wanted`` and what they are compared with, over one
    encoder."""
    import torch

    from moonshelf.training.recipe import load_recipe
    from moonshelf.training.refine_settings import RefineConfig
    from moonshelf.training.settings import AlignConfig
    from moonshelf.training.stages.align import AlignStage
    from moonshelf.training.stages.refine import RefineStage

    recipe = load_recipe("tiny")
    source, encoder = opened(catalog)
    settings = recipe.stages["align"].model_dump() | {"minutes": None, "steps": 1}
    settings.pop("kind")
    bare = settings | {"loss": "info_nce", "hard_negatives": 0, "queue": 0}
    # One queue for both views that items of this recipe have: each finds QUEUE vectors of its own.
    arms = {
        "bare": bare,
        "queue": bare | {"queue": 2 * QUEUE},
        "circle": bare | {"loss": "circle"},
        "prefixes": bare | {"matryoshka": WIDTHS[:-1]},
        "hard": bare | {"hard_negatives": 1},
        "queue beside hard": bare | {"queue": 2 * QUEUE, "hard_negatives": 1},
    }
    given: dict[str, Any] = {"seed": 0, "device": torch.device("cpu")}
    found: dict[str, AlignStage] = {
        "plain": AlignStage("plain", AlignConfig(**settings), encoder, source, **given)
    }
    needed = {*wanted, *map(base, wanted)}
    for name, arm in arms.items():
        if name in needed:
            found[name] = RefineStage(name, RefineConfig(**arm), encoder, source, **given)
    for stage in found.values():
        stage.plan = found["plain"].plan
    return found


def opened(catalog: Path) -> tuple[ContentSource, Any]:
    """Contents of the shop and a fresh encoder of the recipe."""
    import numpy as np

    from moonshelf.catalog.pixels import PixelCache
    from moonshelf.catalog.store import Catalog
    from moonshelf.encoder import build_encoder
    from moonshelf.training.contents import ContentSource
    from moonshelf.training.recipe import load_recipe

    recipe = load_recipe("tiny")
    shop = Catalog.open(catalog)
    canvas = recipe.encoder.pictures
    source = ContentSource(shop, PixelCache.build(shop, canvas.height, canvas.width))
    encoder = build_encoder(recipe.encoder, source.texts(np.arange(len(shop))), seed=0).train()
    return source, encoder


def fill(stage: AlignStage, number: int) -> None:
    """QUEUE vectors of each view that items of the recipe have, as if a step before had left them:
    so every step pays the whole price. Nothing where the arm has no queue."""
    import torch
    from torch.nn.functional import normalize

    from moonshelf.catalog.product import View
    from moonshelf.training.negatives import COLUMNS, Queue

    queue = stage.modules().get("queue")
    if queue is None:
        return
    assert isinstance(queue, Queue)
    views = [k for k, view in enumerate(View) if view in (View.IMAGE, View.BOTH)]
    count = len(views) * QUEUE
    queue.vectors[:count] = normalize(torch.randn(count, queue.vectors.shape[1]))
    rows = torch.arange(count) + len(stage.groups)  # of no product of the batch
    queue.labels[:count] = rows[:, None].expand(-1, COLUMNS)
    queue.labels[:count, -1] = torch.tensor(views).repeat(QUEUE)
    queue.entered[:count], queue.entered[count:] = number - 1, -1
    if number == 0:
        queue.entered[:] = -1


def take(stage: AlignStage, number: int, optimizer: Any) -> None:
    """One whole step, prepared in this thread."""
    import torch

    from moonshelf.training.gradcache import cached_backward, passes

    work = stage.work(number)
    batches = (make() for _ in range(passes(work.counts)) for side in work.sides for make in side)
    optimizer.zero_grad()
    cached_backward(stage.embed, batches, work.counts, lambda *v: stage.loss(work, *v))
    torch.nn.utils.clip_grad_norm_(optimizer.parameters, 1.0)
    optimizer.step(1e-3)  # hardly moves, costs the same
