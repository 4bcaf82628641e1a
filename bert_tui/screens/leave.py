"""Asked only where leaving would lose something."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Button, Static

from bert_tui.screens.dialog import Dialog


class Leave(Dialog[bool]):
    """The answers could not be kept on disk. The cursor is on the side that loses nothing."""

    heading = "Leave, and lose the answers?"
    lead = "They could not be kept on disk."
    accept_label = "Leave"

    def __init__(self, reason: str) -> None:
        super().__init__()
        self._reason = reason

    def compose_body(self) -> ComposeResult:
        """Why."""
        yield Static(self._reason, markup=False)

    def on_mount(self) -> None:
        """On the safe side."""
        self.query_one("#cancel", Button).focus()

    def result(self) -> bool:
        """To leave."""
        return True
