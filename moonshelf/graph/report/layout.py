"""The class tree as rows from the top down, bounded: what is left out is a row that says so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moonshelf.graph.ontology import ROOT, ClassDef, Ontology
from moonshelf.graph.report.findings import ClassUse, PropertyUse
from moonshelf.graph.report.texts import share_of

MOST_CLASSES = 36
DEEPEST = 6
"""Classes further down are drawn as deep as this."""
MOST_INHERITED = 8


@dataclass(frozen=True)
class Row:
    """A class, or (``hidden`` above 0) so many classes that are left out.

    ``products`` are those of the class and of all below; ``own`` those of no class below.
    ``parent`` is the place of the row that it hangs on, -1 for the root. ``properties`` are its
    own, ``inherited`` those of classes above that its documents state most often, each with the
    share of these documents that do.
    """

    label: str
    depth: int
    parent: int
    products: int
    own: int = 0
    properties: tuple[tuple[PropertyUse, float], ...] = ()
    inherited: tuple[tuple[PropertyUse, float], ...] = ()
    hidden: int = 0


def rows(
    ontology: Ontology,
    own: Mapping[str, int],
    properties: Sequence[PropertyUse],
    uses: Mapping[str, ClassUse],
    most: int = MOST_CLASSES,
) -> list[Row]:
    """Rows in the order of reading, larger classes first.

    Args:
        ontology: whose classes.
        own: class -> products given this class itself.
        properties: of the ontology, the most used first.
        uses: of every class.
        most: classes drawn; the larger ones are, with all that they are under.
    """
    return _Tree(ontology, own, properties, uses, most).rows()


def label_of(kind: ClassDef) -> str:
    """What a class is called for a person."""
    return kind.label or kind.name


class _Tree:
    def __init__(
        self,
        ontology: Ontology,
        own: Mapping[str, int],
        properties: Sequence[PropertyUse],
        uses: Mapping[str, ClassUse],
        most: int,
    ) -> None:
        self._kinds = {kind.name: kind for kind in ontology.classes}
        self._own = own
        self._total: dict[str, int] = defaultdict(int)
        self._lines = {name: ontology.lineage(name) for name in self._kinds}
        for name, line in self._lines.items():
            for above in line:
                self._total[above] += own.get(name, 0)
        # A class has no more products than the one above it, so whatever is kept hangs on the root.
        ranked = sorted(self._kinds, key=lambda n: (-self._total[n], len(self._lines[n]), n))
        self._kept = set(ranked[:most])
        self._below: dict[str, list[str]] = defaultdict(list)
        for name in ranked:
            if (parent := self._kinds[name].parent) is not None:
                self._below[parent].append(name)
        self._properties, self._uses = properties, uses
        self._rows: list[Row] = []

    def rows(self) -> list[Row]:
        # Not by recursion: a tree may be as deep as it has classes.
        waiting: list[tuple[str, int, int]] = [(ROOT, 0, -1)]
        rests: dict[int, Row] = {}
        while waiting:
            name, depth, parent = waiting.pop()
            if not name:
                self._rows.append(rests.pop(parent))
                continue
            place = self._add(name, depth, parent)
            under = min(depth + 1, DEEPEST)
            hidden = [n for n in self._below[name] if n not in self._kept]
            if hidden:
                rests[place] = self._rest(hidden, under, place)
                waiting.append(("", under, place))
            kept = [n for n in self._below[name] if n in self._kept]
            waiting += [(n, under, place) for n in reversed(kept)]
        return self._rows

    def _add(self, name: str, depth: int, parent: int) -> int:
        self._rows.append(
            Row(
                label=label_of(self._kinds[name]),
                depth=depth,
                parent=parent,
                products=self._total[name],
                own=self._own.get(name, 0),
                properties=tuple(self._stated(name, self._lines[name][:1])),
                inherited=tuple(self._most_stated(name)),
            )
        )
        return len(self._rows) - 1

    def _stated(self, name: str, domains: Sequence[str]) -> list[tuple[PropertyUse, float]]:
        """Properties of these domains with the share of the class's documents that state them."""
        use = self._uses[name]
        return [
            (one, share_of(use.properties.get(one.definition.name, 0), use.documents))
            for one in self._properties
            if one.definition.domain in domains
        ]

    def _most_stated(self, name: str) -> list[tuple[PropertyUse, float]]:
        found = [one for one in self._stated(name, self._lines[name][1:]) if one[1] > 0]
        return sorted(found, key=lambda one: -one[1])[:MOST_INHERITED]

    def _rest(self, hidden: Sequence[str], depth: int, parent: int) -> Row:
        """What is left out below one class, with everything further down."""
        count, products = 0, sum(self._total[name] for name in hidden)
        waiting = list(hidden)
        while waiting:
            count += 1
            waiting += self._below[waiting.pop()]
        return Row(label="", depth=depth, parent=parent, products=products, hidden=count)
