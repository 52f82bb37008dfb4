"""Whether work grows with its size and no faster, measured in processor time."""

from __future__ import annotations

import time
from collections.abc import Callable


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """Four times the size takes less than ten times as long.

    ``size``: such that quadratic work of four times that size takes a second, at least.
    """
    seconds = []
    for length in (size, 4 * size):
        start = time.process_time()
        work(length)
        seconds.append(time.process_time() - start)
    assert seconds[1] < 10 * seconds[0] + 0.2, seconds
