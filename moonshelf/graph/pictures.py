"""What pictures show, as facts with evidence of their own kind (the future work that arXiv
2511.11017 names).

No agent is asked: an encoder has looked before, and said what it is sure of and how sure. Here its
keys are matched with the properties of the schema, which pictures never change; what has no
property becomes a refusal. On conflict the listing's text has the last word (``conflicts.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from moonshelf.catalog.reference_attributes import key_form
from moonshelf.graph.held import pieces
from moonshelf.graph.ontology import ROOT, Ontology, PropertyDef
from moonshelf.graph.outcome import Outcome, packed, slice_digest
from moonshelf.graph.records import (
    Document,
    Extraction,
    Fact,
    PictureEvidence,
    Shown,
)
from moonshelf.graph.schema.apply import spoken
from moonshelf.graph.state import State
from moonshelf.graph.validate import Validator
from moonshelf.progress import Progress, silent

FINGERPRINT = "pictures-1"
"""Stands where a backend's fingerprint stands; the encoder's version is in every document."""
_TRUTH: Mapping[str, bool] = {"yes": True, "true": True, "no": False, "false": False}
_TOGETHER = 500


def read_pictures(
    state: State, ids: Iterable[str], ontology: Ontology, progress: Progress | None = None
) -> set[str]:
    """Writes the outcomes of picture documents, after those of all listings are written.

    They cost nothing, so all are made anew and those that differ are written: a listing whose class
    changed changes what its pictures may say.

    Returns:
        Ids of the documents whose outcome changed.
    """
    reader = PictureReader(ontology)
    names, progress = list(ids), progress or silent
    changed: set[str] = set()
    for done, piece in enumerate(pieces(names, _TOGETHER)):
        fresh = []
        for document in state.documents_of(piece):
            listing, old = state.outcome(document.about), state.outcome(document.id)
            new = packed(
                reader.outcome(document, ROOT if listing is None else listing.product_class)
            )
            if old is None or packed(old) != new:
                fresh.append(new)
        state.finish(fresh)
        changed.update(row[0] for row in fresh)
        progress(min((done + 1) * _TOGETHER, len(names)), len(names))
    return changed


class PictureReader:
    """Picture documents into outcomes, by one version of the ontology."""

    def __init__(self, ontology: Ontology) -> None:
        self._ontology, self._validator = ontology, Validator(ontology)
        self._called: dict[str, dict[str, PropertyDef]] = {}
        self._slices: dict[str, str] = {}

    def outcome(self, document: Document, product_class: str) -> Outcome:
        """What became of ``document``; its listing is of ``product_class``."""
        facts = tuple(self._fact(document, one, product_class) for one in document.shown)
        candidates = Extraction(document=document.id, product_class=product_class, facts=facts)
        owner = self._validator.product_class(candidates)
        kept, refusals = self._validator.check(candidates, document)
        if owner not in self._slices:
            self._slices[owner] = slice_digest(self._ontology, owner)
        return Outcome(
            document=document.id,
            status="done" if kept else "empty",
            product_class=owner,
            digest=document.digest,
            slice=self._slices[owner],
            fingerprint=FINGERPRINT,
            version=self._ontology.version,
            facts=tuple(kept),
            refusals=tuple(refusals),
        )

    def _fact(self, document: Document, shown: Shown, product_class: str) -> Fact:
        owned = self._names(product_class).get(key_form(shown.key))
        value: bool | str = shown.value
        if owned is not None and owned.datatype == "boolean":
            value = _TRUTH.get(key_form(shown.value), shown.value)
        return Fact(
            document=document.id,
            property=shown.key if owned is None else owned.name,
            value=value,
            evidence=PictureEvidence(
                picture=shown.picture, encoder=shown.encoder, score=shown.score
            ),
            confidence=shown.score,
        )

    def _names(self, product_class: str) -> dict[str, PropertyDef]:
        """Wording -> property of the class: names first, then labels, then synonyms."""
        name = self._ontology.present(product_class)
        if name not in self._called:
            known = {one.name for one in self._ontology.classes}
            owned = self._ontology.slice(name if name in known else ROOT)
            ranks = (
                lambda one: (spoken(one.name),),
                lambda one: (one.label,),
                lambda one: one.synonyms,
            )
            found: dict[str, PropertyDef] = {}
            for words in ranks:
                for one in owned:
                    for word in words(one):
                        found.setdefault(key_form(word), one)
            found.pop("", None)
            self._called[name] = found
        return self._called[name]
