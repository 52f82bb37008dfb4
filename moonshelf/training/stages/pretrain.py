"""Stage ``pretrain``: the multimodal LLM learns to answer questions about products (TR section
3.3).

The paper says: next-token training on picture description, attribute extraction, title generation
and main-subject recognition, before anything is aligned. It leaves open the loss, the mixture and
the wording. We chose (methods.md 3.3):

1. Questions and answers are made from the train products of the catalogue (training/questions.py),
   worded by data files (training/wording.py).
2. Every batch holds questions of all tasks, by share: one gradient for all of them.
3. Cross-entropy on answer tokens alone, and the mean over the answer tokens of the whole batch: a
   long description counts by its tokens. Exact however a batch is cut (mini-batches, processes).
4. Attention is causal here, whatever the encoder's own is: bidirectional attention comes after.

No weights besides the encoder's: the output layer is the embedding table.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from moonshelf.catalog.batches import BatchPlan, Term
from moonshelf.encoder.base import Encoder
from moonshelf.encoder.language import LanguageModel
from moonshelf.errors import DataError
from moonshelf.progress import Progress
from moonshelf.training.ahead import Loss, Work, cut
from moonshelf.training.contents import ContentSource
from moonshelf.training.gradcache import Batch
from moonshelf.training.heldout import AnswerLoss
from moonshelf.training.pretrain_settings import PretrainConfig, Task
from moonshelf.training.questions import DRAWS, Questions

_LACKS: Mapping[Task, str] = {
    "describe": "has no train products with description and picture",
    "attribute": "has no train products with attributes and picture",
    "attributes": "has no train products with attributes and picture",
    "title": "has no train products with title and picture",
    "subject": "has no train products with category and picture",
}


class PretrainStage:
    """Tasks, their plan, and the loss; ``work`` is a pure function of step.

    Raises:
        UsageError: the encoder has no language model, or there are no such templates.
        DataError: the catalogue has nothing to ask about.
    """

    def __init__(
        self,
        name: str,
        config: PretrainConfig,
        encoder: Encoder,
        source: ContentSource,
        *,
        seed: int,
        device: torch.device,
        processes: int = 1,
    ) -> None:
        self.name, self.config, self.encoder, self.source = name, config, encoder, source
        self._seed, self._processes = seed, processes
        self.language = LanguageModel(
            encoder, question_tokens=config.question_tokens, answer_tokens=config.answer_tokens
        )
        self.questions = Questions(source, config)
        self.dropped: dict[str, int] = {}
        self.without_pairs: dict[str, str] = {}
        self.plan = BatchPlan(self._terms(), config.batch, seed, mixed=True)

    def _terms(self) -> list[Term]:
        """The train products of each task that has some; both ends of a pair are the product."""
        train, pictured = self.questions.train, self.questions.pictured()
        terms = []
        for task, share in self.config.tasks.items():
            answered = train[self.questions.answered(task)[train]]
            rows = answered[pictured[answered]]
            if share <= 0:
                continue
            if len(rows) < 2:
                self.without_pairs[task] = _LACKS[task]
                continue
            self.dropped[task] = len(answered) - len(rows)
            terms.append(Term(task, np.stack([rows, rows], axis=1), share))
        if not terms:
            raise DataError(
                "no train product has both a picture and an answer to a question",
                where=f"stages.{self.name}, {self.questions.catalog.path}",
                cure="leave the stage out, or import descriptions, attributes or categories",
            )
        return terms

    def modules(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.encoder}

    def prepare(self, run: Path, *, device: torch.device, bf16: bool, progress: Progress) -> None:
        """Nothing: all that is asked stands in the catalogue."""

    def validator(self, *, seed: int, bf16: bool) -> AnswerLoss:
        """Answer loss of every task on the val split."""
        tasks = tuple(term.name for term in self.plan.terms)
        return AnswerLoss(
            self.language,
            self.questions,
            tasks,  # pyright: ignore[reportArgumentType]
            items=self.config.validation_items,
            seed=seed,
            bf16=bf16,
        )

    def work(self, step: int) -> Work:
        tasks, rows = [], []
        for planned in self.plan.parts(step):
            tasks += [planned.name] * len(planned.pairs)
            rows.append(planned.pairs[:, 0])
        asked = np.concatenate(rows)
        draws = np.random.default_rng((self._seed, 7, step)).random((len(asked), DRAWS))
        collates = [
            functools.partial(self._collate, tasks[part], asked[part], draws[part])
            for part in cut(len(asked), self.config.mini_batch, self._processes)
        ]
        return Work(step, "questions", len(asked), [asked], [collates], tasks)

    def _collate(self, tasks: list[Task], rows: np.ndarray, draws: np.ndarray) -> Batch:
        """Questions of one mini-batch; those of a task stand together."""
        questions = []
        for task in dict.fromkeys(tasks):
            own = np.array([name == task for name in tasks])
            questions += self.questions(task, rows[own], draws[own])
        return self.language.collate(questions)

    def embed(self, batch: Batch) -> Tensor:
        """[b, 2]: summed cross-entropy and number of tokens of each answer."""
        return self.language.answer_loss(dict(batch))

    def loss(self, work: Work, *vectors: Tensor) -> Loss:
        (answers,) = vectors
        surprise, tokens = answers.unbind(dim=1)
        report: dict[str, Any] = {"tokens": tokens.detach().sum()}
        for task in dict.fromkeys(work.about):
            own = torch.tensor([name == task for name in work.about], device=answers.device)
            report[f"loss/{task}"] = (surprise[own].sum() / tokens[own].sum()).detach()
        return surprise.sum() / tokens.sum(), report
