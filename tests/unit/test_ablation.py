"""An ablation changes one thing, pairs by seed, and marks only what every seed says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _cells, _data_sets, _variants, ablation
from benchmarks._cells import Budget, Cell
from benchmarks._variants import PLAIN, Ablation, Variant
from moonshelf.encoder.config import VlmConfig
from moonshelf.encoder.experts import dense_widths
from moonshelf.training.recipe import load_recipe

NAMES = sorted(file.stem for file in _variants.FOLDER.glob("*.toml"))
BUDGET = Budget("core_seconds", 600.0)


def recipe_of(cell: Cell) -> dict[str, Any]:
    budget = f"stages.align.{cell.budget.key}={cell.budget.amount:g}"
    return load_recipe(cell.arm, [*cell.overrides, budget]).model_dump(mode="json")


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_differs_from_all_others(name: str) -> None:
    """In its recipe or its pairs; and every arm spends the whole budget."""
    seen: dict[str, str] = {}
    cells = Ablation.read(name).cells(["shop"], [0], BUDGET)
    for cell in cells:
        recipe = recipe_of(cell)
        key = json.dumps([recipe, cell.clean])
        assert key not in seen, (cell.variant, seen.get(key))
        seen[key] = cell.variant
        spent = sum(stage["core_seconds"] for stage in recipe["stages"].values())
        assert spent == pytest.approx(600), cell.variant
        assert cell.log == any(
            term["source"] == "log" and term["share"] > 0
            for stage in recipe["stages"].values()
            for term in stage.get("terms", {}).values()
        )
        assert str(_cells.ROOT) not in cell.arm  # no folder of a machine in a result
    assert cells[0].variant == PLAIN and len(seen) == len(Ablation.read(name).variants)


def test_arms_of_moon_start_from_plain_sft() -> None:
    """Align alone, no log, InfoNCE over the batch; two stages have the same terms and pairs."""
    cells = {c.variant: c for c in Ablation.read("moon").cells(["shop"], [0], BUDGET)}
    plain = recipe_of(cells[PLAIN])
    assert list(plain["stages"]) == ["align"] and not cells[PLAIN].log
    assert list(recipe_of(cells["pretraining"])["stages"]) == ["pretrain", "align"]
    two = recipe_of(cells["refine"])["stages"]
    assert list(two) == ["align", "refine"] and two["align"]["terms"] == two["refine"]["terms"]
    types = [t for t in two["align"]["terms"].values() if t["source"] == "log"]
    assert len(types) == 9 and min(t["share"] for t in types) > 0
    assert two["align"]["terms"] == recipe_of(cells["nine types"])["stages"]["align"]["terms"]
    bought = recipe_of(cells["refine on purchases"])["stages"]["refine"]["terms"]
    assert {tuple(t["levels"]) for t in bought.values() if t["source"] == "log"} == {("purchase",)}


def test_arms_of_a_log_are_left_out_where_there_is_none() -> None:
    with_log, without = (
        Ablation.read("moon").cells([data], [0], BUDGET) for data in ("hm", "myntra")
    )
    assert any(cell.log for cell in with_log) and not any(cell.log for cell in without)
    assert {c.variant for c in without} < {c.variant for c in Ablation.read("moon").cells(
        ["shop"], [0], BUDGET)}  # fmt: skip
    scored = [cell for cell in with_log if cell.clean]
    assert scored and all(cell.scorer and cell.scorer.variant == PLAIN for cell in scored)


def test_steps_are_shared_out_whole() -> None:
    cell = Variant(shares={"refine": 0.33}).cell(
        "x", Ablation.read("moon").recipe, "hm", 0, Budget("steps", 10)
    )
    stages = recipe_of(cell)["stages"]
    assert [stage["steps"] for stage in stages.values()] == [7, 3]


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
    assert "| better | +1.0 ± 0.0 (n = 2) |" in table  # fewer seeds agree more easily
    assert "| mixed | +0.3 ± 1.2 |" in table
    assert "| plain | 10.0 ± 10.0 |" in table
    assert "about 0.25 of these 1 would" in table
    found = ablation.differences([*cells, finished("better", 0, 1.0)], "hm")
    assert "| better | +1.0 ± 0.0* |" in ablation.markdown(found, "hm", "title")


def test_an_arm_is_compared_with_its_base_too() -> None:
    cells = [finished("plain", seed, 10.0) for seed in (0, 1)]
    cells += [finished("two", seed, 20.0 + seed) for seed in (0, 1)]
    cells += [finished("two, bare", seed, 19.0 + seed) for seed in (0, 1)]
    cells += [finished("late", 1, 30.0)]
    found = ablation.differences(cells, "hm", {"two, bare": "two", "late": "two", "gone": "two"})
    assert {name: row["color i"]["values"] for name, row in found.items()} == {
        "two, bare": [-1, -1],
        "late": [9],
    }
    table = ablation.markdown(found, "hm", "title")
    assert "| two, bare | -1.0 ± 0.0* |" in table and "| late | +9.0 (n = 1) |" in table


def test_a_base_that_a_set_lacks_is_that_ones_base() -> None:
    moon = Ablation.read("moon")
    assert moon.bases("shop")["purchases, dedup"] == "refine on purchases"
    assert moon.bases("hm")["purchases, dedup"] == "refine"
    assert PLAIN not in {*moon.bases("hm"), *moon.bases("hm").values()}
    assert all(base in moon.variants for base in moon.bases("shop").values())


def test_dense_arms_are_as_wide_as_the_experts() -> None:
    cells = {c.variant: recipe_of(c) for c in Ablation.read("moon").cells(["hm"], [0], BUDGET)}
    guided = load_recipe(Ablation.read("moon").recipe, ["encoder.experts.kind='guided'"]).encoder
    assert isinstance(guided, VlmConfig) and guided.tiny and guided.experts
    widths = dense_widths(guided.tiny, guided.experts)
    for name, key in (("active weights", "active"), ("weights in all", "total")):
        dense = cells[f"dense, as many {name}"]["encoder"]["tiny"]
        assert dense["feed_forward"] == widths[key]


def test_a_cleaned_cell_is_another_where_its_previous_model_is(tmp_path: Path) -> None:
    kept = _cells.Cells(tmp_path, tmp_path, tmp_path, split="val", threads=1)
    kept.sets._fingerprints = {"shop": "c"}
    scorer = Cell("shop", "tiny", 0, BUDGET, variant=PLAIN)
    cell = Cell("shop", "tiny", 0, BUDGET, variant="x", clean=("dedup",), scorer=scorer)
    others = [
        replace(cell, scorer=replace(scorer, **changed))
        for changed in (
            {"seed": 1},
            {"budget": Budget("core_seconds", 60.0)},
            {"overrides": ("stages.align.augment.flip=false",)},
        )
    ]
    made = [kept._origin(one)["made_by"] for one in (cell, *others)]
    assert len({*made}) == 4
    assert kept._origin(replace(cell, clean=(), scorer=scorer)) == kept._origin(
        replace(cell, clean=(), scorer=None)
    )


def test_no_cell_validates() -> None:
    """Only what would is told not to, so that other recipes keep their finished cells."""
    assert _cells.unvalidated(Cell("hm", "tiny", 0, BUDGET)) == ("stages.align.validate_every=0",)
    off = ("stages.align.validate_every=0",)
    assert _cells.unvalidated(Cell("hm", "tiny", 0, BUDGET, off)) == ()
    assert not any(_cells.unvalidated(c) for c in Ablation.read("moon").cells(["hm"], [0], BUDGET))
    assert _cells.unvalidated(Cell("hm", _cells.PEER, 0, BUDGET)) == ()


def test_a_partial_call_adds_to_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And takes no cell that another recipe made."""

    def cell(self: _cells.Cells, wanted: Cell, first_seed: int) -> dict[str, Any]:
        value = 10.0 * wanted.seed + len(wanted.overrides)
        made = self._origin(wanted) | finished(wanted.name, wanted.seed, value)
        self.file(wanted).parent.mkdir(exist_ok=True)
        self.file(wanted).write_text(json.dumps(made))
        return made

    monkeypatch.setattr(_cells.Cells, "cell", cell)
    monkeypatch.setattr(_data_sets.DataSets, "fingerprint", lambda self, data: "c")
    (tmp_path / "hm").mkdir()
    words = ["align", "--data", str(tmp_path), "--results", str(tmp_path), "--sets", "hm"]
    words += ["--work", str(tmp_path / "work")]
    for more in (
        ("--seeds", "3", "4", "--only", "no flips", "one layer"),
        ("--seeds", "4", "5", "--only", "no flips"),
    ):
        assert ablation.main([*words, *more]) == 0
    rows = json.loads((tmp_path / "align-hm-val-200steps.json").read_text())["rows"]
    assert rows[PLAIN]["color i"]["values"] == [40, 50, 30]
    assert {name: row["color i"]["values"] for name, row in rows.items() if name != PLAIN} == {
        "no flips": [1, 1, 1],
        "one layer": [1, 1],
    }
    old = tmp_path / "hm-val" / "one_layer-200steps-3.json"
    old.write_text(json.dumps(json.loads(old.read_text()) | {"made_by": "another"}))
    assert ablation.main([*words, "--seeds", "3", "--only", "no flips"]) == 0
    rows = json.loads((tmp_path / "align-hm-val-200steps.json").read_text())["rows"]
    assert rows["one layer"]["color i"]["values"] == [1]


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
    for text, said in (
        ("", "[variants]"),
        ("[variants]\na = { sets = ['hm'], stage = 1 }", "unknown stage"),
        ("[variants]\na = { use = ['types'] }", "no types"),
        ("[variants]\na = { clean = ['scrub'] }", "no scrub"),
        ("[variants]\na = { shares = { refine = 0.5 } }", "stage refine"),
        ("[variants]\na = { base = 'b' }\nb = []", "no variant above"),
    ):
        file.write_text(f'recipe = "tiny"\n{text}\n')
        assert ablation.main([str(file), "--sets", "shop"]) == 2
        assert said in capsys.readouterr().err, text
