"""The embedded detector: what stands out from its surroundings by color. Needs no weights.

Two kinds of pictures, two ways, both on a small copy of the picture:

* a plain ground (most of the border has one color, evenly lit or not, as in a studio): the product
  is what has another color, its loose parts together, specks left out;
* anything else (a shelf, a hand, a street): the patch whose colors are those of the middle rather
  than of the rim, by shares of color clusters.

GrabCut (Rother et al. 2004) was tried for the second kind: at this size its smoothness cuts away
nearly everything (no box in 236 to 275 of 300 photos of a grocery). It knows colors, not products:
of a shirt on a model it finds the model. That is what the grounding detector is for.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from moonshelf.catalog.crops.box import NO_BOX, Box, Looked, Missing, shown
from moonshelf.errors import UsageError

_LEAST_SIDE = 8
_SEED = 2026

# A plain ground. Distances are in CIE Lab with 0..255 for each channel.
PLAIN_SHARE = 0.6  # of the border that has the color of the ground; a model stands on the rest
PLAIN_DISTANCE = 12.0  # noise and soft shadows are nearer to the ground than this
UNEVEN = 30.0  # light on a studio's ground differs by less
SPECK = 0.04  # of the largest part: smaller ones are crumbs, watermarks, noise

# Any other ground. Lengths are shares of a side; chosen by eye on 40 photos of a grocery.
MIDDLE = 0.3  # radius within which the product is looked for first
RIM = 0.06  # as wide is what counts as surroundings
COLORS = 16
SURE = 0.62  # how much likelier in the middle than at the rim: 0.5 is undecided
FALL = 0.6  # of that belief for each side's length away from the middle
SMOOTH = 1.2  # pixels, sigma
BRIDGE = 5  # pixels: narrower links between two things are cut


class Foreground:
    """Separates figure and ground by color. Deterministic: the same pixels, the same box."""

    name = "foreground"
    version = "1"
    side = 64

    def detect(self, picture: np.ndarray, title: str = "") -> Looked:
        """The crop of ``uint8 [H, W, 3]``; the title is not read.

        Raises:
            UsageError: OpenCV is not installed.
        """
        if min(picture.shape[:2]) < _LEAST_SIDE:
            return Missing(NO_BOX)
        mask = _plain_figure(picture)
        if mask is None:
            mask = _middle_figure(picture)
        found = _box(mask)
        return Missing(NO_BOX) if found is None else shown(found)


@functools.cache
def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise UsageError(
            "finding the product in a picture needs OpenCV", cure="pip install 'moonshelf[crop]'"
        ) from None
    return cv2


def _plain_figure(picture: np.ndarray) -> np.ndarray | None:
    """bool [H, W] of what is not ground; None where the ground is not plain."""
    cv2 = _opencv()
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    rim = np.zeros(lab.shape[:2], bool)
    rim[[0, -1]] = rim[:, [0, -1]] = True
    away = np.linalg.norm(lab - _ground(lab, rim), axis=2)
    if (away[rim] <= PLAIN_DISTANCE).mean() < PLAIN_SHARE:
        return None
    figure = away > PLAIN_DISTANCE
    # Thin things (a chain, a strap) fall to pieces: they are joined before pieces are judged.
    joined = cv2.dilate(figure.astype(np.uint8), np.ones((3, 3), np.uint8))
    _, parts = cv2.connectedComponents(joined, connectivity=8)
    sizes = np.bincount(parts[figure], minlength=1)
    return np.isin(parts, np.flatnonzero(sizes >= max(2.0, SPECK * sizes.max()))) & figure


def _ground(lab: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """float32 [H, W, 3]: the ground behind everything, as what lies at the rim goes on: light falls
    off over it in each direction (a parabola), other things at the rim are left out."""
    height, width = rim.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shape = np.stack([np.ones_like(x), x, y, x * x, y * y], axis=-1).astype(np.float32)
    usual = np.median(lab[rim], axis=0)
    kept = rim & (np.linalg.norm(lab - usual, axis=2) <= UNEVEN)
    fitted, *_ = np.linalg.lstsq(shape[kept], lab[kept], rcond=None)
    return shape @ fitted.astype(np.float32)


def _middle_figure(picture: np.ndarray) -> np.ndarray:
    """bool [H, W] of the one patch whose colors are those of the middle rather than of the rim."""
    cv2 = _opencv()
    height, width = picture.shape[:2]
    lab = cv2.cvtColor(cv2.GaussianBlur(picture, (3, 3), 0), cv2.COLOR_RGB2LAB)
    colors = _clusters(lab.reshape(-1, 3).astype(np.float32)).reshape(height, width)
    y, x = (np.arange(height)[:, None] + 0.5) / height, (np.arange(width) + 0.5) / width
    off = np.hypot(y - 0.5, x - 0.5)
    edge = np.minimum(np.minimum(y, 1 - y), np.minimum(x, 1 - x))
    near = edge < max(RIM, 1 / min(height, width))  # at least one row and column at each side
    inside, rim = (
        np.bincount(colors[part], minlength=COLORS) / part.sum() for part in (off < MIDDLE, near)
    )
    likely = inside / np.maximum(inside + rim, 1e-9)
    belief = cv2.GaussianBlur(likely[colors].astype(np.float32), (0, 0), SMOOTH)
    belief -= (FALL * np.maximum(off - MIDDLE, 0)).astype(np.float32)
    bridge = np.ones((BRIDGE, BRIDGE), np.uint8)
    sure = cv2.morphologyEx((belief > SURE).astype(np.uint8), cv2.MORPH_OPEN, bridge)
    _, parts = cv2.connectedComponents(sure, connectivity=4)
    weight = np.bincount(parts.ravel(), np.where(off < 0.5, belief, 0).ravel())
    weight[0] = 0  # what is no part
    best = int(weight.argmax())
    return (parts == best) & (best > 0)


def _clusters(colors: np.ndarray) -> np.ndarray:
    """int [n]: the nearest of up to ``COLORS`` means of ``float32 [n, 3]``."""
    cv2 = _opencv()
    cv2.setRNGSeed(_SEED)  # of this thread: the first means are drawn
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 6, 0.0)
    count = min(COLORS, len(colors))
    _, labels, _ = cv2.kmeans(colors, count, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    return labels.ravel()


def _box(mask: np.ndarray) -> Box | None:
    """Around what is True."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    height, width = mask.shape
    return Box(
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )
