"""What an ablation compares: a recipe and its variants, read from a file in ``ablations/``.

A piece of ablation.py and post_training.py.

    recipe = "tiny"                        # a name, or a path beside this file
    [words]
    types = ["key=value", ...]             # words that several variants use, under one name
    [variants]
    "no flips" = ["key=value", ...]
    "refine" = { use = ["types"], set = ["key=value"], shares = { refine = 0.33 } }
    "cleaned" = { shares = { refine = 0.33 }, clean = ["dedup", "merge"], sets = ["shop"] }
    "no queue" = { shares = { refine = 0.33 }, set = ["stages.refine.queue=0"], base = "refine" }

``shares`` are those of the budget that other stages of the recipe get; ``align`` has the rest, and
a stage that is not named is not there. ``clean`` are cleaning steps of the purchases that stage
``refine`` draws from; the previous model of step dedup is the plain arm of the first seed. ``base``
names the arm that a variant is one change away from, where that is not the plain one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks._cells import ROOT, Budget, Cell
from benchmarks._data_sets import LOGGED, STEPS
from moonshelf.errors import UsageError
from moonshelf.training.recipe import load_recipe

FOLDER = ROOT / "benchmarks" / "ablations"
PLAIN = "plain"
MAIN = "align"


@dataclass(frozen=True)
class Variant:
    """What an arm changes in the recipe: ``words`` of its own, and those that it ``used`` by a
    name, of which a stage that the arm does not have takes none. ``sets`` are the data sets it is
    about, all where none is named; ``base`` the arm that it is compared with beside plain."""

    words: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    clean: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    base: str = ""

    @classmethod
    def of(cls, held: Any, named: Mapping[str, Sequence[str]], where: str) -> Variant:
        """From the value of a file."""
        table: Any = {"set": held} if isinstance(held, list) else held
        known = {"use", "set", "shares", "clean", "sets", "base"}
        if not isinstance(table, dict) or (more := {*table} - known):
            told = f"unknown {', '.join(sorted(more))}" if isinstance(table, dict) else "no table"
            raise UsageError(told, where=where, cure=f"use {', '.join(sorted(known))}")
        if missing := {*table.get("use", ())} - {*named} | {*table.get("clean", ())} - {*STEPS}:
            raise UsageError(
                f"there is no {', '.join(sorted(missing))}",
                where=where,
                cure=f"use names of [words], and steps {', '.join(STEPS)}",
            )
        return cls(
            tuple(table.get("set", ())),
            tuple(word for name in table.get("use", ()) for word in named[name]),
            table.get("shares", {}),
            tuple(table.get("clean", ())),
            tuple(table.get("sets", ())),
            table.get("base", ""),
        )

    def overrides(self, recipe: str, budget: Budget) -> tuple[tuple[str, ...], Budget]:
        """Words of the recipe, and what of the budget is left for stage ``align``."""
        others = [name for name in load_recipe(recipe).stages if name != MAIN]
        absent = [name for name in others if name not in self.shares]
        words = [f"stages.{name}=" for name in absent]
        gone = tuple(f"stages.{name}." for name in absent)
        words += [word for word in self.used if not word.startswith(gone or ("=",))]
        left = budget.amount
        for name, share in self.shares.items():
            if name not in others or not 0 < share < 1:
                raise UsageError(f"no share {share} of stage {name}", where=recipe, cure="mend it")
            own = _part(budget, share)
            left -= own
            words.append(f"stages.{name}.{budget.key}={own:g}")
        return (*words, *self.words), Budget(budget.key, left)

    def cell(self, name: str, recipe: str, data: str, seed: int, budget: Budget) -> Cell:
        """One training of this arm; ``budget`` is that of all its stages."""
        words, own = self.overrides(recipe, budget)
        made = load_recipe(recipe, [*words, f"stages.{MAIN}.{own.key}={own.amount:g}"])
        log = any(getattr(stage, "reads_log", False) for stage in made.stages.values())
        return Cell(data, recipe, seed, own, words, name, log, self.clean)


def _part(budget: Budget, share: float) -> float:
    """Whole steps, at least one."""
    part = budget.amount * share
    return max(1, round(part)) if budget.key == "steps" else part


def _beside(file: Path, recipe: str) -> str:
    """A recipe file named from ``file``; from the root of the repository where it is in it, so that
    results name no folder of a machine."""
    found = (file.parent / recipe).resolve()
    return str(found.relative_to(ROOT) if found.is_relative_to(ROOT) else found)


@dataclass(frozen=True)
class Ablation:
    """A recipe and, by name, its variants; the plain one is the first."""

    name: str
    recipe: str
    variants: Mapping[str, Variant]

    @classmethod
    def read(cls, asked: str) -> Ablation:
        """By the name of a file in ``ablations/``, or by its path.

        Raises:
            UsageError: no such file, or it is not made as this one needs it.
        """
        path = Path(asked) if asked.endswith(".toml") else FOLDER / f"{asked}.toml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
            raise UsageError("no such ablation", where=str(path), cure=f"choose from {known}")
        held = tomllib.loads(path.read_text(encoding="utf-8"))
        recipe, variants = held.get("recipe"), held.get("variants")
        if not isinstance(recipe, str) or not isinstance(variants, dict) or not variants:
            raise UsageError(
                "needs recipe = NAME and a table [variants]", where=str(path), cure="see align.toml"
            )
        if recipe.endswith(".toml"):
            recipe = _beside(path, recipe)
        named = held.get("words", {})
        found = {k: Variant.of(v, named, f"{path.name}, {k}") for k, v in variants.items()}
        above: set[str] = set()
        for name, variant in found.items():
            if variant.base and variant.base not in above:
                raise UsageError(
                    f"base {variant.base!r} is no variant above this one",
                    where=f"{path.name}, {name}",
                    cure="name one that stands above it, or none: plain",
                )
            above.add(name)
        return cls(path.stem, recipe, {PLAIN: Variant(), **found})

    def bases(self, data: str) -> dict[str, str]:
        """Variant -> its base on a data set: where the base is not made there, the base's own."""
        found: dict[str, str] = {}
        for name, variant in self.variants.items():
            base = variant.base
            while base and (sets := self.variants[base].sets) and data not in sets:
                base = self.variants[base].base
            if base:
                found[name] = base
        return found

    def cells(self, data: Sequence[str], seeds: Sequence[int], budget: Budget) -> list[Cell]:
        """Seed by seed, so that an interrupted comparison has whole seeds. An arm that draws from a
        log is left out of data sets that have none."""
        found: list[Cell] = []
        for name in data:
            scorer = self.variants[PLAIN].cell(PLAIN, self.recipe, name, seeds[0], budget)
            for seed in seeds:
                for label, variant in self.variants.items():
                    cell = variant.cell(label, self.recipe, name, seed, budget)
                    if variant.sets and name not in variant.sets:
                        continue
                    if cell.log and name not in LOGGED:
                        continue
                    found.append(replace(cell, scorer=scorer) if cell.clean else cell)
        return found
