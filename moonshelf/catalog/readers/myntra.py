"""Myntra fashion ("Fashion Product Images"): pictures, titles, categories, attributes.

Two layouts are read:

* ``items.parquet, images-*.parquet``: a research extract with splits by group.
* the original of Kaggle: ``styles.csv, images/<id>.jpg`` and, in the large version,
  ``styles/<id>.json``; it has no splits, importing draws them.

Fields. ``category`` = (master category, sub-category, article type); ``group`` = same brand and
title (extract: its group_id, which also joins identical pictures); ``time`` = listing;
``price`` in INR; ``description`` = description, style note, materials and care, size and fit,
one paragraph each. ``attributes``: the columns brand, gender, age_group, base_colour, colour1,
colour2, season, year, usage, fashion_type, and the source's own attributes under their own names
(Pattern, Fabric, Sleeve Length, Fit, Neck, Material, Occasion, ...), without the internal codes
of ``INTERNAL``. ``NA`` means missing.

Beware of label leakage: the title spells the base colour of 89 %, the gender of 92 % and the
article type of about 75 % of the products; Pattern, Fit, Material, Occasion are the honest
targets.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from moonshelf.catalog.problem import Located, Problem
from moonshelf.catalog.product import Product
from moonshelf.catalog.readers import Item, fields
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

# Codes of the shop's own software, not properties of the product; Brand repeats the column.
INTERNAL = frozenset(
    (
        "Body or Garment Size",
        "Brand",
        "Brick",
        "Business Unit",
        "Class",
        "Family",
        "Processing Time",
        "Segment",
        "Units Per Bundle",
        "taxMaterial",
    )
)
ATTRIBUTES = (
    "brand",
    "gender",
    "age_group",
    "base_colour",
    "colour1",
    "colour2",
    "season",
    "year",
    "usage",
    "fashion_type",
)
LEVELS = ("master_category", "sub_category", "article_type")
PARAGRAPHS = ("description", "style_note", "materials_care", "size_fit")
UNKNOWN = ("na", "n/a")
MAX_JSON = 4 * 2**20  # bytes of one styles/<id>.json
_CSV = {
    "id": "id",
    "title": "productDisplayName",
    "gender": "gender",
    "master_category": "masterCategory",
    "sub_category": "subCategory",
    "article_type": "articleType",
    "base_colour": "baseColour",
    "season": "season",
    "year": "year",
    "usage": "usage",
}
_JSON = {
    "title": "productDisplayName",
    "brand": "brandName",
    "gender": "gender",
    "age_group": "ageGroup",
    "base_colour": "baseColour",
    "colour1": "colour1",
    "colour2": "colour2",
    "season": "season",
    "year": "year",
    "usage": "usage",
    "fashion_type": "fashionType",
    "price": "price",
    "catalog_add_ts": "catalogAddDate",
    "attributes": "articleAttributes",
}
_JSON_LEVELS = {
    "master_category": "masterCategory",
    "sub_category": "subCategory",
    "article_type": "articleType",
}
_JSON_PARAGRAPHS = {
    "description": "description",
    "style_note": "style_note",
    "materials_care": "materials_care_desc",
    "size_fit": "size_fit_desc",
}


class MyntraReader:
    """Reads a folder with Myntra data in either layout; see the module's text for the fields."""

    name = "myntra"

    def __init__(self) -> None:
        self.options: Mapping[str, str] = {**KIND_OPTION, **IMAGES_OPTION}
        self.notes: list[str] = []

    def matches(self, path: Path) -> bool:
        return has_columns(path / "items.parquet", "article_type", "master_category") or (
            has_columns(path / "styles.csv", "articleType", "productDisplayName")
        )

    def splits(self, path: Path) -> Literal["keep", "draw"]:
        return "keep" if (path / "items.parquet").is_file() else "draw"

    def total(self, path: Path) -> int | None:
        return total_rows(path / "items.parquet")

    def read(self, path: Path, options: Mapping[str, str]) -> Iterator[Item]:
        """See :class:`~moonshelf.catalog.readers.Reader`.

        Raises:
            UsageError: an unknown option.
            DataError: a file of the set is missing or damaged.
        """
        check_set_options(self, options)
        required = pictures_required(options)
        if not wanted(options, "products"):
            self.notes.append("the set has products only")
            return
        extract = (path / "items.parquet").is_file()
        bare = 0
        for item in _extract(path) if extract else _kaggle(path, self.notes):
            if isinstance(item, Located) and not getattr(item.record, "images", ()):
                bare += 1
                if required:
                    continue
            yield item
        if bare:
            end = "left out" if required else "kept (--set images=required leaves them out)"
            self.notes.append(f"{bare:,} products without a picture {end}")


# ---- the extract


def _extract(path: Path) -> Iterator[Located | Problem]:
    items = RowFile(path / "items.parquet")
    require_columns(items, "id", "title", "attributes", "group_id", "split")
    pictures = PictureTables(sorted(path.glob("images-*.parquet")), column(items.path, "id"))

    def product(row: Mapping[str, Any]) -> Product:
        return _product(row, pictures.get(fields.text(row["id"], "id")))

    return records(items.rows(), product)


def _product(row: Mapping[str, Any], picture: bytes | None) -> Product:
    """One product out of a row with the extract's column names; missing columns are missing."""
    key = fields.text(row["id"], "id")
    if not key:
        raise fields.bad("id", row["id"], "an id")
    own = fields.json_object(row.get("attributes"), "attributes")
    pairs: dict[str, object] = {name: known(row.get(name), UNKNOWN) for name in ATTRIBUTES}
    pairs |= {k: known(v, UNKNOWN) for k, v in own.items() if k not in INTERNAL}
    levels = (fields.text(known(row.get(c), UNKNOWN), c) for c in LEVELS)
    paragraphs = (fields.text(known(row.get(c), UNKNOWN), c) for c in PARAGRAPHS)
    return Product(
        id=key,
        title=fields.text(row["title"], "title"),
        images=(picture,) if picture else (),
        category=tuple(level for level in levels if level),
        attributes=fields.attributes(pairs, ""),
        description="\n".join(dict.fromkeys(p for p in paragraphs if p)),
        group=fields.text(row["group_id"], "group_id"),
        price=fields.price(row.get("price"), "price"),
        time=fields.time(row.get("catalog_add_ts"), "catalog_add_ts"),
        split=fields.split(row["split"], "split") if "split" in row else "train",
    )


# ---- Kaggle


def _kaggle(path: Path, notes: list[str]) -> Iterator[Located | Problem]:
    # Titles with commas are not quoted in this file, and the title is its last column.
    styles = RowFile(path / "styles.csv", join_surplus=True, fallback="latin-1")
    require_columns(styles, "id", "productDisplayName", "articleType")
    pictures = PictureFolder(path / "images") if (path / "images").is_dir() else None
    more = PictureFolder(path / "styles") if (path / "styles").is_dir() else None
    without_json = 0

    def product(row: Mapping[str, Any]) -> Product:
        nonlocal without_json
        key = fields.text(row["id"], "id")
        if not key.isalnum():  # it becomes a file name
            raise fields.bad("id", key, "a style number")
        found: dict[str, Any] = {ours: row.get(theirs) for ours, theirs in _CSV.items()}
        if more is not None and more.has(f"{key}.json"):
            told = _from_json(more.read(f"{key}.json"), f"styles/{key}.json")
            found |= {k: v for k, v in told.items() if not fields.is_missing(v)}
        elif more is not None:
            without_json += 1
        brand, title = found.get("brand") or "", fields.text(found["title"], "title")
        found["group_id"] = f"{brand}|{title}".lower()
        name = f"{key}.jpg"
        has_picture = pictures is not None and pictures.has(name)
        return _product(found, pictures.read(name) if pictures and has_picture else None)

    yield from records(styles.rows(), product)
    if without_json:
        notes.append(f"{without_json:,} styles have no styles/<id>.json: only styles.csv is used")


def _from_json(data: bytes, where: str) -> dict[str, Any]:
    """The fields of one ``styles/<id>.json`` under the extract's names."""
    if len(data) > MAX_JSON:
        raise DataError(f"{where} has {len(data):,} bytes", cure="download it again")
    try:
        outer = json.loads(data)
    except (ValueError, RecursionError):
        raise DataError(f"{where} is not JSON", cure="download it again") from None
    style = outer.get("data") if isinstance(outer, dict) else None
    if not isinstance(style, dict):
        raise DataError(f"{where} has no object data", cure="download it again")
    found = {ours: style.get(theirs) for ours, theirs in _JSON.items()}
    for ours, theirs in _JSON_LEVELS.items():
        found[ours] = _inside(style, theirs, "typeName")
    for ours, theirs in _JSON_PARAGRAPHS.items():
        value = _inside(style, "productDescriptors", theirs, "value")
        found[ours] = without_markup(value) if isinstance(value, str) else None
    return found


def _inside(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def without_markup(text: str) -> str:
    """``text`` without HTML tags; paragraphs and breaks become line ends."""
    text = re.sub(r"<(script|style)\b.*?(</\1\s*>|$)", " ", text, flags=re.I | re.S)
    text = re.sub(r"<(br|p|/p|li|/li|div|/div)\b[^<>]*>", "\n", text, flags=re.I)
    text = html.unescape(re.sub(r"<[^<>]*>", "", text))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
