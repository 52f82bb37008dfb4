"""What a catalogue holds: counts, gaps, splits, duplicates; as a mapping and as a page."""

from __future__ import annotations

import base64
import datetime
import html
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from moonshelf.catalog.images import open_picture
from moonshelf.catalog.product import SPLITS, Product
from moonshelf.catalog.store import Catalog
from moonshelf.errors import ImageError
from moonshelf.files import write_bytes_atomically

pc: Any = pyarrow.compute  # its functions are made as it loads: no checker sees them

TOP = 20
SAMPLES = 24
THUMBNAIL = 160
_TEXTS = ("title", "description", "group", "shop")


def inspect_catalog(catalog: Catalog) -> dict[str, Any]:
    """Section name -> mapping or list of mappings, all plain JSON values.

    Sections: counts, splits, missing, groups, duplicates, categories, attributes, pictures,
    queries, events, sources.
    """
    rows, numbers = catalog.picture_links()
    return {
        "counts": {
            name: catalog.manifest[name] for name in ("products", "pictures", "queries", "events")
        },
        "splits": _splits(catalog),
        "missing": _missing(catalog),
        "groups": _groups(catalog),
        "duplicates": _duplicates(catalog, rows, numbers),
        "categories": _categories(catalog),
        "attributes": _attributes(catalog),
        "pictures": _pictures(catalog, rows),
        "queries": _queries(catalog),
        "events": _events(catalog),
        "sources": _sources(catalog),
    }


def write_inspection_html(
    catalog: Catalog, path: Path | str, found: Mapping[str, Any] | None = None, seed: int = 0
) -> None:
    """Writes one self-contained page: the sections of :func:`inspect_catalog`, and sample products
    with their first picture (re-encoded, as data URLs). Everything from the catalogue is escaped.
    """
    found = inspect_catalog(catalog) if found is None else found
    count = min(SAMPLES, len(catalog))
    rows = np.sort(np.random.default_rng(seed).choice(len(catalog), count, replace=False))
    cards = "".join(_card(catalog[int(row)]) for row in rows)
    sections = "".join(_section(title, section) for title, section in found.items() if section)
    name = html.escape(catalog.path.name)
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<meta name=viewport content='width=device-width'><title>{name}</title>"
        f"<style>{_STYLE}</style><h1>{name}</h1>"
        f"<h2>sample products</h2><div class=cards>{cards}</div>"
        f"<div class=sections>{sections}</div></html>\n"
    )
    write_bytes_atomically(Path(path), page.encode())


# ---- sections


def _splits(catalog: Catalog) -> dict[str, Any]:
    products = np.bincount(catalog.product_splits(), minlength=len(SPLITS))
    queries = np.bincount(catalog.query_splits(), minlength=len(SPLITS))
    return {
        split: {"products": int(products[k]), "queries": int(queries[k])}
        for k, split in enumerate(SPLITS)
    }


def _missing(catalog: Catalog) -> dict[str, Any]:
    """Per field: how many products lack it."""
    lacking = {
        name: pc.sum(pc.equal(pc.utf8_trim_whitespace(catalog.column(name)), "")) for name in _TEXTS
    }
    for name in ("category", "attributes"):
        lacking[name] = pc.sum(pc.equal(_lengths(catalog.column(name)), 0))
    lacking["pictures"] = pc.sum(pc.equal(catalog.column("image_count"), 0))
    for name in ("price", "time"):
        lacking[name] = pc.sum(pc.is_null(catalog.column(name)))
    counted = {name: value.as_py() or 0 for name, value in lacking.items()}
    return {
        name: {"products": count, "share": _share(count, len(catalog))}
        for name, count in counted.items()
    }


def _groups(catalog: Catalog) -> dict[str, Any]:
    sizes = _sizes(_filled(catalog.column("group")))
    several = sizes[sizes > 1]
    return {
        "groups": len(sizes),
        "products in a group": int(sizes.sum()),
        "groups of several": len(several),
        "products in those": int(several.sum()),
        "largest": int(sizes.max(initial=0)),
    }


def _duplicates(catalog: Catalog, rows: np.ndarray, numbers: np.ndarray) -> dict[str, Any]:
    titles = _sizes(_filled(catalog.column("title")))
    # A product that shows one picture twice is no duplicate of another product.
    pairs = np.unique(np.stack([numbers, rows], axis=1), axis=0)
    bearers = np.bincount(pairs[:, 0]) if len(pairs) else np.empty(0, np.int64)
    contents = _sizes(catalog.column("content_hash"))
    return {
        "titles used several times": int((titles > 1).sum()),
        "products with such a title": int(titles[titles > 1].sum()),
        "pictures used by several products": int((bearers > 1).sum()),
        "products with such a picture": len(np.unique(pairs[bearers[pairs[:, 0]] > 1, 1])),
        "most products of one picture": int(bearers.max(initial=0)),
        "products equal in everything shown": int(contents[contents > 1].sum()),
    }


def _categories(catalog: Catalog) -> list[dict[str, Any]]:
    """The most frequent top levels, with how many leaves lie below each."""
    column = catalog.column("category")
    tops: dict[str, list[Any]] = {}
    filled = column.filter(pc.greater(pc.list_value_length(column), 0))
    for counted in _counted(filled):
        path, count = counted
        entry = tops.setdefault(path[0], [0, 0])
        entry[0] += count
        entry[1] += 1
    best = sorted(tops.items(), key=lambda item: (-item[1][0], item[0]))
    return [{"category": name, "products": n, "paths": paths} for name, (n, paths) in best[:TOP]]


def _counted(column: pa.ChunkedArray) -> list[tuple[tuple[str, ...], int]]:
    """Distinct category paths and how often each occurs."""
    joined = pc.binary_join(column, "\x1f")
    counts = pc.value_counts(joined).to_pylist()
    return [(tuple(entry["values"].split("\x1f")), entry["counts"]) for entry in counts]


def _attributes(catalog: Catalog) -> list[dict[str, Any]]:
    """The attribute keys that most products have, with how many values each takes."""
    columns = [chunk for chunk in catalog.column("attributes").chunks if len(chunk)]
    if not columns:
        return []
    keys = pa.concat_arrays([chunk.keys for chunk in columns])
    values = pa.concat_arrays([chunk.items for chunk in columns])
    table = pa.table({"key": keys, "first": pc.list_element(_padded(values), 0)})
    grouped = table.group_by("key").aggregate([("first", "count_distinct"), ("key", "count")])
    best = sorted(grouped.to_pylist(), key=lambda row: (-row["key_count"], row["key"]))
    return [
        {
            "key": row["key"],
            "products": row["key_count"],
            "share": _share(row["key_count"], len(catalog)),
            "values": row["first_count_distinct"],
        }
        for row in best[:TOP]
    ]


def _padded(values: pa.Array) -> pa.Array:
    """Lists with at least one value each; an attribute without values has none to count."""
    return pc.if_else(
        pc.greater(pc.list_value_length(values), 0), values, pa.scalar([None], values.type)
    )


def _pictures(catalog: Catalog, rows: np.ndarray) -> dict[str, Any]:
    table = catalog.picture_table()
    if not len(table):
        return {}
    per_product = np.bincount(rows, minlength=len(catalog))
    found: dict[str, Any] = {
        "different": len(table),
        "per product, mean": round(float(per_product.mean()), 2),
        "per product, most": int(per_product.max(initial=0)),
        "megabytes": round(float(table["length"].sum()) / 1e6, 1),
    }
    for name in ("width", "height"):
        low, middle, high = np.percentile(table[name], [0, 50, 100]).astype(int).tolist()
        found[f"{name}, least / median / most"] = f"{low} / {middle} / {high}"
    sizes, counts = np.unique(
        np.stack([table["width"], table["height"]], axis=1), axis=0, return_counts=True
    )
    best = counts.argmax()
    found["most frequent size"] = f"{sizes[best][0]} x {sizes[best][1]} ({counts[best]:,})"
    return found


def _queries(catalog: Catalog) -> dict[str, Any]:
    count = catalog.manifest["queries"]
    if not count:
        return {}
    queries = catalog.queries()
    positives = [len(query.positives) for query in queries]
    return {
        "with text": sum(bool(query.text) for query in queries),
        "with a picture": sum(bool(query.images) for query in queries),
        "with grades": sum(bool(query.grades) for query in queries),
        "without positives": sum(not n for n in positives),
        "positives, mean": round(sum(positives) / count, 2),
        "positives, most": max(positives),
    }


def _events(catalog: Catalog) -> dict[str, Any]:
    events = catalog.events()
    found = {}
    counts = events.group_by("kind").aggregate(
        [("time", "count"), ("time", "min"), ("time", "max"), ("user", "count_distinct")]
    )
    for row in sorted(counts.to_pylist(), key=lambda row: -row["time_count"]):
        found[row["kind"]] = {
            "events": row["time_count"],
            "users": row["user_count_distinct"],
            "first": _day(row["time_min"]),
            "last": _day(row["time_max"]),
        }
    return found


def _sources(catalog: Catalog) -> list[dict[str, Any]]:
    return [
        {
            "generation": part["folder"],
            "created": part.get("created", ""),
            "products": part["products"],
            "queries": part["queries"],
            "events": part["events"],
            "source": ", ".join(f"{k} {v}" for k, v in (part.get("source") or {}).items()),
        }
        for part in catalog.manifest["generations"]
    ]


def _lengths(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_map(column.type):
        lengths = [pa.array(np.diff(np.asarray(chunk.offsets))) for chunk in column.chunks]
        return pa.chunked_array(lengths, pa.int32())
    return pc.list_value_length(column)


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.filter(pc.not_equal(pc.utf8_trim_whitespace(column), ""))


def _sizes(column: pa.ChunkedArray) -> np.ndarray:
    """int64: how often each distinct value occurs."""
    return np.asarray(pc.value_counts(column).field("counts"), dtype=np.int64)


def _share(count: int, total: int) -> float:
    return round(count / total, 4) if total else 0.0


def _day(seconds: int) -> str:
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s"  # further from today than a calendar reaches


# ---- page

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.05rem;margin:1.6rem 0 .5rem;text-transform:capitalize}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(10rem,1fr));gap:.8rem}
.card{border:1px solid #ddd;border-radius:6px;padding:.5rem;font-size:.8rem;overflow:hidden}
.card img,.none{width:100%;height:10rem;object-fit:contain;background:#fff}
.none{display:grid;place-items:center;color:#888}.small{color:#777;overflow-wrap:anywhere}
table{border-collapse:collapse}td,th{padding:.15rem .9rem .15rem 0;text-align:left;
vertical-align:top;overflow-wrap:anywhere}th{color:#777;font-weight:500}
.sections{columns:34rem 2}section{break-inside:avoid}
"""


def _card(product: Product) -> str:
    title = html.escape(product.title[:120] or "(no title)")
    path = html.escape(" > ".join(product.category)[:120])
    facts = html.escape(f"{product.id} · {product.split}")
    return (
        f"<div class=card>{_thumbnail(product)}<div>{title}</div>"
        f"<div class=small>{path}</div><div class=small>{facts}</div></div>"
    )


def _thumbnail(product: Product) -> str:
    """The first picture re-encoded small: what a browser gets was decoded by us before."""
    if not product.images:
        return "<div class=none>no picture</div>"
    try:
        image = open_picture(product.images[0])
    except ImageError as error:
        return f"<div class=none>{html.escape(error.what[:80])}</div>"
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{data}">'


def _section(title: str, section: Any) -> str:
    if isinstance(section, Mapping):
        nested = all(isinstance(value, Mapping) for value in section.values())
        rows = [
            {"": key, **(value if nested else {"value": value})} for key, value in section.items()
        ]
    else:
        rows, nested = list(section), True
    heads = list(rows[0])
    head = "".join(f"<th>{html.escape(str(name))}" for name in heads) if nested else ""
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_shown(row.get(name)))}" for name in heads)
        for row in rows
    )
    return f"<section><h2>{html.escape(title)}</h2><table><tr>{head}{body}</table></section>"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
