"""Export as a table: one row a product, one column a property, CSV that spreadsheets can open.

A text that a spreadsheet would take for a formula (``=HYPERLINK(...)``) is led by an apostrophe.
Numbers keep their sign: a cell that is a plain number is none.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from moonshelf.files import whole_file
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.rdf.literals import decimal_form, escape
from moonshelf.graph.rdf.products import Held, read_products
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import Range

BETWEEN = " | "
"""Between several values of one property, and between the ends of a range stands ``..``."""
# Signs that begin a formula, also in their wide forms, and blanks that some programs skip.
_FORMULA = re.compile(r"[\s'\"]*[=+\-@\uff1d\uff0b\uff0d\uff20|%]|[\t\r\n]")
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def safe_cell(text: str) -> str:
    """``text`` as a cell that no spreadsheet calculates."""
    text = escape(text)
    if _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def export_csv(
    store: GraphStore, ontology: Ontology, path: Path, documents: Iterable[str] | None = None
) -> int:
    """Writes all products, or those of ``documents``; returns their number.

    UTF-8 with the mark that spreadsheets look for. The header comes from the ontology: ``id``,
    ``class``, ``label``, then every property by name, with its unit in brackets.
    """
    columns = sorted(ontology.properties, key=lambda owned: owned.name)
    count = 0
    with whole_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(["id", "class", "label", *map(_heading, columns)])
        for view in read_products(store, ontology, documents):
            count += 1
            values = {owned.name: held for owned, held in view.values}
            cells = [BETWEEN.join(map(_cell, values.get(owned.name, ()))) for owned in columns]
            row = [view.id, view.product_class, view.label, *cells]
            writer.writerow([safe_cell(cell) for cell in row])
        text.detach()
    return count


def _heading(owned: PropertyDef) -> str:
    return f"{owned.name} [{owned.unit}]" if owned.unit else owned.name


def _cell(held: Held) -> str:
    if isinstance(held, Range):
        return f"{decimal_form(held.low)}..{decimal_form(held.high)}"
    if isinstance(held, bool):
        return "true" if held else "false"
    return held if isinstance(held, str) else decimal_form(Decimal(held))
