"""Crops that know nothing of the product, to tell what knowing it is worth (methods.md 4.4).

Each is as large as the foreground's crop of the same picture and is missing where that is missing,
so an encoder is fed as many tokens and as much of the picture: only the place differs.
"""

from __future__ import annotations

import hashlib

import numpy as np

from moonshelf.catalog.crops.box import Box, Looked
from moonshelf.catalog.crops.foreground import Foreground


class CenterCrop:
    """The foreground's crop moved to the middle of the picture."""

    name = "center"
    version = f"1, foreground {Foreground.version}"
    side = Foreground.side

    def detect(self, picture: np.ndarray, title: str = "") -> Looked:
        return _moved(Foreground().detect(picture, title), 0.5, 0.5)


class RandomCrop:
    """The foreground's crop moved anywhere, all places equally likely; the draw is seeded by the
    picture's pixels."""

    name = "random"
    version = f"1, foreground {Foreground.version}"
    side = Foreground.side

    def detect(self, picture: np.ndarray, title: str = "") -> Looked:
        digest = hashlib.blake2b(np.ascontiguousarray(picture).tobytes(), digest_size=8).digest()
        x, y = np.random.default_rng(int.from_bytes(digest, "little")).random(2)
        return _moved(Foreground().detect(picture, title), float(x), float(y))


def _moved(found: Looked, x: float, y: float) -> Looked:
    """A box of the same size elsewhere; ``x`` and ``y`` in [0, 1] go over all places for it."""
    if not isinstance(found, Box):
        return found
    left, top = x * (1 - found.width), y * (1 - found.height)
    return Box(left, top, min(1.0, left + found.width), min(1.0, top + found.height))
