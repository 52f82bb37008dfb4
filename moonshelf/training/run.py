"""One run: a recipe and a catalogue in, a run folder out (folder.py); resumable after ``kill -9``.

``train`` opens the folder, gathers the processes (processes.py) and hands over to the trainer;
``follow`` is what the processes that it starts do.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch

from moonshelf.catalog.store import Catalog
from moonshelf.progress import Progress, silent
from moonshelf.training.folder import RunFolder, open_run
from moonshelf.training.parallel import ALONE, Group
from moonshelf.training.processes import Job, device_of, joined, met, started, torchrun
from moonshelf.training.recipe import Recipe, load_recipe
from moonshelf.training.trainer import Note, Trainer


def train(
    recipe: Recipe | str | Path,
    catalog: Catalog | str | Path,
    out: str | Path,
    resume: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Path:
    """Trains the stages of ``recipe`` on the train split of ``catalog`` and returns the run folder.

    Args:
        recipe: a :class:`Recipe`, a named recipe, or a TOML file.
        catalog: an open catalogue or its folder.
        out: the run folder; must not exist, unless ``resume``.
        resume: go on from the newest whole state; a finished run is left as it is. With a
            ``steps`` budget, on one thread, the losses are those of an uninterrupted run.
        progress: shown how far each stage is.
        note: given one line for each decision a reader may want to know.

    Raises:
        UsageError: the folder is taken, or belongs to another recipe or catalogue.
        CheckpointError: no saved state can be used. DataError: the catalogue lacks what a term
            needs. TrainingError: the loss is not finite. DiskFullError: no room to save.
            LostProcess: another process of the run failed; carries its error.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    catalog = catalog if isinstance(catalog, Catalog) else Catalog.open(Path(catalog))
    note = note or (lambda text: None)
    out = Path(out)
    with contextlib.ExitStack() as stack:
        group = stack.enter_context(joined(recipe.compute)) if torchrun() else ALONE
        if not group.leads:
            _follow(recipe, catalog, out, group)
            return out
        folder = stack.enter_context(open_run(out, recipe, catalog, resume))
        if group.size == 1 and recipe.compute.processes > 1 and not folder.finished:
            settings = recipe.model_dump(mode="json")
            group = stack.enter_context(started(recipe.compute, settings, catalog.path, out))
        if group.from_leader(int(folder.finished)):
            note("this run is finished already")
        else:
            Trainer(recipe, catalog, folder, progress or silent, note, group).go()
    return out


def follow(job: Job) -> None:
    """What a started process does (worker.py): the leader's run, without a word of its own."""
    recipe = Recipe.model_validate(job.recipe)
    torch.use_deterministic_algorithms(job.deterministic, warn_only=True)
    device = device_of(recipe.compute, (job.rank, job.size))
    with met(job.folder, job.rank, job.size, device) as group:
        _follow(recipe, Catalog.open(Path(job.catalog)), Path(job.out), group)


def _follow(recipe: Recipe, catalog: Catalog, out: Path, group: Group) -> None:
    finished = group.from_leader(0)
    if not finished:
        Trainer(recipe, catalog, RunFolder(out, {}), silent, lambda text: None, group).go()
