"""Keeping the answers as a preset file."""

from __future__ import annotations

from pathlib import Path

from bert_tui.paths import expand_path, typed_path
from bert_tui.wizard.choices import sentence
from trainer.spec import preset_file
from trainer.spec.preset import Preset
from trainer.spec.problem import RunError
from trainer.spec.run_directory import write_whole


def proposed_name(name: str) -> str:
    """What a preset made from another is called unless something else is typed."""
    return f"my-{name.removeprefix('my-')}.toml"


def preset_path(text: str) -> Path:
    """The file that was typed; ``.toml`` is added where it is missing.

    Raises:
        RunError: as :func:`bert_tui.paths.typed_path`.
    """
    path = typed_path("preset-file", text)
    return path if path.suffix == ".toml" else Path(f"{path}.toml")


def obstacle(text: str, *, replace: bool) -> str:
    """Why the preset cannot be written there, and what to do; empty where it can. One that is there is replaced only
    where that was said."""
    if not text.strip():
        return "Type a path, for example my-bert.toml."
    try:
        path = preset_path(text)
    except RunError as error:
        return sentence(error.problems[0])
    typed = Path(expand_path(text))
    try:
        if typed.is_dir() or path.is_dir():
            return f"{typed} is a folder. Add a file name."
        return f"{path} is there already." if path.exists() and not replace else ""
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}. Choose another folder."


def save_preset(preset: Preset, name: str, path: Path) -> str:
    """Writes the file; why it could not be written and what to do, empty where it was."""
    text = preset_file.render(preset, heading=f"{name}, as set up in bert-tui's wizard.")
    try:
        write_whole(path, text)
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}. Choose another folder."
    return ""
