"""Where presets lie, and how a name becomes a file.

A name is looked for among the operator's own presets, then the system's, then the shipped ones; the first wins. What a
preset extends is looked for in its own folder and in those behind it, never in front: a shipped preset means shipped
ones whatever else bears their names, and a preset may extend the one of its own name that it stands before.
"""

from __future__ import annotations

import difflib
import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bert_tui.places import config_folder
from trainer.spec.preset import Preset
from trainer.spec.preset_file import read_preset
from trainer.spec.problem import PresetError, Problem
from trainer.spec.toml_text import cut, read_text

SIZES = ("bert-tiny", "bert-base", "bert-340m", "bert-4b", "bert-20b")
"""Shipped presets from small to large."""
SYSTEM_FOLDER = Path("/etc/bert-tui/presets")
SCHEMA_LINE = "#:"
"""Begins a comment that is meant for editors."""

Owner = Literal["yours", "system", "shipped"]


@dataclass(frozen=True)
class Shelf:
    """A folder of presets."""

    owner: Owner
    folder: Path

    def file(self, name: str) -> Path:
        """Where the preset of this name lies, if there is one."""
        return self.folder / f"{name}.toml"

    def names(self) -> list[str]:
        """Of all presets in it; none where there is no such folder. The shipped ones go from small to large."""
        found = sorted(path.stem for path in self.folder.glob("*.toml"))
        return list(SIZES) if self.owner == "shipped" else found


@dataclass(frozen=True)
class KnownPreset:
    """A preset that can be called by its name."""

    name: str
    owner: Owner
    path: Path
    about: str
    """The first sentence of its first comment; empty where it has none."""
    hidden: bool = False
    """Whether another of the same name stands before it."""
    problem: Problem | None = None
    """Why it cannot be used."""


def folder() -> Path:
    """Where the shipped presets lie: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).parent
    installed = package / "presets"
    return installed if installed.is_dir() else package.parent / "presets"


def own_folder() -> Path:
    """Where the operator's own presets lie; it need not be there."""
    return config_folder() / "presets"


def shelves() -> tuple[Shelf, ...]:
    """The folders in the order in which names are looked for."""
    return Shelf("yours", own_folder()), Shelf("system", SYSTEM_FOLDER), Shelf("shipped", folder())


@functools.cache
def shipped_preset(name: str) -> Preset:
    """A preset as it was shipped, whatever others bear its name."""
    return read_preset(folder() / f"{name}.toml", find_preset)


def find_preset(name: str, extending: Path | None = None) -> Path:
    """The file that ``name`` means, a preset's name or a path; ``extending`` is the file that names it, if a file does.

    Raises:
        PresetError: there is none.
    """
    searched = _behind(extending) if extending else shelves()
    for shelf in searched if "/" not in name else ():
        path = shelf.file(name)
        if os.path.isfile(path) and _real(path) != _real(extending):  # noqa: PTH113 - a name too long is no file
            return path
    path = Path(os.path.expanduser(os.path.expandvars(name)))  # noqa: PTH111 - leaves an unknown ~user as it is
    if not os.path.isfile(path):  # noqa: PTH113
        raise PresetError(_unknown(name, searched, extending))
    return path


def known_presets() -> list[KnownPreset]:
    """Every preset that has a name, those that win first."""
    seen: set[str] = set()
    found = []
    for shelf in shelves():
        for name in shelf.names():
            found.append(_described(shelf, name, hidden=name in seen))
            seen.add(name)
    return found


def description(text: str) -> str:
    """The first sentence of the first comment of a preset file."""
    comment: list[str] = []
    for line in text.splitlines():
        if line.startswith("#") and not line.startswith(SCHEMA_LINE):
            comment.append(line.lstrip("#").strip())
        elif comment:
            break
    sentence, end, _ = " ".join(comment).partition(". ")
    return sentence + end.strip()


def _described(shelf: Shelf, name: str, *, hidden: bool) -> KnownPreset:
    path, about = shelf.file(name), ""
    try:
        about = description(read_text(path))
        read_preset(path, find_preset)
    except PresetError as error:
        return KnownPreset(name, shelf.owner, path, about, hidden, error.problems[0])
    return KnownPreset(name, shelf.owner, path, about, hidden)


def _behind(extending: Path) -> tuple[Shelf, ...]:
    """The folder of a preset and those behind it; all of them for a file that lies elsewhere."""
    there, own = shelves(), _real(extending).rpartition("/")[0]
    place = next((number for number, shelf in enumerate(there) if _real(shelf.folder) == own), 0)
    return there[place:]


def _real(path: Path | None) -> str:
    """Without links; unlike Path.resolve, of links in a circle, too."""
    return os.path.realpath(path) if path else ""


def _unknown(name: str, searched: tuple[Shelf, ...], extending: Path | None) -> Problem:
    known = list(dict.fromkeys(name for shelf in searched for name in shelf.names()))
    close = difflib.get_close_matches(Path(name).name.removesuffix(".toml")[:80], known, n=1)
    suggestion = f"; did you mean {close[0]}?" if close else "."
    facts = {"known": ", ".join(known), "suggestion": suggestion}
    if extending is None:
        return Problem("preset.not_found", "", cut(name), facts)
    return Problem("preset.base_not_found", f"{extending}: extends", cut(name), facts)
