"""Arms with and without questions spend the same, and differ in nothing else of the recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _cells, pretraining
from benchmarks._cells import Budget, Cell
from moonshelf.config import differences
from moonshelf.training.recipe import load_recipe


@pytest.mark.parametrize("key", ["core_seconds", "minutes"])
def test_every_arm_spends_the_whole_budget(key: str) -> None:
    made = pretraining.cells(["hm"], [0, 1], Budget(key, 60.0), [0.25])
    assert [(c.variant, c.seed) for c in made] == [
        ("plain", 0),
        ("pretraining-0.25", 0),
        ("plain", 1),
        ("pretraining-0.25", 1),
    ]
    plain, asked = (
        load_recipe(c.arm, [*c.overrides, f"stages.align.{key}={c.budget.amount}"])
        for c in made[:2]
    )
    assert list(plain.stages) == ["align"] and list(asked.stages) == ["pretrain", "align"]
    for recipe in (plain, asked):
        assert sum(getattr(stage, key) for stage in recipe.stages.values()) == 60
    changed = differences(
        plain.stages["align"].model_dump(mode="json"), asked.stages["align"].model_dump(mode="json")
    )
    assert [word.split(":")[0] for word in changed] == [key]
    same = ("encoder", "data", "compute", "seed")
    assert all(getattr(plain, name) == getattr(asked, name) for name in same)


def test_the_table_is_paired_and_tells_what_was_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cell(self: _cells.Cells, wanted: Cell, first_seed: int) -> dict[str, Any]:
        value = 10.0 * wanted.seed + 2 * (wanted.variant != "plain")
        figures = {wanted.name: {"color i": {"value": value, "supervised": False}}}
        spent = {"core_seconds": wanted.budget.amount}
        budget = {wanted.budget.key: wanted.budget.amount}
        return {"seed": wanted.seed, "figures": figures, "spent": spent, "budget": budget}

    monkeypatch.setattr(_cells.Cells, "cell", cell)
    (tmp_path / "hm").mkdir()
    words = ["--data", str(tmp_path), "--results", str(tmp_path), "--sets", "hm"]
    words += ["--budget-core-seconds", "40", "--shares", "0.5", "--seeds", "0", "1"]
    assert pretraining.main(words) == 0
    told = json.loads((tmp_path / "hm-val-40cs.json").read_text())
    assert told["rows"]["pretraining-0.5"]["color i"]["values"] == [2, 2]
    assert len(told["spent"]) == 4 and "in all" in told["heading"]


def test_what_cannot_be_compared_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert pretraining.main(["--budget-steps", "10"]) == 2
    assert "a step of questions" in capsys.readouterr().err
    assert pretraining.main(["--shares", "1.5"]) == 2


def test_what_a_run_spent_is_that_of_all_its_stages(tmp_path: Path) -> None:
    stages = {
        "pretrain": {"steps": 3, "core_seconds": 10.0, "seconds": 5.0, "samples_per_s": 7.0},
        "align": {"steps": 2, "core_seconds": 30.0, "seconds": 20.0, "samples_per_s": 90.0},
    }
    (tmp_path / "metrics.json").write_text(json.dumps({"stages": stages}))
    spent = {"steps": 5, "seconds": 25.0, "core_seconds": 40.0, "samples_per_s": 90.0}
    assert _cells._spent(tmp_path) == spent
