"""Where in ``metrics.bin`` the records of given steps stand, without reading them all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCK = 1024
"""Records that share one entry: ten million steps need 80 kB."""


class RecordIndex:
    """Keeps the lowest step of each block of records.

    A record stands while every later one has a higher step; a resume appends lower steps and so overrules what came
    before. Hence all standing records up to a step lie no later than the last block whose lowest step, or that of any
    block after it, is not above it.
    """

    def __init__(self) -> None:
        self._lowest: npt.NDArray[np.float64] = np.full(64, np.inf)  # (blocks,)
        self._blocks = 0

    def add(self, first: int, steps: npt.NDArray[np.float64]) -> None:
        """Takes up the steps (n) of the records from ``first`` on; infinite where a record is damaged."""
        if not len(steps):
            return
        self._blocks = (first + len(steps) - 1) // BLOCK + 1
        while self._blocks > len(self._lowest):
            self._lowest = np.concatenate((self._lowest, np.full(len(self._lowest), np.inf)))
        blocks = np.arange(first, first + len(steps)) // BLOCK
        starts = np.flatnonzero(np.diff(blocks, prepend=-1))
        lowest = np.minimum.reduceat(steps, starts)
        where = blocks[starts]
        self._lowest[where] = np.minimum(self._lowest[where], lowest)

    def records(self, low: int, high: int) -> tuple[int, int]:
        """The first record, and the one after the last, between which all standing records of these steps lie."""
        lowest_after = np.minimum.accumulate(self._lowest[: self._blocks][::-1])[::-1]
        first = int(np.searchsorted(lowest_after, low, side="right")) - 1
        last = int(np.searchsorted(lowest_after, high, side="right")) - 1
        return max(0, first) * BLOCK, (last + 1) * BLOCK
