"""H&M: articles with pictures, colors and types, and real purchases with dates.

Two layouts are read:

* ``items.parquet, images-*.parquet, transactions_*.parquet``: a research extract with splits.
* the original of the Kaggle competition "H&M Personalized Fashion Recommendations":
  ``articles.csv, transactions_train.csv, images/010/0108775015.jpg``; it has no splits, importing
  draws them by style.

Fields. ``category`` = (product group, product type); ``group`` = product code: the color variants
of one style share it; ``description`` as given; ``attributes`` under the source's names without
``_name``: product_type, graphical_appearance, colour_group, perceived_colour_value,
perceived_colour_master, department, section, garment_group, index, index_group. ``Unknown`` and
``undefined`` mean missing and are left out, so perceived_colour_master has 17 to 18 values.

Events are purchases; the time is the day at 00:00 UTC, the price is the source's scaled one;
repeated rows mean a quantity above one and are kept; the sales channel and the table of
customers are not read. The extract has two logs that overlap (its last week is in both for the
65 customers of both): users are called ``years:<customer>`` and ``week:<customer>`` so that
nobody is mistaken for two. For behavior, split by time, not by the splits of the articles: they
keep styles apart, and a user's next purchase is mostly of another style and split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from moonshelf.catalog.product import Event, Product
from moonshelf.catalog.readers import Item, choice, fields
from moonshelf.catalog.readers.pictures import PictureFolder, PictureTables
from moonshelf.catalog.readers.rows import RowFile
from moonshelf.catalog.readers.sets import (
    IMAGES_OPTION,
    KIND_OPTION,
    check_set_options,
    column,
    has_columns,
    known,
    pictures_required,
    records,
    require_columns,
    total_rows,
    wanted,
)
from moonshelf.errors import DataError

ATTRIBUTES = (
    "product_type",
    "graphical_appearance",
    "colour_group",
    "perceived_colour_value",
    "perceived_colour_master",
    "department",
    "section",
    "garment_group",
    "index",
    "index_group",
)
UNKNOWN = ("unknown", "undefined")
LOGS = {
    "years": "transactions_2years_1364_customers.parquet",
    "week": "transactions_last_week_all_customers.parquet",
}


class HmReader:
    """Reads a folder with H&M data in either layout; see the module's text for the fields."""

    name = "hm"

    def __init__(self) -> None:
        self.options: Mapping[str, str] = {
            **KIND_OPTION,
            **IMAGES_OPTION,
            "log": "both (default), years or week: which purchases of the extract to read",
        }
        self.notes: list[str] = []

    def matches(self, path: Path) -> bool:
        return has_columns(path / "items.parquet", "product_code", "garment_group_name") or (
            has_columns(path / "articles.csv", "article_id", "garment_group_name")
        )

    def splits(self, path: Path) -> Literal["keep", "draw"]:
        return "keep" if (path / "items.parquet").is_file() else "draw"

    def total(self, path: Path) -> int | None:
        logs = (path / name for name in LOGS.values())
        return total_rows(path / "items.parquet", *(log for log in logs if log.is_file()))

    def read(self, path: Path, options: Mapping[str, str]) -> Iterator[Item]:
        """See :class:`~moonshelf.catalog.readers.Reader`.

        Raises:
            UsageError: an unknown option.
            DataError: a file of the set is missing or damaged.
        """
        check_set_options(self, options)
        required = pictures_required(options)
        extract = (path / "items.parquet").is_file()
        source: _Source = _Extract(path, options) if extract else _Kaggle(path)
        left_out: set[str] = set()
        bare = 0

        def product(row: Mapping[str, Any]) -> Product | None:
            nonlocal bare
            article = source.id_of(row)
            if required and not source.has_picture(article):
                left_out.add(article)
                return None
            if not wanted(options, "products"):
                return None
            picture = source.picture(article)
            bare += picture is None
            return _product(article, row, source.description_column, picture)

        # Without products the articles are still walked when some of them are to be left out.
        if wanted(options, "products") or required:
            yield from records(source.articles.rows(), product)
        if bare:
            self.notes.append(f"{bare:,} articles have no picture (--set images=required)")
        if left_out:
            self.notes.append(f"{len(left_out):,} articles without a picture left out")
        if wanted(options, "events"):
            yield from self._events(source, left_out)

    def _events(self, source: _Source, left_out: set[str]) -> Iterator[Item]:
        dropped = 0
        for file, prefix in source.logs():

            def event(row: Mapping[str, Any], prefix: str = prefix) -> Event | None:
                nonlocal dropped
                article = source.id_of(row)
                if article in left_out:
                    dropped += 1
                    return None
                return _event(article, row, prefix, source.customer_column)

            yield from records(file.rows(), event)
        if dropped:
            self.notes.append(f"{dropped:,} purchases of articles left out were left out too")


class _Source:
    """What the layouts have in common, seen by the reader."""

    articles: RowFile
    id_column: str
    description_column: str
    customer_column: str

    def id_of(self, row: Mapping[str, Any]) -> str:
        found = fields.text(row[self.id_column], self.id_column)
        # Tools that read the ids as numbers lose the leading zero.
        return found.zfill(10) if found else ""

    def has_picture(self, article: str) -> bool:
        raise NotImplementedError

    def picture(self, article: str) -> bytes | None:
        raise NotImplementedError

    def logs(self) -> Iterator[tuple[RowFile, str]]:
        raise NotImplementedError


class _Extract(_Source):
    id_column, description_column, customer_column = "id", "description", "customer"

    def __init__(self, path: Path, options: Mapping[str, str]) -> None:
        log = choice(options, "log", ("both", *LOGS))
        self.log_files = {k: path / v for k, v in LOGS.items() if log in ("both", k)}
        self.articles = RowFile(path / "items.parquet")
        require_columns(self.articles, "id", "product_code", "title", "split")
        files = sorted(path.glob("images-*.parquet"))
        self.pictures = PictureTables(files, column(self.articles.path, "id"))

    def has_picture(self, article: str) -> bool:
        return article in self.pictures

    def picture(self, article: str) -> bytes | None:
        return self.pictures.get(article)

    def logs(self) -> Iterator[tuple[RowFile, str]]:
        for name, file in self.log_files.items():
            yield RowFile(file), f"{name}:"


class _Kaggle(_Source):
    id_column, description_column, customer_column = "article_id", "detail_desc", "customer_id"

    def __init__(self, path: Path) -> None:
        self.articles = RowFile(path / "articles.csv")
        require_columns(self.articles, "article_id", "product_code", "prod_name")
        self.log_file = path / "transactions_train.csv"
        folder = path / "images"
        self.pictures = PictureFolder(folder) if folder.is_dir() else None

    @staticmethod
    def _name(article: str) -> str:
        return f"{article[:3]}/{article}.jpg"

    def has_picture(self, article: str) -> bool:
        return self.pictures is not None and self.pictures.has(self._name(article))

    def picture(self, article: str) -> bytes | None:
        if self.pictures is None or not self.has_picture(article):
            return None
        return self.pictures.read(self._name(article))

    def logs(self) -> Iterator[tuple[RowFile, str]]:
        # The competition's largest file (3.5 GB) is often not downloaded: products do without.
        if self.log_file.is_file():
            file = RowFile(self.log_file)
            require_columns(file, "t_dat", "customer_id", "article_id", "price")
            yield file, ""


def _product(
    article: str, row: Mapping[str, Any], description_column: str, picture: bytes | None
) -> Product:
    if not article:
        raise DataError("the article has no id", cure="correct the row")
    pairs = {key: known(row.get(f"{key}_name"), UNKNOWN) for key in ATTRIBUTES}
    levels = ("product_group_name", "product_type_name")
    category = (fields.text(known(row.get(c), UNKNOWN), c) for c in levels)
    title_column = "title" if "title" in row else "prod_name"
    return Product(
        id=article,
        title=fields.text(row[title_column], title_column),
        images=() if picture is None else (picture,),
        category=tuple(level for level in category if level),
        attributes=fields.attributes(pairs, ""),
        description=fields.text(row.get(description_column), description_column),
        group=fields.text(row["product_code"], "product_code"),
        split=fields.split(row["split"], "split") if "split" in row else "train",
    )


def _event(article: str, row: Mapping[str, Any], prefix: str, customer_column: str) -> Event:
    time = fields.time(row["t_dat"], "t_dat")
    customer = fields.text(row[customer_column], customer_column)
    if time is None or not customer or not article:
        raise DataError("the purchase lacks its day, customer or article", cure="correct the row")
    price = fields.price(row["price"], "price")
    return Event(time, f"{prefix}{customer}", article, "purchase", price=price)
