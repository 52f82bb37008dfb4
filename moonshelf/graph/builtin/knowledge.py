"""What a study learned of a corpus, as one value: it can be written down, compared, taken up again.

The schema part (classes, properties) is a wish, which the gatekeeper grants or not. The rest are
habits of the corpus that no schema has a place for: how its makers are spelled, what their codes
look like, which words go before "filter".
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from functools import cached_property

from moonshelf.config import Config
from moonshelf.graph.builtin.numbers import Sign
from moonshelf.graph.ontology import ClassDef, PropertyDef

VERSION = 3
"""Of the rules: another one finds other facts in the same text."""


class Knowledge(Config):
    """See above. Everything is sorted, so equal corpora give equal knowledge.

    Attributes:
        documents: how many were studied.
        mark: the decimal mark of texts that do not show their own.
        classes: kinds of products, parents first; synonyms are their wordings.
        properties: induced ones.
        support: (property, documents in which the study saw it).
        brands: (compact spelling, usual spelling), folded.
        contexts: masked words behind the first word of a title that show it to be a brand.
        common_codes, code_tails, code_heads, code_units: see ``codes.CodeHabits``.
        usual_readings: (first reading of a written unit, what this corpus means by it).
        spelled: (kind, unit, least and greatest amount) of units with a doubtful form.
        headings: folded lines that head others.
        values: (property, phrases of its open vocabulary).
    """

    version: int = VERSION
    documents: int = 0
    mark: Sign | None = None
    classes: tuple[ClassDef, ...] = ()
    properties: tuple[PropertyDef, ...] = ()
    support: tuple[tuple[str, int], ...] = ()
    brands: tuple[tuple[str, str], ...] = ()
    contexts: tuple[str, ...] = ()
    common_codes: tuple[str, ...] = ()
    code_tails: tuple[str, ...] = ()
    code_heads: tuple[str, ...] = ()
    code_units: tuple[tuple[str, str], ...] = ()
    usual_readings: tuple[tuple[str, str], ...] = ()
    spelled: tuple[tuple[str, str, Decimal, Decimal], ...] = ()
    headings: tuple[str, ...] = ()
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @cached_property
    def digest(self) -> str:
        """16 hex digits of everything that is known."""
        data = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(data.encode()).hexdigest()[:16]
