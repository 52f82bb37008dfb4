"""Stage ``align``: contents that belong together get near vectors (TR section 3.4).

The paper says: nine pair types of text, picture and title+picture, positives from clicks and
purchases, InfoNCE with in-batch negatives. It leaves open temperature, batch, mixing, and what to
do about negatives that are none. We chose (methods.md 3.11):

1. A *term* is a pair source seen through two views (query view, item view) with a share.
   Queries of the log come from a pair set (``source = "log"``), so the nine types are nine terms.
2. Each step holds one term, drawn by shares; or, by switch, rows of all terms under one loss. A
   term about single products may carry further losses (``together``): title, picture, both, richer
   text of the same products in one pass, each loss homogeneous in its two views, each picture
   through the vision tower once.
3. The loss is symmetric InfoNCE, both directions. Kept out of the negatives: the same item, the
   same group (SPU), the same title or shown values where a view is text alone, items that
   carry all shown attribute values, whatever a log pairs with the query at any level and, if
   switched on, items that score more than ``margin`` above the positive.
4. The temperature is learned from 0.07 down to at least 0.01, or fixed.
5. Optionally prefixes of the vectors are trained to be vectors too (``matryoshka``), all widths in
   one pass, with equal weights.
6. Optionally the similarities inside the batch also follow those of a frozen teacher run:
   KL(teacher || student) over rows and columns.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from moonshelf.catalog.batches import BatchPlan
from moonshelf.catalog.pairs import group_codes
from moonshelf.catalog.product import View
from moonshelf.encoder.base import Encoder
from moonshelf.errors import UsageError
from moonshelf.objectives.contrastive import Contrast, KeepOut, info_nce
from moonshelf.objectives.matryoshka import Nested, nested_info_nce
from moonshelf.progress import Progress
from moonshelf.training.ahead import Loss, Work, cut
from moonshelf.training.contents import ContentSource
from moonshelf.training.distill import follow_teacher, teacher_vectors
from moonshelf.training.gradcache import Batch
from moonshelf.training.image_search import ImageSearch
from moonshelf.training.known import Partners, keep_out_on
from moonshelf.training.negatives import Items, beside
from moonshelf.training.settings import COLDEST, WARMEST, AlignConfig
from moonshelf.training.sides import term_views
from moonshelf.training.steps import Drawn, Part, Steps
from moonshelf.training.terms import find_terms, log_pairs, open_pairs
from moonshelf.training.validation import Measures, Validation, Validator


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
    """The step's, or the first of a mixed step."""
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
        teacher: ``stage.teacher[view]`` holds vectors [N + Q, d] by row of ``source`` where
            ``config.distill`` is on; :meth:`prepare` reads them (of the rows that ``rows`` says).
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
        log = open_pairs(name, config, source)
        found = find_terms(name, config, source, self.groups, log)
        planned = found.planned
        self.dropped, self.without_pairs = found.dropped, found.without_pairs
        terms = [config.terms[term.name] for term in planned]
        self.plan = BatchPlan(planned, config.batch, seed, mixed=config.mixing == "mixed")
        # Every pair that the log knows: int64 [P, 2], none where no term draws from one.
        self.asked = np.empty((0, 2), np.int64) if log is None else log_pairs(log, source)
        asked = Partners(self.asked)
        partners = [
            Partners(p.pairs) if t.source == "session" else asked if t.source == "log" else None
            for p, t in zip(planned, terms, strict=True)
        ]
        self.steps = Steps(config, terms, source, partners, self.groups, seed)

    def modules(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.encoder, "temperature": self.temperature}

    def rows(self, view: View) -> np.ndarray:
        """Every row of ``source`` that some term shows through ``view``, sorted."""
        seen = [
            p.pairs[:, side]
            for p, t in zip(self.plan.terms, self.steps.terms, strict=True)
            for side, shown in term_views(t)
            if shown == view
        ]
        return np.unique(np.concatenate(seen)) if seen else np.empty(0, dtype=np.int64)

    def prepare(self, run: Path, *, device: torch.device, bf16: bool, progress: Progress) -> None:
        """Vectors of the teacher, if there is one."""
        if self.config.distill is not None:
            self.teacher = teacher_vectors(
                self.config.distill,
                {view: rows for view in View if len(rows := self.rows(view))},
                self.source,
                run / "teacher" / self.name,
                device=device,
                bf16=bf16,
                progress=progress,
            )

    def validator(self, *, seed: int, bf16: bool) -> Validation:
        """Retrieval between the views of the terms about single products, where there are any; else
        of all terms, each product asking for itself. With it, by switch, image-based search."""
        terms = list(self.config.active().values())
        terms = [term for term in terms if term.source == "self"] or [
            term for term in terms if term.query != term.item
        ]
        given: dict[str, Any] = {
            "items": self.config.validation_items,
            "seed": seed,
            "bf16": bf16,
        }
        directions = [(term.query, term.item) for term in terms]
        parts: list[Callable[[], Measures]] = [
            functools.partial(Validator, self.encoder, self.source, directions, **given)
        ]
        if self.config.image_search:
            parts.append(functools.partial(ImageSearch, self.encoder, self.source, **given))
        return Validation(parts)

    def work(self, step: int) -> Work:
        return self._work(step, self.steps.parts(self.plan.parts(step), step))

    def _work(self, step: int, parts: Sequence[Part]) -> Work:
        count = sum(len(part.rows[0]) for part in parts)
        pieces = cut(count, self.config.mini_batch, self._processes)
        # What is encoded one after the other: each side of all parts, or all sides at once.
        sides: list[Sequence[Drawn]] = list(zip(*(part.sides for part in parts), strict=True))
        rows = [np.concatenate([drawn.rows for drawn in side]) for side in sides]
        if self.steps.shows[parts[0].term].at_once:
            sides = [parts[0].sides]
            rows = [np.concatenate([row[piece] for piece in pieces for row in rows])]
        collates = [
            [functools.partial(self._collate, side, piece) for piece in pieces] for side in sides
        ]
        label = self.plan.terms[parts[0].term].name if len(parts) == 1 else "mixed"
        about = self._about(parts, [piece.stop - piece.start for piece in pieces])
        return Work(step, label, count, rows, collates, about)

    def embed(self, batch: Batch) -> Tensor:
        return self.encoder(dict(batch))

    def loss(self, work: Work, *vectors: Tensor) -> Loss:
        return self._loss(work, vectors, [()] * len(work.about.keep_out))

    def _loss(
        self, work: Work, vectors: Sequence[Tensor], further: Sequence[Sequence[Items]]
    ) -> Loss:
        """The loss of a step, given the ``further`` negatives of each of its losses."""
        temperature, about = self.temperature(), work.about
        shows = self.steps.shows[about.term]
        sides = shows.separate(vectors, about.sizes)
        report: dict[str, float | Tensor] = {"temperature": temperature.detach()}
        total = vectors[0].new_zeros(())
        for (name, pair, (q, p)), keep_out, more in zip(
            shows.losses, about.keep_out, further, strict=True
        ):
            loss, figures = self._contrast(
                sides[q], sides[p], temperature, keep_out_on(keep_out, sides[q].device), more
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
        self,
        query: Tensor,
        item: Tensor,
        temperature: Tensor,
        keep_out: KeepOut,
        further: Sequence[Items],
    ) -> tuple[Tensor, dict[str, float | Tensor]]:
        """The loss of one pair of sides, and what a log should know of it."""
        plain, nested_loss = self._objectives(temperature)
        given: dict[str, Any] = {"keep_out": keep_out, "symmetric": True}
        if further:
            blocks = [part.vectors for part in further]
            given |= {"keep_out": beside(keep_out, further), "extra_items": blocks}
        if not self.widths:
            found = plain(query, item, **given)
            return found.loss, _figures(found)
        nested = nested_loss(query, item, self.widths, **given)
        figures: dict[str, float | Tensor] = {
            f"contrast@{width}": loss
            for width, loss in zip(self.widths, nested.by_width, strict=True)
        }
        figures |= {"contrast": nested.by_width[-1], "accuracy": nested.accuracy}
        return nested.loss, figures

    def _objectives(
        self, temperature: Tensor
    ) -> tuple[Callable[..., Contrast], Callable[..., Nested]]:
        """The loss of whole vectors, and that of prefixes."""
        return (
            functools.partial(info_nce, temperature=temperature),
            functools.partial(nested_info_nce, temperature=temperature),
        )

    def _collate(self, sides: Sequence[Drawn], piece: slice) -> Batch:
        return self.encoder.collate(self.steps.contents(sides, piece))

    def _about(self, parts: Sequence[Part], sizes: list[int]) -> About:
        shows = self.steps.shows[parts[0].term]
        keep_out = [self.steps.keep_out(parts, ends) for _, _, ends in shows.losses]
        return About(parts[0].term, keep_out, self._taught(parts), sizes)

    def _taught(self, parts: Sequence[Part]) -> tuple[Tensor, Tensor] | None:
        """The teacher's vectors of the step's queries and items."""
        if not self.teacher:
            return None
        terms = self.steps.terms
        query = [self.teacher[terms[part.term].query][part.rows[0]] for part in parts]
        item = [self.teacher[terms[part.term].item][part.rows[1]] for part in parts]
        query, item = (np.concatenate(some).astype(np.float32) for some in (query, item))
        return torch.from_numpy(query), torch.from_numpy(item)


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
