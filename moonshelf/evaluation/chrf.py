"""chrF (Popović 2015): how alike two texts are by the runs of 1 to 6 characters that they share.

As the usual tool computes it for a corpus (sacrebleu, ``chrF2``): spaces are left out, matches are
summed over all texts before anything is divided, precision and recall are averaged over the lengths
that occur on both sides, and recall counts twice as much.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

ORDERS = 6
BETA = 2.0


def chrf_counts(written: Sequence[str], true: Sequence[str]) -> np.ndarray:
    """int64 [n, ORDERS, 3]: runs of each length that were written, that are true, and shared."""
    counts = np.zeros((len(written), ORDERS, 3), dtype=np.int64)
    for row, texts in enumerate(zip(written, true, strict=True)):
        given, wanted = ("".join(text.split()) for text in texts)
        for order in range(1, ORDERS + 1):
            own, other = _runs(given, order), _runs(wanted, order)
            # Lengths that the true text is too short for say nothing about what was written.
            total = own.total() if other else 0
            counts[row, order - 1] = total, other.total(), (own & other).total()
    return counts


def chrf(sums: np.ndarray) -> np.ndarray:
    """0 to 100 of summed counts [..., ORDERS, 3]."""
    written, true, shared = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
    both = (written > 0) & (true > 0)
    lengths = np.maximum(both.sum(axis=-1), 1)
    precision, recall = (
        (np.where(both, shared, 0.0) / np.where(both, total, 1.0)).sum(axis=-1) / lengths
        for total in (written, true)
    )
    below = BETA**2 * precision + recall
    return 100 * (1 + BETA**2) * precision * recall / np.where(below > 0, below, 1.0)


def _runs(text: str, order: int) -> Counter[str]:
    return Counter(text[k : k + order] for k in range(len(text) - order + 1))
