"""Fetching that outlives the screen it was started from: starting, watching, cancelling, waiting for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bert_tui.folder_lock import FolderLock, is_held, take_lock
from bert_tui.launchers.cpu_image import CPU_IMAGE
from bert_tui.launchers.engine import connect, engine_errors
from bert_tui.launchers.fetching.folder import (
    FetchEnd,
    FetchFolder,
    FetchOrder,
    FetchStatus,
    find_folders,
    folder_of,
)
from bert_tui.launchers.fetching.loading import require_archive
from bert_tui.launchers.fetching.progress import FetchProgress
from bert_tui.launchers.fetching.pulling import full_name
from bert_tui.launchers.fetching.room import image_disk, needed_bytes, require_room
from bert_tui.processes import package_environment, spawn_detached
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.records import read_record, to_json
from trainer.spec.run_directory import write_whole

WORKER = "bert_tui.launchers.fetching.worker"
POLL_SECONDS = 0.5

FetchState = Literal["running", "finished", "failed", "cancelled", "died"]
"""``died``: it has ended and left no word, as after a kill or a reboot."""


@dataclass(frozen=True)
class FetchView:
    """A job as it is now."""

    folder: FetchFolder
    order: FetchOrder
    state: FetchState
    progress: FetchProgress | None
    """The last that was told; None before the first."""
    since: float | None
    """Unix time at which it began."""
    problem: Problem | None = None
    """Why it failed."""
    images: tuple[str, ...] = ()
    """What is here now, once finished."""


def pull_order(image: str) -> FetchOrder:
    """To fetch an image by its name; ``bert-tui-cpu`` is built instead.

    Raises:
        EnvironmentRefused: that is no name of an image.
    """
    if image.partition(":")[0] == CPU_IMAGE:
        return FetchOrder(CPU_IMAGE)
    if not image.strip() or not image.isprintable() or any(letter.isspace() for letter in image):
        raise EnvironmentRefused(Problem("image.name", "", image))
    return FetchOrder(full_name(image))


def load_order(file: Path) -> FetchOrder:
    """To load images from a file.

    Raises:
        EnvironmentRefused: it is no archive of images, as far as can be told by its first bytes.
    """
    require_archive(file)
    return FetchOrder(file=str(file.absolute()))


def start_fetch(order: FetchOrder) -> FetchFolder:
    """Starts the job in a session of its own, and returns at once. One that fetches the same already is not disturbed:
    it is the one that is given back.

    Raises:
        EnvironmentRefused: no engine, too little room, or the job's folder cannot be written.
    """
    folder = folder_of(order)
    if running_fetch(order) is not None:
        return folder
    _refuse_early(order)
    try:
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = take_lock(folder.lock)
        if lock is None:
            return folder
        try:
            _write_order(folder, order)
            _spawn(folder, lock)
        finally:
            lock.release()  # the worker has it too
    except OSError as error:
        raise _unwritable(error, folder.path) from error
    return folder


def read_fetch(folder: FetchFolder) -> FetchView:
    """How a job is.

    Raises:
        EnvironmentRefused: no job was started there, or its files may not be read.
    """
    order = read_record(FetchOrder, folder.order)
    if order is None:
        raise EnvironmentRefused(Problem("image.no_job", "", str(folder.path)))
    try:
        alive = is_held(folder.lock)  # looked at before the end is read: who lets go of it has written its end
    except OSError as error:
        raise _unwritable(error, folder.lock) from error
    status, end = read_record(FetchStatus, folder.status), read_record(FetchEnd, folder.end)
    return FetchView(
        folder=folder,
        order=order,
        state="running" if alive else end.outcome if end else "died",
        progress=status.progress if status else None,
        since=status.since if status else None,
        problem=end.problem if end and not alive else None,
        images=end.images if end and not alive else (),
    )


def find_fetches() -> list[FetchView]:
    """The jobs of this user, running and ended, the last begun first. Those that cannot be read are left out."""
    views = []
    for folder in find_folders():
        try:
            views.append(read_fetch(folder))
        except EnvironmentRefused:  # its owner cannot use it either; a new start says why
            continue
    return views


def running_fetch(order: FetchOrder) -> FetchView | None:
    """The job that fetches this very thing now."""
    folder = folder_of(order)
    if not folder.order.exists():
        return None
    view = read_fetch(folder)
    return view if view.state == "running" else None


def cancel_fetch(folder: FetchFolder) -> None:
    """Asks a job to end; within a second it does.

    Raises:
        EnvironmentRefused: the folder may not be written.
    """
    try:
        folder.cancel_request.touch()
    except OSError as error:
        raise _unwritable(error, folder.cancel_request) from error


def wait_for(folder: FetchFolder, show: Callable[[FetchProgress], None]) -> FetchView:
    """Shows how far a job is until it ends; gives how it did."""
    while (view := read_fetch(folder)).state == "running":
        if view.progress is not None:
            show(view.progress)
        time.sleep(POLL_SECONDS)
    return view


def _refuse_early(order: FetchOrder) -> None:
    """What the job would find out too, told while somebody listens."""
    client = connect()
    needed = require_archive(Path(order.file)).size if order.file else needed_bytes(order.image)
    with engine_errors():
        require_room(needed, image_disk(client.info()))


def _write_order(folder: FetchFolder, order: FetchOrder) -> None:
    for left in (folder.end, folder.status, folder.cancel_request, folder.log):
        left.unlink(missing_ok=True)
    write_whole(folder.order, to_json(order))


def _spawn(folder: FetchFolder, lock: FolderLock) -> None:
    spawn_detached(
        [sys.executable, "-m", WORKER, str(folder.path)],
        directory=folder.path,
        environment=package_environment(),
        log=folder.log,
        keep=(lock.descriptor,),
    )


def _unwritable(error: OSError, path: Path) -> EnvironmentRefused:
    where = str(error.filename or path)
    return EnvironmentRefused(Problem("image.unwritable", where, "", {"reason": error.strerror or str(error)}))
