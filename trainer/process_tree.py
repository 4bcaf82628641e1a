"""The processes below this one: ended with it, adopted by it, counted and cleared away. Linux only."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PARENT = "BERT_TUI_PARENT"
"""Environment variable: the id of the process that starts the ones below it."""
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """One line of the process table."""

    pid: int
    parent: int
    ticks: int
    """Processor time used, user and system, in clock ticks."""
    resident: int
    """Bytes of memory."""


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent ends, also by kill -9; if that has happened already, ends here.

    Lasts over exec but not over fork, so every generation calls it. The parent must start its children from its main
    thread (the kernel looks at the thread), and name itself in the environment (:data:`PARENT`).
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = os.environ.get(PARENT)
    if parent is not None and os.getppid() != int(parent):
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Makes this process the parent of descendants whose own parent ends, so that :func:`end_family` finds them."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def family(root: int) -> list[Process]:
    """``root`` and its descendants; empty where ``root`` is gone."""
    table = {process.pid: process for process in map(_read, _pids()) if process}
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found, waiting = [], [root] if root in table else []
    while waiting:
        pid = waiting.pop()
        found.append(table[pid])
        waiting += children.get(pid, [])
    return found


def end_family(root: int, seconds: float = 5.0) -> bool:
    """Kills the descendants of ``root``, which must be this process, and waits for their end. False if some stay."""
    until = time.monotonic() + seconds
    while True:
        rest = [process.pid for process in family(root) if process.pid != root]
        if not rest or time.monotonic() >= until:
            return not rest
        for pid in rest:
            _kill(pid)
        _reap()
        time.sleep(0.02)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _read(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may hold anything
    return Process(pid, int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[21]) * PAGE)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
