"""Which steps had no finite loss, exactly, in bounded memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bert_tui.metrics.series import Gap

KEPT = 1000
"""Stretches remembered; of a run with more, the last ones."""


class GapList:
    """The gaps of one curve, in rising order."""

    def __init__(self) -> None:
        self._gaps: list[Gap] = []
        self._last_step = -1

    def add(self, steps: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> None:
        """Takes up values; ``steps`` (n) rise strictly and lie above all before."""
        if not len(steps):
            return
        bad = ~np.isfinite(values)
        edges = np.flatnonzero(np.diff(np.concatenate(([False], bad, [False])).astype(np.int8)))
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            self._append(Gap(int(steps[begin]), int(steps[end - 1])), joins=begin == 0)
        self._last_step = int(steps[-1])
        del self._gaps[:-KEPT]

    def forget_from(self, step: int) -> None:
        """Forgets what is known of the steps from ``step`` on."""
        self._gaps = [Gap(gap.first, min(gap.last, step - 1)) for gap in self._gaps if gap.first < step]
        self._last_step = min(self._last_step, step - 1)

    def between(self, low: int, high: int) -> tuple[Gap, ...]:
        """Those that touch the steps from ``low`` to ``high``."""
        return tuple(gap for gap in self._gaps if gap.last >= low and gap.first <= high)

    def _append(self, gap: Gap, *, joins: bool) -> None:
        """``joins``: whether no finite value lies between it and what came before this call."""
        if joins and self._gaps and self._gaps[-1].last == self._last_step:
            gap = Gap(self._gaps.pop().first, gap.last)
        self._gaps.append(gap)
