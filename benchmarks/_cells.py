"""The cells of a comparison: data set x arm x seed, each trained and evaluated once.

A piece of ladder.py and ablation.py. A cell runs in processes of its own through the public command
line. A finished one is a file ``RESULTS/SET-SPLIT/NAME-BUDGET-SEED.json``; one made by another
recipe, or on another catalogue, is made anew, and an interrupted training goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks._data_sets import DRAWN, DataSets
from benchmarks._tables import COLUMNS, figures
from moonshelf.errors import MoonshelfError, UsageError
from moonshelf.files import write_json_atomically

ROOT = Path(__file__).resolve().parents[1]
PEER, CONTROLS = "clip-peer", "controls"
DRAWN_PRODUCTS = 4000
SHORT = {"core_seconds": "cs", "minutes": "min", "steps": "steps"}
PEER_FILES = ("clip_peer.py", "_clip.py", "_peer_trainer.py")


@dataclass(frozen=True)
class Budget:
    """What a cell may spend on training, in one currency of ``SHORT``."""

    key: str
    amount: float

    @property
    def label(self) -> str:
        return f"{self.amount:g}{SHORT[self.key]}"


@dataclass(frozen=True)
class Cell:
    """One training (or the controls, which need none) on one data set.

    Attributes:
        arm: a recipe, the peer or the controls.
        budget: of stage ``align``; what other stages spend stands in ``overrides``.
        overrides: ``key=value`` of the recipe; ``variant`` is what tables and files call them.
        log: whether the recipe draws from the pair set of the data set's log.
        clean: cleaning steps of the purchases that stage ``refine`` draws from, in their order.
        scorer: the cell whose run is the previous model of step dedup.
    """

    data: str
    arm: str
    seed: int
    budget: Budget
    overrides: tuple[str, ...] = ()
    variant: str = ""
    log: bool = False
    clean: tuple[str, ...] = ()
    scorer: Cell | None = None

    @property
    def name(self) -> str:
        """As in a table."""
        return self.variant or Path(self.arm).stem

    @property
    def label(self) -> str:
        """As a file name; controls are the same for every budget and seed."""
        name = self.name.replace(" ", "_")
        return CONTROLS if self.arm == CONTROLS else f"{name}-{self.budget.label}-{self.seed}"


class Cells:
    """Runs cells and keeps their files.

    Args:
        work: catalogues, pair sets and runs; results: finished cells and tables; source: the raw
            data sets; drawn: products of the drawn shop.
    """

    def __init__(
        self,
        source: Path,
        work: Path,
        results: Path,
        *,
        split: str,
        threads: int | None,
        drawn: int = DRAWN_PRODUCTS,
    ) -> None:
        self.work, self.results = work, results
        self.split, self.threads = split, threads
        self.sets = DataSets(source, work, self._moonshelf, drawn)

    # ---- one cell ------------------------------------------------------------------------------
    def cell(self, cell: Cell, first_seed: int) -> dict[str, Any]:
        """The finished cell, from its file where that is still valid."""
        catalog, origin, file = self.sets.catalog(cell.data), self._origin(cell), self.file(cell)
        if (known := self.known(cell)) is not None:
            return known
        if file.is_file():
            print(f"{cell.data} {cell.label}: recipe or catalogue has changed, made anew")
        run = self._run_folder(cell)
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

    def known(self, cell: Cell) -> dict[str, Any] | None:
        """The finished cell where its file is there and still valid; trains nothing."""
        if not self.file(cell).is_file():
            return None
        found, origin = json.loads(self.file(cell).read_text("utf-8")), self._origin(cell)
        return found if {key: found.get(key) for key in origin} == origin else None

    def seeds(self, cell: Cell) -> set[int]:
        """Seeds of which the results hold a cell with this one's arm and budget."""
        start = cell.label.removesuffix(str(cell.seed))
        names = {file.stem for file in self.file(cell).parent.glob("*.json")}
        ends = {name.removeprefix(start) for name in names if name.startswith(start)}
        return {int(end) for end in ends if end.isdecimal()}

    def _origin(self, cell: Cell) -> dict[str, str]:
        """What a finished cell must have been made from to be valid still."""
        words = (*cell.overrides, *unvalidated(cell), *(f"clean {step}" for step in cell.clean))
        if cell.clean:
            words = (*words, self._previous_model(cell))
        made_by = digest_of(cell.arm, words)
        return {"arm": cell.arm, "made_by": made_by, "catalog": self.sets.fingerprint(cell.data)}

    def _previous_model(self, cell: Cell) -> str:
        """What the previous model of step dedup was made from: another keeps other pairs."""
        assert cell.scorer is not None  # ablation.py gives every cleaned cell one
        return f"scored by {cell.scorer.label}, {self._origin(cell.scorer)['made_by']}"

    def _run_folder(self, cell: Cell) -> Path:
        origin = self._origin(cell)
        name = f"{cell.label}-{origin['made_by']}-{origin['catalog'][:8]}"
        return self.work / "runs" / cell.data / name

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
            words = [*cell.overrides, *unvalidated(cell), *self._pairs(cell, first_seed)]
            words += [budget, f"seed={cell.seed}"]
            words += [f"compute.threads={self.threads}"] if self.threads else []
            resume = ["--resume"] if run.exists() else []
            self._moonshelf("train", cell.arm, "--catalog", catalog, "--out", run, *resume, *words)
        self._moonshelf("evaluate", run, *self._suite(cell, catalog))

    def _pairs(self, cell: Cell, first_seed: int) -> list[str]:
        """Words that name the pair sets of a cell."""
        words = [f"data.pairs={self.sets.pairs(cell.data)}"] if cell.log else []
        if cell.clean:
            assert cell.scorer is not None  # ablation.py gives every such cell one
            self.cell(cell.scorer, first_seed)
            scorer = self._run_folder(cell.scorer)
            words.append(f"stages.refine.pairs={self.sets.cleaned(cell.data, cell.clean, scorer)}")
        return words

    def _rate(self, cell: Cell, run: Path, first_seed: int) -> list[Any]:
        """The rate that the first seed chose; nothing where this cell has to choose."""
        first = run.with_name(run.name.replace(cell.label, _sibling(cell, first_seed).label))
        if cell.seed == first_seed or not (first / "peer.json").is_file():
            return []
        return ["--rates", json.loads((first / "peer.json").read_text(encoding="utf-8"))["rate"]]

    def _suite(self, cell: Cell, catalog: Path) -> list[Any]:
        return ["--catalog", catalog, "--suite", cell.data, "--split", self.split]

    # ---- commands ------------------------------------------------------------------------------
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
    return replace(cell, seed=seed)


def unvalidated(cell: Cell) -> tuple[str, ...]:
    """Words that turn off the validation of a recipe's stages. Their budget would pay for it, and
    the peer has none."""
    if cell.arm in (PEER, CONTROLS):
        return ()
    from moonshelf.training.recipe import load_recipe

    stages = load_recipe(cell.arm, cell.overrides).stages
    validating = (name for name, stage in stages.items() if stage.validate_every)
    return tuple(f"stages.{name}.validate_every=0" for name in validating)


def digest_of(arm: str, overrides: Sequence[str] = ()) -> str:
    """8 hex digits of what an arm does: its recipe and what is changed in it, or the program of
    the peer or the controls."""
    if arm == PEER:
        files = [Path(__file__).with_name(name) for name in PEER_FILES]
    elif arm == CONTROLS:
        files = [ROOT / "moonshelf" / "evaluation" / "controls.py"]
    else:
        from moonshelf.training.recipe import find_recipe

        files = [find_recipe(arm)]
    parts = [file.read_bytes() for file in files] + [word.encode() for word in overrides]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:8]


def _spent(run: Path) -> dict[str, Any]:
    file = run / "metrics.json"
    if not file.is_file():
        return {}
    stages = json.loads(file.read_text(encoding="utf-8"))["stages"]
    spent = {
        key: sum(stage[key] for stage in stages.values() if key in stage)
        for key in ("steps", "seconds", "core_seconds")
        if key in stages["align"]
    }
    # A rate is of pairs; questions are something else.
    rates = {key: stages["align"][key] for key in ("samples_per_s",) if key in stages["align"]}
    return spent | rates


def _named(evaluation: Mapping[str, Any], cell: Cell) -> list[dict[str, Any]]:
    """The evaluated embedders; a run's own is called after its arm instead of its folder."""
    found = evaluation["embedders"]
    return found if cell.arm == CONTROLS else [{**found[0], "embedder": cell.name}]


# ---- what the commands share -------------------------------------------------------------------
def _source(args: argparse.Namespace) -> Path:
    return args.data or Path(os.environ.get("MOONSHELF_DATA", ROOT.parent / "shared" / "data"))


def opened(args: argparse.Namespace) -> Cells:
    """The cells that a command's options name."""
    return Cells(
        _source(args),
        args.work,
        args.results,
        split=args.split,
        threads=args.threads,
        drawn=args.drawn,
    )


def run_cells(
    cells: Sequence[Cell], args: argparse.Namespace
) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """Every cell, by data set, and the exit code: a failed cell is told, the others go on (1);
    Ctrl-C ends with what there is (130)."""
    source = _source(args)
    for data in {*args.sets} - {DRAWN}:
        if not (source / data).is_dir() and not (args.work / "catalogs" / data).is_dir():
            raise UsageError(
                "no such data set", where=str(source / data), cure="pass --data DIR with its folder"
            )
    kept = opened(args)
    done: dict[str, list[dict[str, Any]]] = {data: [] for data in args.sets}
    failed, interrupted = [], False
    for number, cell in enumerate(cells, start=1):
        print(f"[{number}/{len(cells)}] {cell.data} {cell.label}", flush=True)
        try:
            done[cell.data].append(kept.cell(cell, args.seeds[0]))
        except MoonshelfError as error:
            failed.append(f"{cell.data} {cell.label}: {error}")
        except KeyboardInterrupt:
            interrupted = True
            break
    for text in failed:
        print(f"failed: {text}", file=sys.stderr)
    if interrupted:
        print("interrupted; the same command goes on from here", file=sys.stderr)
    return done, 130 if interrupted else 1 if failed else 0


def exit_code(compare: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """What ``compare`` returns; 2 where it was used wrongly and 1 where it failed, with the error
    told."""
    try:
        return compare(args)
    except MoonshelfError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def budget_of(args: argparse.Namespace, default: Budget) -> Budget:
    """The one that was asked for."""
    given = [(key, getattr(args, f"budget_{key}")) for key in SHORT]
    return next((Budget(key, amount) for key, amount in given if amount), default)


def add_options(
    found: argparse.ArgumentParser,
    results: Path,
    sets: Sequence[str] = ("myntra", "hm"),
    *,
    budget: bool = True,
) -> None:
    """The options of every comparison; ``sets`` are its data sets where none are named, ``budget``
    whether it has one for all cells."""
    found.add_argument("--data", type=Path, metavar="DIR", help="default: $MOONSHELF_DATA")
    found.add_argument("--sets", nargs="+", choices=(*COLUMNS,), default=[*sets])
    found.add_argument(
        "--drawn",
        type=int,
        default=DRAWN_PRODUCTS,
        metavar="N",
        help=f"products of set {DRAWN}, the drawn shop ({DRAWN_PRODUCTS:,})",
    )
    if budget:
        given = found.add_mutually_exclusive_group()
        given.add_argument("--budget-core-seconds", type=float)
        given.add_argument("--budget-minutes", type=float)
        given.add_argument("--budget-steps", type=int)
    found.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    found.add_argument("--split", choices=("test", "val"), default="test")
    found.add_argument("--threads", type=int, help="default: as torch chooses")
    found.add_argument("--work", type=Path, default=ROOT / "runs" / "ladder", metavar="DIR")
    found.add_argument("--results", type=Path, default=results, metavar="DIR")
