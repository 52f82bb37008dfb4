"""Training-time changes to texts and pictures; every switch is off unless a recipe turns it on.

Each row of a step draws from its own numbers, so a mini-batch looks the same however a batch is cut
and however often it is collated (GradCache collates twice). Only train rows ever pass through here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from moonshelf.catalog.marks import Marked, joined
from moonshelf.training.settings import AugmentConfig

MOST_VALUES = 3


def augment_text(
    title: Marked, description: str, values: Sequence[Marked], config: AugmentConfig, seed: int
) -> Marked:
    """``title``, a stretch of ``description``, a few ``values``, or richer text: all of them, one
    after the other. With words left out.

    Args:
        values: of the product's attributes and its category.
        seed: of this row in this step.
    """
    draw = random.Random(seed)
    text = title
    if draw.random() < config.description and description.strip():
        text = Marked(_stretch(description, config.description_words, draw))
    if config.attributes > 0 and values and draw.random() < config.attributes:
        count = min(len(values), draw.randint(1, MOST_VALUES))
        text = joined(draw.sample(list(values), count), " ")
    if config.richer > 0 and draw.random() < config.richer:
        story = Marked(_stretch(description, config.description_words, draw))
        text = joined([part for part in (title, *values, story) if part.text], " ")
    if config.word_drop > 0:
        words = text.words()
        kept = [word for word in words if draw.random() >= config.word_drop]
        if words:
            text = joined(kept or [draw.choice(words)], " ")
    return text


def _stretch(text: str, count: int, draw: random.Random) -> str:
    """``count`` words of ``text`` from a random place on."""
    words = text.split()
    start = draw.randrange(max(1, len(words) - count + 1))
    return " ".join(words[start : start + count])


def augment_pictures(pictures: np.ndarray, config: AugmentConfig, draws: np.ndarray) -> np.ndarray:
    """Random zoom, flip and color change.

    Args:
        pictures: uint8 [b, H, W, 3].
        draws: uniform numbers in [0, 1), [b, 8], one row a picture.

    Returns:
        uint8 [b, H, W, 3].
    """
    if not config.changes_pictures or not len(pictures):
        return pictures
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    u = torch.from_numpy(draws[:, :8].astype(np.float32))
    if config.flip and not config.crop:
        x = torch.where((u[:, 0] < 0.5)[:, None, None, None], x.flip(-1), x)
    elif config.crop:
        x = _zoom(x, config, u)
    if config.jitter:
        x = _jitter(x, config.jitter, u[:, 4:7])
    return x.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).numpy()


def _zoom(x: torch.Tensor, config: AugmentConfig, u: torch.Tensor) -> torch.Tensor:
    scale = 1 - config.crop * u[:, 1]
    sign = torch.where((u[:, 0] < 0.5) & config.flip, -1.0, 1.0)
    matrix = torch.zeros(len(x), 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = scale * sign, scale
    matrix[:, 0, 2], matrix[:, 1, 2] = (
        (1 - scale) * (2 * u[:, 2] - 1),
        (1 - scale) * (2 * u[:, 3] - 1),
    )
    grid = functional.affine_grid(matrix, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _jitter(x: torch.Tensor, strength: float, u: torch.Tensor) -> torch.Tensor:
    brightness, contrast, saturation = (1 + strength * (2 * u - 1)).T[:, :, None, None, None]
    gray = x.mean(1, keepdim=True)
    x = gray + saturation * (x - gray)
    mean = x.mean((1, 2, 3), keepdim=True)
    return (mean + contrast * (x - mean)) * brightness
