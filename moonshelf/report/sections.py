"""The sections of a run's report, each from the folders that the verbs wrote."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from moonshelf.catalog.crops.cropper import use_crops
from moonshelf.catalog.pairs import usable_rows
from moonshelf.catalog.product import Content, Query, View, product_content
from moonshelf.catalog.store import Catalog
from moonshelf.center.store import Store
from moonshelf.center.strip import result_strip, thumbnail_url
from moonshelf.encoder import Encoder, PrefixEncoder
from moonshelf.errors import ImageError, UsageError
from moonshelf.evaluation.report import to_html
from moonshelf.evaluation.results import Results
from moonshelf.report.curves import curves
from moonshelf.report.page import Section
from moonshelf.training.tracking import read_metrics


def catalog_section(catalog: Catalog, pictures: int = 16, seed: int = 0) -> Section:
    """Counts, and up to ``pictures`` products picked at random."""
    splits = {name: len(catalog.split_rows(name)) for name in ("train", "val", "test")}
    facts = {
        "products": f"{len(catalog):,}",
        "train / val / test": " / ".join(f"{count:,}" for count in splits.values()),
        "queries": f"{len(catalog.queries()):,}",
        "events": f"{catalog.events().num_rows:,}",
    }
    rows = np.sort(np.random.default_rng(seed).permutation(len(catalog))[:pictures])
    cards = "".join(_card(catalog, int(row)) for row in rows)
    body = f'<section class="strip"><ol>{cards}</ol></section>'
    return Section("Catalog", f"{len(rows)} products picked at random.", facts, body)


def _card(catalog: Catalog, row: int) -> str:
    product = catalog[row]
    try:
        url = thumbnail_url(product.images[0]) if product.images else ""
    except ImageError:
        url = ""
    title = html.escape(product.title or product.id)
    well = f'<img src="{url}" alt="{title}" loading="lazy">' if url else "no readable picture"
    return (
        f'<li><figure><div class="well">{well}</div><figcaption><span class="name">{title}</span>'
        f"<small>{html.escape(' > '.join(product.category))}</small></figcaption></figure></li>"
    )


def training_section(run: Path) -> Section:
    """Curves and the summary of ``metrics.json``.

    Raises:
        UsageError: ``run`` is no folder of a finished run (a bare encoder folder, say).
    """
    lines = read_metrics(run / "metrics.jsonl")
    try:
        summary = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"metrics.json cannot be read ({error})",
            where=str(run),
            cure="give the run folder that moonshelf train wrote, after training has finished",
        ) from error
    facts: dict[str, str] = {}
    for name, stage in summary["stages"].items():
        facts |= {
            f"{name}: steps": f"{stage['steps']:,}",
            f"{name}: minutes": f"{stage['seconds'] / 60:.1f}",
            f"{name}: pairs a second": f"{stage['samples_per_s']:,.0f}",
            f"{name}: last loss": f"{stage['loss']:.3f}",
        }
    for line in lines:
        if "val/image-search/photos" in line:
            facts["image-search curve"] = f"{line['val/image-search/photos']} photos"
    memory = max((line.get("memory_mib", 0.0) for line in lines), default=0.0)
    facts["peak memory"] = f"{memory / 1024:.2f} GiB"
    lead = "Training losses are of training batches; the validation curve is of the val split."
    return Section("Training", lead, facts, curves(lines))


def evaluation_section(results: Sequence[Results]) -> Section:
    """Tables with intervals; the first row block is the encoder, the rest are controls."""
    lead = (
        "Test split. Full candidate pools, titles only (no label text), ties at mid-rank. "
        "Controls learn nothing or almost nothing: they say how hard the task is."
    )
    return Section("Evaluation", lead, {}, to_html(results))


def search_section(
    encoder: Encoder | PrefixEncoder, store: Store, catalog: Catalog, *, each: int = 3, k: int = 8
) -> Section:
    """Search by words, by a user's photo and by both; right answers are framed where known."""
    use_crops(encoder, catalog)
    strips: list[str] = []
    for query in _sample(catalog, each):
        content = Content(query.text or None, query.images)
        hits = store.search(encoder.embed([content])[0], k)
        picture = query.images[0] if query.images else None
        strips.append(
            result_strip(hits, catalog, text=query.text, picture=picture, wanted=query.positives)
        )
    if not strips:
        strips = _title_searches(encoder, store, catalog, 2 * each, k)
    lead = "Queries of the test split, never seen in training. Known right answers are framed."
    return Section("Search", lead, {}, "\n".join(strips))


def _sample(catalog: Catalog, each: int) -> list[Query]:
    """The first queries of the test split of each kind: words, a picture, both."""
    taken: dict[tuple[bool, bool], list[Query]] = {}
    for query in catalog.queries("test"):
        kind = taken.setdefault((bool(query.text), bool(query.images)), [])
        if len(kind) < each:
            kind.append(query)
    return [query for queries in taken.values() for query in queries]


def _title_searches(
    encoder: Encoder | PrefixEncoder, store: Store, catalog: Catalog, count: int, k: int
) -> list[str]:
    """Titles of test products, where a catalogue has no queries: the product itself is framed."""
    strips = []
    rows = catalog.split_rows("test")
    for row in _spread(rows[usable_rows(catalog, View.TEXT)[rows]], count):
        product = catalog[int(row)]
        hits = store.search(encoder.embed([Content(product.title)])[0], k)
        strips.append(result_strip(hits, catalog, text=product.title, wanted=[product.id]))
    return strips


def neighbor_section(
    encoder: Encoder | PrefixEncoder, store: Store, catalog: Catalog, *, count: int = 4, k: int = 8
) -> Section:
    """The products nearest to some test products, by picture and title together."""
    use_crops(encoder, catalog)
    strips = []
    for row in _spread(catalog.split_rows("test"), count):
        product = catalog[int(row)]
        vector = encoder.embed([product_content(product, View.BOTH)])[0]
        hits = [hit for hit in store.search(vector, k + 1) if hit.id != product.id][:k]
        wanted = _same_group(catalog, product.group, product.id, [hit.id for hit in hits])
        picture = product.images[0] if product.images else None
        strips.append(
            result_strip(
                hits, catalog, text=product.title, picture=picture, note="nearest", wanted=wanted
            )
        )
    lead = "Test products and their nearest others; variants of the same style are framed."
    return Section("Neighbors", lead, {}, "\n".join(strips))


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """``count`` of ``rows``, evenly over the split."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))]


def _same_group(catalog: Catalog, group: str, own: str, ids: Sequence[str]) -> list[str]:
    return [i for i in ids if group and i != own and catalog.get(i).group == group]


def time_section(steps: dict[str, float], peak_mib: float) -> Section:
    """Seconds of each step of a demo, and the peak memory of the process."""
    facts = {name: f"{seconds:,.1f} s" for name, seconds in steps.items()}
    facts |= {"total": f"{sum(steps.values()) / 60:.1f} min", "peak memory": f"{peak_mib:,.0f} MiB"}
    return Section("Time", "Wall-clock seconds of each step of this run.", facts)


def saved_evaluations(run: Path) -> list[Section]:
    """The tables that ``moonshelf evaluate`` left in the run folder, newest last.

    A run folder may come from a stranger: of its HTML only words, headings, tables and lists pass.
    """
    files = sorted(run.glob("evaluation/*/table.html"), key=lambda file: file.stat().st_mtime)
    return [
        Section(f"Evaluation {file.parent.name}", "", {}, _Plain.of(file.read_text("utf-8")))
        for file in files
    ]


class _Plain(HTMLParser):
    """Repeats the tags that evaluation's tables are made of, without attributes, and escapes all
    else; a script or style is dropped with what is in it."""

    _KEPT = frozenset(
        {"h2", "h3", "h4", "p", "details", "summary", "ul", "li"}
        | {"table", "thead", "tbody", "tr", "th", "td"}
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._hidden = ""

    @classmethod
    def of(cls, fragment: str) -> str:
        parser = cls()
        parser.feed(fragment)
        parser.close()
        return f'<div class="evaluation">{"".join(parser._parts)}</div>'

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in self.CDATA_CONTENT_ELEMENTS:
            self._hidden = tag
        elif tag in self._KEPT:
            self._parts.append(f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""
        elif tag in self._KEPT:
            self._parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._parts.append(html.escape(data))
