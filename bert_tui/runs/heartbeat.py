"""Whether a counter in a file still counts, by the viewer's own clock: clocks of two machines may differ."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

STALE_SECONDS = 20.0
"""Silence after which a heartbeat counts as stale; writers beat every 2 or 5 s."""


@dataclass(frozen=True)
class _Seen:
    counter: int
    silent_since: float


class HeartbeatWatch:
    """Remembers when each counter was last seen to change. One for each viewer, asked again and again."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._seen: dict[Path, _Seen] = {}

    def is_stale(self, path: Path, counter: int) -> bool:
        """Whether the counter in ``path`` has been silent for too long. At first sight there is no history, and the
        file's own age decides."""
        now, seen = self._clock(), self._seen.get(path)
        if seen is None:
            seen = _Seen(counter, now - self._age(path))
        elif counter != seen.counter:
            seen = _Seen(counter, now)
        self._seen[path] = seen
        return now - seen.silent_since > STALE_SECONDS

    def _age(self, path: Path) -> float:
        try:
            return max(0.0, self._wall_clock() - path.stat().st_mtime)
        except OSError:
            return 0.0
