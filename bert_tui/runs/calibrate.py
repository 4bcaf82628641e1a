"""Measuring layouts on this machine: a few steps of each, as a run that is removed afterwards.

These are runs like any other, started by the launcher that the preset names, so they measure what a run will do, in the
container too. They lie where the preset's own runs will lie, so that what is prepared once (a dataset from the sample
text, fingerprints) serves all of them. They are ended without a checkpoint, whose writing would take longer than the
steps.
"""

from __future__ import annotations

import statistics
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bert_tui.machine import Machine
from bert_tui.measured import Measured
from bert_tui.plan import Plan, make_plan
from bert_tui.runs.control import kill_run
from bert_tui.runs.create import create_run
from bert_tui.runs.delete import delete_run
from bert_tui.runs.state import RunState, RunView, state_of
from trainer.spec.metrics_file import read_layout
from trainer.spec.preset import replace
from trainer.spec.problem import Problem, RunError
from trainer.spec.records import Progress
from trainer.spec.run_directory import RunDirectory

WARM_UP = 3
"""Steps that do not count: allocators, kernels and caches come to rest in them."""
FEWEST, MOST = 5, 200
"""Steps that count, at least and at most."""
SECONDS = 4.0
"""How long steps are measured, if that takes no more than :data:`MOST` of them."""
PATIENCE = 1800.0
"""Seconds that one layout may take, from its start to its last step that counts."""
POLL_SECONDS = 0.25
CLEARING_SECONDS = 60.0
"""How long the processes of a run that was ended may take to go."""
NAME = "calibrate"
"""Part of the ids of these runs."""


@dataclass(frozen=True)
class Step:
    """What ``metrics.bin`` tells of one."""

    seconds: float
    tokens: int
    """Read since the run began, padding not counted."""


def trial_of(plan: Plan, machine: Machine) -> Plan:
    """The short run that measures a plan: the same layout, micro batch and data, with no checkpoint on the way, and no
    validation before it is over."""
    steps = WARM_UP + MOST
    preset = replace(
        plan.preset,
        parallel__data=plan.layout.data,
        train__micro_batch=plan.micro_batch,
        train__steps=steps,
        train__warmup=0,
        train__decay=None,
        train__eval_every=steps,
        train__eval_steps=1,
        checkpoint__every=steps,
    )
    return make_plan(preset, NAME, machine)


def measure(plan: Plan, machine: Machine) -> Measured:
    """Trains until enough steps were seen, and clears the run away. Takes seconds to minutes.

    Raises:
        PresetError: the layout cannot run here.
        RunError: it could not be started, ended before enough steps, or took too long.
    """
    run = create_run(trial_of(plan, machine))
    try:
        steps, progress = _watch(run)
    finally:
        _clear(run)
    counted = steps[WARM_UP:]
    tokens, seconds = counted[-1].tokens - steps[WARM_UP - 1].tokens, [step.seconds for step in counted]
    return Measured(
        layout=plan.layout,
        micro_batch=plan.micro_batch,
        step_seconds=statistics.median(seconds),
        tokens_per_second=tokens / sum(seconds),
        memory=progress.memory_bytes or 0,
        steps=len(counted),
        when=time.time(),
    )


def _watch(run: RunDirectory) -> tuple[list[Step], Progress]:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        view = state_of(run)
        steps, progress = read_steps(run.metrics), view.progress
        if progress is not None and progress.memory_bytes and _enough(steps, over=not view.state.active):
            return steps, progress
        if not view.state.active:
            raise RunError(_why_it_ended(view))
        time.sleep(POLL_SECONDS)
    raise RunError(Problem("calibrate.slow", run.id, str(len(read_steps(run.metrics))), {"minutes": PATIENCE // 60}))


def _enough(steps: list[Step], *, over: bool) -> bool:
    counted = steps[WARM_UP:]
    return len(counted) >= FEWEST and (over or sum(step.seconds for step in counted) >= SECONDS)


def _why_it_ended(view: RunView) -> Problem:
    return view.problem or Problem("calibrate.ended", view.run.id, view.state.value)


def read_steps(metrics: Path) -> list[Step]:
    """The steps that a run has told of so far."""
    layout = read_layout(metrics) if metrics.exists() else None
    if layout is None:
        return []
    data = metrics.read_bytes()[layout.offset :]
    seconds, tokens = layout.columns.index("step_seconds"), layout.columns.index("tokens")
    whole = len(data) - len(data) % layout.record_bytes
    records = struct.iter_unpack(f"<{len(layout.columns)}d", data[:whole])
    return [Step(record[seconds], int(record[tokens])) for record in records]


def _clear(run: RunDirectory) -> None:
    """Ends the run where it goes on, and removes it.

    Raises:
        RunError: it is still in use after a while.
    """
    state = state_of(run).state
    if state.active or state is RunState.LOST:
        with suppress(RunError):  # it has ended by itself in between
            kill_run(run)
    until = time.monotonic() + CLEARING_SECONDS
    while True:
        try:
            delete_run(run)
            return
        except RunError:
            if time.monotonic() > until:
                raise
        time.sleep(POLL_SECONDS)
