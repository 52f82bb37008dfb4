"""Pictures decoded once for one canvas: an array on disk that training maps and indexes.

``<catalogue>/cache/pixels-HxW/`` (of the products) and ``query-pixels-HxW/`` (of the queries) hold
``pixels.u8`` [U, H, W, 3] without a header (each different first picture once), ``places.npy``
int32 [N] (row to place; -1: no picture, -2: damaged) and a manifest with the catalogue's
fingerprint. A cache appears whole or not at all; another fingerprint,
canvas or decoder makes it stale, and it is built anew. A picture that cannot be decoded is listed
in the manifest and is absent from the cache, never a black square.

A cache of crops (``pixels-HxW-DETECTOR``) is one of the core products of the same pictures; other
boxes make it stale, and a picture without a box is absent from it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from moonshelf.catalog.generation import load_array, write_array
from moonshelf.catalog.images import DECODER_VERSION, Limits, decode_picture
from moonshelf.catalog.landing import writing
from moonshelf.catalog.manifest import MANIFEST
from moonshelf.catalog.problem import Problem
from moonshelf.catalog.store import Catalog
from moonshelf.errors import CatalogError, DataError, ImageError, UsageError
from moonshelf.files import atomic_folder, one_makes, write_json_atomically
from moonshelf.progress import Progress, silent

if TYPE_CHECKING:
    from moonshelf.catalog.crops.box import Box
    from moonshelf.catalog.crops.table import CropTable

Of = Literal["products", "queries"]
KINDS: dict[Of, str] = {"products": "pixels", "queries": "query-pixels"}
FORMAT = 1
PIXELS = "pixels.u8"
_ONE: dict[Of, str] = {"products": "product", "queries": "query"}
NO_PICTURE, BROKEN = -1, -2
THREADS = 2  # Pillow lets go of the interpreter while it decodes
_CHUNK = 512


class PixelCache:
    """The decoded first picture of each row; made by :meth:`build` or :meth:`open`.

    ``problems`` lists the pictures that could not be decoded.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.path = folder
        self.height, self.width = manifest["height"], manifest["width"]
        self.problems = tuple(
            Problem(bad["where"], ImageError(bad["what"], where=bad["where"], cure=bad["cure"]))
            for bad in manifest["problems"]
        )
        self._places = load_array(folder / "places.npy", np.dtype("<i4"), manifest["rows"])
        shape = (manifest["pictures"], self.height, self.width, 3)
        self._pixels = _map_pixels(folder / PIXELS, shape)
        if self._places.max(initial=-1) >= shape[0]:
            raise _stale(folder, "its files do not fit each other")

    @classmethod
    def build(
        cls,
        catalog: Catalog,
        height: int,
        width: int,
        progress: Progress | None = None,
        *,
        limits: Limits | None = None,
        of: Of = "products",
        crops: CropTable | None = None,
    ) -> PixelCache:
        """The cache of ``catalog`` for a canvas; decoded now unless it is there already. Its rows
        are those of the products, or of the query table; with ``crops`` it holds what these cut
        out. Of processes that ask at once, one decodes; the others wait and open what it made.

        Raises:
            UsageError: the canvas has no pixels.
            DiskFullError: there is no room; nothing is left behind.
            CatalogError: the folder cannot be written to.
        """
        if height < 1 or width < 1:
            raise UsageError(f"a canvas of {height} x {width} has no pixels", cure="enlarge it")
        folder = cache_folder(catalog, height, width, of, crops)
        # What cannot be opened is none yet, or of an older catalogue: it is only a cache.
        with contextlib.suppress(CatalogError):
            return cls.open(catalog, height, width, of, crops)
        with writing(folder), one_makes(folder):
            with contextlib.suppress(CatalogError):  # made while this process waited
                return cls.open(catalog, height, width, of, crops)
            with atomic_folder(folder) as scratch:
                size = (height, width)
                _write(scratch, catalog, size, limits or Limits(), progress or silent, of, crops)
        return cls.open(catalog, height, width, of, crops)

    @classmethod
    def open(
        cls,
        catalog: Catalog,
        height: int,
        width: int,
        of: Of = "products",
        crops: CropTable | None = None,
    ) -> PixelCache:
        """The cache that is there.

        Raises:
            CatalogError: there is none, or it is of other pictures than the catalogue's.
        """
        folder = cache_folder(catalog, height, width, of, crops)
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
        except (OSError, ValueError) as error:
            raise _stale(folder, f"its manifest cannot be read ({error})") from error
        if not isinstance(manifest, dict):
            raise _stale(folder, "its manifest is no mapping")
        expected = _key(catalog, height, width, of, crops)
        for name, value in expected.items():
            if manifest.get(name) != value:
                raise _stale(folder, f"its {name} is {manifest.get(name)!r}, expected {value!r}")
        try:
            return cls(folder, manifest)
        except (KeyError, TypeError, ValueError) as error:
            raise _stale(folder, f"its manifest is incomplete ({error})") from error

    def __len__(self) -> int:
        """The number of products, or of queries."""
        return len(self._places)

    def has(self, row: int) -> bool:
        """Whether a row has a picture that could be decoded."""
        return self._places[row] >= 0

    def __getitem__(self, row: int) -> np.ndarray:
        """``uint8 [H, W, 3]``, read-only, of a row's first picture.

        Raises:
            DataError: the row has no picture, or it could not be decoded.
        """
        place = int(self._places[row])
        if place < 0:
            why = "has no picture" if place == NO_PICTURE else "has a picture that is damaged"
            raise DataError(why, where=f"row {row}", cure="ask has(row) first")
        return self._pixels[place]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """``uint8 [n, H, W, 3]``: the pictures of rows, copied; raises as ``cache[row]``."""
        places = self._places[rows]
        if len(places) and places.min() < 0:
            self[int(rows[int(places.argmin())])]
        return self._pixels[places]


def cache_folder(
    catalog: Catalog,
    height: int,
    width: int,
    of: Of = "products",
    crops: CropTable | None = None,
) -> Path:
    name = f"{KINDS[of]}-{height}x{width}"
    return catalog.path / "cache" / (name if crops is None else f"{name}-{crops.detector}")


def _key(
    catalog: Catalog, height: int, width: int, of: Of, crops: CropTable | None
) -> dict[str, Any]:
    boxes = {} if crops is None else {"crops": crops.digest}
    return boxes | {
        "kind": KINDS[of],
        "format": FORMAT,
        "fingerprint": catalog.fingerprint,
        "decoder": DECODER_VERSION,
        "height": height,
        "width": width,
        "rows": len(catalog) if of == "products" else catalog.manifest["queries"],
    }


def _write(
    folder: Path,
    catalog: Catalog,
    size: tuple[int, int],
    limits: Limits,
    progress: Progress,
    of: Of,
    crops: CropTable | None,
) -> None:
    shown, numbers = catalog.picture_links() if of == "products" else catalog.query_links()
    # The links stand in the order of the rows: the first of a row is its first picture.
    rows, start = np.unique(shown, return_index=True)
    first = numbers[start]
    parts: dict[int, Box] = {}
    if crops is not None:
        parts = _boxes(catalog, first, crops)
        kept = np.array([number in parts for number in first.tolist()], bool)
        rows, first = rows[kept], first[kept]
    different, at, inverse = np.unique(first, return_index=True, return_inverse=True)
    # In the order of the rows, so that a pass over the catalogue reads the file forwards.
    order = np.argsort(at, kind="stable")
    place = np.full(len(different), BROKEN, np.int32)
    problems: list[dict[str, str]] = []
    good = 0
    ids = catalog.column("id") if of == "products" else catalog.query_column("id")
    with (folder / PIXELS).open("xb") as file:
        pictures = _decode(catalog, different[order], size, limits, parts)
        for done, (k, picture) in enumerate(zip(order, pictures, strict=True)):
            if isinstance(picture, ImageError):
                where = f"{_ONE[of]} {ids[int(rows[at[k]])].as_py()!r}"
                problems.append({"where": where, "what": picture.what, "cure": picture.cure})
            else:
                file.write(picture.data)
                place[k] = good
                good += 1
            progress(done + 1, len(order), broken=len(problems))
    key = _key(catalog, *size, of, crops)
    places = np.full(key["rows"], NO_PICTURE, np.int32)
    places[rows] = place[inverse]
    write_array(folder / "places.npy", places)
    write_json_atomically(
        folder / MANIFEST,
        {**key, "pictures": good, "problems": problems},
    )


def _boxes(catalog: Catalog, numbers: np.ndarray, crops: CropTable) -> dict[int, Box]:
    """The box of each picture that has one, by its number."""
    numbers = np.unique(numbers)
    places = crops.places(catalog.picture_table()["hash"][numbers])
    has = crops.boxed(places)
    return {int(n): crops.box(int(p)) for n, p in zip(numbers[has], places[has], strict=True)}


def _decode(
    catalog: Catalog,
    numbers: np.ndarray,
    size: tuple[int, int],
    limits: Limits,
    parts: Mapping[int, Box],
) -> Iterator[np.ndarray | ImageError]:
    """The pictures in order, each whole or the part of it that is named, decoded a chunk ahead by
    a few threads."""

    def one(number: int) -> np.ndarray | ImageError:
        try:
            return decode_picture(catalog.picture(number), *size, limits, parts.get(number))
        except ImageError as error:
            return error

    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(numbers), _CHUNK):
            yield from pool.map(one, numbers[start : start + _CHUNK].tolist(), chunksize=1)


def _map_pixels(path: Path, shape: tuple[int, int, int, int]) -> np.ndarray:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _stale(path, "is missing") from error
    if size != np.prod(shape, dtype=np.int64):
        raise _stale(path, f"has {size:,} bytes for {shape}")
    if not size:
        return np.empty(shape, np.uint8)  # nothing to map
    # A plain view: indexing np.memmap itself costs more than the copy of a small picture.
    return np.asarray(np.memmap(path, np.uint8, mode="r", shape=shape))


def _stale(folder: Path, what: str) -> CatalogError:
    return CatalogError(what, where=str(folder), cure="build the pixel cache again")
