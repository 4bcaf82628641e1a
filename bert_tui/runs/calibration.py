"""A calibration: every layout that is possible, measured one after the other; kept as it goes, and followed by whoever
looks. It does not depend on the screen that started it."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bert_tui.machine import Machine
from bert_tui.measured import Measured, keep, measured_folder
from bert_tui.plan import Plan
from bert_tui.processes import host_name, is_alive, package_environment, spawn_detached, started
from bert_tui.runs.calibrate import measure
from trainer.spec import preset_file
from trainer.spec.preset import Preset
from trainer.spec.problem import Problem, RunError, SpecError
from trainer.spec.records import read_record, to_json
from trainer.spec.run_directory import write_whole
from trainer.spec.run_lock import try_flock

STATUS, LOCK, PRESET, LOG = "now.json", "lock", "preset.toml", "calibrate.log"
"""In the folder of measurements. A user has one calibration at a time: a second would slow down the first."""


@dataclass(frozen=True)
class CalibrationStatus:
    """How far a calibration is: ``now.json``."""

    host: str
    pid: int
    pid_started: float
    total: int
    """Layouts to measure."""
    done: int = 0
    layout: str = ""
    """The one at work, in words."""
    failed: int = 0
    problem: Problem | None = None
    """Why the last one that failed did."""


@dataclass(frozen=True)
class CalibrationView:
    """A calibration as whoever looks sees it."""

    status: CalibrationStatus
    alive: bool
    """Whether it is at work on this machine."""
    last_words: str
    """The last line of its log."""

    @property
    def in_words(self) -> str:
        """How far it is, or how it ended."""
        status = self.status
        failed = f" {status.failed} could not be measured." if status.failed else ""
        if self.alive:
            at = f": {status.layout}" if status.layout else ""
            return f"… Measuring {status.done + 1} of {status.total}{at}." if status.total else "… Measuring begins."
        if status.total == 0:
            return f"Nothing was measured. {self.last_words}"
        early = "" if status.done == status.total else f" It ended before {status.total - status.done} more."
        return f"Measured {status.done - status.failed} of {status.total} layouts.{failed}{early}"


@dataclass(frozen=True)
class Outcome:
    """What became of one layout."""

    plan: Plan
    measured: Measured | None
    problem: Problem | None = None


def read_calibration() -> CalibrationView | None:
    """The calibration at work, or else the last one of this user; None where there was none."""
    status = read_record(CalibrationStatus, measured_folder() / STATUS)
    if status is None:
        return None
    alive = status.host == host_name() and is_alive(status.pid, status.pid_started)
    return CalibrationView(status, alive, "" if alive else _last_line(measured_folder() / LOG))


def calibrate(plans: Sequence[Plan], machine: Machine, tell: Callable[[Outcome], None]) -> list[Outcome]:
    """Measures every plan and keeps what is found; a layout that fails does not stop the others.

    Raises:
        RunError: another calibration is at work.
    """
    outcomes: list[Outcome] = []
    with _alone():
        status = CalibrationStatus(host_name(), os.getpid(), started(os.getpid()) or 0.0, len(plans))
        for plan in plans:
            _write(status := replace(status, layout=layout_in_words(plan)))
            outcome = _measured(plan, machine)
            outcomes.append(outcome)
            failed = status.failed + (outcome.measured is None)
            status = replace(status, done=len(outcomes), failed=failed, problem=outcome.problem or status.problem)
            _write(status)
            tell(outcome)
    return outcomes


def layout_in_words(plan: Plan) -> str:
    """A layout as people name it."""
    return f"tensor {plan.layout.tensor} x data {plan.layout.data}"


def start_calibration(preset: Preset) -> None:
    """Starts ``bert-tui calibrate`` in a session of its own, and returns at once.

    Raises:
        RunError: the user's state folder cannot be written.
    """
    folder = measured_folder()
    try:
        write_whole(folder / PRESET, preset_file.render(preset, heading="What bert-tui calibrate measures."))
        (folder / LOG).unlink(missing_ok=True)
        pid = spawn_detached(
            [sys.executable, "-m", "bert_tui", "calibrate", str(folder / PRESET)],
            directory=folder,
            environment=package_environment(),
            log=folder / LOG,
        )
        _write(CalibrationStatus(host_name(), pid, started(pid) or 0.0, 0))
    except OSError as error:
        reason = {"reason": error.strerror or str(error)}
        raise RunError(Problem("run.unwritable", str(error.filename or folder), "", reason)) from error


def stop_calibration() -> None:
    """Lets the calibration at work clear its run away and end; nothing to do where there is none."""
    view = read_calibration()
    if view is not None and view.alive:
        os.kill(view.status.pid, signal.SIGTERM)


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _measured(plan: Plan, machine: Machine) -> Outcome:
    try:
        found = measure(plan, machine)
    except SpecError as error:
        return Outcome(plan, None, error.problems[0])
    keep(plan, machine, found)
    return Outcome(plan, found)


def _write(status: CalibrationStatus) -> None:
    write_whole(measured_folder() / STATUS, to_json(status))


@contextmanager
def _alone() -> Iterator[None]:
    """Holds the lock; the system lets go of it with the process."""
    with (measured_folder() / LOCK).open("a") as file:
        if not try_flock(file.fileno(), fcntl.LOCK_EX, time.monotonic()):
            view = read_calibration()
            raise RunError(Problem("calibrate.busy", "", str(view.status.pid if view else "?")))
        yield
