"""The curves of a run on the whole screen."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer

from bert_tui.metrics.chart_picture import ChartPicture, ChartWish, XUnit
from bert_tui.metrics.chart_words import reading, remarks, setting
from bert_tui.metrics.charts import CHARTS
from bert_tui.metrics.smoothing import SMOOTHINGS
from bert_tui.metrics.window import Window
from bert_tui.screens.compare import CompareDialog
from bert_tui.screens.glossary import CURVES, explained
from bert_tui.screens.help import HelpScreen
from bert_tui.screens.keys import Key, told
from bert_tui.screens.watch import Broke, in_background
from bert_tui.widgets.curve import LABEL_WIDTH, Curve, Scales
from bert_tui.widgets.rows import Row, Rows
from trainer.spec.problem import SpecError
from trainer.spec.run_directory import RunDirectory

if TYPE_CHECKING:
    from bert_tui.metrics.comparison import Comparable

SECONDS_BETWEEN = 1.0
RECENT = (None, 100, 1_000, 10_000, 100_000)
"""The last so many steps; None for the whole run."""
X_UNITS: tuple[XUnit, ...] = ("step", "tokens", "time")
REMARK_ROWS = 4

KEYS = (
    Key("f1,question_mark", "help", "Help", "these words and keys"),
    Key("f2,c,escape,q", "back", "Back", "back to the live view"),
    Key("n,space", "turn(1)", "Next", "the next curve: losses, words right, learning rate, gradient norm, speed"),
    Key("p,backspace", "turn(-1)", "Before", "the curve before", shown=False),
    Key("y", "logarithmic", "Log", "values by their logarithm, and back"),
    Key("x", "axis", "Axis", "by step, by tokens read, or by time"),
    Key("s", "smooth(1)", "Smooth", "more smoothing; the curve as it is stays behind as dots"),
    Key("a", "smooth(-1)", "Less", "less smoothing", shown=False),
    Key("o", "compare", "Compare", "lay up to three other runs over this one"),
    Key("plus,equals_sign", "zoom(0.5)", "Zoom", "look closer, at the crosshair where there is one"),
    Key("minus", "zoom(2)", "Out", "look from farther away", shown=False),
    Key("left", "pan(-0.25)", "Earlier", "move to earlier steps", shown=False),
    Key("right", "pan(0.25)", "Later", "move to later steps", shown=False),
    Key("0", "whole", "All", "the whole run", shown=False),
    Key("w", "recent", "Last", "the last 100, 1,000, 10,000 or 100,000 steps"),
    Key("comma", "point(-1)", "Left", "crosshair: shows it, and moves it left", shown=False),
    Key("full_stop", "point(1)", "Right", "crosshair: shows it, and moves it right", shown=False),
    Key("less_than_sign", "point(-10)", "Far left", "crosshair: ten columns to the left", shown=False),
    Key("greater_than_sign", "point(10)", "Far right", "crosshair: ten columns to the right", shown=False),
    Key("m", "no_point", "No crosshair", "take the crosshair away", shown=False),
    Key("ctrl+q,ctrl+c", "app.quit", "Leave", "leave; the run goes on", shown=False),
)


@dataclass
class Drawn(Message, bubble=False):
    """A chart was read; a newer one takes the place of one that still waits."""

    picture: ChartPicture

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, Drawn)


@dataclass
class ReadFailed(Message, bubble=False):
    """The run's files cannot be read."""

    reason: str


@dataclass
class Offered(Message, bubble=False):
    """The runs that can be laid over this one."""

    runs: tuple[Comparable, ...]


class ChartWatch:
    """A daemon thread that reads the chart that is wished for: once a second, and at once when the wish changes."""

    def __init__(self, run: RunDirectory, wish: ChartWish, post: Callable[[Message], object]) -> None:
        self._run = run
        self._wish = wish
        self._post = post
        self._stopped = False
        self._wake = threading.Event()

    def start(self) -> None:
        """Begins to read."""
        threading.Thread(target=self._read_until_stopped, name="chart", daemon=True).start()

    def stop(self) -> None:
        """Reads no more; does not wait for a reading under way."""
        self._stopped = True
        self._wake.set()

    def wish(self, wish: ChartWish) -> None:
        """Something else is to be shown."""
        self._wish = wish
        self._wake.set()

    def _read_until_stopped(self) -> None:
        from bert_tui.metrics.chart_reader import ChartReader  # numpy

        try:
            reader = ChartReader(self._run)
            while not self._stopped:
                self._wake.clear()
                try:
                    self._post(Drawn(reader.read(self._wish)))
                except (OSError, SpecError) as error:
                    self._post(ReadFailed(str(error)))
                self._wake.wait(SECONDS_BETWEEN)
        except Exception as error:
            self._post(Broke(error))


class CurvesScreen(Screen[None]):
    """One chart at a time, and its values."""

    BINDINGS = [key.binding for key in KEYS]
    AUTO_FOCUS: ClassVar[str] = ""

    DEFAULT_CSS = """
    CurvesScreen {
        layout: vertical;
        #setting { height: 2; }
        #remarks { height: 1; }
        Footer { background: $surface; }
    }
    """

    def __init__(self, run: RunDirectory) -> None:
        super().__init__()
        self.run = run
        self._wish = ChartWish()
        self._picture: ChartPicture | None = None
        self._watch = ChartWatch(run, self._wish, self.post_message)

    def compose(self) -> ComposeResult:
        """What is shown and its values, the chart, what is to be said of it, the keys."""
        yield Rows(id="setting")
        yield Curve(CHARTS[0].title, empty="reading the run", id="chart")
        yield Rows(id="remarks")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begins to read."""
        self._show()
        self._watch.start()

    def on_unmount(self) -> None:
        """Reads no more."""
        self._watch.stop()

    def on_resize(self) -> None:
        """Remarks wrap anew."""
        self.call_after_refresh(self._show)

    @on(Drawn)
    def _drawn(self, message: Drawn) -> None:
        self._picture = message.picture
        self._show()

    @on(ReadFailed)
    def _read_failed(self, message: ReadFailed) -> None:
        self.query_one("#remarks", Rows).show_rows([((f"! The run cannot be read: {message.reason}", "caution"),)])

    @on(Broke)
    def _broke(self, message: Broke) -> None:
        raise message.error

    def _show(self) -> None:
        """Hands the newest picture to the widgets; each refreshes only what changed."""
        if not self.query("#remarks"):  # a picture may come in while the screen is being taken down
            return
        picture = self._picture
        values = "" if picture is None else reading(picture)
        self.query_one("#setting", Rows).show_rows(
            [((self.run.id, "title"), (f"  {setting(self._wish)}", "muted")), ((values, ""),)]
        )
        if picture is None:
            return
        chart = picture.wish.chart
        scales = Scales(picture.x, picture.wish.x, picture.wish.logarithmic, picture.cursor)
        recorded = "not recorded in this run" if picture.reading is None and picture.end > 1 else "no step yet"
        self.query_one("#chart", Curve).show(picture.lines, scales, title=chart.title, empty=recorded)
        self._show_remarks(remarks(picture))

    def _show_remarks(self, sentences: tuple[str, ...]) -> None:
        rows: list[Row] = []
        for sentence in sentences:
            tone = "caution" if sentence.startswith("!") else "muted"
            rows += [((line, tone),) for line in textwrap.wrap(sentence, max(20, self.size.width))]
        shown = rows[:REMARK_ROWS]
        widget = self.query_one("#remarks", Rows)
        if widget.styles.height is None or widget.styles.height.value != len(shown):
            widget.styles.height = len(shown)
        widget.show_rows(shown)

    def _want(self, wish: ChartWish) -> None:
        self._wish = wish
        self._watch.wish(wish)
        self._show()

    def _window(self) -> Window | None:
        """What is shown, or will be as soon as it is read."""
        return self._wish.window or (self._picture.window if self._picture else None)

    def action_help(self) -> None:
        """The words and the keys."""
        self.app.push_screen(HelpScreen("Curves", f"{explained(CURVES)}\n\n{told(KEYS)}"))

    def action_back(self) -> None:
        """To the live view."""
        self.dismiss()

    def action_turn(self, by: int) -> None:
        """Another quantity."""
        place = (CHARTS.index(self._wish.chart) + by) % len(CHARTS)
        self._want(replace(self._wish, chart=CHARTS[place]))

    def action_logarithmic(self) -> None:
        """Linear or logarithmic."""
        self._want(replace(self._wish, logarithmic=not self._wish.logarithmic))

    def action_axis(self) -> None:
        """Step, tokens, time."""
        place = (X_UNITS.index(self._wish.x) + 1) % len(X_UNITS)
        self._want(replace(self._wish, x=X_UNITS[place]))

    def action_smooth(self, by: int) -> None:
        """More or less of it."""
        place = (SMOOTHINGS.index(self._wish.smoothing) + by) % len(SMOOTHINGS)
        self._want(replace(self._wish, smoothing=SMOOTHINGS[place]))

    def action_zoom(self, factor: float) -> None:
        """Closer or farther."""
        window = self._window()
        if window is not None and self._picture is not None:
            zoomed = window.zoomed(factor, self._wish.cursor, max(self._picture.end, window.high))
            self._want(replace(self._wish, window=zoomed, recent=None))

    def action_pan(self, share: float) -> None:
        """Earlier or later."""
        window = self._window()
        if window is not None and self._picture is not None:
            panned = window.panned(share, max(self._picture.end, window.high))
            self._want(replace(self._wish, window=panned, recent=None))

    def action_whole(self) -> None:
        """All steps, and those to come."""
        self._want(replace(self._wish, window=None, recent=None))

    def action_recent(self) -> None:
        """The last steps, and those to come."""
        place = (RECENT.index(self._wish.recent) + 1) % len(RECENT)
        self._want(replace(self._wish, window=None, recent=RECENT[place]))

    def action_point(self, columns: int) -> None:
        """Moves the crosshair; it begins at the last step that is shown."""
        window, picture = self._window(), self._picture
        if window is None or picture is None or picture.reading is None:
            return
        column = max(1, round(window.width / max(1, self.size.width - LABEL_WIDTH)))
        before = window.holding(picture.reading.step) if self._wish.cursor is None else self._wish.cursor
        step = before if self._wish.cursor is None else before + columns * column
        self._want(replace(self._wish, cursor=window.holding(step)))

    def action_no_point(self) -> None:
        """Values of the last step again."""
        self._want(replace(self._wish, cursor=None))

    def action_compare(self) -> None:
        """Seeks other runs, then asks which."""

        def seek() -> Message:
            from bert_tui.metrics.comparison import comparable_runs

            return Offered(comparable_runs(self.run))

        in_background(seek, self.post_message)

    @on(Offered)
    def _offered(self, message: Offered) -> None:
        def take(paths: tuple[Path, ...] | None) -> None:
            if paths is not None:
                self._want(replace(self._wish, overlays=paths))

        if not message.runs:
            self.notify("There is no other run with recorded steps.")
        elif self.is_current:
            self.app.push_screen(CompareDialog(message.runs, self._wish.overlays), take)
