"""Deleting a run that is over: all that is its own goes, and nothing that other runs share."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bert_tui.metrics.sentences import size
from bert_tui.runs.end import require_over, settle
from bert_tui.runs.job import tensorboard_folder
from bert_tui.runs.registry import links_folder
from bert_tui.runs.state import state_of
from trainer.spec.checkpoint_folder import complete_checkpoints
from trainer.spec.preset_file import read_preset
from trainer.spec.problem import PresetError, Problem, RunError
from trainer.spec.run_directory import RunDirectory
from trainer.spec.run_lock import kept_free, locked, read_holder

DELETED = ".deleted-"
"""What the name of a run directory begins with from the moment it is given up until its last file has gone."""


@dataclass(frozen=True)
class Belongings:
    """What a run has on disk and nobody else uses."""

    run: RunDirectory
    tensorboard: Path | None
    """Its own folder of event files; None where there is none, or the preset no longer says where."""
    bytes: int
    """Disk space of both, as the file system counts it."""
    checkpoints: tuple[int, ...]
    """The steps of the complete ones."""

    def sentences(self) -> list[str]:
        """What will be lost, and what stays."""
        return [
            f"{self.run.path}",
            f"It has {self._saved()}. These, its curves and its log are deleted; this frees {size(self.bytes)}.",
            "Your data, and what other runs use, stays. It cannot be undone.",
        ]

    def _saved(self) -> str:
        if not self.checkpoints:
            return "no checkpoint"
        number, last = len(self.checkpoints), f"{self.checkpoints[-1]:,}"
        return f"the checkpoint of step {last}" if number == 1 else f"{number} checkpoints up to step {last}"


def belongings_of(run: RunDirectory) -> Belongings:
    """What deleting the run would free.

    Raises:
        RunError: it is at work, or not this user's to delete.
    """
    require_over(run)
    _require_ours(run)
    tensorboard = _tensorboard_of(run)
    space = sum(_space(folder) for folder in (run.path, tensorboard) if folder)
    saved = tuple(checkpoint.step for checkpoint in complete_checkpoints(run.checkpoints))
    return Belongings(run, tensorboard, space, saved)


def delete_run(run: RunDirectory) -> Belongings:
    """Removes the run directory, its event files, its ended containers and the link that finds it; returns what went.
    Who calls this has asked the operator to confirm.

    The run disappears at once, by a rename; a deletion that is interrupted is completed by the next one in the same
    folder.

    Raises:
        RunError: the run is at work, or not this user's, or cannot be removed; named by file and reason.
    """
    owned = belongings_of(run)
    settle(state_of(run))
    with kept_free(run) as free:  # a resume that is just beginning waits for us, and then finds nothing
        if not free:
            raise RunError(locked(run, read_holder(run.lock)))
        _move_aside(run)
    _unlink(run)
    for folder in (owned.tensorboard, *_moved_aside(run.path.parent)):
        if folder:
            _remove(folder)
    return owned


def _require_ours(run: RunDirectory) -> None:
    owner = run.path.stat().st_uid
    if os.geteuid() not in (0, owner):
        raise RunError(Problem("run.not_yours", run.id, _name_of(owner)))


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _tensorboard_of(run: RunDirectory) -> Path | None:
    from bert_tui.presets import find_preset

    try:
        folder = tensorboard_folder(run, read_preset(run.request, find_preset))
    except PresetError:
        return None
    return folder if folder.is_dir() and not folder.is_symlink() else None


def _space(folder: Path) -> int:
    """Bytes taken on disk; holes of sparse files do not count."""
    return sum(status.st_blocks * 512 for status in _statuses(folder))


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    for inside, _, names in os.walk(folder):
        yield from ((Path(inside) / name).lstat() for name in names)


def _move_aside(run: RunDirectory) -> None:
    try:
        run.path.rename(run.path.with_name(DELETED + run.id))
    except OSError as error:
        raise RunError(_unremovable(error, run.path)) from error


def _moved_aside(parent: Path) -> list[Path]:
    """Given up by us, now or by a deletion that was interrupted."""
    return [path for path in parent.glob(f"{DELETED}*") if path.stat().st_uid == os.geteuid() or os.geteuid() == 0]


def _unlink(run: RunDirectory) -> None:
    link = links_folder() / run.id
    if link.is_symlink() and link.readlink() == run.path:
        link.unlink()


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return  # another deletion was quicker
    except OSError as error:
        raise RunError(_unremovable(error, folder)) from error


def _unremovable(error: OSError, path: Path) -> Problem:
    return Problem("run.unremovable", str(error.filename or path), "", {"reason": error.strerror or str(error)})
