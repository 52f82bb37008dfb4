"""The comparison: our recipes, the CLIP-type peer and the plain controls at the same budget.

    python -m benchmarks.ladder --data DIR --budget-core-seconds 1800 --seeds 0 1 2

Every cell (data set x arm x seed) runs in processes of its own through the public command line:
catalogue import once, then train and evaluate. A finished cell is one file
``results/ladder/SET-SPLIT/ARM-BUDGET-SEED.json``; a second call does what is missing and goes on
with an interrupted training. A cell made by another recipe, or on another catalogue, is made anew.
``--split val`` is for choosing anything, test for reporting.

Figures are percent: the mean over seeds, their standard deviation, and (JSON) least and largest.
The peer chooses its learning rate on val with the first seed, beyond its budget.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._tables import COLUMN_NOTE, COLUMNS, figures, markdown, summarize
from moonshelf.errors import MoonshelfError, UsageError
from moonshelf.files import write_bytes_atomically, write_json_atomically

ROOT = Path(__file__).resolve().parents[1]
PEER, CONTROLS = "clip-peer", "controls"
PEER_FILES = ("clip_peer.py", "_clip.py", "_peer_trainer.py")


@dataclass(frozen=True)
class Budget:
    """Training time of a cell, in one of two currencies."""

    key: str
    amount: float

    @property
    def label(self) -> str:
        return f"{self.amount:g}{'cs' if self.key == 'core_seconds' else 'min'}"


@dataclass(frozen=True)
class Cell:
    """One training (or the controls, which need none) on one data set."""

    data: str
    arm: str
    seed: int
    budget: Budget

    @property
    def label(self) -> str:
        """As a file name; controls are the same for every budget and seed."""
        if self.arm == CONTROLS:
            return CONTROLS
        return f"{Path(self.arm).stem}-{self.budget.label}-{self.seed}"


class Ladder:
    """Runs cells and keeps their files.

    Args:
        work: catalogues and runs; results: finished cells and tables; source: the raw data sets.
    """

    def __init__(
        self, source: Path, work: Path, results: Path, *, split: str, threads: int | None
    ) -> None:
        self.source, self.work, self.results = source, work, results
        self.split, self.threads = split, threads
        self._fingerprints: dict[str, str] = {}

    # ---- one cell ------------------------------------------------------------------------------
    def cell(self, cell: Cell, first_seed: int) -> dict[str, Any]:
        """The finished cell, from its file where that is still valid."""
        catalog = self.catalog(cell.data)
        origin = {
            "arm": cell.arm,
            "made_by": digest_of(cell.arm),
            "catalog": self._fingerprint(cell),
        }
        file = self.file(cell)
        if file.is_file():
            found = json.loads(file.read_text(encoding="utf-8"))
            if {key: found.get(key) for key in origin} == origin:
                return found
            print(f"{cell.data} {cell.label}: recipe or catalogue has changed, made anew")
        name = f"{cell.label}-{origin['made_by']}-{origin['catalog'][:8]}"
        run = self.work / "runs" / cell.data / name
        start = time.monotonic()
        if cell.arm == CONTROLS:
            out = run / f"{cell.data}-{self.split}"
            self._moonshelf("evaluate", "--controls", *self._suite(cell, catalog), "--out", out)
        else:
            out = run / "evaluation" / f"{cell.data}-{self.split}"
            self._train(cell, catalog, run, first_seed)
        evaluation = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
        finished = {
            **origin,
            "data": cell.data,
            "split": self.split,
            "seed": cell.seed,
            "budget": {cell.budget.key: cell.budget.amount},
            "spent": _spent(run),
            "seconds": round(time.monotonic() - start, 1),
            "figures": {e["embedder"]: figures(e, cell.data) for e in _named(evaluation, cell)},
        }
        write_json_atomically(file, finished)
        return finished

    def file(self, cell: Cell) -> Path:
        return self.results / f"{cell.data}-{self.split}" / f"{cell.label}.json"

    def _train(self, cell: Cell, catalog: Path, run: Path, first_seed: int) -> None:
        if cell.arm == PEER:
            words = ["--catalog", catalog, "--out", run, "--seed", cell.seed]
            words += ["--suite", cell.data, "--split", self.split]
            words += [f"--{cell.budget.key.replace('_', '-')}", cell.budget.amount]
            words += ["--threads", self.threads] if self.threads else []
            self._call("benchmarks.clip_peer", *words, *self._rate(cell, run, first_seed))
            return
        if not (run / "encoder" / "encoder.json").is_file():
            budget = f"stages.align.{cell.budget.key}={cell.budget.amount}"
            words = [budget, f"seed={cell.seed}"]
            words += [f"compute.threads={self.threads}"] if self.threads else []
            resume = ["--resume"] if run.exists() else []
            self._moonshelf("train", cell.arm, "--catalog", catalog, "--out", run, *resume, *words)
        self._moonshelf("evaluate", run, *self._suite(cell, catalog))

    def _rate(self, cell: Cell, run: Path, first_seed: int) -> list[Any]:
        """The rate that the first seed chose; nothing where this cell has to choose."""
        first = run.with_name(run.name.replace(cell.label, _sibling(cell, first_seed).label))
        if cell.seed == first_seed or not (first / "peer.json").is_file():
            return []
        return ["--rates", json.loads((first / "peer.json").read_text(encoding="utf-8"))["rate"]]

    def _suite(self, cell: Cell, catalog: Path) -> list[Any]:
        return ["--catalog", catalog, "--suite", cell.data, "--split", self.split]

    # ---- shared by the cells of a data set -----------------------------------------------------
    def catalog(self, data: str) -> Path:
        """The imported catalogue of a data set."""
        folder = self.work / "catalogs" / data
        if not (folder / "manifest.json").is_file():
            self._moonshelf("catalog", "import", self.source / data, "--to", folder)
        return folder

    def _fingerprint(self, cell: Cell) -> str:
        if cell.data not in self._fingerprints:
            from moonshelf.catalog.store import Catalog

            self._fingerprints[cell.data] = Catalog.open(self.catalog(cell.data)).fingerprint
        return self._fingerprints[cell.data]

    def _moonshelf(self, *words: Any) -> None:
        self._call("moonshelf", *words)

    def _call(self, module: str, *words: Any) -> None:
        command = [sys.executable, "-m", module, *map(str, words)]
        print(f"$ {' '.join(['python', *command[1:]])}", flush=True)
        environment = {**os.environ, "PYTHONPATH": _path()}
        if self.threads:
            environment["OMP_NUM_THREADS"] = str(self.threads)
        # Its tables go nowhere: the cell keeps the figures; progress and errors stay visible.
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            raise MoonshelfError(
                f"exit code {done.returncode}",
                where=" ".join(command[1:4]),
                cure="see the error above; run the ladder again to go on",
            )


def _path() -> str:
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def _sibling(cell: Cell, seed: int) -> Cell:
    return Cell(cell.data, cell.arm, seed, cell.budget)


def digest_of(arm: str) -> str:
    """8 hex digits of what an arm does: its recipe, or the program of the peer or the controls."""
    if arm == PEER:
        files = [Path(__file__).with_name(name) for name in PEER_FILES]
    elif arm == CONTROLS:
        files = [ROOT / "moonshelf" / "evaluation" / "controls.py"]
    else:
        from moonshelf.training.recipe import find_recipe

        files = [find_recipe(arm)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def _spent(run: Path) -> dict[str, Any]:
    file = run / "metrics.json"
    if not file.is_file():
        return {}
    stage = json.loads(file.read_text(encoding="utf-8"))["stages"]["align"]
    wanted = ("steps", "seconds", "core_seconds", "samples_per_s")
    return {key: stage[key] for key in wanted if key in stage}


def _named(evaluation: Mapping[str, Any], cell: Cell) -> list[dict[str, Any]]:
    """The evaluated embedders; a run's own is called after its arm instead of its folder."""
    found = evaluation["embedders"]
    return found if cell.arm == CONTROLS else [{**found[0], "embedder": Path(cell.arm).stem}]


# ---- the command -------------------------------------------------------------------------------
def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        return compare(args)
    except MoonshelfError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def compare(args: argparse.Namespace) -> int:
    """Every cell, then the tables; a failed cell is told and the others go on (exit code 1)."""
    budget = (
        Budget("minutes", args.budget_minutes)
        if args.budget_minutes
        else Budget("core_seconds", args.budget_core_seconds)
    )
    source = args.data or Path(os.environ.get("MOONSHELF_DATA", ROOT.parent / "shared" / "data"))
    for data in args.sets:
        if not (source / data).is_dir() and not (args.work / "catalogs" / data).is_dir():
            raise UsageError(
                "no such data set", where=str(source / data), cure="pass --data DIR with its folder"
            )
    ladder = Ladder(source, args.work, args.results, split=args.split, threads=args.threads)
    failed, interrupted = [], False
    done: dict[str, list[dict[str, Any]]] = {data: [] for data in args.sets}
    cells = [
        Cell(data, arm, seed, budget)
        for data in args.sets
        for arm in args.arms
        for seed in (args.seeds[:1] if arm == CONTROLS else args.seeds)
    ]
    for number, cell in enumerate(cells, start=1):
        print(f"[{number}/{len(cells)}] {cell.data} {cell.label}", flush=True)
        try:
            done[cell.data].append(ladder.cell(cell, args.seeds[0]))
        except MoonshelfError as error:
            failed.append(f"{cell.data} {cell.label}: {error}")
        except KeyboardInterrupt:
            interrupted = True
            break
    _report(done, budget, args)
    for text in failed:
        print(f"failed: {text}", file=sys.stderr)
    if interrupted:
        print("interrupted; the same command goes on from here", file=sys.stderr)
    return 130 if interrupted else 1 if failed else 0


def _report(
    done: Mapping[str, list[dict[str, Any]]], budget: Budget, args: argparse.Namespace
) -> None:
    first = Path(args.arms[0]).stem
    for data, cells in done.items():
        if not cells:
            continue
        summary = summarize(cells, data)
        heading = f"{data}, {args.split} split, {budget.label} of training, seeds {args.seeds}"
        text = f"{markdown(summary, data, heading, first)}\n{COLUMN_NOTE}\n"
        name = f"{data}-{args.split}-{budget.label}"
        write_bytes_atomically(args.results / f"{name}.md", text.encode())
        facts = {"heading": heading, "rows": summary, "spent": [_facts(cell) for cell in cells]}
        write_json_atomically(args.results / f"{name}.json", facts)
        print(text)


def _facts(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {key: cell[key] for key in ("arm", "seed", "made_by", "catalog", "spent")}


def parser() -> argparse.ArgumentParser:
    """Options of the command; the first arm is the one whose lead is told."""
    found = argparse.ArgumentParser(prog="ladder", description=(__doc__ or "").splitlines()[0])
    found.add_argument("--data", type=Path, metavar="DIR", help="default: $MOONSHELF_DATA")
    found.add_argument("--sets", nargs="+", choices=(*COLUMNS,), default=[*COLUMNS])
    found.add_argument(
        "--arms",
        nargs="+",
        default=["tiny", "fast", PEER, CONTROLS],
        help=f"recipes (names or .toml files), {PEER}, {CONTROLS}",
    )
    budget = found.add_mutually_exclusive_group()
    budget.add_argument("--budget-core-seconds", type=float, default=1800.0)
    budget.add_argument("--budget-minutes", type=float)
    found.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    found.add_argument("--split", choices=("test", "val"), default="test")
    found.add_argument("--threads", type=int, help="default: as torch chooses")
    found.add_argument("--work", type=Path, default=ROOT / "runs" / "ladder", metavar="DIR")
    found.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "ladder")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
