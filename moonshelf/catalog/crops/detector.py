"""What finds the core product in a picture, by name (methods.md 4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from moonshelf.catalog.crops.controls import CenterCrop, RandomCrop
from moonshelf.catalog.crops.foreground import Foreground
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from moonshelf.catalog.crops.box import Looked

DetectorName = Literal["foreground", "center", "random", "grounding"]
EMBEDDED = {found.name: found for found in (Foreground, CenterCrop, RandomCrop)}


class Detector(Protocol):
    """Finds the crop of one picture.

    ``version`` changes whenever the same picture may get another box; ``side`` is the longest side
    of the pictures it wants, in pixels. The same arguments give the same answer wherever they are
    given, except from a model's server. Threads may share a detector.
    """

    name: str
    version: str
    side: int

    def detect(self, picture: np.ndarray, title: str = "") -> Looked:
        """The crop of an upright ``uint8 [H, W, 3]`` whose product is called ``title``."""
        ...


def embedded(name: str) -> Detector:
    """The detector ``name``, which needs neither weights nor a server.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in EMBEDDED:
        raise UsageError(
            f"the detector {name!r} is none of this program's own",
            cure=f"choose among {', '.join(EMBEDDED)}",
        )
    return EMBEDDED[name]()
