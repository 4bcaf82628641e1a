"""One look at a run, complete: what the full screen, the plain lines and ``--json`` all show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bert_tui.metrics.log_tail import LogLines
from bert_tui.metrics.series import NO_SERIES, Series
from bert_tui.metrics.telemetry import NodeReadings
from bert_tui.runs.state import RunView


@dataclass(frozen=True)
class RunFacts:
    """What does not change while an attempt runs, from its preset."""

    launcher: str = ""
    total_steps: int | None = None
    uses_gpus: bool = False
    tensorboard: Path | None = None
    """The run's own folder of event files."""


@dataclass(frozen=True)
class Losses:
    """Curves over the whole run, and over the last steps one by one."""

    lm: Series = NO_SERIES
    sop: Series = NO_SERIES
    lm_validation: Series = NO_SERIES
    sop_validation: Series = NO_SERIES
    recent_lm: Series = NO_SERIES
    recent_sop: Series = NO_SERIES
    not_finite: int = 0
    """How many of the last steps had a loss that is no finite number."""


@dataclass(frozen=True)
class Pace:
    """How fast the last steps were."""

    quick: float
    slow: float
    """Means of neighbouring steps, as shares of the median step: a low and a high one."""
    tokens_per_second: float | None
    """Of the very last steps."""
    usual_tokens_per_second: float | None
    """Median of the last thousand steps."""


@dataclass(frozen=True)
class Saved:
    """A complete checkpoint."""

    step: int
    bytes: int
    when: float
    """Unix time at which it was complete."""


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment."""

    view: RunView
    facts: RunFacts
    losses: Losses
    nodes: tuple[NodeReadings, ...]
    log: LogLines
    checkpoints: tuple[Saved, ...]
    """Oldest first."""
    taken: float
    """Unix time."""
    pace: Pace | None = None
    """None while there are too few steps."""
    idle_seconds: float = 0.0
    """How long nothing has moved: no step, no phase, no work counted."""

    @property
    def step(self) -> int:
        """The last step done."""
        return self.view.progress.step if self.view.progress else 0

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole run, where that is known."""
        return self.view.progress.total_steps if self.view.progress else self.facts.total_steps
