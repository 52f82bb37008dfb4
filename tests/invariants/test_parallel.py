"""Several processes take the very steps of one: losses, weights, budgets, in real processes."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from moonshelf.training.parallel import ALONE
from tests.forked import end_of, fork
from tests.invariants import objective_cases as one
from tests.invariants import parallel_job as job
from tests.small_shop import write_small_shop

pytestmark = pytest.mark.slow
Results = list[dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "catalog"
    write_small_shop(path, categories=True)
    return path


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lacking") / "catalog"
    one.write_lacking_shop(path)
    return path


@functools.cache
def alone_with(case: str, cutting: str, lacking: Path) -> job.Arrays:
    """An objective in this one process; it leaves its state for others to resume."""
    save = lacking.parent / "states" / case / "1" if cutting == "mini-batches" else None
    return one.steps(case, ALONE, lacking, save=save, **one.CUTS[cutting])


@pytest.fixture(scope="module")
def groups(
    shop: Path, lacking: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Results]:
    """What three and then two processes left; the two go on from states of others."""
    for case in one.RESUMED:
        alone_with(case, "mini-batches", lacking)
    return {n: started(n, tmp_path_factory.mktemp("group"), shop, lacking) for n in (3, 2)}


@pytest.fixture
def results(request, groups: dict[int, Results]) -> Results:
    """What every one of so many processes left, by rank."""
    return groups[request.param]


def started(size: int, folder: Path, shop: Path, lacking: Path) -> Results:
    given = shop, lacking, lacking.parent / "states"
    processes = [fork(job.run, str(folder), rank, size, *given) for rank in range(size)]
    try:
        ends = [end_of(process, 600) for process in processes]
    finally:
        for process in processes:
            process.kill()
    # Each last word, because one that fails takes the others with it.
    words = [said.read_text()[-2500:] for said in sorted(folder.glob("*.err"))]
    assert ends == [0] * size, "\n".join(words)
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(size)]


def of(results: Results, case: str) -> Results:
    cut = f"{case}|"
    return [{k.removeprefix(cut): v for k, v in r.items() if k.startswith(cut)} for r in results]


def assert_all_hold_the_same(processes: Results) -> None:
    """To the last bit: nothing may drift apart."""
    for other in processes[1:]:
        for name, value in processes[0].items():
            if name.startswith(("weight/", "queue/")):
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


def assert_near(found: job.Arrays, alone: job.Arrays, most: float) -> None:
    """Losses, gradients, weights and queue: to ``most`` of the largest number of each."""
    assert found.keys() == alone.keys()
    for name, value in alone.items():
        scale = abs(value).max(initial=1e-6)
        np.testing.assert_allclose(found[name], value, rtol=0, atol=most * scale, err_msg=name)


@two
@pytest.mark.parametrize("cutting", one.CUTS)
@pytest.mark.parametrize("case", one.OBJECTIVES)
def test_every_objective_has_the_gradients_of_one_process(
    results: Results, case: str, cutting: str, lacking: Path
) -> None:
    alone = alone_with(case, cutting, lacking)
    assert any(name.startswith("gradient/1/encoder") for name in alone)
    for kind in ("whole", "shards") if cutting in one.SHARDED else ("whole",):
        processes = of(results, f"{kind}/{case}/{cutting}")
        assert_all_hold_the_same(processes)
        for found in processes:
            assert_near(found, alone, 1e-6)


@two
def test_layers_gathered_in_bf16_give_what_autocast_gives(results: Results, shop: Path) -> None:
    alone, processes = job.align(ALONE, shop, **job.HALVED), of(results, "bf16")
    assert_all_hold_the_same(processes)
    losses, expected = processes[0]["loss"], alone["loss"]
    np.testing.assert_allclose(losses[0], expected[0], rtol=2e-3)
    np.testing.assert_allclose(losses, expected, rtol=5e-2)
    norms = processes[0]["gradient_norm"][0], alone["gradient_norm"][0]
    np.testing.assert_allclose(*norms, rtol=2e-2)


@two
@pytest.mark.parametrize("others", [1, 3])
@pytest.mark.parametrize("case", one.RESUMED)
def test_two_processes_go_on_where_one_or_three_stood(
    results: Results, case: str, others: int, lacking: Path
) -> None:
    last = after(alone_with(case, "mini-batches", lacking))
    for found in of(results, f"resumed/{case}/{others}"):
        assert_near(found, last, 1e-6)


@pytest.mark.usefixtures("groups")
@pytest.mark.parametrize("others", [2, 3])
@pytest.mark.parametrize("case", one.RESUMED)
def test_one_process_goes_on_where_shards_of_others_stood(
    case: str, others: int, lacking: Path
) -> None:
    place = lacking.parent / "states" / case / str(others)
    found = one.steps(case, ALONE, lacking, resume=place, **one.CUTS["mini-batches"])
    assert_near(found, after(alone_with(case, "mini-batches", lacking)), 1e-6)


def after(whole: job.Arrays) -> job.Arrays:
    """What of a run comes after the state before its last step."""
    earlier = tuple(f"gradient/{step}/" for step in range(1, one.STEPS))
    kept = {name: value for name, value in whole.items() if not name.startswith(earlier)}
    return {**kept, "loss": whole["loss"][-1:]}


@two
@pytest.mark.parametrize("case", job.TIMES)
def test_all_stop_at_the_same_step_of_a_time_budget(results: Results, case: str) -> None:
    processes = of(results, f"budget/{case}")
    spent = processes[0]["spent"]
    assert all(np.array_equal(spent, found["spent"]) for found in processes)
    steps, seconds, cores = spent
    assert steps > 1
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
