"""How fast training goes, from the last steps and from all of them."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass

RECENT = 20
"""Steps whose durations speed and remaining time are told from."""


@dataclass(frozen=True)
class StepPace:
    """One step of all ranks together."""

    seconds: float
    data_wait: float
    """Of these, in which rank 0 waited for its rows."""
    tokens: int
    """Padding not counted."""
    flops: float
    """What the model needs for these tokens."""

    @property
    def tokens_per_second(self) -> float:
        """Of all ranks."""
        return self.tokens / self.seconds

    @property
    def data_wait_share(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.data_wait / self.seconds)


class Pace:
    """Takes the steps one by one; ``last`` is of the last :data:`RECENT` together."""

    def __init__(self, ranks: int, peak_tflops: float | None) -> None:
        self._ranks = ranks
        self._peak_tflops = peak_tflops
        self._recent: deque[StepPace] = deque(maxlen=RECENT)
        self._seconds = 0.0
        self._tokens = 0

    def add(self, step: StepPace) -> None:
        """One more."""
        self._recent.append(step)
        self._seconds += step.seconds
        self._tokens += step.tokens

    @property
    def last(self) -> StepPace:
        """The last steps as if they were one."""
        seconds, waits, tokens, flops = zip(
            *((step.seconds, step.data_wait, step.tokens, step.flops) for step in self._recent), strict=True
        )
        return StepPace(sum(seconds), sum(waits), sum(tokens), sum(flops))

    @property
    def median_seconds(self) -> float:
        """Of the last steps: one slow step does not spoil it."""
        return statistics.median(step.seconds for step in self._recent)

    @property
    def mean_tokens_per_second(self) -> float:
        """Over all steps."""
        return self._tokens / self._seconds

    def tflops_per_rank(self, step: StepPace) -> float:
        """TFLOP/s of each rank."""
        return step.flops / step.seconds / self._ranks / 1e12

    def share_of_peak(self, step: StepPace) -> float | None:
        """From 0 to 1; None where the device's peak is not known."""
        return None if self._peak_tflops is None else self.tflops_per_rank(step) / self._peak_tflops
