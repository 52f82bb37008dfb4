"""Open-schema mode: the gold schema is hidden, another one is induced, and the two are compared.

An induced key has a name of its own, so keys are paired by what they hold: on how many texts a key
states the value that people marked under an attribute.

* **key precision, recall, F1**: keys and attributes one to one, so that they agree on the most
  texts (assignment problem); a pair counts from a Dice of ``LEAST_DICE`` on.
* **acceptance**: share of induced keys at least half of whose values are those of one attribute;
  **compression**: attributes met so, over keys accepted (two keys for one attribute halve it);
  **coverage**: share of attributes that some key meets. Their harmonic mean follows the idea of
  AutoPKG (arXiv 2604.16950): a key that swallows everything is accepted by nothing, and a key for
  every value is not compressed.
* **values**: of the texts of another half, read through the pairs of this one.

Keys that nobody annotated count as wrong, however right they are: the figures are lower bounds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from moonshelf.config import Config
from moonshelf.graph.builtin.phrases import split
from moonshelf.graph.evaluate.align import assign
from moonshelf.graph.evaluate.claims import CLASS, word_key
from moonshelf.graph.evaluate.scores import Score, Scored, score_of, scored
from moonshelf.graph.evaluate.slots import Slots
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Extraction, TextEvidence
from moonshelf.graph.schema.apply import spoken

LEAST_TEXTS = 3
"""A key or an attribute with values in fewer texts is left out."""
LEAST_DICE = 0.3
"""Of a pair: twice the texts they agree on, over the texts of both."""
LEAST_SHARE = 0.5
"""Of a key's values that are those of the attribute it is accepted for."""
ALIKE = 0.5
"""Two wordings state one value where so many of their words are the same (Dice)."""


class Stated(NamedTuple):
    """A text: its values by induced key, surest first, each in any of several wordings; and its
    annotated slots."""

    found: Mapping[str, Sequence[Sequence[str]]]
    wanted: Slots


class KeyPair(Config):
    induced: str
    gold: str
    texts: int
    """On which they agree."""
    dice: float


class OpenScores(Config):
    """See the head of the file. ``harmonic`` is 0 where one of its parts is."""

    texts: int
    induced: int
    """Keys with a value in at least ``LEAST_TEXTS`` texts."""
    gold: int
    """Attributes likewise."""
    keys: Score
    acceptance: float
    compression: float
    coverage: float
    harmonic: float
    pairs: tuple[KeyPair, ...]
    values: Scored
    """Exact (letters and digits) values of listed slots, one a slot."""


def stated(found: Extraction | None, ontology: Ontology, slots: Slots) -> Stated:
    """What an extraction states, as written, and its class under the name ``CLASS``."""
    values: dict[str, list[Sequence[str]]] = defaultdict(list)
    for fact in sorted(found.facts, key=lambda one: -one.confidence) if found else ():
        if isinstance(fact.evidence, TextEvidence):
            values[ontology.present(fact.property)].append((fact.evidence.raw,))
    kind = next((c for c in ontology.classes if found and c.name == found.product_class), None)
    if kind is not None and kind.parent is not None:
        values[CLASS].append((spoken(kind.name), kind.label, *kind.synonyms))
    return Stated(values, slots)


def open_scores(
    texts: Sequence[Stated], other: Sequence[Stated], *, draws: int = 1000, seed: int = 0
) -> OpenScores:
    """
    Args:
        texts: those on which keys and values are scored.
        other: further texts, on which keys are paired for the scoring of values.
        draws, seed: of the intervals of ``values``.
    """
    table = _Table(texts)
    pairs = table.pairs()
    accepted = table.accepted()
    met = set(accepted.values())
    acceptance = _share(len(accepted), len(table.induced))
    compression = _share(len(met), len(accepted))
    coverage = _share(len(met), len(table.gold))
    reading = {pair.induced: pair.gold for pair in _Table(other).pairs()}
    return OpenScores(
        texts=len(texts),
        induced=len(table.induced),
        gold=len(table.gold),
        keys=score_of(len(pairs), len(table.induced), len(table.gold)),
        acceptance=acceptance,
        compression=compression,
        coverage=coverage,
        harmonic=_harmonic(acceptance, compression, coverage),
        pairs=tuple(pairs),
        values=scored((_values(one, reading) for one in texts), draws, seed),
    )


class _Table:
    """Texts on which a key and an attribute agree, and those that have either."""

    def __init__(self, texts: Iterable[Stated]) -> None:
        self.agreed: Counter[tuple[str, str]] = Counter()
        self.judged: Counter[tuple[str, str]] = Counter()
        """Texts with the key in which the attribute is annotated, empty or not."""
        self._induced: Counter[str] = Counter()
        self._gold: Counter[str] = Counter()
        for found, wanted in texts:
            self._induced.update(found.keys())
            self._gold.update(name for name, values in wanted.items() if values)
            for key, mine in found.items():
                for name, theirs in wanted.items():
                    self.judged[key, name] += 1
                    self.agreed[key, name] += _agree(mine, theirs)

    @property
    def induced(self) -> list[str]:
        return sorted(key for key, count in self._induced.items() if count >= LEAST_TEXTS)

    @property
    def gold(self) -> list[str]:
        return sorted(name for name, count in self._gold.items() if count >= LEAST_TEXTS)

    def pairs(self) -> list[KeyPair]:
        """One to one, where they agree often enough."""
        induced, gold = self.induced, self.gold
        table = np.zeros((len(induced), len(gold)))
        for i, key in enumerate(induced):
            for j, name in enumerate(gold):
                enough = self.agreed[key, name] >= LEAST_TEXTS
                if enough and self._dice(key, name) >= LEAST_DICE:
                    table[i, j] = self.agreed[key, name]
        chosen, _ = assign(table)
        return [
            KeyPair(
                induced=induced[i],
                gold=gold[j],
                texts=int(table[i, j]),
                dice=self._dice(induced[i], gold[j]),
            )
            for i, j in chosen
            if table[i, j] > 0
        ]

    def accepted(self) -> dict[str, str]:
        """Key -> the attribute that most of its values are values of."""
        found = {}
        for key in self.induced:
            shares = [
                (_share(self.agreed[key, name], self.judged[key, name]), name)
                for name in self.gold
                if self.agreed[key, name] >= LEAST_TEXTS
            ]
            share, name = max(shares, default=(0.0, ""))
            if share >= LEAST_SHARE:
                found[key] = name
        return found

    def _dice(self, key: str, name: str) -> float:
        # A key is judged where its attribute is annotated; elsewhere nobody can say.
        return _share(2 * self.agreed[key, name], self.judged[key, name] + self._gold[name])


def _agree(mine: Sequence[Sequence[str]], theirs: Sequence[str]) -> bool:
    return any(_alike(said, value) for said in mine for value in theirs)


def _alike(wordings: Sequence[str], value: str) -> bool:
    if any(word_key(wording) == word_key(value) for wording in wordings):
        return True
    wanted = set(split(value))
    for wording in wordings:
        words = set(split(wording))
        if words and 2 * len(words & wanted) > ALIKE * (len(words) + len(wanted)):
            return True
    return False


def _values(text: Stated, reading: Mapping[str, str]) -> tuple[int, int, int]:
    """(right, found, wanted) of the listed slots of a text."""
    taken: dict[str, Sequence[str]] = {}
    for key, name in reading.items():
        if name in text.wanted and text.found.get(key):
            taken[name] = text.found[key][0]
    right = sum(
        any(word_key(said) == word_key(value) for said in wordings for value in text.wanted[name])
        for name, wordings in taken.items()
    )
    return right, len(taken), sum(map(bool, text.wanted.values()))


def _harmonic(*parts: float) -> float:
    return round(len(parts) / sum(1 / part for part in parts), 6) if all(parts) else 0.0


def _share(part: float, whole: float) -> float:
    return round(part / whole, 6) if whole else 0.0
