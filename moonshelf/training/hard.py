"""The hard negatives of a step: which items come along, how they look, whom they are kept from.

Which items those are: :mod:`moonshelf.catalog.hard_negatives`. Here they become a further side of a
step: seen through the view of its first loss's items, labeled as those are, drawn from (seed, step)
alone. A pair gets none where its category holds none, and where its query is so broad that others
of the category may be right: words that were answered by three brands, drawn attribute values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from moonshelf.catalog.hard_negatives import (
    NONE,
    HardNegatives,
    brand_codes,
    broad_queries,
    leaf_codes,
)
from moonshelf.catalog.pairs import group_codes
from moonshelf.catalog.product import View
from moonshelf.errors import DataError
from moonshelf.objectives.contrastive import KeepOut
from moonshelf.training.contents import ContentSource, Draws
from moonshelf.training.sides import Side
from moonshelf.training.steps import Drawn, Part, Steps


def shows_values(side: Side) -> bool:
    """Whether a side shows attribute values alone: no product, but what many have in common."""
    return side.view is View.TEXT and side.augment.attributes > 0


class HardItems:
    """Draws the hard negatives of any step.

    Args:
        stage: its name in the recipe, for messages.
        each: items for each pair.
        steps: of the stage.
        asked: int64 [P, 2] of (query, row of an item), every pair that the log knows.

    Raises:
        DataError: no product of the train split has a category.
    """

    def __init__(
        self,
        stage: str,
        each: int,
        steps: Steps,
        source: ContentSource,
        asked: np.ndarray,
        seed: int,
    ) -> None:
        self._each, self._steps, self._seed = each, steps, seed
        catalog = source.catalog
        rows = np.asarray(catalog.split_rows("train"), dtype=np.int64)
        leaf, groups = leaf_codes(catalog), group_codes(catalog)
        if not (leaf[rows] >= 0).any():
            raise DataError(
                "no train product has a category, so none has hard negatives",
                where=str(catalog.path),
                cure=f"import categories, or set stages.{stage}.hard_negatives=0",
            )
        views = {self._item(term).view for term in range(len(steps.terms))}
        usable = {view: source.usable(view)[rows] for view in views}
        self._of = {view: HardNegatives(rows[usable[view]], leaf, groups) for view in views}
        self._broad = np.empty(0, dtype=np.int64)
        if len(asked):
            self._broad = broad_queries(asked, brand_codes(catalog))

    def of_step(
        self, step: int, parts: Sequence[Part], keep_out: KeepOut, least: int
    ) -> tuple[list[tuple[int, Drawn]], int]:
        """The items of ``step``, each part's with its term, and how many they are.

        Args:
            parts, keep_out: of the step's first loss.
            least: rows that the step's sides need (one a process); if there are any items but
                fewer, the last one is repeated behind the count.
        """
        known = np.empty((0, 2), np.int64) if keep_out.known is None else keep_out.known.numpy()
        chosen, before = [], 0
        for number, part in enumerate(parts):
            count = len(part.rows[0])
            mine = known[(known[:, 0] >= before) & (known[:, 0] < before + count)]
            picked = self._picked(part, mine - [before, 0], (self._seed, 7, step, number))
            chosen.append((number, part.term, picked, np.flatnonzero(picked != NONE)))
            before += count
        chosen = [one for one in chosen if len(one[-1])]
        total = sum(len(one[-1]) for one in chosen)
        found, start = [], 0
        for number, term, picked, places in chosen:
            if number == chosen[-1][0]:
                places = np.pad(places, (0, max(0, least - total)), mode="edge")
            draws = Draws((self._seed, 8, step, number), len(picked))[places]
            shown = self._steps.drawn(self._item(term), picked[places], start, draws)
            found.append((term, shown))
            start += len(places)
        return found, total

    def _picked(self, part: Part, known: np.ndarray, key: tuple[int, ...]) -> np.ndarray:
        """int64 [b * each]: rows, all first ones, then all second ones ...; NONE where none."""
        rng, of = np.random.default_rng(key), self._of[self._item(part.term).view]
        queries, items = part.rows
        broad = np.zeros(len(items), dtype=bool)
        shows = self._steps.shows[part.term]
        asked = shows.sides[shows.losses[0][2][0]]
        if asked.view is View.TEXT:
            broad = np.isin(queries, self._broad) | shows_values(asked)
        found = []
        for _ in range(self._each):
            picked = np.where(broad, NONE, of.pick(items, known, rng))
            found.append(picked)
            # What a pair has already is no candidate for it again.
            known = np.concatenate([known, np.stack([np.arange(len(items)), picked], axis=1)])
            known = known[known[:, 1] != NONE]
        return np.concatenate(found)

    def _item(self, term: int) -> Side:
        shows = self._steps.shows[term]
        return shows.sides[shows.losses[0][2][1]]
