"""Stage ``align``: contents that belong together get near vectors (TR section 3.4).

The paper says: nine pair types of text, picture and title+picture, positives from clicks and
purchases, InfoNCE with in-batch negatives. It leaves open temperature, batch, mixing, and what to
do about negatives that are none. We chose (methods.md 3.11):

1. A *term* is a pair source seen through two views (query view, item view) with a share.
2. Each step holds one term, drawn by shares. A term about single products may carry further
   losses (``together``): title, picture, both, richer text of the same products in one pass, each
   loss homogeneous in its two views, each picture through the vision tower once.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from moonshelf.catalog.batches import BatchPlan, PlannedBatch, Term
from moonshelf.catalog.pairs import catalog_pairs, group_codes
from moonshelf.catalog.product import Content, View
from moonshelf.encoder.base import Encoder
from moonshelf.errors import DataError
from moonshelf.objectives.contrastive import Contrast, KeepOut, symmetric_info_nce
from moonshelf.training.ahead import Loss, Work
from moonshelf.training.contents import ContentSource, Draws
from moonshelf.training.distill import follow_teacher
from moonshelf.training.gradcache import Batch
from moonshelf.training.settings import (
    COLDEST,
    WARMEST,
    AlignConfig,
    AugmentConfig,
    PairConfig,
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

    term: int
    keep_out: list[KeepOut]
    """Of each loss of the step."""
    teacher: tuple[Tensor, Tensor] | None
    sizes: list[int]
    """Products of each mini-batch."""


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
        self._shows = [_Shows(term, config.augment) for term in self._terms]
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
            for side, shown in _views(t)
            if shown == view
        ]
        return np.unique(np.concatenate(seen)) if seen else np.empty(0, dtype=np.int64)

    def work(self, step: int) -> Work:
        planned = self.plan[step]
        pairs = self._turned(planned, step)
        shows = self._shows[planned.term]
        size = self.config.mini_batch or len(pairs)
        parts = [slice(start, start + size) for start in range(0, len(pairs), size)]
        keys = [(self._seed, 3, step, number) for number in range(len(shows.sides))]
        collates = [
            [functools.partial(self._collate, pairs, [side], [key], part) for part in parts]
            for side, key in zip(shows.sides, keys, strict=True)
        ]
        if shows.at_once:
            collates = [
                [functools.partial(self._collate, pairs, shows.sides, keys, part) for part in parts]
            ]
        columns = np.ascontiguousarray(pairs.T)
        about = self._about(planned.term, columns, [len(pairs[part]) for part in parts])
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
            found = symmetric_info_nce(
                sides[q], sides[p], temperature, keep_out=_on(keep_out, sides[q].device)
            )
            total = total + pair.weight * found.loss
            if name:
                report[f"contrast/{name}"] = found.loss.detach()
            else:
                report |= _figures(found)
        distill = self.config.distill
        if distill is not None and about.teacher is not None:
            query, item = (sides[k] for k in shows.losses[0][2])
            follow = follow_teacher((query, item), temperature, about.teacher, distill)
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
        fit = np.ones(len(every), dtype=bool)
        for side, view in _views(term):
            fit &= self.source.usable(view)[every[:, side]]
        pairs = every[fit]
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

    def _collate(
        self,
        pairs: np.ndarray,
        sides: Sequence[Side],
        keys: Sequence[tuple[int, ...]],
        part: slice,
    ) -> Batch:
        """The contents of one mini-batch of every given side, one side after the other.

        Sides of the same products share the very same pictures, so that the encoder may look at
        each once: they all draw their picture changes from the first key.
        """
        pictures: dict[int, list[tuple[Any, ...]]] = {}
        contents: list[Content] = []
        for side, key in zip(sides, keys, strict=True):
            rows = pairs[part, side.column]
            texts = self._contents(rows, View.TEXT, side, key, len(pairs), part)
            if side.view.has_image and side.column not in pictures:
                seen = self._contents(rows, View.IMAGE, side, keys[0], len(pairs), part)
                pictures[side.column] = [content.images for content in seen]
            for k, content in enumerate(texts):
                text = content.text if side.view.has_text else None
                images = pictures[side.column][k] if side.view.has_image else ()
                contents.append(Content(text, images))
        return self.encoder.collate(contents)

    def _contents(
        self,
        rows: np.ndarray,
        view: View,
        side: Side,
        key: tuple[int, ...],
        whole: int,
        part: slice,
    ) -> list[Content]:
        if not side.view.has_text and view is View.TEXT:
            return [Content()] * len(rows)
        changed = side.augment.changes_pictures or side.augment.changes_texts
        draws = Draws(key, whole)[part] if changed else None
        return self.source(rows, view, side.augment, draws)

    def _about(self, term: int, rows: np.ndarray, sizes: list[int]) -> About:
        shown = self._terms[term]
        teacher = None
        if self.teacher:
            query, item = (
                torch.from_numpy(self.teacher[view][side].astype(np.float32))
                for view, side in zip((shown.query, shown.item), rows, strict=True)
            )
            teacher = (query, item)
        keep_out = [self._keep_out(term, pair, rows) for _, pair, _ in self._shows[term].losses]
        return About(term, keep_out, teacher, sizes)

    def _keep_out(self, term: int, shown: PairConfig, rows: np.ndarray) -> KeepOut:
        """Labels of what is no negative; see point 3 of the module's head."""
        partners = self._partners[term]
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


def _figures(found: Contrast) -> dict[str, float | Tensor]:
    return {
        "contrast": found.loss.detach(),
        "accuracy": found.accuracy,
        "masked_share": found.masked_share,
        "positive_similarity": found.positive_similarity,
        "negative_similarity": found.negative_similarity,
    }


def _views(term: TermConfig) -> list[tuple[int, View]]:
    """Every (column of the pair, view) that the losses of a term show."""
    pairs = [term, *term.together.values()]
    return [(side, view) for p in pairs for side, view in enumerate((p.query, p.item))]


@dataclass(frozen=True)
class Side:
    """What is encoded once in a step: a column of the pairs, its view, its texts."""

    column: int
    view: View
    augment: AugmentConfig


class _Shows:
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
    return augment.model_copy(update={"description": 0.0, "attributes": 0.0, "word_drop": 0.0})


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
