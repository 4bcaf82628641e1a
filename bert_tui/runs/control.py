"""Asking a run to stop, and ending it without asking."""

from __future__ import annotations

import time

from bert_tui.launchers import launcher_named
from bert_tui.processes import host_name, kill
from bert_tui.runs.state import RunState, RunView, state_of
from trainer.spec.problem import Problem, RunError
from trainer.spec.records import Exit, Progress, read_record, to_json
from trainer.spec.run_directory import AttemptDirectory, RunDirectory, write_once

SIGKILL = 9


def request_stop(run: RunDirectory) -> None:
    """Asks for a checkpoint and the end; the run is over some seconds later. While it is still being prepared, the
    preparation ends.

    Raises:
        RunError: the run is over already, or this user may not stop it.
    """
    _touch(_active_attempt(run), "stop")


def request_checkpoint(run: RunDirectory) -> None:
    """Asks for a checkpoint; the run goes on.

    Raises:
        RunError: the run is over already, or this user may not ask.
    """
    _touch(_active_attempt(run), "checkpoint")


def kill_run(run: RunDirectory) -> None:
    """Ends a run at once, without a checkpoint. Who calls this has asked the operator to confirm.

    Raises:
        RunError: the run is over already.
        EnvironmentRefused: it cannot be reached from here; nothing was done.
    """
    attempt = _active_attempt(run)
    _touch(attempt, "stop")  # a starter at work must not go on to launch what we are about to end
    view = state_of(run)
    if view.launch:
        launcher_named(view.launch.launcher).kill(view.launch.handle)
    else:
        _kill_starter(view)
    progress = read_record(Progress, attempt.progress)
    step = progress.step if progress else None
    write_once(attempt.exit, to_json(Exit("stopped", None, SIGKILL, False, time.time(), "viewer", step)))


def _kill_starter(view: RunView) -> None:
    preparation = view.preparation
    if preparation is None:
        return
    if preparation.host != host_name():
        reason = {"reason": f"it is prepared on {preparation.host}"}
        raise RunError(Problem("kill.unreachable", "", str(preparation.pid), reason))
    kill(preparation.pid, preparation.pid_started)


def _active_attempt(run: RunDirectory) -> AttemptDirectory:
    view = state_of(run)
    if view.attempt is None or not (view.state.active or view.state is RunState.LOST):
        raise RunError(Problem("run.not_active", run.id, view.state))
    return view.attempt


def _touch(attempt: AttemptDirectory, request: str) -> None:
    path = attempt.control / request
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise RunError(Problem("run.unwritable", str(path), "", {"reason": error.strerror})) from error
