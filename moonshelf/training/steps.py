"""What the steps of a contrastive stage hold: rows of terms, how they look, what is no negative.

Everything here is a pure function of (seed, step), so a resumed run and every process of a group
make the very same step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from moonshelf.catalog.batches import PlannedBatch
from moonshelf.catalog.product import Content, View
from moonshelf.objectives.contrastive import KeepOut
from moonshelf.training.contents import ContentSource, Draws
from moonshelf.training.known import Labeled, Partners, carriers, label
from moonshelf.training.settings import AlignConfig, TermConfig
from moonshelf.training.sides import Shows, Side


@dataclass(frozen=True)
class Drawn:
    """One side of a term in a step: its rows [b], from place ``start`` of the step on, their random
    numbers and ``told``, what of each is text (contents without pictures)."""

    side: Side
    rows: np.ndarray
    start: int
    draws: Draws
    told: list[Content]


@dataclass(frozen=True)
class Part:
    """The rows of one term in a step, int64 [2, b] (queries, items), and its drawn sides."""

    term: int
    rows: np.ndarray
    sides: list[Drawn]


class Steps:
    """Makes the parts of a step, and what is needed of them.

    Args:
        terms: those that get steps, in the order of the plan.
        partners: what a log pairs with the queries of each term; None where there is no log.
        groups: int64 [N] of the catalogue, SPU of each product.
        seed: of the stage.
    """

    def __init__(
        self,
        config: AlignConfig,
        terms: Sequence[TermConfig],
        source: ContentSource,
        partners: Sequence[Partners | None],
        groups: np.ndarray,
        seed: int,
    ) -> None:
        self.terms, self.shows = list(terms), [Shows(term, config.augment) for term in terms]
        self._config, self._source, self._partners = config, source, partners
        self._groups, self._seed = groups, seed

    def parts(self, planned: Sequence[PlannedBatch], step: int) -> list[Part]:
        """The parts of ``step``, one a term."""
        found, start = [], 0
        for number, batch in enumerate(planned):
            found.append(self._part(batch, step, number, start))
            start += len(batch.pairs)
        return found

    def contents(self, sides: Sequence[Drawn], piece: slice) -> list[Content]:
        """The contents of one mini-batch (``piece``) of every given side, one side after the other.

        Sides of the same products share the very same pictures, so that the encoder may look at
        each once: they all draw their picture changes as the first side does.
        """
        pictures: dict[tuple[int, int], list[Content]] = {}
        contents: list[Content] = []
        first: dict[int, Draws] = {}
        for drawn in sides:
            side, own = drawn.side, _inside(piece, drawn)
            draws, rows = first.setdefault(drawn.start, drawn.draws), drawn.rows[own]
            shown = [Content()] * len(rows)
            if side.view.has_image and len(rows):
                key = (drawn.start, side.column)
                if key not in pictures:
                    pictures[key] = self._source(rows, View.IMAGE, side.augment, draws[own])
                shown = pictures[key]
            contents += [
                replace(told, images=seen.images, crops=seen.crops)
                for told, seen in zip(drawn.told[own], shown, strict=True)
            ]
        return contents

    def keep_out(self, parts: Sequence[Part], ends: tuple[int, int]) -> KeepOut:
        """Labels of what is no negative where sides ``ends`` of all parts are compared."""
        labeled = [self._labeled(part, ends) for part in parts]
        return label(labeled, self._groups, self._config.margin)

    def keep_out_alone(self, items: Sequence[tuple[int, Drawn]]) -> KeepOut:
        """The same labels of items without a query, each with its term. Where a term's words ask
        for their own product, an item counts as asked for by its own words."""
        labeled = []
        for term, item in items:
            shows, texts = self.shows[term], (None, None)
            if self._config.mask_same_text:
                asked = shows.sides[shows.losses[0][2][0]].view
                own = self.terms[term].source == "self" and asked is View.TEXT
                texts = (self._source.texts(item.rows) if own else None, self._texts(item))
            nobody = np.full(len(item.rows), -1)
            labeled.append(Labeled(np.stack([nobody, item.rows]), texts))
        return label(labeled, self._groups, self._config.margin)

    def _part(self, planned: PlannedBatch, step: int, number: int, start: int) -> Part:
        """The rows of one term, the ``number``-th of its step, with everything drawn for them."""
        rows = np.ascontiguousarray(self._turned(planned, step, number).T)
        drawn = []
        for place, side in enumerate(self.shows[planned.term].sides):
            own = rows[side.column]
            draws = Draws((self._seed, 3, step, 2 * number + place), len(own))
            drawn.append(self.drawn(side, own, start, draws))
        return Part(planned.term, rows, drawn)

    def drawn(self, side: Side, rows: np.ndarray, start: int, draws: Draws) -> Drawn:
        """``rows`` as ``side`` shows them."""
        told = [Content()] * len(rows)
        if side.view.has_text:
            # Drawn once: mini-batches and labels of a step share them.
            told = self._source(rows, View.TEXT, side.augment, draws)
        return Drawn(side, rows, start, draws, told)

    def _turned(self, planned: PlannedBatch, step: int, number: int) -> np.ndarray:
        """Pairs of two variants have no order: each is turned around half of the time."""
        pairs = planned.pairs
        if self.terms[planned.term].source != "variant":
            return pairs
        # The first term of a step draws as a step of that term alone does.
        key = (self._seed, 4, step, number) if number else (self._seed, 4, step)
        turn = np.random.default_rng(key).random(len(pairs)) < 0.5
        return np.where(turn[:, None], pairs[:, ::-1], pairs)

    def _labeled(self, part: Part, ends: tuple[int, int]) -> Labeled:
        """What is no negative among the rows of a part; see point 3 of the module's head."""
        query, item = (part.sides[end] for end in ends)
        texts = (self._texts(query), self._texts(item))
        partners, known = self._partners[part.term], None
        if partners is not None:
            known = partners(query.rows)
        elif texts[0] is not None and texts[1] is None and query.side.augment.attributes > 0:
            known = carriers(texts[0], item.rows, self._source.values(item.rows))
        if not self._config.mask_same_text:
            texts = (None, None)
        return Labeled(np.stack([query.rows, item.rows]), texts, known)

    def _texts(self, drawn: Drawn) -> list[str] | None:
        """By which texts a side's rows count as the same: titles, or the values shown; None where
        it shows more than text."""
        if drawn.side.view is not View.TEXT:
            return None
        if drawn.side.augment.attributes == 0:
            return self._source.texts(drawn.rows)
        return [content.text or "" for content in drawn.told]


def _inside(piece: slice, drawn: Drawn) -> slice:
    """The part of ``drawn`` that lies in ``piece`` of the step."""
    low, high = (min(max(at - drawn.start, 0), len(drawn.rows)) for at in (piece.start, piece.stop))
    return slice(low, high)
