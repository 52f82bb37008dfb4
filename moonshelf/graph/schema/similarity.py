"""How alike two elements are, in name and in what they hold. A merge needs both.

The thresholds are ours; arXiv 2511.11017 states none and lets the model decide. They are strict on
purpose: two properties left apart cost a near-duplicate, two wrongly merged ones cost facts.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from itertools import product

from moonshelf.errors import UsageError
from moonshelf.graph.edits import Usage
from moonshelf.graph.ontology import ClassDef, PropertyDef
from moonshelf.graph.schema.apply import spoken

NAMES_ALIKE = 0.80
"""Of two properties; ``wifi``/``wi_fi`` 1.0, ``colour``/``color`` 0.91, ``weight``/``height`` 0.83:
names alone prove nothing."""
BOOLEAN_NAMES_ALIKE = 0.90
"""Of two booleans: both are nearly always true, so their values say little."""
CLASS_NAMES_ALIKE = 0.90
"""Of two classes, whose members have no single value to compare."""
VALUES_ALIKE = 0.50
"""Share of the one's values that the other has too, as often."""
LEAST_DOCUMENTS = 3
"""Below it the values of a property are an accident, and no evidence for a merge."""


def name_similarity(a: ClassDef | PropertyDef, b: ClassDef | PropertyDef) -> float:
    """0 to 1: the best match among the wordings (name, label, synonyms) of the two.

    Words may stand in any order ("capacity of cooling") and be written together ("wi fi", "wifi").
    """
    fuzz = _fuzz()
    best = 0.0
    for one, other in product(_wordings(a), _wordings(b)):
        loose = fuzz.token_sort_ratio(one, other)
        compact = fuzz.ratio(one.replace(" ", ""), other.replace(" ", ""))
        best = max(best, loose, compact)
    return best / 100


def value_similarity(a: Usage, b: Usage) -> float:
    """0 to 1: how much two value distributions overlap.

    Numbers: one minus the Kolmogorov-Smirnov distance. Everything else: the sum over values of the
    smaller of the two shares (one minus the total variation distance). Rare values that ``Usage``
    leaves out count as shared by nobody. 0 where one has no value.
    """
    numbers = [_numbers(u.values) for u in (a, b)]
    if not a.values or not b.values:
        return 0.0
    if numbers[0] is not None and numbers[1] is not None:
        return 1.0 - ks_distance(numbers[0], numbers[1])
    left, right = Counter(dict(a.values)), Counter(dict(b.values))
    totals = [max(u.documents, sum(n for _, n in u.values)) for u in (a, b)]
    return sum(min(left[v] / totals[0], right[v] / totals[1]) for v in left)


def ks_distance(a: Sequence[tuple[Decimal, int]], b: Sequence[tuple[Decimal, int]]) -> float:
    """Largest gap between two empirical distribution functions; (value, count) pairs."""
    totals = [sum(n for _, n in side) for side in (a, b)]
    steps = sorted({value for value, _ in (*a, *b)})
    shares = [Counter[Decimal](), Counter[Decimal]()]
    for side, share in zip((a, b), shares, strict=True):
        for value, n in side:
            share[value] += n
    below, gap = [0, 0], 0.0
    for value in steps:
        below = [n + share[value] for n, share in zip(below, shares, strict=True)]
        gap = max(gap, abs(below[0] / totals[0] - below[1] / totals[1]))
    return gap


def _wordings(element: ClassDef | PropertyDef) -> set[str]:
    said = (spoken(element.name), element.label, *element.synonyms)
    return {word for text in said if (word := _plain(text))}


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def _numbers(values: Iterable[tuple[str, int]]) -> list[tuple[Decimal, int]] | None:
    """The values as numbers, or None where one is none."""
    try:
        found = [(Decimal(text), n) for text, n in values if n > 0]
    except InvalidOperation:
        return None
    return found if found and all(value.is_finite() for value, _ in found) else None


def _fuzz():  # noqa: ANN202 - the type of a module of an extra
    try:
        from rapidfuzz import fuzz
    except ImportError:
        raise UsageError(
            "comparing names needs rapidfuzz", cure="pip install 'moonshelf[graph]'"
        ) from None
    return fuzz
