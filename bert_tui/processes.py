"""Processes by identity: a process id alone may be somebody else's by the time it is looked at."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import bert_tui


def host_name() -> str:
    """This machine, as records name it."""
    return socket.gethostname()


def boot_id() -> str:
    """Changes with every start of the machine; no process outlives it. Empty where the kernel does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def started(pid: int) -> float | None:
    """When a process of this machine was started, in clock ticks after boot; None if it is gone or has ended and only
    waits for its parent. Together with the id it names one process of this boot."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may hold anything
    return None if fields[0] in ("Z", "X") else float(fields[19])


def is_alive(pid: int, pid_started: float) -> bool:
    """Whether the very process that was started then still runs, on this machine."""
    return started(pid) == pid_started


def kill(pid: int, pid_started: float) -> None:
    """Ends that very process at once. One that is gone already is no error.

    Raises:
        PermissionError: it is somebody else's.
    """
    if is_alive(pid, pid_started):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def package_environment() -> dict[str, str]:
    """Variables with which ``python -m`` finds this very package, and nothing in the folder it is called from."""
    package = str(Path(bert_tui.__file__).parent.parent)
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}


def spawn_detached(
    command: Sequence[str], *, directory: Path, environment: Mapping[str, str], log: Path, keep: Sequence[int] = ()
) -> int:
    """Starts a process in a session of its own, out of reach of a closed terminal; its words go to ``log``. Besides
    these, it gets the open files whose descriptors are in ``keep``, under the same numbers.

    Gives its id.

    Raises:
        OSError: it could not be started.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=directory,
            env=environment,
            start_new_session=True,
            pass_fds=keep,
        )
    finally:
        os.close(descriptor)
    threading.Thread(target=process.wait, name=f"reaper of {process.pid}", daemon=True).start()
    return process.pid
