"""Smoothing against its formulas."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_tui.metrics.series import Bin, Series
from bert_tui.metrics.smoothing import SMOOTHINGS, Smoothing, smooth


def points(*values: float) -> Series:
    return Series(1, tuple(Bin(step, v, v, v) for step, v in enumerate(values)))


def means(series: Series) -> list[float]:
    return [item.mean for item in series.bins]


def test_the_exponential_mean_is_not_biased_by_its_beginning() -> None:
    values = [4.0, 2.0, 7.0, 1.0]
    expected = [
        sum(0.9 ** (n - k) * v for k, v in enumerate(values[: n + 1])) / sum(0.9**k for k in range(n + 1))
        for n in range(4)
    ]
    assert means(smooth(points(*values), Smoothing(weight=0.9))) == pytest.approx(expected)


def test_bins_count_as_often_as_they_have_steps() -> None:
    single = smooth(points(*[3.0] * 50, *[5.0] * 50), Smoothing(weight=0.9))
    tens = Series(10, tuple(Bin(10 * n, v, v, v) for n, v in enumerate([3.0] * 5 + [5.0] * 5)))
    assert smooth(tens, Smoothing(weight=0.9)).bins[-1].mean == pytest.approx(single.bins[-1].mean)


def test_the_mean_of_the_last_steps() -> None:
    smoothed = smooth(points(*map(float, range(30))), Smoothing(steps=10))
    assert means(smoothed)[:3] == [0.0, 0.5, 1.0]
    assert means(smoothed)[-1] == pytest.approx(24.5)


anything = st.floats(-1e6, 1e6) | st.just(math.nan)


@given(st.lists(anything, max_size=60), st.sampled_from(SMOOTHINGS[1:]))
def test_gaps_stay_and_nothing_leaves_the_range(values: list[float], smoothing: Smoothing) -> None:
    smoothed = means(smooth(points(*values), smoothing))
    finite = [value for value in values if math.isfinite(value)]
    for before, after in zip(values, smoothed, strict=True):
        assert math.isnan(before) == math.isnan(after)
        assert math.isnan(after) or min(finite) - 1e-6 <= after <= max(finite) + 1e-6
