"""Small pictures of distributions: bins of numbers as inline SVG, frequent words as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import log10

from moonshelf.graph.report.texts import bdi, esc, share_of

MOST_BINS, MOST_SINGLE, MOST_LABELS = 24, 16, 7
"""Bins; distinct values that still get a bar each, and a label each."""
LOG_FROM = 1_000
"""A largest value so many times the smallest makes the scale logarithmic."""
TALL, ACROSS = 56.0, 280.0


@dataclass(frozen=True)
class Bins:
    """Numbers in bins of equal width (of their logarithms, where ``log``).

    ``values``: where a bin holds one value, those values; else nothing.
    """

    counts: tuple[int, ...]
    low: Decimal
    middle: Decimal
    high: Decimal
    log: bool = False
    values: tuple[Decimal, ...] = ()


def numbers(values: Sequence[tuple[str, int]]) -> list[tuple[Decimal, int]]:
    """Those of ``values`` that are numbers, in their order."""
    found = []
    for text, times in values:
        try:
            number = Decimal(text)
        except InvalidOperation:
            continue
        if number.is_finite():
            found.append((number, times))
    return sorted(found)


def bins(values: Sequence[tuple[Decimal, int]]) -> Bins | None:
    """Bins of values in their order; None without any."""
    if not values:
        return None
    low, high, middle = values[0][0], values[-1][0], _median(values)
    if len(values) <= MOST_SINGLE:
        counts = tuple(times for _, times in values)
        return Bins(counts, low, middle, high, values=tuple(value for value, _ in values))
    log = low > 0 and high / low >= LOG_FROM
    scaled = [(log10(value) if log else float(value), times) for value, times in values]
    first, last = scaled[0][0], scaled[-1][0]
    step = (last - first) / MOST_BINS
    bars = [0] * MOST_BINS
    for value, times in scaled:
        # Distinct decimals may be one float.
        place = int((value - first) / step) if step else 0
        bars[min(MOST_BINS - 1, place)] += times
    return Bins(tuple(bars), low, middle, high, log=log)


def histogram(found: Bins, unit: str) -> str:
    """Bars over a line; the smallest, the median and the largest value below it."""
    most, wide = max(found.counts), ACROSS / len(found.counts)
    thick = min(wide * 0.82, 26.0)
    bars = []
    for k, times in enumerate(found.counts):
        tall = (TALL - 6) * times / most
        if times:
            tall = max(tall, 1.5)
        x = wide * k + (wide - thick) / 2
        shown = f"{plain(found.values[k])} {unit}: {times:,}" if found.values else f"{times:,}"
        bars.append(
            f'<rect x="{x:.1f}" y="{TALL - tall:.1f}" width="{thick:.1f}" height="{tall:.1f}" '
            f'rx="2"><title>{esc(shown)}</title></rect>'
        )
    return (
        f'<svg class="hist" viewBox="0 0 {ACROSS:g} {TALL:g}" preserveAspectRatio="none" '
        f'role="img" aria-label="Distribution">{"".join(bars)}</svg>{_below(found)}'
    )


def _below(found: Bins) -> str:
    """Each value below its bar where they are few, else the ends and the median."""
    if 0 < len(found.values) <= MOST_LABELS:
        cells = "".join(f"<span>{plain(value)}</span>" for value in found.values)
        return f'<div class="ends each">{cells}</div>'
    scale = " (logarithmic)" if found.log else ""
    middle = f"<span>median {plain(found.middle)}{scale}</span>"
    return (
        f'<div class="ends"><span>{plain(found.low)}</span>{middle}'
        f"<span>{plain(found.high)}</span></div>"
    )


def word_bars(values: Sequence[tuple[str, int]], total: int) -> str:
    """The most frequent values, and how many of ``total`` statements have another one."""
    most = max((times for _, times in values), default=0)
    lines = "".join(
        f'<li><span class="v">{bdi(value, 60)}</span>'
        f'<i class="bar"><b style="width:{100 * share_of(times, most):.1f}%"></b></i>'
        f'<span class="n">{times:,}</span></li>'
        for value, times in values
    )
    rest = total - sum(times for _, times in values)
    if rest > 0:
        lines += (
            f'<li class="rest"><span class="v">other values</span><i></i><span>{rest:,}</span></li>'
        )
    return f'<ul class="words">{lines}</ul>'


def sparkline(values: Sequence[int]) -> str:
    """A line that rises and falls with ``values``; nothing for fewer than two."""
    if len(values) < 2:
        return ""
    most = max(*values, 1)
    step = ACROSS / (len(values) - 1)
    heights = (TALL - 4 - (TALL - 8) * value / most for value in values)
    points = " ".join(f"{k * step:.1f},{y:.1f}" for k, y in enumerate(heights))
    return (
        f'<svg class="line" viewBox="0 0 {ACROSS:g} {TALL:g}" preserveAspectRatio="none" '
        f'role="img" aria-label="Elements by version">'
        f'<polygon points="0,{TALL:g} {points} {ACROSS:g},{TALL:g}"/>'
        f'<polyline points="{points}"/></svg>'
    )


def plain(number: Decimal) -> str:
    """``15,000``, ``2023`` (it may be a year) or ``0.35``; the very small and the very large in
    powers of ten."""
    if number and not Decimal("1e-6") <= abs(number) < Decimal("1e12"):
        return f"{number:.3g}"
    shown = round(number, min(6, max(0, 4 - number.adjusted()))).normalize()
    return f"{shown:,f}" if abs(shown) >= 10_000 else f"{shown:f}"


def _median(values: Sequence[tuple[Decimal, int]]) -> Decimal:
    half, passed = sum(times for _, times in values) / 2, 0
    for value, times in values:
        passed += times
        if passed >= half:
            return value
    return values[-1][0]
