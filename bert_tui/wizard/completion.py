"""What a path that is being typed may become."""

from __future__ import annotations

import os

from bert_tui.paths import LONGEST_PATH


def complete_path(text: str, *, dataset: bool = False) -> str | None:
    """The text with the first fitting name of its folder filled in; None where there is none, or nothing to add.

    ``~`` and variables stay as they were typed. A dataset is completed to its name without ``.idx``.
    """
    folder, name = os.path.split(os.path.expanduser(os.path.expandvars(text)))  # noqa: PTH111
    if not (folder and name) or len(text) > LONGEST_PATH:
        return None
    try:
        with os.scandir(folder) as entries:
            names = sorted(filter(None, (_offered(entry, dataset) for entry in entries)))
    except (OSError, ValueError):
        return None
    fitting = [found for found in names if found.startswith(name) and found != name]
    return text + fitting[0][len(name) :] if fitting else None


def _offered(entry: os.DirEntry[str], dataset: bool) -> str:
    """How an entry is offered: folders with a slash; of a dataset's files only the index, without its ending; none
    that cannot be typed."""
    if not entry.name.isprintable():
        return ""
    if _is_folder(entry):
        return f"{entry.name}/"
    if not dataset:
        return entry.name
    return entry.name.removesuffix(".idx") if entry.name.endswith(".idx") else ""


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False
