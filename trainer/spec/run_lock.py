"""The lock of a run: at most one starter or supervisor at a time, so never two trainers.

A kernel lock (flock), so it ends with its holder however that dies. The file's text names the holder for people; the
lock itself decides.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from trainer.spec.problem import Problem, RunError
from trainer.spec.records import Holder, from_json, to_json
from trainer.spec.run_directory import AttemptDirectory, RunDirectory

PATIENCE = 2.0
"""Seconds a taker tries again: a viewer that looks (:func:`holder`) has the lock for an instant."""


class RunLock:
    """The lock, held until :meth:`release` or the end of this process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Lets others take it."""
        os.close(self._descriptor)


def take_lock(attempt: AttemptDirectory, role: Literal["starter", "supervisor"]) -> RunLock:
    """Takes the run's lock for an attempt.

    Raises:
        RunError: somebody else has it; names who.
    """
    run = attempt.run
    descriptor = os.open(run.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not try_flock(descriptor, fcntl.LOCK_EX, time.monotonic() + PATIENCE):
        os.close(descriptor)
        raise RunError(locked(run, read_holder(run.lock)))
    mine = Holder(socket.gethostname(), os.getpid(), _user(), role, attempt.number, time.time())
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, to_json(mine).encode(), 0)
    return RunLock(descriptor)


@contextmanager
def kept_free(run: RunDirectory, patience: float = 0.0) -> Iterator[bool]:
    """Whether the lock is free, or becomes so within ``patience`` seconds. Inside, where it is, nobody takes it: who
    wants to waits for us. A lock that was never taken has no file yet and is free.

    Raises:
        RunError: it may not be looked at.
    """
    try:
        descriptor = os.open(run.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    except OSError as error:
        raise RunError(Problem("run.unreadable", str(run.lock), "", {"reason": error.strerror})) from error
    try:
        yield try_flock(descriptor, fcntl.LOCK_SH, time.monotonic() + patience)
    finally:
        os.close(descriptor)


def holder(run: RunDirectory, patience: float = 0.0) -> Holder | None:
    """Who has the lock now; None if it is free, or becomes free within ``patience`` seconds.

    Raises:
        RunError: it may not be looked at.
    """
    with kept_free(run, patience) as free:
        return None if free else read_holder(run.lock)


def read_holder(lock: Path) -> Holder:
    """What the lock file says, with question marks where it says nothing."""
    try:
        text = lock.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    return from_json(Holder, text) or Holder("?", 0, "?", "supervisor", 0, 0.0)


def locked(run: RunDirectory, by: Holder) -> Problem:
    """The refusal that names the holder."""
    return Problem("run.locked", run.id, by.role, {"user": by.user, "host": by.host, "pid": by.pid})


def try_flock(descriptor: int, kind: int, until: float) -> bool:
    """Whether the lock of an open file could be taken (``fcntl.LOCK_EX`` or ``LOCK_SH``) before ``until`` on the
    monotonic clock."""
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        else:
            return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
