"""Brand logos, drawn from straight lines and arcs so that no font is needed."""

from __future__ import annotations

import math

from moonshelf.catalog.synthetic.pen import Pen, Point, bend


def _around(corners: int, inner: float = 0.0, turn: float = -90.0) -> list[Point]:
    """Corners on the unit circle; every other one at ``inner`` when that is set."""
    count = corners * 2 if inner else corners
    points = []
    for corner in range(count):
        angle = math.radians(turn + 360 * corner / count)
        reach = inner if inner and corner % 2 else 1.0
        points.append((reach * math.cos(angle), reach * math.sin(angle)))
    return points


_POLYGONS: dict[str, list[list[Point]]] = {
    "triangle": [_around(3)],
    "star": [_around(5, inner=0.42)],
    "diamond": [[(0, -1), (0.7, 0), (0, 1), (-0.7, 0)]],
    "hourglass": [[(-0.8, -1), (0.8, -1), (0, 0)], [(-0.8, 1), (0.8, 1), (0, 0)]],
    "bolt": [[(0.3, -1), (-0.6, 0.2), (0, 0.2), (-0.3, 1), (0.6, -0.2), (0, -0.2)]],
    "arrow": [[(0, -1), (0.9, 0), (0.35, 0), (0.35, 1), (-0.35, 1), (-0.35, 0), (-0.9, 0)]],
    "bars": [
        [(x - 0.22, 0.9), (x + 0.2, -0.9), (x + 0.6, -0.9), (x + 0.18, 0.9)]
        for x in (-0.75, -0.15, 0.45)
    ],
    "cross": [
        [(-0.3, -1), (0.3, -1), (0.3, 1), (-0.3, 1)],
        [(-1, -0.3), (1, -0.3), (1, 0.3), (-1, 0.3)],
    ],
    "chevron": [
        [(-1, y), (0, y - 0.8), (1, y), (1, y + 0.45), (0, y - 0.35), (-1, y + 0.45)]
        for y in (0.0, 0.8)
    ],
    "leaf": [[*bend((0, -1), (1.3, -0.1), (0, 1)), *bend((0, 1), (-1.3, -0.1), (0, -1))]],
    "crescent": [
        [*bend((0.5, -0.9), (-2.0, 0), (0.5, 0.9)), *bend((0.5, 0.9), (-0.6, 0), (0.5, -0.9))]
    ],
    "swoosh": [
        [*bend((-1.1, -0.1), (-0.6, 1.2), (1.2, -0.7)),
         *bend((1.2, -0.7), (-0.7, 0.3), (-1.1, -0.1))]
    ],
    "dots": [
        [(x + 0.4 * px, y + 0.4 * py) for px, py in _around(10)]
        for x, y in ((-0.5, 0.45), (0.5, 0.45), (0, -0.5))
    ],
    "wave": [
        [*bend((-1, y), (-0.5, y - 0.6), (0, y)), *bend((0, y), (0.5, y + 0.6), (1, y)),
         *bend((1, y + 0.35), (0.5, y + 0.95), (0, y + 0.35)),
         *bend((0, y + 0.35), (-0.5, y - 0.25), (-1, y + 0.35))]
        for y in (-0.6, 0.15)
    ],
}  # fmt: skip


def draw_logo(pen: Pen, logo: str, x: float, y: float, radius: float, plate: bool) -> None:
    """The logo around (x, y); on a pale ``plate`` where the ground is patterned."""
    if plate:
        reach = radius * 1.45
        pen.oval("plate", (x - reach, y - reach, x + reach, y + reach), edge=60)
    if logo == "ring":
        pen.ring("logo", (x - radius, y - radius, x + radius, y + radius), radius * 0.42)
        return
    if logo == "frame":
        for shift in (-0.78, 0.78):
            pen.band("logo", [(x + shift * radius, y - radius), (x + shift * radius, y + radius)],
                     radius * 0.4, edge=0)  # fmt: skip
            pen.band("logo", [(x - radius, y + shift * radius), (x + radius, y + shift * radius)],
                     radius * 0.4, edge=0)  # fmt: skip
        return
    for polygon in _POLYGONS[logo]:
        pen.shape("logo", [(x + radius * px, y + radius * py) for px, py in polygon], edge=0)
