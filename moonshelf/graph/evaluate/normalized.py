"""Normalized values: whether a value that was found also comes out in the form that people gave it.

A benchmark has conventions of its own ('24"' is "61.0", "HP" is "Hewlett-Packard", "300-GB" is
"300 Gigabytes"). They are learned from the training part: single words by heart; amounts as a unit
to convert to, places and a word behind; all others by the way of writing that fits best. What a
convention needs the world to know (which cupboard is "Furniture") is right by heart or not at all.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from moonshelf.config import Config
from moonshelf.errors import MoonshelfError
from moonshelf.graph.builtin.quantities import numerals, quantities
from moonshelf.graph.evaluate.scores import Score, Scored, score_of
from moonshelf.graph.evaluate.slots import Slots, slot_scores
from moonshelf.graph.text import fold_value
from moonshelf.graph.units.convert import convert
from moonshelf.graph.units.registry import registry

_AMOUNT = re.compile(r"(-?\d+(?:\.(\d+))?)(.*)", re.DOTALL)
_THOUSANDS = re.compile(r"\d[kK](?![^\W_])")
# A convention for amounts or ways of writing is one that most of its pairs follow.
MOST = 0.5
WAYS: Mapping[str, Callable[[str], str]] = {
    "as written": lambda raw: raw,
    "capitals": str.upper,
    "letters and digits": lambda raw: "".join(c for c in raw if c.isalnum()),
}


class NormalizedScores(Config):
    """``found``: values found and normalized; ``as_written``: the same without normalizing;
    ``words_given``: the words that people marked, normalized; ``words_unseen``: those of them that
    no training text had."""

    found: Scored
    as_written: Score
    words_given: Score
    words_unseen: Score
    attributes: dict[str, Score]


class _Amount(NamedTuple):
    """Amounts are converted to ``target``, and written to so many ``places`` before ``rest``."""

    target: str
    places: int
    rest: str


class Normalizer:
    """Conventions of a training part. Made by :meth:`learn`."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._amounts: dict[tuple[str, str], _Amount] = {}
        self._ways: dict[str, str] = {}

    @classmethod
    def learn(cls, rows: Iterable[tuple[Slots, Slots]]) -> Normalizer:
        """
        Args:
            rows: slots as written and slots as normalized, a product each.
        """
        pairs: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        for written, normalized in rows:
            for name, values in written.items():
                pairs[name].update(_pairs(values, normalized.get(name, ())))
        made = cls()
        for name, counted in pairs.items():
            made._learn(name, counted)
        return made

    def __call__(self, name: str, raw: str) -> str:
        """The value of an attribute in the training part's form."""
        known = self._known.get((name, fold_value(raw)))
        if known is not None:
            return known
        unit, number = _read(raw)
        amount = self._amounts.get((name, unit))
        if number is not None and amount is not None:
            shown = _shown(number, unit, amount)
            if shown is not None:
                return shown
        return WAYS[self._ways.get(name, "as written")](raw)

    def knows(self, name: str, raw: str) -> bool:
        """Whether it has it by heart."""
        return (name, fold_value(raw)) in self._known

    def _learn(self, name: str, counted: Counter[tuple[str, str]]) -> None:
        by_words: dict[str, Counter[str]] = defaultdict(Counter)
        by_unit: dict[str, list[tuple[Decimal, str]]] = defaultdict(list)
        ways: Counter[str] = Counter()
        for (raw, normalized), count in counted.items():
            by_words[fold_value(raw)][normalized] += count
            unit, number = _read(raw)
            if number is not None:
                by_unit[unit].append((number, normalized))
            ways.update(way for way, write in WAYS.items() if write(raw) == normalized)
        for words, seen in by_words.items():
            self._known[name, words] = min(seen, key=lambda one: (-seen[one], one))
        dimensions = Counter(registry().unit(u).dimension for u in by_unit if u)
        for unit, values in by_unit.items():
            if (amount := _convention(unit, values, dimensions)) is not None:
                self._amounts[name, unit] = amount
        if ways:
            self._ways[name] = min(WAYS, key=lambda way: -ways[way])


def normalized_scores(
    found: Sequence[Mapping[str, str]],
    written: Sequence[Slots],
    wanted: Sequence[Slots],
    normalizer: Normalizer,
) -> NormalizedScores:
    """
    Args:
        found: a value by attribute, as written, for each product.
        written: what people marked, as written.
        wanted: the same normalized.
        normalizer: learned from other products.
    """
    forms = [{name: normalizer(name, raw) for name, raw in mine.items()} for mine in found]
    scores = slot_scores(forms, wanted)
    given, unseen = [0, 0], [0, 0]
    for slots, forms_wanted in zip(written, wanted, strict=True):
        for name, values in slots.items():
            if not values or not forms_wanted.get(name):
                continue
            right = normalizer(name, values[0]) in forms_wanted[name]
            for tally in (given, *(() if normalizer.knows(name, values[0]) else (unseen,))):
                tally[0] += right
                tally[1] += 1
    return NormalizedScores(
        found=scores.listed,
        as_written=slot_scores(found, wanted, draws=1).listed.score,
        words_given=score_of(given[0], given[1], given[1]),
        words_unseen=score_of(unseen[0], unseen[1], unseen[1]),
        attributes=scores.attributes,
    )


def _pairs(written: Sequence[str], normalized: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Which value became which: several spellings of one, or one each."""
    if len(normalized) == 1:
        return [(raw, normalized[0]) for raw in written]
    if len(written) == len(normalized):
        return list(zip(written, normalized, strict=True))
    return []


def _read(raw: str) -> tuple[str, Decimal | None]:
    """(registry name of the unit or "", the number) of words that state one amount."""
    found = quantities(raw)
    if len(found) == 1 and found[0].high is None:
        return found[0].unit or "", found[0].low
    if len(found) > 1:
        return "", None
    numbers = numerals(raw)
    if len(numbers) != 1:
        return "", None
    return "", numbers[0] * (1000 if _THOUSANDS.search(raw) else 1)


def _convention(
    unit: str, values: Sequence[tuple[Decimal, str]], dimensions: Counter[str]
) -> _Amount | None:
    """The target unit, places and word by which the most of ``values`` come out; None below half.

    A number without a unit may be of any unit of the attribute's usual dimension.
    """
    shapes = Counter(
        (len(match[2] or ""), match[3])
        for _, normalized in values
        if (match := _AMOUNT.fullmatch(normalized))
    )
    if not shapes:
        return None
    best, most = None, MOST * len(values)
    for target in _targets(unit, dimensions):
        for places, rest in sorted(shapes):
            amount = _Amount(target, places, rest)
            right = sum(_shown(number, unit, amount) == text for number, text in values)
            if right > most:
                best, most = amount, right
    return best


def _targets(unit: str, dimensions: Counter[str]) -> list[str]:
    """Units to convert to; "FROM>TO" where the number's own unit is not written."""
    if unit:
        return [one.name for one in registry().of(registry().unit(unit).dimension)]
    if not dimensions:
        return [""]
    usual = min(dimensions, key=lambda one: (-dimensions[one], one))
    names = [one.name for one in registry().of(usual)]
    return ["", *(f"{a}>{b}" for a in names for b in names if a != b)]


def _shown(number: Decimal, unit: str, amount: _Amount) -> str | None:
    source, _, target = amount.target.rpartition(">")
    source = source or unit
    try:
        if source and target:
            number = convert(number, source, target)
        return f"{float(number):.{amount.places}f}{amount.rest}"
    except (MoonshelfError, OverflowError):
        return None
