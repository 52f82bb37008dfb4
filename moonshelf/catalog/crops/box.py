"""Where the core product is in a picture: a box, or the reason why there is none.

The paper leaves margin and failures open (methods.md 4.4). Ours: a margin of 5 % of the box's own
sides; no crop where, margin included, it has less than 5 % or more than 95 % of the picture: the
one shows next to nothing, the other is the original again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MARGIN = 0.05
LEAST_AREA, MOST_AREA = 0.05, 0.95
NO_BOX, TOO_SMALL, TOO_LARGE = "no box", "too small", "too large"


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an upright picture, in fractions of its width and height: 0 is left or top, 1
    right or bottom."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return self.width * self.height

    def overlap(self, other: Box) -> float:
        """Intersection over union."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        shared = max(width, 0.0) * max(height, 0.0)
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0

    def pixels(self, height: int, width: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in whole pixels of a picture: every pixel that the box
        touches, at least one."""
        left, top = (min(int(a * n), n - 1) for a, n in ((self.left, width), (self.top, height)))
        right, bottom = min(width, _up(self.right, width)), min(height, _up(self.bottom, height))
        return left, top, max(right, left + 1), max(bottom, top + 1)

    def of(self, picture: np.ndarray) -> np.ndarray:
        """The part of ``uint8 [H, W, 3]``."""
        left, top, right, bottom = self.pixels(*picture.shape[:2])
        return picture[top:bottom, left:right]


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no crop of a picture; ``reason`` is a few words, the same for the same cause."""

    reason: str


Looked = Box | Missing
"""What a detector says of a picture."""


def shown(found: Box) -> Looked:
    """The crop that is shown of a box as it was found: with its margin, or none at all where that
    is next to nothing, or next to the whole picture."""
    aside, above = MARGIN * found.width, MARGIN * found.height
    box = Box(
        max(0.0, found.left - aside),
        max(0.0, found.top - above),
        min(1.0, found.right + aside),
        min(1.0, found.bottom + above),
    )
    if not box.area >= LEAST_AREA:
        return Missing(TOO_SMALL)
    return Missing(TOO_LARGE) if box.area > MOST_AREA else box


def _up(part: float, size: int) -> int:
    # A box of whole pixels stays these pixels, whatever the last digit of a fraction says.
    return math.ceil(part * size - 1e-6)
