"""Keeping the answers as a preset file."""

from __future__ import annotations

from pathlib import Path

from bert_tui.paths import expand_path
from trainer.spec import preset_file
from trainer.spec.preset import Preset
from trainer.spec.run_directory import write_whole


def proposed_name(name: str) -> str:
    """What a preset made from another is called unless something else is typed."""
    return f"my-{name.removeprefix('my-')}.toml"


def preset_path(text: str) -> Path:
    """The file that was typed; ``.toml`` is added where it is missing."""
    path = Path(expand_path(text.strip()))
    return path if path.suffix == ".toml" else path.with_name(f"{path.name}.toml")


def obstacle(text: str, *, replace: bool) -> str:
    """Why the preset cannot be written there, and what to do; empty where it can. One that is there is replaced only
    where that was said."""
    if not text.strip():
        return "Type a path, for example my-bert.toml."
    path = preset_path(text)
    if path.is_dir():
        return f"{path} is a folder. Add a file name."
    if path.exists() and not replace:
        return f"{path} is there already."
    return ""


def save_preset(preset: Preset, name: str, path: Path) -> str:
    """Writes the file; why it could not be written and what to do, empty where it was."""
    text = preset_file.render(preset, heading=f"{name}, as set up in bert-tui's wizard.")
    try:
        write_whole(path, text)
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}. Choose another folder."
    return ""
