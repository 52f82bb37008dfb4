"""Following a teacher: its similarities inside a batch are the student's soft targets.

The papers do not distil. We chose KL(teacher || student) over the softmax of in-batch
similarities, rows and columns alike: it needs neither equal widths nor a shared space, and a small
encoder that learns fast (``fast``) can lift a large one that learns slowly. The teacher is frozen,
so its vectors are computed once and kept in the run folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from moonshelf.catalog.product import View
from moonshelf.encoder import encoder_version, load_encoder
from moonshelf.errors import DataError
from moonshelf.files import atomic_folder, write_json_atomically
from moonshelf.progress import Progress
from moonshelf.training.contents import ContentSource
from moonshelf.training.settings import DistillConfig


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
    """Vectors float16 [N, d] by catalogue row for each view, memory-mapped; zero where not in
    ``rows``. Computed once: a resumed run finds them under ``folder``.

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
    total, done = sum(len(r) for r in rows.values()), 0
    with atomic_folder(place) as scratch:
        for view, wanted in rows.items():
            vectors = np.zeros((len(source.catalog), teacher.dim), dtype=np.float16)
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
