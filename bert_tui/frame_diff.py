"""Sending only the cells that changed.

Textual sends a refreshed widget whole. Over a slow line that is ten times more than has to be said, so this mixin
stands between its compositor and the terminal: it keeps what the terminal shows, cell by cell, and sends the
difference. It overrides ``App._display``, which is private: Textual is pinned, and ``tests/test_frame_diff.py``
compares the resulting screens with stock Textual's. ``BERT_TUI_FRAME_DIFF=0`` turns it off.

Frames that a terminal is too slow for are left out; it gets the newest once it has taken the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.screen import Screen
from textual.strip import Strip

from bert_tui.terminal import TerminalDriver

if TYPE_CHECKING:
    Base = App[int]
else:
    Base = object

Cell = tuple[str, str]
"""A character, or "" for the right half of a wide one, and its style as SGR parameters."""
Placed = tuple[int, int, Strip]
"""Column, row and what is drawn from there on."""

GAP = 4
"""So many unchanged cells of the same style are sent again rather than jumped over: a jump costs as much."""


class ShownFrame:
    """What the terminal shows; None where that is not known."""

    def __init__(self) -> None:
        self._rows: list[list[Cell | None]] = []

    def forget(self) -> None:
        """The terminal was cleared, resized or used by somebody else."""
        self._rows = []

    def draw(self, strips: Iterator[Placed], colours: ColorSystem) -> str:
        """Takes up what is to be shown; gives what has to be sent."""
        changed: dict[int, set[int]] = {}
        for column, row, strip in strips:
            changed.setdefault(row, set()).update(self._place(column, row, _cells(strip, colours)))
        sent, style = [], ""
        for row in sorted(changed):
            text, style = _ChangedRow(row, self._rows[row]).send(sorted(changed[row]), style)
            sent.append(text)
        return "".join(sent) + _turn(style, "")

    def _place(self, column: int, row: int, cells: list[Cell]) -> Iterator[int]:
        """Changes the row; yields the columns that differ."""
        self._rows.extend([] for _ in range(row + 1 - len(self._rows)))
        shown = self._rows[row]
        shown.extend([None] * (column + len(cells) - len(shown)))
        for position, cell in enumerate(cells, column):
            if shown[position] != cell:
                shown[position] = cell
                yield position


class _ChangedRow:
    """Escape sequences for changed cells of one row."""

    def __init__(self, row: int, shown: list[Cell | None]) -> None:
        self._row = row
        self._shown = shown

    def send(self, columns: list[int], style: str) -> tuple[str, str]:
        """Moves, styles and characters, and the style that is on at the end; ``style`` is on at the beginning."""
        sent: list[str] = []
        for first, last in self._runs(columns):
            sent.append(f"\x1b[{first + 1}G" if sent else f"\x1b[{self._row + 1};{first + 1}H")
            for column, (text, sgr) in self._known(first, last):
                if sgr != style:
                    sent.append(_turn(style, sgr))
                    style = sgr
                sent.append(text)
                if len(text) > 1:  # terminals differ about the width of clusters
                    sent.append(f"\x1b[{self._tail(column) + 2}G")
        return "".join(sent), style

    def _known(self, first: int, last: int) -> Iterator[tuple[int, Cell]]:
        for column in range(first, last + 1):
            cell = self._shown[column]
            if cell is not None and cell[0]:
                yield column, cell

    def _runs(self, columns: list[int]) -> Iterator[tuple[int, int]]:
        """First and last column of what is sent at a stretch; the halves of a wide character stay together."""
        first = last = -1
        for column in columns:
            column = self._head(column)
            if last >= 0 and column <= last:
                continue
            if last < 0 or not self._is_bridge(last + 1, column):
                if last >= 0:
                    yield first, last
                first = column
            last = self._tail(column)
        if last >= 0:
            yield first, last

    def _is_bridge(self, start: int, end: int) -> bool:
        between = self._shown[start:end]
        around = {_style(self._shown[start - 1]), _style(self._shown[end])}
        return len(between) <= GAP and all(
            cell is not None and len(cell[0].encode()) == 1 and {cell[1]} == around for cell in between
        )

    def _head(self, column: int) -> int:
        while column > 0 and (cell := self._shown[column]) is not None and not cell[0]:
            column -= 1
        return column

    def _tail(self, column: int) -> int:
        while column + 1 < len(self._shown) and (cell := self._shown[column + 1]) is not None and not cell[0]:
            column += 1
        return column


@lru_cache(maxsize=4096)
def _turn(before: str, after: str) -> str:
    """The shortest sequence that turns one style into another."""
    if before == after:
        return ""
    if not after:
        return "\x1b[m"
    old, new = _parts(before), _parts(after)
    changes = [now for was, now in zip(old, new, strict=True) if was != now]
    if old[0] == new[0] and all(changes):  # the same attributes, other colours
        return f"\x1b[{';'.join(changes)}m"
    return f"\x1b[0;{after}m" if before else f"\x1b[{after}m"


def _parts(sgr: str) -> tuple[str, str, str]:
    """Attributes, foreground and background of SGR parameters; empty where not given."""
    attributes, foreground, background = [], "", ""
    parameters = sgr.split(";") if sgr else []
    while parameters:
        first = parameters.pop(0)
        if first in ("38", "48"):  # a colour of the palette, or red, green and blue
            taken = 2 if parameters[0] == "5" else 4
            colour = ";".join([first, *parameters[:taken]])
            del parameters[:taken]
        else:
            colour = first
        if first[0] in "39" and len(first) == 2:
            foreground = colour
        elif (first[0] == "4" and len(first) == 2) or len(first) == 3:
            background = colour
        else:
            attributes.append(first)
    return ";".join(attributes), foreground, background


class _Difference(CompositorUpdate):
    """Stands for an update of the compositor and renders to what has to be sent for it."""

    def __init__(self, frame: ShownFrame, update: LayoutUpdate | ChopsUpdate) -> None:
        self._frame = frame
        self._update = update

    def render_segments(self, console: Console) -> str:
        """Called by ``App._display`` when it is certain that the result is sent."""
        update = self._update
        placed = _of_layout(update) if isinstance(update, LayoutUpdate) else _of_chops(update)
        return self._frame.draw(placed, console._color_system or ColorSystem.TRUECOLOR)


class FrameDifference(Base):
    """Mixin for an App, named before it: ``class MyApp(FrameDifference, App)``."""

    _shown_frame: ShownFrame | None = None
    _left_out = False
    """Whether the terminal lacks frames because it was behind."""

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if isinstance(self._driver, TerminalDriver) and self._driver.behind:
            self._left_out = True
            return
        if os.environ.get("BERT_TUI_FRAME_DIFF", "1") != "0" and not self.is_inline:
            frame = self._shown_frame = self._shown_frame or ShownFrame()
            if isinstance(renderable, LayoutUpdate | ChopsUpdate):
                super()._display(screen, cast(RenderableType, _Difference(frame, renderable)))
                return
            if renderable is not None:
                frame.forget()
        super()._display(screen, renderable)

    def forget_frame(self) -> None:
        """Sends everything with the next update, since the terminal may show anything."""
        if self._shown_frame is not None:
            self._shown_frame.forget()

    def on_resize(self) -> None:
        """The terminal lays its lines out anew."""
        self.forget_frame()

    def _suspend_signal(self) -> None:
        self.forget_frame()
        super()._suspend_signal()

    def on_terminal_caught_up(self) -> None:
        """Of the frames that were left out only the last is of interest."""
        if self._left_out:
            self._left_out = False
            self.screen.refresh()

    def on_driver_signal_resume(self) -> None:
        """Somebody else has written on the terminal."""
        self.forget_frame()
        self.screen.refresh()


def _of_layout(update: LayoutUpdate) -> Iterator[Placed]:
    """The strips of a whole frame, as ``LayoutUpdate.render_segments`` places them."""
    for row, line in enumerate(update.strips, update.region.y):
        column = update.region.x
        for strip in line:
            yield column, row, strip
            column += strip.cell_length


def _of_chops(update: ChopsUpdate) -> Iterator[Placed]:
    """The strips of a partial frame, as ``ChopsUpdate.render_segments`` places and cuts them."""
    for row, start, end in update.spans:
        for stop, (column, strip) in zip(update.chop_ends[row], update.chops[row].items(), strict=False):
            if strip is None or column > end or stop <= start:
                continue
            whole = start <= column < end and stop <= end
            yield column, row, strip if whole else strip.crop(0, min(stop, end) - column)


def _cells(strip: Strip, colours: ColorSystem) -> list[Cell]:
    cells: list[Cell] = []
    for text, style, control in strip:
        if control:
            continue
        sgr = _sgr(style, colours)
        if text.isascii():
            cells.extend([(character, sgr) for character in text])
        else:
            cells.extend(_wide_cells(text, sgr))
    return cells


def _sgr(style: Style | None, colours: ColorSystem) -> str:
    if style is None:
        return ""
    return Strip.render_ansi(style, colours) if style._ansi is None else style._ansi


def _wide_cells(text: str, sgr: str) -> list[Cell]:
    """One cell a column; what stands on no column of its own joins the character before it."""
    widths = [cell_len(character) for character in text]
    if 0 in widths or sum(widths) != cell_len(text):
        return _cluster_cells(text, sgr)
    cells: list[Cell] = []
    for character, width in zip(text, widths, strict=True):
        cells.append((character, sgr))
        if width == 2:
            cells.append(("", sgr))
    return cells


def _cluster_cells(text: str, sgr: str) -> list[Cell]:
    """The same where characters make clusters (accents, joined emoji): widths from the lengths of the beginnings."""
    cells: list[Cell] = []
    base, columns = 0, 0
    for end, character in enumerate(text, 1):
        added = cell_len(text[:end]) - columns
        columns += added
        if cells and (added <= 0 or cell_len(character) == 0):
            cells[base] = (cells[base][0] + character, sgr)
            cells.extend([("", sgr)] * added)
        elif added > 0:
            base = len(cells)
            cells.extend([(character, sgr), *[("", sgr)] * (added - 1)])
    return cells


def _style(cell: Cell | None) -> str:
    return "" if cell is None else cell[1]
