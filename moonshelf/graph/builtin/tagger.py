"""Optional: a conditional random field that learns properties from labelled documents.

The rules need no labels; where a user has some (a document and the values that its text states),
the tagger learns to find such values in other documents of the same categories. BIO labels over
small tokens, one model a category or one for all; L-BFGS on one thread, features sorted, so that
the same labels give the same model, whatever the hash seed.

Not in arXiv 2511.11017, which has no labels. The model file is crfsuite's own format and its
reader trusts it: :meth:`Tagger.open` reads nothing whose digest the manifest beside does not name.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field

from moonshelf.config import Config
from moonshelf.errors import DataError, UsageError
from moonshelf.graph.builtin.tagger_lexicon import Lexicon, Words
from moonshelf.graph.builtin.tagger_tokens import Token, tokens, word_features
from moonshelf.graph.records import Document, Span
from moonshelf.graph.text import find
from moonshelf.progress import Progress, silent

ALL = ""
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Labelled(Config):
    """A document and what a person says that it states: property -> values, verbatim. An empty
    tuple says that the document states none; a property that is left out was not looked for."""

    document: Document
    values: Mapping[str, tuple[str, ...]]


class TaggerSettings(Config):
    """How a tagger is trained and read.

    ``c1``, ``c2``: weights of the L1 and L2 penalties. ``threshold``: least confidence of a value.
    """

    by_category: bool = True
    """One model a category (documents of unknown categories get nothing), or one for all."""
    c1: float = Field(default=0.1, ge=0)
    c2: float = Field(default=0.1, ge=0)
    iterations: int = Field(default=120, ge=1)
    least: int = Field(default=1, ge=1)
    """Features that occur less often are left out."""
    threshold: float = Field(default=0.3, ge=0, le=1)
    trust: float = Field(default=1, gt=0, le=1)
    """How far the labels themselves are to be trusted: 1 for a person's."""


class Tagged(Config):
    """A value found: ``raw`` is the slice of the document at ``span``."""

    property: str
    span: Span
    raw: str
    confidence: float = Field(ge=0, le=1)


class Tagger:
    """Trained models. Made by :meth:`train` or :meth:`open`."""

    def __init__(
        self,
        settings: TaggerSettings,
        models: Mapping[str, bytes],
        lexicons: Mapping[str, Lexicon],
        properties: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.settings = settings
        self.models, self.lexicons, self.properties = models, lexicons, properties
        self._open: dict[str, Any] = {}

    @cached_property
    def digest(self) -> str:
        """16 hex digits of everything that it finds values by."""
        known = {
            "settings": self.settings.model_dump(mode="json"),
            "models": {n: hashlib.sha256(data).hexdigest() for n, data in self.models.items()},
            "lexicons": {name: lexicon.plain() for name, lexicon in self.lexicons.items()},
            "properties": {name: list(names) for name, names in self.properties.items()},
        }
        data = json.dumps(known, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(data.encode()).hexdigest()[:16]

    @property
    def taught(self) -> tuple[str, ...]:
        """Every property that had a value in training, as it was called there."""
        return self.properties[ALL]

    @classmethod
    def train(
        cls,
        examples: Sequence[Labelled],
        settings: TaggerSettings | None = None,
        progress: Progress | None = None,
    ) -> Tagger:
        """Learns from labelled documents, in a time that grows with tokens x labels².

        Raises:
            DataError: no value of any example stands in its text.
            UsageError: the extra ``graph`` is not installed.
        """
        settings, progress = settings or TaggerSettings(), progress or silent
        groups: dict[str, list[Labelled]] = defaultdict(list)
        for example in examples:
            groups[_group(example.document, settings)].append(example)
        models, lexicons = {}, {}
        for done, name in enumerate(sorted(groups)):
            progress(done, len(groups), category=name)
            read = [_Read(example.document, example.values) for example in groups[name]]
            if not any(label != "O" for one in read for field in one.labels for label in field):
                continue
            lexicons[name] = Lexicon.of((one.words, one.own) for one in read)
            models[name] = _fit(read, lexicons[name], settings)
        if not models:
            raise DataError(
                "no label stands in its text", cure="label values as they are written there"
            )
        return cls(settings, models, lexicons, _properties(examples))

    def tag(self, document: Document, threshold: float | None = None) -> list[Tagged]:
        """Values of ``document``: by property, most confident first. Properties are those that
        the document's category had in training. [] for a category that had none."""
        group = _group(document, self.settings)
        if group not in self.models:
            return []
        least = self.settings.threshold if threshold is None else threshold
        known = self.properties.get(document.category, self.properties[ALL])
        read, found = _Read(document, {}), []
        for (name, text), tokens_, rows in zip(
            document.fields, read.tokens, read.rows(self.lexicons[group]), strict=True
        ):
            if rows:
                spans = self._spans(group, rows, known, least)
                found += [_tagged(name, text, tokens_, span) for span in spans]
        return sorted(found, key=lambda one: (one.property, -one.confidence))

    def _spans(
        self, group: str, rows: Sequence[Sequence[str]], known: Sequence[str], least: float
    ) -> list[tuple[str, int, int, float]]:
        """(property, first token, end, confidence): runs whose labels are likely enough.

        A value begins where P(B) >= ``least`` and goes on while the next token is more likely
        inside than not, given that its predecessor is.
        """
        crf = self._model(group)
        crf.set(list(rows))
        labels, found = set(crf.labels()), []
        for name in known:
            begin, inside = f"B-{name}", f"I-{name}"
            for k in range(len(rows) if begin in labels else 0):
                sure = crf.marginal(begin, k)
                if sure < least:
                    continue
                end, last = k + 1, sure
                while inside in labels and end < len(rows):
                    more = crf.marginal(inside, end)
                    if more < 0.5 * last:
                        break
                    end, last = end + 1, min(last, more)
                found.append((name, k, end, min(1.0, sure)))
        return found

    def _model(self, group: str) -> Any:
        if group not in self._open:
            crf = _library().Tagger()
            crf.open_inmemory(self.models[group])
            self._open[group] = crf
        return self._open[group]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}


class _Read:
    """One document as the model sees it."""

    def __init__(self, document: Document, values: Mapping[str, Sequence[str]]) -> None:
        # Half a surrogate pair cannot be handed to crfsuite; a sign of the same length can.
        self.fields = [(name, _SURROGATE.sub("\ufffd", text)) for name, text in document.fields]
        self.category = _SURROGATE.sub("\ufffd", document.category)
        self.tokens = [tokens(text) for _, text in self.fields]
        self.words: list[Words] = [tuple(t.word for t in field) for field in self.tokens]
        self.own: dict[str, set[Words]] = {
            name: {tuple(t.word for t in tokens(value)) for value in told}
            for name, told in values.items()
        }
        self.labels = [
            _labels(text, found, values)
            for (_, text), found in zip(self.fields, self.tokens, strict=True)
        ]

    def rows(self, lexicon: Lexicon, training: bool = False) -> list[list[list[str]]]:
        """Sorted features of every token of every field."""
        seen = Counter(word for field in self.words for word in field)
        own = self.own if training else None
        found = []
        for (name, text), field, words in zip(self.fields, self.tokens, self.words, strict=True):
            marks = lexicon.marks(words, own)
            rows = word_features(text, name, field, seen)
            category = f"category={self.category}"
            for row, more, word in zip(rows, marks, words, strict=True):
                row |= more
                row |= {category, f"{category}|{word}"}
            found.append([sorted(row) for row in rows])
        return found


def _labels(text: str, found: Sequence[Token], values: Mapping[str, Sequence[str]]) -> list[str]:
    """BIO labels: every whole occurrence of every value; of overlapping ones the longest."""
    spans = sorted(
        {(start - end, start, end, name)
         for name, told in values.items() for value in told
         for start, end in find(text, value)}
    )  # fmt: skip
    labels = ["O"] * len(found)
    for _, start, end, name in spans:
        inside = [k for k, t in enumerate(found) if t.start < end and start < t.end]
        if not inside or any(labels[k] != "O" for k in inside):
            continue
        for k in inside:
            labels[k] = f"{'B' if k == inside[0] else 'I'}-{name}"
    return labels


def _fit(read: Sequence[_Read], lexicon: Lexicon, settings: TaggerSettings) -> bytes:
    trainer = _library().Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params(
        {
            "c1": settings.c1,
            "c2": settings.c2,
            "max_iterations": settings.iterations,
            "feature.minfreq": settings.least,
            "feature.possible_transitions": True,
        }
    )
    for one in read:
        for rows, labels in zip(one.rows(lexicon, training=True), one.labels, strict=True):
            if rows:
                trainer.append(rows, labels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        trainer.train(str(path))
        return path.read_bytes()


def _properties(examples: Iterable[Labelled]) -> dict[str, tuple[str, ...]]:
    """Category -> properties that had a value there; under ``ALL`` those of all."""
    found: dict[str, set[str]] = {ALL: set()}
    for example in examples:
        told = {name for name, values in example.values.items() if values}
        found.setdefault(example.document.category, set()).update(told)
        found[ALL] |= told
    return {category: tuple(sorted(names)) for category, names in found.items()}


def _group(document: Document, settings: TaggerSettings) -> str:
    return document.category if settings.by_category else ALL


def _tagged(
    field: str, text: str, found: Sequence[Token], span: tuple[str, int, int, float]
) -> Tagged:
    name, first, end, confidence = span
    start, stop = found[first].start, found[end - 1].end
    where = Span(field=field, start=start, end=stop)
    return Tagged(property=name, span=where, raw=text[start:stop], confidence=confidence)


def _library() -> Any:
    try:
        import pycrfsuite
    except ImportError:
        raise UsageError(
            "the tagger needs python-crfsuite", cure="pip install 'moonshelf[graph]'"
        ) from None
    return pycrfsuite
