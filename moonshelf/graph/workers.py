"""Documents through a function, in order, on several processes; a bad one stops nothing.

A process that dies or takes too long costs the one document it was at; the others it had go to a
new process. Results come in the order of the input, whatever finishes first.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")
CHUNK = 32
# How far the fastest process may be ahead of the slowest, in items.
AHEAD = 4096
LIMIT_S = 300.0


def processes_work() -> bool:
    """Whether this platform can share what is loaded with other processes (it can fork)."""
    return "fork" in multiprocessing.get_all_start_methods()


def in_processes(
    items: Iterable[In],
    work: Callable[[In], Out],
    lost: Callable[[In, str], Out],
    *,
    workers: int,
    limit_s: float = LIMIT_S,
) -> Iterator[Out]:
    """``work`` of each item, in order, on ``workers`` processes forked from this one.

    One process, too, keeps what kills it or never ends away from this one.

    Args:
        items: read as they are needed.
        work: never raises; what it returns goes through a pipe.
        lost: the result of an item whose process died or ran out of time, given the reason.
        workers: how many processes.
        limit_s: the longest that one item may take.
    """
    pool = _Pool(iter(items), work, lost, workers, limit_s)
    try:
        yield from pool.results()
    finally:
        pool.close()


def in_threads(items: Iterable[In], work: Callable[[In], Out], *, workers: int) -> Iterator[Out]:
    """``work`` of each item, in order, on threads: for work that waits on a network."""
    with ThreadPoolExecutor(workers, thread_name_prefix="extract") as pool:
        waiting: deque[Future[Out]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


@dataclass
class _Worker(Generic[In]):
    process: Any
    pipe: Connection
    todo: deque[tuple[int, In]] = field(default_factory=deque)
    """What it was given and has not answered; it is at the first."""
    since: float = 0.0


class _Pool(Generic[In, Out]):
    def __init__(
        self,
        items: Iterator[In],
        work: Callable[[In], Out],
        lost: Callable[[In, str], Out],
        workers: int,
        limit_s: float,
    ) -> None:
        self.items, self.work, self.lost, self.limit_s = items, work, lost, limit_s
        self.again: deque[tuple[int, In]] = deque()
        self.done: dict[int, Out] = {}
        self.given = self.next = 0
        self.exhausted = False
        self.workers = [self._start() for _ in range(workers)]

    def results(self) -> Iterator[Out]:
        timeout = min(1.0, self.limit_s / 4)
        awake = time.monotonic()
        while True:
            for worker in self.workers:
                self._feed(worker)
            while self.next in self.done:
                yield self.done.pop(self.next)
                self.next += 1
            if self.exhausted and self.next == self.given:
                return
            busy = {worker.pipe: worker for worker in self.workers if worker.todo}
            ready = wait(list(busy), timeout=timeout)
            for pipe in ready:
                self._receive(busy[pipe])  # type: ignore[index]
            now = time.monotonic()
            # Time in which this process was stopped, or busy elsewhere, counts for no document.
            absent, awake = max(0.0, now - awake - timeout), now
            for worker in busy.values():
                worker.since = min(now, worker.since + absent)
                if worker.todo and now - worker.since > self.limit_s:
                    self._replace(worker, f"it took longer than {self.limit_s:g} s")

    def close(self) -> None:
        for worker in self.workers:
            worker.pipe.close()
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()

    def _start(self) -> _Worker[In]:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        given = (theirs, ours, self.work, os.getpid())
        process = context.Process(target=_serve, args=given, daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _feed(self, worker: _Worker[In]) -> None:
        """Gives an idle process its next chunk. Only an idle one: it listens, so that sending to
        it never waits for it to send to us."""
        if worker.todo:
            return
        chunk: list[tuple[int, In]] = []
        while len(chunk) < CHUNK and (self.again or self.given - self.next < AHEAD):
            if self.again:
                chunk.append(self.again.popleft())
                continue
            try:
                item = next(self.items)
            except StopIteration:
                self.exhausted = True
                break
            chunk.append((self.given, item))
            self.given += 1
        if chunk:
            worker.since = time.monotonic()
            worker.todo.extend(chunk)
            with contextlib.suppress(OSError):  # it died: found when its answer is awaited
                worker.pipe.send([item for _, item in chunk])

    def _receive(self, worker: _Worker[In]) -> None:
        try:
            answer = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            code = worker.process.exitcode
            self._replace(worker, f"the process that read it died (exit code {code})")
            return
        number, _ = worker.todo.popleft()
        self.done[number] = answer
        worker.since = time.monotonic()

    def _replace(self, worker: _Worker[In], reason: str) -> None:
        number, item = worker.todo.popleft()
        self.done[number] = self.lost(item, reason)
        self.again.extend(worker.todo)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()
        self.workers[self.workers.index(worker)] = self._start()


def _serve(
    pipe: Connection, other_end: Connection, work: Callable[[Any], Any], parent: int
) -> None:
    """A worker: lists of items in, answers out one by one, until the parent is gone.

    One by one, because the first unanswered item is the one that a death is blamed on.
    """
    other_end.close()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            for item in pipe.recv():
                pipe.send(work(item))


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent, whatever item it is at."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
