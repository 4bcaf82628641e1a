"""A question in front of a page, answered or called off."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """Gives its result, or None where it is called off. Enter accepts, Escape calls off."""

    field: ClassVar[str] = "dialog"
    """What F1 explains where the cursor is in no field of its own."""
    heading: ClassVar[str]
    lead: str = ""
    accept_label: ClassVar[str] = "OK"

    BINDINGS = [
        Binding("escape", "call_off", "Cancel"),
        Binding("enter", "accept", "Accept", priority=True),
        Binding("f1", "app.help", "Help"),
    ]

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        #box { width: 76; max-width: 100%; height: auto; max-height: 100%; background: $surface; padding: 1 2; }
        #dialog-heading { text-style: bold; color: $strong; }
        #dialog-lead { color: $muted; width: 1fr; height: auto; margin-bottom: 1; }
        #dialog-notice { width: 1fr; height: auto; color: $error; }
        #buttons { height: 1; margin-top: 1; align-horizontal: right; }
        #dialog-keys { width: 1fr; color: $muted; }
        #buttons Button { margin-left: 1; }
    }
    """

    def compose(self) -> ComposeResult:
        """The box."""
        with Vertical(id="box"):
            yield Static(self.heading, id="dialog-heading", markup=False)
            yield Static(self.lead, id="dialog-lead", markup=False)
            yield from self.compose_body()
            yield Static("", id="dialog-notice", markup=False)
            with Horizontal(id="buttons"):
                yield Static("", id="dialog-keys", markup=False)
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self.accept_label, id="accept", variant="primary", compact=True)

    def compose_body(self) -> ComposeResult:
        """What is asked."""
        raise NotImplementedError

    def result(self) -> Result:
        """What was answered."""
        raise NotImplementedError

    def obstacle(self) -> str:
        """What stands in the way of accepting; empty where nothing does."""
        return ""

    @property
    def keys(self) -> str:
        """What the keys do now."""
        enter = "Cancel" if self._on_cancel else self.accept_label
        return f"Enter: {enter}  Tab: next  Esc: Cancel  F1: Help"

    @on(DescendantFocus)
    def _tell_keys(self) -> None:
        self.query_one("#dialog-keys", Static).update(self.keys)

    @property
    def _on_cancel(self) -> bool:
        return self.focused is not None and self.focused.id == "cancel"

    def action_accept(self) -> None:
        """Enter, wherever the cursor is but on Cancel."""
        if self._on_cancel:
            self.action_call_off()
            return
        obstacle = self.obstacle()
        self.query_one("#dialog-notice", Static).update(obstacle)
        if not obstacle:
            self.dismiss(self.result())

    def action_call_off(self) -> None:
        """Escape."""
        self.dismiss(None)

    @on(Button.Pressed, "#accept")
    @on(Input.Submitted)
    def _accepted(self) -> None:
        self.action_accept()

    @on(Button.Pressed, "#cancel")
    def _called_off(self) -> None:
        self.action_call_off()
