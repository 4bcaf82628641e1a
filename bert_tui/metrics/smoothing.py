"""Smoothing a curve: an exponential mean that is not biased by its beginning, or the mean of the last steps."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from bert_tui.metrics.series import Bin, Series


@dataclass(frozen=True)
class Smoothing:
    """How much. At most one of the two is set."""

    weight: float = 0.0
    """Of what came before, a step: 0.9 is about the last 10 steps, as on TensorBoard's slider."""
    steps: int = 0
    """The mean of so many steps."""

    @property
    def name(self) -> str:
        """For people; empty where nothing is smoothed."""
        if self.weight:
            return f"smoothed {self.weight:g}"
        return f"mean of {self.steps:,}" if self.steps else ""

    @property
    def lead(self) -> int:
        """So many steps before the first that is shown have a say in it (for the exponential: 99.3 % of it)."""
        return math.ceil(5 / (1 - self.weight)) if self.weight else self.steps


SMOOTHINGS = (
    Smoothing(),
    Smoothing(weight=0.9),
    Smoothing(weight=0.99),
    Smoothing(weight=0.999),
    Smoothing(steps=10),
    Smoothing(steps=100),
    Smoothing(steps=1000),
)


def smooth(series: Series, smoothing: Smoothing) -> Series:
    """The smoothed means, each drawn without spread. Gaps stay gaps and have no say in what follows."""
    if smoothing.weight:
        return _exponential(series, smoothing.weight)
    return _mean(series, smoothing.steps) if smoothing.steps else series


def _exponential(series: Series, weight: float) -> Series:
    """s_n = sum(w^(n-k) v_k) / sum(w^(n-k)), as Adam corrects its bias; a bin counts as often as it has steps."""
    total = share = 0.0
    before, bins = None, []
    for item in series.bins:
        kept = 1.0 if before is None else weight ** (item.step - before)
        before = item.step
        total, share = total * kept, share * kept
        if not item.is_gap:
            own = 1 - weight**series.width
            total, share = total + own * item.mean, share + own
        bins.append(_flat(item, total / share if share and not item.is_gap else math.nan))
    return Series(series.width, tuple(bins))


def _mean(series: Series, steps: int) -> Series:
    """Of the bins that begin within the last ``steps``."""
    held: deque[Bin] = deque()
    bins = []
    for item in series.bins:
        if not item.is_gap:
            held.append(item)
        while held and held[0].step <= item.step - max(steps, series.width):
            held.popleft()
        bins.append(_flat(item, math.nan if item.is_gap else math.fsum(one.mean for one in held) / len(held)))
    return Series(series.width, tuple(bins))


def _flat(item: Bin, value: float) -> Bin:
    return Bin(item.step, value, value, value)
