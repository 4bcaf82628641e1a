"""What has been answered so far, kept on disk so that a dropped line loses nothing."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from bert_tui.places import state_folder
from bert_tui.wizard.build_answers import BuildForm, form_of
from trainer.spec import preset_file
from trainer.spec.preset import SCHEMA, Preset
from trainer.spec.problem import PresetError
from trainer.spec.run_directory import write_whole

Page = Literal["welcome", "environment", "data", "model", "tensor", "review"]
VERSION = 1
"""Of what this file keeps beside the preset, which has a version of its own."""
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
    build: BuildForm | None = None
    """What was typed on the page that builds a dataset, until it is being built."""

    def at(self, page: Page) -> Answers:
        """The same answers, on another page."""
        return dataclasses.replace(self, page=page)

    def with_build(self, form: BuildForm | None) -> Answers:
        """The same answers, with what was typed on the page that builds a dataset."""
        return dataclasses.replace(self, build=form)

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
        "version": VERSION,
        "page": answers.page,
        "size": answers.size,
        "name": answers.name,
        "prefilled": answers.prefilled,
    }
    tables = {"wizard": wizard} | ({"build": dataclasses.asdict(answers.build)} if answers.build else {})
    heading = "The answers given in the wizard so far. Written by bert-tui; safe to delete."
    write_whole(path, preset_file.render(answers.preset, heading=heading, extra=tables))


@dataclass(frozen=True)
class Kept:
    """What was found on disk."""

    answers: Answers | None
    set_aside: Path | None = None
    """Where a file that could not be understood was moved."""
    newer: bool = False
    """Whether that file is of a newer version of this program, and whole."""


def load(path: Path) -> Kept:
    """The answers kept in ``path``. A file that cannot be read or understood is renamed, so that nothing in it is
    lost."""
    try:
        return Kept(_parse(path.read_text(encoding="utf-8"), str(path)))
    except FileNotFoundError:
        return Kept(None)
    except NewerError:
        return Kept(None, _set_aside(path, "newer"), newer=True)
    except (OSError, PresetError, KeyError, TypeError, ValueError, RecursionError):
        return Kept(None, _set_aside(path, "damaged"))


class NewerError(Exception):
    """The file was written by a newer version of this program."""


def _parse(text: str, where: str) -> Answers:
    tables: dict[str, Any] = tomllib.loads(text)
    wizard, build = tables.pop("wizard"), tables.pop("build", None)
    schema, version = tables.pop("schema"), wizard.get("version", VERSION)
    if schema > SCHEMA or version > VERSION:
        raise NewerError
    if schema != SCHEMA or wizard["page"] not in PAGES:
        raise ValueError("written by another version")
    for key in ("size", "name"):
        if not isinstance(wizard[key], str):
            raise TypeError(key)
    prefilled = tuple(str(name) for name in wizard["prefilled"])
    preset = preset_file.from_tables(tables, where)
    form = None if build is None else form_of(build)
    return Answers(preset, wizard["size"], wizard["name"], wizard["page"], prefilled, form)


def _set_aside(path: Path, ending: str) -> Path | None:
    aside = path.with_name(f"{path.name}.{ending}")
    try:
        path.replace(aside)
    except OSError:
        return None
    return aside
