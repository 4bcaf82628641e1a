"""A run's state in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bert_tui.advice.words import describe, why_not_saved
from bert_tui.invocation import program
from bert_tui.metrics.snapshot import Snapshot
from bert_tui.metrics.waiting import SHORTEST_WAIT, Overdue, overdue, phase_seconds, stuck
from bert_tui.paths import short_path
from bert_tui.runs.heartbeat import STALE_SECONDS
from bert_tui.runs.state import RunState
from trainer.spec.checkpoint_folder import folder_name
from trainer.spec.records import Phase, Progress

Tone = Literal["busy", "good", "caution", "bad", "quiet"]

SLOW_SHARE = 0.7
"""A training slower than this share of its own median speed is told of."""
SPREAD = 1.1
"""A time left is told as a range where its ends differ by more than this factor."""
DATA_WAIT_SHARE = 0.02
"""A wait for data is told of from this share of the time on."""

PREPARING: dict[Phase, str] = {
    "data": "Building the sample text and its vocabulary",
    "index": "Working out the order of the training samples",
    "image": "Getting the container image",
    "code": "Copying the trainer into the run",
    "launch": "Starting the processes",
    "preflight": "Checking that the trainer has all it needs",
    "micro_batch": "Trying how many rows fit at once (micro_batch = auto)",
    "start": "Starting the ranks and building the model",
    "resume": "Loading the checkpoint",
    "compile": "Compiling the layers, which takes minutes",
}

SAVING: dict[Phase, str] = {
    "validate": "Validating at step {step} of {total}",
    "save": "Saving a checkpoint at step {step} of {total}",
    "end": "Ending after step {step} of {total}",
}


@dataclass(frozen=True)
class Headline:
    """One sentence, and how serious it is. The sentence tells all; the tone only colours it."""

    text: str
    tone: Tone


def headline(snapshot: Snapshot) -> Headline:
    """What the run is doing, or how it ended."""
    view = snapshot.view
    if view.state is RunState.FAILED:
        return Headline(f"Failed{_at_step(snapshot)}: {cause(snapshot)}", "bad")
    if view.state is RunState.LOST:
        return Headline(
            f"Lost: no sign of life{_at_step(snapshot)}. It cannot be told from here what became of it.", "bad"
        )
    if view.state is RunState.FINISHED:
        return Headline(f"Finished: {_steps_done(snapshot)}{_validation(view.progress)}", "good")
    if view.state is RunState.STOPPED:
        return Headline(_stopped(snapshot), "quiet")
    if view.state is RunState.STOPPING:
        return Headline(f"Stopping{_at_step(snapshot)}: saving a checkpoint, then ending", "caution")
    if snapshot.view.stale:
        waited = duration(STALE_SECONDS)
        return Headline(
            f"No sign of life for more than {waited}, though it has not ended. {_doing(snapshot)}", "caution"
        )
    if stuck(snapshot):
        return Headline(f"No progress for {duration(snapshot.idle_seconds)}. {_doing(snapshot)}", "caution")
    if (late := overdue(snapshot)) is not None:
        return Headline(f"{_doing(snapshot)}, for {duration(late.seconds)}: {_beyond(late)}", "caution")
    return Headline(_doing(snapshot) + _since(snapshot), "busy")


def cause(snapshot: Snapshot) -> str:
    """Why it failed, in words."""
    if snapshot.view.problem is not None:
        return describe(snapshot.view.problem).what
    ended = snapshot.view.exit
    if ended is not None and ended.out_of_memory:
        return "it was ended because memory ran out."
    if ended is not None and ended.signal is not None:
        return f"it was killed by signal {ended.signal}."
    if ended is not None and ended.code is not None:
        return f"it ended with exit status {ended.code}."
    return "it ended without saying why."


def remedy(snapshot: Snapshot) -> str:
    """What to do about a run that failed or was lost; empty otherwise."""
    if snapshot.view.state is RunState.LOST:
        return "Look at the machine it runs on. If it is gone for good, resume the run from its last checkpoint."
    if snapshot.view.state is not RunState.FAILED:
        return ""
    if snapshot.view.problem is not None:
        return describe(snapshot.view.problem).remedy
    return "The log below tells more. When the cause is repaired, resume the run from its last checkpoint."


def not_saved(progress: Progress) -> str:
    """That the last checkpoint could not be saved, and why; empty otherwise."""
    if progress.not_saved is None:
        return ""
    return f"checkpoint of step {progress.not_saved.step:,} not saved: {why_not_saved(progress.not_saved.problem)}"


@dataclass(frozen=True)
class Pointer:
    """Something to use next: what it is for, and what to type or where to look."""

    lead: str
    target: str

    def __str__(self) -> str:
        return f"{self.lead} {self.target}"


def next_step(snapshot: Snapshot) -> Pointer | None:
    """Where the model of a run that finished lies, how a stopped one goes on; None otherwise."""
    view, saved = snapshot.view, last_checkpoint(snapshot)
    if view.state is RunState.FINISHED and saved is not None:
        return Pointer("The trained model lies in", short_path(saved))
    if view.state is RunState.STOPPED:
        lead = "To go on from there, type:" if saved else "To begin again, type:"
        return Pointer(lead, f"{program()} resume {view.run.id}")
    return None


def last_checkpoint(snapshot: Snapshot) -> Path | None:
    """The folder of the last complete one."""
    saved = snapshot.checkpoints
    return snapshot.view.run.checkpoints / folder_name(saved[-1].step) if saved else None


def hint(snapshot: Snapshot) -> Headline | None:
    """What an operator should know of the training beside its numbers: the gravest of it."""
    progress = snapshot.view.progress
    if snapshot.losses.not_finite:
        return Headline(f"! {snapshot.losses.not_finite} of the last 1,000 steps had no finite loss", "caution")
    if progress is None:
        return None
    if lacking := not_saved(progress):
        return Headline(f"! {lacking}", "caution")
    if snapshot.view.state.active and waits_for_data(progress):
        who = "GPUs wait" if snapshot.facts.uses_gpus else "processors wait"
        return Headline(f"! the {who} for data {percent(progress.data_wait_share)} of the time", "caution")
    if (slow := slower_than_usual(snapshot)) is not None:
        return Headline(f"! {slow}", "caution")
    if progress.skipped_steps:
        were = "1 update was" if progress.skipped_steps == 1 else f"{count(progress.skipped_steps)} updates were"
        return Headline(f"{were} left out: their gradients were not finite", "quiet")
    return None


def waits_for_data(progress: Progress) -> bool:
    """Whether the wait for data is worth telling."""
    return progress.data_wait_share is not None and progress.data_wait_share > DATA_WAIT_SHARE


def slower_than_usual(snapshot: Snapshot) -> str | None:
    """How the speed of the last steps compares with the run's own median, where it is much lower; None otherwise."""
    pace = snapshot.pace
    if pace is None or not snapshot.view.state.active or not pace.usual_tokens_per_second:
        return None
    now, usual = pace.tokens_per_second or 0.0, pace.usual_tokens_per_second
    if now >= SLOW_SHARE * usual:
        return None
    return f"{count(now)} tokens/s, {percent(1 - now / usual)} below its own median of {count(usual)}"


def time_left(snapshot: Snapshot) -> tuple[float, float, float] | None:
    """Seconds to the end as the trainer expects them, and at the pace of the quick and the slow among the last steps.

    None where the trainer does not know; all alike where the steps are too few.
    """
    progress, pace = snapshot.view.progress, snapshot.pace
    if progress is None or progress.eta_seconds is None:
        return None
    eta = progress.eta_seconds
    return (eta, eta * pace.quick, eta * pace.slow) if pace else (eta, eta, eta)


def time_left_words(snapshot: Snapshot) -> str:
    """As "1 h 20 min left (1 h 10 min to 1 h 40 min)"; empty where it is not known."""
    left = time_left(snapshot)
    if left is None:
        return ""
    expected, quick, slow = left
    low, high = duration(_rough(quick)), duration(_rough(slow))
    spread = f" ({low} to {high})" if low != high and slow > SPREAD * quick else ""
    return f"{duration(expected)} left{spread}"


def gpu_speed(progress: Progress) -> str:
    """How hard each GPU works; empty where that is not known yet."""
    if progress.tflops_per_rank is None:
        return ""
    of_peak = "" if progress.share_of_peak is None else f", {percent(progress.share_of_peak)} of its peak"
    return f"{progress.tflops_per_rank:.3g} TFLOP/s a GPU{of_peak}"


def percent(share: float | None) -> str:
    """A share from 0 to 1, as 12 %."""
    return "-" if share is None else f"{100 * share:.0f} %"


def share_done(snapshot: Snapshot) -> float | None:
    """From 0 to 1: of the steps, or of the work of the phase while preparing; None where it cannot be counted."""
    view = snapshot.view
    if view.state in (RunState.CREATED, RunState.PREPARING):
        work = view.preparation
        return min(1.0, work.done / work.total) if work and work.total and work.done is not None else None
    return min(1.0, snapshot.step / snapshot.total_steps) if snapshot.total_steps else None


def duration(seconds: float) -> str:
    """As people say it, with two units at most: "2 min 10 s"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 and whole % 60 else f"{round(whole / 60)} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days {whole % 86400 // 3600} h"


def count(number: float) -> str:
    """Short: 950, 12,300, 4.1 M, 2.3 G."""
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number:,.0f}"


def size(amount: float) -> str:
    """Bytes as people read them: 12 MB, 1.4 GB."""
    for bytes_, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if amount >= bytes_:
            return f"{amount / bytes_:.3g} {unit}" if amount < 1000 * bytes_ else f"{amount / bytes_:.0f} {unit}"
    return f"{amount:.0f} B"


def _doing(snapshot: Snapshot) -> str:
    view, progress = snapshot.view, snapshot.view.progress
    if view.state is RunState.CREATED:
        return "Waiting for the preparation to begin"
    if view.phase is None or view.phase in PREPARING or progress is None:
        return f"{PREPARING.get(view.phase or 'start', 'Starting')}{_counted(snapshot)}"
    where = {"step": f"{snapshot.step:,}", "total": f"{snapshot.total_steps or 0:,}"}
    if view.phase in SAVING:
        return SAVING[view.phase].format(**where)
    left = time_left_words(snapshot)
    return "Training: step {step} of {total}".format(**where) + (f", {left}" if left else "")


def _since(snapshot: Snapshot) -> str:
    """For how long a validation or a save has gone on; of other phases the line below tells it."""
    seconds = phase_seconds(snapshot)
    if snapshot.view.phase not in SAVING or seconds is None or seconds < SHORTEST_WAIT:
        return ""
    return f", for {duration(seconds)}"


def _beyond(late: Overdue) -> str:
    if late.own:
        return f"this run's median for it is {duration(late.usual)}"
    return f"it seldom takes more than {duration(late.usual)}"


def _rough(seconds: float) -> float:
    """To ten seconds from a minute on: the ends of a range are no exact numbers."""
    return round(seconds, -1) if seconds >= 60 else seconds


def _counted(snapshot: Snapshot) -> str:
    work = snapshot.view.preparation
    if work is None or work.phase != snapshot.view.phase:
        return ""
    counted = ""
    if work.done is not None and work.total:
        counted = f": {_amount(work.done, work.unit)} of {_amount(work.total, work.unit)} {work.unit}".rstrip()
    return counted + (f" ({work.detail})" if work.detail else "")


def _amount(value: float, unit: str) -> str:
    return f"{value:,.0f}" if unit != "GB" else f"{value:.1f}"


def _at_step(snapshot: Snapshot) -> str:
    return f" at step {snapshot.step:,}" if snapshot.step else ""


def _steps_done(snapshot: Snapshot) -> str:
    return f"all {snapshot.total_steps:,} steps are done" if snapshot.total_steps else "all steps are done"


def _validation(progress: Progress | None) -> str:
    if progress is None or progress.validation is None or progress.validation.lm_loss is None:
        return ""
    return f"; validation loss {progress.validation.lm_loss:.3f}"


def _stopped(snapshot: Snapshot) -> str:
    if not snapshot.checkpoints:
        return f"Stopped{_at_step(snapshot)}, before there was a checkpoint"
    saved = snapshot.checkpoints[-1].step
    if saved == snapshot.step:
        return f"Stopped{_at_step(snapshot)}; a checkpoint is there"
    return f"Stopped{_at_step(snapshot)}; the last checkpoint is of step {saved:,}"
