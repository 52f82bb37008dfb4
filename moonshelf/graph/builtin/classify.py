"""The class of a document's product, from the noun phrases of its title."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from moonshelf.graph.builtin.phrases import Phrases, split
from moonshelf.graph.builtin.reading import FieldReading, Word
from moonshelf.graph.builtin.titles import chain
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology

Phrase = tuple[str, ...]
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|\d+")


class Classifier:
    """Classes of one ontology by the wordings that titles use for them."""

    def __init__(self, ontology: Ontology) -> None:
        classes = [c for c in ontology.classes if c.name != ROOT]
        self._lineage = {c.name: ontology.lineage(c.name) for c in classes}
        self.phrases: Phrases[str] = Phrases(
            (wording, c.name) for c in self._deepest_first(classes) for wording in _wordings(c)
        )
        self._forms = _forms(classes)
        self.words = frozenset(w for c in classes for wording in _wordings(c) for w in wording)

    def of(self, readings: Sequence[FieldReading], category: str = "") -> str:
        """The class named last in the first noun phrase that names one; its form may stand apart
        from the noun ("Split Inverter AC"). The root where no title and no category names one.

        Args:
            readings: of the document.
            category: what the shop calls the product's kind; asked last.
        """
        for reading in readings:
            if not reading.title:
                continue
            phrases = list(chain(reading))
            for words in phrases:
                found = self._last(words, reading.text)
                if found is not None:
                    return self._formed(found, phrases)
            for _, words in reading.parts():
                found = self._last(words, reading.text)
                if found is not None:
                    return self._formed(found, phrases)
        return self._by_category(category)

    def _last(self, words: Sequence[Word], text: str) -> str | None:
        found = list(self.phrases.find(words, text))
        return found[-1].payload if found else None

    def _formed(self, name: str, phrases: Sequence[Sequence[Word]]) -> str:
        forms = self._forms.get(name, {})
        for words in phrases:
            for word in words:
                if word.word in forms:
                    return forms[word.word]
        return name

    def _by_category(self, category: str) -> str:
        for part in reversed(re.split(r"\s*[>/|]\s*", category)):
            words = split(part)
            line = [Word(w, k, k, 0) for k, w in enumerate(words)]
            found = list(self.phrases.find(line, " " * len(words)))
            if found:
                return found[-1].payload
        return ROOT

    def _deepest_first(self, classes: Sequence[ClassDef]) -> list[ClassDef]:
        return sorted(classes, key=lambda c: (-len(self._lineage[c.name]), c.name))


def top_kind(ontology: Ontology, name: str) -> str:
    """The class below the root that ``name`` is, or is a kind of; the root itself for the root."""
    line = ontology.lineage(name)
    return line[-2] if len(line) > 1 else ROOT


def _wordings(found: ClassDef) -> list[Phrase]:
    humps = " ".join(_HUMPS.findall(found.name))
    return list(dict.fromkeys(split(w) for w in (*found.synonyms, found.label, humps) if split(w)))


def _forms(classes: Sequence[ClassDef]) -> Mapping[str, Mapping[str, str]]:
    """Parent -> the one word that makes a form of it -> class."""
    wordings = {c.name: _wordings(c) for c in classes}
    forms: dict[str, dict[str, str]] = {}
    for found in classes:
        for wording in wordings[found.name]:
            if found.parent in wordings and wording[1:] in wordings[found.parent]:
                forms.setdefault(found.parent, {}).setdefault(wording[0], found.name)
    return forms
