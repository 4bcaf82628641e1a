"""How much memory of the host is there, and how much is left."""

from __future__ import annotations

import re
import resource
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")


def machine_memory() -> tuple[int, int]:
    """(total, available) bytes of the machine."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    total, available = (int(re.search(rf"{name}:\s+(\d+)", text)[1]) for name in ("MemTotal", "MemAvailable"))  # type: ignore[index]
    return total * 1024, available * 1024


def free_memory() -> int:
    """Bytes this process may still take: what the machine has available, or less where a container's limit is lower
    (control groups of version 2; the other version's limits are not looked at)."""
    own = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(encoding="utf-8"), re.MULTILINE)
    limits = [_left_in(folder) for folder in {CONTROL_GROUPS, CONTROL_GROUPS / (own[1] if own else "")}]
    return min([machine_memory()[1], *(left for left in limits if left is not None)])


def memory_of_rank(ranks: int) -> int:
    """Bytes that each of so many processes like this one may still take."""
    return min([free_memory() // ranks, *_left_of_limits().values()])


def limit_memory(ranks: int, *, margin: float) -> None:
    """From now on the kernel refuses this process more than its share of what is free, less a margin. So a rank that
    needs too much gets an error, and nobody is killed for it."""
    most = int(memory_of_rank(ranks) * (1 - margin))
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (_status()["VmData"] + most, hard))


def _left_of_limits() -> dict[str, int]:
    """Bytes that this process may still ask for, by the limits that are set for it (``ulimit -d`` and ``-v``)."""
    held, limits = _status(), {"VmData": resource.RLIMIT_DATA, "VmSize": resource.RLIMIT_AS}
    soft = {name: resource.getrlimit(limit)[0] for name, limit in limits.items()}
    return {name: max(0, most - held[name]) for name, most in soft.items() if most != resource.RLIM_INFINITY}


def _status() -> dict[str, int]:
    """Bytes of address space (``VmSize``) and of writable memory (``VmData``) of this process."""
    text = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    return {name: int(kib) * 1024 for name, kib in re.findall(r"^(VmSize|VmData):\s+(\d+) kB$", text, re.MULTILINE)}


def _left_in(folder: Path) -> int | None:
    """None where there is no limit. Pages of files that the kernel can drop count as free."""
    try:
        limit, used, statistics = (
            (folder / name).read_text(encoding="ascii") for name in ("memory.max", "memory.current", "memory.stat")
        )
    except OSError:
        return None
    droppable = re.search(r"^inactive_file (\d+)$", statistics, re.MULTILINE)
    if limit.strip() == "max" or droppable is None:
        return None
    return int(limit) - int(used) + int(droppable[1])
