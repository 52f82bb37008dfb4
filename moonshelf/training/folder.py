"""The run folder: who may write into it, what it says about itself, and whose run it is.

RUN/manifest.json    format, status, seed, versions, fingerprints of catalogue and pairs, decisions
RUN/recipe.toml      the whole recipe: training it again gives the same run
RUN/metrics.jsonl    one line an interval          RUN/metrics.json   the summary at the end
RUN/state/           the last two states (checkpoint.py)
RUN/encoder/         what load_encoder reads, written when the last stage is done
"""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import moonshelf
from moonshelf.catalog.pair_files import pair_fingerprint, read_manifest
from moonshelf.config import differences, load_config, read_toml, to_toml
from moonshelf.errors import CheckpointError, MoonshelfError, UsageError
from moonshelf.files import (
    full_disk_is_an_error,
    lock_folder,
    write_bytes_atomically,
    write_json_atomically,
)
from moonshelf.training.distill import check_teachers
from moonshelf.training.recipe import Recipe
from moonshelf.training.settings import AlignConfig
from moonshelf.training.start import check_start

if TYPE_CHECKING:
    from moonshelf.catalog.store import Catalog

FORMAT = 1
# What a run killed before its manifest was written may have left behind.
_EARLY = {".lock", "recipe.toml"}


class RunFolder:
    """An open run folder. ``manifest`` is written by :meth:`write_manifest`."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path, self.manifest = path, manifest

    @property
    def finished(self) -> bool:
        return self.manifest["status"] == "finished"

    def write_manifest(self, **changes: Any) -> None:
        self.manifest |= changes
        write_json_atomically(self.path / "manifest.json", self.manifest)


@contextlib.contextmanager
def open_run(out: Path, recipe: Recipe, catalog: Catalog, resume: bool) -> Iterator[RunFolder]:
    """The run folder ``out``, made or checked, and locked against a second process.

    Raises:
        UsageError: it exists and ``resume`` is off, or the other way round; it is no run; it
            belongs to another recipe or catalogue; a teacher does not fit the recipe.
        CheckpointError: its manifest is damaged or of another format; there is no teacher.
        MoonshelfError: another process is training into it.
    """
    taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if taken and not resume:
        raise UsageError(
            "the run folder exists already",
            where=str(out),
            cure="pass --resume to go on with it, or another --out",
        )
    if resume and not taken:
        raise UsageError("there is no run to resume", where=str(out), cure="drop --resume")
    if taken and not out.is_dir():
        raise UsageError("is a file, not a run folder", where=str(out), cure="pass another --out")
    if not resume:
        check_teachers(recipe)
        check_start(recipe)
    with full_disk_is_an_error(out):
        out.mkdir(parents=True, exist_ok=True)
    if resume:
        _refuse_strangers(out)
    with _locked(out):
        if (out / "manifest.json").exists():
            yield RunFolder(out, checked_manifest(out, recipe, catalog.fingerprint))
        else:
            yield _started(out, recipe, catalog)


def _refuse_strangers(out: Path) -> None:
    names = {p.name for p in out.iterdir() if not p.name.endswith(".partial")}
    if "manifest.json" not in names and names - _EARLY:
        raise UsageError(
            f"is not a run folder: it has {min(names - _EARLY)!r} but no manifest.json",
            where=str(out),
            cure="pass the --out of the run to resume",
        )


def _started(out: Path, recipe: Recipe, catalog: Catalog) -> RunFolder:
    write_bytes_atomically(out / "recipe.toml", to_toml(recipe).encode())
    run = RunFolder(out, {})
    run.write_manifest(
        format=FORMAT,
        kind="run",
        status="running",
        name=recipe.name,
        seed=recipe.seed,
        catalog={"fingerprint": catalog.fingerprint, "products": len(catalog)},
        pairs=pair_sets(recipe),
        versions=versions(),
        started=int(time.time()),
        stages={},
    )
    return run


def checked_manifest(out: Path, recipe: Recipe, fingerprint: str) -> dict[str, Any]:
    """The manifest of a run to resume.

    Raises:
        UsageError: the run was started with another recipe or catalogue, naming what differs.
        CheckpointError: the manifest is damaged or of another format.
    """
    try:
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"manifest.json cannot be read ({error})",
            where=str(out),
            cure="train into a new --out",
        ) from error
    if not isinstance(manifest, dict) or manifest.get("kind") != "run":
        raise UsageError("is not a run folder", where=str(out), cure="pass a run's --out")
    if manifest.get("format") != FORMAT:
        raise CheckpointError(
            f"run of format {manifest.get('format')}, this version reads {FORMAT}",
            where=str(out),
            cure="train into a new --out",
        )
    before = load_config(Recipe, read_toml(out / "recipe.toml"), where=str(out / "recipe.toml"))
    changed = differences(_lasting(before), _lasting(recipe))
    if changed:
        raise UsageError(
            f"the recipe differs from the one this run started with: {'; '.join(changed[:5])}",
            where=str(out),
            cure="resume with the same recipe and overrides, or pass another --out",
        )
    if manifest.get("catalog", {}).get("fingerprint") != fingerprint:
        raise UsageError(
            "the catalogue is not the one this run started with",
            where=str(out),
            cure="pass the same --catalog, or another --out",
        )
    if manifest.get("pairs", {}) != pair_sets(recipe):
        raise UsageError(
            "a pair set is not the one this run started with",
            where=str(out),
            cure="put the old pairs back, or pass another --out",
        )
    return manifest


def pair_sets(recipe: Recipe) -> dict[str, str]:
    """Folder and fingerprint of every pair set that a stage draws from.

    Raises:
        DataError: one is missing or damaged.
    """
    stages = [recipe.stage(name) for name in recipe.stages]
    folders = {s.pairs for s in stages if isinstance(s, AlignConfig) and s.reads_log and s.pairs}
    return {name: pair_fingerprint(read_manifest(name)) for name in sorted(folders)}


def _lasting(recipe: Recipe) -> dict[str, Any]:
    """What must not change when a run goes on; how many processes and threads work on it, and
    whether they share the weights out, may."""
    found = recipe.model_dump(mode="json")
    found["compute"] = {
        k: v for k, v in found["compute"].items() if k not in ("processes", "threads", "shard")
    }
    return found


def versions() -> dict[str, str]:
    """Versions of what decides a result."""
    found = {"moonshelf": moonshelf.__version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "transformers", "tokenizers", "pillow", "pyarrow"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """One process a run."""
    busy = MoonshelfError(
        "another process is training into this folder",
        where=str(out),
        cure="wait for it, or pass another --out",
    )
    with lock_folder(out, busy):
        yield
