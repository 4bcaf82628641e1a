"""A chart as it is asked for, and as it is given to be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bert_tui.metrics.charts import CHARTS, Chart
from bert_tui.metrics.series import NO_SERIES, Axis, Gap, Series
from bert_tui.metrics.smoothing import SMOOTHINGS, Smoothing
from bert_tui.metrics.window import Window

XUnit = Literal["step", "tokens", "time"]
Kind = Literal["training", "raw", "validation", "first", "second", "third", "reference", "baseline"]
OVERLAYS: tuple[Kind, ...] = ("first", "second", "third")


@dataclass(frozen=True)
class ChartWish:
    """What is to be shown."""

    chart: Chart = CHARTS[0]
    logarithmic: bool = False
    x: XUnit = "step"
    smoothing: Smoothing = SMOOTHINGS[0]
    window: Window | None = None
    """These steps; or else the last ``recent``, or else all."""
    recent: int | None = None
    cursor: int | None = None
    """The step whose values are told; or else the last."""
    overlays: tuple[Path, ...] = ()
    """Directories of other runs, at most three."""


@dataclass(frozen=True)
class Line:
    """One curve, placed on the chart's own x axis."""

    kind: Kind
    label: str
    series: Series = NO_SERIES
    level: float | None = None
    """Instead of a series: the same value everywhere."""


@dataclass(frozen=True)
class Reading:
    """The exact values at one step."""

    step: int
    value: float
    """NaN where it was no finite number."""
    validation: tuple[int, float] | None
    """The last one up to there: its step and value."""
    tokens: float
    seconds: float
    """Since the run's first step."""
    others: tuple[tuple[Kind, float], ...]
    """Of the runs laid over it, and of the reference."""


@dataclass(frozen=True)
class ChartPicture:
    """A chart at one moment."""

    wish: ChartWish
    window: Window
    end: int
    """The last step of any curve: how far one can look."""
    x: Axis
    lines: tuple[Line, ...] = ()
    """In the order in which they are drawn."""
    cursor: float | None = None
    """Where on the x axis."""
    reading: Reading | None = None
    gaps: tuple[Gap, ...] = ()
    """Stretches of steps in the window that had no finite value."""
    verdict: str = ""
    no_reference: str = ""
    """A sentence on why there is no recorded curve to compare with; empty where there is, and on other charts."""
