"""Sentence Transformers' trainer on a time budget, and going on after an interruption.

A piece of clip_peer.py. Their loop counts steps. Here a clock ends it and drives the learning rate,
and decides when their own checkpoint is written (weights, AdamW, scheduler, random states; on
resuming they skip the batches already seen). Beside each checkpoint ``spent.json`` keeps the time
spent; it is written last, so a checkpoint that has it is whole. Work after the last checkpoint is
done again and counted once.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.files import write_json_atomically
from moonshelf.training.schedule import Schedule, Spent, Stopwatch
from moonshelf.training.settings import ScheduleConfig

if TYPE_CHECKING:
    from collections.abc import Callable

WARMUP = 0.1
SAVE_SECONDS = 60.0
SPENT = "spent.json"
PROBE_STEPS = 3


@dataclass(frozen=True)
class Settings:
    """What their training arguments are given."""

    rate: float
    seed: int
    batch: int
    bf16: bool
    save_seconds: float = SAVE_SECONDS


class Clock:
    """How much of the budget is spent. It starts at the first step: start-up is nobody's budget.

    Args:
        budget: one of ``core_seconds``, ``minutes``, ``steps`` and its amount.
        before: what an interrupted run had spent at its last checkpoint.
    """

    def __init__(self, budget: dict[str, float], before: Spent) -> None:
        self.schedule = Schedule(ScheduleConfig.model_validate({**budget, "warmup": WARMUP}))
        self.spent = before
        self._watch: Stopwatch | None = None
        self._saved = time.monotonic()

    def start(self) -> None:
        self._watch = self._watch or Stopwatch(self.spent)

    def tick(self, steps: int) -> bool:
        """Whether the budget is spent after ``steps``."""
        self.spent = self._watch.spent(steps) if self._watch else self.spent
        return self.schedule.progress(self.spent) >= 1

    def factor(self, step: int) -> float:
        """Share of the peak learning rate for ``step``, as of now."""
        self.tick(step)
        return self.schedule.factor(self.spent)

    def due(self, every: float) -> bool:
        """Whether ``every`` seconds have gone by since this last said yes."""
        if time.monotonic() - self._saved < every:
            return False
        self._saved = time.monotonic()
        return True


def fit(
    model: Any,
    pairs: dict[str, list[Any]],
    budget: dict[str, float],
    settings: Settings,
    folder: Path,
) -> dict[str, float]:
    """Trains ``model`` on title-picture ``pairs`` until ``budget`` is spent; returns what was.

    Args:
        model: a SentenceTransformer whose first module keeps its CLIPModel as ``model``.
        folder: of their checkpoints; a whole one in it is gone on from.
    """
    from datasets import Dataset
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    last = last_checkpoint(folder)
    told = json.loads((last / SPENT).read_text(encoding="utf-8")) if last else {}
    clock = Clock(budget, Spent(**told))
    trainer_class, callback = _on_clock(clock, settings.save_seconds)
    loss = MultipleNegativesRankingLoss(
        model, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
    )
    trainer = trainer_class(
        model=model,
        args=_arguments(folder, settings),
        train_dataset=Dataset.from_dict(pairs),
        loss=loss,
        callbacks=[callback],
    )
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    spent = clock.spent
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {
        **asdict(spent),
        "samples_per_s": spent.steps * settings.batch / max(spent.seconds, 1e-9),
        **({"loss": float(losses[-1])} if losses else {}),
    }


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; torn ones are removed."""
    whole: list[Path] = []
    for found in folder.glob("checkpoint-*"):
        if (found / SPENT).is_file():
            whole.append(found)
        else:
            shutil.rmtree(found)
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _arguments(folder: Path, settings: Settings) -> Any:
    from sentence_transformers import SentenceTransformerTrainingArguments

    return SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=10**7,  # the clock ends it
        per_device_train_batch_size=settings.batch,
        learning_rate=settings.rate,
        adam_beta2=0.98,  # CLIP's own
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=settings.bf16,
        use_cpu=True,
        batch_sampler="no_duplicates",
        dataloader_drop_last=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        save_strategy="no",  # by the clock instead
        save_total_limit=2,  # the newest is whole only after its spent.json
        eval_strategy="no",
        logging_steps=20,
        disable_tqdm=True,
        report_to=[],
    )


def _on_clock(clock: Clock, save_seconds: float) -> tuple[Any, Any]:
    """Their trainer with a learning rate by the clock, and the callback that saves and ends it."""
    from sentence_transformers import SentenceTransformerTrainer
    from torch.optim.lr_scheduler import LambdaLR
    from transformers import CLIPModel, TrainerCallback

    class Budget(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            clock.start()

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            control.should_training_stop |= clock.tick(state.global_step)
            control.should_save |= clock.due(save_seconds)

        def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            clock.tick(state.global_step)  # writing it is time spent
            write_json_atomically(checkpoint / SPENT, asdict(clock.spent))

    class BudgetTrainer(SentenceTransformerTrainer):
        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            theirs: Any = optimizer or self.optimizer
            self.lr_scheduler = LambdaLR(theirs, lambda step: clock.factor(step))
            return self.lr_scheduler

        # Theirs rebuild the pipeline from class names, which a class made at run time has not.
        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            theirs: Any = self.model
            theirs[0].save(output_dir or self.args.output_dir)

        def _load_from_checkpoint(self, checkpoint_path: str) -> None:
            theirs: Any = self.model
            saved = CLIPModel.from_pretrained(checkpoint_path)
            theirs[0].model.load_state_dict(saved.state_dict())

    return BudgetTrainer, Budget()


def faster_in_bf16(model: Any, batch: Sequence[Sequence[Any]]) -> bool:
    """Whether a step of ``model`` on ``batch`` (its texts, its pictures) takes less processor time
    under bfloat16 autocast, as their trainer runs it, than in float32. Weights stay as they are."""
    import torch

    def step(bf16: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            titles, pictures = (
                model(model[0].preprocess(side))["sentence_embedding"] for side in batch
            )
            similarity = (titles @ pictures.T).logsumexp(1).sum()
        similarity.backward()
        model.zero_grad()

    model.train()
    with torch.random.fork_rng(devices=[]):
        return _least_seconds(lambda: step(True)) < _least_seconds(lambda: step(False))


def _least_seconds(work: Callable[[], None]) -> float:
    """Processor seconds of the fastest of a few runs, after one to warm up."""
    work()
    taken: list[float] = []
    for _ in range(PROBE_STEPS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)
