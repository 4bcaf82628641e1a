"""The screens of the frame difference equal those of stock Textual, after every kind of update."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.coordinate import Coordinate
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import DataTable, Input, Log, Static

from bert_tui.frame_diff import FrameDifference, ShownFrame
from bert_tui.metrics.chart_picture import Line
from bert_tui.metrics.series import Axis, Bin, Series
from bert_tui.widgets.curve import Curve

WIDE = (
    "漢字かな交じり文",
    "naïve café",
    "e\u0301a\u0308",
    "emoji 🙂 in it",
    "한국어 text",
    "plain",
    "「wide」、。",
)


STYLES = (
    "bold red", "red on blue", "#87afff on #1c1c1c", "bold #87afff on #1c1c1c", "color(12) on default", "strike",
    "default on #262626", "reverse", "dim italic #ff8787", "underline on color(9)", "bright_white on bright_black",
    "none", "bright_white on color(250)",
)  # fmt: skip


class Box(ModalScreen[None]):
    DEFAULT_CSS = (
        "Box { align: center middle; background: black 40%; } Box Static { width: 30; height: 5; background: blue; }"
    )

    def compose(self) -> ComposeResult:
        yield Static("a modal\n漢字 in it")


class Sample(FrameDifference, App[int]):
    """A bit of everything that redraws."""

    CSS = "#left { width: 1fr; } #right { width: 1fr; } Log { height: 6; } Curve { height: 10; } #line { height: 1; }"
    ENABLE_COMMAND_PALETTE = False
    terminal: Terminal

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"muted": "#8a8a8a", "faint": "#585858"}

    def compose(self) -> ComposeResult:
        yield Static("a line that changes", id="line")
        with Horizontal():
            yield DataTable(id="left")
            yield Curve("loss", empty="none", id="right")
        yield Input(placeholder="type here")
        yield Log(id="log")

    def on_mount(self) -> None:
        table: DataTable[str] = self.query_one(DataTable)
        table.add_columns("a", "b", "c")
        for row in range(8):
            table.add_row(*(f"{row}{column}" for column in "abc"), key=str(row))


Step = Callable[[Pilot[Any], random.Random], Awaitable[None]]


async def change_line(pilot: Pilot[Any], chance: random.Random) -> None:
    pilot.app.query_one("#line", Static).update(
        f"[bold red]{chance.choice(WIDE)}[/] {chance.choice(WIDE)} {chance.random()}"
    )


async def change_table(pilot: Pilot[Any], chance: random.Random) -> None:
    table: DataTable[str] = pilot.app.query_one(DataTable)
    row = chance.randrange(8)
    table.update_cell_at(Coordinate(row, chance.randrange(3)), chance.choice(WIDE))


async def change_curve(pilot: Pilot[Any], chance: random.Random) -> None:
    values = [chance.random() * 3 for _ in range(chance.randrange(2, 60))]
    series = Series(1, tuple(Bin(step, v, v + chance.random(), v + 0.1) for step, v in enumerate(values)))
    pilot.app.query_one(Curve).show([Line("training", "t", series)], Axis(0, 64, 16))


async def append_log(pilot: Pilot[Any], chance: random.Random) -> None:
    pilot.app.query_one(Log).write_lines([chance.choice(WIDE) * chance.randrange(1, 9) for _ in range(3)])


async def type_text(pilot: Pilot[Any], chance: random.Random) -> None:
    pilot.app.query_one(Input).value = chance.choice(WIDE)[: chance.randrange(1, 8)]


async def open_modal(pilot: Pilot[Any], chance: random.Random) -> None:
    if not isinstance(pilot.app.screen, Box):
        await pilot.app.push_screen(Box())


async def close_modal(pilot: Pilot[Any], chance: random.Random) -> None:
    if isinstance(pilot.app.screen, Box):
        await pilot.app.pop_screen()


async def toast(pilot: Pilot[Any], chance: random.Random) -> None:
    pilot.app.notify(chance.choice(WIDE), timeout=60)


async def untoast(pilot: Pilot[Any], chance: random.Random) -> None:
    pilot.app.clear_notifications()


async def resize(pilot: Pilot[Any], chance: random.Random) -> None:
    width, height = chance.choice((80, 63, 120)), chance.choice((24, 30, 18))
    cast(Sample, pilot.app).terminal.screen.resize(height, width)
    await pilot.resize_terminal(width, height)


STEPS: tuple[Step, ...] = (
    change_line, change_table, change_curve, append_log, type_text, open_modal, close_modal, toast, untoast, resize,
)  # fmt: skip


class Terminal:
    """What the written bytes make of a screen."""

    def __init__(self, width: int, height: int) -> None:
        self.screen = pyte.Screen(width, height)
        self.stream = pyte.Stream(self.screen)
        self.bytes = 0

    def write(self, data: str) -> None:
        self.bytes += len(data.encode())
        self.stream.feed(data)

    def cells(self) -> list[list[tuple[Any, ...]]]:
        return [[tuple(self.screen.buffer[y][x]) for x in range(self.screen.columns)] for y in range(self.screen.lines)]


async def play(monkeypatch: pytest.MonkeyPatch, seed: int, steps: int, ours: bool) -> tuple[list[Any], int]:
    """The screen after each of some steps, chosen by the seed, and the bytes sent in all."""
    terminal = Terminal(80, 24)
    monkeypatch.setenv("BERT_TUI_FRAME_DIFF", "1" if ours else "0")
    monkeypatch.setattr(HeadlessDriver, "is_headless", property(lambda _: False))
    monkeypatch.setattr(HeadlessDriver, "write", lambda _, data: terminal.write(data))
    chance, screens = random.Random(seed), []
    app = Sample()
    app.terminal = terminal
    app.console._color_system = "256"  # type: ignore[assignment]
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.animation_level = "none"
        app.query_one(Input).cursor_blink = False
        await pilot.pause()
        for _ in range(steps):
            step = chance.choice(STEPS)
            if isinstance(app.screen, Box) and step not in (close_modal, resize, toast, untoast):
                continue
            await step(pilot, chance)
            await pilot.pause()
            await pilot.pause(0.02)
            screens.append((step.__name__, terminal.cells()))
    return screens, terminal.bytes


@pytest.mark.parametrize("seed", range(3))
async def test_screens_equal_stock_textuals(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    stock, stock_bytes = await play(monkeypatch, seed, 45, ours=False)
    ours, our_bytes = await play(monkeypatch, seed, 45, ours=True)
    assert len(stock) == len(ours) > 20
    for number, ((step, expected), (_, seen)) in enumerate(zip(stock, ours, strict=True)):
        for row, (left, right) in enumerate(zip(expected, seen, strict=True)):
            assert left == right, f"row {row} after step {number}, {step}"
    assert our_bytes < stock_bytes


def test_what_follows_a_cluster_stands_where_it_belongs() -> None:
    """Of an emoji made of several, pyte and many terminals take each for one; stock Textual then slips aside."""
    frame, terminal = ShownFrame(), Terminal(40, 2)
    for text in ("a 👩‍🚀 b ✔️ c e\u0301 d", "x 👩‍🚀 y ✔️ z e\u0301 w"):
        strip = Strip([Segment(text)])
        terminal.write(frame.draw(iter([(0, 0, strip)]), ColorSystem.EIGHT_BIT))
        row = terminal.screen.display[0]
        where = [cell_len(text[: text.index(letter)]) for letter in text if letter in "abcdwxyz"]
        assert [terminal.screen.buffer[0][column].data for column in where] == [c for c in text if c in "abcdwxyz"], row


def test_only_what_differs_is_sent() -> None:
    frame = ShownFrame()
    style = Style.parse("bold red")
    frame.draw(iter([(0, 0, Strip([Segment("step 119 of 700 ", style)]))]), ColorSystem.EIGHT_BIT)
    sent = frame.draw(iter([(0, 0, Strip([Segment("step 120 of 700 ", style)]))]), ColorSystem.EIGHT_BIT)
    assert sent == "\x1b[1;7H\x1b[1;31m20\x1b[m"
    assert frame.draw(iter([(0, 0, Strip([Segment("step 120 of 700 ", style)]))]), ColorSystem.EIGHT_BIT) == ""
    frame.forget()
    assert "step 120" in frame.draw(iter([(0, 0, Strip([Segment("step 120 of 700 ", style)]))]), ColorSystem.EIGHT_BIT)


@given(st.lists(st.sampled_from(STYLES), min_size=2, max_size=12))
def test_turning_one_style_into_another_equals_setting_it(names: list[str]) -> None:
    frame, ours, stock = ShownFrame(), Terminal(12, 1), Terminal(12, 1)
    strip = Strip([Segment("x", Style.parse(name)) for name in names])
    for system in (ColorSystem.EIGHT_BIT, ColorSystem.STANDARD, ColorSystem.TRUECOLOR):
        frame.forget()
        ours.write(frame.draw(iter([(0, 0, strip)]), system))
        stock.write(
            "\x1b[H" + "".join(Strip.render_style(s.style, s.text, system) for s in strip if s.style is not None)
        )
        assert ours.cells() == stock.cells()
