"""Fact precision, recall and F1 against the hand-made gold set, on property and normalized value.

Names are aligned on the dev half (``align.py``); what is reported is of the test half. While rules
are written the dev half is scored instead, and the test half stays unread.

* **listed-slot**: facts of properties that the gold set does not have are ignored, as nobody
  labelled them;
* **strict**: every one of them counts as wrong.

The paper has no such figures; its 97.1 % is schema instantiation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from pydantic import Field

from moonshelf.config import Config
from moonshelf.graph.evaluate.align import Alignment, Pair, align, by_name
from moonshelf.graph.evaluate.claims import Claim, by_property, claims, gold_claims
from moonshelf.graph.evaluate.gold import GoldProperty, GoldSet, Labelled, Split, labelled
from moonshelf.graph.evaluate.scores import Score, Scored, score_of, scored
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document, Extraction

Count = tuple[int, int, int]


class FactScores(Config):
    """``protocol`` belongs in the same sentence as any of the figures."""

    protocol: str
    dev: int
    test: int
    """Texts of either half."""
    split: Split = "test"
    """Which of them the figures are of."""
    alignment: Alignment
    listed: Scored
    strict: Scored
    places: Score
    """The same with "the words overlap" in place of "the value is equal"."""
    properties: dict[str, Score]
    """By gold property, listed-slot."""
    counts: tuple[Count, ...] = Field(default=(), exclude=True, repr=False)
    """(matched, found, wanted) a text, listed-slot, in the order of the gold set: to compare two
    runs text by text. Not written down."""


def fact_scores(
    found: Mapping[str, Extraction],
    documents: Sequence[Document],
    ontology: Ontology,
    gold: GoldSet,
    *,
    given: bool = False,
    features: bool = True,
    opposites: bool = False,
    split: Split = "test",
    draws: int = 1000,
    seed: int = 0,
) -> FactScores:
    """
    Args:
        found: extractions by document id; a document without one has no facts.
        documents: those the gold texts are looked for in.
        ontology: the one extracted by.
        gold: the labels.
        given: the gold schema was given to the backend, so names are what they say.
        features, opposites: see :func:`~moonshelf.graph.evaluate.align.align`.
        split: which half is scored; ``dev`` flatters where names are aligned on it.
        draws, seed: of the intervals.

    Raises:
        DataError: no text of one half is among the documents.
    """
    dev = _pairs(labelled(documents, gold, "dev"), found, ontology, gold.properties)
    test = _pairs(labelled(documents, gold, "test"), found, ontology, gold.properties)
    alignment = by_name(sorted(gold.properties)) if given else align(dev, features, opposites)
    listed, strict, places = [], [], [0, 0, 0]
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for claimed, wanted in dev if split == "dev" else test:
        read = alignment.read(claimed)
        counts = matches(read, wanted)
        for name, count in counts.items():
            totals[name] = [a + b for a, b in zip(totals[name], count, strict=True)]
        together = _sum(counts.values())
        extra = alignment.unread(claimed)
        listed.append(together)
        strict.append((together[0], together[1] + extra, together[2]))
        places = [a + b for a, b in zip(places, _sum(_overlaps(read, wanted)), strict=True)]
    return FactScores(
        protocol=_protocol(given, len(dev), len(test), split, draws),
        dev=len(dev),
        test=len(test),
        split=split,
        alignment=alignment,
        listed=scored(listed, draws, seed),
        strict=scored(strict, draws, seed),
        places=score_of(*places),
        properties={name: score_of(*totals[name]) for name in sorted(totals)},
        counts=tuple(listed),
    )


def matches(found: Sequence[Claim], wanted: Sequence[Claim]) -> dict[str, Count]:
    """(matched, found, wanted) by property: pairs of equal values, each claim used once."""
    left, right = by_property(_once(found)), by_property(wanted)
    counts = {}
    for name in sorted({*left, *right}):
        mine = left.get(name, [])
        open_, matched = list(mine), 0
        for claim in right.get(name, []):
            hit = next((one for one in open_ if one.equals(claim)), None)
            if hit is not None:
                open_.remove(hit)
                matched += 1
        counts[name] = (matched, len(mine), len(right.get(name, [])))
    return counts


def _overlaps(found: Sequence[Claim], wanted: Sequence[Claim]) -> list[Count]:
    """As :func:`matches`, with a shared character in place of an equal value; claims without a
    place (a class) are compared by value."""
    left, right = by_property(_once(found)), by_property(wanted)
    counts = []
    for name in sorted({*left, *right}):
        open_, matched = list(left.get(name, [])), 0
        for claim in right.get(name, []):
            hit = next(
                (o for o in open_ if o.meets(claim) or (o.place is None and o.equals(claim))), None
            )
            if hit is not None:
                open_.remove(hit)
                matched += 1
        counts.append((matched, len(left.get(name, [])), len(right.get(name, []))))
    return counts


def _once(found: Sequence[Claim]) -> list[Claim]:
    """Two induced properties may state the same value of one gold property."""
    return list({(claim.property, claim.keys): claim for claim in reversed(found)}.values())[::-1]


def _pairs(
    texts: Sequence[Labelled],
    found: Mapping[str, Extraction],
    ontology: Ontology,
    properties: Mapping[str, GoldProperty],
) -> list[Pair]:
    """(claims, gold claims) a text; claims from other fields of the document are not judged."""
    pairs = []
    for one in texts:
        extraction = found.get(one.document.id)
        claimed = [] if extraction is None else claims(extraction, ontology)
        here = [c for c in claimed if c.place is None or c.place[0] == one.field]
        pairs.append((here, gold_claims(one, properties)))
    return pairs


def _sum(counts: Sequence[Count] | object) -> Count:
    total = (0, 0, 0)
    for a, b, c in counts:  # type: ignore[attr-defined]
        total = (total[0] + a, total[1] + b, total[2] + c)
    return total


def _protocol(given: bool, dev: int, test: int, split: Split, draws: int) -> str:
    names = (
        "names of the given gold schema"
        if given
        else f"induced names aligned to gold names on {dev} dev texts"
    )
    texts = dev if split == "dev" else test
    return (
        f"micro-averaged over {texts} labelled {split} texts, property and normalized value equal, "
        f"{names}; 95 % intervals from {draws} resamplings of the texts; one annotator"
    )
