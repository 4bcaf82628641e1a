"""Curves against shapes that are known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_tui.metrics.series import Axis, Bin, Series, fit_axis, logarithmic_axis, step_axis
from bert_tui.widgets.raster import Raster

UNIT = Axis(0.0, 1.0, 0.25)


def drawn(
    series: Series, x: Axis, y: Axis = UNIT, *, ascii_only: bool = False, columns: int = 8, rows: int = 4
) -> list[str]:
    raster = Raster(columns, rows, x, y)
    raster.line(series, "line", spread="spread")
    return ["".join(character for character, _ in row) for row in raster.cells(ascii_only=ascii_only)]


def points(*values: float) -> Series:
    return Series(1, tuple(Bin(step, v, v, v) for step, v in enumerate(values)))


def test_a_rising_line() -> None:
    rising = points(*(step / 15 for step in range(16)))
    assert drawn(rising, Axis(0, 15, 5)) == ["      ⣠⠞", "    ⣠⠞⠁ ", "  ⣠⠞⠁   ", "⣠⠞⠁     "]
    assert drawn(rising, Axis(0, 15, 5), ascii_only=True) == ["      .:", "    .:' ", "  .:'   ", ".:'     "]


def test_a_flat_line_and_a_gap() -> None:
    assert drawn(points(*[0.0] * 16), Axis(0, 15, 5))[-1] == "⣀" * 8
    broken = points(*[0.0] * 6, *[math.nan] * 4, *[0.0] * 6)
    assert drawn(broken, Axis(0, 15, 5))[-1] == "⣀⣀⣀  ⣀⣀⣀"


def test_distant_points_are_joined() -> None:
    series = Series(1, (Bin(0, 0, 0, 0), Bin(15, 1, 1, 1)))
    assert drawn(series, Axis(0, 15, 5)) == drawn(points(*(step / 15 for step in range(16))), Axis(0, 15, 5))


def test_the_spread_of_a_bin_is_dotted_around_its_mean() -> None:
    series = Series(10, tuple(Bin(10 * n, 0.0, 1.0, 0.5) for n in range(16)))
    rows = drawn(series, Axis(0, 150, 50))
    assert rows[0] == "⠉" * 8
    assert rows[3] == "⣀" * 8
    assert not (set(rows[1] + rows[2]) - set(" ⣀⠉⠒⠤"))


def test_marks_lie_on_top_and_rules_beneath() -> None:
    raster = Raster(8, 4, Axis(0, 15, 5), UNIT)
    raster.line(points(*[0.5] * 16), "line", spread="spread")
    raster.marks(Series(1, (Bin(8, 0.5, 0.5, 0.5),)), "mark", "●")
    raster.rule(1.0, "rule")
    cells = raster.cells(ascii_only=False)
    assert cells[0][0] == ("╌", "rule")
    assert ("●", "mark") in cells[1] + cells[2]


anything = st.floats() | st.floats(0, 10)


@given(st.lists(st.tuples(anything, anything), max_size=40), st.integers(1, 30), st.integers(1, 10))
def test_no_series_breaks_the_drawing(pairs: list[tuple[float, float]], columns: int, rows: int) -> None:
    bins = []
    for step, (a, b) in enumerate(pairs):
        finite = math.isfinite(a) and math.isfinite(b)
        low, high = (min(a, b), max(a, b)) if finite else (math.nan, math.nan)
        bins.append(Bin(step, low, high, low))
    series = Series(1, tuple(bins))
    extent = series.extent()
    axis = fit_axis([extent] if extent else [])
    if axis is None:
        return
    result = drawn(series, step_axis(series.last_step, None), axis, columns=columns, rows=rows)
    assert [len(row) for row in result] == [columns] * rows


def test_axes_have_round_ends_and_seldom_move() -> None:
    axis = fit_axis([(4.93, 8.31)])
    assert axis == Axis(4.0, 9.0, 1.0)
    assert fit_axis([(5.2, 8.0)], axis) is axis
    assert fit_axis([(4.93, 9.4)], axis) == Axis(4.0, 10.0, 2.0)
    narrow = fit_axis([(5.0, 5.4)], axis)
    assert narrow is not None and (narrow.low, narrow.high, narrow.tick) == pytest.approx((4.9, 5.5, 0.1))
    assert fit_axis([(3.0, 3.0)]) is not None
    assert fit_axis([]) is None


@pytest.mark.parametrize(
    ("step", "total", "end"),
    [(0, 700, 22), (20, 700, 22), (100, 700, 175), (412, 700, 700), (700, 700, 700), (90, None, 128)],
)
def test_the_curve_fills_at_least_half_of_the_width(step: int, total: int | None, end: int) -> None:
    assert step_axis(step, total).high == end


def test_a_logarithmic_axis_has_round_ends_and_ticks() -> None:
    axis = logarithmic_axis([(0.012, 8.0), (-1.0, 3.0)])
    assert axis == Axis(0.01, 10.0, 10.0, logarithmic=True)
    assert axis is not None and axis.position(0.1) == pytest.approx(1 / 3)
    assert axis.ticks(4) == [0.01, 0.1, 1.0, 10.0]
    assert axis.ticks(10) == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]
    assert logarithmic_axis([(4.9, 8.1)]) == Axis(4.0, 9.0, 1.0, logarithmic=True)
    assert logarithmic_axis([(-1.0, 0.0)]) is None
