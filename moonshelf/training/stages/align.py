"""Stage ``align``: contents that belong together get near vectors (TR section 3.4).

The paper says: nine pair types of text, picture and title+picture, positives from clicks and
purchases, InfoNCE with in-batch negatives. It leaves open temperature, batch, mixing, and what to
do about negatives that are none. We chose (methods.md 3.11):

1. A *term* is a pair source seen through two views (query view, item view) with a share.
2. Each step holds one term, drawn by shares. A term about single products may carry further
   losses (``together``): title, picture, both, richer text of the same products in one pass, each
   loss homogeneous in its two views, each picture through the vision tower once.
3. The loss is symmetric InfoNCE, both directions. Kept out of the negatives: the same item, the
   same group (SPU), the same title or shown values where a view is text alone, items that
   carry all shown attribute values, known pairs of a session log and, if switched on, items that
   score more than ``margin`` above the positive.
4. The temperature is learned from 0.07 down to at least 0.01, or fixed.
5. Optionally prefixes of the vectors are trained to be vectors too (``matryoshka``), all widths in
   one pass, with equal weights.
6. Optionally the similarities inside the batch also follow those of a frozen teacher run:
   KL(teacher || student) over rows and columns.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from moonshelf.catalog.batches import BatchPlan, PlannedBatch
from moonshelf.catalog.pairs import group_codes
from moonshelf.catalog.product import Content, View
from moonshelf.encoder.base import Encoder
from moonshelf.errors import UsageError
from moonshelf.objectives.contrastive import Contrast, KeepOut, symmetric_info_nce
from moonshelf.objectives.matryoshka import nested_info_nce
from moonshelf.training.ahead import Loss, Work, cut
from moonshelf.training.contents import ContentSource, Draws
from moonshelf.training.distill import follow_teacher
from moonshelf.training.gradcache import Batch
from moonshelf.training.known import Partners, carriers, keep_out_on, text_codes
from moonshelf.training.settings import COLDEST, WARMEST, AlignConfig
from moonshelf.training.sides import Shows, Side, term_views
from moonshelf.training.terms import find_terms


class Temperature(nn.Module):
    """Temperature of the softmax, kept as its logarithm; learned or fixed."""

    def __init__(self, start: float, learn: bool) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(start)), requires_grad=learn)

    def forward(self) -> Tensor:
        return self.log_temperature.clamp(math.log(COLDEST), math.log(WARMEST)).exp()


@dataclass(frozen=True)
class About:
    """What the loss needs to know of a step besides its vectors; made in the preparing thread."""

    term: int
    keep_out: list[KeepOut]
    """Of each loss of the step."""
    teacher: tuple[Tensor, Tensor] | None
    sizes: list[int]
    """Products of each mini-batch."""


@dataclass(frozen=True)
class Drawn:
    """One side of a step: its random numbers and the text of every row (None: none is shown)."""

    side: Side
    draws: Draws
    texts: list[str | None]


class AlignStage:
    """Terms, their plan, and the loss. Built once a stage; ``work`` is a pure function of step.

    Args:
        name: of the stage in the recipe; part of the seed.
        encoder: what is trained.
        source: contents of the catalogue's rows.
        teacher: set ``stage.teacher[view]`` to vectors [N, d] by catalogue row before the first
            step where ``config.distill`` is on (``rows`` says which rows are read).
        processes: among which the mini-batches of a step can be shared out.
    """

    def __init__(
        self,
        name: str,
        config: AlignConfig,
        encoder: Encoder,
        source: ContentSource,
        *,
        seed: int,
        device: torch.device,
        processes: int = 1,
    ) -> None:
        self._processes = processes
        self.name, self.config, self.encoder, self.source = name, config, encoder, source
        self.temperature = Temperature(config.temperature, config.learn_temperature).to(device)
        self.groups = group_codes(source.catalog)
        self.widths = _widths(name, config, encoder)
        self._seed = seed
        self.teacher: Mapping[View, np.ndarray] = {}
        found = find_terms(name, config, source, self.groups)
        planned = found.planned
        self.dropped, self.without_pairs = found.dropped, found.without_pairs
        self._terms = [config.terms[term.name] for term in planned]
        self.plan = BatchPlan(planned, config.batch, seed)
        self._shows = [Shows(term, config.augment) for term in self._terms]
        self._partners = [
            Partners(p.pairs) if t.source == "session" else None
            for p, t in zip(planned, self._terms, strict=True)
        ]

    def modules(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.encoder, "temperature": self.temperature}

    def rows(self, view: View) -> np.ndarray:
        """Every catalogue row that some term shows through ``view``, sorted."""
        seen = [
            p.pairs[:, side]
            for p, t in zip(self.plan.terms, self._terms, strict=True)
            for side, shown in term_views(t)
            if shown == view
        ]
        return np.unique(np.concatenate(seen)) if seen else np.empty(0, dtype=np.int64)

    def work(self, step: int) -> Work:
        planned = self.plan[step]
        pairs = self._turned(planned, step)
        shows = self._shows[planned.term]
        parts = cut(len(pairs), self.config.mini_batch, self._processes)
        columns = np.ascontiguousarray(pairs.T)
        sides = [
            self._drawn(columns[side.column], side, (self._seed, 3, step, number))
            for number, side in enumerate(shows.sides)
        ]
        collates = [
            [functools.partial(self._collate, pairs, [drawn], part) for part in parts]
            for drawn in sides
        ]
        if shows.at_once:
            collates = [[functools.partial(self._collate, pairs, sides, part) for part in parts]]
        sizes = [len(pairs[part]) for part in parts]
        about = self._about(planned.term, columns, sides, sizes)
        rows = [columns[side.column] for side in shows.sides]
        if shows.at_once:
            rows = [np.concatenate([row[part] for part in parts for row in rows])]
        return Work(step, planned.name, len(pairs), rows, collates, about)

    def embed(self, batch: Batch) -> Tensor:
        return self.encoder(dict(batch))

    def loss(self, work: Work, *vectors: Tensor) -> Loss:
        temperature, about = self.temperature(), work.about
        shows = self._shows[about.term]
        sides = shows.separate(vectors, about.sizes)
        report: dict[str, float | Tensor] = {"temperature": temperature.detach()}
        total = vectors[0].new_zeros(())
        for (name, pair, (q, p)), keep_out in zip(shows.losses, about.keep_out, strict=True):
            loss, figures = self._contrast(
                sides[q], sides[p], temperature, keep_out_on(keep_out, sides[q].device)
            )
            total = total + pair.weight * loss
            report |= {f"contrast/{name}": loss.detach()} if name else figures
        distill = self.config.distill
        if distill is not None and about.teacher is not None:
            query, item = (sides[k] for k in shows.losses[0][2])
            follow = follow_teacher((query, item), temperature, about.teacher, distill)
            report["distill"] = follow.detach()
            total = total + distill.weight * follow
        return total, report

    def _contrast(
        self, query: Tensor, item: Tensor, temperature: Tensor, keep_out: KeepOut
    ) -> tuple[Tensor, dict[str, float | Tensor]]:
        """The loss of one pair of sides, and what a log should know of it."""
        if not self.widths:
            found = symmetric_info_nce(query, item, temperature, keep_out=keep_out)
            return found.loss, _figures(found)
        nested = nested_info_nce(
            query, item, self.widths, temperature, keep_out=keep_out, symmetric=True
        )
        figures: dict[str, float | Tensor] = {
            f"contrast@{width}": loss
            for width, loss in zip(self.widths, nested.by_width, strict=True)
        }
        figures |= {"contrast": nested.by_width[-1], "accuracy": nested.accuracy}
        return nested.loss, figures

    def _turned(self, planned: PlannedBatch, step: int) -> np.ndarray:
        """Pairs of two variants have no order: each is turned around half of the time."""
        pairs = planned.pairs
        if self._terms[planned.term].source != "variant":
            return pairs
        turn = np.random.default_rng((self._seed, 4, step)).random(len(pairs)) < 0.5
        return np.where(turn[:, None], pairs[:, ::-1], pairs)

    def _drawn(self, rows: np.ndarray, side: Side, key: tuple[int, ...]) -> Drawn:
        """The texts of ``rows``, drawn once: mini-batches and labels of a step share them."""
        draws = Draws(key, len(rows))
        if not side.view.has_text:
            return Drawn(side, draws, [None] * len(rows))
        shown = self.source(rows, View.TEXT, side.augment, draws)
        return Drawn(side, draws, [content.text for content in shown])

    def _collate(self, pairs: np.ndarray, sides: Sequence[Drawn], part: slice) -> Batch:
        """The contents of one mini-batch of every given side, one side after the other.

        Sides of the same products share the very same pictures, so that the encoder may look at
        each once: they all draw their picture changes as the first side does.
        """
        pictures: dict[int, list[tuple[Any, ...]]] = {}
        contents: list[Content] = []
        for side, texts in ((drawn.side, drawn.texts[part]) for drawn in sides):
            rows = pairs[part, side.column]
            if side.view.has_image and side.column not in pictures:
                seen = self.source(rows, View.IMAGE, side.augment, sides[0].draws[part])
                pictures[side.column] = [content.images for content in seen]
            images = pictures[side.column] if side.view.has_image else [()] * len(rows)
            contents += [Content(*shown) for shown in zip(texts, images, strict=True)]
        return self.encoder.collate(contents)

    def _about(
        self, term: int, rows: np.ndarray, sides: Sequence[Drawn], sizes: list[int]
    ) -> About:
        shown, shows = self._terms[term], self._shows[term]
        teacher = None
        if self.teacher:
            query, item = (
                torch.from_numpy(self.teacher[view][side].astype(np.float32))
                for view, side in zip((shown.query, shown.item), rows, strict=True)
            )
            teacher = (query, item)
        texts = [
            self._texts(rows[drawn.side.column], drawn) if drawn.side.view is View.TEXT else None
            for drawn in sides
        ]
        keep_out = [
            self._keep_out(term, rows, [shows.sides[k] for k in ends], [texts[k] for k in ends])
            for _, _, ends in shows.losses
        ]
        return About(term, keep_out, teacher, sizes)

    def _texts(self, rows: np.ndarray, drawn: Drawn) -> list[str]:
        """By which texts the side's rows count as the same: titles, or the values shown."""
        if drawn.side.augment.attributes == 0:
            return self.source.texts(rows)
        return [text or "" for text in drawn.texts]

    def _keep_out(
        self,
        term: int,
        rows: np.ndarray,
        ends: Sequence[Side],
        texts: Sequence[list[str] | None],
    ) -> KeepOut:
        """Labels of what is no negative; see point 3 of the module's head."""
        partners, known = self._partners[term], None
        labels = [
            text_codes(text) if self.config.mask_same_text and text is not None else side
            for text, side in zip(texts, rows, strict=True)
        ]
        if partners is not None:
            labels[1] = rows[1]
            known = partners(rows[0])
        elif texts[0] is not None and texts[1] is None and ends[0].augment.attributes > 0:
            known = carriers(texts[0], rows[1], self.source.values(rows[1]))
        return KeepOut(
            item_ids=torch.from_numpy(labels[1].astype(np.int64)),
            groups=torch.from_numpy(self.groups[rows[1]]),
            queries=torch.from_numpy(labels[0].astype(np.int64)),
            known=None if known is None else torch.from_numpy(known),
            margin=self.config.margin,
        )


def _widths(stage: str, config: AlignConfig, encoder: Encoder) -> tuple[int, ...]:
    """The prefixes that are trained and the whole vector; nothing where it is the whole alone."""
    if not config.matryoshka:
        return ()
    if config.matryoshka[-1] > encoder.dim:
        raise UsageError(
            f"a prefix of {config.matryoshka[-1]} numbers of vectors of {encoder.dim}",
            where=f"stages.{stage}.matryoshka",
            cure=f"leave widths above {encoder.dim} out, or raise encoder.dim",
        )
    return tuple(sorted({*config.matryoshka, encoder.dim}))


def _figures(found: Contrast) -> dict[str, float | Tensor]:
    return {
        "contrast": found.loss.detach(),
        "accuracy": found.accuracy,
        "masked_share": found.masked_share,
        "positive_similarity": found.positive_similarity,
        "negative_similarity": found.negative_similarity,
    }
