"""How much memory of the host is there, and how much is left."""

from __future__ import annotations

import re
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
