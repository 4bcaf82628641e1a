"""The checklist's questions about NVIDIA GPUs: driver, devices, who uses them, how they are, what joins them.

All answers come from the facts of :class:`Machine`; healthy GPUs share one line, and each kind of trouble has its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bert_tui.advice.words import describe
from bert_tui.checks.check import Answer, Finding
from bert_tui.checks.runner import Subject, question
from bert_tui.invocation import program, python
from bert_tui.machine import Gpu, GpuFault
from bert_tui.peer_links import crossing_caution, crossing_groups, indices
from trainer.spec.problem import EnvironmentRefused
from trainer.spec.sizing import GIB

NO_GPU = Finding("pass", "no GPU to look at")

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
    "reset": ("warn", "a GPU needs a reset", "It is unusable until then.", "sudo nvidia-smi --gpu-reset"),
    "silent": (
        "unknown",
        "the driver does not answer",
        "A GPU may hang.",
        "nvidia-smi; if it hangs too: sudo reboot",
    ),
    "other": ("unknown", "the driver reports an error", "GPUs may not be usable.", "nvidia-smi"),
}
"""Answer, what was seen, what it means, what to type."""


def driver(subject: Subject) -> Finding:
    """The NVIDIA driver, its ways to fail told apart."""
    machine = subject.machine
    if machine.gpu_fault:
        answer, seen, meaning, repair = _DRIVER[machine.gpu_fault]
        detail = f" ({machine.gpu_problem})" if machine.gpu_problem else ""
        return Finding(answer, seen + detail, meaning, repair)
    return _too_old(subject) or Finding("pass", f"NVIDIA {machine.driver}")


def _too_old(subject: Subject) -> Finding | None:
    """What is wrong where no image of ours runs with this driver."""
    launch = subject.preset.launch
    if launch.launcher != "docker" or launch.gpus == "none" or launch.image != "auto":
        return None
    from bert_tui.launchers.image import choose_image

    try:
        choose_image(subject.machine.driver, "cuda")
    except EnvironmentRefused as refusal:
        words = describe(refusal.problems[0])
        return Finding("fail", f"NVIDIA {subject.machine.driver}", words.what, words.remedy)
    return None


def devices(subject: Subject) -> Finding:
    """The GPUs there are, and how many can be taken now."""
    machine = subject.machine
    if not machine.gpus:
        return Finding("fail", "none", "Training uses the CPU: right for bert-tiny, far too slow for the others.")
    kinds = Counter(f"{gpu.name}, {gpu.memory_total / GIB:.0f} GiB" for gpu in machine.gpus)
    seen = "; ".join(f"{count} x {kind}" for kind, count in kinds.items())
    if len(machine.free_gpus) == len(machine.gpus):
        return Finding("pass", seen)
    seen = f"{seen}; {len(machine.free_gpus)} can be taken"
    if machine.free_gpus:
        return Finding("pass", seen)
    return Finding("fail", seen, "The other lines on GPUs say why. Training on the CPU is possible.", "nvidia-smi")


def lost(subject: Subject) -> Finding:
    """GPUs that are there and do not answer."""
    missing = subject.machine.lost_gpus
    if not missing:
        return _none_of(subject)
    seen = _by_text((gpu.index, gpu.reason) for gpu in missing)
    meaning = "It cannot be used until it is repaired; the others can." if len(missing) == 1 else _LOST_MEANING
    return Finding("warn", seen, meaning, "; ".join(dict.fromkeys(_DRIVER[gpu.trouble][3] for gpu in missing)))


def in_use(subject: Subject) -> Finding:
    """GPUs that others use, or runs of ours."""
    users = [(gpu, gpu.used_by or _hidden_use(gpu)) for gpu in subject.machine.gpus]
    used = [(gpu, user) for gpu, user in users if user]
    if not used:
        return _none_of(subject)
    seen = _by_text((gpu.index, user) for gpu, user in used)
    shared = [gpu for gpu, _ in used if gpu in _chosen(subject)]
    meaning = f"The run would share {indices(shared)}: its memory may not suffice." if shared else _LEFT_OUT
    return Finding("warn", seen, meaning, f"nvidia-smi; {program()} runs")


def mode(subject: Subject) -> Finding:
    """GPUs that are set up in a way that forbids to train on them."""
    gpus = subject.machine.gpus
    closed = [gpu for gpu in gpus if gpu.obstacle]
    if not closed:
        exclusive = [gpu for gpu in gpus if gpu.state.mode == "exclusive"]
        return Finding("pass", f"{indices(exclusive)}: one program at a time") if exclusive else _none_of(subject)
    answer: Answer = "fail" if any(gpu in _chosen(subject) for gpu in closed) else "warn"
    seen = _by_text((gpu.index, gpu.obstacle) for gpu in closed)
    meaning = "It cannot be trained on." if len(closed) == 1 else "They cannot be trained on."
    return Finding(answer, seen, meaning, "; ".join(_opening(gpu) for gpu in closed))


def memory_errors(subject: Subject) -> Finding:
    """GPUs whose memory has errors (ECC) that could not be corrected."""
    broken = [(gpu, text) for gpu in subject.machine.gpus if (text := _memory_state(gpu))]
    if not broken:
        return _none_of(subject)
    seen = _by_text((gpu.index, text) for gpu, text in broken)
    reset = "; ".join(f"sudo nvidia-smi --gpu-reset -i {gpu.index}" for gpu, _ in broken if gpu.state.needs_reset)
    worn = any(gpu.state.worn_out for gpu, _ in broken)
    meaning = "A program that meets such an error is ended." + " The card should be replaced." * worn
    return Finding("warn", seen, meaning, reset or "nvidia-smi -q -d ECC,ROW_REMAPPER")


def heat(subject: Subject) -> Finding:
    """GPUs that compute more slowly, because of heat or for want of power."""
    gpus = subject.machine.gpus
    slowed = _by_text((gpu.index, text) for gpu in gpus if (text := _slowed_by(gpu)))
    if slowed:
        repair = "nvidia-smi -q -d TEMPERATURE,PERFORMANCE; then look at fans, filters and power"
        return Finding("warn", slowed, "It computes more slowly, and all others wait for it.", repair)
    known = [gpu.temperature for gpu in gpus if gpu.temperature is not None]
    return Finding("pass", f"{max(known):.0f} °C at most") if known else _none_of(subject)


def links(subject: Subject) -> Finding:
    """What joins the GPUs, and whether the parts of one layer would talk over the slowest of it."""
    joined = subject.machine.links
    if not joined:
        count = len(subject.machine.gpus)
        return Finding("pass", "the driver does not tell" if count > 1 else "one GPU") if count else NO_GPU
    counts = Counter(link.join for link in joined)
    kinds = [f"{_JOINS[join]} ({count} of {len(joined)} pairs)" for join, count in counts.items()]
    seen = kinds[0].partition(" (")[0] if len(kinds) == 1 else ", ".join(kinds)
    crossing = crossing_groups(_chosen(subject), subject.preset.parallel.tensor, joined)
    if not crossing:
        return Finding("pass", seen)
    words = describe(crossing_caution(crossing))
    return Finding("warn", seen, words.what, words.remedy)


_LOST_MEANING = "They cannot be used until they are repaired; the others can."
_LEFT_OUT = "The run does not use them."
_JOINS = {
    "nvlink": "NVLink",
    "pcie": "PCIe",
    "sockets": "PCIe across processors",
}


def _by_text(told: Iterable[tuple[int, str]]) -> str:
    """What is told of GPUs by their indices, those of which the same is told together."""
    same: dict[str, list[int]] = {}
    for index, text in told:
        same.setdefault(text, []).append(index)
    return "; ".join(f"GPU {', '.join(map(str, found))}: {text}" for text, found in same.items())


def _none_of(subject: Subject) -> Finding:
    return Finding("pass", "none") if subject.machine.gpus else NO_GPU


def _chosen(subject: Subject) -> tuple[Gpu, ...]:
    """The GPUs that the preset names, in the order of the ranks."""
    wanted, gpus = subject.preset.launch.gpus, subject.machine.gpus
    if isinstance(wanted, str):
        return gpus if wanted == "all" else ()
    known = {gpu.uuid: gpu for gpu in gpus}
    return tuple(known[uuid] for uuid in wanted if uuid in known)


def _hidden_use(gpu: Gpu) -> str:
    """How much memory is taken though no process shows: one in a container, or of a user whom we may not see."""
    used = gpu.memory_total - gpu.memory_free
    if used <= max(2 * GIB, gpu.memory_total // 20):  # driver, screen and desktop
        return ""
    return f"{used / GIB:.0f} GiB taken by what does not show"


def _opening(gpu: Gpu) -> str:
    option = "-mig 0" if gpu.state.mig else "-c DEFAULT"
    return f"sudo nvidia-smi -i {gpu.index} {option}"


def _memory_state(gpu: Gpu) -> str:
    state = gpu.state
    parts = [f"{state.memory_errors:,} uncorrected errors"] if state.memory_errors else []
    if state.needs_reset:
        parts.append("repairs itself at its next reset")
    if state.worn_out:
        parts.append("can no longer repair itself")
    return ", ".join(parts)


def _slowed_by(gpu: Gpu) -> str:
    if gpu.state.hot:
        degrees = "" if gpu.temperature is None else f" at {gpu.temperature:.0f} °C"
        return f"slowed down by heat{degrees}"
    return "slowed down for want of power" if gpu.state.underpowered else ""


GPU_CHECKS = (
    question("gpu.driver", "GPU driver", driver),
    question("gpu.devices", "GPUs", devices),
    question("gpu.lost", "Lost GPUs", lost),
    question("gpu.busy", "GPUs in use", in_use),
    question("gpu.mode", "GPU mode", mode),
    question("gpu.errors", "GPU memory", memory_errors),
    question("gpu.heat", "GPU temperature", heat),
    question("gpu.links", "Links between GPUs", links),
)
"""Every question about GPUs, in the order in which they are shown."""
