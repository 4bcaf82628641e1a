"""What the live view asks before it acts."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.widget import Widget

from bert_tui.runs.delete import Belongings
from bert_tui.screens.dialog import Dialog


class Question(Dialog[bool]):
    """Yes, or None. The cursor begins on Cancel."""

    def compose_body(self) -> ComposeResult:
        """Nothing beside the question."""
        nothing: Sequence[Widget] = ()
        yield from nothing

    def result(self) -> bool:
        """Accepted."""
        return True


class StopQuestion(Question):
    """Whether to stop."""

    field = "stop"
    heading = "Stop this run?"
    lead = "It saves a checkpoint, then ends. You can resume it later from that very step."
    accept_label = "Stop"


class KillQuestion(Question):
    """Whether to kill."""

    field = "kill"
    heading = "Kill this run?"
    lead = (
        "It ends at once and saves nothing: the steps since the last checkpoint are lost.\n"
        "To save them, cancel and choose Stop."
    )
    accept_label = "Kill"


class ResumeQuestion(Question):
    """Whether to resume."""

    field = "resume"
    heading = "Resume this run?"
    lead = "It goes on from its last complete checkpoint, with the same settings."
    accept_label = "Resume"


class DeleteQuestion(Question):
    """Whether to delete, and what that means."""

    field = "delete"
    heading = "Delete this run?"
    accept_label = "Delete"

    def __init__(self, owned: Belongings) -> None:
        super().__init__()
        self.lead = "\n".join(owned.sentences())
