"""Stage ``align``: contents that belong together get near vectors (TR section 3.4).

The paper says: nine pair types of text, picture and title+picture, positives from clicks and
purchases, InfoNCE with in-batch negatives. It leaves open temperature, batch, mixing, and what to
do about negatives that are none. We chose (methods.md 3.11):

1. A *term* is a pair source seen through two views (query view, item view) with a share.
2. Each step holds one term, drawn by shares.
3. The loss is symmetric InfoNCE, both directions. Kept out of the negatives: the same item, the
   same group (SPU), the same text where a view is text alone, known pairs of a session log and, if
   switched on, items that score more than ``margin`` above the positive.
4. The temperature is learned from 0.07 down to at least 0.01, or fixed.
5. Optionally the similarities inside the batch also follow those of a frozen teacher run:
   KL(teacher || student) over rows and columns.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from moonshelf.catalog.batches import BatchPlan, PlannedBatch, Term
from moonshelf.catalog.pairs import catalog_pairs, group_codes
from moonshelf.catalog.product import View
from moonshelf.encoder.base import Encoder
from moonshelf.errors import DataError
from moonshelf.objectives.contrastive import KeepOut, symmetric_info_nce
from moonshelf.training.ahead import Loss, Work
from moonshelf.training.contents import ContentSource, Draws
from moonshelf.training.distill import follow_teacher
from moonshelf.training.gradcache import Batch
from moonshelf.training.settings import (
    COLDEST,
    WARMEST,
    AlignConfig,
    AugmentConfig,
    TermConfig,
)


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

    keep_out: KeepOut
    teacher: tuple[Tensor, Tensor] | None


class AlignStage:
    """Terms, their plan, and the loss. Built once a stage; ``work`` is a pure function of step.

    Args:
        name: of the stage in the recipe; part of the seed.
        encoder: what is trained.
        source: contents of the catalogue's rows.
        teacher: set ``stage.teacher[view]`` to vectors [N, d] by catalogue row before the first
            step where ``config.distill`` is on (``rows`` says which rows are read).
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
    ) -> None:
        self.name, self.config, self.encoder, self.source = name, config, encoder, source
        self.temperature = Temperature(config.temperature, config.learn_temperature).to(device)
        self.groups = group_codes(source.catalog)
        self.dropped: dict[str, int] = {}
        self._seed = seed
        self.teacher: Mapping[View, np.ndarray] = {}
        self.without_pairs: dict[str, str] = {}
        found = {key: self._term(key, term) for key, term in config.active().items()}
        planned = [term for term in found.values() if term is not None]
        self._terms = [config.terms[term.name] for term in planned]
        self.plan = BatchPlan(planned, config.batch, seed)
        self._partners = [
            _Partners(p.pairs) if t.source == "session" else None
            for p, t in zip(planned, self._terms, strict=True)
        ]

    def modules(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.encoder, "temperature": self.temperature}

    def rows(self, view: View) -> np.ndarray:
        """Every catalogue row that some term shows through ``view``, sorted."""
        seen = [
            p.pairs[:, side]
            for p, t in zip(self.plan.terms, self._terms, strict=True)
            for side, shown in enumerate((t.query, t.item))
            if shown == view
        ]
        return np.unique(np.concatenate(seen)) if seen else np.empty(0, dtype=np.int64)

    def work(self, step: int) -> Work:
        planned = self.plan[step]
        pairs = self._turned(planned, step)
        term = self._terms[planned.term]
        size = self.config.mini_batch or len(pairs)
        sides = [
            self._collates(pairs[:, side], view, augment, (self._seed, 3, step, side), size)
            for side, (view, augment) in enumerate(
                zip((term.query, term.item), term.augments(self.config.augment), strict=True)
            )
        ]
        rows = np.ascontiguousarray(pairs.T)
        return Work(step, planned.name, rows, sides, about=self._about(planned.term, rows))

    def embed(self, batch: Batch) -> Tensor:
        return self.encoder(dict(batch))

    def loss(self, work: Work, query: Tensor, item: Tensor) -> Loss:
        temperature = self.temperature()
        found = symmetric_info_nce(
            query, item, temperature, keep_out=_on(work.about.keep_out, query.device)
        )
        report: dict[str, float | Tensor] = {
            "contrast": found.loss.detach(),
            "accuracy": found.accuracy,
            "masked_share": found.masked_share,
            "positive_similarity": found.positive_similarity,
            "negative_similarity": found.negative_similarity,
            "temperature": temperature.detach(),
        }
        total = found.loss
        distill = self.config.distill
        if distill is not None and work.about.teacher is not None:
            follow = follow_teacher((query, item), temperature, work.about.teacher, distill)
            report["distill"] = follow.detach()
            total = total + distill.weight * follow
        return total, report

    def _term(self, name: str, term: TermConfig) -> Term | None:
        """The pairs of a term; None for an optional one that the catalogue has no pairs for."""
        catalog = self.source.catalog
        try:
            every = catalog_pairs(
                catalog,
                term.source,
                most=term.most,
                window_days=term.window_days,
                before=term.before,
                following=term.following,
            )
        except DataError as error:
            if not term.optional:
                raise
            self.without_pairs[name] = error.what
            return None
        usable = [self.source.usable(view) for view in (term.query, term.item)]
        pairs = every[usable[0][every[:, 0]] & usable[1][every[:, 1]]]
        self.dropped[name] = len(every) - len(pairs)
        if term.optional and len(pairs) < 2:
            self.without_pairs[name] = f"has {len(pairs)} pairs with readable titles and pictures"
            return None
        return Term(name, pairs, term.share, self.groups[pairs[:, 1]])

    def _turned(self, planned: PlannedBatch, step: int) -> np.ndarray:
        """Pairs of two variants have no order: each is turned around half of the time."""
        pairs = planned.pairs
        if self._terms[planned.term].source != "variant":
            return pairs
        turn = np.random.default_rng((self._seed, 4, step)).random(len(pairs)) < 0.5
        return np.where(turn[:, None], pairs[:, ::-1], pairs)

    def _collates(
        self,
        rows: np.ndarray,
        view: View,
        augment: AugmentConfig,
        key: tuple[int, ...],
        size: int,
    ) -> list[Callable[[], Batch]]:
        parts = [slice(start, start + size) for start in range(0, len(rows), size)]
        return [functools.partial(self._collate, rows, view, augment, key, part) for part in parts]

    def _collate(
        self,
        rows: np.ndarray,
        view: View,
        augment: AugmentConfig,
        key: tuple[int, ...],
        part: slice,
    ) -> Batch:
        changed = augment.changes_pictures or augment.changes_texts
        draws = Draws(key, len(rows))[part] if changed else None
        return self.encoder.collate(self.source(rows[part], view, augment, draws))

    def _about(self, term: int, rows: np.ndarray) -> About:
        shown = self._terms[term]
        teacher = None
        if self.teacher:
            query, item = (
                torch.from_numpy(self.teacher[view][side].astype(np.float32))
                for view, side in zip((shown.query, shown.item), rows, strict=True)
            )
            teacher = (query, item)
        return About(self._keep_out(term, rows), teacher)

    def _keep_out(self, term: int, rows: np.ndarray) -> KeepOut:
        """Labels of what is no negative; see point 3 of the module's head."""
        shown, partners = self._terms[term], self._partners[term]
        labels = [
            self._text_codes(side) if self.config.mask_same_text and view is View.TEXT else side
            for view, side in zip((shown.query, shown.item), rows, strict=True)
        ]
        known = None
        if partners is not None:
            labels[1] = rows[1]
            known = torch.from_numpy(partners(rows[0]))
        return KeepOut(
            item_ids=torch.from_numpy(labels[1].astype(np.int64)),
            groups=torch.from_numpy(self.groups[rows[1]]),
            queries=torch.from_numpy(labels[0].astype(np.int64)),
            known=known,
            margin=self.config.margin,
        )

    def _text_codes(self, rows: np.ndarray) -> np.ndarray:
        """Equal numbers for equal titles."""
        return np.unique(np.array(self.source.texts(rows)), return_inverse=True)[1]


def _on(keep_out: KeepOut, device: torch.device) -> KeepOut:
    """The same labels where the vectors are."""
    values = {f.name: getattr(keep_out, f.name) for f in dataclasses.fields(keep_out)}
    moved = {k: v.to(device) for k, v in values.items() if isinstance(v, Tensor)}
    return dataclasses.replace(keep_out, **moved)


class _Partners:
    """Every item that a log pairs with a given one, and the item itself."""

    def __init__(self, pairs: np.ndarray) -> None:
        both = np.concatenate([pairs, pairs[:, ::-1], np.repeat(np.unique(pairs)[:, None], 2, 1)])
        both = np.unique(both, axis=0)
        self._first, self._second = both[:, 0].copy(), both[:, 1].copy()

    def __call__(self, queries: np.ndarray) -> np.ndarray:
        """(place in ``queries``, partner): int64 [P, 2]."""
        low = np.searchsorted(self._first, queries)
        count = np.searchsorted(self._first, queries, side="right") - low
        place = np.repeat(np.arange(len(queries)), count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return np.stack([place, self._second[low[place] + within]], axis=1).astype(np.int64)
