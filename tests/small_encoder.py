"""An encoder of a few thousand weights, for the pictures of ``small_shop``."""

from __future__ import annotations

from moonshelf.encoder import FastConfig
from moonshelf.encoder.config import PictureConfig, StemConfig

FAST = FastConfig(
    vocabulary=300,
    width=16,
    dim=8,
    stem=StemConfig(width=4),
    pictures=PictureConfig(height=32, width=32),
)
