"""Keeping the answers as a preset file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult

from bert_tui.paths import expand_path
from bert_tui.screens.dialog import Dialog
from bert_tui.widgets.field import LineInput
from bert_tui.widgets.path_suggester import PathSuggester
from trainer.spec import preset_file
from trainer.spec.preset import Preset
from trainer.spec.run_directory import write_whole


@dataclass(frozen=True)
class Saved:
    """A preset was written."""

    path: Path


class SavePreset(Dialog[Saved]):
    """Asks for a path; an existing file is replaced only when asked twice."""

    heading = "Save as a preset"
    lead = "The file describes this training completely: it can be started again without the wizard."
    accept_label = "Save"

    def __init__(self, preset: Preset, name: str) -> None:
        super().__init__()
        self._preset = preset
        self._preset_name = name
        self._warned_of: Path | None = None

    def compose_body(self) -> ComposeResult:
        """The path."""
        yield LineInput(
            f"my-{self._preset_name.removeprefix('my-')}.toml",
            placeholder="my-bert.toml",
            field="preset-file",
            suggester=PathSuggester(dataset=False),
            id="preset-path",
        )

    def on_mount(self) -> None:
        """The cursor in the path."""
        self.query_one(LineInput).focus()

    @property
    def _path(self) -> Path:
        text = self.query_one(LineInput).value.strip()
        path = Path(expand_path(text))
        return path if path.suffix == ".toml" else path.with_name(f"{path.name}.toml")

    def obstacle(self) -> str:
        """Writes the file; what went wrong, or the warning that something would be replaced."""
        if not self.query_one(LineInput).value.strip():
            return "Type a path, for example my-bert.toml."
        path = self._path
        if path.is_dir():
            return f"{path} is a folder. Add a file name."
        if path.exists() and self._warned_of != path:
            self._warned_of = path
            return f"{path} is there already. Press Enter again to replace it."
        try:
            write_whole(
                path, preset_file.render(self._preset, heading=f"{self._preset_name}, as set up in bert-tui's wizard.")
            )
        except OSError as error:
            return f"{path} cannot be written: {error.strerror}. Choose another folder."
        return ""

    def result(self) -> Saved:
        """Where it lies."""
        return Saved(self._path)
