"""What the wizard's pages have in common: the step bar, a title, the line of notices, going back and on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, Footer, Input, Static

from bert_tui.widgets.path_field import PathInput
from bert_tui.widgets.step_bar import StepBar
from bert_tui.wizard.answers import PAGES, Page
from bert_tui.wizard.session import Session

if TYPE_CHECKING:
    from bert_tui.app import BertTui

SMALLEST = (80, 24)
"""Columns and rows in which every page is whole."""


@dataclass(frozen=True)
class Obstacle:
    """What stands in the way of going on: where, and what to do about it."""

    widget: Widget
    text: str


class WizardPage(Screen[Any]):
    """One page. Subclasses name it, compose their body, and say what stands in the way of going on."""

    page: ClassVar[Page]
    heading: ClassVar[str]
    lead: ClassVar[str]
    next_label: ClassVar[str] = "Next"

    BINDINGS = [
        ("f1", "app.help", "Help"),
        ("f2", "back", "Back"),
        ("f3", "next", "Next"),
        ("f4", "browse", "Browse"),
        Binding("ctrl+c", "app.quit", "Quit", priority=True, show=False),
    ]

    DEFAULT_CSS = """
    WizardPage {
        background: $background; color: $foreground;
        #body { padding: 1 2 0 2; height: 1fr; max-width: 104; scrollbar-size-vertical: 1; background: $background; }
        #heading { text-style: bold; color: $strong; height: 1; }
        #lead { color: $muted; width: 1fr; height: auto; margin-bottom: 1; }
        #bar { height: auto; padding: 0 2; max-width: 104; }
        #notice { width: 1fr; height: auto; min-height: 1; max-height: 4; color: $muted; }
        #notice.-problem { color: $error; }
        #bar Button { margin-left: 1; }
        #small { display: none; height: 1; background: $warning; color: $background; padding: 0 2; }
        &.-small #small { display: block; }
        &.-small #body { padding: 0 2; }
    }
    """

    def compose(self) -> ComposeResult:
        """The frame around the body."""
        yield StepBar(self.page)
        yield Static("", id="small", markup=False)
        with VerticalScroll(id="body", can_focus=False):
            yield Static(self.heading, id="heading", markup=False)
            yield Static(self.lead, id="lead", markup=False)
            yield from self.compose_body()
        with Horizontal(id="bar"):
            yield Static("", id="notice", markup=False)
            if self.page != PAGES[0]:
                yield Button("Back", id="back", compact=True)
            yield Button(self.next_label, id="next", variant="primary", compact=True)
        yield Footer(show_command_palette=False)

    def compose_body(self) -> ComposeResult:
        """What the page asks."""
        raise NotImplementedError

    def obstacles(self) -> Iterator[Obstacle]:
        """What stands in the way of going on, first things first."""
        yield from ()

    def redraw(self) -> None:
        """Called when the machine was looked at or a check was answered."""

    @property
    def wizard(self) -> BertTui:
        """The application."""
        return cast("BertTui", self.app)

    @property
    def session(self) -> Session:
        """The answers."""
        return self.wizard.session

    def notice(self, text: str, *, problem: bool = False) -> None:
        """Says something in the line above the keys."""
        line = self.query_one("#notice", Static)
        line.update(text)
        line.set_class(problem, "-problem")

    def action_back(self) -> None:
        """The page before."""
        number = PAGES.index(self.page)
        if number:
            self.wizard.show_page(PAGES[number - 1])

    def action_next(self) -> None:
        """The next page, or the first thing that stands in the way."""
        obstacle = next(self.obstacles(), None)
        if obstacle is None:
            self.go_on()
            return
        obstacle.widget.focus()
        self.notice(f"x {obstacle.text}", problem=True)

    def go_on(self) -> None:
        """What Next does when nothing stands in the way."""
        self.wizard.show_page(PAGES[PAGES.index(self.page) + 1])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing before the first page, and only paths are browsed for."""
        if action == "browse":
            return isinstance(self.focused, PathInput)
        return not (action == "back" and self.page == PAGES[0])

    def action_browse(self) -> None:
        """Looks for the path under the cursor."""
        if isinstance(self.focused, PathInput):
            self.focused.browse()

    @on(Button.Pressed, "#next")
    @on(Input.Submitted)
    def _next_pressed(self) -> None:
        self.action_next()

    @on(Button.Pressed, "#back")
    def _back_pressed(self) -> None:
        self.action_back()

    def on_resize(self, event: events.Resize) -> None:
        """Asks for a larger window where the page does not fit."""
        size = event.size
        self.set_class(size.width < SMALLEST[0] or size.height < SMALLEST[1], "-small")
        text = f"This window is {size.width} x {size.height}. Enlarge it to 80 x 24."
        self.query_one("#small", Static).update(text)
