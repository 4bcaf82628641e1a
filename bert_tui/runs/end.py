"""What a viewer does who finds a run ended: records it if nobody could, and clears the container away."""

from __future__ import annotations

import time
from collections.abc import Iterable

from bert_tui.launchers import launcher_named
from bert_tui.launchers.protocol import Exited, Handle
from bert_tui.runs.registry import labelled_runs
from bert_tui.runs.state import RunState, RunView, probe_handle, state_of
from trainer.spec.problem import EnvironmentRefused, RunError
from trainer.spec.records import Exit, Request, read_record, to_json
from trainer.spec.run_directory import write_once
from trainer.spec.run_lock import kept_free

PATIENCE = 10.0
"""Seconds a container may take to end after the run's exit was recorded."""

LETTING_GO = 2.0
"""Seconds in which the threads of a killed process let go of the lock."""


def settle_all(views: Iterable[RunView]) -> list[RunView]:
    """Brings all of them to rest, at the price of one question to the engine where nothing is left to do."""
    labelled = set(labelled_runs())
    return [settle(view, patience=0.0) if view.exit is None or view.run.path in labelled else view for view in views]


def settle(view: RunView, patience: float = PATIENCE) -> RunView:
    """Brings a run that has ended to rest; returns the view after it. A run that goes on is left alone. Takes as long
    as the engine does to answer, and as the container to end.

    Where supervisor or starter were killed, nobody wrote ``exit.json``: whoever sees it first does. A viewer who may
    not write there changes nothing.
    """
    if view.attempt is None or view.state.active or view.state is RunState.LOST:
        return view
    if view.exit is None:
        view = _record_end(view)
    if view.exit is not None:
        _remove_container(view, patience)
    return view


def _record_end(view: RunView) -> RunView:
    assert view.attempt is not None
    probe = probe_handle(view.launch.handle) if view.launch else None
    code, memory = (probe.code, probe.out_of_memory) if isinstance(probe, Exited) else (None, False)
    step = view.progress.step if view.progress else None
    end = Exit("failed", code, None, memory, time.time(), "viewer", step, view.problem)
    try:
        # A supervisor that is just taking over is not gone, whoever started it.
        with kept_free(view.run, LETTING_GO) as free:
            if free:
                write_once(view.attempt.exit, to_json(end))
    except (PermissionError, RunError):
        return view
    return state_of(view.run)


def _remove_container(view: RunView, patience: float) -> None:
    """Only one that has ended. Where it takes longer, whoever looks next removes it."""
    handle = view.launch.handle if view.launch else _unrecorded_container(view)
    if handle is None or handle.get("launcher") == "local":
        return
    until = time.monotonic() + patience
    while not isinstance(probe_handle(handle), Exited):
        if time.monotonic() >= until:
            return
        time.sleep(0.1)
    try:
        launcher_named(handle["launcher"]).remove(handle)
    except EnvironmentRefused:
        return  # the engine does not answer or is not ours: the container stays, and its label still finds the run


def _unrecorded_container(view: RunView) -> Handle | None:
    """By its name: a starter killed between making a container and recording it leaves one that never ran."""
    from bert_tui.launchers.docker import unrecorded

    assert view.attempt is not None
    request = read_record(Request, view.attempt.request)
    launch = request.preset.get("launch") if request else None
    return unrecorded(view.attempt) if isinstance(launch, dict) and launch.get("launcher") == "docker" else None
