"""Grocery Store Dataset: phone photos as queries, one clean product a class as answers.

Two layouts are read:

* ``classes.parquet, iconic_images-000.parquet, items.parquet, images-*.parquet`` (41 classes).
* the original repository: ``[dataset/]classes.csv, train.txt, val.txt, test.txt`` with the photos
  and ``iconic-images-and-descriptions/`` beside them (81 classes).

A product is a class: id ``class007``, the iconic picture, the title and description of the shop,
``category`` = (macro, coarse class), attribute ``class`` = the class name. The raw information
text (nutrition, link) is not read. Products are the gallery of all photos and stay in train; the
official split is that of the photos. A query is one photo: no text, its class the one positive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from moonshelf.catalog.problem import Located, Problem
from moonshelf.catalog.product import SPLITS, Product, Query
from moonshelf.catalog.readers import Item, fields
from moonshelf.catalog.readers.pictures import PictureFolder, PictureTables
from moonshelf.catalog.readers.rows import RowFile
from moonshelf.catalog.readers.sets import (
    KIND_OPTION,
    check_set_options,
    column,
    has_columns,
    records,
    require_columns,
    total_rows,
    wanted,
)
from moonshelf.errors import DataError, ImageError

MAX_TEXT = 2**20  # bytes of one description or information file
_NAME, _ICONIC = "Class Name (str)", "Iconic Image Path (str)"
_TOLD = "Product Description Path (str)"


class GroceryReader:
    """Reads a folder with the Grocery Store Dataset; see the module's text for the fields."""

    name = "grocery"

    def __init__(self) -> None:
        self.options: Mapping[str, str] = KIND_OPTION
        self.notes: list[str] = []

    def matches(self, path: Path) -> bool:
        return has_columns(path / "classes.parquet", "class_id", "macro") or any(
            has_columns(folder / "classes.csv", _NAME) for folder in (path, path / "dataset")
        )

    def splits(self, path: Path) -> Literal["keep", "draw"]:
        return "keep"

    def total(self, path: Path) -> int | None:
        return total_rows(path / "classes.parquet", path / "items.parquet")

    def read(self, path: Path, options: Mapping[str, str]) -> Iterator[Item]:
        """See :class:`~moonshelf.catalog.readers.Reader`.

        Raises:
            UsageError: an unknown option.
            DataError: a file of the set is missing or damaged.
        """
        check_set_options(self, options)
        if (path / "classes.parquet").is_file():
            products, queries = _tables(path)
        else:
            folder = path / "dataset" if (path / "dataset").is_dir() else path
            products, queries = _repository(folder, self.notes)
        if wanted(options, "products"):
            yield from products
        if wanted(options, "queries"):
            yield from queries
        self.notes.append("products are the gallery of every photo and stay in train")


def class_key(value: object) -> str:
    """The product id of a class number."""
    number = fields.whole(value, "class id")
    if number is None or number < 0:
        raise fields.bad("class id", value, "a class number")
    return f"class{number:03d}"


# ---- the tables


def _tables(path: Path) -> tuple[Iterator[Item], Iterator[Item]]:
    classes, photos = RowFile(path / "classes.parquet"), RowFile(path / "items.parquet")
    require_columns(classes, "class_id", "class_name", "coarse_name", "macro", "title")
    require_columns(photos, "id", "class_id", "split")

    def gallery() -> Iterator[Item]:
        order = [class_key(int(v)) for v in column(classes.path, "class_id")]
        iconic = PictureTables(sorted(path.glob("iconic_images-*.parquet")), order)

        def product(row: Mapping[str, Any]) -> Product:
            key = class_key(row["class_id"])
            picture = iconic.get(key)
            if not picture:
                raise ImageError("the class has no iconic picture", cure="complete the set")
            return _product(key, row, picture)

        yield from records(classes.rows(), product)

    def queries() -> Iterator[Item]:
        pictures = PictureTables(sorted(path.glob("images-*.parquet")), column(photos.path, "id"))

        def query(row: Mapping[str, Any]) -> Query:
            key = fields.text(row["id"], "id")
            picture = pictures.get(key)
            if not picture:
                raise ImageError("the photo has no picture", cure="complete the set")
            positives = (class_key(row["class_id"]),)
            split = fields.split(row["split"], "split")
            return Query(key, images=(picture,), positives=positives, split=split)

        yield from records(photos.rows(), query)

    return gallery(), queries()


def _product(key: str, row: Mapping[str, Any], picture: bytes) -> Product:
    category = (fields.text(row["macro"], "macro"), fields.text(row["coarse_name"], "coarse_name"))
    return Product(
        id=key,
        title=fields.text(row["title"], "title"),
        images=(picture,),
        category=tuple(level for level in category if level),
        attributes=fields.attributes({"class": row["class_name"]}, ""),
        description=fields.text(row["description"], "description"),
    )


# ---- the repository


def _repository(folder: Path, notes: list[str]) -> tuple[Iterator[Item], Iterator[Item]]:
    classes = RowFile(folder / "classes.csv")
    require_columns(classes, _NAME, "Class ID (int)", "Coarse Class Name (str)", _ICONIC, _TOLD)
    pictures = PictureFolder(folder)

    def gallery() -> Iterator[Item]:
        untold = 0

        def product(row: Mapping[str, Any]) -> Product:
            nonlocal untold
            name = row[_ICONIC].strip().lstrip("/")  # written like an absolute path
            stem = name.removesuffix("_Iconic.jpg")
            told = row[_TOLD].strip().lstrip("/")
            # Some of the names in classes.csv lack ".txt" or differ from the file's by a letter.
            names = (told, f"{told}.txt", f"{stem}_Description.txt")
            description = next((_text(pictures, n) for n in names if pictures.has(n)), "")
            untold += not description
            levels = name.split("/")
            known = {
                "macro": levels[1] if len(levels) > 2 else "",
                "coarse_name": row["Coarse Class Name (str)"],
                "class_name": row[_NAME],
                "title": _title(pictures, f"{stem}_Information.txt")
                or row[_NAME].replace("-", " "),
                "description": description,
            }
            return _product(class_key(row["Class ID (int)"]), known, pictures.read(name))

        yield from records(classes.rows(), product)
        if untold:
            notes.append(f"{untold} classes have no description file")

    return gallery(), _photos(folder, pictures)


def _text(folder: PictureFolder, name: str) -> str:
    """A small text file of the set."""
    data = folder.read(name)
    if len(data) > MAX_TEXT:
        raise DataError(f"file {name!r} has {len(data):,} bytes", cure="restore it")
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise DataError(f"file {name!r} is not UTF-8", cure="save it as UTF-8") from None


def _title(folder: PictureFolder, name: str) -> str:
    """The ``Title: ...`` line of an information file, or "" when there is none."""
    lines = _text(folder, name).splitlines() if folder.has(name) else []
    found = (line.partition(":")[2] for line in lines if line.lower().startswith("title:"))
    return next(found, "").strip()


def _photos(folder: Path, pictures: PictureFolder) -> Iterator[Item]:
    for split in SPLITS:
        file = folder / f"{split}.txt"
        if not file.is_file():
            raise DataError(
                "there is no such file", where=str(file), cure="clone the whole repository"
            )
        with file.open(encoding="utf-8", errors="surrogateescape") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _photo(line, f"{file.name} row {number}", split, pictures)


def _photo(line: str, where: str, split: str, pictures: PictureFolder) -> Item:
    """One line ``train/Fruit/Apple/Pink-Lady/Pink-Lady_001.jpg, 2, 0``."""
    try:
        cells = [fields.text(cell, "line") for cell in line.split(",")]
        if len(cells) != 3:
            raise DataError(
                f"the line has {len(cells)} parts, not picture, class, coarse class",
                cure="restore the file from the repository",
            )
        key = cells[0].removesuffix(".jpg").replace("/", "__")
        positives = (class_key(cells[1]),)
        picture = pictures.read(cells[0])
    except DataError as error:
        return Problem(where, type(error)(error.what, where=where, cure=error.cure))
    return Located(where, Query(key, images=(picture,), positives=positives, split=split))
