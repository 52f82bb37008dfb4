"""What any number of processes must do alike; objectives one by one are in objective_cases.py.

Each case takes a group and gives named arrays; test_parallel runs them here alone, and in real
processes that meet in a folder and leave theirs there, in `RANK.npz`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from moonshelf.catalog.pixels import PixelCache
from moonshelf.catalog.product import View
from moonshelf.catalog.store import Catalog
from moonshelf.encoder import VlmConfig, build_encoder
from moonshelf.objectives.contrastive import symmetric_info_nce
from moonshelf.training.ahead import Loss, Stage, Work, cut
from moonshelf.training.checkpoint import LoopState
from moonshelf.training.contents import ContentSource
from moonshelf.training.hooks import run_hooks
from moonshelf.training.loop import run_loop
from moonshelf.training.optim import build_optimizer
from moonshelf.training.parallel import Group, ProcessesApart, check_same
from moonshelf.training.precision import Precision
from moonshelf.training.processes import met
from moonshelf.training.schedule import Schedule
from moonshelf.training.settings import (
    AlignConfig,
    AugmentConfig,
    LoopConfig,
    OptimizerConfig,
    PairConfig,
    ScheduleConfig,
    TermConfig,
)
from moonshelf.training.sharding import Shards, whole
from moonshelf.training.stages.align import AlignStage
from tests.invariants.objective_cases import FAST, interrupted, objectives

CPU = torch.device("cpu")
Arrays = dict[str, np.ndarray]
TEXT, PIC, MM = View.TEXT, View.IMAGE, View.BOTH


class Net(nn.Module):
    """``late`` takes part where it is told, ``never`` does not."""

    def __init__(self, sizes: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b, dtype=torch.float64) for a, b in sizes)
        self.late = nn.Linear(8, 8, dtype=torch.float64)
        self.never = nn.Linear(8, 8, dtype=torch.float64)

    def forward(self, x: Tensor, late: bool) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return nn.functional.normalize(x + self.late(x) if late else x, dim=-1)


class Toy:
    """Two looks at random rows through one net in float64, so that sums may differ in order only.

    ``temperature`` belongs to the loss, ``late`` gets gradients in odd steps, ``never`` in none.
    """

    name = "toy"

    def __init__(self, group: Group, batch: int, mini: int | None, pairs: int) -> None:
        torch.manual_seed(0)
        sizes = [(12, 16), (16, 12), (12, 16), (16, 8), (8, 8)]
        self.net = Net(sizes)
        self.head = nn.ParameterDict({"temperature": nn.Parameter(torch.tensor(-1.0).double())})
        self.batch, self.mini, self.pairs, self.group = batch, mini, pairs, group
        self.step = 0
        self.embedded: list[int] = []

    def modules(self) -> Mapping[str, nn.Module]:
        return {"net": self.net, "head": self.head}

    def work(self, step: int) -> Work:
        rows = np.random.default_rng((1, step)).permutation(64)[: self.batch]
        parts = cut(self.batch, self.mini, self.group.size)
        sides = [
            [
                lambda side=side, part=part: {
                    "x": self.looks(rows[part], (step, side)),
                    "step": torch.tensor(step),
                }
                for part in parts
            ]
            for side in range(self.pairs)
        ]
        return Work(step, "pair", self.batch, [rows] * self.pairs, sides)

    def looks(self, rows: np.ndarray, key: tuple[int, int]) -> Tensor:
        clean = [np.random.default_rng(row).normal(size=12) for row in rows]
        noise = [np.random.default_rng((row, *key)).normal(size=12) for row in rows]
        return torch.from_numpy(np.stack(clean) + 0.3 * np.stack(noise))

    def embed(self, batch: Mapping[str, Tensor]) -> Tensor:
        self.embedded.append(len(batch["x"]))
        return self.net(batch["x"], late=int(batch["step"]) % 2 == 1)

    def loss(self, work: Work, *vectors: Tensor) -> Loss:
        temperature = self.head["temperature"].exp()
        total = vectors[0].new_zeros(())
        for item in vectors[1:]:
            total = total + symmetric_info_nce(vectors[0], item, temperature).loss
        return total, {"temperature": temperature.detach()}


def toy(
    group: Group,
    batch: int = 12,
    mini: int | None = None,
    pairs: int = 2,
    shard: bool = False,
    **given: Any,
) -> Arrays:
    stage = Toy(group, batch, mini, pairs)
    spread = stage.net if shard else None
    found = looped(stage, group, OptimizerConfig(**given), torch.float64, spread=spread)
    return found | {"embedded": np.array(sum(stage.embedded))}


def align(
    group: Group, shop: Path, encoder: str = "fast", bf16: bool = False, **given: Any
) -> Arrays:
    """Stage ``align`` on a few shapes, in shards where it is in bf16; ``given`` are settings."""
    given = {"steps": 4, "batch": 16, **given}
    config = AlignConfig(**given)
    catalog = Catalog.open(shop)
    source = ContentSource(catalog, PixelCache.build(catalog, 32, 32))
    texts = source.texts(np.arange(len(catalog)))
    model = build_encoder(ENCODERS[encoder], texts, seed=1)
    stage = AlignStage("align", config, model, source, seed=7, device=CPU, processes=group.size)
    spread = model if bf16 else None
    found = looped(stage, group, config.optimizer, torch.float32, config, spread, bf16)
    known = [k.known for k in stage.work(0).about.keep_out]
    return found | {"known": np.array(sum(len(k) for k in known if k is not None))}


def looped(
    stage: Stage,
    group: Group,
    optimizer: OptimizerConfig,
    dtype: torch.dtype,
    schedule: ScheduleConfig | None = None,
    spread: nn.Module | None = None,
    bf16: bool = False,
) -> Arrays:
    """Losses and gradient norms of every step, and the weights after the last; ``spread`` over the
    group, where there is one."""
    several = spread is not None and group.size > 1
    shards = Shards(spread, group, bf16=bf16) if several else None
    named = [(f"{k}.{n}", p) for k, m in stage.modules().items() for n, p in m.named_parameters()]
    lines: list[Mapping[str, Any]] = []
    run_loop(
        stage,
        build_optimizer(named, optimizer, dtype=dtype, processes=group),
        Schedule(schedule or ScheduleConfig(steps=5)),
        LoopConfig(log_every=1),
        state=LoopState("align"),
        precision=Precision(torch.bfloat16 if bf16 else torch.float32, None, "test"),
        device=CPU,
        clip=optimizer.clip,
        hooks=[lambda state, line, last: lines.append(line or {})],
        group=group,
        shards=shards,
    )
    kept = ("loss", "gradient_norm", "temperature", "accuracy", "masked_share", "lr_factor")
    found = {k: np.array([line[k] for line in lines if k in line]) for k in kept if k in lines[-1]}
    return found | {f"weight/{name}": whole(p, group).numpy() for name, p in named}


def budget(group: Group, **given: float) -> Arrays:
    """A budget of time: where every process stops, and what it thinks was spent."""
    stage, clock, cores = Toy(group, 12, None, 2), time.monotonic(), time.process_time()
    if group.rank == 1:
        embed = stage.embed

        def slow(batch: Mapping[str, Tensor]) -> Tensor:
            until = time.process_time() + 0.02
            while time.process_time() < until:
                pass
            return embed(batch)

        stage.embed = slow
    state = run_loop(
        stage,
        build_optimizer(stage.net.named_parameters(), OptimizerConfig(), processes=group),
        Schedule(ScheduleConfig(**given)),
        LoopConfig(log_every=10),
        state=LoopState("toy"),
        precision=Precision(torch.float32, None, "test"),
        device=CPU,
        group=group,
    )
    spent = dataclasses.astuple(state.spent)
    own = (time.monotonic() - clock, time.process_time() - cores)
    return {"spent": np.array(spent), "own": np.array(own)}


def dropout(group: Group) -> Arrays:
    """What the model draws in each step: of four steps, and of the last two after a new start."""
    found: dict[str, list[float]] = {"whole": [], "resumed": []}
    for name, first in (("whole", 0), ("resumed", 2)):
        stage = Toy(group, 12, None, 2)
        embed = stage.embed

        def drawing(batch: Mapping[str, Tensor], name: str = name, embed: Any = embed) -> Tensor:
            found[name].append(float(torch.rand(())))
            return embed(batch)

        stage.embed = drawing
        run_loop(
            stage,
            build_optimizer(stage.net.named_parameters(), OptimizerConfig(), processes=group),
            Schedule(ScheduleConfig(steps=4)),
            LoopConfig(),
            state=LoopState("toy", step=first),
            precision=Precision(torch.float32, None, "test"),
            device=CPU,
            group=group,
            seed=5,
        )
    return {name: np.array(draws) for name, draws in found.items()}


def words(group: Group) -> Arrays:
    """What a group is asked directly: totals, order, comparing."""
    told = {"total": np.array(group.total(1.5, group.rank)), "table": np.array(group.table([7]))}
    weights = {"a": torch.ones(3), "b": torch.zeros((), dtype=torch.bfloat16), "step": 3}
    check_same(weights, group, "here")
    wrong = []
    one_bit = torch.ones(3)
    one_bit[1] = 1 + 2**-23  # the next float32
    for name, value in {"a": one_bit, "step": 4, "c": torch.ones(1)}.items():
        try:
            check_same(weights | ({name: value} if group.rank else {}), group, "here")
        except ProcessesApart as error:
            wrong.append(error.what)
    trail: list[float] = []
    with group.leader_first():
        trail.append(time.monotonic())
        time.sleep(0.2 if group.leads else 0)
        trail.append(time.monotonic())
    told["leader_first"] = np.array(trail)
    return told | {"wrong": np.array(wrong)}


def saving(group: Group, out: Path) -> Arrays:
    """The hook that saves, with a weight that drifted in the last process, and without."""
    stage, state = Toy(group, 12, None, 2), LoopState("toy", step=3)
    optimizer = build_optimizer(stage.net.named_parameters(), OptimizerConfig(), processes=group)
    told = []
    for drift in (0.0, 1e-6):
        if group.rank == group.size - 1:
            with torch.no_grad():
                stage.net.get_parameter("late.bias").add_(drift)
        with contextlib.ExitStack() as stack:
            (out / str(drift)).mkdir(parents=True, exist_ok=True)
            *_, save = run_hooks(
                stack,
                out / str(drift),
                stage,  # pyright: ignore[reportArgumentType]
                AlignConfig(steps=9, save_every=3, terms=TI),
                optimizer,
                Precision(torch.float32, None, "test"),
                state=state,
                digest="",
                seed=0,
                group=group,
                note=print,
            )
            try:
                save(state, None, False)
            except ProcessesApart as error:
                told.append(str(error))
        group.barrier()
    return {"told": np.array(told), "saved": np.array([p.parts[-3] for p in out.glob("*/state/*")])}


ENCODERS = {
    "fast": FAST,
    "vlm": VlmConfig(
        dim=16,
        pictures={"height": 32, "width": 32},
        tiny={
            "vocabulary": 300,
            "width": 32,
            "layers": 2,
            "heads": 2,
            "kv_heads": 1,
            "feed_forward": 48,
            "patch": 8,
            "vision_width": 16,
            "vision_depth": 0,
            "stem": {"width": 8, "blocks": [1, 1, 1]},
        },
    ),
}
TI = {"title-picture": TermConfig(query=TEXT, item=PIC)}
MORE = {
    "more": TermConfig(
        query=TEXT,
        item=PIC,
        together={
            "whole": PairConfig(query=PIC, item=MM),
            "story": PairConfig(query=TEXT, item=MM, query_description=1.0),
        },
    )
}
SESSION = {"bought": TermConfig(source="session", query=MM, item=MM)}
AUGMENT = AugmentConfig(description=0.3, word_drop=0.2, crop=0.2, flip=True)
EXACT: dict[str, Callable[[Group], Arrays]] = {
    "plain": lambda group: toy(group),
    "uneven": lambda group: toy(group, batch=13),
    "mini-batches": lambda group: toy(group, batch=13, mini=2),
    "one row a mini-batch": lambda group: toy(group, batch=5, mini=1),
    "three sides": lambda group: toy(group, batch=11, mini=3, pairs=3),
    "adamw": lambda group: toy(group, matrices="adamw"),
    "without clip": lambda group: toy(group, clip=0.0),
    "shards": lambda group: toy(group, batch=13, shard=True),
    "shards in mini-batches": lambda group: toy(group, batch=13, mini=2, shard=True),
    "shards, three sides, adamw": lambda group: toy(
        group, batch=11, mini=3, pairs=3, shard=True, matrices="adamw"
    ),
}
STAGE: dict[str, Callable[[Group, Path], Arrays]] = {
    "plain": lambda group, shop: align(group, shop, terms=TI, augment=AUGMENT),
    "together in mini-batches": lambda group, shop: align(
        group, shop, terms=MORE, augment=AUGMENT, mini_batch=5
    ),
    "session": lambda group, shop: align(group, shop, terms=SESSION, batch=13),
    "multimodal LLM": lambda group, shop: align(group, shop, "vlm", terms=MORE, batch=9),
    "fixed temperature": lambda group, shop: align(group, shop, terms=TI, learn_temperature=False),
}
HALVED: dict[str, Any] = {"encoder": "vlm", "bf16": True, "terms": MORE, "batch": 9}
TIMES = {"minutes": {"minutes": 1 / 60}, "core_seconds": {"core_seconds": 1.0}}


def run(folder: str, rank: int, size: int, shop: Path, lacking: Path, states: Path) -> None:
    """All that process ``rank`` of ``size`` does; what it fails of is told in ``RANK.err``.

    ``lacking`` is the shop of objective_cases; what one group leaves in ``states`` others resume.
    """
    torch.set_num_threads(1)
    try:
        with met(folder, rank, size, CPU) as group:
            results = every_case(group, Path(folder), shop, lacking, states)
    except BaseException:
        Path(folder, f"{rank}.err").write_text(traceback.format_exc())
        raise
    flat = {f"{case}|{k}": v for case, arrays in results.items() for k, v in arrays.items()}
    np.savez(os.path.join(folder, f"{rank}.npz"), **flat)


def every_case(
    group: Group, folder: Path, shop: Path, lacking: Path, states: Path
) -> dict[str, Arrays]:
    """By the names under which test_parallel looks for them."""
    results: dict[str, Arrays] = {f"exact/{k}": case(group) for k, case in EXACT.items()}
    results["words"] = words(group)
    results["dropout"] = dropout(group)
    results["saving"] = saving(group, folder / f"runs of {group.rank}")
    if group.size == 2:
        results |= {f"stage/{k}": case(group, shop) for k, case in STAGE.items()}
        results |= {f"budget/{k}": budget(group, **given) for k, given in TIMES.items()}
        results["bf16"] = align(group, shop, **HALVED)
        results |= objectives(group, lacking)
    return results | interrupted(group, lacking, states)
