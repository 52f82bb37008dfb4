"""The CLIP-type control: another library's model, loss and trainer, the same products and time.

    python -m benchmarks.clip_peer --catalog DIR --out RUN --core-seconds 1800 --seed 0

* Model: ``CLIPModel`` of transformers, random weights, in a Sentence Transformers pipeline: a ViT
  of width 192 and depth 2 on our 96 x 64 canvas (stock ``interpolate_pos_encoding``, because the
  class knows square pictures only), one text layer of width 128, and a CLIP tokenizer of 4,096
  entries trained on the train titles. These sizes did best on val (benchmarks/README.md).
* Loss and loop: ``MultipleNegativesRankingLoss`` in both directions, ``SentenceTransformerTrainer``
  with its AdamW, clipping and batch sampler without duplicates, batches of 64. Their loop counts
  steps; a callback stops it when the budget is spent, and their linear schedule with 10 % warm-up
  follows the budget instead of a step count that nobody knows beforehand.
* Texts are titles, attribute values in the wording of our recipes, or both; pictures are decoded
  beforehand and turned left to right; bfloat16 where the processor has it and a step is faster;
  no time is counted but that of training.
* ``--rates`` beyond one: each is tried for ``--tune-share`` of the budget and the best on val is
  trained in full. That search is a gift: it is not taken off the peer's budget.

CLIP has no joint view: mm is the normalized sum of its two unit vectors. Writes RUN/peer (the
model), RUN/peer.json (what was done), RUN/metrics.json (budget spent) and, as ``moonshelf
evaluate`` does, RUN/evaluation/SUITE-SPLIT. A finished RUN is only evaluated.
Needs ``sentence-transformers[train]``; neither torchvision nor timm.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import shutil
import sys
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
from benchmarks._peer_trainer import Settings, faster_in_bf16, fit
from moonshelf.errors import MoonshelfError, UsageError
from moonshelf.files import write_json_atomically

if TYPE_CHECKING:
    from moonshelf.catalog.store import Catalog
    from moonshelf.training.contents import ContentSource

RATES = (5e-4, 1e-3, 2e-3)
TUNE_SHARE = 0.25
COPIES = 3  # of every product, each with a text of its own draw
VALUES, WITH_VALUES = 0.15, 0.35  # share of texts that are values alone, and values after the title
CHECKPOINTS = "checkpoints"  # in RUN until it is whole


# ---- a run -------------------------------------------------------------------------------------
def train_pairs(source: ContentSource, rows: np.ndarray, seed: int) -> dict[str, list[Any]]:
    """Texts and the catalogue rows of their pictures, ``COPIES`` of each of ``rows``.

    A text is the title, a few values of attributes and category as our recipes draw them, or both.
    """
    from moonshelf.catalog.product import View
    from moonshelf.training.contents import Draws
    from moonshelf.training.settings import AugmentConfig

    rows = np.tile(rows, COPIES)
    draws = Draws((seed, 11), len(rows))
    titles = source.texts(rows)
    drawn = source(rows, View.TEXT, AugmentConfig(attributes=1.0), draws)
    texts = [
        title
        if u >= VALUES + WITH_VALUES or values.text == title  # a product may have no values
        else (values.text or "" if u < VALUES else f"{title} {values.text}")
        for title, values, u in zip(titles, drawn, draws.uniform[:, 0], strict=True)
    ]
    return {"title": texts, "picture": rows.tolist()}


class Peer:
    """Everything of one catalogue that the tried rates share.

    Args:
        out: RUN; checkpoints of unfinished trainings and the rates tried so far are kept there.
        precision: auto, bf16 or fp32; auto takes bf16 where it is native and a step is faster.
    """

    def __init__(
        self, catalog: Catalog, out: Path, *, seed: int, batch: int, patch: int, precision: str
    ) -> None:
        from moonshelf.catalog.pixels import PixelCache
        from moonshelf.catalog.product import View
        from moonshelf.training.contents import ContentSource

        self.out, self.seed, self.batch, self.patch = out, seed, batch, patch
        self.pictures = PixelCache.build(catalog, HEIGHT, WIDTH)
        self.source = ContentSource(catalog, self.pictures)
        rows = np.asarray(catalog.split_rows("train"), dtype=np.int64)
        whole = self.source.usable(View.TEXT) & self.source.usable(View.IMAGE)
        rows = rows[whole[rows]]
        self.tokenizer = clip_tokenizer(self.source.texts(rows))
        self.pairs = train_pairs(self.source, rows, seed)
        self.bf16 = precision == "bf16" or (precision == "auto" and self._bf16_pays())

    def _bf16_pays(self) -> bool:
        import torch

        from moonshelf.training.precision import has_bf16

        batch = [side[: self.batch] for side in self.pairs.values()]
        return has_bf16(torch.device("cpu")) and faster_in_bf16(self.untrained(), batch)

    def untrained(self) -> Any:
        clip = clip_model(self.tokenizer, self.patch, self.seed)
        return pipeline(clip, self.tokenizer, self.pictures)

    def train(
        self, rate: float, budget: dict[str, float], name: str
    ) -> tuple[Any, dict[str, float]]:
        """A model and what it spent; goes on where a training called ``name`` was interrupted."""
        model, folder = self.untrained(), self.out / CHECKPOINTS / name
        settings = Settings(rate=rate, seed=self.seed, batch=self.batch, bf16=self.bf16)
        return model, fit(model, self.pairs, budget, settings, folder)

    def best_rate(
        self, rates: Sequence[float], budget: dict[str, float], share: float
    ) -> tuple[float, dict[str, float]]:
        """The rate that does best on val after ``share`` of the budget, and how each did."""
        if len(rates) == 1:
            return rates[0], {}
        part = {key: value * share for key, value in budget.items()}
        file = self.out / CHECKPOINTS / "rates.json"
        tried: dict[str, float] = json.loads(file.read_text()) if file.is_file() else {}
        for rate in rates:
            key = f"{rate:g}"
            if key not in tried:
                model, _ = self.train(rate, part, f"rate-{key}")
                tried[key] = self.score(model)
                write_json_atomically(file, tried)
            print(f"rate {key}: {tried[key]:.2f} on val", flush=True)
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
    import torch

    torch.set_num_threads(args.threads or torch.get_num_threads())
    budget = {"minutes": args.minutes} if args.minutes else {"core_seconds": args.core_seconds}
    asked = {
        "budget": budget,
        "seed": args.seed,
        "batch": args.batch,
        "patch": args.patch,
        "rates": args.rates,
        "tune_share": args.tune_share,
        "catalog": catalog.fingerprint,
    }
    claim(args.out, {**asked, "precision": args.precision})
    chosen = {"seed": args.seed, "batch": args.batch, "patch": args.patch}
    peer = Peer(catalog, args.out, **chosen, precision=args.precision)
    rate, tried = peer.best_rate(args.rates, budget, args.tune_share)
    model, spent = peer.train(rate, budget, "whole")
    model[0].save(str(args.out / "peer"))
    write_json_atomically(args.out / "metrics.json", {"stages": {"align": spent}})
    libraries = ("sentence-transformers", "transformers", "torch")
    facts = {
        **asked,
        "kind": NAME,
        "rate": rate,
        "rates tried on val": tried,
        "precision": "bf16" if peer.bf16 else "fp32",
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "versions": {name: importlib.metadata.version(name) for name in libraries},
        "finished": int(time.time()),
    }
    write_json_atomically(args.out / "peer.json", facts)
    shutil.rmtree(args.out / CHECKPOINTS)


def claim(out: Path, asked: dict[str, Any]) -> None:
    """Keeps what was asked for beside the checkpoints, so that no other run goes on from them.

    Raises:
        UsageError: the unfinished run in ``out`` was started with other settings.
    """
    file = out / CHECKPOINTS / "settings.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        write_json_atomically(file, asked)
    elif json.loads(file.read_text(encoding="utf-8")) != asked:
        raise UsageError(
            "an unfinished run with other settings is here",
            where=str(out),
            cure="pass the settings it was started with, or another --out",
        )


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        run(args)
    except MoonshelfError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


def run(args: argparse.Namespace) -> None:
    """Trains where RUN is not whole yet, then evaluates."""
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
    found.add_argument("--batch", type=int, default=64)
    found.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto")
    found.add_argument("--suite", metavar="NAME|FILE", help="default: that of the catalogue")
    found.add_argument("--split", choices=("test", "val"), default="test")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
