"""Whether work grows with its size and no faster, measured in processor time."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

TRIES = 4


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """Four times the size takes less than ten times as long, in one of a few tries: what grows
    faster fails them all, while caches and neighbors spoil one now and then.

    ``size``: such that quadratic work of four times that size takes a second, at least.
    """
    tried = []
    for _ in range(TRIES):
        short, long = _seconds(lambda: work(size)), _seconds(lambda: work(4 * size))
        tried.append((short, long))
        if long < 10 * short + 0.2:
            return
    raise AssertionError(tried)


def least_seconds(work: Callable[[], object]) -> float:
    """Processor time of ``work``, the least of a few tries."""
    return min(_seconds(work) for _ in range(TRIES))


def _seconds(work: Callable[[], object]) -> float:
    # A collection visits every object of the test run: up to a second, in whichever work it falls.
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        work()
        return time.process_time() - start
    finally:
        gc.enable()
