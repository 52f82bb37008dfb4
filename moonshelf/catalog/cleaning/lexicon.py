"""Which words name attributes: learned from the attribute values of a catalogue's train products.

A value is a run of words; each of its parts at "/", "&", "," is one as well ("Jumpsuit/Playsuit").
Categories are values too: what a product *is* is its first entity.

Not every value is an entity: shops write "Other", "No", "1" and use common words ("And", "Core")
as brands and lines. No list of such words is kept; the catalogue itself tells them:

* *no word*: a number, or one word with a single letter ("M", "5S", but not "18 V");
* *untrue*: enough titles say it, of products that have the key, and hardly any of them carry it;
* *anywhere*: carried under keys that have nothing else in common, and no title vouches for it.

A value that too few titles say to judge stays: one that never stands in a text does no harm.
Words that titles use for a value are learned beside them (``wordings.py``).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pyarrow as pa

from moonshelf.catalog.attribute_text import known_values
from moonshelf.catalog.cleaning.matcher import Matcher, compact_form
from moonshelf.catalog.cleaning.wordings import Titled, learn_wordings
from moonshelf.catalog.cleaning.words import words
from moonshelf.catalog.reference_attributes import ProductAttributes
from moonshelf.catalog.store import Catalog
from moonshelf.errors import DataError

LONGEST = 8
"""Words of a value; what is longer is a sentence."""
STUDIED = 50_000
"""Train products that are read, evenly spaced over a larger catalogue."""
LEAST_SAID, LEAST_TRUE = 20, 0.1
"""Titles that must say a value for it to be judged, and the share of them that must carry it."""
UNLIKE_KEYS = 3
"""Keys that have nothing else in common, and carry a value, for it to be one of any key."""
ALIKE = 0.1
"""Keys are alike that share so many of the values of the smaller one, and at least two."""
CATEGORY = "category"
_MOST_KEYS = 64
_PARTS = re.compile(r"\s*[/&,;|+]\s*")

Facts = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Lexicon:
    """``kinds``: compact form of a value -> the key that most products carry it under;
    ``wordings``: other words for values -> their key;
    ``left_out``: reason -> values that are no entities, the most carried first."""

    kinds: Mapping[str, str]
    wordings: Mapping[str, str]
    left_out: Mapping[str, tuple[str, ...]]


def learn_lexicon(catalog: Catalog, more: Mapping[str, Facts] | None = None) -> Lexicon:
    """The values of a catalogue's train products that name attributes.

    Args:
        catalog: with attributes or categories.
        more: product id -> key -> values, from beside the catalogue (:func:`reference_facts`).

    Raises:
        DataError: no train product has a value.
    """
    rows = catalog.split_rows("train")
    if len(rows) > STUDIED:
        rows = rows[np.linspace(0, len(rows) - 1, STUDIED).astype(np.int64)]
    at = pa.array(rows)
    counts = _Counts()
    carried = [counts.count_values(product) for product in _facts(catalog, at, more or {})]
    if not counts.by_key:
        raise DataError(
            "no train product has an attribute or a category that names entities",
            where=str(catalog.path),
            cure="import the attributes, or give a file of reference attributes",
        )
    names = ("title", "group", "id")
    texts = zip(*(catalog.column(name).take(at).to_pylist() for name in names), strict=True)
    products = [
        Titled(title or "", f"group {group}" if group else f"product {name}", mine)
        for mine, (title, group, name) in zip(carried, texts, strict=True)
    ]
    matcher = Matcher(counts.by_key)
    for product in products:
        counts.count_title(product.carried, {form for *_, form in matcher.find(product.title)})
    kinds, left_out = counts.judged()
    return Lexicon(kinds, learn_wordings(products, matcher), left_out)


def reference_facts(records: Iterable[ProductAttributes]) -> dict[str, Facts]:
    """Product id -> key -> values of a file of reference attributes."""
    return {record.product: known_values(record) for record in records}


@lru_cache(maxsize=1 << 16)
def value_forms(value: str) -> tuple[tuple[str, str], ...]:
    """Compact forms of a value and of its parts, with how each is written. Pure, so remembering
    it is safe."""
    found: dict[str, str] = {}
    for part in (value, *_PARTS.split(value)):
        if 0 < len(words(part)) <= LONGEST:
            found.setdefault(compact_form(part), part.strip())
    return tuple(found.items())


@dataclass
class _Counts:
    """What products carry and what their titles say; counters by compact form, then by key."""

    by_key: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    said: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    true: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    values: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    written: dict[str, str] = field(default_factory=dict)

    def count_values(self, product: Facts) -> dict[str, frozenset[str]]:
        """Counts a product as carrier of its values; their forms by key."""
        mine = {}
        for key, values in product.items():
            forms: dict[str, str] = {}
            for value in values:
                forms.update(value_forms(value))
            for form, written in forms.items():
                self.written.setdefault(form, written)
                self.by_key[form][key] += 1
            self.values[key].update(forms)
            mine[key] = frozenset(forms)
        return mine

    def count_title(self, mine: Mapping[str, frozenset[str]], titled: Iterable[str]) -> None:
        """Counts whether a product carries what its title says, under each key that it has."""
        for form in titled:
            for key in self.by_key[form].keys() & mine.keys():
                self.said[form][key] += 1
                self.true[form][key] += form in mine[key]

    def judged(self) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
        """Kinds of the values that name something, and the others by reason."""
        kinds: dict[str, str] = {}
        left_out: dict[str, list[str]] = defaultdict(list)
        for form in sorted(self.by_key, key=lambda f: (-self.by_key[f].total(), f)):
            reason = self._refusal(form)
            if reason is None:
                by_key = self.by_key[form]
                kinds[form] = min(by_key, key=lambda key: (-by_key[key], key))
            else:
                left_out[reason].append(self.written[form])
        return kinds, {reason: tuple(found) for reason, found in left_out.items()}

    def _refusal(self, form: str) -> str | None:
        letters = sum(c.isalpha() for c in form)
        if not letters or (letters == 1 and form.isascii() and _is_one_word(self.written[form])):
            return "no word"
        judged = [key for key, titles in self.said[form].items() if titles >= LEAST_SAID]
        if any(self.true[form][key] >= LEAST_TRUE * self.said[form][key] for key in judged):
            return None
        if judged:
            return "untrue"
        return "anywhere" if self._unlike(form) >= UNLIKE_KEYS else None

    def _unlike(self, form: str) -> int:
        """How many kinds of keys carry a value: keys that share other values are of one kind."""
        kinds: list[set[str]] = []
        for key, _ in self.by_key[form].most_common(_MOST_KEYS):
            values = self.values[key]
            alike = [k for k in kinds if len(k & values) - 1 >= _needed(k, values)]
            kinds = [k for k in kinds if not any(k is a for a in alike)]
            kinds.append(values.union(*alike))
        return len(kinds)


def _is_one_word(text: str) -> bool:
    return len(words(text)) == 1


def _needed(one: set[str], other: set[str]) -> float:
    return max(2, ALIKE * min(len(one), len(other)))


def _facts(
    catalog: Catalog, at: pa.Array, more: Mapping[str, Facts]
) -> Iterator[dict[str, list[str]]]:
    """Key -> values of each row, categories and what is known from beside among them."""
    names = ("id", "attributes", "category")
    columns = (catalog.column(name).take(at).to_pylist() for name in names)
    for product, attributes, path in zip(*columns, strict=True):
        found: dict[str, list[str]] = defaultdict(list)
        for key, values in attributes or ():
            found[key] += values or ()
        for key, values in more.get(product, {}).items():
            found[key] += values
        found[CATEGORY] += path or ()
        yield {key: values for key, values in found.items() if values}
