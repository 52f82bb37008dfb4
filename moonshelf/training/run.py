"""One run: a recipe and a catalogue in, a run folder out (folder.py); resumable after ``kill -9``.

build encoder and contents -> for each stage: probe precision, place parameters,
restore the saved state if there is one, loop (log, validate, save) -> encoder, summary
"""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moonshelf.catalog.product import Content, View
from moonshelf.catalog.store import Catalog
from moonshelf.encoder import build_encoder
from moonshelf.encoder.base import Encoder
from moonshelf.errors import DataError
from moonshelf.files import write_json_atomically
from moonshelf.progress import Progress, silent
from moonshelf.training.checkpoint import (
    LoopState,
    Saved,
    model_digest,
    newest_state,
    save_state,
)
from moonshelf.training.contents import ContentSource
from moonshelf.training.distill import teacher_vectors
from moonshelf.training.folder import RunFolder, open_run
from moonshelf.training.loop import Hook, run_loop
from moonshelf.training.optim import SplitOptimizer, build_optimizer, embedding_names
from moonshelf.training.precision import PROBE_ITEMS, Precision, choose_precision, pick_device
from moonshelf.training.recipe import Recipe, load_recipe
from moonshelf.training.schedule import Schedule
from moonshelf.training.settings import AlignConfig
from moonshelf.training.stages.align import AlignStage
from moonshelf.training.tracking import (
    MetricsFile,
    TensorBoardTracker,
    read_metrics,
    rewind_metrics,
)
from moonshelf.training.validation import Validator

Note = Callable[[str], None]


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
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    catalog = catalog if isinstance(catalog, Catalog) else Catalog.open(Path(catalog))
    note = note or (lambda text: None)
    with open_run(Path(out), recipe, catalog, resume) as folder:
        if folder.finished:
            note("this run is finished already")
        else:
            _Run(recipe, catalog, folder, progress or silent, note).go()
    return Path(out)


class _Run:
    def __init__(
        self, recipe: Recipe, catalog: Catalog, folder: RunFolder, progress: Progress, note: Note
    ) -> None:
        self.recipe, self.catalog, self.folder = recipe, catalog, folder
        self.out, self.progress, self.note = folder.path, progress, note
        self.device = pick_device(recipe.compute.device)
        self.metrics = self.out / "metrics.jsonl"

    def go(self) -> None:
        """Every stage in turn, then the encoder and the summary."""
        saved = self._saved()
        if self.recipe.compute.threads is not None:
            torch.set_num_threads(self.recipe.compute.threads)
        compute = {"device": str(self.device), "threads": torch.get_num_threads()}
        self.folder.write_manifest(compute=compute)
        encoder, source = self._built()
        probe = encoder.collate(self._probe(source))
        digest = model_digest({"encoder": encoder}, probe)
        for index, name in enumerate(self.recipe.stages):
            if saved is None or index > saved.state.index:
                self._stage(index, name, encoder, source, probe, digest, None)
            elif index == saved.state.index:
                self._stage(index, name, encoder, source, probe, digest, saved)
        encoder.save(self.out / "encoder")
        write_json_atomically(self.out / "metrics.json", summary(read_metrics(self.metrics)))
        self.folder.write_manifest(status="finished", finished=int(time.time()))

    def _saved(self) -> Saved | None:
        """The newest state; what was logged after it is dropped, because it is done again."""
        saved, passed_over = newest_state(self.out / "state")
        for text in passed_over:
            self.note(f"passed over a damaged state: {text}")
        order = {name: k for k, name in enumerate(self.recipe.stages)}
        stage, step = (saved.state.stage, saved.state.step) if saved else (next(iter(order)), 0)
        dropped = rewind_metrics(self.metrics, order, stage, step)
        if saved or dropped:
            self.note(f"resuming stage {stage} at step {step}; {dropped} lines are done again")
        return saved

    def _built(self) -> tuple[Encoder, ContentSource]:
        recipe, catalog = self.recipe, self.catalog
        seed_all(recipe.seed)
        fields = tuple(recipe.data.text)
        rows = np.asarray(catalog.split_rows("train"), dtype=np.int64)
        plain = ContentSource(catalog, None, fields)
        texts = plain.texts(rows)
        if any(stage.shows_attributes for stage in recipe.stages.values()):
            texts += [" ".join(values) for values in plain.values(rows)]
        encoder = build_encoder(recipe.encoder, texts, seed=recipe.seed).to(self.device)
        canvas, pixels = encoder.pictures, None
        if recipe.data.cache_pictures and canvas.fixed and canvas.per_product == 1:
            from moonshelf.catalog.pixels import PixelCache

            pixels = PixelCache.build(catalog, canvas.height, canvas.width, self.progress)
        count = sum(p.numel() for p in encoder.parameters())
        self.note(f"encoder of {count / 1e6:.2f} M parameters, {len(rows):,} train products")
        return encoder, ContentSource(catalog, pixels, fields)

    def _probe(self, source: ContentSource) -> list[Content]:
        """A few train products, for the parity of number formats and to recognize a rebuild."""
        rows = np.asarray(self.catalog.split_rows("train"), dtype=np.int64)
        rows = rows[source.usable(View.BOTH)[rows]][:PROBE_ITEMS]
        if not len(rows):
            raise DataError(
                "no train product has a title or a picture",
                where=str(self.catalog.path),
                cure="import products into the train split",
            )
        return source(rows, View.BOTH)

    def _stage(
        self,
        index: int,
        name: str,
        encoder: Encoder,
        source: ContentSource,
        probe: Mapping[str, Tensor],
        digest: str,
        saved: Saved | None,
    ) -> None:
        config = self.recipe.stages[name]
        seed = self.recipe.seed * 1000 + index
        seed_all(seed)
        stage = AlignStage(name, config, encoder, source, seed=seed, device=self.device)
        precision = self._precision(encoder, probe, saved)
        optimizer = build_optimizer(
            ((f"{k}.{n}", p) for k, m in stage.modules().items() for n, p in m.named_parameters()),
            config.optimizer,
            embeddings={f"encoder.{n}" for n in embedding_names(encoder)},
            dtype=precision.dtype,
        )
        state = LoopState(stage=name, index=index, precision=precision.name)
        if saved is not None:
            saved.restore(stage.modules(), optimizer, digest)
            state = saved.state
            if state.done:
                return
        self._describe(stage, precision, optimizer)
        if config.distill is not None:
            rows = {view: stage.rows(view) for view in View if len(stage.rows(view))}
            stage.teacher = teacher_vectors(
                config.distill,
                rows,
                source,
                self.out / "teacher" / name,
                device=self.device,
                bf16=precision.name == "bf16",
                progress=self.progress,
            )
        with contextlib.ExitStack() as stack:
            run_loop(
                stage,
                optimizer,
                Schedule(config),
                config,
                state=state,
                precision=precision,
                device=self.device,
                clip=config.optimizer.clip,
                hooks=self._hooks(stack, stage, config, optimizer, precision, digest),
                progress=self.progress,
            )

    def _precision(
        self, encoder: Encoder, probe: Mapping[str, Tensor], saved: Saved | None
    ) -> Precision:
        if saved is not None:
            # A resumed run must not change its number format midway, whatever a probe says now.
            dtype = torch.bfloat16 if saved.state.precision == "bf16" else torch.float32
            return Precision(dtype, None, "as before the interruption")
        moved = {k: v.to(self.device) for k, v in probe.items()}
        return choose_precision(encoder, moved, self.recipe.compute.precision, self.device)

    def _describe(self, stage: AlignStage, precision: Precision, optimizer: SplitOptimizer) -> None:
        placement = optimizer.placement
        self.note(
            f"stage {stage.name}: {precision.name} ({precision.reason}); "
            f"parameters: {placement.summary()}"
        )
        for term, why in stage.without_pairs.items():
            self.note(f"term {term} gets no steps: the catalogue {why}")
        for term, count in stage.dropped.items():
            if count:
                self.note(
                    f"term {term}: left out {count:,} pairs without readable title or picture"
                )
        decided = {
            "precision": precision.name,
            "precision_reason": precision.reason,
            "parity_cosine": precision.cosine,
            "pairs": {term.name: len(term.pairs) for term in stage.plan.terms},
            "pairs_left_out": stage.dropped,
            "terms_without_pairs": stage.without_pairs,
            "shares": stage.plan.shares(),
            "optimizer": {
                "muon": list(placement.muon),
                "adamw": list(placement.adamw),
                "frozen": list(placement.frozen),
            },
        }
        before = self.folder.manifest["stages"]
        self.folder.write_manifest(stages={**before, stage.name: before.get(stage.name, decided)})

    def _hooks(
        self,
        stack: contextlib.ExitStack,
        stage: AlignStage,
        config: AlignConfig,
        optimizer: SplitOptimizer,
        precision: Precision,
        digest: str,
    ) -> Sequence[Hook]:
        """Log, validate, save: in this order, so that a state never runs ahead of its metrics."""
        metrics = MetricsFile(self.metrics)
        stack.callback(metrics.close)
        board = TensorBoardTracker(self.out / "tensorboard") if config.tensorboard else None
        if board is not None:
            stack.callback(board.close)

        def write(line: Mapping[str, Any]) -> None:
            metrics.write(line)
            if board is not None:
                board.write(line)

        def log(state: LoopState, line: Mapping[str, Any] | None, last: bool) -> None:
            if line is not None:
                write(line)

        last_save = time.monotonic()

        def save(state: LoopState, line: Mapping[str, Any] | None, last: bool) -> None:
            nonlocal last_save
            if config.save_every is not None:
                due = state.step % config.save_every == 0
            else:
                due = time.monotonic() - last_save > 60 * config.save_minutes
            if due or last:
                metrics.sync()
                state.done = last
                save_state(self.out / "state", state, stage.modules(), optimizer, digest)
                last_save = time.monotonic()

        hooks: list[Hook] = [log]
        if config.validate_every:
            try:
                hooks.append(self._validation(stage, config, precision, write))
            except DataError as error:
                # A shop without a val split trains all the same; it is told, here and in the log.
                self.note(f"no validation while training: {error.what}")
        return [*hooks, save]

    def _validation(
        self,
        stage: AlignStage,
        config: AlignConfig,
        precision: Precision,
        write: Callable[[Mapping[str, Any]], None],
    ) -> Hook:
        terms = [term for term in config.active().values() if term.source == "self"]
        validator = Validator(
            stage.encoder,
            stage.source,
            [(term.query, term.item) for term in terms],
            items=config.validation_items,
            seed=self.recipe.seed,
            bf16=precision.name == "bf16",
        )

        def validate(state: LoopState, line: Mapping[str, Any] | None, last: bool) -> None:
            if last or state.step % config.validate_every == 0:
                write({"stage": state.stage, "step": state.step, **validator()})

        return validate


def summary(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The newest value of every number logged, by stage."""
    stages: dict[str, dict[str, Any]] = {}
    for name, group in itertools.groupby(lines, key=lambda line: str(line.get("stage"))):
        newest = stages.setdefault(name, {})
        for line in group:
            newest |= {("steps" if k == "step" else k): v for k, v in line.items() if k != "stage"}
    memory = [stage.get("memory_mib", 0.0) for stage in stages.values()]
    return {"stages": stages, "memory_mib": max(memory, default=0.0)}


def seed_all(seed: int) -> None:
    """Seeds the global generators that dropout and libraries draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
