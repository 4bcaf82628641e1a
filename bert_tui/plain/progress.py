"""Following a run as printed lines, or as one JSON object a line: sparse, for a log file, a pipe or a screen reader."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from typing import Any, TextIO

from bert_tui.exit_status import ExitStatus, status_of_run
from bert_tui.invocation import program
from bert_tui.metrics.run_view import RunWatcher
from bert_tui.metrics.sentences import (
    headline,
    last_checkpoint,
    next_step,
    not_saved,
    percent,
    remedy,
    slower_than_usual,
    time_left,
    time_left_words,
    waits_for_data,
)
from bert_tui.metrics.snapshot import Snapshot
from bert_tui.metrics.waiting import overdue, stuck
from trainer.spec.records import NotSaved, Progress, Validation, to_json
from trainer.spec.run_directory import RunDirectory

POLL_SECONDS = 0.5
STEP_LINE_SECONDS = 5.0
"""Between two lines about steps; validations and changes of phase are told at once."""


def follow_run(run: RunDirectory, out: TextIO, *, json: bool) -> int:
    """Prints until the run ends; gives the exit status. Ctrl-C ends only the printing."""
    teller = _JsonTeller(run, out) if json else _LineTeller(run, out)
    watcher = RunWatcher(run)
    try:
        while True:
            snapshot = watcher.poll()
            teller.tell(snapshot)
            if not snapshot.view.state.active:
                watcher.wait_until_settled()
                teller.tell_end(snapshot)
                return status_of_run(snapshot.view.state)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        teller.tell_detached()
        return ExitStatus.DETACHED


class _Teller(ABC):
    """Decides what is news. Subclasses decide how it reads."""

    def __init__(self, run: RunDirectory, out: TextIO) -> None:
        self.run = run
        self._out = out
        self._stage: tuple[object, ...] = ()
        self._step = -1
        self._next_step_line = 0.0
        self._validated = -1
        self._not_saved: NotSaved | None = None

    def tell(self, snapshot: Snapshot) -> None:
        """Prints what is new since the last snapshot."""
        progress = snapshot.view.progress
        late = snapshot.view.stale or stuck(snapshot) or overdue(snapshot) is not None
        stage = (snapshot.view.attempt, snapshot.view.state, _stage_phase(snapshot), late)
        if stage != self._stage and snapshot.view.state.active:
            self._stage = stage
            self.stage(snapshot)
        if progress is None:
            return
        validation = progress.validation
        validated = validation is not None and validation.step != self._validated
        self._tell_step(snapshot, progress, at_once=validated)
        if validation is not None and validated:
            self._validated = validation.step
            self.validation(snapshot, validation)
        if progress.not_saved is not None and progress.not_saved != self._not_saved:
            self.not_saved(progress, progress.not_saved)
        self._not_saved = progress.not_saved

    def _tell_step(self, snapshot: Snapshot, progress: Progress, *, at_once: bool) -> None:
        due = at_once or not snapshot.view.state.active or time.monotonic() >= self._next_step_line
        if progress.step > 0 and progress.step != self._step and due:
            self._step = progress.step
            self._next_step_line = time.monotonic() + STEP_LINE_SECONDS
            self.step(snapshot, progress)

    def write(self, line: str) -> None:
        """One line, at once."""
        print(line, file=self._out, flush=True)

    @abstractmethod
    def stage(self, snapshot: Snapshot) -> None:
        """What the run does has changed."""

    @abstractmethod
    def step(self, snapshot: Snapshot, progress: Progress) -> None:
        """A step was done."""

    @abstractmethod
    def validation(self, snapshot: Snapshot, validation: Validation) -> None:
        """A validation was done."""

    @abstractmethod
    def not_saved(self, progress: Progress, lacking: NotSaved) -> None:
        """A checkpoint could not be saved."""

    @abstractmethod
    def tell_end(self, snapshot: Snapshot) -> None:
        """The run has ended."""

    @abstractmethod
    def tell_detached(self) -> None:
        """The operator has had enough of the lines."""


class _LineTeller(_Teller):
    """Sentences. Values carry TensorBoard's tags, so that logs can be searched for them."""

    _told = -1
    """Step of the last validation that has had its line."""

    def stage(self, snapshot: Snapshot) -> None:
        self.write(f"{self.run.id}: {headline(snapshot).text}")

    def step(self, snapshot: Snapshot, progress: Progress) -> None:
        alive = snapshot.view.state.active
        parts = [f"step {progress.step} of {progress.total_steps}", f"lm loss {_number(progress.lm_loss)}"]
        if progress.sop_loss is not None:
            parts.append(f"sop loss {_number(progress.sop_loss)}")
        if alive and progress.tokens_per_second is not None:
            parts.append(f"{progress.tokens_per_second:,.0f} tokens/s")
        if not alive and progress.mean_tokens_per_second is not None:
            parts.append(f"{progress.mean_tokens_per_second:,.0f} tokens/s on average")
        if alive and waits_for_data(progress):
            parts.append(f"waits for data {percent(progress.data_wait_share)} of the time")
        if progress.skipped_steps:
            parts.append(f"steps left out: {progress.skipped_steps}")
        if alive and progress.eta_seconds is not None and progress.step < progress.total_steps:
            parts.append(time_left_words(snapshot))
        if (slow := slower_than_usual(snapshot)) is not None:
            parts.append(slow)
        self.write("  ".join(parts))

    def validation(self, snapshot: Snapshot, validation: Validation) -> None:
        """That of the last step waits for the end: it is the last line of all."""
        total = snapshot.total_steps or 0
        if snapshot.view.state.active and validation.step < total:
            self._told = validation.step
            self.write(_validation_line(total, validation))

    def not_saved(self, progress: Progress, lacking: NotSaved) -> None:
        self.write(f"{self.run.id}: {not_saved(progress)}")

    def tell_end(self, snapshot: Snapshot) -> None:
        self.write(f"{self.run.id}: {headline(snapshot).text}")
        if advice := remedy(snapshot) or next_step(snapshot):
            self.write(str(advice))
        progress = snapshot.view.progress
        if progress is not None and progress.validation is not None and progress.validation.step != self._told:
            self.write(_validation_line(progress.total_steps, progress.validation))

    def tell_detached(self) -> None:
        self.write(f"\nThe run goes on. See it again: {program()} attach {self.run.id}")
        self.write(f"Stop it, with a checkpoint: {program()} stop {self.run.id}")


class _JsonTeller(_Teller):
    """One object a line; ``event`` names its kind."""

    def stage(self, snapshot: Snapshot) -> None:
        view = snapshot.view
        self._object(
            "state",
            state=view.state.value,
            phase=view.phase,
            attempt=view.attempt.number if view.attempt else None,
            text=headline(snapshot).text,
        )

    def step(self, snapshot: Snapshot, progress: Progress) -> None:
        names = (
            "step", "total_steps", "lm_loss", "sop_loss", "learning_rate", "tokens_per_second", "tflops_per_rank",
            "share_of_peak", "data_wait_share", "skipped_steps", "eta_seconds",
        )  # fmt: skip
        left = time_left(snapshot)
        self._object(
            "step",
            **{name: getattr(progress, name) for name in names},
            eta_seconds_low=left[1] if left else None,
            eta_seconds_high=left[2] if left else None,
        )

    def validation(self, snapshot: Snapshot, validation: Validation) -> None:
        self._object("validation", **vars(validation))

    def not_saved(self, progress: Progress, lacking: NotSaved) -> None:
        self._object("not saved", step=lacking.step, problem=lacking.problem, text=not_saved(progress))

    def tell_end(self, snapshot: Snapshot) -> None:
        view, saved = snapshot.view, last_checkpoint(snapshot)
        self._object(
            "end",
            state=view.state.value,
            step=snapshot.step,
            total_steps=snapshot.total_steps,
            text=headline(snapshot).text,
            remedy=remedy(snapshot),
            problem=view.problem,
            validation=view.progress.validation if view.progress else None,
            checkpoint=None if saved is None else str(saved),
        )

    def tell_detached(self) -> None:
        self._object("detached")

    def _object(self, event: str, **values: Any) -> None:
        self.write(to_json({"event": event, "run": self.run.id, **values}))


def _stage_phase(snapshot: Snapshot) -> str | None:
    """The phase, with training, validating and saving as one: they alternate."""
    phase = snapshot.view.phase
    return "train" if phase in ("validate", "save") else phase


def _validation_line(total: int, validation: Validation) -> str:
    line = f"step {validation.step} of {total}  lm loss validation {_number(validation.lm_loss)}"
    if validation.unigram_loss is not None:
        line += f"  (guessing by word frequency: {_number(validation.unigram_loss)})"
    if validation.perplexity is not None:
        line += f"  perplexity {validation.perplexity:,.1f}"
    if validation.masked_accuracy is not None:
        line += f"  words right {percent(validation.masked_accuracy)}"
    if validation.sop_loss is not None:
        line += f"  sop loss validation {_number(validation.sop_loss)}"
    if validation.sop_accuracy is not None:
        line += f"  order right {percent(validation.sop_accuracy)}"
    return line


def _number(value: float | None) -> str:
    return "not a finite number" if value is None or not math.isfinite(value) else f"{value:.4f}"
