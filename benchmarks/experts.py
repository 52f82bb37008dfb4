"""What guided experts cost in a training step, beside a dense model and dense ones of equal width.

    python -m benchmarks.experts [--steps 10]

Needs no data. One thread, CPU seconds, sizes of the recipe ``tiny``, the drawn shop; a training
step from planning to the optimizer. Arms take turns, in an order that turns too, so that a busy
minute of the machine meets them all:

* ``dense``, the recipe as it is; ``guided``, ``hard`` and ``unguided`` experts;
* ``dense, active``: as many weights in the path of a token without a subject as ``guided`` has;
  ``dense, total``: as many weights in all.

Told: the median over steps of an arm's time by that of ``dense``, and the weights of each arm.
Writes ``benchmarks/results/experts.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.negatives import draw, turned

if TYPE_CHECKING:
    from moonshelf.training.stages.align import AlignStage

RESULTS = Path(__file__).parent / "results" / "experts.json"
PRODUCTS, WARM = 1200, 2
EXPERTS: dict[str, dict[str, Any]] = {
    "guided": {"kind": "guided"},
    "hard": {"kind": "guided", "hard": True},
    "unguided": {"kind": "unguided"},
}


def overrides() -> dict[str, list[str]]:
    """Words that make each arm of the recipe ``tiny``."""
    from moonshelf.encoder.config import ExpertsConfig, VlmConfig
    from moonshelf.encoder.experts import dense_widths
    from moonshelf.training.recipe import load_recipe

    encoder = load_recipe("tiny").encoder
    assert isinstance(encoder, VlmConfig)
    widths = dense_widths(encoder.tiny, ExpertsConfig(kind="guided"))
    found = {"dense": ["encoder.experts.kind=none"]}
    for name, given in EXPERTS.items():
        found[name] = [f"encoder.experts.{key}={json.dumps(v)}" for key, v in given.items()]
    for name, width in widths.items():
        found[f"dense, {name}"] = [f"encoder.tiny.feed_forward={width}"]
    return found


def measured(catalog: Path, steps: int) -> dict[str, Any]:
    """Seconds of a step of every arm, by those of ``dense``."""
    import torch

    from moonshelf.training.optim import build_optimizer, embedding_names

    torch.set_num_threads(1)
    stages, optimizers = _stages(catalog), {}
    for name, stage in stages.items():
        optimizers[name] = build_optimizer(
            stage.encoder.named_parameters(),
            stage.config.optimizer,
            embeddings=embedding_names(stage.encoder),
        )
    seconds: dict[str, list[float]] = {name: [] for name in stages}
    for number in range(WARM + steps):
        for name in turned(list(stages), number):
            started = time.process_time()
            _take(stages[name], number, optimizers[name])
            if number >= WARM:
                seconds[name].append(time.process_time() - started)
    dense = seconds["dense"]
    ratios = {n: [a / b for a, b in zip(of, dense, strict=True)] for n, of in seconds.items()}
    return {
        "steps": steps,
        "overrides": overrides(),
        "weights": {name: stage.encoder.parameter_count() for name, stage in stages.items()},
        "dense, seconds": round(statistics.median(dense), 3),
        "by dense": {name: round(statistics.median(of), 3) for name, of in ratios.items()},
        "quartiles": {
            name: [round(q, 3) for q in statistics.quantiles(of, n=4)[::2]]
            for name, of in ratios.items()
        },
    }


def _stages(catalog: Path) -> dict[str, AlignStage]:
    """The arms: each an encoder of its own, all with the same steps."""
    import numpy as np
    import torch

    from moonshelf.catalog.pixels import PixelCache
    from moonshelf.catalog.store import Catalog
    from moonshelf.encoder import build_encoder
    from moonshelf.training.contents import ContentSource
    from moonshelf.training.recipe import load_recipe
    from moonshelf.training.stages.align import AlignStage

    shop = Catalog.open(catalog)
    canvas = load_recipe("tiny").encoder.pictures
    source = ContentSource(shop, PixelCache.build(shop, canvas.height, canvas.width))
    texts = source.texts(np.arange(len(shop)))
    found = {}
    for name, words in overrides().items():
        recipe = load_recipe("tiny", [*words, "stages.align.steps=1"])
        encoder = build_encoder(recipe.encoder, texts, seed=0).train()
        settings: Any = recipe.stage("align")
        given: dict[str, Any] = {"seed": 0, "device": torch.device("cpu")}
        found[name] = AlignStage("align", settings, encoder, source, **given)
    return found


def _take(stage: AlignStage, number: int, optimizer: Any) -> None:
    """One whole step, prepared in this thread."""
    import torch

    from moonshelf.training.balance import balance_of
    from moonshelf.training.gradcache import cached_backward, passes

    work, balance = stage.work(number), balance_of(stage.modules())
    sides = len(work.counts)

    def loss(*given: Any) -> tuple[Any, dict[str, Any]]:
        scalar, _ = stage.loss(work, *given[:sides])
        more, told = balance.loss(given[-1]) if balance else (0.0, {})
        return scalar + more, told

    batches = (make() for _ in range(passes(work.counts)) for side in work.sides for make in side)
    optimizer.zero_grad()
    sums = balance.taken if balance else None
    cached_backward(stage.embed, batches, work.counts, loss, sums=sums)
    torch.nn.utils.clip_grad_norm_(optimizer.parameters, 1.0)
    optimizer.step(1e-3)  # hardly moves, costs the same


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder) / "shop", args.products)
        found = measured(Path(folder) / "shop", args.steps)
    found["products"] = args.products
    found["machine"] = platform.processor() or platform.machine()
    args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))
    return 0


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    found = argparse.ArgumentParser(prog="experts", description=(__doc__ or "").splitlines()[0])
    found.add_argument("--steps", type=int, default=10)
    found.add_argument("--products", type=int, default=PRODUCTS, help="of the drawn shop")
    found.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
