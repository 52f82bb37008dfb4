"""A pen that draws parts: a map of part numbers and a layer of ink, in unit coordinates.

Keeping part numbers instead of colors gives the true part masks for nothing, and one table look-up
turns them into any color, pattern or material.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

Point = tuple[float, float]

# How a part is painted: "main" takes color, pattern and material; the others one flat tone.
ROLES: dict[str, str] = {
    "body": "main", "sleeve": "main", "hood": "main", "leg": "main", "upper": "main",
    "crown": "main", "brim": "deep", "cuff": "deep", "hem": "deep", "collar": "deep",
    "waistband": "deep", "pocket": "deep", "placket": "deep", "belt": "accent", "button": "pale",
    "zip": "metal", "drawstring": "pale", "opening": "hollow", "sole": "sole", "lace": "pale",
    "toe": "deep", "heel": "hollow", "strap": "main", "flap": "deep", "handle": "deep",
    "buckle": "metal", "chain": "metal", "case": "metal", "dial": "dial", "hand": "hollow",
    "marks": "hollow", "lens": "lens", "frame": "main", "temple": "deep", "cup": "main",
    "rim": "deep", "shade": "main", "stand": "wood", "bulb": "glow", "seat": "main",
    "back": "main", "arm": "deep", "foot": "wood", "trim": "accent", "pompom": "accent",
    "plate": "plate", "logo": "logo",
}  # fmt: skip
PARTS: tuple[str, ...] = tuple(ROLES)
PART_NUMBER: dict[str, int] = {part: number for number, part in enumerate(PARTS, start=1)}


def bend(start: Point, control: Point, end: Point, steps: int = 7) -> list[Point]:
    """A quadratic curve as points, ends included."""
    points = []
    for step in range(steps + 1):
        t = step / steps
        a, b, c = (1 - t) * (1 - t), 2 * t * (1 - t), t * t
        points.append(
            (a * start[0] + b * control[0] + c * end[0], a * start[1] + b * control[1] + c * end[1])
        )
    return points


def mirror(points: Sequence[Point]) -> list[Point]:
    """The points mirrored at x = 0.5."""
    return [(1 - x, y) for x, y in points]


class Pen:
    """Draws named parts over one another on a ``side`` x ``side`` canvas; units are 0..1."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.labels = Image.new("L", (side, side))
        self.ink = Image.new("L", (side, side))
        self._label_draw = ImageDraw.Draw(self.labels)
        self._ink_draw = ImageDraw.Draw(self.ink)
        self._edge = max(1, round(side / 110))

    def _scaled(self, points: Sequence[Point]) -> list[Point]:
        return [(round(x * self.side, 2), round(y * self.side, 2)) for x, y in points]

    def _box(self, box: tuple[float, float, float, float]) -> list[Point]:
        left, top, right, bottom = box
        return self._scaled([(min(left, right), top), (max(left, right), bottom)])

    def shape(self, part: str, points: Sequence[Point], edge: int = 110) -> None:
        """A filled polygon with a seam of ``edge`` darkness around it."""
        scaled = self._scaled(points)
        self._label_draw.polygon(scaled, fill=PART_NUMBER[part])
        self._ink_draw.polygon(scaled, fill=0)
        if edge:
            self._ink_draw.line([*scaled, scaled[0]], fill=edge, width=self._edge)

    def both(self, part: str, points: Sequence[Point], edge: int = 110) -> None:
        """The polygon and its mirror image."""
        self.shape(part, points, edge)
        self.shape(part, mirror(points), edge)

    def oval(self, part: str, box: tuple[float, float, float, float], edge: int = 110) -> None:
        """A filled ellipse in ``(left, top, right, bottom)``."""
        scaled = self._box(box)
        self._label_draw.ellipse(scaled, fill=PART_NUMBER[part])
        self._ink_draw.ellipse(scaled, fill=0, outline=edge or None, width=self._edge)

    def slab(
        self,
        part: str,
        box: tuple[float, float, float, float],
        radius: float = 0.0,
        edge: int = 110,
    ) -> None:
        """A filled rectangle with round corners."""
        scaled, corner = self._box(box), radius * self.side
        self._label_draw.rounded_rectangle(scaled, corner, fill=PART_NUMBER[part])
        self._ink_draw.rounded_rectangle(
            scaled, corner, fill=0, outline=edge or None, width=self._edge
        )

    def band(self, part: str, points: Sequence[Point], width: float, edge: int = 80) -> None:
        """A thick polyline."""
        scaled, thick = self._scaled(points), max(1, round(width * self.side))
        self._ink_draw.line(scaled, fill=edge, width=thick + self._edge, joint="curve")
        self._label_draw.line(scaled, fill=PART_NUMBER[part], width=thick, joint="curve")
        if thick > 2 * self._edge:
            self._ink_draw.line(scaled, fill=0, width=thick - self._edge, joint="curve")

    def ring(
        self, part: str, box: tuple[float, float, float, float], width: float, start: float = 0.0,
        end: float = 360.0,
    ) -> None:  # fmt: skip
        """A thick ellipse arc; angles in degrees, clockwise from three o'clock."""
        scaled, thick = self._box(box), max(1, round(width * self.side))
        self._label_draw.arc(scaled, start, end, fill=PART_NUMBER[part], width=thick)
        self._ink_draw.arc(scaled, start, end, fill=45, width=thick)

    def seam(self, points: Sequence[Point], strength: int = 110, width: float = 0.0) -> None:
        """Ink alone: stitches, folds, creases."""
        thick = max(self._edge, round(width * self.side))
        self._ink_draw.line(self._scaled(points), fill=strength, width=thick)
