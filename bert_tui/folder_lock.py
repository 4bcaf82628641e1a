"""The lock of a folder that a detached job works in: held (flock) as long as the job lives, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from trainer.spec.run_lock import try_flock

PATIENCE = 2.0
"""Seconds a taker of the lock tries again: a viewer that looks has it for an instant."""


class FolderLock:
    """The lock, held until :meth:`release` or the end of every process that has the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def release(self) -> None:
        """Lets others take it."""
        os.close(self.descriptor)


def take_lock(path: Path) -> FolderLock | None:
    """The lock whose file is ``path``, made if absent; None if a job holds it.

    Raises:
        OSError: the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    if try_flock(descriptor, fcntl.LOCK_EX, time.monotonic() + PATIENCE):
        return FolderLock(descriptor)
    os.close(descriptor)
    return None


def is_held(path: Path) -> bool:
    """Whether a job holds the lock whose file is ``path``.

    Raises:
        OSError: the lock may not be looked at.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not try_flock(descriptor, fcntl.LOCK_SH, time.monotonic())
    finally:
        os.close(descriptor)
