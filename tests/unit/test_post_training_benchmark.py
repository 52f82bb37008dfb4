"""One stage and two spend the same on the same pairs; tables and plot hold what cells measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _cells, _data_sets, _tables, post_training
from benchmarks._cells import Cell
from moonshelf.config import differences
from moonshelf.training.recipe import load_recipe
from moonshelf.training.settings import AlignConfig


@pytest.mark.parametrize("data", post_training.SETS)
def test_both_arms_spend_the_same_on_the_same_pairs(data: str) -> None:
    plain, two = post_training.cells([data], [0], 600, 0.33)
    stages = [
        load_recipe(c.arm, [*c.overrides, f"stages.align.core_seconds={c.budget.amount:g}"]).stages
        for c in (plain, two)
    ]
    assert [list(s) for s in stages] == [["align"], ["align", "refine"]]
    assert all(sum(s.core_seconds for s in some.values()) == 600 for some in stages)
    assert stages[1]["refine"].core_seconds == pytest.approx(198)
    one, first, second = stages[0]["align"], stages[1]["align"], stages[1]["refine"]
    assert isinstance(one, AlignConfig) and isinstance(first, AlignConfig)
    assert isinstance(second, AlignConfig)
    assert one.terms == first.terms == second.terms
    assert plain.log == two.log == one.reads_log == (data != "myntra")
    told = {
        line.split(":")[0]
        for line in differences(first.model_dump(mode="json"), second.model_dump(mode="json"))
    }
    assert told == {
        "kind", "core_seconds", "loss", "circle_scale", "circle_margin", "hard_negatives", "queue",
        "optimizer.lr", "optimizer.adamw_lr",
    }  # fmt: skip


def test_tables_and_a_plot_over_budgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cell(self: _cells.Cells, wanted: Cell, first_seed: int) -> dict[str, Any]:
        value = 10.0 * wanted.seed + 3 * (wanted.variant == "refine")
        figures = {
            c.name: {"value": value, "supervised": False} for c in _tables.COLUMNS[wanted.data][:2]
        }
        return {
            "seed": wanted.seed, "figures": {wanted.name: figures}, "spent": {}, "made_by": "x",
            "budget": {}, "catalog": "c",
        }  # fmt: skip

    monkeypatch.setattr(_cells.Cells, "cell", cell)
    (tmp_path / "hm").mkdir()
    words = ["--data", str(tmp_path), "--results", str(tmp_path), "--sets", "hm", "shop"]
    assert post_training.main([*words, "--budgets", "600", "240", "--seeds", "0", "1"]) == 0
    told = json.loads((tmp_path / "hm-test.json").read_text())["budgets"]
    assert [*told] == ["240", "600"]
    gain = told["600"]["rows"]["refine"]["image search (augmented) R@10"]
    assert gain["values"] == [3, 3] and len(told["600"]["cells"]) == 4
    assert "augmented" in (tmp_path / "hm-test.md").read_text()
    assert "augmented" not in json.dumps(
        json.loads((tmp_path / "shop-test.json").read_text())["budgets"]["240"]["rows"]
    )
    assert (tmp_path / "post_training-test.svg").read_text().startswith("<?xml")
    assert post_training.main([*words, "--share", "1"]) == 2
    monkeypatch.setattr(_cells.Cells, "cell", lambda *given: pytest.fail("trained without a plot"))
    monkeypatch.setattr(post_training.importlib.util, "find_spec", lambda name: None)
    assert post_training.main([*words, "--budgets", "600"]) == 2


def test_the_headline_is_a_column() -> None:
    headline = {"metrics": {"HitRate@1": {"value": 0.25}}}
    found = _tables.figures({"tasks": [], "image_search_recall": headline}, "grocery")
    assert found == {"image search R@1": {"value": 25.0, "supervised": False}}
    assert _tables.figures({"tasks": [], "image_search_recall": None}, "grocery") == {}
    small = {"task": "photo -> product title", "direction": "i->t", "slice": "all", "metrics": {}}
    assert _tables.figures({"tasks": [small]}, "grocery") == {}


def test_pair_sets_are_made_step_by_step_and_once(tmp_path: Path) -> None:
    """Each step reads what the one before wrote; a second call makes nothing."""
    called: list[list[str]] = []

    def run(*words: Any) -> None:
        called.append([str(word) for word in words])
        out = Path(words[words.index("--out") + 1])
        out.mkdir(parents=True)
        (out / "manifest.json").write_text("{}")

    sets = _data_sets.DataSets(tmp_path, tmp_path / "work", run, 40)
    steps = ["dedup", "merge"]
    made = sets.cleaned("shop", steps, Path("runs/plain-0"))
    assert [words[1] for words in called] == ["build", "dedup", "merge"]
    build, dedup, merge = called
    assert build[build.index("--levels") + 1] == "purchase"
    assert dedup[2] == build[build.index("--out") + 1]
    assert merge[2] == dedup[dedup.index("--out") + 1]
    assert dedup[dedup.index("--encoder") + 1] == "runs/plain-0" and made.name.endswith("+merge")
    assert sets.cleaned("shop", steps, Path("runs/plain-0")) == made and len(called) == 3
    assert sets.cleaned("shop", ["dedup without floor"], Path("runs/plain-0")) != made
    (bare,) = called[3:]
    assert bare[1] == "dedup" and bare[bare.index("--floor") + 1] == "0"
    assert "--floor" not in dedup and bare[bare.index("--out") + 1] != dedup[-1]
    called.pop()
    assert sets.pairs("shop") != made and "--levels" not in called[3]
