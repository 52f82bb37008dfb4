"""An ablation changes one thing, pairs by seed, and marks only what every seed says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _cells, ablation
from benchmarks._cells import Budget, Cell
from moonshelf.config import differences as changed
from moonshelf.training.recipe import load_recipe

NAMES = sorted(file.stem for file in ablation.FOLDER.glob("*.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_differs_from_the_plain_recipe(name: str) -> None:
    found = ablation.Ablation.read(name)
    plain = load_recipe(found.recipe, []).model_dump(mode="json")
    for variant, words in found.variants.items():
        recipe = load_recipe(found.recipe, words).model_dump(mode="json")
        assert bool(changed(plain, recipe)) == (variant != ablation.PLAIN), variant


def finished(variant: str, seed: int, value: float) -> dict[str, Any]:
    figure = {"value": value, "supervised": False}
    return {"seed": seed, "figures": {variant: {"color i": figure}}}


def test_differences_are_paired_by_seed() -> None:
    """Seeds far apart, a small constant gain: unpaired means with one seed missing would lie."""
    cells = [finished("plain", seed, 10.0 * seed) for seed in (0, 1, 2)]
    cells += [finished("better", seed, 10.0 * seed + 1) for seed in (1, 2)]
    cells += [finished("mixed", seed, 10.0 * seed + (-1) ** seed) for seed in (0, 1, 2)]
    found = ablation.differences(cells, "hm")
    assert found["plain"]["color i"]["mean"] == 10
    assert found["better"]["color i"]["values"] == [1, 1]
    assert found["mixed"]["color i"]["values"] == [1, -1, 1]
    table = ablation.markdown(found, "hm", "title")
    assert "| better | +1.0 ± 0.0* |" in table
    assert "| mixed | +0.3 ± 1.2 |" in table
    assert "| plain | 10.0 ± 10.0 |" in table


def test_a_comparison_trains_plain_beside_what_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Cell] = []

    def cell(self: _cells.Cells, wanted: Cell, first_seed: int) -> dict[str, Any]:
        trained.append(wanted)
        return finished(wanted.name, wanted.seed, 50.0 + len(trained))

    monkeypatch.setattr(_cells.Cells, "cell", cell)
    (tmp_path / "hm").mkdir()
    words = ["align", "--data", str(tmp_path), "--results", str(tmp_path), "--sets", "hm"]
    words += ["--work", str(tmp_path / "work"), "--seeds", "3", "4", "--only", "no flips"]
    assert ablation.main(words) == 0
    assert [(c.variant, c.seed) for c in trained] == [
        ("plain", 3),
        ("no flips", 3),
        ("plain", 4),
        ("no flips", 4),
    ]
    assert trained[1].overrides == ("stages.align.augment.flip=false",)
    assert {c.budget for c in trained} == {Budget("steps", 200)}
    told = json.loads((tmp_path / "align-hm-val-200steps.json").read_text())
    assert told["rows"]["no flips"]["color i"]["values"] == [1, 1]


def test_what_is_unknown_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ablation.main(["nothing"]) == 2
    assert "choose from" in capsys.readouterr().err
    assert ablation.main(["align", "--only", "no such thing"]) == 2
    assert "no flips" in capsys.readouterr().err
    file = tmp_path / "wrong.toml"
    file.write_text('recipe = "tiny"\n')
    assert ablation.main([str(file)]) == 2
    assert "[variants]" in capsys.readouterr().err
