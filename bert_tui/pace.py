"""How fast something goes."""

from __future__ import annotations

import time
from collections import deque

WINDOW = 30.0
"""Seconds over which the rate is taken."""


class Pace:
    """Bytes a second over the last half minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def rate(self, done: int) -> float:
        """With so much done by now."""
        now = time.monotonic()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW:
            self._seen.popleft()
        (first, was), (last, is_) = self._seen[0], self._seen[-1]
        return max(is_ - was, 0) / (last - first) if last - first > 0.5 else 0.0
