"""Pictures of a source: files below one folder, or rows of Parquet files beside the items.

Nothing is fetched from the network, and no name in a table can reach a file outside the folder.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from moonshelf.catalog.readers.rows import Row, RowFile
from moonshelf.errors import DataError, ImageError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
MAX_PICTURE_BYTES = 64 * 2**20  # read no larger file; importing applies its own, tighter limits
_URL = re.compile(r"^[a-z][a-z0-9+.-]+://|^data:", re.IGNORECASE)


class PictureFolder:
    """Reads pictures by names relative to ``folder``; a name that leaves it is refused."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(
                "there is no such picture folder",
                where=str(folder),
                cure="pass --set image_folder=FOLDER",
            )
        self.folder = folder
        self._root = folder.resolve()

    def read(self, name: str) -> bytes:
        """The bytes of one picture file.

        Raises:
            ImageError: a URL, a name that leaves the folder (absolute, ``..`` or a link), a
                missing file, an empty or an oversized one.
        """
        if _URL.match(name):
            raise ImageError(
                f"picture {name[:80]!r} is a URL; pictures are not fetched from the network",
                cure="download the pictures and give their file names, or import without pictures: "
                "--set image=",
            )
        path = self._inside(name)
        try:
            size = path.stat().st_size
            if not path.is_file():
                raise ImageError(f"picture {name!r} is not a file", cure="check the name")
            if size > MAX_PICTURE_BYTES:
                raise ImageError(
                    f"picture {name!r} has {size:,} bytes, more than {MAX_PICTURE_BYTES:,}",
                    cure="shrink it",
                )
            data = path.read_bytes()
        except OSError as error:
            raise ImageError(
                f"picture {name!r} cannot be read: {(error.strerror or str(error)).lower()}",
                cure=f"put it below {self.folder.name}/, or pass --set image_folder=FOLDER",
            ) from None
        if not data:
            raise ImageError(f"picture {name!r} is empty", cure="copy it again")
        return data

    def has(self, name: str) -> bool:
        """Whether there is such a file (inside the folder)."""
        try:
            return self._inside(name).is_file()
        except (ImageError, OSError):
            return False

    def _inside(self, name: str) -> Path:
        if "\0" in name:
            raise ImageError(f"picture name {name!r} holds a NUL", cure="correct the name")
        # Windows separators in a table made elsewhere must not hide a "..".
        plain = Path(name.replace("\\", "/")) if os.sep == "/" else Path(name)
        try:
            path = (self._root / plain).resolve()
        except (OSError, RuntimeError):  # a loop of links, a name too long
            path = self._root / "\ufffd"
        if plain.is_absolute() or ".." in plain.parts or not path.is_relative_to(self._root):
            raise ImageError(
                f"picture {name!r} lies outside the picture folder",
                cure="give names relative to the picture folder, without .. or links out of it",
            )
        return path


def from_cell(value: object, column: str, folder: PictureFolder | None, in_base64: bool) -> bytes:
    """One picture out of one table cell: its bytes, a Hugging Face ``{bytes, path}``, base64
    text where the user says so, or a file name.

    Raises:
        ImageError: see :meth:`PictureFolder.read`; a cell that is none of these.
    """
    if isinstance(value, dict) and ("bytes" in value or "path" in value):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes) and value:
        return value
    if isinstance(value, str) and in_base64:
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise ImageError(
                f"column {column!r} is not base64", cure="correct the row or drop image_encoding"
            ) from None
    if isinstance(value, str) and folder is not None:
        return folder.read(value.strip())
    raise ImageError(
        f"column {column!r} holds {type(value).__name__}, not picture bytes or a file name",
        cure="map image= to a column of bytes or file names",
    )


class PictureTables:
    """Pictures by id out of ``images-000.parquet, images-001.parquet, ...`` (id, image).

    The files are walked side by side with the items, one batch of pictures in memory at a time.
    That needs the items to ask in the order of the files: ``ids`` tells the order of asking, and
    when it disagrees with the files all pictures are held in memory instead.

    Raises:
        DataError: a damaged file, an id that occurs twice.
    """

    def __init__(self, files: Sequence[Path], ids: Sequence[str]) -> None:
        self.files = [RowFile(f, columns=("id", "image")) for f in files]
        self.order: dict[str, int] = {}
        for file in files:
            for row in RowFile(file, columns=("id",)).rows():
                assert isinstance(row, Row)  # Parquet has no bad rows, only bad files
                key = str(row.fields["id"])
                if key in self.order:
                    raise DataError(
                        f"picture id {key!r} occurs twice", where=row.where, cure="drop one"
                    )
                self.order[key] = len(self.order)
        asked = [self.order[i] for i in ids if i in self.order]
        in_order = all(a < b for a, b in pairwise(asked))
        self._held: dict[str, bytes] | None = None if in_order else dict(self._walk())
        self._rows = self._walk()

    def __contains__(self, key: str) -> bool:
        return key in self.order

    def get(self, key: str) -> bytes | None:
        """The picture of ``key``, or None when there is none."""
        if key not in self.order:
            return None
        if self._held is not None:
            return self._held[key]
        for found, data in self._rows:
            if found == key:
                return data
        raise DataError(
            f"pictures are asked out of order at {key!r}", cure="pass the ids in asking order"
        )

    def _walk(self) -> Iterator[tuple[str, bytes]]:
        for file in self.files:
            for row in file.rows():
                assert isinstance(row, Row)
                yield str(row.fields["id"]), row.fields["image"] or b""
