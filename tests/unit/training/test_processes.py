"""Processes of one run: they start, join, fail and end together; none is left over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from moonshelf.catalog.store import Catalog
from moonshelf.config import to_toml
from moonshelf.encoder import load_encoder
from moonshelf.errors import MoonshelfError, UsageError
from moonshelf.training import processes
from moonshelf.training.parallel import LostProcess
from moonshelf.training.precision import pick_device
from moonshelf.training.recipe import ComputeConfig
from moonshelf.training.run import train
from tests.invariants.resume_job import small_recipe
from tests.small_shop import write_small_shop

ROOT = Path(__file__).resolve().parents[3]
slow = pytest.mark.slow
ENDLESS = "stages.align.steps=100000"


def recipe(*words: str, size: int = 2):
    found = small_recipe(f"compute.processes={size}", *words)
    return found.model_copy(update={"stages": {"align": found.stages["align"]}})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_small_shop(tmp_path_factory.mktemp("shop") / "catalog")


def listed() -> list[tuple[int, int, str]]:
    """(process, parent, command) of every process that has not ended."""
    told = subprocess.run(
        ["ps", "-ww", "-e", "-o", "pid=,ppid=,stat=,args="], stdout=subprocess.PIPE
    )
    rows = [line.split(maxsplit=3) for line in told.stdout.decode(errors="replace").splitlines()]
    return [(int(r[0]), int(r[1]), r[3]) for r in rows if len(r) == 4 and r[2][0] != "Z"]


def workers_of(parent: int) -> list[int]:
    return [pid for pid, by, command in listed() if by == parent and "worker" in command]


def living(pids: list[int]) -> list[int]:
    return [pid for pid, _, _ in listed() if pid in pids]


def wait_until(true: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


class Command:
    """``moonshelf train`` on two processes, in a process group of its own."""

    def __init__(self, shop: Catalog, folder: Path, *words: str, launcher: tuple[str, ...] = ()):
        self.out = folder / "run"
        file = folder / "small.toml"
        file.write_text(to_toml(recipe(size=1 if launcher else 2)))
        start = launcher or (sys.executable,)
        command = [*start, "-m", "moonshelf", "train", str(file), "--catalog", str(shop.path)]
        self.process = subprocess.Popen(
            [*command, "--out", str(self.out), *words],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell's background job ignores Control-C, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def under_way(self) -> list[int]:
        """Waits for the first line of metrics; the processes that were started."""
        metrics = self.out / "metrics.jsonl"
        ended = self.process.poll
        wait_until(lambda: (metrics.exists() and metrics.read_text()) or ended() is not None)
        assert self.process.poll() is None, self.process.communicate()
        return workers_of(self.process.pid)


def lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@slow
def test_two_processes_train_what_one_trains(shop: Catalog, tmp_path: Path):
    words = ("stages.align.steps=6", "stages.align.log_every=1", "stages.align.validate_every=6")
    words += ("stages.align.validation_items=10",)
    with Command(shop, tmp_path, *words) as command:
        out, err = command.process.communicate(timeout=120)
        assert command.process.returncode == 0, err
    assert out.count("encoder:") == 1
    assert err.count("72 train products") == err.count("stage align:") == 1
    manifest = json.loads((command.out / "manifest.json").read_text())
    assert manifest["status"] == "finished" and manifest["compute"]["processes"] == 2
    alone = train(recipe(*words, size=1), shop, tmp_path / "alone")
    for ours, theirs in zip(lines(command.out), lines(alone), strict=True):
        assert ours.keys() == theirs.keys()
        for key in {"loss", "accuracy", "masked_share", "temperature"} & ours.keys():
            assert ours[key] == pytest.approx(theirs[key], rel=2e-3)
    ours, theirs = lines(command.out)[-2], lines(alone)[-2]
    assert ours["memory_mib"] > 1.2 * theirs["memory_mib"]  # of both processes


@slow
def test_the_error_of_another_process_is_told(
    shop: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(processes, "_WORKER", "tests.unit.training.failing_worker")
    with pytest.raises(LostProcess) as caught:
        train(recipe(ENDLESS), shop, tmp_path / "run")
    assert caught.value.what == "process 1 of 2: DataError: a picture is broken"
    assert (caught.value.where, caught.value.cure) == ("row 5", "mend the picture")
    assert any("in broken" in note for note in caught.value.__notes__)
    assert not workers_of(os.getpid())


@slow
def test_a_process_that_cannot_start_is_told(
    shop: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(processes, "_WORKER", "moonshelf.no_such_module")
    with pytest.raises(LostProcess, match=r"process 1 of 2 ended with code 1: .*no_such_module"):
        train(recipe(), shop, tmp_path / "run")


@slow
def test_a_killed_process_ends_the_run_with_its_signal(shop: Catalog, tmp_path: Path):
    with Command(shop, tmp_path, ENDLESS) as command:
        (worker,) = command.under_way()
        os.kill(worker, signal.SIGKILL)
        _, err = command.process.communicate(timeout=60)
    assert command.process.returncode == 1
    assert "error: process 1 of 2 was ended by signal SIGKILL" in err and "cure:" in err
    assert "Traceback" not in err


@slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_its_leader(shop: Catalog, tmp_path: Path, how: signal.Signals):
    with Command(shop, tmp_path, ENDLESS) as command:
        workers = command.under_way()
        assert len(workers) == 1
        os.kill(command.process.pid, how)
        command.process.wait(20)
        wait_until(lambda: not living(workers), 20)


@slow
def test_a_process_that_waits_ends_with_its_leader_and_ignores_control_c(
    shop: Catalog, tmp_path: Path
):
    """The leader never comes to the meeting: nothing but the pipe can tell that it is gone."""
    settings = recipe().model_dump(mode="json")
    folder = tmp_path / "meeting"
    folder.mkdir()
    job = processes.Job(str(folder), 1, 2, settings, str(shop.path), str(tmp_path / "run"), False)
    command = [sys.executable, "-m", "moonshelf.training.worker"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    try:
        assert worker.stdin is not None
        worker.stdin.write(job.line().encode())
        worker.stdin.flush()
        wait_until(lambda: (folder / "here-1").exists() or worker.poll() is not None)
        worker.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert worker.poll() is None
        worker.stdin.close()
        assert worker.wait(20) == 1
        assert not folder.exists()
    finally:
        worker.kill()
        worker.wait()


@slow
def test_control_c_ends_all_with_one_message(shop: Catalog, tmp_path: Path):
    with Command(shop, tmp_path, ENDLESS) as command:
        workers = command.under_way()
        os.killpg(command.process.pid, signal.SIGINT)
        _, err = command.process.communicate(timeout=60)
        assert command.process.returncode == 130
        assert err.count("interrupted") == 1 and "Traceback" not in err
        assert not living(workers)


@slow
def test_an_error_of_the_leader_ends_the_others(shop: Catalog, tmp_path: Path):
    def broken(done: int, total: int | None = None, **facts: object) -> None:
        if done:
            raise MoonshelfError("no more")

    with pytest.raises(MoonshelfError, match="no more"):
        train(recipe(ENDLESS), shop, tmp_path / "run", progress=broken)
    assert not workers_of(os.getpid())


@slow
def test_torchrun_is_joined(shop: Catalog, tmp_path: Path):
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    words = ("stages.align.steps=3", "stages.align.log_every=1", "stages.align.validate_every=3")
    words += ("stages.align.validation_items=10", "stages.align.optimizer.matrices=adamw")
    launcher = (*launcher, "--nproc-per-node=2")
    with Command(shop, tmp_path, *words, "compute.shard=true", launcher=launcher) as command:
        out, err = command.process.communicate(timeout=120)
        assert command.process.returncode == 0, err
    assert out.count("encoder:") == 1 and err.count("stage align:") == 1
    manifest = json.loads((command.out / "manifest.json").read_text())
    assert manifest["status"] == "finished" and manifest["compute"]["processes"] == 2
    # Out of shards comes the ordinary encoder, the one that a single process trains.
    alone = train(recipe(*words, size=1), shop, tmp_path / "alone")
    ours, theirs = (load_encoder(one).state_dict() for one in (command.out, alone))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=2e-4, msg=name)
    for mine, other in zip(lines(command.out), lines(alone), strict=True):
        assert mine.keys() == other.keys()


@slow
def test_nothing_of_the_group_is_left_when_its_block_ends():
    """Threads of gloo that outlive the group hold tensors, and freeing these after the interpreter
    aborts the process: the optimizer's late import of a default group did just that."""
    code = """
import os, time, torch
from moonshelf.training.processes import joined
from moonshelf.training.recipe import ComputeConfig

with joined(ComputeConfig()) as group:
    torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
    group.table([1])
del group
time.sleep(0.2)
names = [open(f"/proc/self/task/{t}/comm").read() for t in os.listdir("/proc/self/task")]
assert not [n for n in names if "gloo" in n], names
"""
    if not Path("/proc/self/task").exists():
        pytest.skip("threads have names to read on Linux only")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc-per-node=2", "--no-python", sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@slow
def test_a_term_with_fewer_pairs_than_processes_is_told(shop: Catalog, tmp_path: Path):
    with pytest.raises(UsageError, match=r"term 'title-picture' has fewer pairs than .* \(3\)"):
        train(recipe("stages.align.batch=2", size=3), shop, tmp_path / "run")


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert processes.threads_of(ComputeConfig(), 1) is None
    assert processes.threads_of(ComputeConfig(), 3) == 2
    assert processes.threads_of(ComputeConfig(), 16) == 1
    assert processes.threads_of(ComputeConfig(threads=5), 3) == 5


def test_the_environment_of_torchrun_is_known_whole(monkeypatch: pytest.MonkeyPatch):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.setenv(name, "2")
    assert not processes.torchrun() and not processes.follows()
    monkeypatch.setenv("MASTER_PORT", "1")
    assert processes.torchrun() and processes.follows()
    with (
        pytest.raises(UsageError, match="recipe says 3 processes, the environment 2"),
        processes.joined(ComputeConfig(processes=3)),
    ):
        pass
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not processes.torchrun() and not processes.follows()


def test_every_process_needs_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("auto") == torch.device("cuda")
    assert pick_device("auto", 1, 2) == torch.device("cuda:1")
    assert pick_device("cpu", 1, 2) == torch.device("cpu")
    with pytest.raises(UsageError, match="3 processes need a GPU each"):
        pick_device("auto", 0, 3)
    with pytest.raises(UsageError, match="2 processes need a GPU each"):
        pick_device("cuda:1", 0, 2)
