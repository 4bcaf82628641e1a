"""Putting several short samples into one row, so that little of it is padding.

Best fit, longest first: each sample goes where the least space is left over. Samples of one length are placed together,
so the time depends on how many lengths there are, and hardly on how many samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class _Rows:
    """Rows ``first`` .. ``first + count - 1``, all with the same space left."""

    first: int
    count: int


class _Spaces:
    """Rows by the space left in them. The best fitting are found by the bits of one whole number."""

    def __init__(self, capacity: int) -> None:
        self._rows: list[list[_Rows]] = [[] for _ in range(capacity + 1)]
        self._bits = 0  # bit n is set where _rows[n] is not empty
        self.opened = 0

    def put(self, space: int, rows: _Rows) -> None:
        if space and rows.count:
            self._rows[space].append(rows)
            self._bits |= 1 << space

    def best(self, length: int) -> int | None:
        """The smallest space in which ``length`` fits."""
        fitting = self._bits >> length
        return length + (fitting & -fitting).bit_length() - 1 if fitting else None

    def take(self, space: int, most: int) -> _Rows:
        """Up to ``most`` rows with just this space."""
        rows = self._rows[space].pop()
        if not self._rows[space]:
            self._bits ^= 1 << space
        self.put(space, _Rows(rows.first + most, max(0, rows.count - most)))
        return _Rows(rows.first, min(rows.count, most))

    def open(self, count: int) -> _Rows:
        """New rows."""
        self.opened += count
        return _Rows(self.opened - count, count)


def pack(lengths: NDArray[np.int64], capacity: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Best fit, longest first.

    Args:
        lengths: [P], each 1 .. ``capacity``.
        capacity: positions of a row.

    Returns:
        The samples in the order of the rows, [P], and where each row begins in it, [R + 1].
    """
    by_length = np.argsort(-lengths, kind="stable")  # [P]
    row = np.zeros(len(lengths), dtype=np.int64)  # [P], of each sample in that order
    spaces, placed = _Spaces(capacity), 0
    counts = np.bincount(lengths, minlength=capacity + 1)
    for length in np.flatnonzero(counts)[::-1].tolist():
        for rows, each in _place(length, int(counts[length]), capacity, spaces):
            row[placed : placed + rows.count * each] = np.repeat(np.arange(rows.first, rows.first + rows.count), each)
            placed += rows.count * each
    order = by_length[np.argsort(row, kind="stable")]
    return order, np.concatenate([[0], np.cumsum(np.bincount(row, minlength=spaces.opened))]).astype(np.int64)


def _place(length: int, count: int, capacity: int, spaces: _Spaces) -> Iterator[tuple[_Rows, int]]:
    """The rows that ``count`` samples of one length go to, and how many go to each. A row that has room for a second
    one fits it best, so each takes as many as it holds."""
    while count:
        space = spaces.best(length)
        each = (capacity if space is None else space) // length
        whole, each = (count // each, each) if count >= each else (1, count)
        rows = spaces.open(whole) if space is None else spaces.take(space, whole)
        spaces.put((capacity if space is None else space) - each * length, rows)
        count -= each * rows.count
        yield rows, each
