"""How sure a tagger must be: chosen on a part of the labels that it did not learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from moonshelf.config import Config
from moonshelf.graph.builtin.tagger import Labelled, Tagged, Tagger, TaggerSettings
from moonshelf.graph.evaluate.slots import SlotScores, slot_scores
from moonshelf.graph.records import Document
from moonshelf.progress import Progress

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
FOLDS = 5


class Choice(Config):
    """``f1``: of each threshold on the part held out, listed-slot; ``scores``: of the best one."""

    threshold: float
    f1: dict[str, float]
    learned_from: int
    held_out: int
    scores: SlotScores


def choose(
    examples: Sequence[Labelled],
    settings: TaggerSettings | None = None,
    progress: Progress | None = None,
) -> Choice | None:
    """Learns from four fifths and tries every threshold on the rest; the highest of equals.

    Returns None where the parts would be empty: there is nothing to choose by.
    """
    fit = [one for one in examples if not is_held(one.document)]
    held = [one for one in examples if is_held(one.document)]
    if not fit or not held:
        return None
    tagger = Tagger.train(fit, settings, progress)
    tags = [tagger.tag(one.document, min(THRESHOLDS)) for one in held]
    tried = {
        threshold: slot_scores(
            [first_values(t for t in found if t.confidence >= threshold) for found in tags],
            [one.values for one in held],
            [one.values for one in fit],
        )
        for threshold in THRESHOLDS
    }
    best = max(THRESHOLDS, key=lambda threshold: (tried[threshold].listed.score.f1, threshold))
    return Choice(
        threshold=best,
        f1={str(threshold): one.listed.score.f1 for threshold, one in tried.items()},
        learned_from=len(fit),
        held_out=len(held),
        scores=tried[best],
    )


def first_values(found: Iterable[Tagged]) -> Mapping[str, str]:
    """The most confident value of each property: ``Tagger.tag`` puts it first."""
    values: dict[str, str] = {}
    for one in found:
        values.setdefault(one.property, one.raw)
    return values


def is_held(document: Document) -> bool:
    """Whether a document is held out: a fifth of all."""
    return fold_of(document, FOLDS) == 0


def fold_of(document: Document, folds: int) -> int:
    """One of so many parts of equal size, texts of one product and equal titles together."""
    key = document.product or next((text for _, text in document.fields), "")
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return int(digest, 16) % folds
