"""Several processes take the very steps of one: losses, weights, budgets, in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from moonshelf.training.parallel import ALONE
from tests.invariants import parallel_job as job
from tests.small_shop import write_small_shop

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
Results = list[dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "catalog"
    write_small_shop(path, categories=True)
    return path


@pytest.fixture(scope="module")
def results(request, shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What every one of so many processes left, by rank."""
    folder, size = tmp_path_factory.mktemp("group"), request.param
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    script = str(ROOT / "tests" / "invariants" / "parallel_job.py")
    words = [folder / f"{rank}.err" for rank in range(size)]
    processes = []
    for rank, said in enumerate(words):
        command = [sys.executable, script, str(folder), str(rank), str(size), str(shop)]
        with said.open("wb") as stderr:
            processes.append(subprocess.Popen(command, env=environment, stderr=stderr))
    try:
        ends = [process.wait(240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    # Each last word, because one that fails takes the others with it.
    assert ends == [0] * size, "\n".join(said.read_text()[-2500:] for said in words)
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(size)]


def of(results: Results, case: str) -> Results:
    cut = f"{case}|"
    return [{k.removeprefix(cut): v for k, v in r.items() if k.startswith(cut)} for r in results]


def assert_all_hold_the_same(processes: Results) -> None:
    """To the last bit: nothing may drift apart."""
    for other in processes[1:]:
        for name, value in processes[0].items():
            if name.startswith("weight/"):
                assert np.array_equal(value, other[name]), name


two = pytest.mark.parametrize("results", [2], indirect=True, ids=["2 processes"])
two_or_three = pytest.mark.parametrize(
    "results", [2, 3], indirect=True, ids=["2 processes", "3 processes"]
)


@two_or_three
@pytest.mark.parametrize("case", job.EXACT)
def test_float64_steps_equal_those_of_one_process(results: Results, case: str) -> None:
    alone, processes = job.EXACT[case](ALONE), of(results, f"exact/{case}")
    assert_all_hold_the_same(processes)
    embedded = [int(found.pop("embedded")) for found in processes]
    # Shares, not copies; a process with one mini-batch a side embeds it once, not twice.
    assert max(embedded) < sum(embedded) <= alone.pop("embedded")
    assert alone["weight/head.temperature"] != -1
    for name, value in alone.items():
        np.testing.assert_allclose(processes[0][name], value, rtol=1e-7, atol=1e-9, err_msg=name)


@two
@pytest.mark.parametrize("case", job.STAGE)
def test_steps_of_stage_align_equal_those_of_one_process(
    results: Results, case: str, shop: Path
) -> None:
    alone, processes = job.STAGE[case](ALONE, shop), of(results, f"stage/{case}")
    assert_all_hold_the_same(processes)
    assert (alone["known"] > 0) == (case == "session")
    for name, value in alone.items():
        # Muon divides small directions by their size: float32 sums in another order show.
        close = {"rtol": 0, "atol": 2e-3} if name.startswith("weight/") else {"rtol": 2e-3}
        np.testing.assert_allclose(processes[0][name], value, **close, err_msg=name)
    first = {name: value.flat[0] for name, value in alone.items() if not name.startswith("weight/")}
    for name, value in first.items():
        found = processes[0][name].flat[0]
        np.testing.assert_allclose(found, value, rtol=2e-5, atol=1e-7, err_msg=name)


@two
@pytest.mark.parametrize("case", job.TIMES)
def test_all_stop_at_the_same_step_of_a_time_budget(results: Results, case: str) -> None:
    processes = of(results, f"budget/{case}")
    spent = processes[0]["spent"]
    assert all(np.array_equal(spent, found["spent"]) for found in processes)
    steps, seconds, cores = spent
    assert steps > 3
    used = seconds if case == "minutes" else cores
    assert 1 <= used < 2
    # The leader's clock; the CPU time of all, not of one.
    assert seconds <= processes[0]["own"][0]
    assert 0.7 * cores < sum(found["own"][1] for found in processes) < 1.5 * cores


@two_or_three
def test_what_processes_say_to_each_other(results: Results) -> None:
    size, processes = len(results), of(results, "words")
    for found in processes:
        assert found["total"].tolist() == [1.5 * size, sum(range(size))]
        assert found["table"].tolist() == [[7]] * size
        a, step, c = found["wrong"].tolist()
        assert "a differs" in a and "step differs" in step and "what they hold differs" in c
    leader_ends = processes[0]["leader_first"][1]
    assert all(found["leader_first"][0] >= leader_ends for found in processes[1:])


@two_or_three
def test_drifted_weights_are_told_and_not_saved(results: Results) -> None:
    for rank, found in enumerate(of(results, "saving")):
        (told,) = found["told"].tolist()
        assert "net.late.bias differs" in told and "step 3" in told
        assert found["saved"].tolist() == ([] if rank else ["0.0"])  # only the leader writes


@two_or_three
def test_dropout_differs_between_processes_and_repeats_on_resume(results: Results) -> None:
    processes = of(results, "dropout")
    for found in processes:
        assert found["whole"].tolist()[4:] == found["resumed"].tolist()
        assert len(set(found["whole"].tolist())) == 8  # four steps of two sides
    assert len({tuple(found["whole"].tolist()) for found in processes}) == len(results)
