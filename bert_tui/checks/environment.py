"""The checklist's questions about this machine: system, memory, disk, GPUs, terminal."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bert_tui.checks.check import Answer, Check
from bert_tui.checks.runner import Question, Subject
from bert_tui.invocation import program, python
from bert_tui.machine import GpuFault
from bert_tui.paths import expand_path
from trainer.spec import sizing
from trainer.spec.preset import Preset
from trainer.spec.sizing import GIB

CHECKPOINT_BYTES = 12
"""A parameter's bytes in a checkpoint: the weight and AdamW's two moments, in fp32."""
SMALL_MEMORY = 2 * GIB
TERMINAL = (80, 24)
"""The smallest window, in columns and rows, in which nothing is cut off."""


def system(subject: Subject) -> Check:
    """Operating system and Python."""
    name = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux") if sys.platform == "linux" else sys.platform
    seen = f"{name}, Python {platform.python_version()}"
    if sys.platform != "linux":
        meaning, repair = "Only Linux can train here.", "Start bert-tui on the machine that has the GPUs."
        return Check("system.os", "Operating system", "fail", seen, meaning, repair)
    return Check("system.os", "Operating system", "pass", seen)


def cores(subject: Subject) -> Check:
    """Usable cores."""
    count = subject.machine.cores
    if count == 1:
        meaning = "Training on the CPU will be slow, and nothing can be split over cores."
        return Check("system.cores", "Processor", "warn", "1 usable core", meaning)
    return Check("system.cores", "Processor", "pass", f"{count} usable cores")


def memory(subject: Subject) -> Check:
    """Main memory within the limits of this session."""
    free, total = subject.machine.memory_available, subject.machine.memory_total
    seen = f"{free / GIB:.1f} GiB free of {total / GIB:.1f} GiB"
    if free < SMALL_MEMORY:
        meaning = "The system may end the training when memory runs out."
        return Check("system.memory", "Memory", "warn", seen, meaning, "Close other programs: free -h; top -o %MEM")
    return Check("system.memory", "Memory", "pass", seen)


def disk(subject: Subject) -> Check:
    """Room for the checkpoints, on the disk where they will lie."""
    preset, title = subject.preset, "Disk"
    folder = _existing(Path(expand_path(preset.checkpoint.path or "~")))
    free = shutil.disk_usage(folder).free
    need = checkpoint_bytes(subject) * (kept_checkpoints(preset) + 1) + GIB // 4
    seen = f"{_size(free)} free at {folder}, {_size(need)} needed"
    if free < need:
        meaning = f"The {kept_checkpoints(preset)} checkpoints that are kept and the one being written do not fit."
        return Check(
            "system.disk", title, "fail", seen, meaning, f"Free some room, or choose another disk: df -h {folder}"
        )
    if free < 2 * need:
        return Check("system.disk", title, "warn", seen, "It fits, but little room is left.", f"df -h {folder}")
    return Check("system.disk", title, "pass", seen)


def kept_checkpoints(preset: Preset) -> int:
    """How many checkpoints lie on the disk at the end of the run, at most."""
    settings = preset.checkpoint
    for_ever = (preset.train.steps or 0) // settings.keep_every if settings.keep_every is not None else 0
    return settings.keep_last + for_ever


def checkpoint_bytes(subject: Subject) -> int:
    """The size of one checkpoint of the model in question."""
    return sizing.parameter_count(sizing.shape_of(subject.preset.model)) * CHECKPOINT_BYTES


_DRIVER: dict[GpuFault, tuple[Answer, str, str, str]] = {
    "no-driver": (
        "fail",
        "no NVIDIA driver",
        "GPUs cannot be used; training on the CPU needs none.",
        "Install the driver: sudo apt install nvidia-driver (Debian), sudo ubuntu-drivers install (Ubuntu)",
    ),
    "no-library": (
        "unknown",
        "the Python package nvidia-ml-py is missing",
        "The driver could not be asked.",
        f"Type: {python()} -m pip install nvidia-ml-py",
    ),
    "not-loaded": ("fail", "driver installed, not loaded", "GPUs cannot be used.", "sudo modprobe nvidia"),
    "mismatch": (
        "fail",
        "driver and its library differ in version",
        "The driver was updated and the old one still runs.",
        "sudo reboot",
    ),
    "not-allowed": (
        "fail",
        "no permission to use the GPUs",
        "This account may not open /dev/nvidia*.",
        "sudo usermod -aG video,render $USER, then log in again",
    ),
    "lost": (
        "warn",
        "a GPU has fallen off the bus",
        "It is unusable until a restart; the others may be used.",
        "sudo dmesg | grep -i xid; sudo reboot",
    ),
    "silent": (
        "unknown",
        "the driver does not answer",
        "A GPU may hang.",
        "nvidia-smi; if it hangs too: sudo reboot",
    ),
    "other": ("unknown", "the driver reports an error", "GPUs may not be usable.", "nvidia-smi"),
}


def gpu_driver(subject: Subject) -> Check:
    """The NVIDIA driver, its ways to fail told apart."""
    machine, title = subject.machine, "GPU driver"
    if not machine.gpu_fault:
        return Check("gpu.driver", title, "pass", f"NVIDIA {machine.driver}")
    answer, seen, meaning, repair = _DRIVER[machine.gpu_fault]
    detail = f" ({machine.gpu_problem})" if machine.gpu_problem else ""
    return Check("gpu.driver", title, answer, seen + detail, meaning, repair)


def gpus(subject: Subject) -> Check:
    """The GPUs and who uses them."""
    machine, title = subject.machine, "GPUs"
    if not machine.gpus:
        meaning, repair = "Training uses the CPU: right for bert-tiny, far too slow for the others.", ""
        return Check("gpu.devices", title, "fail", "none", meaning, repair)
    names = sorted({f"{gpu.name}, {gpu.memory_total / GIB:.0f} GiB" for gpu in machine.gpus})
    seen = f"{len(machine.gpus)} x {'; '.join(names)}"
    busy = [gpu for gpu in machine.gpus if gpu.busy_with]
    if not busy:
        return Check("gpu.devices", title, "pass", seen)
    who = "; ".join(f"GPU {gpu.index}: {', '.join(gpu.busy_with)}" for gpu in busy)
    answer: Answer = "warn" if machine.free_gpus else "fail"
    return Check("gpu.devices", title, answer, f"{seen}; {len(busy)} busy", f"In use by others: {who}.", "nvidia-smi")


def local_torch(subject: Subject) -> Check:
    """torch beside this program, found without importing it."""
    from bert_tui.launchers.local import LocalLauncher

    (check,) = LocalLauncher().check(subject.preset.launch.gpus != "none", image="")
    return check


def session(subject: Subject) -> Check:
    """Whether this is a remote session; the run survives it either way."""
    remote = "over SSH" if os.environ.get("SSH_CONNECTION") else "at this machine"
    held = ", in tmux or screen" if os.environ.get("TMUX") or os.environ.get("STY") else ""
    meaning = "" if held else f"If the line drops, the run goes on; {program()} shows it again."
    return Check("session.line", "Session", "pass", remote + held, meaning)


def terminal(subject: Subject) -> Check:
    """Window size and character set."""
    size = shutil.get_terminal_size()
    seen = f"{size.columns} x {size.lines}"
    if size.columns < TERMINAL[0] or size.lines < TERMINAL[1]:
        return Check("session.terminal", "Terminal", "warn", seen, "Some lines are cut off.", "Enlarge it to 80 x 24.")
    encoding = getattr(sys.__stdout__, "encoding", "utf-8")
    if "utf" not in encoding.lower():
        meaning, repair = "Some signs may look wrong.", "export LANG=C.UTF-8"
        return Check("session.terminal", "Terminal", "warn", f"{seen}, {encoding}", meaning, repair)
    return Check("session.terminal", "Terminal", "pass", seen)


def _questions(*parts: tuple[str, str, Callable[[Subject], Check]]) -> tuple[Question, ...]:
    return tuple(Question(name, title, ask) for name, title, ask in parts)


DISK = Question("system.disk", "Disk", disk)
"""The one question of this module whose answer depends on the model and the folders that are chosen."""
ENVIRONMENT_CHECKS = _questions(
    ("system.os", "Operating system", system),
    ("system.cores", "Processor", cores),
    ("system.memory", "Memory", memory),
    (DISK.name, DISK.title, disk),
    ("gpu.driver", "GPU driver", gpu_driver),
    ("gpu.devices", "GPUs", gpus),
    ("local.torch", "PyTorch", local_torch),
    ("session.line", "Session", session),
    ("session.terminal", "Terminal", terminal),
)
"""Every question of this module, in the order in which they are shown."""


def _existing(path: Path) -> Path:
    """The nearest folder above ``path`` that is there."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _size(size: float) -> str:
    return f"{size / GIB:.0f} GiB" if size >= 10 * GIB else f"{size / GIB:.1f} GiB"
