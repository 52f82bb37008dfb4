"""The ontology as a picture."""

from __future__ import annotations

from moonshelf.graph.ontology import ROOT
from moonshelf.graph.report.findings import Findings
from moonshelf.graph.report.layout import label_of, rows
from moonshelf.graph.report.picture import KINDS, picture
from moonshelf.graph.report.sections.section import Section, fold_away
from moonshelf.graph.report.texts import bdi, count, esc, left_out, percent, share_of, table

MOST_LISTED = 300


def ontology(found: Findings) -> Section:
    """Tree, legend, and the list of all classes for who wants it."""
    known, products = found.ontology, sum(found.classes.values())
    own = {kind.name: found.classes.get(kind.name, 0) for kind in known.classes}
    ranked = sorted(known.classes, key=lambda kind: (-own[kind.name], kind.name))
    largest = next((kind for kind in ranked if kind.name != ROOT), None)
    lead = (
        "A circle is a class and grows with its products. Behind it stand its own properties, "
        "filled, and, as outlines, those from above that its documents state most. The line in "
        "each is the share of the class's documents that state it."
    )
    if largest is not None and own[largest.name]:
        share = percent(share_of(own[largest.name], products))
        lead += f" {share} of all products are of one class: {label_of(largest)}."
    legend = "".join(f'<li class="k-{name}">{label}</li>' for name, label in KINDS.items())
    drawn = rows(known, own, found.properties, found.uses)
    shown = sum(1 for row in drawn if not row.hidden)
    body = (
        f'<ul class="legend">{legend}</ul><div class="canvas">{picture(drawn)}</div>'
        f"{left_out(shown, len(known.classes), 'classes')}"
    )
    listed = [
        (
            bdi(label_of(kind)),
            esc(kind.parent or ""),
            f"{own[kind.name]:,}",
            bdi(", ".join(kind.synonyms)),
        )
        for kind in ranked[:MOST_LISTED]
    ]
    whole = table(("class", "under", "products", "how texts name it"), listed)
    whole += left_out(len(listed), len(ranked), "classes")
    title = f"All {count(len(ranked), 'class', 'classes')} as a list"
    return Section("ontology", "The ontology", lead, body + fold_away(title, whole))
