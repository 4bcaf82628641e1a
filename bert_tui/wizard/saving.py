"""Keeping the answers as a preset file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bert_tui.invocation import program
from bert_tui.paths import expand_path, short_path, typed_path
from bert_tui.plan import preset_name
from bert_tui.preset_editing import edited, write_preset
from bert_tui.presets import find_preset, own_folder
from bert_tui.wizard.answers import Answers
from bert_tui.wizard.choices import sentence
from trainer.spec import preset_file
from trainer.spec.problem import PresetError, RunError


def proposed_path(name: str) -> str:
    """Where a preset made from another is kept unless something else is typed: among the operator's own."""
    return short_path(own_folder() / f"my-{name.removeprefix('my-')}.toml")


def preset_path(text: str) -> Path:
    """The file that was typed; ``.toml`` is added where it is missing.

    Raises:
        RunError: as :func:`bert_tui.paths.typed_path`.
    """
    path = typed_path("preset-file", text)
    return path if path.suffix == ".toml" else Path(f"{path}.toml")


def obstacle(text: str, *, replace: bool) -> str:
    """Why the preset cannot be written there, and what to do; empty where it can. One that is there is changed or
    replaced only where that was said."""
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
        return "" if replace or not path.exists() else f"{path} is there already; {_loss(path)}."
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}. Choose another folder."


def _loss(path: Path) -> str:
    """What saving would do to a file that is there."""
    return "its values would be changed, its comments kept" if _is_preset(path) else "all of it would be replaced"


def save_preset(answers: Answers, path: Path) -> str:
    """Writes the file, or into one that is a preset already what has changed; why it could not be written and what to
    do, empty where it was."""
    try:
        write_preset(path, edited(path, answers.preset) if _is_preset(path) else preset_text(answers))
    except PresetError as error:
        return sentence(error.problems[0])
    return ""


def preset_text(answers: Answers) -> str:
    """The answers as a preset file that is new."""
    return preset_file.render(answers.preset, heading=f"{answers.name}, as set up in bert-tui's wizard.")


def named_after(path: Path, answers: Answers) -> Answers:
    """The answers, called as a run of the saved file is called."""
    return replace(answers, name=preset_name(path))


def replay_command(path: Path) -> str:
    """The line that starts the preset again."""
    try:
        known = find_preset(path.stem) == path
    except PresetError:
        known = False
    return f"{program()} run {path.stem if known else path}"


def _is_preset(path: Path) -> bool:
    try:
        preset_file.read_preset(path, find_preset)
    except PresetError:
        return False
    return True
