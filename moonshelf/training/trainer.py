"""The stages of a run, one after the other, as every process of the run goes through them:

encoder and contents (beginning.py) -> for each stage: probe precision, spread weights over the
processes where the recipe says so, place parameters, restore the saved state if there is one, loop
(log, validate, save) -> encoder, summary
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from zlib import crc32

import torch
from torch import Tensor

from moonshelf.catalog.store import Catalog
from moonshelf.encoder.base import Encoder
from moonshelf.errors import UsageError
from moonshelf.files import write_json_atomically
from moonshelf.progress import Progress
from moonshelf.training.beginning import begin, probe_contents, seed_all
from moonshelf.training.checkpoint import LoopState, Saved, model_digest, newest_state
from moonshelf.training.contents import ContentSource
from moonshelf.training.folder import RunFolder, pair_sets
from moonshelf.training.hooks import run_hooks, same_weights
from moonshelf.training.loop import run_loop
from moonshelf.training.optim import SplitOptimizer, build_optimizer, embedding_names
from moonshelf.training.parallel import Group
from moonshelf.training.precision import Precision, choose_precision
from moonshelf.training.processes import device_of, threads_of
from moonshelf.training.recipe import Recipe
from moonshelf.training.schedule import Schedule
from moonshelf.training.sharding import Shards, whole_tensors
from moonshelf.training.stages.registry import RecipeStage, build_stage
from moonshelf.training.tracking import read_metrics, rewind_metrics, summary

Note = Callable[[str], None]


class Trainer:
    """One process's part of a run; only the leading one writes into the folder and talks."""

    def __init__(
        self,
        recipe: Recipe,
        catalog: Catalog,
        folder: RunFolder,
        progress: Progress,
        note: Note,
        group: Group,
    ) -> None:
        self.recipe, self.catalog, self.folder = recipe, catalog, folder
        self.out, self.progress, self.note, self.group = folder.path, progress, note, group
        self.device = device_of(recipe.compute, (group.local_rank, group.local_size))
        self.metrics = self.out / "metrics.jsonl"
        # Both from the first stage on, where the recipe wants shards.
        self.shards: Shards | None = None
        self.gathered: Precision | None = None

    def go(self) -> None:
        """Every stage in turn, then the encoder and the summary."""
        saved = self._saved()
        threads = threads_of(self.recipe.compute, self.group.local_size)
        if threads is not None:
            torch.set_num_threads(threads)
        if self.group.leads:
            compute = {
                "device": str(self.device),
                "processes": self.group.size,
                "shards": self.recipe.compute.shard and self.group.size > 1,
                "threads": torch.get_num_threads(),
            }
            self.folder.write_manifest(compute=compute)
        if self.recipe.compute.shard and self.group.size == 1:
            self.note("one process holds all weights: compute.shard needs several")
        encoder, source = begin(
            self.recipe,
            self.catalog,
            self.folder,
            device=self.device,
            group=self.group,
            progress=self.progress,
            note=self.note,
        )
        probe = encoder.collate(probe_contents(source))
        digest = model_digest({"encoder": encoder}, probe)
        for index, name in enumerate(self.recipe.stages):
            if saved is None or index > saved.state.index:
                self._stage(index, name, encoder, source, probe, digest, None)
            elif index == saved.state.index:
                self._stage(index, name, encoder, source, probe, digest, saved)
        state = whole_tensors(encoder.state_dict(), self.group) if self.shards else None
        if self.group.leads:
            encoder.save(self.out / "encoder", state)
            write_json_atomically(self.out / "metrics.json", summary(read_metrics(self.metrics)))
            self.folder.write_manifest(status="finished", finished=int(time.time()))
        self.group.barrier()

    def _saved(self) -> Saved | None:
        """The newest state; what was logged after it is dropped, because it is done again."""
        saved, passed_over = newest_state(self.out / "state")
        for text in passed_over:
            self.note(f"passed over a damaged state: {text}")
        if not self.group.leads:
            return saved
        order = {name: k for k, name in enumerate(self.recipe.stages)}
        stage, step = (saved.state.stage, saved.state.step) if saved else (next(iter(order)), 0)
        dropped = rewind_metrics(self.metrics, order, stage, step)
        if saved or dropped:
            self.note(f"resuming stage {stage} at step {step}; {dropped} lines are done again")
        return saved

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
        config = self.recipe.stage(name)
        seed = self.recipe.seed * 1000 + index
        seed_all(seed)
        size = self.group.size
        stage = build_stage(
            name, config, encoder, source, seed=seed, device=self.device, processes=size
        )
        precision = self._precision(encoder, probe, saved)
        if self.recipe.compute.shard and size > 1 and self.shards is None:
            self.shards = Shards(encoder, self.group, bf16=precision.name == "bf16")
            self.gathered = precision
        optimizer = build_optimizer(
            ((f"{k}.{n}", p) for k, m in stage.modules().items() for n, p in m.named_parameters()),
            config.optimizer,
            embeddings={f"encoder.{n}" for n in embedding_names(encoder)},
            dtype=precision.dtype,
            processes=self.group,
        )
        state = LoopState(stage=name, index=index, precision=precision.name)
        if saved is not None:
            saved.restore(stage.modules(), optimizer, digest, self.group)
            state = saved.state
            if state.done:
                return
        self._check_start(stage, optimizer, state, digest)
        self._describe(stage, precision, optimizer)
        with self.group.leader_first():
            stage.prepare(
                self.out,
                device=self.device,
                bf16=precision.name == "bf16",
                progress=self.progress,
            )
        self._loop(stage, optimizer, precision, state, digest, seed)

    def _loop(
        self,
        stage: RecipeStage,
        optimizer: SplitOptimizer,
        precision: Precision,
        state: LoopState,
        digest: str,
        seed: int,
    ) -> None:
        config = stage.config
        with contextlib.ExitStack() as stack:
            hooks = run_hooks(
                stack,
                self.out,
                stage,
                config,
                optimizer,
                precision,
                state=state,
                digest=digest,
                seed=self.recipe.seed,
                group=self.group,
                note=self.note,
                shards=self.shards,
            )
            run_loop(
                stage,
                optimizer,
                Schedule(config),
                config,
                state=state,
                precision=precision,
                device=self.device,
                clip=config.optimizer.clip,
                hooks=hooks,
                progress=self.progress,
                group=self.group,
                seed=seed,
                shards=self.shards,
            )

    def _check_start(
        self, stage: RecipeStage, optimizer: SplitOptimizer, state: LoopState, digest: str
    ) -> None:
        """Every process has a share of each step, and starts with the same recipe, catalogue,
        model, step and weights."""
        term, pairs = stage.plan.smallest()
        if pairs < self.group.size:
            raise UsageError(
                f"a step of term {term!r} has fewer pairs than there are processes "
                f"({self.group.size})",
                where=f"stage {stage.name}",
                cure="use fewer processes, a larger batch, or leave the term out",
            )
        more = {
            "the recipe": crc32(self.recipe.model_dump_json().encode()),
            "the catalogue": crc32(self.catalog.fingerprint.encode()),
            "the pair sets": crc32(repr(pair_sets(self.recipe)).encode()),
            "the encoder as it was built": crc32(digest.encode()),
            "the step": state.step,
        }
        where = f"start of stage {stage.name}"
        same_weights(stage, optimizer, self.group, where, **more)

    def _precision(
        self, encoder: Encoder, probe: Mapping[str, Tensor], saved: Saved | None
    ) -> Precision:
        if self.gathered is not None:
            # What is gathered is already in this format.
            return replace(self.gathered, reason="as when the weights were spread")
        if saved is not None:
            # A resumed run must not change its number format midway, whatever a probe says now.
            dtype = torch.bfloat16 if saved.state.precision == "bf16" else torch.float32
            return Precision(dtype, None, "as before the interruption")
        moved = {k: v.to(self.device) for k, v in probe.items()}
        own = choose_precision(encoder, moved, self.recipe.compute.precision, self.device)
        # A probe near its bound must not split the processes: the leader's word counts.
        if self.group.from_leader(int(own.name == "bf16")) == int(own.name == "bf16"):
            return own
        dtype = torch.float32 if own.name == "bf16" else torch.bfloat16
        return Precision(dtype, own.cosine, "as the leading process found")

    def _describe(
        self, stage: RecipeStage, precision: Precision, optimizer: SplitOptimizer
    ) -> None:
        if not self.group.leads:
            return
        placement = optimizer.placement
        self.note(
            f"stage {stage.name}: {precision.name} ({precision.reason}); "
            f"parameters: {placement.summary()}"
        )
        for term, why in stage.without_pairs.items():
            self.note(f"term {term} gets no steps: the catalogue {why}")
        for term, count in stage.dropped.items():
            if count:
                self.note(f"term {term}: left out {count:,} pairs without readable text or picture")
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
