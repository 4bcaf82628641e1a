"""Rows are filled as best fit, longest first, fills them, and no sample is lost."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.spec.packing import pack

CAPACITY = 40


def one_by_one(lengths: list[int]) -> int:
    """Rows that best fit needs, sample by sample."""
    spaces: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [space for space in spaces if space >= length]
        if fitting:
            spaces.remove(min(fitting))
        spaces.append((min(fitting) if fitting else CAPACITY) - length)
    return len(spaces)


@given(st.lists(st.integers(1, CAPACITY), max_size=80))
def test_as_good_as_one_by_one(lengths: list[int]) -> None:
    order, borders = pack(np.array(lengths, dtype=np.int64), CAPACITY)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert len(borders) - 1 == one_by_one(lengths)
    assert borders[0] == 0
    assert borders[-1] == len(lengths)
    for first, end in pairwise(borders.tolist()):
        assert 0 < sum(lengths[number] for number in order[first:end]) <= CAPACITY


@pytest.mark.parametrize("shortest", [3, 20, 100])
def test_rows_are_full(shortest: int) -> None:
    lengths = np.random.default_rng(0).integers(shortest, 129, size=20_000)
    _, borders = pack(lengths, 128)
    assert lengths.sum() / (128 * (len(borders) - 1)) > (0.95 if shortest < 64 else 0.8)  # 100 and 100 do not fit
