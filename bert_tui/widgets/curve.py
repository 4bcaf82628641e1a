"""A chart of losses over steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Literal

from bert_tui.metrics.series import NO_SERIES, Axis, Series, fit_axis
from bert_tui.widgets.glyphs import glyphs
from bert_tui.widgets.raster import Cell, Raster
from bert_tui.widgets.rows import Row, Rows

LABEL_WIDTH = 6
"""Cells left of the drawing: a number of up to five characters and the axis."""

Kind = Literal["training", "validation", "baseline"]


@dataclass(frozen=True)
class Line:
    """One curve of a chart, and how the title names it."""

    kind: Kind
    label: str
    series: Series = NO_SERIES
    level: float | None = None
    """Instead of a series: the same value everywhere."""


class Curve(Rows):
    """Draws its lines again only when they changed."""

    DEFAULT_CSS = "Curve { height: 1fr; min-height: 4; }"

    def __init__(self, title: str, *, empty: str, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title = title
        self._empty = empty
        self._lines: tuple[Line, ...] = ()
        self._x = Axis(0, 16, 4)
        self._y: Axis | None = None

    def show(self, lines: Sequence[Line], x: Axis, *, empty: str | None = None) -> None:
        """Takes new lines; ``empty`` is said where there is nothing to draw."""
        given = (tuple(lines), x, self._empty if empty is None else empty)
        if given == (self._lines, self._x, self._empty):
            return
        self._lines, self._x, self._empty = given
        self._redraw()

    def on_resize(self) -> None:
        """Draws anew for another size."""
        self._redraw()

    def _redraw(self) -> None:
        if self.size:
            self.show_rows([_merged(row) for row in self._draw()])

    def _draw(self) -> list[list[Cell]]:
        width, height = self.size
        levels = [(line.level, line.level) for line in self._lines if line.level is not None]
        extents = [extent for line in self._lines if (extent := line.series.extent())]
        self._y = fit_axis([*extents, *levels] if extents else [], self._y)
        if self._y is None or width < LABEL_WIDTH + 8 or height < 4:
            return self._draw_empty(width, height)
        raster = Raster(width - LABEL_WIDTH, height - 2, self._x, self._y)
        for line in self._lines:
            if line.level is not None:
                raster.rule(line.level, line.kind)
            elif line.kind == "validation":
                raster.marks(line.series, line.kind)
            else:
                raster.line(line.series, line.kind, spread="faint")
        body = raster.cells(ascii_only=glyphs().ascii_only)
        labelled = [[*label, *row] for label, row in zip(self._labels(self._y, height - 2), body, strict=True)]
        return [self._legend(width), *labelled, self._step_labels(width)]

    def _draw_empty(self, width: int, height: int) -> list[list[Cell]]:
        middle: list[Cell] = [(character, "muted") for character in self._empty.center(width)[:width]]
        blank: list[Cell] = [(" ", "")] * width
        return [self._legend(width), *([middle if y == (height - 1) // 2 else blank for y in range(height - 1)])]

    def _legend(self, width: int) -> list[Cell]:
        """The title and the lines by their sign, name and colour."""
        rich = not glyphs().ascii_only
        signs = {"training": "", "validation": "● " if rich else "o ", "baseline": "╌ " if rich else "- "}
        cells: list[Cell] = [(character, "title") for character in self._title]
        for line in self._lines:
            label = f"  {signs[line.kind]}{line.label}"
            if line.label and (line.series.bins or line.level is not None) and len(cells) + len(label) <= width:
                cells += [(character, line.kind) for character in label]
        return (cells + [(" ", "")] * width)[:width]

    def _labels(self, axis: Axis, rows: int) -> list[list[Cell]]:
        """Left of each row: the value of the tick that falls into it, if any, and the axis."""
        texts = [""] * rows
        ticks = round((axis.high - axis.low) / axis.tick)
        every = max(1, -(-ticks * 2 // max(rows, 1)))
        for tick in range(0, ticks + 1, every):
            value = axis.low + tick * axis.tick
            texts[round((1 - axis.position(value)) * (rows - 1))] = axis.label(value)
        bar = glyphs().axis
        return [
            [(character, "muted") for character in f"{text:>{LABEL_WIDTH - 1}.{LABEL_WIDTH - 1}}{bar}"]
            for text in texts
        ]

    def _step_labels(self, width: int) -> list[Cell]:
        inner = width - LABEL_WIDTH
        left, right = f"{self._x.low:,.0f}", f"step {self._x.high:,.0f}"
        middle = f"{(self._x.low + self._x.high) / 2:,.0f}" if inner >= 36 else ""
        text = (left.ljust(inner // 2 - len(middle) // 2) + middle).ljust(inner - len(right)) + right
        corner = f"{glyphs().corner:>{LABEL_WIDTH}}"
        return [(character, "muted") for character in (corner + text)[:width].ljust(width)]


def _merged(row: list[Cell]) -> Row:
    """Cells of one style in a row, made one part."""
    return tuple(("".join(character for character, _ in cells), name) for name, cells in groupby(row, itemgetter(1)))
