"""What a rank tells the world. Rank 0 writes files (``report_files``); the others keep silent."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from trainer.agreement import Wishes
from trainer.attention import Choice
from trainer.batches import Counts
from trainer.checkpoint import Position
from trainer.learner import PendingResult
from trainer.saver import SaveEnd
from trainer.spec.records import Phase, Validation


@dataclass(frozen=True)
class StepReport:
    """One step, as the loop knows it while the device still computes."""

    position: Position
    """After the step."""
    counts: Counts
    learning_rate: float
    began: float
    """``time.monotonic()`` when the loop turned to this step."""
    data_wait: float
    """Seconds since then in which the loop waited for rows, those of the step after."""
    flops: float
    """What the model needs for the global batch, padding not counted."""
    result: PendingResult


class Reporter:
    """Says nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(raise_failure=error is None)

    def phase(self, phase: Phase) -> None:
        """What begins now."""

    def attending(self, choice: Choice) -> None:
        """With which kernel."""

    def resumed(self, position: Position) -> None:
        """Training goes on from a checkpoint."""

    def stepped(self, report: StepReport) -> None:
        """A step was given to the device."""

    def validated(self, validation: Validation, seconds: float) -> None:
        """A validation is done."""

    def save_ended(self, end: SaveEnd) -> None:
        """A checkpoint is complete, or could not be saved."""

    def answered(self) -> None:
        """What was asked to be saved is saved already."""

    def wishes(self) -> Wishes:
        """What the operator asked for since this was last asked."""
        return Wishes()

    def close(self, *, raise_failure: bool) -> None:
        """Returns when everything that was told is written; what kept it from being written is raised if asked for."""
