"""The log of a run on the whole screen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Footer, Static

from bert_tui.metrics.log_tail import LogLines
from bert_tui.widgets.log_view import LogView


class LogScreen(Screen[None]):
    """Follows the log while its end is in view; scrolling up holds it still."""

    field: ClassVar[str] = "log"
    """What F1 explains."""

    BINDINGS = [
        Binding("f1,question_mark", "app.help", "Help", key_display="F1"),
        Binding("f2,l,escape,q", "back", "Back", key_display="F2"),
        Binding("end,G", "follow", "To the end", key_display="End"),
        Binding("home", "begin", "To the beginning", key_display="Home"),
    ]

    DEFAULT_CSS = """
    LogScreen {
        #path { height: 1; color: $muted; }
        LogView { height: 1fr; background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
        Footer { background: $surface; }
    }
    """

    def __init__(self, log: LogLines) -> None:
        super().__init__()
        self._log = log

    def compose(self) -> ComposeResult:
        """The path, the lines, the keys."""
        yield Static(str(self._log.path), id="path", markup=False)
        yield LogView(scrollable=True)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """The cursor in the lines, so that arrows and pages scroll."""
        self.query_one(LogView).focus()
        self.show(self._log)

    def show(self, log: LogLines) -> None:
        """Takes the newest lines; kept for later while the widgets are not there yet."""
        self._log = log
        for path, view in zip(self.query("#path").results(Static), self.query(LogView), strict=False):
            path.update(str(log.path))
            view.show(log)

    def action_back(self) -> None:
        """To the live view."""
        self.dismiss(None)

    def action_follow(self) -> None:
        """To the last line; new ones are followed again."""
        self.query_one(LogView).scroll_end(animate=False)

    def action_begin(self) -> None:
        """To the first line kept."""
        self.query_one(LogView).scroll_home(animate=False)
