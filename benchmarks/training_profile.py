"""What the seconds of a training step are spent on.

    python -m benchmarks.training_profile [--recipe tiny] [--catalog DIR] [--steps 40]

Without ``--catalog`` it trains on the drawn shop, so it needs no data. One thread. The first half
of the steps is timed as it is; the second half runs under torch's profiler, which tells how long
each operation took. The shares are of the second half's CPU seconds:

* ``matrix``: matrix products (layers, attention, the loss, Newton-Schulz of the optimizer);
* ``convolution``: forward and backward of the stem;
* ``prepare``: the thread that draws, reads, tokenizes and packs the next batch;
* ``other operations``: norms, activations, rotary places, softmax, copies, the optimizer's rest;
* ``no operation``: Python between operations, and what the profiler itself costs.

Prints a table and the ten largest other operations; writes ``results/training_profile.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "training_profile.json"
WARM = 5
KINDS = {
    "matrix": ("mm", "addmm", "bmm", "baddbmm", "matmul", "linear", "scaled_dot_product"),
    "convolution": ("convolution", "conv2d"),
}


class Watch:
    """A progress callback: steps pass, the first half timed, the second half profiled.

    ``marks`` are (seconds of the main thread, of the process) at both ends of both halves.
    """

    def __init__(self, steps: int) -> None:
        from torch.profiler import ProfilerActivity, profile

        self.half, self.seen = (steps - WARM) // 2, 0
        self.profiler = profile(activities=[ProfilerActivity.CPU])
        self.marks: list[tuple[float, float]] = []

    def __call__(self, done: int, total: int | None = None, **facts: object) -> None:
        if total is None or "loss" not in facts:
            return  # progress of something before the steps
        self.seen += 1
        ends = [WARM, WARM + self.half, WARM + 2 * self.half]
        if self.seen not in ends:
            return
        self._mark()
        if self.seen == ends[1]:
            self.profiler.__enter__()
            self._mark()
        elif self.seen == ends[2]:
            self.profiler.__exit__(None, None, None)

    def _mark(self) -> None:
        self.marks.append((time.thread_time(), time.process_time()))


def measure(recipe: str, catalog: Path, steps: int, overrides: Sequence[str]) -> dict[str, Any]:
    """Seconds of CPU a step, by kind, and the largest other operations."""
    import torch

    from moonshelf.training.recipe import load_recipe
    from moonshelf.training.run import train

    settings = [f"stages.align.steps={steps}", "stages.align.log_every=1", "compute.threads=1"]
    settings += ["stages.align.validate_every=0", "stages.align.save_minutes=60", *overrides]
    watch = Watch(steps)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        train(load_recipe(recipe, settings), catalog, Path(folder) / "run", progress=watch)
    (_, plain_0), (_, plain_1), (main_0, all_0), (main_1, all_1) = watch.marks
    main, every = (main_1 - main_0) / watch.half, (all_1 - all_0) / watch.half
    found = {e.key: e.self_cpu_time_total / 1e6 / watch.half for e in watch.profiler.key_averages()}
    # The profiler's clock is the wall's: on a busy machine operations seem longer than they are.
    preparing = every - main
    main = max(main, sum(found.values()))
    every = main + preparing
    kinds = dict.fromkeys(KINDS, 0.0)
    others: dict[str, float] = {}
    for name, seconds in found.items():
        kind = _kind(name)
        if kind:
            kinds[kind] += seconds
        else:
            others[name] = seconds
    kinds["prepare"] = preparing
    kinds["other operations"] = sum(others.values())
    kinds["no operation"] = main - sum(found.values())
    most = sorted(others.items(), key=lambda pair: -pair[1])[:10]
    return {
        "recipe": recipe,
        "overrides": list(overrides),
        "seconds a step": (plain_1 - plain_0) / watch.half,
        "shares": {kind: seconds / every for kind, seconds in kinds.items()},
        "largest others": {name: seconds / every for name, seconds in most},
        "torch": torch.__version__,
        "machine": platform.processor() or platform.machine(),
    }


def _kind(name: str) -> str | None:
    bare = name.removeprefix("aten::").removeprefix("mkldnn_").lstrip("_")
    for kind, words in KINDS.items():
        if bare in words or any(word in bare for word in words if len(word) > 6):
            return kind
    return None


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        catalog = args.catalog or _drawn(Path(folder) / "shop")
        found = measure(args.recipe, catalog, args.steps, args.overrides)
    print(f"{found['seconds a step']:.3f} s of CPU a step of {args.recipe}\n")
    for title in ("shares", "largest others"):
        print(f"| {title} | % |\n|---|---|")
        print("\n".join(f"| {name} | {100 * x:.1f} |" for name, x in found[title].items()), "\n")
    busy = sum(found["shares"][kind] for kind in (*KINDS, "prepare"))
    print(f"matrix work, convolutions and preparing: {100 * busy:.1f} %")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def _drawn(folder: Path) -> Path:
    from moonshelf.catalog.importing import import_records
    from moonshelf.catalog.synthetic import draw_shop

    import_records(draw_shop(products=2000, seed=0), folder, source={"reader": "synthetic"})
    return folder


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    found = argparse.ArgumentParser(
        prog="training_profile", description=(__doc__ or "").splitlines()[0]
    )
    found.add_argument("--recipe", default="tiny")
    found.add_argument("--catalog", type=Path, metavar="DIR", help="default: the drawn shop")
    found.add_argument("--steps", type=int, default=40)
    found.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    found.add_argument("overrides", nargs="*", metavar="key=value")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
