"""The ontology as a picture: a tree of classes, each with its products and its own properties.

Inline SVG, drawn twice: for a page as wide as a desk and for one as wide as a hand. A style sheet
shows one of them. Colors come from the page, so that the picture follows light and dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import sqrt

from moonshelf.graph.report.findings import PropertyUse
from moonshelf.graph.report.layout import Row
from moonshelf.graph.report.texts import count, esc, fitting, percent, share_of, width
from moonshelf.graph.schema.apply import spoken

STEP, TOP = 24.0, 17.0
"""Pixels a level of the tree, and from a row's top to its circle."""
PILL, GAP, SMALL, LABEL = 22.0, 6.0, 11.5, 14.0
LARGEST, SMALLEST = 11.0, 3.5
MOST_LINES, MOST_LINES_ROOT, MOST_LINES_INHERITED = 3, 7, 1
KINDS = {"num": "number", "word": "words", "flag": "yes or no", "node": "shared entity"}


def kind_of(use: PropertyUse) -> str:
    """``num``, ``word``, ``flag`` or ``node``: what colors a property everywhere on the page."""
    owned = use.definition
    if owned.kind == "object":
        return "node"
    if owned.datatype == "boolean":
        return "flag"
    return "word" if owned.datatype == "string" else "num"


def name_of(use: PropertyUse) -> str:
    """What a property is called for a person."""
    return use.definition.label or spoken(use.definition.name)


def picture(rows: Sequence[Row]) -> str:
    """Both drawings."""
    wide = _Drawing(rows, 1080.0, 330.0).svg("wide")
    return wide + _Drawing(rows, 370.0, 0.0).svg("narrow")


@dataclass
class _Drawing:
    """``beside``: where properties begin; 0 puts them under the name of their class."""

    rows: Sequence[Row]
    across: float
    beside: float
    parts: list[str] = field(default_factory=list)
    places: list[tuple[float, float, float]] = field(default_factory=list)

    def svg(self, name: str) -> str:
        largest = max((row.products for row in self.rows), default=0)
        y = 4.0
        for row in self.rows:
            y += self._row(row, y, largest)
        size = f"0 0 {self.across:g} {y + 4:g}"
        rails = "".join(self._rails())
        return (
            f'<svg class="tree {name}" viewBox="{size}" role="img" '
            f'aria-label="Tree of classes with their properties">{rails}{"".join(self.parts)}</svg>'
        )

    def _row(self, row: Row, y: float, largest: int) -> float:
        """Draws one row and returns its height."""
        x, middle = 16 + row.depth * STEP, y + TOP
        radius = SMALLEST + (LARGEST - SMALLEST) * sqrt(share_of(row.products, largest))
        self.places.append((x, middle, radius))
        left = x + LARGEST + 7
        room = (self.beside or self.across) - left - 10
        if row.hidden:
            told = count(row.hidden, "more class", "more classes")
            told += f", {count(row.products, 'product')}"
            self.parts.append(f'<circle class="rest" cx="{x:g}" cy="{middle:g}" r="3"/>')
            told = fitting(told, LABEL, self.across - left)
            self.parts.append(_text(left, middle, told, "soft"))
            return 2 * TOP
        self._name(row, left, middle, room, radius)
        start = self.beside or left
        below = 0.0 if self.beside else 2 * TOP - 4
        end = middle - PILL / 2 + below
        if row.properties:
            lines = MOST_LINES if row.depth else MOST_LINES_ROOT
            end = self._pills(row.properties, start, end, lines, "own")
        if row.depth and row.inherited:
            top = end + GAP if row.properties else end
            end = self._pills(row.inherited, start, top, MOST_LINES_INHERITED, "above")
        return max(2 * TOP + 2, end - y + 10)

    def _name(self, row: Row, left: float, middle: float, room: float, radius: float) -> None:
        number = f"{row.products:,}"
        label = fitting(row.label, LABEL, room - width(number, LABEL) - 10)
        x = self.places[-1][0]
        told = f"{row.label}: {count(row.products, 'product')}, {row.own:,} of no class below"
        self.parts.append(
            f'<circle class="kind" cx="{x:g}" cy="{middle:g}" r="{radius:.1f}">'
            f"<title>{esc(told)}</title></circle>"
        )
        self.parts.append(
            f'<text x="{left:g}" y="{middle + 5:g}"><tspan class="name">{esc(label)}</tspan>'
            f'<tspan class="soft" dx="8">{number}</tspan></text>'
        )

    def _pills(
        self,
        properties: Sequence[tuple[PropertyUse, float]],
        start: float,
        y: float,
        lines: int,
        look: str,
    ) -> float:
        """Properties in lines; the end of the last line. Own ones that do not fit are counted."""
        x, line = start, 1
        for k, (use, share) in enumerate(properties):
            label = fitting(name_of(use), SMALL, 170)
            wide = width(label, SMALL) + 20
            rest = f"+{len(properties) - k} more" if look == "own" else ""
            last = line == lines
            kept = width(rest, SMALL) + 12 if last and k + 1 < len(properties) else 0.0
            if x + wide + kept > self.across - 2 and x > start:
                if last:
                    self.parts.append(_text(x + 2, y + PILL / 2, rest, "soft"))
                    break
                x, y, line = start, y + PILL + GAP, line + 1
            self.parts.append(_pill(use, share, label, x, y, wide, look))
            x += wide + GAP
        return y + PILL

    def _rails(self) -> Iterator[str]:
        for row, (x, y, radius) in zip(self.rows, self.places, strict=True):
            if row.parent >= 0:
                above, top, size = self.places[row.parent]
                bend = min(10.0, x - above)
                yield (
                    f'<path class="rail" d="M{above:g} {top + size:.1f}V{y - bend:g}'
                    f'Q{above:g} {y:g} {above + bend:g} {y:g}H{x - radius:.1f}"/>'
                )


def _pill(
    use: PropertyUse, share: float, label: str, x: float, y: float, wide: float, look: str
) -> str:
    owned = use.definition
    told = f"{name_of(use)}: {owned.unit or owned.datatype}, stated by {percent(share)}"
    long = (wide - 20) * share
    return (
        f'<g class="k-{kind_of(use)} {look}"><title>{esc(told)}</title>'
        f'<rect class="pill" x="{x:g}" y="{y:g}" width="{wide:.1f}" height="{PILL:g}" rx="11"/>'
        f'<text class="small" x="{x + 10:g}" y="{y + 14.5:g}">{esc(label)}</text>'
        f'<path class="use" d="M{x + 10:g} {y + 18.5:g}h{long:.1f}"/></g>'
    )


def _text(x: float, middle: float, text: str, kind: str) -> str:
    return f'<text class="{kind} small" x="{x:g}" y="{middle + 4:g}">{esc(text)}</text>'
