"""Settings of stage ``refine``. Free of torch: a recipe is read before anything heavy loads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from moonshelf.training.settings import AlignConfig


class RefineConfig(AlignConfig):
    """Every switch of stage ``refine``: those of ``align``, and the further negatives."""

    kind: Literal["refine"] = "refine"  # pyright: ignore[reportIncompatibleVariableOverride]
    loss: Literal["circle", "info_nce"] = "circle"
    circle_scale: float = Field(default=64.0, gt=0, le=4096)
    """circle: g, in the place of 1 / temperature."""
    circle_margin: float = Field(default=0.25, ge=0, le=1)
    """circle: m; positives are to come above 1 - m, negatives to stay below m."""
    hard_negatives: int = Field(default=1, ge=0, le=8)
    """Items of the positive's own leaf category that each pair brings along; 0 none."""
    queue: int | None = Field(default=None, ge=0)
    """Item vectors of earlier steps that are negatives too; default: four batches; 0 none."""

    @property
    def queued(self) -> int:
        """How many vectors of earlier steps are kept."""
        return 4 * self.batch if self.queue is None else self.queue
