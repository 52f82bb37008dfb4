"""Entity filter: pairs whose query text or item title names fewer than two entities are left out.

methods.md 3.5, step 4: what names so little asks for anything. A query with a photo is not judged,
with words or without: the photo says what is meant. A product without a title names nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from moonshelf.catalog.cleaning.lexicon import Lexicon
from moonshelf.catalog.cleaning.matcher import Matcher, compact_form
from moonshelf.catalog.cleaning.outcome import KEPT, Cleaned
from moonshelf.catalog.pair_set import TABLE_QUERY, PairSet
from moonshelf.catalog.pairs import usable_queries
from moonshelf.catalog.product import View, product_text
from moonshelf.catalog.store import Catalog
from moonshelf.errors import DataError, UsageError
from moonshelf.progress import Progress, silent

STEP = "entities"
LEAST = 2
REASONS = (KEPT, "its query names too few", "its item names too few", "both name too few")
_REPORT_EVERY = 1024
_SILENT = -1  # entities of a query that is not judged


@dataclass(frozen=True, slots=True)
class Mention:
    """``text`` is ``whole[start:end]`` in code points and names something of ``kind``: an
    attribute's key, or a model's label."""

    start: int
    end: int
    kind: str
    text: str


class EntityTagger(Protocol):
    """Finds entities in a text. The catalogue's own values do so by default
    (:class:`CatalogTagger`); a named-entity model does so just as well."""

    name: str
    """What the history of a pair set calls it."""

    def __call__(self, text: str) -> Sequence[Mention]: ...


class CatalogTagger:
    """Entities are the attribute values of a catalogue and the words that its titles use for them,
    the longest first."""

    name = "catalog values"

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._kinds = {**lexicon.wordings, **lexicon.kinds}
        self._matcher = Matcher(self._kinds)

    def __call__(self, text: str) -> Sequence[Mention]:
        return [
            Mention(start, end, self._kinds[form], text[start:end])
            for start, end, form in self._matcher.find(text)
        ]


def few_entities(
    pairs: PairSet,
    tagger: EntityTagger,
    *,
    least: int = LEAST,
    fields: tuple[str, ...] = ("title",),
    progress: Progress = silent,
) -> Cleaned:
    """Leaves out pairs whose query or item names fewer than ``least`` different entities.

    Args:
        pairs: any.
        tagger: finds the entities.
        least: entities that a text must name.
        fields: text of a product; the paper reads titles, but where titles are names ("Dolly"),
            all of them name too little.

    Raises:
        UsageError: ``least`` is below 1, or there is no such field.
        DataError: the tagger gave a span outside its text.
    """
    if least < 1:
        raise UsageError(f"{least} entities are in every text", cure="ask for 1 or more")
    catalog = pairs.catalog
    of_table = pairs.query_kind == TABLE_QUERY
    rows = np.unique(np.concatenate([pairs.item, pairs.query[~of_table]]))
    asked = np.unique(pairs.query[of_table])
    asked = asked[~usable_queries(catalog, View.IMAGE)[asked]]
    words = catalog.query_column("text").take(pa.array(asked)).to_pylist()
    texts = [*_texts(catalog, rows, fields), *(text or "" for text in words)]
    counts = entity_counts(tagger, texts, progress)
    products, queries = (np.full(n, _SILENT) for n in (len(catalog), len(catalog.query_splits())))
    products[rows], queries[asked] = counts[: len(rows)], counts[len(rows) :]
    query = np.empty(len(pairs), dtype=np.int64)
    query[of_table] = queries[pairs.query[of_table]]
    query[~of_table] = products[pairs.query[~of_table]]
    item = products[pairs.item]
    why = ((query < least) & (query != _SILENT)) + 2 * (item < least)
    return Cleaned.of(pairs, why, REASONS, _facts(tagger, query[query != _SILENT], item))


def entity_counts(
    tagger: EntityTagger, texts: Sequence[str], progress: Progress = silent
) -> np.ndarray:
    """int64 [n]: how many different entities each text names: "red red dress" names two."""
    counts = np.empty(len(texts), dtype=np.int64)
    for k, text in enumerate(texts):
        counts[k] = len({_wording(mention, text) for mention in tagger(text)})
        if k % _REPORT_EVERY == 0:
            progress(k, len(texts))
    progress(len(texts), len(texts))
    return counts


def _wording(mention: Mention, text: str) -> str:
    if not 0 <= mention.start < mention.end <= len(text):
        raise DataError(
            f"the tagger found an entity at {mention.start} to {mention.end} in a text of "
            f"{len(text)} characters",
            where=repr(text[:60]),
            cure="check the tagger",
        )
    words = text[mention.start : mention.end]
    return compact_form(words) or words


def _facts(tagger: EntityTagger, query: np.ndarray, item: np.ndarray) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "tagger": tagger.name,
        "entities of a query": _mean(query),
        "entities of an item": _mean(item),
    }
    if isinstance(tagger, CatalogTagger):
        facts["values"] = len(tagger.lexicon.kinds)
        facts["other words for values"] = len(tagger.lexicon.wordings)
        facts["values left out"] = {
            reason: len(found) for reason, found in tagger.lexicon.left_out.items()
        }
    return facts


def _mean(counts: np.ndarray) -> float | None:
    return float(counts.mean()) if len(counts) else None


def _texts(catalog: Catalog, rows: np.ndarray, fields: tuple[str, ...]) -> list[str]:
    """The text of products; titles alone without touching a picture."""
    if fields == ("title",):
        titles = catalog.column("title").take(pa.array(rows)).to_pylist()
        return [title or "" for title in titles]
    return [product_text(catalog[int(row)], fields) for row in rows]
