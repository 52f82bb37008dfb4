"""Other words for what values name: "trainer" for sneakers, "scarlet" for red, from train titles.

A catalogue keeps one wording of a value, its titles and its users have many. A word that no value
has stands for one if nearly every product whose title says it carries that value, and far more
often than products at large. Styles count, not products: all variants of a style bear its name
("Dolly"), which says nothing, and only words of many styles are asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from moonshelf.catalog.cleaning.matcher import Matcher
from moonshelf.catalog.cleaning.words import words

LEAST_STYLES = 10
"""Styles whose titles must say a word."""
SURE, LIFT = 0.8, 4.0
"""Share of them that must carry one value, and how many times the share of all styles that is."""
_SHORTEST = 3

Carried = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Titled:
    """A product of the train split: its title, its style (a group, or the product alone), and the
    compact forms of its values by key."""

    title: str
    style: str
    carried: Carried


def learn_wordings(products: Sequence[Titled], known: Matcher) -> dict[str, str]:
    """Word -> the key whose value it stands for.

    Args:
        products: of the train split.
        known: what has a wording already: words inside these are not asked.
    """
    told = [(product, frozenset(_unknown(product.title, known))) for product in products]
    styles: dict[str, set[str]] = defaultdict(set)
    for product, said in told:
        for word in said:
            styles[word].add(product.style)
    asked = {word for word, found in styles.items() if len(found) >= LEAST_STYLES}
    everywhere: Counter[tuple[str, str]] = Counter()
    beside: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    keyed: dict[str, Counter[str]] = defaultdict(Counter)
    once: set[tuple[str, str]] = set()
    for product, said in told:
        values = [(key, form) for key, forms in product.carried.items() for form in forms]
        for word in ("", *(said & asked)):
            if (word, product.style) in once:
                continue  # the first variant speaks for its style
            once.add((word, product.style))
            keyed[word].update(product.carried.keys())
            (beside[word] if word else everywhere).update(values)
    found = {}
    for word in sorted(asked):
        key = _meant(beside[word], keyed[word], everywhere, keyed[""])
        if key is not None:
            found[word] = key
    return found


def _unknown(title: str, known: Matcher) -> Iterator[str]:
    """The words of a title that are letters alone and in no phrase that is known."""
    taken = [(start, end) for start, end, _ in known.find(title)]
    for word in words(title):
        if len(word.form) < _SHORTEST or not word.form.isalpha():
            continue
        if not any(start <= word.start < end for start, end in taken):
            yield word.form


def _meant(
    beside: Counter[tuple[str, str]],
    keyed: Counter[str],
    everywhere: Counter[tuple[str, str]],
    all_keyed: Counter[str],
) -> str | None:
    """The key of the value that nearly all styles with a word carry, of those that have the key."""
    best: tuple[float, str] | None = None
    for (key, form), count in beside.items():
        if keyed[key] < LEAST_STYLES:
            continue
        share = count / keyed[key]
        base = everywhere[key, form] / all_keyed[key]
        if share >= SURE and share >= LIFT * base:
            best = max(best or (0.0, ""), (share / base, key))
    return None if best is None else best[1]
