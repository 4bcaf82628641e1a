"""Asking for a run, or for one more attempt of it: directories, the request, and a starter that survives us."""

from __future__ import annotations

import dataclasses
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import bert_tui
from bert_tui.machine import Machine, read_machine
from bert_tui.plan import Plan, make_plan
from bert_tui.processes import package_environment, spawn_detached
from bert_tui.runs.end import require_over, settle
from bert_tui.runs.registry import link_run
from bert_tui.runs.replay import Replay
from bert_tui.runs.state import RunState, RunView, state_of
from trainer.spec import preset_file
from trainer.spec.checkpoint_folder import complete_checkpoints
from trainer.spec.preset import Preset, replace
from trainer.spec.problem import PresetError, Problem, RunError
from trainer.spec.records import Request, read_record, to_json
from trainer.spec.run_directory import AttemptDirectory, RunDirectory, write_once

CHANGEABLE = (
    "parallel.tensor",
    "parallel.data",
    "parallel.sequence",
    "parallel.shard",
    "parallel.recompute",
    "launch.launcher",
    "launch.image",
    "launch.gpus",
    "train.steps",
    "train.micro_batch",
    "train.precision",
    "train.eval_every",
    "train.eval_steps",
    "checkpoint.every",
    "checkpoint.keep_last",
    "checkpoint.keep_every",
)
"""What a resume may change: how and how long, but neither the model nor what it reads."""
HEADING = "Asked for by bert-tui {version}. Replay: bert-tui run THIS_FILE"


def create_run(plan: Plan, replay: Replay | None = None) -> RunDirectory:
    """Makes the run directory and starts its starter; returns at once. ``replay``: what it repeats, for the record.

    Raises:
        PresetError: the plan has problems.
        RunError: the checkpoint folder or the user's state folder cannot be written; nothing is left behind.
    """
    if plan.problems:
        raise PresetError(*plan.problems)
    run = _make_run_directory(Path(plan.preset.checkpoint.path or ""), plan.name)
    heading = HEADING.format(version=bert_tui.__version__)
    write_once(run.request, preset_file.render(plan.preset, heading=heading))
    attempt = _make_attempt(run, 1)
    _link(run)
    request = _request(plan)
    if replay is not None:
        request = dataclasses.replace(request, replays=replay.run_id, differences=replay.lines)
    _start(attempt, request)
    return run


def resume_run(
    run: RunDirectory, overrides: Iterable[str] = (), *, update_code: bool = False, machine: Machine | None = None
) -> AttemptDirectory:
    """Makes one more attempt, which goes on from the last checkpoint; returns at once.

    Raises:
        PresetError: an override is none, or what follows from it cannot run on this machine.
        RunError: the run is in use (names by whom), is done, cannot be written, or an override may not change.
    """
    overrides = tuple(overrides)
    _refuse_fixed(overrides)
    last = _settled_attempt(run)
    base = _last_request(run)
    preset = _overridden(preset_file.from_tables(base.preset, str(run.path)), overrides)
    _refuse_done(run, preset)
    plan = make_plan(preset, base.preset_name, machine or read_machine())
    if plan.problems:
        raise PresetError(*plan.problems)
    attempt = _make_attempt(run, last.number + 1)
    _start(attempt, _request(plan, overrides, update_code))
    return attempt


def resumable(view: RunView) -> int | None:
    """The step from which a run that has ended early would go on; None where it is alive, finished or has saved
    nothing. What else may stand in the way is known once it is resumed."""
    if view.state not in (RunState.STOPPED, RunState.FAILED):
        return None
    saved = complete_checkpoints(view.run.checkpoints)
    return saved[-1].step if saved else None


def _make_run_directory(parent: Path, name: str) -> RunDirectory:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            path = parent / f"{datetime.now():%Y%m%d-%H%M%S}-{name}-{secrets.token_hex(2)}"
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                continue
            (path / "attempts").mkdir(mode=0o700)
            return RunDirectory(path)
    except OSError as error:
        raise RunError(_unwritable(error, parent)) from error


def _link(run: RunDirectory) -> None:
    try:
        link_run(run)
    except OSError as error:
        shutil.rmtree(run.path)
        raise RunError(_unwritable(error, run.path)) from error


def _make_attempt(run: RunDirectory, number: int) -> AttemptDirectory:
    """Raises:
    RunError: somebody else makes the same attempt at this moment.
    """
    attempt = run.attempt(number)
    try:
        attempt.path.mkdir(mode=0o700)
        for folder in (attempt.control, attempt.telemetry, attempt.rank_errors):
            folder.mkdir(mode=0o700)
    except FileExistsError as error:
        raise RunError(Problem("run.active", run.id, RunState.CREATED)) from error
    except OSError as error:
        raise RunError(_unwritable(error, attempt.path)) from error
    return attempt


def _unwritable(error: OSError, path: Path) -> Problem:
    reason = os.strerror(error.errno or errno.EIO)
    return Problem("run.unwritable", str(error.filename or path), "", {"reason": reason})


def _request(plan: Plan, overrides: tuple[str, ...] = (), update_code: bool = False) -> Request:
    tables = preset_file.as_tables(plan.preset)
    return Request(
        plan.name, tables, plan.device, plan.gpus, plan.ranks, plan.threads,
        overrides=overrides, micro_batch=plan.micro_batch, update_code=update_code, hardware=plan.hardware,
    )  # fmt: skip


def _start(attempt: AttemptDirectory, request: Request) -> None:
    write_once(attempt.request, to_json(request))
    spawn_detached(
        [sys.executable, "-m", "bert_tui.runs.starter", str(attempt.path)],
        directory=attempt.run.path,
        environment=package_environment(),
        log=attempt.starter_log,
    )


def _refuse_fixed(overrides: tuple[str, ...]) -> None:
    names = [".".join(preset_file.parse_override(text)[:2]) for text in overrides]
    changeable = {"changeable": ", ".join(CHANGEABLE)}
    if fixed := [name for name in names if name not in CHANGEABLE]:
        raise RunError(*(Problem("run.fixed", name, "", changeable) for name in fixed))


def _settled_attempt(run: RunDirectory) -> AttemptDirectory:
    """The last attempt, if it is over, with its end on record and its container gone: once there is a later attempt,
    nobody looks at it any more."""
    view = require_over(run)
    if view.attempt is None:
        raise RunError(Problem("run.active", run.id, view.state))
    settle(view)
    return view.attempt


def _last_request(run: RunDirectory) -> Request:
    """Of the last attempt that has one: who asks may be killed between making the folder and writing the request."""
    requests = (read_record(Request, attempt.request) for attempt in reversed(list(run.attempts())))
    request = next((request for request in requests if request is not None), None)
    if request is None:
        raise RunError(Problem("run.unreadable", str(run.attempt(1).request), "", {"reason": "no request"}))
    return request


def _overridden(preset: Preset, overrides: tuple[str, ...]) -> Preset:
    """A changed layout on GPUs is filled with data-parallel groups anew, unless their number was given as well."""
    changed = preset_file.override(preset, overrides)
    names = {text.partition("=")[0].strip() for text in overrides}
    if names & {"parallel.tensor", "launch.gpus"} and "parallel.data" not in names:
        changed = replace(changed, parallel__data="auto")
    return changed


def _refuse_done(run: RunDirectory, preset: Preset) -> None:
    """A run that failed after its last checkpoint has still its last validation to make."""
    steps, saved = preset.train.steps or 0, complete_checkpoints(run.checkpoints)
    done = saved[-1].step if saved else 0
    if done > steps or (done == steps and state_of(run).state is RunState.FINISHED):
        raise RunError(Problem("run.nothing_left", run.id, str(steps)))
