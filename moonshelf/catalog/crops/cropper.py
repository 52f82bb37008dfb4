"""The crops that an encoder shows beside its pictures: kept ones first, else found on the spot.

An encoder that was trained on crops is shown them however a content reaches it. Where a content
brings its crop (training, from a cache), that is it. Else the tables of the catalogues that the
encoder was told of are asked by picture hash, and then the detector itself, where it is one of this
program's own. A picture that only a model's server could look at is an error, never the original
alone without a word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from moonshelf.catalog.blobs import picture_hash
from moonshelf.catalog.crops.box import Box, Looked
from moonshelf.catalog.crops.detector import EMBEDDED, embedded
from moonshelf.catalog.crops.table import CropTable, table_file
from moonshelf.catalog.images import decode_picture, fit_canvas, open_picture, shrunk, small_picture
from moonshelf.errors import DataError

if TYPE_CHECKING:
    from moonshelf.catalog.product import Content, Picture

_REMEMBERED = 65_536


class Kept(Protocol):
    """A catalogue: all that is needed of it is its folder."""

    path: Path


class Cropper:
    """Shows contents with their crops.

    Args:
        detector: its name.
        canvas: (height, width) that crops are fitted to; None keeps each its own size.
    """

    def __init__(self, detector: str, canvas: tuple[int, int] | None) -> None:
        self.name, self._canvas = detector, canvas
        self._detector = embedded(detector) if detector in EMBEDDED else None
        self._tables: dict[str, CropTable] = {}
        self._found: dict[bytes, Looked] = {}

    def use(self, catalog: Kept) -> None:
        """Takes what is kept for the pictures of a catalogue; nothing where there is none, or
        where an embedded detector of another version made it.

        Raises:
            CatalogError: the table is damaged.
        """
        if not table_file(catalog.path, self.name).is_file():
            return
        table = CropTable.open(catalog.path, self.name)
        if self._detector is None or table.version == self._detector.version:
            self._tables[str(catalog.path)] = table

    @property
    def version(self) -> str:
        """What decides the crops, beside the pictures."""
        if self._detector is not None:
            return f"{self.name} {self._detector.version}"
        return " ".join([self.name, *sorted({t.version for t in self._tables.values()})])

    @property
    def digest(self) -> str:
        """Hex digits of all boxes that are kept, for a run that must go on with the same ones."""
        found = " ".join(sorted(table.digest for table in self._tables.values()))
        return hashlib.blake2b(found.encode(), digest_size=16).hexdigest()

    @property
    def looks(self) -> bool:
        """Whether it finds the product in any picture, known or not."""
        return self._detector is not None

    def can_show(self, picture: Picture) -> bool:
        """Whether it is known, or can be found out here, where the product is in a picture."""
        return self._detector is not None or self._kept(picture) is not None

    def shown(self, contents: Sequence[Content], most: int) -> list[tuple[Picture, ...]]:
        """The pictures of each content as they are fed: at most ``most`` of its own, and the crop
        of the first right behind it.

        Raises:
            ImageError: a picture cannot be read.
            DataError: nobody can say where the product is in a picture.
        """
        crops: dict[int, tuple[Picture, ...]] = {}
        found: list[tuple[Picture, ...]] = []
        for content in contents:
            own = content.images[:most]
            if own:
                # Several views of a product hold the very same picture: one crop is cut for all.
                main = content.crops
                if main is None:
                    if id(own[0]) not in crops:
                        crops[id(own[0])] = self._cut(own[0], content.text or "")
                    main = crops[id(own[0])]
                own = (own[0], *main, *own[1:])
            found.append(own)
        return found

    def _cut(self, picture: Picture, title: str) -> tuple[np.ndarray, ...]:
        box = self._look(picture, title)
        if not isinstance(box, Box):
            return ()
        return (cut_out(picture, box, self._canvas),)

    def _look(self, picture: Picture, title: str) -> Looked:
        from PIL import Image

        found = self._kept(picture)
        if found is not None:
            return found
        if self._detector is None:
            raise DataError(
                f"no crop of this picture is known, and the detector {self.name!r} is not at hand",
                cure=f"run moonshelf catalog crops DIR --detector {self.name} on its catalogue",
            )
        side = self._detector.side
        if isinstance(picture, bytes):
            pixels = small_picture(picture, side)
        else:
            pixels = np.asarray(shrunk(Image.fromarray(picture), side))
        found = self._detector.detect(pixels, title)
        if isinstance(picture, bytes):
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[picture_hash(picture)] = found
        return found

    def _kept(self, picture: Picture) -> Looked | None:
        if not isinstance(picture, bytes):
            return None
        digest = picture_hash(picture)
        for table in self._tables.values():
            if (found := table.get(digest)) is not None:
                return found
        return self._found.get(digest)


def cut_out(picture: Picture, box: Box, canvas: tuple[int, int] | None) -> np.ndarray:
    """``uint8 [H, W, 3]``: the part of a picture, fitted into ``canvas`` (height, width) or as
    large as it is.

    Raises:
        ImageError: the picture cannot be read.
    """
    from PIL import Image

    if isinstance(picture, bytes):
        if canvas is not None:
            return decode_picture(picture, *canvas, part=box)
        picture = np.asarray(open_picture(picture))
    part = np.ascontiguousarray(box.of(picture))
    return part if canvas is None else fit_canvas(Image.fromarray(part), *canvas)


def made_photo(photo: Picture, encoder: Any) -> Content:
    """A photo that was made for a measurement, so no table knows it: shown without a crop where
    ``encoder`` cannot look for one."""
    from moonshelf.catalog.product import Content

    cropper = getattr(encoder, "cropper", None)
    blind = cropper is not None and not cropper.can_show(photo)
    return Content(images=(photo,), crops=() if blind else None)


def crop_notes(encoder: Any) -> tuple[str, ...]:
    """What :func:`made_photo` leaves out for this encoder, for those who read the figures."""
    cropper = getattr(encoder, "cropper", None)
    if cropper is None or cropper.looks:
        return ()
    return (f"photos are shown without a crop: {cropper.name} has not looked at made ones",)


def use_crops(encoder: Any, catalog: Kept) -> None:
    """Tells an encoder that shows crops of those kept for a catalogue; any other is left as it
    is."""
    cropper = getattr(encoder, "cropper", None)
    if cropper is not None:
        cropper.use(catalog)
