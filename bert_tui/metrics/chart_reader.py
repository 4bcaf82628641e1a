"""One chart of a run, ready to be drawn: what the screen of curves and the pictures show."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bert_tui.metrics.chart_picture import OVERLAYS, ChartPicture, ChartWish, Kind, Line, Reading, XUnit
from bert_tui.metrics.charts import Chart
from bert_tui.metrics.comparison import preset_of
from bert_tui.metrics.follow import MetricsFollower
from bert_tui.metrics.normality import verdict
from bert_tui.metrics.reference import NoReference, Reference, reference_for
from bert_tui.metrics.series import Axis, Series, round_up, step_axis
from bert_tui.metrics.smoothing import smooth
from bert_tui.metrics.window import Window, last_steps
from trainer.spec.records import Progress, read_record
from trainer.spec.run_directory import RunDirectory

BINS = 32768
"""Of each curve in memory. A window that shows few of them is read from the file again."""
SHOWN = 512
"""Most bins drawn."""
KEPT_FILES = 12
"""Followed at once, about 4 MB each."""


@dataclass
class _Place:
    """Where steps lie on the x axis."""

    steps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def of(self, steps: Iterable[float]) -> list[float]:
        """Between known steps on a straight line."""
        if not self.steps:
            return list(steps)
        placed: list[float] = np.interp(list(steps), self.steps, self.values).tolist()
        return placed


class ChartReader:
    """Reads what a chart needs. One thread at a time."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self._followers: dict[tuple[Path, str], MetricsFollower] = {}
        preset = preset_of(run)
        self._reference = reference_for(preset)

    def read(self, wish: ChartWish) -> ChartPicture:
        """Reads on in the files concerned and gives the chart."""
        own = self._follow(self.run, wish.chart)
        others = [self._follow(RunDirectory(path), wish.chart) for path in wish.overlays]
        attempt = self.run.latest()
        progress = read_record(Progress, attempt.progress) if attempt else None
        reference = self._usable_reference(wish)
        end = max(own.last_step, 1, *(other.last_step for other in others))
        if reference is not None:
            end = max(end, reference.lm_loss[-1][0])
        window, x = self._window(own, wish, progress.total_steps if progress else None)
        lines = [*self._own_lines(own, wish, window, progress), *_other_lines(others, wish, window)]
        if reference is not None:
            lines.insert(0, Line("reference", f"{reference.name}'s recorded run", reference.series))
        cursor = None if wish.cursor is None else window.holding(min(wish.cursor, max(own.last_step, 0)))
        place = _place(own, wish.x, window)
        return ChartPicture(
            wish,
            window,
            end,
            x,
            tuple(sorted(lines, key=_depth)),
            None if cursor is None else place.of([cursor])[0],
            _reading(own, others, reference, wish, own.last_step if cursor is None else cursor),
            own.gaps(wish.chart.key, window.low, window.high) if wish.chart.gaps else (),
            *self._judge(own, wish),
        )

    def _follow(self, run: RunDirectory, chart: Chart) -> MetricsFollower:
        """A follower for each run and chart, read to the end; the one not used for longest makes room."""
        key = (run.path, chart.key)
        follower = self._followers.pop(key, None) or MetricsFollower(run.metrics, chart.columns, bins=BINS)
        self._followers[key] = follower
        while len(self._followers) > KEPT_FILES:
            del self._followers[next(iter(self._followers))]
        follower.poll()
        return follower

    def _usable_reference(self, wish: ChartWish) -> Reference | None:
        """Recorded by step only, and of the MLM loss only."""
        usable = wish.chart.key == "lm_loss" and wish.x == "step" and isinstance(self._reference, Reference)
        return self._reference if usable and isinstance(self._reference, Reference) else None

    def _judge(self, own: MetricsFollower, wish: ChartWish) -> tuple[str, str]:
        if wish.chart.key != "lm_loss":
            return "", ""
        if isinstance(self._reference, NoReference):
            return verdict(own.curve("lm_loss"), None), self._reference.why
        return verdict(own.curve("lm_loss"), self._reference), ""

    def _window(self, own: MetricsFollower, wish: ChartWish, total: int | None) -> tuple[Window, Axis]:
        last = max(own.last_step, 1)
        if wish.window is not None:
            window = wish.window
        elif wish.recent is not None:
            window = last_steps(last, wish.recent)
        else:
            axis = step_axis(last, total)
            window = Window(0, int(axis.high))
            if wish.x == "step":
                return window, axis
        low, high = _place(own, wish.x, window).of([window.low, window.high])
        if wish.window is None and wish.recent is None:
            low, high = 0.0, round_up(high)
        high = max(high, low + 1e-3)
        return window, Axis(low, high, (high - low) / 4)

    def _own_lines(
        self, own: MetricsFollower, wish: ChartWish, window: Window, progress: Progress | None
    ) -> list[Line]:
        chart, lines = wish.chart, _curve_lines(own, wish, window, "training", "")
        if chart.validation:
            series = own.window(window.low, window.high, SHOWN)[chart.validation]
            lines.append(Line("validation", "validation", _placed(series, _place(own, wish.x, window))))
        if chart.level is not None:
            lines.append(Line("baseline", chart.level_name, level=chart.level))
        words = progress.validation.unigram_loss if progress and progress.validation else None
        if chart.key == "lm_loss" and words is not None:
            lines.append(Line("baseline", f"word frequency {words:.2f}", level=words))
        return lines if wish.window is None and wish.recent is None else _without_far_levels(lines)


def _without_far_levels(lines: list[Line]) -> list[Line]:
    """A close look is not to be flattened by a level that lies elsewhere."""
    extents = [extent for line in lines if (extent := line.series.extent())]
    low, high = min((low for low, _ in extents), default=0.0), max((high for _, high in extents), default=0.0)
    return [line for line in lines if line.level is None or low <= line.level <= high]


def _other_lines(others: list[MetricsFollower], wish: ChartWish, window: Window) -> list[Line]:
    lines: list[Line] = []
    for other, path, role in zip(others, wish.overlays, OVERLAYS, strict=False):
        lines += _curve_lines(other, wish, window, role, path.name.split("-", 2)[-1])
    return lines


def _curve_lines(follower: MetricsFollower, wish: ChartWish, window: Window, role: Kind, label: str) -> list[Line]:
    """A run's curve; smoothed, with the raw one behind it where it is this run's own."""
    place, key = _place(follower, wish.x, window), wish.chart.key
    raw = _placed(follower.window(window.low, window.high, SHOWN)[key], place)
    if not wish.smoothing.lead:
        return [Line(role, label, raw)]
    low, width = max(0, window.low - wish.smoothing.lead), max(1, window.width // SHOWN)
    longer = follower.window(low, window.high, _power_of_two((window.high - low) // width))[key]
    smoothed = smooth(longer, wish.smoothing)
    shown = Series(smoothed.width, tuple(item for item in smoothed.bins if item.step >= window.low - smoothed.width))
    lines = [Line(role, label, _placed(shown, place))]
    return [Line("raw", "not smoothed", raw), *lines] if role == "training" else lines


def _reading(
    own: MetricsFollower, others: list[MetricsFollower], reference: Reference | None, wish: ChartWish, step: int
) -> Reading | None:
    chart = wish.chart
    exact = own.record(step)
    if chart.key not in exact:
        return None
    at = (int(exact["step"]), exact[chart.key]) if chart.gaps else own.last_finite(chart.key, step)
    if at is None:
        return None
    values: list[tuple[Kind, float]] = []
    for role, other in zip(OVERLAYS, others, strict=False):
        if step <= other.last_step and chart.key in (found := other.record(step)):
            values.append((role, found[chart.key]))
    if reference is not None and (there := reference.loss_at(step)) is not None:
        values.append(("reference", there))
    return Reading(
        *at,
        validation=own.last_finite(chart.validation, step) if chart.validation else None,
        tokens=exact.get("tokens", math.nan),
        seconds=exact.get("time", math.nan) - (math.nan if own.first_time is None else own.first_time),
        others=tuple(values),
    )


def _place(follower: MetricsFollower, unit: XUnit, window: Window) -> _Place:
    """Tokens or seconds by step, read off the run's own records."""
    if unit == "step":
        return _Place()
    bins = [item for item in follower.window(window.low, window.high, SHOWN)[unit].bins if not item.is_gap]
    start = (follower.first_time or 0.0) if unit == "time" else 0.0
    steps = [item.step for item in bins]
    values = [item.low - start for item in bins]
    if bins and follower.last_step > steps[-1]:
        steps.append(float(follower.last_step))
        values.append(bins[-1].high - start)
    return _Place(steps, np.maximum.accumulate(values).tolist() if values else [])


def _placed(series: Series, place: _Place) -> Series:
    if not place.steps:
        return series
    moved = place.of(item.step for item in series.bins)
    return Series(series.width, tuple(item._replace(step=x) for item, x in zip(series.bins, moved, strict=True)))


def _power_of_two(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()


def _depth(line: Line) -> int:
    """What lies on top comes last."""
    order: tuple[Kind, ...] = ("baseline", "raw", "reference", *reversed(OVERLAYS), "training", "validation")
    return order.index(line.kind)
