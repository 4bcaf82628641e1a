"""The checklist's questions about training without a container."""

from __future__ import annotations

import shutil
from pathlib import Path

from bert_tui.checks.check import Check, Finding
from bert_tui.checks.runner import Question, Subject, question
from trainer.spec.sizing import GIB

SHARED_MEMORY = Path("/dev/shm")
SMALL_SHARED_MEMORY = GIB
"""Enough for what NCCL keeps there for eight GPUs that cannot reach each other's memory."""


def local_torch(subject: Subject) -> Check:
    """torch beside this program, found without importing it."""
    from bert_tui.launchers.local import LocalLauncher

    launch = subject.preset.launch
    (check,) = LocalLauncher().check(launch.launcher == "local" and launch.gpus != "none", image="")
    return check


def shared_memory(subject: Subject) -> Finding:
    """Room in ``/dev/shm``, through which GPUs talk that have no direct way; a container gets its own."""
    if not SHARED_MEMORY.is_dir():
        return Finding("warn", f"{SHARED_MEMORY} is missing", "Several GPUs may be unable to train together.", _MOUNT)
    usage = shutil.disk_usage(SHARED_MEMORY)
    seen = f"{usage.free / GIB:.1f} of {usage.total / GIB:.1f} GiB free at {SHARED_MEMORY}"
    if subject.preset.launch.gpus == "none" or usage.free >= SMALL_SHARED_MEMORY:
        return Finding("pass", seen)
    return Finding("warn", seen, "Several GPUs may be unable to train together (NCCL).", _MOUNT)


_MOUNT = f"sudo mount -o remount,size=8G {SHARED_MEMORY}; in a container: start it with --shm-size 8g"

LOCAL_CHECKS = (
    Question("local.torch", "PyTorch", local_torch),
    question("local.shm", "Shared memory", shared_memory),
)
"""Every question about training without a container, in the order in which they are shown."""
