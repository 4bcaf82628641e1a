"""The charts that a run's metrics give."""

from __future__ import annotations

import math
from dataclasses import dataclass

TOKENS_PER_SECOND = "tokens_per_second"
"""Not a column of ``metrics.bin``: the tokens of a step by its seconds."""
CHANCE = math.log(2)
"""Loss of one who guesses the order of two sentences."""


@dataclass(frozen=True)
class Chart:
    """One quantity over the run."""

    key: str
    """Its column in ``metrics.bin``."""
    title: str
    validation: str = ""
    """The column of its validation, where it has one."""
    gaps: bool = False
    """Whether a value that is not finite breaks the curve; otherwise most steps may have none."""
    level: float | None = None
    level_name: str = ""
    """A value to compare with, and what it is."""

    @property
    def columns(self) -> dict[str, bool]:
        """What is kept as curves, and whether gaps break it; tokens and time place it on other axes."""
        found = {self.key: self.gaps, "tokens": False, "time": False}
        return found | ({self.validation: False} if self.validation else {})


CHARTS = (
    Chart("lm_loss", "MLM loss", "lm_loss_validation", gaps=True),
    Chart("sop_loss", "Sentence order", "sop_loss_validation", gaps=True, level=CHANCE, level_name="chance"),
    Chart("masked_accuracy_validation", "Words right"),
    Chart("sop_accuracy_validation", "Order right", level=0.5, level_name="chance"),
    Chart("learning_rate", "Learning rate"),
    Chart("grad_norm", "Gradient norm", gaps=True),
    Chart(TOKENS_PER_SECOND, "Tokens/s"),
    Chart("step_seconds", "Seconds a step"),
    Chart("data_wait_seconds", "Wait for data, seconds a step"),
    Chart("loss_scale", "Loss scale"),
)
