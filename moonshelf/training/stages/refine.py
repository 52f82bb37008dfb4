"""Stage ``refine``: purchases only, against negatives that are hard and many (TR section 3.5).

The paper says: after ``align``, cleaned purchase pairs, negatives from the batch, of the positive's
category (hard), of other ranks (spatial) and of past steps (temporal), circle loss. It leaves open
how many of each, their masks, margins and scale, and whether its loss is circle or InfoNCE, which
its own overview figure says. We chose (methods.md 3.11):

1. Everything of ``align`` that is not said here: terms, views, augmentation, masks, prefixes.
   Purchases are a term's own setting: ``source = "log"``, ``levels = ["purchase"]``.
2. Circle loss with g 64 and m 0.25, or InfoNCE, by switch; over the same tiles, masks, directions.
3. One hard negative a pair (hard.py), encoded in the step and with gradient; a negative of all
   queries of the batch to whom it is no right answer.
4. A queue of the items and hard negatives of earlier steps (negatives.py), four batches by default.
5. Spatial negatives are there already: every process computes the loss of the gathered batch.
6. A loss with drawn attribute values for queries has its batch alone for negatives, because many
   items carry them: those of a batch are known by their words, those of a queue are not. Items
   shown as such values are not queued either.

Hard negatives and queue are negatives of queries; the direction item -> query stays in the batch.
It starts from what the stage before it in the recipe has left, or from ``start`` of the recipe.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from moonshelf.catalog.product import View
from moonshelf.encoder.base import Encoder
from moonshelf.objectives.circle import circle, nested_circle
from moonshelf.objectives.contrastive import Contrast
from moonshelf.objectives.matryoshka import Nested
from moonshelf.training.ahead import Loss, Work, cut
from moonshelf.training.contents import ContentSource
from moonshelf.training.hard import HardItems, shows_values
from moonshelf.training.known import keep_out_on
from moonshelf.training.negatives import COLUMNS, Items, Queue, item_labels, joined
from moonshelf.training.refine_settings import RefineConfig
from moonshelf.training.stages.align import About, AlignStage
from moonshelf.training.steps import Drawn, Part

_VIEWS = {view: code for code, view in enumerate(View)}


@dataclass(frozen=True)
class RefineAbout(About):
    """What the loss needs to know of a step beyond :class:`About`."""

    views: list[Tensor]
    """Of each loss: int64 [B], code of the view of every item; -1 where it stays out of queues."""
    alone: list[bool]
    """Of each loss: whether its batch is all it is contrasted with."""
    hard: Tensor
    """int64 [H, COLUMNS], labels of the hard negatives; their vectors are the last side's first."""


class RefineStage(AlignStage):
    """``AlignStage`` with further negatives and a choice of loss; see the module's head."""

    config: RefineConfig

    def __init__(
        self,
        name: str,
        config: RefineConfig,
        encoder: Encoder,
        source: ContentSource,
        *,
        seed: int,
        device: torch.device,
        processes: int = 1,
    ) -> None:
        super().__init__(
            name, config, encoder, source, seed=seed, device=device, processes=processes
        )
        if not self._softmax:
            self.temperature.requires_grad_(False)
        self.queue = None
        if config.queued:
            sides = max(len({p for _, _, (_, p) in shows.losses}) for shows in self.steps.shows)
            room = config.batch * (sides + config.hard_negatives)
            self.queue = Queue(config.queued, room, encoder.dim).to(device)
        self.hard = None
        if config.hard_negatives:
            each = config.hard_negatives
            self.hard = HardItems(name, each, self.steps, source, self.asked, seed)

    @property
    def _softmax(self) -> bool:
        """Whether some part of the loss has a temperature."""
        return self.config.loss == "info_nce" or self.config.distill is not None

    def modules(self) -> Mapping[str, nn.Module]:
        found = super().modules()
        return found if self.queue is None else {**found, "queue": self.queue}

    def _work(self, step: int, parts: Sequence[Part]) -> Work:
        work = super()._work(step, parts)
        about = self._refined(work.about, parts)
        if self.hard is None or about.alone[0]:
            return dataclasses.replace(work, about=about)
        found, count = self.hard.of_step(step, parts, about.keep_out[0], self._processes)
        if not count:
            return dataclasses.replace(work, about=about)
        drawn = [one for _, one in found]
        views = np.concatenate([np.full(len(one.rows), _VIEWS[one.side.view]) for one in drawn])
        labels = item_labels(self.steps.keep_out_alone(found), torch.from_numpy(views))[:count]
        pieces = cut(len(views), self.config.mini_batch, self._processes)
        return dataclasses.replace(
            work,
            about=dataclasses.replace(about, hard=labels),
            rows=[*work.rows, np.concatenate([one.rows for one in drawn])],
            sides=[
                *work.sides,
                [functools.partial(self._collate, drawn, piece) for piece in pieces],
            ],
        )

    def loss(self, work: Work, *vectors: Tensor) -> Loss:
        """See :meth:`Stage.loss`; the step's items then enter the queue, once however often this
        is called for it (negatives.py)."""
        about: RefineAbout = work.about
        device, count = vectors[0].device, len(about.hard)
        own = vectors[:-1] if count else vectors
        pool = [Items(vectors[-1][:count], about.hard.to(device))] if count else []
        report: dict[str, float | Tensor] = {}
        if self.hard is not None:
            report["hard_share"] = count / (work.pairs * self.config.hard_negatives)
        if self.queue is not None:
            old, ages = self.queue.take(work.step)
            report["queue"] = len(old)
            if len(old):
                report |= {"queue_age": ages.double().mean(), "queue_age_max": ages.max()}
                pool.append(old)
        further = [self._further(pool, *of) for of in zip(about.views, about.alone, strict=True)]
        report["further"] = sum(map(len, further[0]))
        total, figures = self._loss(work, own, further)
        if self.queue is not None:
            self.queue.put(work.step, joined([*self._batch_items(work, own), *pool[: count > 0]]))
        if not self._softmax:
            figures = {k: v for k, v in figures.items() if k != "temperature"}
        return total, {**figures, **report}

    def _objectives(
        self, temperature: Tensor
    ) -> tuple[Callable[..., Contrast], Callable[..., Nested]]:
        if self.config.loss == "info_nce":
            return super()._objectives(temperature)
        shape = {"scale": self.config.circle_scale, "margin": self.config.circle_margin}
        return functools.partial(circle, **shape), functools.partial(nested_circle, **shape)

    def _refined(self, about: About, parts: Sequence[Part]) -> RefineAbout:
        views, alone = [], []
        for number in range(len(about.keep_out)):
            ends = [self._ends(part, number) for part in parts]
            alone.append(any(shows_values(one.side) for both in ends for one in both))
            codes = [
                np.full(len(item.rows), -1 if shows_values(item.side) else _VIEWS[item.side.view])
                for _, item in ends
            ]
            views.append(torch.from_numpy(np.concatenate(codes)))
        none = torch.empty(0, COLUMNS, dtype=torch.int64)
        given: dict[str, Any] = {f.name: getattr(about, f.name) for f in dataclasses.fields(about)}
        return RefineAbout(**given, views=views, alone=alone, hard=none)

    def _ends(self, part: Part, number: int) -> tuple[Drawn, Drawn]:
        """Query and item side of a part in the ``number``-th loss of the step."""
        query, item = self.steps.shows[part.term].losses[number][2]
        return part.sides[query], part.sides[item]

    @staticmethod
    def _further(pool: Sequence[Items], views: Tensor, alone: bool) -> list[Items]:
        """What of ``pool`` is seen as the items of a loss are; each of them apart, because those of
        the queue need no gradient."""
        if alone or not pool:
            return []
        seen = views.unique().to(pool[0].labels.device)
        return [some for items in pool if len(some := items.of_views(seen))]

    def _batch_items(self, work: Work, vectors: Sequence[Tensor]) -> list[Items]:
        """The items of the step, each side once."""
        about: RefineAbout = work.about
        shows = self.steps.shows[about.term]
        sides, found = shows.separate(vectors, about.sizes), {}
        for (_, _, (_, p)), keep_out, views in zip(
            shows.losses, about.keep_out, about.views, strict=True
        ):
            device = sides[p].device
            labels = item_labels(keep_out_on(keep_out, device), views.to(device))
            found.setdefault(p, Items(sides[p], labels))
        return list(found.values())
