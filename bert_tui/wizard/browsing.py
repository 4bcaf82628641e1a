"""What a browser offers of a folder: what is looked for can be taken, other files are shown and passed over."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bert_tui.checks.folder import Entry, EntryKind, Listing
from bert_tui.paths import expand_path, short_path
from bert_tui.wizard.choices import Choice

Wanted = Literal["dataset", "vocabulary", "text", "folder", "prefix", "file"]
"""What a path field asks for. A prefix is a folder with the beginning of a name that is yet to be written."""

HERE, UP = ".", ".."
KINDS: dict[EntryKind, str] = {
    "folder": "",
    "dataset": "dataset",
    "vocabulary": "vocabulary",
    "text": "text",
    "file": "",
}
"""What stands beside a name."""
TAKEN: dict[Wanted, frozenset[EntryKind]] = {
    "dataset": frozenset({"dataset"}),
    "vocabulary": frozenset({"vocabulary", "text"}),
    "text": frozenset({"text", "vocabulary", "file"}),
    "folder": frozenset(),
    "prefix": frozenset(),
    "file": frozenset({"vocabulary", "text", "file"}),
}
"""What may be taken for each. A vocabulary is known by its first lines only, and text may have any name."""
THIS_FOLDER: dict[Wanted, str] = {
    "folder": "Take this folder",
    "prefix": "Put it into this folder",
    "text": "Take all text in this folder",
}
"""Where the folder itself may be taken."""


def offered(listing: Listing, wanted: Wanted) -> list[Choice]:
    """The lines of the browser; the values are :data:`HERE`, :data:`UP`, and names in the folder, those of folders
    with a slash."""
    lines = [Choice(HERE, THIS_FOLDER[wanted], "")] if wanted in THIS_FOLDER else []
    if listing.folder.parent != listing.folder:
        lines.append(Choice(UP, "../", "the folder above"))
    lines.extend(_choice(entry, wanted) for entry in listing.entries if entry.kind == "folder" or TAKEN[wanted])
    return lines


def _choice(entry: Entry, wanted: Wanted) -> Choice:
    name = f"{entry.name}/" if entry.kind == "folder" else entry.name
    if not name.isprintable():
        return Choice(name, ascii(name), "", "a name that cannot be typed")
    fits = entry.kind == "folder" or entry.kind in TAKEN[wanted]
    return Choice(name, name, KINDS[entry.kind], "" if fits else KINDS[entry.kind] or "other file")


def best(choices: Sequence[Choice]) -> str | None:
    """Where the cursor begins: on what can be taken, or else on the first name."""
    possible = [choice.value for choice in choices if not choice.reason]
    taken = [value for value in possible if not is_folder(value)]
    return next(iter([*taken, *(value for value in possible if value != UP), *possible]), None)


def is_folder(value: str) -> bool:
    """Whether the value of a line is a folder that can be opened."""
    return value == UP or value.endswith("/")


def first_folder(text: str) -> Path:
    """Where to begin: the folder that was typed, or the nearest above it that may be looked into; the home folder where
    nothing was typed."""
    path = Path(expand_path(text or "~"))
    return next((folder for folder in (path, *path.parents) if _may_be_read(folder)), Path("/"))


def _may_be_read(folder: Path) -> bool:
    try:
        return folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
    except OSError:  # a name too long, a folder above that may not be entered
        return False


def typed(folder: Path, name: str, wanted: Wanted, before: str) -> str:
    """What stands in the field once ``name`` of ``folder`` was taken; ``before`` is what stood there."""
    if name != HERE:
        return short_path(folder / name)
    if wanted == "prefix":
        return short_path(folder / (Path(before.strip()).name or "dataset"))
    return short_path(folder)
