"""What ``compute.shard`` saves: memory of each of two processes, with weights whole and in shards.

    python -m benchmarks.sharding [--width 512] [--layers 8] [--processes 2] [--steps 3]

A multimodal LLM of about 32 million random weights, built from a config, takes steps of ``align``
on a drawn shop, in float32, one thread a process, over gloo. Of the process that needs most:

* ``held``: bytes of trained weights, their gradients and optimizer state after a step;
* ``resident``: the most memory of the process during the steps (Linux: what was needed to build the
  model before is left out);
* ``seconds``: of one step, the first left out.

Needs no data. Prints a table; writes ``results/sharding.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "sharding.json"


def work(folder: Path, rank: int, args: argparse.Namespace, shard: bool) -> dict[str, float]:
    """What process ``rank`` of the group that meets in ``folder`` measures."""
    import torch

    from moonshelf.training.checkpoint import LoopState, moving_tensors
    from moonshelf.training.loop import run_loop
    from moonshelf.training.optim import build_optimizer, embedding_names
    from moonshelf.training.precision import Precision
    from moonshelf.training.processes import met
    from moonshelf.training.schedule import Schedule
    from moonshelf.training.settings import LoopConfig, OptimizerConfig, ScheduleConfig
    from moonshelf.training.sharding import Shards, own

    torch.set_num_threads(1)
    device = torch.device("cpu")
    with met(str(folder), rank, args.processes, device) as group:
        stage = _stage(folder, args, group.size)
        encoder = stage.encoder
        count = encoder.parameter_count()
        shards = Shards(encoder, group) if shard else None
        named = [
            (f"{k}.{n}", p) for k, m in stage.modules().items() for n, p in m.named_parameters()
        ]
        tables = {f"encoder.{n}" for n in embedding_names(encoder)}
        optimizer = build_optimizer(named, OptimizerConfig(), embeddings=tables, processes=group)
        marks: list[float] = []
        _forget_peak()
        run_loop(
            stage,
            optimizer,
            Schedule(ScheduleConfig(steps=args.steps)),
            LoopConfig(),
            state=LoopState("align"),
            precision=Precision(torch.float32, None, "benchmark"),
            device=device,
            hooks=[lambda state, line, last: marks.append(time.perf_counter())],
            group=group,
            shards=shards,
        )
        held = [*moving_tensors(stage.modules()).values(), *optimizer.tensors().values()]
        held += [p.grad for p in optimizer.parameters if p.grad is not None]
        return {
            "parameters": count,
            "held_mib": sum(own(t).nbytes for t in held) / 2**20,
            "resident_mib": _peak_mib(),
            "seconds": (marks[-1] - marks[0]) / (len(marks) - 1),
        }


def _stage(folder: Path, args: argparse.Namespace, processes: int) -> Any:
    import numpy as np
    import torch

    from moonshelf.catalog.product import View
    from moonshelf.catalog.store import Catalog
    from moonshelf.encoder import VlmConfig, build_encoder
    from moonshelf.training.contents import ContentSource
    from moonshelf.training.settings import AlignConfig, TermConfig
    from moonshelf.training.stages.align import AlignStage

    catalog = Catalog.open(folder / "catalog")
    source = ContentSource(catalog, None)
    tiny = {"width": args.width, "layers": args.layers, "heads": 8, "kv_heads": 4}
    tiny |= {"feed_forward": 4 * args.width, "patch": 8, "vision_width": 64}
    tiny |= {"stem": {"width": 16, "blocks": [1, 1, 1]}}
    described = {"dim": 128, "pictures": {"height": 32, "width": 32}, "tiny": tiny}
    config = VlmConfig.model_validate(described)
    encoder = build_encoder(config, source.texts(np.arange(len(catalog))), seed=0)
    terms = {"title-picture": TermConfig(query=View.TEXT, item=View.IMAGE)}
    settings = AlignConfig(steps=args.steps, batch=8, terms=terms)
    return AlignStage(
        "align",
        settings,
        encoder,
        source,
        seed=0,
        device=torch.device("cpu"),
        processes=processes,
    )


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**10


def measure(args: argparse.Namespace, shard: bool) -> dict[str, float]:
    """The largest of what the processes of one group measure."""
    from moonshelf.catalog.importing import import_records
    from moonshelf.catalog.synthetic import draw_shop

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        import_records(
            draw_shop(products=200, seed=0), folder / "catalog", source={"kind": "drawn"}
        )
        command = [
            sys.executable,
            "-m",
            "benchmarks.sharding",
            *sys.argv[1:],
            "--shard",
            str(shard),
        ]
        # glibc would keep what is freed, and resident memory would tell of the past.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
        started = [
            subprocess.Popen([*command, "--worker", name, str(rank)], env=environment)
            for rank in range(args.processes)
        ]
        if sum(process.wait() for process in started):
            raise SystemExit("a process failed")
        found = [
            json.loads((folder / f"{rank}.json").read_text()) for rank in range(args.processes)
        ]
    return {key: max(one[key] for one in found) for key in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--shard", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        folder, rank = Path(args.worker[0]), int(args.worker[1])
        found = work(folder, rank, args, args.shard == "True")
        (folder / f"{rank}.json").write_text(json.dumps(found))
        return
    rows = {name: measure(args, shard) for name, shard in (("whole", False), ("shards", True))}
    RESULTS.write_text(json.dumps({"processes": args.processes, **rows}, indent=2) + "\n")
    print(f"{rows['whole']['parameters'] / 1e6:.1f} M parameters, {args.processes} processes")
    print("| weights | held a process | resident at most | a step |\n|---|---|---|---|")
    for name, row in rows.items():
        held, resident, seconds = row["held_mib"], row["resident_mib"], row["seconds"]
        print(f"| {name} | {held:.0f} MiB | {resident:.0f} MiB | {seconds:.2f} s |")


if __name__ == "__main__":
    main()
