"""Drawing curves with characters: braille has 2 x 4 dots a cell; plain ASCII tells the upper half from the lower."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bert_tui.metrics.series import Axis, Series

Cell = tuple[str, str]
"""A character and the name of what it belongs to ("" for empty)."""

DOTS_WIDE, DOTS_HIGH = 2, 4
BETWEEN_LETTERS = 12
_BRAILLE = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # [column][row of dots from the top]
_UPPER, _LOWER = 0x01 | 0x02 | 0x08 | 0x10, 0x04 | 0x40 | 0x20 | 0x80


class Span(NamedTuple):
    """What falls on one column of dots, as positions from 0 (bottom) to 1 (top)."""

    column: int
    low: float
    high: float
    mean: float
    bins: int = 1


class Raster:
    """A drawing of ``columns`` x ``rows`` cells. What is drawn later lies on top."""

    def __init__(self, columns: int, rows: int, x: Axis, y: Axis) -> None:
        self._columns, self._rows = columns, rows
        self._x, self._y = x, y
        self._dots = [[0] * columns for _ in range(rows)]
        self._owner = [[""] * columns for _ in range(rows)]
        self._marks: dict[tuple[int, int], Cell] = {}
        self._rules: dict[int, str] = {}
        self._spread = ""
        self._cursor: int | None = None

    def rule(self, value: float, name: str) -> None:
        """A dashed line at a value, beneath everything."""
        position = self._y.position(value)
        if 0 <= position <= 1:
            self._rules[self._row(position) // DOTS_HIGH] = name

    def line(self, series: Series, name: str, *, spread: str = "") -> None:
        """The means, joined, broken at gaps; and as dots above and below them how far the values reach, if asked."""
        if spread:
            self._spread = spread
            self.dots(series, spread, means=False)
        for piece in self._pieces(series):
            before: Span | None = None
            for span in piece:
                for column, low, high in _joined(before, span):
                    for row in range(self._row(high), self._row(low) + 1):
                        self._dot(column, row, name)
                before = span

    def dots(self, series: Series, name: str, *, means: bool = True) -> None:
        """The ends of each bin, and its mean if asked, not joined."""
        for span in (span for piece in self._pieces(series) for span in piece):
            for height in (span.low, span.high, span.mean) if means else (span.low, span.high):
                self._dot(span.column, self._row(height), name)

    def marks(self, series: Series, name: str, sign: str) -> None:
        """A sign at the middle of each bin, on top of every line."""
        for piece in self._pieces(series):
            for span in piece:
                self._marks[span.column // DOTS_WIDE, self._row(span.mean) // DOTS_HIGH] = (sign, name)

    def letters(self, series: Series, name: str, letter: str, *, first: int) -> None:
        """A letter on the line every :data:`BETWEEN_LETTERS` columns from ``first`` on, so that no colour is needed."""
        for piece in self._pieces(series):
            before: Span | None = None
            for span in piece:
                for column, low, high in _joined(before, span):
                    cell = column // DOTS_WIDE
                    if column % DOTS_WIDE == 0 and cell % BETWEEN_LETTERS == first % BETWEEN_LETTERS:
                        self._marks[cell, self._row((low + high) / 2) // DOTS_HIGH] = (letter, name)
                before = span

    def cursor(self, x: float) -> None:
        """A line from top to bottom, beneath the curves."""
        position = self._x.position(x)
        if 0 <= position <= 1:
            self._cursor = round(position * (self._columns * DOTS_WIDE - 1)) // DOTS_WIDE

    def cells(self, *, ascii_only: bool) -> list[list[Cell]]:
        """Row by row, from the top."""
        return [[self._cell(column, row, ascii_only) for column in range(self._columns)] for row in range(self._rows)]

    def _cell(self, column: int, row: int, ascii_only: bool) -> Cell:
        if (mark := self._marks.get((column, row))) is not None:
            return mark
        spread_only = self._owner[row][column] == self._spread
        if (dots := self._dots[row][column]) and not (ascii_only and spread_only):
            return (_ascii(dots) if ascii_only else chr(0x2800 + dots), self._owner[row][column])
        if column == self._cursor:
            return ("|" if ascii_only else "│", "muted")
        if (rule := self._rules.get(row)) is not None and column % 2 == 0:
            return ("-" if ascii_only else "╌", rule)
        return (" ", "")

    def _pieces(self, series: Series) -> Iterator[list[Span]]:
        """Unbroken stretches, with the bins that fall on the same column of dots made one."""
        piece: list[Span] = []
        for item in series.bins:
            position = self._x.position(item.step)
            if item.is_gap:
                if piece:
                    yield piece
                piece = []
            elif 0 <= position <= 1:
                column = round(position * (self._columns * DOTS_WIDE - 1))
                low, high, mean = (self._height(value) for value in (item.low, item.high, item.mean))
                span = Span(column, low, high, mean)
                if piece and piece[-1].column == column:
                    span = _merged(piece.pop(), span)
                piece.append(span)
        if piece:
            yield piece

    def _height(self, value: float) -> float:
        """The position of a value, just outside where it lies far outside."""
        return min(1.1, max(-0.1, self._y.position(value)))

    def _dot(self, column: int, dot: int, name: str) -> None:
        row = dot // DOTS_HIGH
        self._dots[row][column // DOTS_WIDE] |= _BRAILLE[column % DOTS_WIDE][dot % DOTS_HIGH]
        self._owner[row][column // DOTS_WIDE] = name

    def _row(self, position: float) -> int:
        """The row of dots, from the top, at a position from the bottom; what lies outside is drawn at the edge."""
        return round((1 - min(1.0, max(0.0, position))) * (self._rows * DOTS_HIGH - 1))


def _merged(first: Span, second: Span) -> Span:
    bins = first.bins + second.bins
    mean = (first.mean * first.bins + second.mean * second.bins) / bins
    return Span(first.column, min(first.low, second.low), max(first.high, second.high), mean, bins)


def _joined(before: Span | None, span: Span) -> Iterator[tuple[int, float, float]]:
    """Column by column, the low and the high end of a line from ``before`` to ``span``."""
    if before is None:
        yield span.column, span.mean, span.mean
        return
    last = before.mean
    for column in range(before.column + 1, span.column + 1):
        share = (column - before.column) / (span.column - before.column)
        value = before.mean + (span.mean - before.mean) * share
        yield column, min(last, value), max(last, value)
        last = value


def _ascii(dots: int) -> str:
    if dots & _UPPER and dots & _LOWER:
        return ":"
    return "'" if dots & _UPPER else "."
