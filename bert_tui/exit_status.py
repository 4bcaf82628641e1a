"""What the program's exit status says."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bert_tui.runs.state import RunState


class ExitStatus(IntEnum):
    """One meaning a number, the same for every verb."""

    FINISHED = 0
    REFUSED = 1
    """Nothing was started: a check failed or something given cannot be used."""
    USAGE = 2
    STOPPED = 3
    """The run was stopped on request; a checkpoint is there."""
    FAILED = 4
    """Training failed."""
    DETACHED = 5
    """The view ended and the run goes on."""
    LOST = 6
    """It cannot be told what became of the run."""
    INTERNAL_ERROR = 70
    """A mistake in this program (sysexits.h EX_SOFTWARE)."""


def status_of_run(state: RunState) -> ExitStatus:
    """What a view of a run in this state ends with. The ends of a run bear the same names; else it goes on."""
    return ExitStatus.__members__.get(state.name, ExitStatus.DETACHED)
