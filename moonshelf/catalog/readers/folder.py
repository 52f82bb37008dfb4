"""A folder of pictures, with or without a sidecar table that says what they show."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Literal

from moonshelf.catalog.problem import Located, Problem
from moonshelf.catalog.product import Product
from moonshelf.catalog.readers import Item, check_options, choice, fields
from moonshelf.catalog.readers.mapping import COMMON, has_common, map_columns
from moonshelf.catalog.readers.pictures import PICTURE_SUFFIXES, PictureFolder
from moonshelf.catalog.readers.rows import SUFFIXES
from moonshelf.catalog.readers.table import TABLE_OPTIONS, RowConverter, open_table
from moonshelf.errors import DataError, UsageError

_OWN_OPTIONS = {
    "sidecar": "table beside the pictures, one row a product (default: the only table there)",
    "folders": "ignore (default) or category: sub-folders are the category path",
    "product": "file (default) or folder: all pictures of one folder show one product",
}
_TABLE_ONLY = ("kind", "event", "event_kind", "image_folder", "image_encoding")
_FILE_ID = "(file name)"
_FIELDS = {*COMMON["queries"], *COMMON["events"]} - {*COMMON["products"]}


class FolderReader:
    """One product a picture (or a folder of pictures), in the order of the file names.

    The id is the path below the folder without its suffix. A sidecar table maps file names to
    fields, as in ``--reader table``: its rows come first, in their order; pictures that no row
    names follow with no title and are counted in the notes.
    """

    name = "folder"

    def __init__(self) -> None:
        kept = {k: v for k, v in TABLE_OPTIONS.items() if k not in (*_TABLE_ONLY, *_FIELDS)}
        self.options: Mapping[str, str] = MappingProxyType({**_OWN_OPTIONS, **kept})
        self.notes: list[str] = []
        self._no_split = True

    def matches(self, path: Path) -> bool:
        return path.is_dir() and next(_pictures(path), None) is not None

    def total(self, path: Path) -> int | None:
        return sum(1 for _ in _pictures(path))

    def splits(self, path: Path) -> Literal["keep", "draw"]:
        return "draw" if self._no_split else "keep"

    def read(self, path: Path, options: Mapping[str, str]) -> Iterator[Item]:
        """See :class:`~moonshelf.catalog.readers.Reader`.

        Raises:
            UsageError: an unknown option or column, or several tables and no ``sidecar``.
            DataError: the sidecar cannot be read at all.
        """
        options = {k: v for k, v in options.items() if (k, v) != ("kind", "products")}
        check_options(self, options)
        by_folder = choice(options, "product", ("file", "folder")) == "folder"
        as_category = choice(options, "folders", ("ignore", "category")) == "category"
        named: set[str] = set()
        sidecar = _sidecar(path, options)
        if sidecar is not None:
            yield from self._rows(sidecar, path, options, as_category, named)
        pictures, rest = PictureFolder(path), 0
        for names in _products(path, by_folder):
            left = [name for name in names if name not in named]
            if left:
                rest += 1
                yield _bare(pictures, left, as_category, by_folder)
        if sidecar is not None and rest:
            self.notes.append(f"{rest:,} products have pictures but no row in {sidecar.name}")
        if sidecar is None:
            self.notes.append(f"no table beside the pictures: {rest:,} products without title")

    def _rows(
        self,
        sidecar: Path,
        folder: Path,
        options: Mapping[str, str],
        as_category: bool,
        named: set[str],
    ) -> Iterator[Item]:
        file = open_table(sidecar, options)
        columns = {k: v for k, v in options.items() if k in COMMON["products"]}
        header = file.header()
        by_name = "id" not in columns and not has_common(header, "products", "id")
        if by_name:  # a sidecar need not have ids: the file name is one
            header, columns = (*header, _FILE_ID), {**columns, "id": _FILE_ID}
        mapping = map_columns(header, columns, "products", sidecar.name)
        if "image" not in mapping.columns:
            raise UsageError(
                "no column of the sidecar names the picture files",
                where=sidecar.name,
                cure=f"pass --set image=COLUMN; columns: {', '.join(file.header())}",
            )
        self.notes.append(f"{sidecar.name}: {mapping}")
        self._no_split = "split" not in mapping.columns
        converter = RowConverter("products", mapping, options, folder, self.notes)
        for row in file.rows():
            if isinstance(row, Problem):
                yield row
                continue
            names = [_plain(v) for v in converter.image_cells(row.fields) if isinstance(v, str)]
            named.update(names)
            if by_name and names:
                row.fields[_FILE_ID] = _stem(names[0])
            item = converter.record(row)
            if as_category and names and isinstance(item, Located):
                item = _with_category(item, PurePosixPath(names[0]).parent.parts)
            yield item
        converter.finish()


def _pictures(folder: Path) -> Iterator[str]:
    """Picture files below ``folder`` by name, sorted, without hidden ones; links to folders are
    not followed."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            if file.lower().endswith(PICTURE_SUFFIXES) and not file.startswith("."):
                yield Path(root, file).relative_to(folder).as_posix()


def _products(folder: Path, by_folder: bool) -> Iterator[list[str]]:
    if not by_folder:
        yield from ([name] for name in _pictures(folder))
    else:
        together = groupby(_pictures(folder), key=lambda name: PurePosixPath(name).parent)
        yield from (list(names) for _, names in together)


def _bare(
    pictures: PictureFolder, names: list[str], as_category: bool, by_folder: bool
) -> Located | Problem:
    """A product of which only the pictures are known."""
    parent = PurePosixPath(names[0]).parent
    category = (parent.parent if by_folder else parent).parts if as_category else ()
    has_folder = by_folder and parent.parts
    try:
        fields.text(names[0], "file name")  # a name that is no text has half a surrogate pair
        product = Product(
            id=str(parent) if has_folder else _stem(names[0]),
            images=tuple(pictures.read(name) for name in names),
            category=category,
        )
    except DataError as error:
        where = names[0].encode(errors="backslashreplace").decode()
        return Problem(where, type(error)(error.what, where=where, cure=error.cure))
    return Located(names[0], product)


def _with_category(item: Located, category: tuple[str, ...]) -> Located:
    product = item.record
    if not isinstance(product, Product) or product.category:
        return item
    return Located(item.where, replace(product, category=category))


def _sidecar(folder: Path, options: Mapping[str, str]) -> Path | None:
    if "sidecar" in options:
        # The user names it, so it may lie anywhere; a bare name is looked for in the folder.
        given = Path(options["sidecar"])
        return given if given.is_file() else folder / given
    tables = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and f.is_file())
    if len(tables) > 1:
        raise UsageError(
            f"the folder holds {len(tables)} tables: {', '.join(f.name for f in tables[:5])}",
            where=str(folder),
            cure="name one with --set sidecar=FILE",
        )
    return tables[0] if tables else None


def _plain(name: str) -> str:
    return PurePosixPath(name.strip().replace("\\", "/")).as_posix()


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix("")) if name else ""
