"""A bare letter is a unit only where the catalogue spells that unit out for this kind of product.

"2T" are tons of an air conditioner whose shop also writes "2 Ton"; they are no tons where T counts
teeth of a saw blade, threads of a fabric or the strength of a carbon fiber. So forms that are
``doubtful`` in the registry are read between the least and the greatest amount that products of
the same kind state in words. The kinds are those of the study, whatever schema is read by. A
product whose title names no kind may be anything: its own words must speak for the unit as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from moonshelf.graph.builtin.classify import Classifier, top_kind
from moonshelf.graph.builtin.quantity import Quantity
from moonshelf.graph.builtin.reading import FieldReading
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology
from moonshelf.graph.units.registry import Unit, registry

Bounds = Mapping[str, tuple[Decimal, Decimal]]
"""Unit (registry name) -> least and greatest amount."""
Row = tuple[str, str, Decimal, Decimal]
"""Kind, unit, least and greatest amount."""
# An amount that fewer documents state may be a slip.
STATED = 2


class KindOf:
    """The kind of a document: the class below the root, by its title, as the study saw it."""

    def __init__(self, classes: Iterable[ClassDef]) -> None:
        self._ontology = Ontology(classes=(*Ontology().classes, *classes))
        self._classifier = Classifier(self._ontology)

    def __call__(self, readings: Sequence[FieldReading], category: str = "") -> str:
        return top_kind(self._ontology, self._classifier.of(readings, category))


@dataclass
class Spelled:
    """Amounts that a corpus spells out in units with a doubtful form, by kind and unit."""

    amounts: defaultdict[tuple[str, str], Counter[Decimal]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    """Documents by the first amount that they state."""

    def add(self, kind: str, unit: str, amount: Decimal) -> None:
        self.amounts[kind, unit][amount] += 1

    def rows(self, usual: Mapping[str, str], least: int) -> list[Row]:
        """Bounds of what at least ``least`` documents of a kind spell out.

        Args:
            usual: first reading of a written unit -> what this corpus means by it.
            least: documents that are enough.
        """
        merged: defaultdict[tuple[str, str], Counter[Decimal]] = defaultdict(Counter)
        for (kind, unit), amounts in self.amounts.items():
            merged[kind, usual.get(unit, unit)].update(amounts)
        found = []
        for (kind, unit), counts in sorted(merged.items()):
            sure = [amount for amount, documents in counts.items() if documents >= STATED]
            if sure and counts.total() >= least:
                found.append((kind, unit, min(sure), max(sure)))
        return found


def bounds_by_kind(rows: Iterable[Row]) -> dict[str, Bounds]:
    """Rows of :meth:`Spelled.rows` by kind."""
    found: defaultdict[str, dict[str, tuple[Decimal, Decimal]]] = defaultdict(dict)
    for kind, unit, low, high in rows:
        found[kind][unit] = (low, high)
    return dict(found)


def bounds_for(kind: str, words: Collection[str], by_kind: Mapping[str, Bounds]) -> Bounds:
    """The bounds that hold for one document.

    Args:
        kind: of the document.
        words: its words and pairs of words, folded.
        by_kind: of :func:`bounds_by_kind`.
    """
    found = by_kind.get(kind, {})
    if kind != ROOT:
        return found
    return {
        name: bounds
        for name, bounds in found.items()
        if any(word in words for word in registry().unit(name).context)
    }


def is_doubtful(quantity: Quantity, unit: Unit) -> bool:
    """Whether ``quantity`` is written in a form that means ``unit`` only sometimes."""
    return unit.doubtful and quantity.written_unit in unit.exact


def has_doubtful(quantity: Quantity) -> bool:
    """Whether any of its readings has a form that means it only sometimes."""
    return any(registry().unit(name).doubtful for name in quantity.readings)


def trusted(quantity: Quantity, bounds: Bounds) -> Quantity | None:
    """``quantity`` with the readings of its unit that hold here; None where none does.

    Args:
        quantity: a measure.
        bounds: what documents of this kind spell out.
    """
    kept = tuple(name for name in quantity.readings if _holds(quantity, name, bounds))
    if kept == quantity.readings:
        return quantity
    return replace(quantity, unit=kept[0], readings=kept) if kept else None


def _holds(quantity: Quantity, name: str, bounds: Bounds) -> bool:
    if not is_doubtful(quantity, registry().unit(name)):
        return True
    if name not in bounds:
        return False
    low, high = bounds[name]
    most = quantity.low if quantity.high is None else quantity.high
    return low <= quantity.low and most <= high
