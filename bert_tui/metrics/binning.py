"""Lowest and highest values over stretches of steps, in memory that does not grow with the run."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bert_tui.metrics.series import Bin, Series

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BINS = 4096


class MinMaxBins:
    """One curve in a fixed number of bins of equal width; the width doubles as the run grows."""

    def __init__(self, *, gaps: bool, bins: int = BINS) -> None:
        """``gaps``: whether a value that is not finite breaks the curve; otherwise it is passed over.

        ``bins``: how many, a power of two.
        """
        self._gaps = gaps
        self._bins = bins
        self._width = 1
        self._low: Floats = np.full(bins, np.inf)
        self._high: Floats = np.full(bins, -np.inf)
        self._sum: Floats = np.zeros(bins)
        self._count: Integers = np.zeros(bins, dtype=np.int64)  # finite values
        self._seen = np.zeros(bins, dtype=np.bool_)

    @property
    def width(self) -> int:
        """Steps in a bin, a power of two."""
        return self._width

    def add(self, steps: Integers, values: Floats) -> None:
        """Takes up values; ``steps`` (n) rise strictly."""
        if not self._gaps:
            finite = np.isfinite(values)
            steps, values = steps[finite], values[finite]
        if not len(steps):
            return
        while steps[-1] >= self._bins * self._width:
            self._merge_pairs()
        index = steps // self._width
        starts = np.flatnonzero(np.diff(index, prepend=-1))
        where = index[starts]
        finite = np.isfinite(values)
        low = np.minimum.reduceat(np.where(finite, values, np.inf), starts)
        high = np.maximum.reduceat(np.where(finite, values, -np.inf), starts)
        self._low[where] = np.minimum(self._low[where], low)
        self._high[where] = np.maximum(self._high[where], high)
        self._sum[where] += np.add.reduceat(np.where(finite, values, 0.0), starts)
        self._count[where] += np.add.reduceat(finite.astype(np.int64), starts)
        self._seen[where] = True

    def forget_from(self, step: int) -> int:
        """Forgets the bins from the one of ``step`` on; gives the first step forgotten."""
        first = min(step // self._width, self._bins)
        self._clear(first)
        return first * self._width

    def series(self, most: int, low: int = 0, high: int | None = None) -> Series:
        """The curve from step ``low`` to ``high`` in at most ``most`` bins (a power of two), and one at each end."""
        used = int(np.flatnonzero(self._seen)[-1]) + 1 if self._seen.any() else 0
        end = used if high is None else min(used, high // self._width + 1)
        first = min(max(0, low) // self._width, end)
        group = 1
        while -(-(end - first) // group) > most:
            group *= 2
        first, end = first // group * group, -(-end // group) * group
        return self._grouped(slice(first, end), first, group)

    def _grouped(self, part: slice, first: int, group: int) -> Series:
        """The bins of a part, so many made one."""
        low = self._low[part].reshape(-1, group).min(axis=1)
        high = self._high[part].reshape(-1, group).max(axis=1)
        where = np.flatnonzero(self._seen[part].reshape(-1, group).any(axis=1))
        total, count = (
            self._sum[part].reshape(-1, group).sum(axis=1)[where],
            self._count[part].reshape(-1, group).sum(axis=1)[where],
        )
        gap = count == 0
        low, high = np.where(gap, np.nan, low[where]), np.where(gap, np.nan, high[where])
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.clip(total / np.where(gap, np.nan, count), low, high)
        width = self._width * group
        starts = (where * group + first) * self._width
        rows = zip(starts.tolist(), low.tolist(), high.tolist(), mean.tolist(), strict=True)
        return Series(width, tuple(Bin(*row) for row in rows))

    def _merge_pairs(self) -> None:
        half = self._bins // 2
        self._low[:half] = self._low.reshape(-1, 2).min(axis=1)
        self._high[:half] = self._high.reshape(-1, 2).max(axis=1)
        self._sum[:half] = self._sum.reshape(-1, 2).sum(axis=1)
        self._count[:half] = self._count.reshape(-1, 2).sum(axis=1)
        self._seen[:half] = self._seen.reshape(-1, 2).any(axis=1)
        self._clear(half)
        self._width *= 2

    def _clear(self, first: int) -> None:
        """Empties the bins from ``first`` on."""
        self._low[first:], self._high[first:] = np.inf, -np.inf
        self._sum[first:], self._count[first:], self._seen[first:] = 0.0, 0, False
