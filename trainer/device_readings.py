"""What the device of this rank is called, and how much of its memory is used; on a CPU, of the machine's."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class MemoryReading:
    """Bytes used by this rank."""

    allocated: int
    """By tensors now; on a CPU, resident in memory."""
    peak: int
    """The highest value of that so far."""
    reserved: int
    """Held by the allocator, used or not; on a CPU, mapped."""


def device_words(device: torch.device) -> str:
    """Its name for people: the GPU's own, or how many threads compute."""
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"CPU, {threads} thread{'' if threads == 1 else 's'} a rank"
    return str(torch.get_device_module(device).get_device_name(device))


def read_memory(device: torch.device) -> MemoryReading:
    """Asks the host's books, not the device: it waits for nothing."""
    if device.type == "cpu":
        return _resident_memory()
    module = torch.get_device_module(device)
    return MemoryReading(
        module.memory_allocated(device), module.max_memory_allocated(device), module.memory_reserved(device)
    )


def reset_peak(device: torch.device) -> None:
    """Gives back what is held without use, and begins to look for the peak anew; on a CPU neither can be done."""
    if device.type != "cpu":
        module = torch.get_device_module(device)
        module.empty_cache()
        module.reset_peak_memory_stats(device)


def free_share(device: torch.device) -> float:
    """Share of the device's memory that nobody holds, from 0 to 1; on a CPU, where a limit stands for it, 1."""
    if device.type == "cpu":
        return 1.0
    free, total = torch.get_device_module(device).mem_get_info(device)
    return float(free / total)


def _resident_memory() -> MemoryReading:
    """From Linux's ``statm``, in pages: mapped, then resident. ``ru_maxrss`` is in KiB."""
    mapped, resident = Path("/proc/self/statm").read_bytes().split()[:2]
    page = os.sysconf("SC_PAGESIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return MemoryReading(int(resident) * page, max(peak, int(resident) * page), int(mapped) * page)
