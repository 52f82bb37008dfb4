"""The processes of a run: started here, or joined where something else (torchrun) started them.

    recipe says compute.processes = N     this process leads and starts N - 1 others (worker.py),
                                          which meet in a private folder and talk over loopback
    environment has RANK, WORLD_SIZE ...  this process joins that group, on any number of machines

Nobody is left over: each started process holds the reading end of a pipe of the leader and ends
when that closes, however the leader ended; a leader that leaves the block ends what it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

# Before any group is up: its functions take the group of that moment as a default and would keep
# it (an optimizer imports it later). What gloo's threads hold is then freed after the interpreter,
# which now and then aborts a process that had done its work.
import torch.distributed.nn.functional

import moonshelf
from moonshelf.errors import MoonshelfError, UsageError
from moonshelf.files import write_json_atomically
from moonshelf.training.parallel import DistributedGroup, Group, LostProcess
from moonshelf.training.precision import pick_device
from moonshelf.training.recipe import ComputeConfig

_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# How long one process may keep the others waiting (validation, the teacher's vectors, a first
# cache of pictures). A process that ends is noticed at once, whatever this says.
_PATIENCE = timedelta(hours=12)
_LAST_WORDS_S = 10.0
_WORKER = "moonshelf.training.worker"


@dataclass(frozen=True)
class Job:
    """What a started process is told, as one line of JSON."""

    folder: str
    rank: int
    size: int
    recipe: Mapping[str, Any]
    catalog: str
    out: str
    deterministic: bool

    def line(self) -> str:
        return json.dumps(vars(self)) + "\n"

    @property
    def report(self) -> Path:
        """Where this process says what it failed of."""
        return Path(self.folder) / f"failed-{self.rank}.json"


def torchrun() -> bool:
    """Whether something else started this process as one of several."""
    return all(name in os.environ for name in _TORCHRUN) and int(os.environ["WORLD_SIZE"]) > 1


def follows() -> bool:
    """Whether another process leads, and shows what there is to show."""
    return torchrun() and int(os.environ["RANK"]) > 0


def threads_of(compute: ComputeConfig, local_size: int) -> int | None:
    """Threads of each of ``local_size`` processes on this machine; None leaves it to torch."""
    if compute.threads is not None or local_size == 1:
        return compute.threads
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, cores // local_size)


@contextlib.contextmanager
def joined(compute: ComputeConfig) -> Iterator[Group]:
    """The group that the environment names (torchrun's variables).

    Raises:
        UsageError: the recipe asks for another number of processes, or there are too few GPUs.
    """
    local = (
        int(os.environ["LOCAL_RANK"]),
        int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"])),
    )
    size = int(os.environ["WORLD_SIZE"])
    if compute.processes not in (1, size):
        raise UsageError(
            f"the recipe says {compute.processes} processes, the environment {size}",
            where="compute.processes",
            cure="leave compute.processes out under torchrun",
        )
    device = device_of(compute, local)
    dist.init_process_group("gloo", timeout=_PATIENCE)
    with _group(local, device) as group:
        yield group


@contextlib.contextmanager
def started(
    compute: ComputeConfig, recipe: Mapping[str, Any], catalog: Path, out: Path
) -> Iterator[Group]:
    """Starts ``compute.processes - 1`` processes that follow this one through a run.

    Raises:
        LostProcess: one of them failed; carries its error. UsageError: too few GPUs.
    """
    size = compute.processes
    device = device_of(compute, (0, size))
    folder = tempfile.mkdtemp(prefix="moonshelf-")
    deterministic = torch.are_deterministic_algorithms_enabled()
    jobs = [
        Job(folder, rank, size, recipe, str(catalog.absolute()), str(out.absolute()), deterministic)
        for rank in range(1, size)
    ]
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for job in jobs:
            workers.append(_start(job, compute))
        try:
            _await(folder, jobs, workers)
            with met(folder, 0, size, device) as group:
                yield group
        except LostProcess as lost:
            raise _last_words(lost, jobs, workers) from lost
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(_LAST_WORDS_S)
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def met(folder: str, rank: int, size: int, device: torch.device) -> Iterator[Group]:
    """The group of ``size`` processes of this machine that meet in ``folder``."""
    store = dist.FileStore(f"{folder}/store", size)  # pyright: ignore[reportPrivateImportUsage]
    with _loopback():
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    with _group((rank, size), device) as group:
        yield group


def arrive(job: Job) -> None:
    """A started process says that it is there."""
    (Path(job.folder) / f"here-{job.rank}").touch()


def report_failure(job: Job, error: BaseException, trace: str) -> None:
    """A started process says what it failed of, for the leader to tell."""
    told = error if isinstance(error, MoonshelfError) else None
    what = told.what if told else str(error)
    failure = {
        "what": f"{type(error).__name__}: {what}",
        "where": told.where if told else "",
        "cure": told.cure if told else "",
        "lost": isinstance(error, LostProcess),
        "trace": trace,
    }
    if not job.report.parent.is_dir():
        return  # the leader is gone, and with it whom to tell
    with contextlib.suppress(OSError):
        write_json_atomically(job.report, failure)


def device_of(compute: ComputeConfig, local: tuple[int, int]) -> torch.device:
    """The device of process ``local`` (rank, size) of this machine, made the current one."""
    device = pick_device(compute.device, *local)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


@contextlib.contextmanager
def _group(local: tuple[int, int], device: torch.device) -> Iterator[Group]:
    try:
        yield DistributedGroup(local, device)
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _loopback() -> Iterator[None]:
    """Processes of one machine connect over its loopback: open to no network, on any host name."""
    name = "GLOO_SOCKET_IFNAME"
    found = [n for _, n in socket.if_nameindex() if n in ("lo", "lo0")]
    if name in os.environ or not found:
        yield
        return
    os.environ[name] = found[0]
    try:
        yield
    finally:
        del os.environ[name]


def _start(job: Job, compute: ComputeConfig) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if k not in _TORCHRUN}
    package = str(Path(moonshelf.__file__).parent.parent)
    before = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = f"{package}{os.pathsep}{before}" if before else package
    environment["OMP_NUM_THREADS"] = str(threads_of(compute, job.size))
    with (Path(job.folder) / f"stderr-{job.rank}").open("wb") as errors:
        worker = subprocess.Popen(
            # -P: not whatever lies in the folder that the user happens to be in.
            [sys.executable, "-P", "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
        )
    assert worker.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it ended at once; _await tells
        worker.stdin.write(job.line().encode())
        worker.stdin.flush()
    return worker


def _await(folder: str, jobs: Sequence[Job], workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Waits until every started process is there; torch's own meeting would wait for a dead one."""
    while not all((Path(folder) / f"here-{job.rank}").exists() for job in jobs):
        if any(worker.poll() is not None for worker in workers):
            raise LostProcess("another process of this run ended before it began")
        time.sleep(0.02)


def _last_words(
    lost: LostProcess, jobs: Sequence[Job], workers: Sequence[subprocess.Popen[bytes]]
) -> LostProcess:
    """The error of the process that ended first, as far as it can be known."""
    deadline = time.monotonic() + _LAST_WORDS_S
    while time.monotonic() < deadline and all(w.poll() is None for w in workers):
        time.sleep(0.02)
    time.sleep(0.2)  # others that fail of the same cause
    found: list[LostProcess] = []
    for job, worker in zip(jobs, workers, strict=True):
        name = f"process {job.rank} of {job.size}"
        code = worker.poll()
        if job.report.exists():
            told = json.loads(job.report.read_text(encoding="utf-8"))
            error = LostProcess(f"{name}: {told['what']}", where=told["where"], cure=told["cure"])
            error.add_note(told["trace"])
            found.insert(len(found) if told["lost"] else 0, error)
        elif code is not None and code < 0:
            error = LostProcess(
                f"{name} was ended by signal {signal.Signals(-code).name}",
                cure="if memory ran out use fewer processes or set mini_batch; then --resume",
            )
            found.insert(0, error)
        elif code:
            said = (Path(job.folder) / f"stderr-{job.rank}").read_text(errors="replace").strip()
            found.insert(0, LostProcess(f"{name} ended with code {code}: {said[-300:]}"))
    return found[0] if found else lost
