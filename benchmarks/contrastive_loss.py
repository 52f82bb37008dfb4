"""Time and memory of the symmetric contrastive loss, forward and backward, against its peers.

    python -m benchmarks.contrastive_loss [--rows 2048 4096 8192] [--threads 1 2] [--repeats 3]

1.  One fresh process a measurement; repeats take turns over the arms, so that a busy minute of
    the machine meets them all. The fastest repeat counts, for every arm alike.
2.  Before it is timed, each process checks its arm's loss and both gradients on 512 pairs
    against the formula in float64.
3.  Memory is the growth of the process's peak during the call: scratch and gradients, without
    torch and the vectors themselves.
4.  Writes ``benchmarks/results/contrastive_loss.json`` and ``.svg``. Needs the extra ``bench``.

What the arms are: ``moonshelf`` is ours; ``dense, one product`` is the plainest form, scores
computed once and transposed; ``open_clip formula`` restates open_clip's ClipLoss on one rank, two
products (open_clip itself needs torchvision, which has no CPU build beside the pinned torch, so
it is *not* run); ``sentence-transformers cached`` is CachedMultipleNegativesRankingLoss in both
directions, per_direction; ``pml SupCon`` is pytorch-metric-learning's SupConLoss, one direction
after the other. PML adds a small constant inside its logarithm, hence its looser check.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

RESULTS = Path(__file__).parent / "results"
TEMPERATURE = 0.05
OURS = "moonshelf"
PEERS = (
    "dense, one product",
    "open_clip formula",
    "sentence-transformers cached 256",
    "sentence-transformers cached 1024",
    "pml SupCon",
)
VARIANTS = ("moonshelf, masked", "moonshelf, bfloat16 products")
LOOSE = {"pml SupCon": 0.05, "moonshelf, bfloat16 products": 0.02}


# --- the arms: each leaves gradients in query.grad and item.grad and returns the loss ------------
def arm(name: str) -> Callable[[Tensor, Tensor], float]:
    """Imports happen here, before anything is measured."""
    if name.startswith("moonshelf"):
        return _moonshelf(name)
    if name.startswith("sentence-transformers"):
        return _sentence_transformers(int(name.rsplit(" ", 1)[1]))
    if name == "pml SupCon":
        return _pml()
    return _dense(products=1 if name == "dense, one product" else 2)


def _moonshelf(name: str) -> Callable[[Tensor, Tensor], float]:
    import torch

    from moonshelf.objectives.contrastive import KeepOut, symmetric_info_nce

    def run(query: Tensor, item: Tensor) -> float:
        options: dict[str, Any] = {}
        if "masked" in name:
            ids = torch.arange(len(query))  # all rules at work, nothing to drop: same value
            options["keep_out"] = KeepOut(item_ids=ids, groups=ids, queries=ids, margin=0.1)
        if "bfloat16" in name:
            options["compute_dtype"] = torch.bfloat16
        loss = symmetric_info_nce(query, item, TEMPERATURE, **options).loss
        loss.backward()
        return loss.item()

    return run


def _dense(products: int) -> Callable[[Tensor, Tensor], float]:
    import torch
    from torch.nn.functional import cross_entropy

    def run(query: Tensor, item: Tensor) -> float:
        scores = query @ item.T / TEMPERATURE
        back = scores.T if products == 1 else item @ query.T / TEMPERATURE
        target = torch.arange(len(query))
        loss = (cross_entropy(scores, target) + cross_entropy(back, target)) / 2
        loss.backward()
        return loss.item()

    return run


def _sentence_transformers(mini_batch: int) -> Callable[[Tensor, Tensor], float]:
    from sentence_transformers import SentenceTransformer, util
    from sentence_transformers.sentence_transformer.losses import (
        CachedMultipleNegativesRankingLoss,
    )
    from sentence_transformers.sentence_transformer.modules import Normalize

    loss = CachedMultipleNegativesRankingLoss(
        SentenceTransformer(modules=[Normalize()], device="cpu"),
        scale=1 / TEMPERATURE,
        similarity_fct=util.dot_score,  # its default normalizes once more and costs more
        mini_batch_size=mini_batch,
        directions=("query_to_doc", "doc_to_query"),
        partition_mode="per_direction",
    )

    def run(query: Tensor, item: Tensor) -> float:
        # As its own engine does: vectors of mini-batches in, gradients of the vectors out.
        return float(loss.calculate_loss([[query], [item]], with_backward=True))

    return run


def _pml() -> Callable[[Tensor, Tensor], float]:
    import torch
    from pytorch_metric_learning.distances import DotProductSimilarity
    from pytorch_metric_learning.losses import SupConLoss

    distance = DotProductSimilarity(normalize_embeddings=False)
    loss = SupConLoss(temperature=TEMPERATURE, distance=distance)

    def run(query: Tensor, item: Tensor) -> float:
        labels = torch.arange(len(query))
        total = 0.0
        for left, right in ((query, item), (item, query)):
            # A copy: the same labels object twice means "one set" to PML and drops positives.
            half = loss(left, labels, ref_emb=right, ref_labels=labels.clone()) / 2
            half.backward()
            total += half.item()
        return total

    return run


# --- one measurement, in a process of its own -----------------------------------------------------
def pairs(rows: int, width: int) -> tuple[Tensor, Tensor]:
    """Unit vectors as in the middle of training: the positive pair at a cosine near 0.5."""
    import torch
    from torch.nn.functional import normalize

    generator = torch.Generator().manual_seed(0)
    query = normalize(torch.randn(rows, width, generator=generator))
    noise = normalize(torch.randn(rows, width, generator=generator))
    item = normalize(query + 1.7 * noise)
    return query.requires_grad_(), item.requires_grad_()


def check(name: str, run: Callable[[Tensor, Tensor], float], width: int) -> None:
    """Raises where an arm computes something else than the formula."""
    query, item = pairs(512, width)
    value = run(query, item)
    wide = [x.detach().double().requires_grad_() for x in (query, item)]
    want = _dense(products=2)(*wide)
    limit = LOOSE.get(name, 1e-5)
    errors = {"loss": abs(value - want) / want}
    for side, ours, theirs in (("query", query, wide[0]), ("item", item, wide[1])):
        assert ours.grad is not None and theirs.grad is not None
        errors[side] = float((ours.grad.double() - theirs.grad).norm() / theirs.grad.norm())
    if not max(errors.values()) < limit:
        raise SystemExit(f"{name} is not the loss that is compared: relative errors {errors}")


def measure(name: str, rows: int, width: int, threads: int) -> dict[str, float]:
    import torch

    torch.set_num_threads(threads)
    run = arm(name)
    check(name, run, width)
    query, item = pairs(rows, width)
    ctypes.CDLL(None).malloc_trim(0)  # what the check left behind must not be reused unseen
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts over
    before, wall, cpu = _peak(), time.perf_counter(), time.process_time()
    loss = run(query, item)
    return {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "extra_mib": (_peak() - before) / 1024,
        "loss": loss,
    }


def _peak() -> int:
    """KiB. Not getrusage: a child's ru_maxrss starts at what its parent used."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


# --- all of them ----------------------------------------------------------------------------------
def compare(options: argparse.Namespace) -> dict[str, Any]:
    names = [OURS, *PEERS, *VARIANTS]
    best: dict[tuple[int, int, str], dict[str, Any]] = {}
    for repeat in range(options.repeats):
        for threads in options.threads:
            for rows in options.rows:
                for name in names:
                    if name == "pml SupCon" and rows > options.pml_up_to:
                        continue
                    one = _in_a_process(name, rows, options.width, threads)
                    key = (threads, rows, name)
                    fastest = min(one, best.get(key, one), key=lambda m: m["cpu_s"])
                    fastest["extra_mib"] = max(m["extra_mib"] for m in (one, best.get(key, one)))
                    best[key] = fastest
                    print(f"{repeat + 1}/{options.repeats} {key}: {one}", file=sys.stderr)
    return {
        "what": "symmetric InfoNCE, forward + backward, float32, fastest of the repeats",
        "machine": _machine(),
        "options": {k: getattr(options, k) for k in ("rows", "width", "threads", "repeats")},
        "rows": [
            {
                "threads": threads,
                "rows": rows,
                "arm": name,
                **{k: round(v, 4) for k, v in m.items()},
            }
            for (threads, rows, name), m in sorted(
                best.items(), key=lambda entry: (*entry[0][:2], names.index(entry[0][2]))
            )
        ],
    }


def _in_a_process(name: str, rows: int, width: int, threads: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.contrastive_loss", "--arm", name]
    command += ["--rows", str(rows), "--width", str(width), "--threads", str(threads)]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env, check=False)
    if done.returncode:
        raise SystemExit(f"{name} at {rows} rows failed, see above")
    return json.loads(done.stdout.splitlines()[-1])


def _machine() -> dict[str, Any]:
    def version(name: str) -> str:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return "not installed"

    names = ("torch", "sentence-transformers", "pytorch-metric-learning")
    model = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    git = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "cpu": model[0] if model else platform.machine(),
        "cores": os.cpu_count(),
        "load_average_after": [round(x, 2) for x in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
        "commit": commit,
    }


def table(results: dict[str, Any]) -> str:
    lines = ["| threads | pairs | loss | CPU-s | wall s | extra MiB |", "|--:|--:|---|--:|--:|--:|"]
    lines += [
        f"| {m['threads']} | {m['rows']:,} | {m['arm']} | {m['cpu_s']:.2f} | {m['wall_s']:.2f} "
        f"| {m['extra_mib']:,.0f} |"
        for m in results["rows"]
    ]
    return "\n".join(lines)


def plot(results: dict[str, Any], path: Path) -> None:
    """The same bytes for the same figures: no date, fixed ids."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "moonshelf"
    from matplotlib import pyplot

    threads = min(m["threads"] for m in results["rows"])
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    for axis, key, label in zip(
        axes, ("cpu_s", "extra_mib"), ("CPU-seconds", "extra memory, MiB"), strict=True
    ):
        for name in (OURS, *PEERS):
            mine = [m for m in results["rows"] if m["arm"] == name and m["threads"] == threads]
            style = {"linewidth": 3, "color": "#b5403a"} if name == OURS else {"linewidth": 1.2}
            axis.plot([m["rows"] for m in mine], [m[key] for m in mine], "o-", label=name, **style)
        axis.set(xscale="log", yscale="log", xlabel="pairs in the batch", ylabel=label)
        ticks = results["options"]["rows"]
        axis.set_xticks(ticks, [f"{t:,}" for t in ticks])
        axis.minorticks_off()
        axis.yaxis.set_major_formatter("{x:g}")
        axis.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(f"Symmetric InfoNCE, d = {results['options']['width']}, forward + backward")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[2048, 4096, 8192])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pml-up-to", type=int, default=4096, help="it needs 6 GiB at 8,192")
    parser.add_argument("--arm", help="measure this one in this process and print JSON")
    options = parser.parse_args()
    if options.arm:
        result = measure(options.arm, options.rows[0], options.width, options.threads[0])
        print(json.dumps(result))
        return
    results = compare(options)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "contrastive_loss.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    plot(results, path.with_suffix(".svg"))
    print(table(results))


if __name__ == "__main__":
    main()
