"""What this machine has, as facts; gathered once and handed to plans and pages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bert_tui.deadline import within
from trainer.spec.devices import HEALTHY, GpuFacts, GpuState, GpuTrouble, LostGpu, PeerLink, list_gpus

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
    """Processes that use it, as "pid name"; empty if there is none."""
    run: str = ""
    """The id of the live run of ours that has it, also while that run is being prepared and computes nothing yet."""
    state: GpuState = HEALTHY
    temperature: float | None = None
    """Degrees Celsius; None where it does not tell."""

    @property
    def obstacle(self) -> str:
        """Why nobody can compute on the whole of it, in a few words; empty where one can."""
        if self.state.mig:
            return "split into instances (MIG)"
        return "closed to programs (compute mode: prohibited)" if self.state.mode == "prohibited" else ""

    @property
    def used_by(self) -> str:
        """Who uses it, in a few words; empty if nobody does."""
        return f"run {self.run}" if self.run else ", ".join(self.busy_with)


@dataclass(frozen=True)
class Machine:
    """Cores, memory and GPUs."""

    cores: int
    """Usable by this process, which may be fewer than there are."""
    memory_total: int
    memory_available: int
    gpus: tuple[Gpu, ...] = ()
    """Those that answer."""
    driver: str = ""
    """Version of the NVIDIA driver, empty where there is none."""
    gpu_problem: str = ""
    """Why no GPU can be seen, in the driver's words; empty where they can or there is none."""
    gpu_fault: GpuFault = ""
    """The same as one of a few cases."""
    lost_gpus: tuple[LostGpu, ...] = ()
    """GPUs that are there and do not answer."""
    links: tuple[PeerLink, ...] = ()
    """What joins each two GPUs, as far as the driver tells."""

    @property
    def free_gpus(self) -> tuple[Gpu, ...]:
        """The GPUs that can be used and that nobody uses."""
        return tuple(gpu for gpu in self.gpus if not gpu.used_by and not gpu.obstacle)


def read_machine() -> Machine:
    """Looks at this machine. Takes up to :data:`DRIVER_SECONDS` where the driver hangs; where there are GPUs, also the
    time it takes to find the live runs that have them."""
    total, available = _memory()
    try:
        found = within(DRIVER_SECONDS, list_gpus, name="nvml")
    except TimeoutError:
        problem = "the NVIDIA driver does not answer"
        return Machine(usable_cores(), total, available, gpu_problem=problem, gpu_fault="silent")
    return Machine(
        cores=usable_cores(),
        memory_total=total,
        memory_available=available,
        gpus=_gpus(found.gpus),
        driver=found.driver,
        gpu_problem="" if found.trouble == "no-driver" else found.reason,
        gpu_fault=found.trouble,
        lost_gpus=found.lost,
        links=found.links,
    )


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


def _gpus(found: Sequence[GpuFacts]) -> tuple[Gpu, ...]:
    if not found:
        return ()
    from bert_tui.runs.held_gpus import held_gpus  # asks the Docker Engine: nothing for machines without GPUs

    held = held_gpus()
    return tuple(_gpu(facts, held.get(facts.reading.uuid, "")) for facts in found)


def _gpu(facts: GpuFacts, run: str) -> Gpu:
    reading = facts.reading
    total = reading.memory_total or 0
    return Gpu(
        uuid=reading.uuid,
        index=reading.index,
        name=reading.name,
        memory_total=total,
        memory_free=total - (reading.memory_used or 0),
        busy_with=tuple(f"{pid} {name}".strip() for pid, name in facts.processes),
        run=run,
        state=facts.state,
        temperature=reading.temperature,
    )
