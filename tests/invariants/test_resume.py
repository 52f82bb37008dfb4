"""A run killed with SIGKILL and resumed gives what an uninterrupted run gives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.small_shop import write_small_shop

ROOT = Path(__file__).resolve().parents[2]
RATES = ("samples_per_s", "samples_per_core_s", "tokens_per_s")
CLOCKS = (*RATES, "seconds", "core_seconds", "waiting", "memory_mib")


def start(catalog: Path, out: Path, resume: bool, *more: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    job = str(ROOT / "tests" / "invariants" / "resume_job.py")
    words = [sys.executable, job, str(catalog), str(out), "resume" if resume else "start", *more]
    return subprocess.Popen(words, env=environment)


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
    assert start(shop, out, resume=False).wait(120) == 0
    return out


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(shop: Path, whole: Path):
    out = shop.parent / "killed"
    # Once inside each stage, in the middle of whatever it is doing; then to the end.
    for stage, step in (("align", 20), ("again", 10)):
        job = start(shop, out, resume=out.exists())
        wait_for(job, out, stage, step)
        job.kill()
        job.wait()
        assert json.loads((out / "manifest.json").read_text())["status"] == "running"
    assert start(shop, out, resume=True).wait(120) == 0
    assert_same(out, whole)


@pytest.mark.slow
def test_two_processes_killed_go_on_as_two_or_as_one(shop: Path, whole: Path):
    two, out, alone = (shop.parent / name for name in ("two", "killed-two", "killed-alone"))
    assert start(shop, two, False, "compute.processes=2").wait(120) == 0
    job = start(shop, out, False, "compute.processes=2")
    wait_for(job, out, "align", 20)
    job.kill()
    job.wait()
    shutil.copytree(out, alone)
    assert start(shop, out, True, "compute.processes=2").wait(120) == 0
    assert_same(out, two)
    # The steps are the same with any number of processes; sums in another order drift apart.
    assert start(shop, alone, True, "compute.processes=1").wait(120) == 0
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


def wait_for(job: subprocess.Popen[bytes], out: Path, stage: str, step: int) -> None:
    metrics = out / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert job.poll() is None, "the job ended before it could be killed"
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        for line in lines:
            found = json.loads(line) if line.endswith("}") else {}
            if found.get("stage") == stage and found["step"] >= step:
                return
        time.sleep(0.005)
    raise AssertionError("the job never came so far")
