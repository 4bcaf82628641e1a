"""``PREFIX.build/``: the folder a build works in. All that a build and those who watch it share.

================  ==================================================================  =========================
file              what                                                                writer
================  ==================================================================  =========================
``order.json``    what was asked for (:class:`~bert_tui.data.order.BuildOrder`)       whoever starts the build
``lock``          held (flock) while the build lives                                  whoever starts, the builder
``stop``          its presence asks the build to end                                  anyone who may write
``status.json``   heartbeat and progress                                              builder
``end.json``      how it ended                                                        builder
``build.log``     what a detached builder prints                                      builder
``shards/``       pieces of the dataset that are done; removed when they are joined   builder
================  ==================================================================  =========================
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bert_tui.data.build_records import BuildProgress, BuildResult
from bert_tui.data.order import BuildOrder
from bert_tui.folder_lock import FolderLock, take_lock
from bert_tui.job_folder import JobFolder
from bert_tui.places import state_folder
from trainer.spec.problem import DatasetError, Problem
from trainer.spec.records import read_record, to_json
from trainer.spec.run_directory import write_whole


@dataclass(frozen=True)
class BuildStatus:
    """``status.json``."""

    pid: int
    pid_started: float
    host: str
    since: float
    """Unix time at which the builder began."""
    heartbeat: int
    """Counts up at least every two seconds while it lives."""
    progress: BuildProgress


@dataclass(frozen=True)
class BuildEnd:
    """``end.json``."""

    outcome: Literal["finished", "failed", "stopped"]
    time: float
    problems: tuple[Problem, ...] = ()
    result: BuildResult | None = None


@dataclass(frozen=True)
class BuildFolder(JobFolder):
    """The names in the folder; the table above says what they are."""

    @property
    def stop_request(self) -> Path:
        """Its presence asks the build to end."""
        return self.path / "stop"

    @property
    def log(self) -> Path:
        """What a detached builder prints."""
        return self.path / "build.log"

    @property
    def shards(self) -> Path:
        """Pieces of the dataset that are done."""
        return self.path / "shards"


def open_folder(order: BuildOrder) -> tuple[BuildFolder, FolderLock]:
    """Takes the folder of an order for a new start: makes it, locks it, writes the order, forgets how an earlier start
    ended. What that start had finished stays.

    Raises:
        DatasetError: another build works in it, or it cannot be written.
    """
    folder = BuildFolder(order.folder)
    try:
        folder.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = _take_lock(folder)
        for left in (folder.end, folder.status, folder.stop_request):
            left.unlink(missing_ok=True)
        write_whole(folder.order, to_json(order))
        _link(folder)
    except OSError as error:
        raise DatasetError(unwritable(error, folder.path)) from error
    return folder, lock


def find_builds() -> list[BuildFolder]:
    """The builds of this user whose folders are still there, the last begun first."""
    found = []
    for link in _links().iterdir():
        folder = BuildFolder(link.readlink())
        try:
            found.append((folder.order.stat().st_mtime, folder))
        except OSError:  # removed, or on a disk that is not mounted now
            continue
    return [folder for _, folder in sorted(found, key=lambda item: (-item[0], str(item[1].path)))]


def read_order(folder: BuildFolder) -> BuildOrder:
    """What the build was asked for.

    Raises:
        DatasetError: the folder holds no order.
    """
    order = read_record(BuildOrder, folder.order)
    if order is None:
        raise DatasetError(Problem("build.no_order", str(folder.path)))
    return order


def unwritable(error: OSError, path: Path) -> Problem:
    """The refusal where the system does not let us write."""
    return Problem("build.unwritable", str(error.filename or path), "", {"reason": error.strerror or str(error)})


def _take_lock(folder: BuildFolder) -> FolderLock:
    lock = take_lock(folder.lock)
    if lock is None:
        status = read_record(BuildStatus, folder.status)
        facts = {"pid": status.pid, "host": status.host} if status else {"pid": "?", "host": "?"}
        raise DatasetError(Problem("build.busy", str(folder.path), "", facts))
    return lock


def _links() -> Path:
    folder = state_folder() / "builds"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _link(folder: BuildFolder) -> None:
    """Makes the build findable from any folder."""
    link = _links() / hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:16]
    link.unlink(missing_ok=True)
    link.symlink_to(folder.path)
