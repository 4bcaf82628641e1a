"""Drawing curves with characters: braille has 2 x 4 dots a cell; plain ASCII tells the upper half from the lower."""

from __future__ import annotations

from collections.abc import Iterator

from bert_tui.metrics.series import Axis, Series

Cell = tuple[str, str]
"""A character and the name of what it belongs to ("" for empty)."""

DOTS_WIDE, DOTS_HIGH = 2, 4
_BRAILLE = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # [column][row of dots from the top]
_UPPER, _LOWER = 0x01 | 0x02 | 0x08 | 0x10, 0x04 | 0x40 | 0x20 | 0x80

Span = tuple[int, float, float]
"""A column of dots, and the lowest and highest position (0 to 1) in it."""


class Raster:
    """A drawing of ``columns`` x ``rows`` cells. What is drawn later lies on top."""

    def __init__(self, columns: int, rows: int, x: Axis, y: Axis) -> None:
        self._columns, self._rows = columns, rows
        self._x, self._y = x, y
        self._dots = [[0] * columns for _ in range(rows)]
        self._owner = [[""] * columns for _ in range(rows)]
        self._marks: dict[tuple[int, int], str] = {}
        self._rules: dict[int, str] = {}

    def rule(self, value: float, name: str) -> None:
        """A dashed line at a value, beneath everything."""
        position = self._y.position(value)
        if 0 <= position <= 1:
            self._rules[self._row(position) // DOTS_HIGH] = name

    def line(self, series: Series, name: str) -> None:
        """A joined line, broken at gaps; a bin is as high as its values reach."""
        for piece in self._pieces(series):
            before: Span | None = None
            for span in piece:
                for column, low, high in _joined(before, span):
                    self._column(column, low, high, name)
                before = span

    def marks(self, series: Series, name: str) -> None:
        """A mark at the middle of each bin, on top of every line."""
        for piece in self._pieces(series):
            for column, low, high in piece:
                self._marks[column // DOTS_WIDE, self._row((low + high) / 2) // DOTS_HIGH] = name

    def cells(self, *, ascii_only: bool) -> list[list[Cell]]:
        """Row by row, from the top."""
        return [[self._cell(column, row, ascii_only) for column in range(self._columns)] for row in range(self._rows)]

    def _cell(self, column: int, row: int, ascii_only: bool) -> Cell:
        if (mark := self._marks.get((column, row))) is not None:
            return ("o" if ascii_only else "●", mark)
        if dots := self._dots[row][column]:
            return (_ascii(dots) if ascii_only else chr(0x2800 + dots), self._owner[row][column])
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
                low, high = self._y.position(item.low), self._y.position(item.high)
                if piece and piece[-1][0] == column:
                    low, high = min(low, piece[-1][1]), max(high, piece[-1][2])
                    piece.pop()
                piece.append((column, low, high))
        if piece:
            yield piece

    def _column(self, column: int, low: float, high: float, name: str) -> None:
        for dot in range(self._row(high), self._row(low) + 1):
            row = dot // DOTS_HIGH
            self._dots[row][column // DOTS_WIDE] |= _BRAILLE[column % DOTS_WIDE][dot % DOTS_HIGH]
            self._owner[row][column // DOTS_WIDE] = name

    def _row(self, position: float) -> int:
        """The row of dots, from the top, at a position from the bottom; what lies outside is drawn at the edge."""
        return round((1 - min(1.0, max(0.0, position))) * (self._rows * DOTS_HIGH - 1))


def _joined(before: Span | None, span: Span) -> Iterator[Span]:
    """The spans that lead from ``before`` to ``span``, both ends touching, and ``span`` itself."""
    column, low, high = span
    if before is None:
        yield span
        return
    start, start_low, start_high = before
    if start_high < low:
        here, there = start_high, low
    elif start_low > high:
        here, there = start_low, high
    else:
        here = there = (max(low, start_low) + min(high, start_high)) / 2
    last = here
    for between in range(start + 1, column):
        value = here + (there - here) * (between - start) / (column - start)
        yield between, min(last, value), max(last, value)
        last = value
    yield column, min(low, last), max(high, last)


def _ascii(dots: int) -> str:
    if dots & _UPPER and dots & _LOWER:
        return ":"
    return "'" if dots & _UPPER else "."
