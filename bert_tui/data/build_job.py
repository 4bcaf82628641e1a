"""Builds that outlive the screen they were started from: starting, watching, stopping, going on.

``python -m bert_tui.data.build_job FOLDER LOCK`` is the builder: it is handed the folder, locked already, so that there
is no moment in which a build that was started is not alive.
"""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bert_tui.data.build_folder import (
    BuildEnd,
    BuildFolder,
    BuildStatus,
    find_builds,
    open_folder,
    read_order,
    unwritable,
)
from bert_tui.data.build_records import BuildProgress, BuildResult
from bert_tui.data.order import BuildOrder, absolute, check_order
from bert_tui.folder_lock import FolderLock, is_held
from bert_tui.processes import package_environment, spawn_detached
from trainer.spec.problem import DatasetError, Problem
from trainer.spec.records import read_record

__all__ = ["BuildView", "find_builds", "read_build", "resume_build", "start_build", "stop_build"]

BuildState = Literal["running", "finished", "failed", "stopped", "died"]
"""``died``: it has ended and left no word, as after a kill or a reboot."""


@dataclass(frozen=True)
class BuildView:
    """A build as it is now."""

    folder: BuildFolder
    order: BuildOrder
    state: BuildState
    progress: BuildProgress | None
    """The last that was told; None before the first."""
    since: float | None
    """Unix time at which it began."""
    heartbeat: int
    """Counts up while it lives; a viewer whose clock sees it stand still says so."""
    problems: tuple[Problem, ...] = ()
    """Why it failed."""
    result: BuildResult | None = None
    """What it made, once finished."""

    @property
    def problem(self) -> Problem | None:
        """The first reason why it failed."""
        return self.problems[0] if self.problems else None

    @property
    def resumable(self) -> bool:
        """Whether it ended before it was done, so that it can go on from its finished shards."""
        return self.state in ("failed", "stopped", "died")


def start_build(order: BuildOrder) -> BuildFolder:
    """Starts a build in a session of its own, and returns at once. An earlier, interrupted build of the same order goes
    on from what it had finished.

    Raises:
        DatasetError: the order is wrong, another build works there, or the folder cannot be written.
    """
    check_order(order)
    folder, lock = open_folder(absolute(order))
    try:
        _spawn(folder, lock)
    except OSError as error:
        raise DatasetError(unwritable(error, folder.path)) from error
    finally:
        lock.release()  # the builder has it too
    return folder


def resume_build(folder: BuildFolder) -> BuildFolder:
    """Starts a build once more that ended before it was done.

    Raises:
        DatasetError: as :func:`start_build`; or the folder holds no order.
    """
    return start_build(read_order(folder))


def read_build(folder: BuildFolder) -> BuildView:
    """How a build is.

    Raises:
        DatasetError: the folder holds no order, or may not be read.
    """
    order = read_order(folder)
    try:
        alive = is_held(folder.lock)  # looked at before the end is read: who lets go of it has written its end
    except OSError as error:
        raise DatasetError(Problem("build.unreadable", str(folder.path), "", {"reason": error.strerror})) from error
    status, end = read_record(BuildStatus, folder.status), read_record(BuildEnd, folder.end)
    state: BuildState = "running" if alive else end.outcome if end else "died"
    return BuildView(
        folder=folder,
        order=order,
        state=state,
        progress=status.progress if status else None,
        since=status.since if status else None,
        heartbeat=status.heartbeat if status else 0,
        problems=end.problems if end and not alive else (),
        result=end.result if end and not alive else None,
    )


def stop_build(folder: BuildFolder) -> None:
    """Asks a build to end; within a second it does. What it has finished stays.

    Raises:
        DatasetError: the folder may not be written.
    """
    try:
        folder.stop_request.touch()
    except OSError as error:
        raise DatasetError(unwritable(error, folder.stop_request)) from error


def _spawn(folder: BuildFolder, lock: FolderLock) -> None:
    spawn_detached(
        [sys.executable, "-m", __name__, str(folder.path), str(lock.descriptor)],
        directory=folder.path,
        environment=package_environment(),
        log=folder.log,
        keep=(lock.descriptor,),
    )


def main(arguments: list[str]) -> int:
    """The builder of one folder."""
    from bert_tui.data.build import carry_out

    folder = BuildFolder(Path(arguments[0]))
    signal.signal(signal.SIGTERM, _on_signal)
    try:
        carry_out(folder, read_order(folder), lambda progress: None)
    except DatasetError as error:
        print(time.strftime("%Y-%m-%d %H:%M:%S"), error, file=sys.stderr)
        return 1
    return 0


def _on_signal(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
