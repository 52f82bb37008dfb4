"""The CLIP-type control: another library's model, loss and trainer, the same products and time.

    python -m benchmarks.clip_peer --catalog DIR --out RUN --core-seconds 1800 --seed 0

* Model: ``CLIPModel`` of transformers, random weights, in a Sentence Transformers pipeline: a ViT
  of width 192 and depth 6 on our 96 x 64 canvas (stock ``interpolate_pos_encoding``, because the
  class knows square pictures only), four text layers of width 256, and a CLIP tokenizer of 4,096
  entries trained on the train titles.
* Loss and loop: ``MultipleNegativesRankingLoss`` in both directions, ``SentenceTransformerTrainer``
  with its AdamW, clipping and batch sampler without duplicates. Their loop counts steps; a
  callback stops it when the budget is spent, and their linear schedule with 10 % warm-up follows
  the budget instead of a step count that nobody knows beforehand.
* Same terms as our recipes: the same mixture of titles, descriptions and attribute values as texts,
  pictures decoded beforehand, left-right flips, batch 256, bfloat16
  where the processor has it, no time counted but that of training.
* ``--rates`` beyond one: each is tried for ``--tune-share`` of the budget and the best on val is
  trained in full. That search is a gift: it is not taken off the peer's budget.

CLIP has no joint view: mm is the normalized sum of its two unit vectors. Writes RUN/peer (the
model), RUN/peer.json (what was done), RUN/metrics.json (budget spent) and, as ``moonshelf
evaluate`` does, RUN/evaluation/SUITE-SPLIT. A finished RUN is only evaluated.
Needs ``sentence-transformers[train]``; neither torchvision nor timm.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._clip import (
    HEIGHT,
    NAME,
    WIDTH,
    PeerEmbedder,
    clip_model,
    clip_tokenizer,
    load_peer,
    pipeline,
)
from moonshelf.training.settings import AugmentConfig

if TYPE_CHECKING:
    from moonshelf.catalog.store import Catalog

RATES = (2e-4, 5e-4, 1e-3)
TUNE_SHARE = 0.25
# The texts that our recipes pair with pictures: titles, stretches of descriptions, a few values.
TEXTS = AugmentConfig(description=1 / 9, attributes=2 / 9)
COPIES = 3  # of every product, each with a text of its own draw


# ---- their trainer on a budget -----------------------------------------------------------------
class Clock:
    """How much of the budget is spent; read after every step of their loop."""

    def __init__(self, budget: dict[str, float]) -> None:
        from moonshelf.training.schedule import Schedule, Spent, Stopwatch
        from moonshelf.training.settings import ScheduleConfig

        self.schedule = Schedule(ScheduleConfig.model_validate({**budget, "warmup": 0.1}))
        self.spent, self._new = Spent(), Stopwatch
        self.losses: list[float] = []

    def start(self) -> None:
        self._watch = self._new()

    def tick(self, steps: int) -> bool:
        """Whether the budget is spent after ``steps``."""
        self.spent = self._watch.spent(steps)
        return self.schedule.progress(self.spent) >= 1

    def factor(self, step: int) -> float:
        return self.schedule.factor(self.spent)


def fit(
    model: Any,
    pairs: dict[str, list[Any]],
    budget: dict[str, float],
    *,
    rate: float,
    seed: int,
    batch: int,
    bf16: bool,
) -> dict[str, float]:
    """Trains ``model`` on title-picture ``pairs`` until ``budget`` is spent; returns what was."""
    from datasets import Dataset
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    clock = Clock(budget)
    trainer_class, callback = _on_clock(clock)
    loss = MultipleNegativesRankingLoss(
        model, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
    )
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trainer_class(
            model=model,
            args=_arguments(scratch, rate=rate, seed=seed, batch=batch, bf16=bf16),
            train_dataset=Dataset.from_dict(pairs),
            loss=loss,
            callbacks=[callback],
        )
        clock.start()
        trainer.train()
    spent = clock.spent
    return {
        "steps": spent.steps,
        "seconds": spent.seconds,
        "core_seconds": spent.core_seconds,
        "samples_per_s": spent.steps * batch / max(spent.seconds, 1e-9),
        **({"loss": clock.losses[-1]} if clock.losses else {}),
    }


def _arguments(scratch: str, *, rate: float, seed: int, batch: int, bf16: bool) -> Any:
    from sentence_transformers import SentenceTransformerTrainingArguments

    return SentenceTransformerTrainingArguments(
        output_dir=scratch,
        max_steps=10**7,  # the clock ends it
        per_device_train_batch_size=batch,
        learning_rate=rate,
        seed=seed,
        data_seed=seed,
        bf16=bf16,
        use_cpu=True,
        batch_sampler="no_duplicates",
        dataloader_drop_last=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        save_strategy="no",
        eval_strategy="no",
        logging_steps=20,
        disable_tqdm=True,
        report_to=[],
    )


def _on_clock(clock: Clock) -> tuple[Any, Any]:
    """Their trainer with a learning rate by the clock, and the callback that ends it."""
    from sentence_transformers import SentenceTransformerTrainer
    from torch.optim.lr_scheduler import LambdaLR
    from transformers import TrainerCallback

    class Budget(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            control.should_training_stop |= clock.tick(state.global_step)

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any
        ) -> None:
            if logs and "loss" in logs:
                clock.losses.append(float(logs["loss"]))

    class BudgetTrainer(SentenceTransformerTrainer):
        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            theirs: Any = optimizer or self.optimizer
            self.lr_scheduler = LambdaLR(theirs, clock.factor)
            return self.lr_scheduler

    return BudgetTrainer, Budget()


# ---- a run -------------------------------------------------------------------------------------
class Peer:
    """Everything of one catalogue that the tried rates share."""

    def __init__(self, catalog: Catalog, seed: int, batch: int, patch: int, bf16: bool) -> None:
        from moonshelf.catalog.pixels import PixelCache
        from moonshelf.catalog.product import View
        from moonshelf.training.contents import ContentSource, Draws

        self.seed, self.batch, self.patch, self.bf16 = seed, batch, patch, bf16
        self.pictures = PixelCache.build(catalog, HEIGHT, WIDTH)
        self.source = ContentSource(catalog, self.pictures)
        rows = np.asarray(catalog.split_rows("train"), dtype=np.int64)
        whole = self.source.usable(View.TEXT) & self.source.usable(View.IMAGE)
        rows = rows[whole[rows]]
        self.tokenizer = clip_tokenizer(self.source.texts(rows))
        rows = np.tile(rows, COPIES)
        shown = self.source(rows, View.TEXT, TEXTS, Draws((seed, 11), len(rows)))
        texts = [content.text or "" for content in shown]
        self.pairs: dict[str, list[Any]] = {"title": texts, "picture": rows.tolist()}

    def train(self, rate: float, budget: dict[str, float]) -> tuple[Any, dict[str, float]]:
        clip = clip_model(self.tokenizer, self.patch, self.seed)
        model = pipeline(clip, self.tokenizer, self.pictures)
        chosen = {"rate": rate, "seed": self.seed, "batch": self.batch, "bf16": self.bf16}
        return model, fit(model, self.pairs, budget, **chosen)

    def best_rate(
        self, rates: Sequence[float], budget: dict[str, float], share: float
    ) -> tuple[float, dict[str, float]]:
        """The rate that does best on val after ``share`` of the budget, and how each did."""
        if len(rates) == 1:
            return rates[0], {}
        part = {key: value * share for key, value in budget.items()}
        tried: dict[str, float] = {}
        for rate in rates:
            model, _ = self.train(rate, part)
            tried[f"{rate:g}"] = self.score(model)
            print(f"rate {rate:g}: {tried[f'{rate:g}']:.2f} on val", flush=True)
        return max(rates, key=lambda rate: tried[f"{rate:g}"]), tried

    def score(self, model: Any) -> float:
        """Mean of R@1 and R@10 of both directions over 1,000 val products."""
        from moonshelf.catalog.product import View
        from moonshelf.training.validation import Validator

        ways = [(View.TEXT, View.IMAGE), (View.IMAGE, View.TEXT)]
        embedder: Any = PeerEmbedder(model)
        validator = Validator(embedder, self.source, ways, items=1000, seed=0, bf16=False)
        return float(np.mean(list(validator().values())))


def train_peer(args: argparse.Namespace, catalog: Catalog) -> None:
    """Trains and writes RUN; ``peer.json`` comes last and says that RUN is whole."""
    import importlib.metadata

    import torch

    from moonshelf.files import write_json_atomically
    from moonshelf.training.precision import has_bf16

    torch.set_num_threads(args.threads or torch.get_num_threads())
    bf16 = {"auto": has_bf16(torch.device("cpu")), "bf16": True, "fp32": False}[args.precision]
    peer = Peer(catalog, args.seed, args.batch, args.patch, bf16)
    budget = {"minutes": args.minutes} if args.minutes else {"core_seconds": args.core_seconds}
    rate, tried = peer.best_rate(args.rates, budget, args.tune_share)
    model, spent = peer.train(rate, budget)
    model[0].save(str(args.out / "peer"))
    write_json_atomically(args.out / "metrics.json", {"stages": {"align": spent}})
    libraries = ("sentence-transformers", "transformers", "torch")
    facts = {
        "kind": NAME,
        "rate": rate,
        "rates tried on val": tried,
        "tune_share": args.tune_share if tried else 0,
        "budget": budget,
        "seed": args.seed,
        "batch": args.batch,
        "patch": args.patch,
        "precision": "bf16" if bf16 else "fp32",
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "catalog": catalog.fingerprint,
        "versions": {name: importlib.metadata.version(name) for name in libraries},
        "finished": int(time.time()),
    }
    write_json_atomically(args.out / "peer.json", facts)


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    from moonshelf.catalog.store import Catalog
    from moonshelf.cli.evaluate import default_suite, write
    from moonshelf.evaluation import evaluate, load_suite
    from moonshelf.evaluation.report import to_markdown

    catalog = Catalog.open(args.catalog)
    if not (args.out / "peer.json").is_file():
        train_peer(args, catalog)
    suite = load_suite(args.suite or default_suite(catalog))
    results = [evaluate(load_peer(args.out), catalog, suite, split=args.split)]
    folder = args.out / "evaluation" / f"{suite.name}-{args.split}"
    write(results, folder)
    print(to_markdown(results))
    return 0


def parser() -> argparse.ArgumentParser:
    """Options; ``--minutes`` or ``--core-seconds`` is the budget."""
    found = argparse.ArgumentParser(prog="clip_peer", description=(__doc__ or "").splitlines()[0])
    found.add_argument("--catalog", type=Path, required=True, metavar="DIR")
    found.add_argument("--out", type=Path, required=True, metavar="RUN")
    budget = found.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="wall clock of training")
    budget.add_argument("--core-seconds", type=float, help="processor seconds of training")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--threads", type=int, help="default: as torch chooses")
    found.add_argument("--rates", type=float, nargs="+", default=[*RATES], help="learning rates")
    found.add_argument(
        "--tune-share", type=float, default=TUNE_SHARE, help="of the budget, each rate"
    )
    found.add_argument("--patch", type=int, default=16, choices=(8, 16))
    found.add_argument("--batch", type=int, default=256)
    found.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto")
    found.add_argument("--suite", metavar="NAME|FILE", help="default: that of the catalogue")
    found.add_argument("--split", choices=("test", "val"), default="test")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
