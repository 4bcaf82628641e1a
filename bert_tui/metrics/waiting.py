"""Whether what a run does now takes longer than it should."""

from __future__ import annotations

from dataclasses import dataclass

from bert_tui.metrics.snapshot import Snapshot
from bert_tui.processes import host_name
from bert_tui.runs.state import RunState
from trainer.spec.records import Phase

PATIENCE_SECONDS = 60.0
"""Without any progress for so long, or for ten steps, the screen says so."""
TIMES_ITS_MEDIAN = 3.0
SHORTEST_WAIT = 10.0
"""Nothing shorter is worth a word, however quick it was before."""
SELDOM_LONGER: dict[Phase, float] = {
    "data": 300, "index": 120, "image": 1800, "code": 60, "launch": 120, "preflight": 120, "micro_batch": 900,
    "start": 300, "resume": 600, "compile": 900, "validate": 600, "save": 600, "end": 300,
}  # fmt: skip
"""Seconds that a phase seldom takes, for as long as the run has none of its own to go by."""


@dataclass(frozen=True)
class Overdue:
    """A phase that takes too long."""

    seconds: float
    usual: float
    """The run's own median; or, where it has none yet, what is seldom exceeded."""
    own: bool


def phase_seconds(snapshot: Snapshot) -> float | None:
    """How long the present phase lasts; None where it is not known.

    Clocks of two machines may differ: of a run on another one, only the time without change that was seen from here.
    """
    view = snapshot.view
    if view.since is None:
        return None
    record = view.status or view.preparation
    here = record is not None and record.host == host_name()
    return max(0.0, snapshot.taken - view.since) if here else snapshot.idle_seconds


def stuck(snapshot: Snapshot) -> bool:
    """Whether the training itself has not moved for longer than is usual."""
    progress = snapshot.view.progress
    if snapshot.view.state is not RunState.RUNNING or progress is None or snapshot.view.phase != "train":
        return False
    return snapshot.idle_seconds > max(PATIENCE_SECONDS, 10 * (progress.step_seconds or 0.0))


def overdue(snapshot: Snapshot) -> Overdue | None:
    """The present phase, where it is no training and lasts too long. Work that is counted may go on while it moves."""
    phase, seconds = snapshot.view.phase, phase_seconds(snapshot)
    if not snapshot.view.state.active or phase is None or phase == "train" or seconds is None:
        return None
    work = snapshot.view.preparation
    if work is not None and work.phase == phase and work.done is not None and snapshot.idle_seconds < PATIENCE_SECONDS:
        return None
    median = snapshot.view.progress.phase_seconds.get(phase) if snapshot.view.progress else None
    if median is None:
        usual = SELDOM_LONGER[phase]
        return Overdue(seconds, usual, own=False) if seconds > usual else None
    longest = max(SHORTEST_WAIT, TIMES_ITS_MEDIAN * median)
    return Overdue(seconds, median, own=True) if seconds > longest else None
