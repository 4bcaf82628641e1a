"""Keeping the answers as a preset file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding

from bert_tui.screens.dialog import Dialog
from bert_tui.widgets.path_field import PathInput
from bert_tui.wizard import saving
from bert_tui.wizard.answers import Answers


@dataclass(frozen=True)
class Saved:
    """A preset was written."""

    path: Path


class SavePreset(Dialog[Saved]):
    """Asks for a path; an existing file is changed only when asked twice."""

    heading = "Save as a preset"
    lead = "The file describes this training completely: it can be started again without the wizard."
    accept_label = "Save"

    BINDINGS = [Binding("f4", "browse", "Browse")]

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self._kept = answers
        self._warned_of: Path | None = None

    def compose_body(self) -> ComposeResult:
        """The path."""
        yield PathInput(
            saving.proposed_path(self._kept.name),
            wanted="file",
            placeholder="my-bert.toml",
            field="preset-file",
            id="preset-path",
        )

    def on_mount(self) -> None:
        """The cursor in the path."""
        self.query_one(PathInput).focus()

    def action_browse(self) -> None:
        """Looks for a file, or a folder for it."""
        self.query_one(PathInput).browse()

    @property
    def _typed(self) -> str:
        return self.query_one(PathInput).value

    def obstacle(self) -> str:
        """Writes the file; what went wrong, or the warning that something would be replaced."""
        path = saving.preset_path(self._typed)
        if found := saving.obstacle(self._typed, replace=self._warned_of == path):
            self._warned_of = path
            return f"{found} Press Enter again to do that." if path.is_file() else found
        return saving.save_preset(self._kept, path)

    def result(self) -> Saved:
        """Where it lies."""
        return Saved(saving.preset_path(self._typed))
