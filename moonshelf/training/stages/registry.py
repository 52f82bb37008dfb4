"""Which class trains which kind of stage, and what the trainer asks of such a class.

The settings of each kind stand in ``recipe.StageConfig``, which is read without torch; a new kind
is one line there and one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from moonshelf.catalog.batches import BatchPlan
from moonshelf.encoder.base import Encoder
from moonshelf.progress import Progress
from moonshelf.training.ahead import Stage
from moonshelf.training.contents import ContentSource
from moonshelf.training.stages.align import AlignStage
from moonshelf.training.stages.pretrain import PretrainStage
from moonshelf.training.stages.refine import RefineStage
from moonshelf.training.validation import Measures


class RecipeStage(Stage, Protocol):
    """A stage that a recipe can name. ``plan`` says what each step is drawn from; ``dropped`` how
    many of a term's pairs were left out, ``without_pairs`` why a term gets no steps."""

    config: Any
    encoder: Encoder
    source: ContentSource
    plan: BatchPlan
    dropped: dict[str, int]
    without_pairs: dict[str, str]

    def prepare(self, run: Path, *, device: torch.device, bf16: bool, progress: Progress) -> None:
        """What the first step needs and the recipe does not hold, kept under ``run``; every
        process calls it, the leading one first and alone."""
        ...

    def validator(self, *, seed: int, bf16: bool) -> Measures:
        """Gives figures of the val split.

        Raises:
            DataError: the split has nothing to measure on.
        """
        ...


STAGES: Mapping[str, Callable[..., RecipeStage]] = {
    "align": AlignStage,
    "pretrain": PretrainStage,
    "refine": RefineStage,
}


def build_stage(
    name: str,
    config: Any,
    encoder: Encoder,
    source: ContentSource,
    *,
    seed: int,
    device: torch.device,
    processes: int = 1,
) -> RecipeStage:
    """The stage that a recipe calls ``name``, of the kind that its settings say."""
    return STAGES[config.kind](
        name, config, encoder, source, seed=seed, device=device, processes=processes
    )
