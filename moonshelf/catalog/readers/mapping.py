"""Which column of a table feeds which field: what the user said, else common names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moonshelf.errors import UsageError

# field -> the common column names that feed it, compared without case, spaces and punctuation.
# The first match in this order wins; a field left without column is empty.
COMMON: dict[str, dict[str, tuple[str, ...]]] = {
    "products": {
        "id": ("id", "productid", "itemid", "sku", "articleid", "productuid", "asin", "uid"),
        "title": ("title", "name", "productname", "producttitle", "productdisplayname"),
        "image": (
            "image",
            "images",
            "imagepath",
            "imagefile",
            "imagename",
            "picture",
            "pictures",
            "photo",
            "filename",
        ),
        "category": ("category", "categories", "categorypath", "productcategory"),
        "attributes": ("attributes", "attrs", "specs", "specifications", "properties"),
        "description": ("description", "productdescription", "desc", "details"),
        "group": (
            "group",
            "groupid",
            "spu",
            "spuid",
            "productcode",
            "style",
            "styleid",
            "parentid",
        ),
        "shop": ("shop", "shopid", "seller", "sellerid", "store", "vendor", "merchant"),
        "price": ("price", "saleprice", "listprice"),
        "time": ("time", "timestamp", "listedat", "createdat", "date", "addedat"),
        "split": ("split", "subset", "fold"),
    },
    "queries": {
        "id": ("id", "queryid", "qid"),
        "text": ("text", "query", "searchterm", "querytext", "keywords"),
        "image": ("image", "images", "imagepath", "imagefile", "picture", "photo", "filename"),
        "positives": ("positives", "positive", "items", "item", "itemid", "productid", "answers"),
        "grades": ("grades", "grade", "relevance", "labels"),
        "split": ("split", "subset", "fold"),
    },
    "events": {
        "user": ("user", "userid", "customer", "customerid", "visitor", "visitorid", "session"),
        "item": ("item", "itemid", "productid", "product", "articleid", "sku", "asin", "id"),
        "time": ("time", "timestamp", "date", "datetime", "tdat", "createdat"),
        "kind": ("kind", "event", "eventtype", "type", "action", "behavior", "behaviour"),
        "query": ("query", "queryid", "qid"),
        "position": ("position", "rank", "slot"),
        "price": ("price",),
    },
    "reviews": {
        "id": ("id", "reviewid"),
        "product": (
            "product",
            "productid",
            "item",
            "itemid",
            "articleid",
            "sku",
            "asin",
            "productuid",
            "parentasin",
        ),
        "title": ("title", "reviewtitle", "headline", "summary"),
        "text": ("text", "review", "reviewtext", "body", "reviewbody", "comment", "content"),
    },
}
REQUIRED = {
    "products": (("id",), ("title", "image")),
    "queries": (("id",), ("text", "image")),
    "events": (("user",), ("item",), ("time",)),
    "reviews": (("product",), ("text", "title")),
}
SEVERAL = ("image", "category", "attributes")  # fields that several columns may feed
REST = "rest"  # attributes=rest: every column that feeds nothing else


@dataclass(frozen=True)
class ColumnMapping:
    """Field -> the columns that feed it, and the columns that feed nothing."""

    columns: Mapping[str, tuple[str, ...]]
    unused: tuple[str, ...]
    kind: str

    def one(self, field: str) -> str:
        """The column of a single-column field, or ""."""
        return self.columns.get(field, ("",))[0]

    def __str__(self) -> str:
        shown = "; ".join(f"{f} <- {', '.join(c)}" for f, c in self.columns.items())
        if self.unused:
            shown += f"; not used: {', '.join(self.unused)}"
            if self.kind == "products" and "attributes" not in self.columns:
                shown += " (--set attributes=rest keeps them as attributes)"
        return shown


def map_columns(
    header: Sequence[str], options: Mapping[str, str], kind: str, where: str
) -> ColumnMapping:
    """Resolves the mapping of one table.

    Args:
        header: the column names of the table.
        options: may hold ``field=column`` (or ``column,column``); ``field=`` maps nothing.
        kind: products | queries | events | reviews.
        where: the file, for errors.

    Raises:
        UsageError: a column that is not there, or a field that must have one has none.
    """
    common = COMMON[kind]
    found: dict[str, tuple[str, ...]] = {}
    for field in common:
        if field in options and not (field == "attributes" and options[field] == REST):
            found[field] = _named(options[field], field, header, where)
    taken = {c for columns in found.values() for c in columns}
    plain = {_plain(name): name for name in reversed(header)}
    for field, names in common.items():
        if field not in options:
            match = next((plain[n] for n in names if plain.get(n, "") not in ("", *taken)), None)
            if match is not None:
                found[field] = (match,)
                taken.add(match)
    unused = tuple(c for c in header if c not in taken)
    if options.get("attributes") == REST and unused:
        found["attributes"], unused = unused, ()
    found = {f: found[f] for f in common if found.get(f)}
    _check_required(found, header, kind, where)
    return ColumnMapping(found, unused, kind)


def has_common(header: Sequence[str], kind: str, field: str) -> bool:
    """Whether some column has a common name of ``field``."""
    return any(_plain(name) in COMMON[kind][field] for name in header)


def _named(value: str, field: str, header: Sequence[str], where: str) -> tuple[str, ...]:
    if not value:
        return ()
    names = (value,) if value in header else tuple(n.strip() for n in value.split(","))
    for name in names:
        if name not in header:
            near = difflib.get_close_matches(name, header, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"there is no column {name!r} for {field}",
                where=where,
                cure=f"{hint}columns: {_listed(header)}",
            )
    if len(names) > 1 and field not in SEVERAL:
        raise UsageError(
            f"{field} takes one column, not {len(names)}",
            where=where,
            cure=f"only {', '.join(SEVERAL)} take several",
        )
    return names


def _check_required(
    found: Mapping[str, object], header: Sequence[str], kind: str, where: str
) -> None:
    for any_of in REQUIRED[kind]:
        if not any(field in found for field in any_of):
            raise UsageError(
                f"no column looks like the {' or '.join(any_of)} of {kind}",
                where=where,
                cure=f"pass --set {any_of[0]}=COLUMN; columns: {_listed(header)}",
            )


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(name[:60] for name in header[:40])
    return shown + (f" and {len(header) - 40} more" if len(header) > 40 else "")


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
