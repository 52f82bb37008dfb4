"""What further negatives, the circle loss and prefixes cost, and the memory of a large batch.

    python -m benchmarks.negatives [--steps 12] [--tries 3] [--repeats 7] [--arms queue ...]
                                   [--only step queue loss memory]

Needs no data; the peer's loop needs the extra ``bench``. One thread, CPU seconds, each part in a
process of its own. Arms take turns, in an order that turns too, so that a busy minute of the
machine meets them all.

* ``step``: a training step of the recipe ``tiny`` on the drawn shop, from planning to the
  optimizer. The same steps of the same encoder for every arm, each the fastest of its tries; the
  median over steps of an arm's time by that of the plain step:
  ``queue``, 4,096 vectors of earlier steps for every loss whose negatives they may be; ``circle``;
  ``prefixes``, seven widths of 256; ``hard``, one item of the category a pair, encoded;
  ``queue beside hard`` both, by ``hard``.
* ``queue``: the loss of one such step alone, forward and backward, from ready vectors: fastest of
  the repeats, with the queue and without it.
* ``loss``: forward and backward of the loss alone, symmetric, width 256, fastest of the repeats:
  InfoNCE, circle loss, seven widths in one pass and in a loop, and the peer's own loop
  (sentence-transformers' MatryoshkaLoss over MultipleNegativesRankingLoss in both directions),
  which is checked first to be the same loss; and 256 pairs with 4,096 extra items.
* ``memory``: one step of 4,096 pairs of a title and a whole product with its picture, GradCache in
  mini-batches of 64; the peak of the whole process (VmHWM).

Writes ``benchmarks/results/negatives.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._refine_arms import ARMS, QUEUE, WIDTHS, base, fill, opened, stages, take

if TYPE_CHECKING:
    from torch import Tensor

RESULTS = Path(__file__).parent / "results" / "negatives.json"
PARTS = ("step", "queue", "loss", "memory")
PRODUCTS = {"step": 2000, "queue": 2000, "loss": 0, "memory": 6000}
"""Of the drawn shop; enough train products for one step of 4,096."""
WARM = 2


# --- a training step ------------------------------------------------------------------------------
def step(catalog: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Every arm's time by that of its base, and the seconds of that."""
    import torch

    from moonshelf.training.optim import build_optimizer, embedding_names

    made = stages(catalog, args.arms)
    plain = made["plain"]
    optimizer = build_optimizer(
        plain.encoder.named_parameters(),
        plain.config.optimizer,
        embeddings=set(embedding_names(plain.encoder)),
        dtype=torch.float32,
    )
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for number in range(WARM + args.steps):
        best = dict.fromkeys(made, float("inf"))
        for turn in range(args.tries):
            for name in turned(list(made), number + turn):
                stage = made[name]
                fill(stage, number)
                started = time.process_time()
                take(stage, number, optimizer)
                best[name] = min(best[name], time.process_time() - started)
        for name in made if number >= WARM else ():
            seconds[name].append(best[name])
    found = {}
    for name in args.arms:
        of = [a / b for a, b in zip(seconds[name], seconds[base(name)], strict=True)]
        found[name] = {
            "of": base(name),
            "ratio": round(statistics.median(of), 4),
            "quartiles": [round(q, 4) for q in statistics.quantiles(of, n=4)[::2]],
            "seconds": round(statistics.median(seconds[base(name)]), 3),
            "steps": args.steps,
            "tries": args.tries,
        }
    return found


def queue(catalog: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of the loss of one step, forward and backward, with a queue and without."""
    import torch
    from torch.nn.functional import normalize

    made = stages(catalog, ("bare", "queue", "hard", "queue beside hard"))
    works = {name: stage.work(1) for name, stage in made.items()}
    best = dict.fromkeys(made, float("inf"))
    for number in range(1 + args.repeats):  # the first of all warms up
        for name in turned(list(made), number):
            stage, work = made[name], works[name]
            width = stage.encoder.dim
            vectors = [normalize(torch.randn(len(r), width)).requires_grad_() for r in work.rows]
            fill(stage, work.step)
            started = time.process_time()
            stage.loss(work, *vectors)[0].backward()
            spent = 1e3 * (time.process_time() - started)
            best[name] = min(best[name], spent) if number else best[name]
    return {
        "term": works["bare"].label,
        "milliseconds": {name: round(spent, 1) for name, spent in best.items() if name != "plain"},
    }


# --- the loss alone -------------------------------------------------------------------------------
def loss(catalog: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of forward and backward of each loss."""
    import torch
    from torch.nn.functional import normalize

    def pairs(rows: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        query = normalize(torch.randn(rows, 256, generator=generator))
        noise = normalize(torch.randn(rows, 256, generator=generator))
        return [query.requires_grad_(), normalize(query + 1.7 * noise).detach().requires_grad_()]

    extra = normalize(torch.randn(QUEUE, 256, generator=torch.Generator().manual_seed(1)))
    _check_peer(pairs(256))
    found = {}
    for rows, arms in ((2048, _losses()), (256, _with_extra(extra))):
        best = dict.fromkeys(arms, float("inf"))
        sides = pairs(rows)
        for number in range(1 + args.repeats):  # the first of all warms up
            for name in turned(list(arms), number):
                started = time.process_time()
                torch.autograd.grad(arms[name](*sides), sides)
                spent = time.process_time() - started
                best[name] = min(best[name], spent) if number else best[name]
        found[f"{rows} pairs"] = {name: round(spent, 4) for name, spent in best.items()}
    large = found["2048 pairs"]
    found["ratios"] = {
        "circle by InfoNCE": round(large["circle"] / large["InfoNCE"], 3),
        "seven widths by one": round(large["seven widths"] / large["InfoNCE"], 3),
        "our loop by seven widths": round(large["seven widths, loop"] / large["seven widths"], 3),
        "peer's loop by seven widths": round(
            large["seven widths, peer"] / large["seven widths"], 3
        ),
    }
    return found


def _losses() -> dict[str, Callable[..., Tensor]]:
    from moonshelf.objectives.circle import circle
    from moonshelf.objectives.contrastive import symmetric_info_nce
    from moonshelf.objectives.matryoshka import nested_info_nce, nested_info_nce_loop

    return {
        "InfoNCE": lambda q, p: symmetric_info_nce(q, p).loss,
        "circle": lambda q, p: circle(q, p, symmetric=True).loss,
        "seven widths": lambda q, p: nested_info_nce(q, p, WIDTHS, symmetric=True).loss,
        "seven widths, loop": lambda q, p: nested_info_nce_loop(q, p, WIDTHS, symmetric=True),
        "seven widths, peer": _peer(),
    }


def _with_extra(extra: Tensor) -> dict[str, Callable[..., Tensor]]:
    from moonshelf.objectives.circle import circle
    from moonshelf.objectives.contrastive import symmetric_info_nce

    return {
        "InfoNCE": lambda q, p: symmetric_info_nce(q, p).loss,
        "InfoNCE, 4096 extra": lambda q, p: symmetric_info_nce(q, p, extra_items=extra).loss,
        "circle, 4096 extra": lambda q, p: circle(q, p, extra_items=extra, symmetric=True).loss,
    }


def _peer() -> Callable[[Tensor, Tensor], Tensor]:
    """The mean over widths, as ours, of sentence-transformers' loop."""
    import torch
    from sentence_transformers import SentenceTransformer, util
    from sentence_transformers.sentence_transformer.losses import (
        MatryoshkaLoss,
        MultipleNegativesRankingLoss,
    )
    from sentence_transformers.sentence_transformer.modules import Normalize

    model = SentenceTransformer(modules=[Normalize()], device="cpu")
    base = MultipleNegativesRankingLoss(
        model,
        scale=20.0,
        similarity_fct=util.dot_score,  # its loop makes prefixes unit already
        directions=("query_to_doc", "doc_to_query"),
        partition_mode="per_direction",
    )
    whole = MatryoshkaLoss(model, base, WIDTHS, [1 / len(WIDTHS)] * len(WIDTHS))

    def run(query: Tensor, item: Tensor) -> Tensor:
        features = [{"sentence_embedding": side} for side in (query, item)]
        return whole(features, torch.arange(len(query)))

    return run


def _check_peer(sides: Sequence[Tensor]) -> None:
    import torch

    arms = _losses()
    want = torch.autograd.grad(arms["seven widths"](*sides), sides)
    for name in ("seven widths, loop", "seven widths, peer"):
        for ours, theirs in zip(want, torch.autograd.grad(arms[name](*sides), sides), strict=True):
            if not float((ours - theirs).norm()) < 1e-4 * float(ours.norm()):
                raise SystemExit(f"{name} is not the loss that is compared")


# --- memory ---------------------------------------------------------------------------------------
def memory(catalog: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Peak of a process that takes one step of 4,096 pairs of pictures."""
    import torch

    from moonshelf.catalog.product import View
    from moonshelf.training.optim import build_optimizer, embedding_names
    from moonshelf.training.settings import AlignConfig, TermConfig
    from moonshelf.training.stages.align import AlignStage

    source, encoder = opened(catalog)
    before = _peak_mib()
    term = TermConfig(query=View.TEXT, item=View.BOTH)
    config = AlignConfig(steps=1, batch=4096, mini_batch=64, terms={"title-product": term})
    stage = AlignStage("memory", config, encoder, source, seed=0, device=torch.device("cpu"))
    optimizer = build_optimizer(
        encoder.named_parameters(), config.optimizer, embeddings=set(embedding_names(encoder))
    )
    pairs = stage.work(0).pairs
    if pairs < 4096:
        raise SystemExit(f"the shop has {pairs} train products, 4,096 are needed")
    started = time.process_time()
    take(stage, 0, optimizer)
    return {
        "pairs": pairs,
        "mini_batch": 64,
        "cpu_s": round(time.process_time() - started, 1),
        "peak_mib": round(_peak_mib()),
        "peak before the step, mib": round(before),
    }


def _peak_mib() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


# --- all of them ----------------------------------------------------------------------------------
def turned(names: Sequence[str], number: int) -> list[str]:
    """``names`` in an order of its own in every round."""
    at = number % len(names)
    return [*names[at:], *names[:at]]


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if args.part:
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(0)
        parts: dict[str, Callable[..., Mapping[str, Any]]] = {
            "step": step,
            "queue": queue,
            "loss": loss,
            "memory": memory,
        }
        print(json.dumps(parts[args.part](args.catalog, args)))
        return 0
    found = json.loads(args.out.read_text("utf-8")) if args.out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            shop = Path(folder) / name
            if PRODUCTS[name]:
                draw(shop, PRODUCTS[name])
            before = found.get(name, {}) if name == "step" else {}  # arms that are not run stay
            found[name] = before | _in_a_process(name, shop, args)
            print(name, json.dumps(found[name], indent=2))
    found["machine"] = platform.processor() or platform.machine()
    args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def draw(folder: Path, products: int) -> None:
    """Writes the drawn shop as a catalogue."""
    from moonshelf.catalog.importing import import_records
    from moonshelf.catalog.synthetic import draw_shop

    import_records(draw_shop(products=products, seed=0), folder, source={"reader": "synthetic"})


def _in_a_process(name: str, shop: Path, args: argparse.Namespace) -> dict[str, Any]:
    words = [sys.executable, "-m", "benchmarks.negatives", "--part", name, "--catalog", str(shop)]
    words += ["--steps", str(args.steps), "--repeats", str(args.repeats)]
    words += ["--tries", str(args.tries), "--arms", *args.arms]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed, see above")
    return json.loads(done.stdout.splitlines()[-1])


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    found = argparse.ArgumentParser(prog="negatives", description=(__doc__ or "").splitlines()[0])
    found.add_argument("--steps", type=int, default=12)
    found.add_argument("--tries", type=int, default=3, help="of each step and arm")
    found.add_argument("--repeats", type=int, default=7)
    found.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    found.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    found.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    found.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    found.add_argument("--catalog", type=Path, help=argparse.SUPPRESS)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
