"""Curves as the screens get them: a bounded number of bins, and axes with round ends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

LARGEST = 1e12
"""Axes reach no further; what lies beyond is drawn at the edge."""


class Bin(NamedTuple):
    """A stretch of steps: the lowest, the highest and the mean value in it, all NaN where none was finite."""

    step: float
    """Where the stretch begins: its first step; on another axis than that of steps, its tokens or seconds."""
    low: float
    high: float
    mean: float

    @property
    def is_gap(self) -> bool:
        """Whether the stretch had steps, and none with a finite value."""
        return math.isnan(self.low)


class Gap(NamedTuple):
    """Neighbouring steps without a finite value."""

    first: int
    last: int


@dataclass(frozen=True)
class Series:
    """One curve. Stretches without any step are left out, so neighbours need not touch."""

    width: int = 1
    """Steps in a bin."""
    bins: tuple[Bin, ...] = ()

    @property
    def last_step(self) -> int:
        """The first step of the last bin; 0 while there is none."""
        return int(self.bins[-1].step) if self.bins else 0

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

    @property
    def _has_linear_ticks(self) -> bool:
        """Also on a logarithmic axis of less than a power of ten."""
        return not self.logarithmic or self.high < 10 * self.low

    def ticks(self, most: int) -> list[float]:
        """Round values on the axis, from low to high, at most about ``most`` of them."""
        if self._has_linear_ticks:
            count = round((self.high - self.low) / self.tick)
            every = max(1, -(-count // max(most, 1)))
            return [self.low + number * self.tick for number in range(0, count + 1, every)]
        values = [value for value in _round_values(self.low, self.high) if self.low <= value <= self.high]
        every = max(1, -(-len(values) // max(most, 1)))
        return values[::every]

    def label(self, value: float) -> str:
        """``value`` with as many decimals as tell two ticks apart."""
        if not self._has_linear_ticks:
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
    """An axis between 1, 2 or 5 times powers of ten, or with closer ends where values lie within one power of ten.

    None where nothing positive is to be shown.
    """
    found = [(low, high) for low, high in extents if high > 0]
    if not found:
        return None
    top = min(LARGEST, max(high for _, high in found))
    bottom = max(1 / LARGEST, min((low for low, _ in found if low > 0), default=top / 1e3))
    near = fit_axis([(bottom, top)])
    if near is not None and near.low > 0 and near.high < 10 * near.low:
        return replace(near, logarithmic=True)
    values = _round_values(bottom, top)
    low = max(value for value in values if value <= bottom)
    high = min(value for value in values if value >= top and value > low)
    return Axis(low, high, 10.0, logarithmic=True)


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


def round_up(value: float) -> float:
    """The next round number: 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((factor * power for factor in (1, 1.5, 2, 3, 4, 5, 6, 8) if factor * power >= value), 10 * power)


def _tick(low: float, high: float) -> float:
    """A round distance (1, 2 or 5 times a power of ten) that fits about four times between the two values."""
    span = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-9)
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next((factor * power for factor in (1.0, 2.0, 5.0) if factor * power >= 0.999 * span / 4), 10.0 * power)


def _round_values(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten, from below ``low`` (above 0) to beyond ``high``."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    return [float(f"{factor}e{power}") for power in powers for factor in (1, 2, 5)]
