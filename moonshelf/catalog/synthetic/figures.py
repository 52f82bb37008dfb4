"""People and furniture behind a product, in the product's own unit coordinates.

Everything is a polygon pushed through the photo's placement, so that it turns and tilts with the
product. Only the ``worn`` style and some user photos use these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import ImageDraw

from moonshelf.catalog.synthetic.art import ProductSpec
from moonshelf.catalog.synthetic.pen import Point, bend, mirror
from moonshelf.catalog.synthetic.scenes import shade
from moonshelf.catalog.synthetic.vocabulary import ARTICLE_BY_NAME, Rgb

SKINS: tuple[Rgb, ...] = ((244, 208, 178), (222, 172, 134), (182, 126, 88), (120, 80, 56))
_HAIRS: tuple[Rgb, ...] = ((40, 30, 26), (92, 60, 34), (186, 142, 80), (150, 64, 40))
_CLOTHES: tuple[Rgb, ...] = (
    (60, 66, 82),
    (228, 226, 220),
    (92, 88, 84),
    (150, 160, 170),
    (44, 44, 46),
)
_CIRCLE: tuple[Point, ...] = (
    (1, 0), (0.92, 0.38), (0.71, 0.71), (0.38, 0.92), (0, 1), (-0.38, 0.92), (-0.71, 0.71),
    (-0.92, 0.38), (-1, 0), (-0.92, -0.38), (-0.71, -0.71), (-0.38, -0.92), (0, -1),
    (0.38, -0.92), (0.71, -0.71), (0.92, -0.38),
)  # fmt: skip


class Sketch:
    """Draws polygons given in the product's coordinates onto the photo."""

    def __init__(
        self,
        draw: ImageDraw.ImageDraw,
        to_photo: Callable[[Point], Point],
        rng: np.random.Generator,
    ) -> None:
        self._draw, self._to_photo = draw, to_photo
        self.skin = SKINS[rng.integers(len(SKINS))]
        self.hair = _HAIRS[rng.integers(len(_HAIRS))]
        self.cloth = _CLOTHES[rng.integers(len(_CLOTHES))]
        self.other = _CLOTHES[rng.integers(len(_CLOTHES))]

    def shape(self, fill: Rgb, points: Sequence[Point]) -> None:
        self._draw.polygon([self._to_photo(point) for point in points], fill=fill)

    def both(self, fill: Rgb, points: Sequence[Point]) -> None:
        self.shape(fill, points)
        self.shape(fill, mirror(points))

    def oval(self, fill: Rgb, x: float, y: float, rx: float, ry: float) -> None:
        self.shape(fill, [(x + rx * cx, y + ry * cy) for cx, cy in _CIRCLE])


def _head(to: Sketch, x: float, y: float, reach: float) -> None:
    to.oval(to.hair, x, y - 0.15 * reach, 1.12 * reach, 1.35 * reach)
    to.oval(to.skin, x, y + 0.12 * reach, 0.9 * reach, 1.2 * reach)
    for side in (-0.38, 0.38):
        to.oval((40, 34, 34), x + side * reach, y, 0.11 * reach, 0.11 * reach)
    to.oval((176, 84, 84), x, y + 0.72 * reach, 0.3 * reach, 0.09 * reach)


def _top(to: Sketch, spec: ProductSpec) -> None:
    to.both(to.cloth, [(0.28, 0.7), (0.5, 0.7), (0.49, 1.9), (0.31, 1.9)])
    to.both(
        to.skin,
        [
            (0.34, 0.12),
            (0.27, 0.17),
            (0.11, 0.78),
            (0.1, 0.9),
            (0.15, 0.92),
            (0.19, 0.8),
            (0.34, 0.4),
        ],
    )
    to.shape(to.skin, [(0.44, -0.06), (0.56, -0.06), (0.62, 0.16), (0.5, 0.3), (0.38, 0.16)])
    _head(to, 0.5, -0.15, 0.105)


def _dress(to: Sketch, spec: ProductSpec) -> None:
    to.both(to.skin, [(0.43, 0.5), (0.495, 0.5), (0.49, 1.1), (0.45, 1.1)])
    to.both(to.other, [(0.445, 1.08), (0.49, 1.08), (0.49, 1.14), (0.42, 1.14)])
    to.both(
        to.skin,
        [
            (0.42, 0.05),
            (0.36, 0.08),
            (0.25, 0.4),
            (0.17, 0.62),
            (0.21, 0.64),
            (0.3, 0.42),
            (0.42, 0.2),
        ],
    )
    to.shape(to.skin, [(0.46, -0.06), (0.54, -0.06), (0.6, 0.14), (0.5, 0.2), (0.4, 0.14)])
    _head(to, 0.5, -0.1, 0.08)


def _bottom(to: Sketch, spec: ProductSpec) -> None:
    to.both(to.skin, [(0.5, 0.2), (0.34, 0.1), (0.3, 0.5), (0.33, 1.02), (0.42, 1.02), (0.5, 0.4)])
    to.both(to.other, [(0.32, 0.99), (0.43, 0.99), (0.43, 1.06), (0.27, 1.06)])
    to.both(to.skin, [(0.27, -0.5), (0.34, -0.5), (0.24, 0.22), (0.18, 0.22)])
    to.shape(to.cloth, [(0.28, -0.6), (0.72, -0.6), (0.69, 0.12), (0.31, 0.12)])
    _head(to, 0.5, -0.78, 0.11)


def _foot(to: Sketch, spec: ProductSpec) -> None:
    left, right = (0.12, 0.34) if spec.article == "sneaker" else (0.23, 0.47)
    bare = spec.look[1] > 0.5
    to.shape(
        to.skin if bare else to.cloth,
        [(left - 0.06, -1.2), (right + 0.08, -1.2), (right - 0.01, 0.5), (left + 0.01, 0.5)],
    )
    if bare:
        to.shape(
            to.cloth,
            [(left - 0.1, -1.2), (right + 0.12, -1.2), (right + 0.08, -0.5), (left - 0.06, -0.5)],
        )


def _bag(to: Sketch, spec: ProductSpec) -> None:
    to.shape(to.other, [(0.05, 0.5), (0.6, 0.5), (0.55, 1.9), (0.1, 1.9)])
    to.shape(to.cloth, [(0.0, -1.1), (0.6, -1.1), (0.68, 0.72), (-0.02, 0.72)])
    to.shape(shade(to.cloth, -22), [(0.42, -1.0), (0.66, -1.0), (0.6, 0.0), (0.44, 0.0)])
    to.oval(to.skin, 0.51, 0.06, 0.075, 0.1)


def _back(to: Sketch, spec: ProductSpec) -> None:
    to.both(to.other, [(0.28, 0.9), (0.5, 0.9), (0.48, 1.9), (0.3, 1.9)])
    to.shape(
        to.cloth, [(0.3, -0.08), (0.7, -0.08), (0.92, 0.1), (0.82, 1.15), (0.18, 1.15), (0.08, 0.1)]
    )
    to.both(shade(to.cloth, -18), [(0.1, 0.08), (0.18, 0.1), (0.12, 0.95), (0.0, 0.95)])
    to.shape(to.skin, [(0.43, -0.2), (0.57, -0.2), (0.58, -0.04), (0.42, -0.04)])
    to.oval(to.hair, 0.5, -0.26, 0.15, 0.2)


def _hat(to: Sketch, spec: ProductSpec) -> None:
    x = 0.42 if dict(spec.details)["brim"] == "visor" else 0.5
    to.shape(
        to.cloth,
        [
            (x - 0.5, 1.7),
            (x - 0.42, 1.32),
            (x - 0.1, 1.2),
            (x + 0.1, 1.2),
            (x + 0.42, 1.32),
            (x + 0.5, 1.7),
        ],
    )
    to.shape(to.skin, [(x - 0.1, 1.0), (x + 0.1, 1.0), (x + 0.12, 1.28), (x - 0.12, 1.28)])
    to.oval(to.hair, x, 0.78, 0.3, 0.36)
    to.oval(to.skin, x, 0.82, 0.25, 0.34)
    for side in (-0.1, 0.1):
        to.oval((40, 34, 34), x + side, 0.82, 0.03, 0.03)
    to.oval((176, 84, 84), x, 1.02, 0.08, 0.025)


def _wrist(to: Sketch, spec: ProductSpec) -> None:
    to.shape(to.skin, [(-1.2, 0.1), (0.9, 0.14), (1.3, 0.02), (1.7, 0.1), (1.7, 0.9), (1.3, 0.98),
                       (0.9, 0.86), (-1.2, 0.9)])  # fmt: skip
    to.shape(to.cloth, [(-1.3, 0.0), (-0.35, 0.05), (-0.35, 0.95), (-1.3, 1.0)])
    for y in (0.3, 0.5, 0.7):
        to.shape(shade(to.skin, -30), [(1.35, y), (1.7, y), (1.7, y + 0.02), (1.35, y + 0.02)])


def _face(to: Sketch, spec: ProductSpec) -> None:
    to.shape(to.cloth, [(-0.4, 2.0), (-0.2, 1.5), (0.3, 1.3), (0.7, 1.3), (1.2, 1.5), (1.4, 2.0)])
    to.shape(to.skin, [(0.34, 1.0), (0.66, 1.0), (0.68, 1.4), (0.32, 1.4)])
    to.oval(to.hair, 0.5, 0.48, 0.58, 0.72)
    to.oval(to.skin, 0.5, 0.6, 0.47, 0.62)
    to.shape(shade(to.skin, -24), [(0.5, 0.6), (0.55, 0.8), (0.45, 0.8)])
    to.oval((176, 84, 84), 0.5, 0.98, 0.13, 0.04)


def _room(to: Sketch, spec: ProductSpec) -> None:
    """Something for the thing to stand on: sofa, table, floor."""
    if spec.article == "cushion":
        to.shape(to.cloth, [(-0.8, -0.1), (1.8, -0.1), (1.8, 1.4), (-0.8, 1.4)])
        to.shape(shade(to.cloth, 22), [(-0.8, 0.8), (1.8, 0.8), (1.8, 1.4), (-0.8, 1.4)])
        to.shape(shade(to.cloth, -24), [(-0.9, 0.2), (-0.45, 0.2), (-0.45, 1.4), (-0.9, 1.4)])
    elif spec.article == "chair":
        to.oval(shade(to.cloth, 30), 0.5, 0.95, 0.75, 0.14)
    elif spec.article == "sandal":
        to.shape((214, 190, 140), [(-1.0, -0.6), (2.0, -0.6), (2.0, 1.8), (-1.0, 1.8)])
        to.shape((110, 178, 204), [(-1.0, -0.6), *bend((2.0, -0.6), (0.5, 0.1), (-1.0, -0.3), 8)])
    else:
        wood = shade((146, 104, 66), to.cloth[0] % 50 - 25)
        to.shape(wood, [(-1.2, 0.8), (2.2, 0.8), (2.2, 2.0), (-1.2, 2.0)])
        to.shape(shade(wood, -40), [(-1.2, 1.05), (2.2, 1.05), (2.2, 1.12), (-1.2, 1.12)])
        book = shade(to.other, 10)
        to.shape(book, [(-0.45, 0.72), (-0.05, 0.72), (-0.05, 0.9), (-0.45, 0.9)])


_FIGURES: dict[str, Callable[[Sketch, ProductSpec], None]] = {
    "top": _top, "dress": _dress, "bottom": _bottom, "foot": _foot, "bag": _bag, "back": _back,
    "head": _hat, "wrist": _wrist, "face": _face, "room": _room,
}  # fmt: skip


def draw_figure(to: Sketch, spec: ProductSpec) -> None:
    """Who or what carries the product, to be covered by it."""
    _FIGURES[ARTICLE_BY_NAME[spec.article].figure](to, spec)


def draw_fingers(to: Sketch, side: float, rng: np.random.Generator) -> None:
    """A hand that holds the product from the left (0) or right (1) edge, in front of it."""
    count, y = int(rng.integers(3, 5)), 0.25 + 0.3 * rng.random()
    for finger in range(count):
        low = y + 0.11 * finger
        tip = 0.32 + 0.2 * rng.random()
        points = [(-0.5, low), (tip, low - 0.02), (tip + 0.035, low + 0.03), (tip, low + 0.075),
                  (-0.5, low + 0.09)]  # fmt: skip
        to.shape(shade(to.skin, -8 * (finger % 2)), points if side < 0.5 else mirror(points))
