"""What this machine has, as facts; gathered once and handed to plans and pages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bert_tui.deadline import within
from trainer.spec.devices import GpuFacts, GpuTrouble, list_gpus

GpuFault = GpuTrouble | Literal["silent"]
"""Why GPUs cannot be used: what the driver told, or that it did not answer in time."""

DRIVER_SECONDS = 4.0
"""How long the driver may take to describe all GPUs."""


@dataclass(frozen=True)
class Gpu:
    """One GPU of this machine."""

    uuid: str
    index: int
    name: str
    memory_total: int
    """Bytes."""
    memory_free: int
    busy_with: tuple[str, ...] = ()
    """Processes that use it, as "pid name"; empty if it is free."""


@dataclass(frozen=True)
class Machine:
    """Cores, memory and GPUs."""

    cores: int
    """Usable by this process, which may be fewer than there are."""
    memory_total: int
    memory_available: int
    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    """Version of the NVIDIA driver, empty where there is none."""
    gpu_problem: str = ""
    """Why no GPU can be seen, in the driver's words; empty where they can or there is none."""
    gpu_fault: GpuFault = ""
    """The same as one of a few cases."""

    @property
    def free_gpus(self) -> tuple[Gpu, ...]:
        """The GPUs that no process uses."""
        return tuple(gpu for gpu in self.gpus if not gpu.busy_with)


@dataclass(frozen=True)
class _GpuFacts:
    """What the driver told."""

    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    problem: str = ""
    fault: GpuFault = ""


def read_machine() -> Machine:
    """Looks at this machine. Takes up to :data:`DRIVER_SECONDS` where the driver hangs."""
    total, available = _memory()
    try:
        facts = within(DRIVER_SECONDS, _read_gpus, name="nvml")
    except TimeoutError:
        facts = _GpuFacts(problem="the NVIDIA driver does not answer", fault="silent")
    return Machine(usable_cores(), total, available, facts.gpus, facts.driver, facts.problem, facts.fault)


def usable_cores() -> int:
    """Cores this process may run on: the affinity mask, and the cgroup's share of time where one is set."""
    cores = len(os.sched_getaffinity(0))
    for folder in _cgroup_folders():
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.strip().isdigit():
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def _memory() -> tuple[int, int]:
    """Bytes in all and bytes free, within the limits of the control groups this process is in."""
    import psutil

    memory = psutil.virtual_memory()
    total, available = int(memory.total), int(memory.available)
    for folder in _cgroup_folders():
        limit, used = _read(folder / "memory.max"), _read(folder / "memory.current")
        if limit.isdigit() and used.isdigit():
            reclaimable = _statistic(folder / "memory.stat", "inactive_file")
            total = min(total, int(limit))
            available = min(available, max(0, int(limit) - int(used) + reclaimable))
    return total, available


def _cgroup_folders() -> list[Path]:
    """The control groups (version 2) of this process, innermost first; a limit of any of them binds."""
    root = Path("/sys/fs/cgroup")
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        hierarchy, _, path = line.split(":", 2)
        if hierarchy == "0":
            own = root / path.lstrip("/")
            return [folder for folder in (own, *own.parents) if folder.is_relative_to(root)]
    return []


def _read(path: Path) -> str:
    """The text of a small kernel file; empty where it is absent or may not be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _statistic(path: Path, name: str) -> int:
    for line in _read(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _read_gpus() -> _GpuFacts:
    facts = list_gpus()
    gpus = tuple(_gpu(found) for found in facts.gpus)
    absent = facts.trouble == "no-driver"
    return _GpuFacts(gpus, facts.driver, "" if absent else facts.reason, facts.trouble)


def _gpu(facts: GpuFacts) -> Gpu:
    reading = facts.reading
    total = reading.memory_total or 0
    return Gpu(
        uuid=reading.uuid,
        index=reading.index,
        name=reading.name,
        memory_total=total,
        memory_free=total - (reading.memory_used or 0),
        busy_with=tuple(f"{pid} {name}".strip() for pid, name in facts.processes),
    )
