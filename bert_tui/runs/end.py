"""What a viewer does who finds a run ended: records it if nobody could, and clears its containers away."""

from __future__ import annotations

import time
from collections.abc import Iterable

from bert_tui.launchers import launcher_named
from bert_tui.launchers.protocol import Exited, Handle
from bert_tui.runs.registry import labelled_runs
from bert_tui.runs.state import RunState, RunView, probe_handle, state_of
from trainer.spec.problem import EnvironmentRefused, Problem, RunError
from trainer.spec.records import Exit, Request, read_record, to_json
from trainer.spec.run_directory import AttemptDirectory, RunDirectory, write_once
from trainer.spec.run_lock import holder, kept_free, locked

PATIENCE = 10.0
"""Seconds a container may take to end after the run's exit was recorded."""

WINDING_UP = 5.0
"""Seconds a supervisor may take to go after it has written how the attempt ended."""
LETTING_GO = 2.0
"""Seconds in which the threads of a killed process let go of the lock."""


def require_over(run: RunDirectory) -> RunView:
    """A run at which nobody is at work. One that is lost counts as over where its lock is free, and so does one whose
    maker was killed before its first attempt.

    Raises:
        RunError: it is at work; names by whom, where that is known.
    """
    view = state_of(run)
    if by := holder(run, patience=0.0 if view.state.active else WINDING_UP):
        raise RunError(locked(run, by))
    if view.attempt is not None and view.state.active:
        raise RunError(Problem("run.active", run.id, view.state))
    return view


def settle_all(views: Iterable[RunView]) -> list[RunView]:
    """Brings all of them to rest, at the price of one question to the engine where nothing is left to do."""
    labelled = set(labelled_runs())
    return [settle(view, patience=0.0) if view.exit is None or view.run.path in labelled else view for view in views]


def settle(view: RunView, patience: float = PATIENCE) -> RunView:
    """Brings a run that has ended to rest; returns the view after it. A run that goes on is left alone. Takes as long
    as the engine does to answer, and as the containers to end.

    Where supervisor or starter were killed, nobody wrote ``exit.json``: whoever sees it first does. A viewer who may
    not write there changes nothing.
    """
    if view.attempt is None or view.state.active or view.state is RunState.LOST:
        return view
    if view.exit is None:
        view = _record_end(view)
    if view.exit is not None:
        _remove_containers(view, patience)
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


def _remove_containers(view: RunView, patience: float) -> None:
    """Only those that have ended. Where one takes longer, whoever looks next removes it."""
    until = time.monotonic() + patience
    for handle in _containers(view):
        if not _ended(handle, until):
            return
        try:
            launcher_named(handle["launcher"]).remove(handle)
        except EnvironmentRefused:
            return  # the engine does not answer or is not ours: the container stays, and its label still finds the run


def _containers(view: RunView) -> list[Handle]:
    """The one that was recorded, and those of this and earlier attempts that nobody recorded. A later attempt's is
    not ours to judge: it may just be starting."""
    from bert_tui.launchers.docker import containers_up_to

    assert view.attempt is not None
    recorded = [view.launch.handle] if view.launch and view.launch.handle.get("launcher") != "local" else []
    if not any(_wants_docker(attempt) for attempt in view.run.attempts()):
        return recorded
    known = {handle.get("container") for handle in recorded}
    try:
        found = containers_up_to(view.attempt)
    except EnvironmentRefused:
        found = []
    return [*recorded, *(handle for handle in found if handle["container"] not in known)]


def _wants_docker(attempt: AttemptDirectory) -> bool:
    request = read_record(Request, attempt.request)
    launch = request.preset.get("launch") if request else None
    return isinstance(launch, dict) and launch.get("launcher") == "docker"


def _ended(handle: Handle, until: float) -> bool:
    while not isinstance(probe_handle(handle), Exited):
        if time.monotonic() >= until:
            return False
        time.sleep(0.1)
    return True
