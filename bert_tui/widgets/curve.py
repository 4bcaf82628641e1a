"""A chart of values over steps, tokens or time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from bert_tui.metrics.chart_picture import Kind, Line, XUnit
from bert_tui.metrics.chart_words import LETTERS
from bert_tui.metrics.sentences import count, duration
from bert_tui.metrics.series import Axis, fit_axis, logarithmic_axis
from bert_tui.widgets.glyphs import glyphs
from bert_tui.widgets.raster import Cell, Raster
from bert_tui.widgets.rows import Row, Rows

LABEL_WIDTH = 6
"""Cells left of the drawing: a number of up to five characters and the axis."""


@dataclass(frozen=True)
class Scales:
    """How values and steps become places, and the place that is pointed at."""

    x: Axis
    unit: XUnit = "step"
    logarithmic: bool = False
    cursor: float | None = None


class Curve(Rows):
    """Draws its lines again only when they changed."""

    DEFAULT_CSS = "Curve { height: 1fr; min-height: 4; }"

    def __init__(self, title: str, *, empty: str, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[str, str, tuple[Line, ...], Scales] = (title, empty, (), Scales(Axis(0, 16, 4)))
        self._y: Axis | None = None

    def show(
        self, lines: Sequence[Line], scales: Axis | Scales, *, empty: str | None = None, title: str | None = None
    ) -> None:
        """Takes new lines; ``empty`` is said where there is nothing to draw."""
        scales = Scales(scales) if isinstance(scales, Axis) else scales
        old_title, old_empty, _, _ = self._shown
        given = (old_title if title is None else title, old_empty if empty is None else empty, tuple(lines), scales)
        if given == self._shown:
            return
        if given[0] != old_title:
            self._y = None
        self._shown = given
        self._redraw()

    def on_resize(self) -> None:
        """Draws anew for another size."""
        self._redraw()

    def _redraw(self) -> None:
        if self.size:
            self.show_rows([_merged(row) for row in self._draw()])

    def _draw(self) -> list[list[Cell]]:
        width, height = self.size
        _, _, lines, scales = self._shown
        self._y = self._fit()
        if self._y is None or width < LABEL_WIDTH + 8 or height < 4:
            return self._draw_empty(width, height)
        raster = Raster(width - LABEL_WIDTH, height - 2, scales.x, self._y)
        if scales.cursor is not None:
            raster.cursor(scales.cursor)
        for line in lines:
            _draw_line(raster, line)
        body = raster.cells(ascii_only=glyphs().ascii_only)
        labelled = [[*label, *row] for label, row in zip(_labels(self._y, height - 2), body, strict=True)]
        return [self._legend(width), *labelled, _x_labels(scales, width)]

    def _fit(self) -> Axis | None:
        """An axis for every value; None without a curve."""
        _, _, lines, scales = self._shown
        extents = [extent for line in lines if (extent := line.series.extent())]
        levels = [(line.level, line.level) for line in lines if line.level is not None]
        found = [*extents, *levels] if extents else []
        if scales.logarithmic:
            return logarithmic_axis(found)
        return fit_axis(found, None if self._y is None or self._y.logarithmic else self._y)

    def _draw_empty(self, width: int, height: int) -> list[list[Cell]]:
        middle: list[Cell] = [(character, "muted") for character in self._shown[1].center(width)[:width]]
        blank: list[Cell] = [(" ", "")] * width
        return [self._legend(width), *([middle if y == (height - 1) // 2 else blank for y in range(height - 1)])]

    def _legend(self, width: int) -> list[Cell]:
        """The title and the lines by their sign, name and colour; as many as fit, other runs first."""
        title, _, lines, _ = self._shown
        cells: list[Cell] = [(character, "title") for character in title]
        for line in sorted(lines, key=lambda line: LETTERS.get(line.kind, "other")):
            label = f"  {_sign(line.kind)}{line.label}"
            if line.label and (line.series.bins or line.level is not None) and len(cells) + len(label) <= width:
                cells += [(character, line.kind) for character in label]
        return (cells + [(" ", "")] * width)[:width]


def _draw_line(raster: Raster, line: Line) -> None:
    if line.level is not None:
        raster.rule(line.level, line.kind)
    elif line.kind == "validation":
        raster.marks(line.series, line.kind, _sign(line.kind).strip())
    elif line.kind == "raw":
        raster.dots(line.series, line.kind)
    elif line.kind in LETTERS:
        raster.line(line.series, line.kind)
        raster.letters(line.series, line.kind, LETTERS[line.kind], first=3 * list(LETTERS).index(line.kind))
    else:
        raster.line(line.series, line.kind, spread="faint")


def _sign(kind: Kind) -> str:
    """What stands before a line's name."""
    rich = not glyphs().ascii_only
    if kind in LETTERS:
        return f"{LETTERS[kind]} "
    return {"validation": "● " if rich else "o ", "baseline": "╌ " if rich else "- "}.get(kind, "")


def _labels(axis: Axis, rows: int) -> list[list[Cell]]:
    """Left of each row: the value of the tick that falls into it, if any, and the axis."""
    texts = [""] * rows
    for value in axis.ticks(rows // 2):
        texts[round((1 - axis.position(value)) * (rows - 1))] = axis.label(value)
    bar = glyphs().axis
    return [
        [(character, "muted") for character in f"{text:>{LABEL_WIDTH - 1}.{LABEL_WIDTH - 1}}{bar}"] for text in texts
    ]


def _x_labels(scales: Scales, width: int) -> list[Cell]:
    """Below the drawing: both ends and the middle."""
    inner, x = width - LABEL_WIDTH, scales.x
    left, right = _at(x.low, scales.unit), _at(x.high, scales.unit)
    right = {"step": f"step {right}", "tokens": f"{right} tokens", "time": f"after {right}"}[scales.unit]
    middle = _at((x.low + x.high) / 2, scales.unit) if inner >= 36 else ""
    text = (left.ljust(inner // 2 - len(middle) // 2) + middle).ljust(inner - len(right)) + right
    corner = f"{glyphs().corner:>{LABEL_WIDTH}}"
    return [(character, "muted") for character in (corner + text)[:width].ljust(width)]


def _at(value: float, unit: XUnit) -> str:
    if unit == "time":
        return duration(value)
    return count(value) if unit == "tokens" else f"{value:,.0f}"


def _merged(row: list[Cell]) -> Row:
    """Cells of one style in a row, made one part."""
    return tuple(("".join(character for character, _ in cells), name) for name, cells in groupby(row, itemgetter(1)))
