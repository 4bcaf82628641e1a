"""The checklist's questions about this machine without its GPUs: system, memory, limits, clock."""

from __future__ import annotations

import importlib.util
import platform
import resource
import socket
import sys
import time

from bert_tui.checks.check import Finding
from bert_tui.checks.disk import CHECKPOINT_DISK, LOG_DISK
from bert_tui.checks.runner import Subject, question
from bert_tui.invocation import python
from trainer.spec.sizing import GIB, MIB

SMALL_MEMORY = 2 * GIB
FEW_FILES = 1024
"""Files, sockets included, that a process needs to be able to open: each rank talks to all others."""
LITTLE_LOCKED_MEMORY = 64 * 1024
"""Bytes below which not even a small buffer can be kept from being swapped out."""
YEARS = range(2026, 2100)
"""A clock outside of these was never set."""
TIME_ERROR = 5
"""What adjtimex returns where nothing has set the clock right (its manual page)."""


def system(subject: Subject) -> Finding:
    """Operating system and Python."""
    name = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux") if sys.platform == "linux" else sys.platform
    seen = f"{name}, Python {platform.python_version()}"
    if sys.platform != "linux":
        return Finding(
            "fail", seen, "Only Linux can train here.", "Start bert-tui on the Linux machine that has the GPUs."
        )
    return Finding("pass", seen)


def cores(subject: Subject) -> Finding:
    """Usable cores."""
    count = subject.machine.cores
    if count == 1:
        meaning = "Training on the CPU will be slow, and nothing can be split over cores."
        return Finding("warn", "1 usable core", meaning)
    return Finding("pass", f"{count} usable cores")


def memory(subject: Subject) -> Finding:
    """Main memory within the limits of this session."""
    free, total = subject.machine.memory_available, subject.machine.memory_total
    seen = f"{free / GIB:.1f} GiB free of {total / GIB:.1f} GiB"
    if free < SMALL_MEMORY:
        meaning = "The system may end the training when memory runs out."
        return Finding("warn", seen, meaning, "Close other programs: free -h; top -o %MEM")
    return Finding("pass", seen)


def limits(subject: Subject) -> Finding:
    """What this account may open, lock and write: what is started from here inherits it."""
    files, locked, size = (
        resource.getrlimit(which)[0]
        for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_MEMLOCK, resource.RLIMIT_FSIZE)
    )
    seen = f"{_count(files)} open files, {_bytes(locked)} of locked memory"
    if size != resource.RLIM_INFINITY:
        meaning = "A checkpoint that is larger cannot be written."
        return Finding("warn", f"files may have {_bytes(size)} at most", meaning, "ulimit -f unlimited")
    if 0 <= files < FEW_FILES:
        meaning = "Training with several processes may end with: too many open files."
        return Finding("warn", seen, meaning, "ulimit -n 65536; for good: nofile in /etc/security/limits.conf")
    if 0 <= locked < LITTLE_LOCKED_MEMORY:
        meaning = "GPUs may be unable to talk to each other (NCCL locks buffers in memory)."
        return Finding("warn", seen, meaning, "For good: memlock unlimited in /etc/security/limits.conf")
    return Finding("pass", seen)


def board_port(subject: Subject) -> Finding:
    """Whether TensorBoard could be opened: the package, and a port on the loopback address."""
    if importlib.util.find_spec("tensorboard") is None:
        meaning = "The curves are written, but nothing here can draw them in a browser."
        return Finding("warn", "TensorBoard is not installed", meaning, f"Type: {python()} -m pip install tensorboard")
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        meaning = "TensorBoard cannot be opened from here. Training works without it."
        return Finding("warn", f"no port on 127.0.0.1: {error.strerror}", meaning, "ip addr show lo; ss -ltn")
    return Finding("pass", "installed, and a port is free")


def clock(subject: Subject) -> Finding:
    """Whether the clock was ever set, and whether something keeps it right."""
    now = time.localtime()
    seen = time.strftime("%Y-%m-%d %H:%M", now)
    if now.tm_year not in YEARS:
        meaning = "Names and times of runs will be wrong, and encrypted connections will fail."
        return Finding("warn", seen, meaning, "sudo timedatectl set-ntp true")
    kept = {True: ", kept right over the network", False: ", kept right by nothing", None: ""}[_kept_right()]
    return Finding("pass", seen + kept)


def _kept_right() -> bool | None:
    """Whether the kernel knows of something that keeps the clock right, such as NTP; None where it does not tell."""
    import ctypes

    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    state = adjtimex(ctypes.create_string_buffer(1024))  # zeros ask only; the structure has about 200 bytes
    return None if state < 0 else state != TIME_ERROR


def _count(limit: int) -> str:
    return "any number of" if limit == resource.RLIM_INFINITY else f"{limit:,}"


def _bytes(limit: int) -> str:
    if limit == resource.RLIM_INFINITY:
        return "any amount"
    return f"{limit / MIB:,.0f} MiB" if limit >= MIB else f"{limit / 1024:.0f} KiB"


SYSTEM_CHECKS = (
    question("system.os", "Operating system", system),
    question("system.cores", "Processor", cores),
    question("system.memory", "Memory", memory),
    CHECKPOINT_DISK,
    LOG_DISK,
    question("system.limits", "Limits", limits),
    question("system.clock", "Clock", clock),
    question("system.port", "TensorBoard", board_port),
)
"""Every question about the machine, in the order in which they are shown."""
