"""Following a teacher: its similarities inside a batch are the student's soft targets.

The papers do not distil. We chose KL(teacher || student) over the softmax of in-batch
similarities, rows and columns alike: it needs neither equal widths nor a shared space, and a small
encoder that learns fast (``fast``) can lift a large one that learns slowly. The teacher is frozen,
so its vectors are computed once and kept in the run folder. It is fed the very contents that the
student's stage reads, so both must see products the same way (:func:`check_teachers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from moonshelf.catalog.crops.cropper import use_crops
from moonshelf.catalog.product import View
from moonshelf.config import read_toml
from moonshelf.encoder import encoder_config, encoder_folder, encoder_version, load_encoder
from moonshelf.encoder.config import PictureConfig
from moonshelf.errors import DataError, UsageError
from moonshelf.files import atomic_folder, write_json_atomically
from moonshelf.progress import Progress
from moonshelf.training.contents import ContentSource
from moonshelf.training.settings import DistillConfig

if TYPE_CHECKING:
    from moonshelf.training.recipe import Recipe


def follow_teacher(
    student: tuple[Tensor, Tensor],
    temperature: Tensor,
    teacher: tuple[Tensor, Tensor],
    config: DistillConfig,
) -> Tensor:
    """KL(teacher || student) of the softmax over the batch, mean of both directions, in nats.

    ``student``: query and item vectors [B, d]; ``teacher``: the same of the teacher [B, d'].
    """
    scores = student[0].float() @ student[1].float().T / temperature
    target = (teacher[0] @ teacher[1].T).to(scores.device) / config.temperature
    both = [
        functional.kl_div(
            mine.log_softmax(1), theirs.log_softmax(1), log_target=True, reduction="batchmean"
        )
        for mine, theirs in ((scores, target), (scores.T, target.T))
    ]
    return (both[0] + both[1]) / 2


def check_teachers(recipe: Recipe) -> None:
    """Whether the teacher of every stage sees products as ``recipe`` shows them. Reads no weights.

    Raises:
        CheckpointError: there is no encoder at ``distill.teacher``.
        UsageError: it is no run, or was trained on other text fields, or on another canvas than
            the one for which the student's pictures are decoded.
    """
    for name, stage in recipe.stages.items():
        distill: DistillConfig | None = getattr(stage, "distill", None)  # not every kind has one
        if distill is not None:
            where = f"stages.{name}.distill.teacher={distill.teacher}"
            _check_text(Path(distill.teacher), recipe, where)
            if recipe.caches_pictures:
                _check_canvas(Path(distill.teacher), recipe.encoder.pictures, where)


def _check_text(teacher: Path, recipe: Recipe, where: str) -> None:
    folder = encoder_folder(teacher)
    file = folder.parent / "recipe.toml"
    if folder.name != "encoder" or not file.is_file():
        raise UsageError(
            "the teacher is no run: there is no recipe.toml that says what text it reads",
            where=where,
            cure="give the whole run folder, not a copy of its encoder",
        )
    theirs = list(read_toml(file).get("data", {}).get("text", ["title"]))
    ours = list(recipe.data.text)
    if theirs != ours:
        raise UsageError(
            f"the teacher reads {', '.join(theirs)}; the student is shown {', '.join(ours)}",
            where=where,
            cure=f"set data.text={theirs!r}, or distil from a run with data.text={ours!r}",
        )


def _check_canvas(teacher: Path, ours: PictureConfig, where: str) -> None:
    theirs = encoder_config(teacher).pictures
    told = [f"{p.height} x {p.width}" if p.fixed else "its own grid" for p in (theirs, ours)]
    told = [
        f"{t}, {p.per_product} a product, crop {p.crop}"
        for t, p in zip(told, (theirs, ours), strict=True)
    ]
    if told[0] != told[1]:
        raise UsageError(
            f"the teacher sees pictures at {told[0]}; the student's are decoded once, at {told[1]}",
            where=where,
            cure="set data.cache_pictures=false, so that each decodes its own, or give both "
            "the same encoder.pictures",
        )


def teacher_vectors(
    config: DistillConfig,
    rows: Mapping[View, np.ndarray],
    source: ContentSource,
    folder: Path,
    *,
    device: torch.device,
    bf16: bool,
    progress: Progress,
) -> dict[View, np.ndarray]:
    """Vectors float16 [N + Q, d] by row of ``source`` for each view, memory-mapped; zero where not
    in ``rows``. Computed once: a resumed run finds them under ``folder``.

    Raises:
        CheckpointError: there is no teacher at ``config.teacher``.
        DataError: the teacher's vectors are not finite.
    """
    place = folder / encoder_version(config.teacher)
    if not place.is_dir():
        _embed_rows(config, rows, source, place, device=device, bf16=bf16, progress=progress)
    return {view: np.load(place / f"{view}.npy", mmap_mode="r") for view in rows}


def _embed_rows(
    config: DistillConfig,
    rows: Mapping[View, np.ndarray],
    source: ContentSource,
    place: Path,
    *,
    device: torch.device,
    bf16: bool,
    progress: Progress,
) -> None:
    teacher = load_encoder(config.teacher).to(device)
    use_crops(teacher, source.catalog)
    total, done = sum(len(r) for r in rows.values()), 0
    with atomic_folder(place) as scratch:
        for view, wanted in rows.items():
            vectors = np.zeros((len(source), teacher.dim), dtype=np.float16)
            for start in range(0, len(wanted), teacher.embed_batch):
                part = wanted[start : start + teacher.embed_batch]
                vectors[part] = teacher.embed(source(part, view), bf16=bf16)
                done += len(part)
                progress(done, total, teacher=str(view))
            if not np.isfinite(vectors).all():
                raise DataError(
                    f"the teacher's vectors of view {view} are not finite",
                    where=config.teacher,
                    cure="distil from another run",
                )
            np.save(scratch / f"{view}.npy", vectors)
        write_json_atomically(scratch / "manifest.json", {"format": 1, "kind": "teacher"})
