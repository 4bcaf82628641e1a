"""What a viewer does who finds a run ended: records it if nobody could, and clears the container away."""

from __future__ import annotations

import time

from bert_tui.launchers import launcher_named
from bert_tui.launchers.protocol import Exited
from bert_tui.runs.state import RunState, RunView, probe_handle, state_of
from trainer.spec.problem import EnvironmentRefused
from trainer.spec.records import Exit, to_json
from trainer.spec.run_directory import write_once


def settle(view: RunView) -> RunView:
    """Brings a run that has ended to rest; returns the view after it. A run that goes on is left alone.

    Where supervisor or starter were killed, nobody wrote ``exit.json``: whoever sees it first does. A viewer who may
    not write there changes nothing.
    """
    if view.attempt is None or view.state.active or view.state is RunState.LOST:
        return view
    if view.exit is None:
        view = _record_end(view)
    if view.exit is not None:
        _remove_container(view)
    return view


def _record_end(view: RunView) -> RunView:
    assert view.attempt is not None
    probe = probe_handle(view.launch.handle) if view.launch else None
    code, memory = (probe.code, probe.out_of_memory) if isinstance(probe, Exited) else (None, False)
    step = view.progress.step if view.progress else None
    end = Exit("failed", code, None, memory, time.time(), "viewer", step, view.problem)
    try:
        write_once(view.attempt.exit, to_json(end))
    except PermissionError:
        return view
    return state_of(view.run)


def _remove_container(view: RunView) -> None:
    """A process that has written its record may take another moment to end; who looks next removes it then."""
    if (
        view.launch is None
        or view.launch.launcher == "local"
        or not isinstance(probe_handle(view.launch.handle), Exited)
    ):
        return
    try:
        launcher_named(view.launch.launcher).remove(view.launch.handle)
    except EnvironmentRefused:
        return  # the engine does not answer or is not ours: the container stays, and its label still finds the run
