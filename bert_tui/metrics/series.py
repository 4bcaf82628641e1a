"""Curves as the screens get them: a bounded number of bins, and axes with round ends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

LARGEST = 1e12
"""Axes reach no further; what lies beyond is drawn at the edge."""


class Bin(NamedTuple):
    """A stretch of steps: the lowest, the highest and the mean value in it, all NaN where none was finite."""

    step: int
    """The first step of the stretch."""
    low: float
    high: float
    mean: float

    @property
    def is_gap(self) -> bool:
        """Whether the stretch had steps, and none with a finite value."""
        return math.isnan(self.low)


@dataclass(frozen=True)
class Series:
    """One curve. Stretches without any step are left out, so neighbours need not touch."""

    width: int = 1
    """Steps in a bin."""
    bins: tuple[Bin, ...] = ()

    @property
    def last_step(self) -> int:
        """The first step of the last bin; 0 while there is none."""
        return self.bins[-1].step if self.bins else 0

    def extent(self) -> tuple[float, float] | None:
        """Lowest and highest value; None while there is no finite one."""
        finite = [item for item in self.bins if not item.is_gap]
        return (min(item.low for item in finite), max(item.high for item in finite)) if finite else None


NO_SERIES = Series()
"""A curve without any step."""


@dataclass(frozen=True)
class Axis:
    """A range of values with round ends."""

    low: float
    high: float
    tick: float
    logarithmic: bool = False
    """Positions go by the logarithm; both ends are positive."""

    def position(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        if not self.logarithmic:
            return (value - self.low) / (self.high - self.low)
        if value <= 0:
            return 0.0
        return math.log(value / self.low) / math.log(self.high / self.low)

    def label(self, value: float) -> str:
        """``value`` with as many decimals as tell two ticks apart."""
        if self.logarithmic:
            return f"{value:.3g}"
        decimals = max(0, -math.floor(math.log10(self.tick) + 1e-9))
        return f"{value:.{decimals}f}" if decimals <= 4 and abs(value) < 1e6 else f"{value:.1e}"


def fit_axis(extents: Iterable[tuple[float, float]], before: Axis | None = None) -> Axis | None:
    """A linear axis for values between these extents; None without extents.

    The axis in use before stays while the values lie on it and fill at least two fifths of it, because a new range
    moves every point on the screen.
    """
    found = list(extents)
    if not found:
        return None
    low = max(-LARGEST, min(low for low, _ in found))
    high = min(LARGEST, max(high for _, high in found))
    if before and before.low <= low and high <= before.high and high - low >= 0.4 * (before.high - before.low):
        return before
    if before and before.low <= low and high <= before.high and before.tick <= _tick(low, high):
        return before
    tick = _tick(low, high)
    bottom = math.floor((low - 0.1 * tick) / tick) * tick
    top = math.ceil((high + 0.1 * tick) / tick) * tick
    return Axis(0.0 if low >= 0 > bottom else bottom, max(top, bottom + tick), tick)


def logarithmic_axis(extents: Iterable[tuple[float, float]]) -> Axis | None:
    """An axis over whole powers of ten; None where nothing positive is to be shown."""
    found = [(low, high) for low, high in extents if low > 0]
    if not found:
        return None
    bottom = 10.0 ** math.floor(math.log10(min(low for low, _ in found)))
    top = 10.0 ** math.ceil(math.log10(max(high for _, high in found)))
    return Axis(bottom, top if top > bottom else 10 * bottom, 10.0, logarithmic=True)


def step_axis(last_step: int, total: int | None) -> Axis:
    """The axis of steps from 0: the run's total halved as often as the curve still fits.

    So a curve always fills at least half of the width, and the axis changes only a few times in a run.
    """
    end = max(total or 0, last_step, 16)
    if not total or last_step > total:
        end = 1 << (end - 1).bit_length()
    while end // 2 >= max(last_step, 16):
        end = (end + 1) // 2
    return Axis(0.0, float(end), max(1.0, end / 4))


def _tick(low: float, high: float) -> float:
    """A round distance (1, 2 or 5 times a power of ten) that fits about four times between the two values."""
    span = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-9)
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next((factor * power for factor in (1.0, 2.0, 5.0) if factor * power >= 0.999 * span / 4), 10.0 * power)
