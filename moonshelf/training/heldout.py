"""How well held-out answers are foreseen: the answer loss of pretraining, on the val split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from moonshelf.encoder.language import LanguageModel, Question
from moonshelf.errors import DataError
from moonshelf.training.checkpoint import random_states_kept
from moonshelf.training.pretrain_settings import Task
from moonshelf.training.questions import DRAWS, Questions

_AT_ONCE = 128


class AnswerLoss:
    """Mean cross-entropy of the answers' tokens, in nats: of each task, of all tasks alike.

    Every question is worded the first way and shows the picture alone, so that a title cannot
    spell the answer.

    Args:
        split: whose products are asked about; at most ``items`` of each task, chosen by ``seed``.

    Raises:
        DataError: no product of the split has an answer.
    """

    notes = ()

    def __init__(
        self,
        language: LanguageModel,
        questions: Questions,
        tasks: Sequence[Task],
        *,
        items: int,
        seed: int,
        bf16: bool,
        split: str = "val",
    ) -> None:
        self._language, self._questions, self._bf16 = language, questions, bf16
        self.rows = held_out(questions, tasks, items=items, seed=seed, split=split)

    def __call__(self) -> Mapping[str, float]:
        """``answer_loss/describe`` and so on, and ``answer_loss/all``; leaves random states as they
        were."""
        sums = {}
        with random_states_kept():
            for task, rows in self.rows.items():
                asked = self._questions(task, rows, plain_draws(len(rows), 0), 0.0)
                sums[task] = answer_sums(self._language, asked, bf16=self._bf16).sum(axis=0)
        found = {
            f"answer_loss/{task}": float(loss / tokens) for task, (loss, tokens) in sums.items()
        }
        loss, tokens = np.sum(list(sums.values()), axis=0)
        return found | {"answer_loss/all": float(loss / tokens)}


def held_out(
    questions: Questions, tasks: Sequence[Task], *, items: int, seed: int, split: str
) -> dict[Task, np.ndarray]:
    """Products of a split by the tasks that can be asked about them, at most ``items`` of each.

    Raises:
        DataError: there are none.
    """
    every = np.asarray(questions.catalog.split_rows(split), dtype=np.int64)
    every = every[questions.pictured()[every]]
    order = np.random.default_rng((seed, 8)).permutation(every)
    found: dict[Task, np.ndarray] = {
        task: np.sort(order[questions.answered(task)[order]][:items]) for task in tasks
    }
    if not any(len(rows) for rows in found.values()):
        raise DataError(
            f"no product of the {split} split has a picture and an answer to a question",
            where=str(questions.catalog.path),
            cure=f"give the catalogue a larger {split} split",
        )
    return {task: rows for task, rows in found.items() if len(rows)}


def answer_sums(
    language: LanguageModel, asked: Sequence[Question], *, bf16: bool = False
) -> np.ndarray:
    """float64 [n, 2]: summed cross-entropy (nats) and tokens of each answer."""
    encoder = language.encoder
    was_training = encoder.training
    encoder.eval()
    found = []
    with torch.inference_mode(), torch.autocast(encoder.device.type, torch.bfloat16, enabled=bf16):
        for start in range(0, len(asked), _AT_ONCE):
            batch = language.collate(asked[start : start + _AT_ONCE])
            moved = {k: v.to(encoder.device) for k, v in batch.items()}
            found.append(language.answer_loss(moved).double().cpu().numpy())
    encoder.train(was_training)
    return np.concatenate(found)


def plain_draws(count: int, seed: int) -> np.ndarray:
    """Draws [count, DRAWS] for the first wording and a key by ``seed``; the title is shown where
    its chance is 1."""
    draws = np.zeros((count, DRAWS))
    draws[:, 2] = np.random.default_rng((seed, 9)).random(count)
    return draws
