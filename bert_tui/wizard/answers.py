"""What has been answered so far, kept on disk so that a dropped line loses nothing."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from bert_tui.places import state_folder
from trainer.spec import preset_file
from trainer.spec.preset import SCHEMA, Preset
from trainer.spec.problem import PresetError
from trainer.spec.run_directory import write_whole

Page = Literal["welcome", "environment", "data", "model", "tensor", "review"]
PAGES: tuple[Page, ...] = get_args(Page)
"""The wizard's pages in their order."""


@dataclass(frozen=True)
class Answers:
    """The preset in progress."""

    preset: Preset
    size: str
    """The shipped preset its model came from, such as ``bert-tiny``."""
    name: str
    """What the preset is called; part of the run's id. The size's name until it is saved under another."""
    page: Page = "welcome"
    """The page the operator was on."""
    prefilled: tuple[str, ...] = ()
    """Environment variables that filled fields."""

    def at(self, page: Page) -> Answers:
        """The same answers, on another page."""
        return dataclasses.replace(self, page=page)

    def with_preset(self, preset: Preset) -> Answers:
        """Other answers, on the same page."""
        return dataclasses.replace(self, preset=preset)


def answers_file() -> Path:
    """Where the answers lie."""
    return state_folder() / "answers.toml"


def save(answers: Answers, path: Path) -> None:
    """Writes the answers, whole and readable by their owner only. Of two wizards the last to save wins.

    Raises:
        OSError: they cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    wizard = {
        "page": answers.page,
        "size": answers.size,
        "name": answers.name,
        "prefilled": answers.prefilled,
    }
    heading = "The answers given in the wizard so far. Written by bert-tui; safe to delete."
    write_whole(path, preset_file.render(answers.preset, heading=heading, extra={"wizard": wizard}))


@dataclass(frozen=True)
class Kept:
    """What was found on disk."""

    answers: Answers | None
    set_aside: Path | None = None
    """Where a file that could not be understood was moved."""


def load(path: Path) -> Kept:
    """The answers kept in ``path``. A file that cannot be understood is renamed, so that nothing in it is lost."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return Kept(None)
    except UnicodeDecodeError:
        return Kept(None, _set_aside(path))
    try:
        return Kept(_parse(text, str(path)))
    except (tomllib.TOMLDecodeError, PresetError, KeyError, TypeError, ValueError):
        return Kept(None, _set_aside(path))


def _parse(text: str, where: str) -> Answers:
    tables: dict[str, Any] = tomllib.loads(text)
    wizard = tables.pop("wizard")
    if tables.pop("schema") != SCHEMA or wizard["page"] not in PAGES:
        raise ValueError("written by another version")
    for key in ("size", "name"):
        if not isinstance(wizard[key], str):
            raise TypeError(key)
    prefilled = tuple(str(name) for name in wizard["prefilled"])
    preset = preset_file.from_tables(tables, where)
    return Answers(preset, wizard["size"], wizard["name"], wizard["page"], prefilled)


def _set_aside(path: Path) -> Path | None:
    aside = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(aside)
    except OSError:
        return None
    return aside
