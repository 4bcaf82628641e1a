"""Putting several short samples into one row, so that little of it is padding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

WINDOW = 8192
"""Samples packed together. Rows mix samples of one window only, so the order stays as random as it was."""


def pack(
    lengths: NDArray[np.int64], capacity: int, report: Callable[[int], None]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Best fit, longest first, window by window.

    Args:
        lengths: [P], each at most ``capacity``.
        capacity: positions of a row.
        report: called with the number of samples packed so far.

    Returns:
        The samples in the order of the rows, [P], and where each row begins in it, [R + 1].
    """
    order: list[int] = []
    starts = [0]
    for first in range(0, len(lengths), WINDOW):
        for row in _pack_window(lengths[first : first + WINDOW], capacity):
            order += [first + number for number in row]
            starts.append(len(order))
        report(len(order))
    return np.array(order, dtype=np.int64), np.array(starts, dtype=np.int64)


def _pack_window(lengths: NDArray[np.int64], capacity: int) -> list[list[int]]:
    """Rows of sample numbers. The rows with ``space`` positions left are found by the bits of one whole number."""
    rows: list[list[int]] = []
    rows_with: list[list[int]] = [[] for _ in range(capacity + 1)]
    spaces = 0  # bit n is set where rows_with[n] is not empty
    for number in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[number])
        fitting = spaces >> length
        if fitting:
            space = length + (fitting & -fitting).bit_length() - 1
            row = rows_with[space].pop()
            if not rows_with[space]:
                spaces ^= 1 << space
        else:
            space, row = capacity, len(rows)
            rows.append([])
        rows[row].append(number)
        rest = space - length
        rows_with[rest].append(row)
        spaces |= 1 << rest
    return rows
