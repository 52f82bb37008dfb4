"""Runs on a log: the same steps whenever and by however many processes they are made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from moonshelf.catalog.pair_building import build_pairs
from moonshelf.catalog.pair_set import PairSet
from moonshelf.catalog.store import Catalog
from moonshelf.config import load_config
from moonshelf.errors import DataError, UsageError
from moonshelf.training.recipe import Recipe, load_recipe
from moonshelf.training.run import train
from tests.invariants.resume_job import RECIPE
from tests.log_shop import write_log_shop

CLOCKS = ("seconds", "core_seconds", "samples_per_s", "samples_per_core_s", "waiting", "memory_mib")
LOG = {"source": "log"}
TERMS = {
    "typed": {**LOG, "query": "t", "item": "mm", "item_richer": 1.0, "share": 2},
    "photo": {**LOG, "query": "i", "item": "mm", "levels": ["purchase"]},
    "bought": {**LOG, "query": "mm", "item": "mm", "query_richer": 0.5},
    "own": {"query": "t", "item": "i"},
}
BOTH = pytest.mark.parametrize("mixing", ["homogeneous", "mixed"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_log_shop(tmp_path_factory.mktemp("shop") / "catalog", 5, queries=60, events=600)


@pytest.fixture(scope="module")
def pairs(shop: Catalog) -> PairSet:
    return build_pairs(shop).pairs.write(shop.path.parent / "pairs", step="build", options={})


def recipe(log: PairSet, mixing: str = "mixed", processes: int = 1, **more: Any) -> Recipe:
    stage = RECIPE["stages"]["align"] | {
        "steps": 14,
        "batch": 13,
        "mini_batch": 5,
        "save_every": 4,
        "log_every": 1,
        "mixing": mixing,
        "terms": TERMS,
        **more,
    }
    compute = RECIPE["compute"] | {"processes": processes}
    data = {"data": {"pairs": str(log.path)}, "stages": {"align": stage}, "compute": compute}
    return load_config(Recipe, RECIPE | data)


def learned(out: Path) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl without what clocks say."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in CLOCKS} for line in lines]


class Stopped(Exception):
    pass


def stop_at(step: int):
    def progress(done: int, total: int | None = None, **facts: object) -> None:
        if total == 14 and done >= step:
            raise Stopped

    return progress


@BOTH
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    shop: Catalog, pairs: PairSet, tmp_path: Path, mixing: str
) -> None:
    whole = train(recipe(pairs, mixing), shop, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(recipe(pairs, mixing), shop, tmp_path / "cut", progress=stop_at(10))
    cut = train(recipe(pairs, mixing), shop, tmp_path / "cut", resume=True)
    assert learned(cut) == learned(whole) and len(learned(whole)) >= 14
    ours, theirs = (load_file(path / "encoder" / "model.safetensors") for path in (cut, whole))
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    decided = json.loads((whole / "manifest.json").read_text())
    assert decided["pairs"] == {str(pairs.path): pairs.fingerprint}
    assert set(decided["stages"]["align"]["pairs"]) == set(TERMS)


@BOTH
@pytest.mark.slow
def test_two_processes_make_the_steps_of_one(
    shop: Catalog, pairs: PairSet, tmp_path: Path, mixing: str
) -> None:
    two, one = (
        learned(train(recipe(pairs, mixing, size), shop, tmp_path / str(size))) for size in (2, 1)
    )
    for mine, theirs in zip(two, one, strict=True):
        assert mine["masked_share"] == pytest.approx(theirs["masked_share"], rel=1e-5)
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=2e-2)
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], rel=1e-5)
    assert two[0]["gradient_norm"] == pytest.approx(one[0]["gradient_norm"], rel=1e-4)


def test_a_run_goes_on_with_its_own_pairs_alone(
    shop: Catalog, pairs: PairSet, tmp_path: Path
) -> None:
    own = pairs.write(tmp_path / "pairs", step="copy", options={})
    told = recipe(own)
    with pytest.raises(Stopped):
        train(told, shop, tmp_path / "run", progress=stop_at(6))
    own.select(own.level == 2).write(tmp_path / "pairs", step="fewer", options={})
    with pytest.raises(UsageError, match="pair set is not the one"):
        train(told, shop, tmp_path / "run", resume=True)
    shutil.rmtree(tmp_path / "pairs")
    with pytest.raises(DataError, match="no pair set here"):
        train(told, shop, tmp_path / "run", resume=True)
    with pytest.raises(DataError, match="no pair set here"):
        train(told, shop, tmp_path / "new")
    assert not (tmp_path / "new" / "state").exists()


def test_a_teacher_reads_queries_too(shop: Catalog, pairs: PairSet, tmp_path: Path) -> None:
    teacher = train(recipe(pairs, steps=2), shop, tmp_path / "teacher")
    told = recipe(pairs, steps=2, distill={"teacher": str(teacher), "weight": 0.5})
    out = train(told, shop, tmp_path / "student")
    rows = len(shop) + shop.manifest["queries"]
    for view in ("t", "i", "mm"):
        (file,) = out.glob(f"teacher/align/*/{view}.npy")
        vectors = np.load(file)
        assert len(vectors) == rows and np.any(vectors[len(shop) :])
    assert all(line["distill"] >= 0 for line in learned(out) if "loss" in line)


def test_a_stage_may_draw_from_pairs_of_its_own(pairs: PairSet) -> None:
    found = recipe(pairs, pairs="elsewhere")
    assert found.stage("align").pairs == "elsewhere"  # pyright: ignore[reportAttributeAccessIssue]
    assert recipe(pairs).stage("align").pairs == str(pairs.path)  # pyright: ignore


def test_the_named_recipe_trains_the_nine_types(
    shop: Catalog, pairs: PairSet, tmp_path: Path
) -> None:
    words = [
        f"data.pairs={pairs.path}",
        "stages.align.steps=2",
        "stages.align.batch=4",
        "stages.align.validate_every=0",
        "stages.refine.steps=2",
        "stages.refine.batch=4",
        "stages.refine.validate_every=0",
        "encoder.tiny.width=64",
        "encoder.pictures={height=32, width=32}",
    ]
    found = load_recipe("moon", words)
    published = [0.2, 0.2, 0.2, 0.5, 0.2, 0.5, 0.2, 0.5, 0.1]
    active = found.stages["align"].active()  # pyright: ignore[reportAttributeAccessIssue]
    assert list(active) == [f"type-{k}" for k in range(1, 10)]
    for term, count in zip(active.values(), published, strict=True):
        assert term.share == pytest.approx(100 * count / 2.6, abs=0.1)
    notes: list[str] = []
    out = train(found, shop, tmp_path / "run", note=notes.append)
    stages = json.loads((out / "manifest.json").read_text())["stages"]
    assert set(stages["refine"]["pairs"]) == {"words", "photos", "products"}
    decided = stages["align"]
    types = pairs.pair_types().sum(axis=0)
    for k, count in enumerate(types.tolist(), start=1):
        # A type asks for what is usable: products that lack their picture or story count as well.
        assert decided["pairs"][f"type-{k}"] >= count > 0
    assert sum(decided["shares"].values()) == pytest.approx(1)
