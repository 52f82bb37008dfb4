"""Which sides a term shows, and which two of them each of its losses compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from moonshelf.catalog.product import View
from moonshelf.training.settings import AugmentConfig, PairConfig, TermConfig


def term_views(term: TermConfig) -> list[tuple[int, View]]:
    """Every (column of the pair, view) that the losses of a term show."""
    pairs = [term, *term.together.values()]
    return [(side, view) for p in pairs for side, view in enumerate((p.query, p.item))]


@dataclass(frozen=True)
class Side:
    """What is encoded once in a step: a column of the pairs, its view, its texts."""

    column: int
    view: View
    augment: AugmentConfig


class Shows:
    """The distinct sides of a term and which two of them each of its losses compares."""

    def __init__(self, term: TermConfig, stage: AugmentConfig) -> None:
        self.at_once = bool(term.together)
        self.sides: list[Side] = []
        self.losses: list[tuple[str, PairConfig, tuple[int, int]]] = []
        for name, pair in {"": term, **term.together}.items():
            augments = pair.augments(stage)
            places = []
            for column, view in enumerate((pair.query, pair.item)):
                # With further losses both columns are the same product: one column, shown once.
                side = Side(0 if self.at_once else column, view, _seen(augments[column], view))
                if side not in self.sides:
                    self.sides.append(side)
                places.append(self.sides.index(side))
            self.losses.append((name, pair, (places[0], places[1])))

    def separate(self, vectors: Sequence[Tensor], sizes: Sequence[int]) -> list[Tensor]:
        """Vectors of the collated mini-batches as [B, d] of each side."""
        if not self.at_once:
            return list(vectors)
        count = len(self.sides)
        parts = vectors[0].split([count * size for size in sizes])
        chunks = [part.chunk(count) for part in parts]
        return [torch.cat([chunk[k] for chunk in chunks]) for k in range(count)]


def _seen(augment: AugmentConfig, view: View) -> AugmentConfig:
    """Without the text shares where no text is shown, so that equal sides compare equal."""
    if view.has_text:
        return augment
    texts = ("description", "attributes", "richer", "word_drop")
    return augment.model_copy(update=dict.fromkeys(texts, 0.0))
