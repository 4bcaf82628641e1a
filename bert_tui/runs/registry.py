"""Finding runs: by links in the user's state folder, by labels of containers, by folders that are named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from bert_tui.deadline import within
from bert_tui.paths import expand_path
from bert_tui.places import state_folder
from trainer.spec.problem import EnvironmentRefused, Problem, RunError
from trainer.spec.run_directory import RUN_ID, RunDirectory

LATEST = "latest"
ENGINE_SECONDS = 2.0
"""How long an engine may take to tell of its containers; links and folders need none."""


def links_folder() -> Path:
    """Where the links lie, made if absent."""
    folder = state_folder() / "runs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def link_run(run: RunDirectory) -> None:
    """Makes a run findable from any folder.

    Raises:
        OSError: the state folder cannot be written.
    """
    link = links_folder() / run.id
    link.unlink(missing_ok=True)
    link.symlink_to(run.path)


def find_runs(roots: Iterable[Path] = ()) -> list[RunDirectory]:
    """Every run that can be found and read, newest first. Links into folders that are not mounted now are passed over,
    and other people's runs."""
    candidates = [*_linked(), *labelled_runs(), *(found for root in roots for found in _inside(root))]
    known = {path.resolve(): RunDirectory(path) for path in reversed(candidates) if _is_run(path)}
    return sorted(known.values(), key=lambda run: run.id, reverse=True)


def find_run(text: str, roots: Iterable[Path] = ()) -> RunDirectory:
    """The run that ``text`` means: "latest", an id or the beginning of one, or the path of a run directory.

    Raises:
        RunError: there is none, or several.
    """
    if "/" in text and _is_run(path := Path(expand_path(text))):
        return RunDirectory(path)
    runs = find_runs(roots)
    if text == LATEST and runs:
        return runs[0]
    matching = [run for run in runs if run.id == text] or [run for run in runs if run.id.startswith(text)]
    if len(matching) > 1:
        found = ", ".join(run.id for run in matching[:5]) + (", ..." if len(matching) > 5 else "")
        raise RunError(Problem("run.ambiguous", "", text, {"found": found}))
    if not matching:
        raise RunError(Problem("run.not_found", "", text))
    return matching[0]


def _linked() -> Iterator[Path]:
    for link in links_folder().iterdir():
        if link.is_symlink():
            yield link.readlink()


def labelled_runs() -> list[Path]:
    """Run directories by the labels of containers; nothing where there is no engine to ask."""
    from bert_tui.launchers.docker import runs_by_label

    try:
        return within(ENGINE_SECONDS, runs_by_label, name="containers")
    except (TimeoutError, EnvironmentRefused):
        return []


def _inside(root: Path) -> list[Path]:
    root = Path(expand_path(str(root)))
    return [root, *root.iterdir()] if root.is_dir() else []


def _is_run(path: Path) -> bool:
    """Whether it is a run directory, and ours to read: containers are labelled with everybody's."""
    try:
        return RUN_ID.fullmatch(path.name) is not None and path.is_dir() and os.access(path, os.R_OK | os.X_OK)
    except OSError:  # a stale network mount, a folder above it that may not be entered
        return False
