"""A run killed with SIGKILL and resumed gives what an uninterrupted run gives."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.forked import end_of, fork
from tests.invariants.resume_job import job, small_recipe
from tests.small_shop import write_small_shop

RATES = ("samples_per_s", "samples_per_core_s", "tokens_per_s")
CLOCKS = (*RATES, "seconds", "core_seconds", "waiting", "memory_mib")


def run(
    catalog: Path, out: Path, *words: str, resume: bool = False, death: tuple[int, int] = (0, 0)
) -> None:
    """Trains in a process of its own, to the end or to its death."""
    process = fork(job, small_recipe(*words), catalog, out, resume, death)
    assert end_of(process) == (-signal.SIGKILL if death[1] else 0)


def learned(out: Path) -> list[dict[str, object]]:
    """Lines of metrics.jsonl without what clocks say."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in CLOCKS} for line in lines]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "catalog"
    write_small_shop(path)
    return path


@pytest.fixture(scope="module")
def whole(shop: Path) -> Path:
    out = shop.parent / "whole"
    run(shop, out)
    return out


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(shop: Path, whole: Path):
    out = shop.parent / "killed"
    # Once inside each stage, in the middle of whatever it is doing; then to the end.
    for death in ((20, 60), (10, 20)):
        run(shop, out, resume=out.exists(), death=death)
        assert json.loads((out / "manifest.json").read_text())["status"] == "running"
    run(shop, out, resume=True)
    assert_same(out, whole)


@pytest.mark.slow
def test_two_processes_killed_go_on_as_two_or_as_one(shop: Path, whole: Path):
    two, out, alone = (shop.parent / name for name in ("two", "killed-two", "killed-alone"))
    run(shop, two, "compute.processes=2")
    run(shop, out, "compute.processes=2", death=(20, 60))
    shutil.copytree(out, alone)
    run(shop, out, "compute.processes=2", resume=True)
    assert_same(out, two)
    # The steps are the same with any number of processes; sums in another order drift apart.
    run(shop, alone, "compute.processes=1", "compute.shard=true", resume=True)
    assert json.loads((alone / "manifest.json").read_text())["compute"]["processes"] == 1
    for ours in (learned(alone), learned(two)):
        for mine, theirs in zip(ours, learned(whole), strict=True):
            assert (mine["stage"], mine["step"]) == (theirs["stage"], theirs["step"])
            assert mine["loss"] == pytest.approx(theirs["loss"], rel=0.05)
        assert ours[4]["loss"] == pytest.approx(learned(whole)[4]["loss"], rel=2e-3)


def assert_same(out: Path, whole: Path) -> None:
    """To the last bit: what was logged, and the weights."""
    assert learned(out) == learned(whole)
    ours, theirs = (load_file(path / "encoder" / "model.safetensors") for path in (out, whole))
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)
