"""What this machine has, as facts; gathered once and handed to plans and pages."""

from __future__ import annotations

import os
from dataclasses import dataclass


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
    """Processes of others that use it, as "pid name"; empty if it is free."""


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


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0))
