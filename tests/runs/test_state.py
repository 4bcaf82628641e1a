"""The states table, row by row, and the heartbeat it leans on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bert_tui.launchers.protocol import Alive, Exited, Probe, Unknown
from bert_tui.runs.end import settle
from bert_tui.runs.heartbeat import STALE_SECONDS, HeartbeatWatch
from bert_tui.runs.state import Evidence, RunState, cause, decide, state_of
from tests.staged_run import StagedRun
from trainer.spec.records import Exit, Launch, Preparation, Status
from trainer.spec.run_directory import RunDirectory
from trainer.spec.run_lock import take_lock

PREPARATION = Preparation("image", 0.0, 1, 1, 1.0, "here")
LAUNCH = Launch(1, "local", "here", "boot", 0.0, {}, "")
STATUS = Status("running", "train", 0.0, 1, 1, "here")
STOPPING = Status("stopping", "train", 0.0, 1, 1, "here")
ALIVE, DEAD, UNKNOWN = Alive(), Exited(137), Unknown("another host")


def ended(outcome: Any) -> Exit:
    return Exit(outcome, 0, None, False, 0.0, "supervisor")


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        # nothing but the directory
        ({"probe": UNKNOWN}, "created"),
        ({"probe": UNKNOWN, "stale": True}, "failed"),
        # the starter
        ({"preparation": PREPARATION, "probe": ALIVE}, "preparing"),
        ({"preparation": PREPARATION, "probe": ALIVE, "stale": True}, "preparing"),
        ({"preparation": PREPARATION, "probe": ALIVE, "stop_asked": True}, "stopping"),
        ({"preparation": PREPARATION, "probe": DEAD}, "failed"),
        ({"preparation": PREPARATION, "probe": UNKNOWN}, "preparing"),
        ({"preparation": PREPARATION, "probe": UNKNOWN, "stale": True}, "lost"),
        # handed over, the supervisor has not spoken yet
        ({"preparation": PREPARATION, "launch": LAUNCH, "probe": ALIVE}, "preparing"),
        ({"preparation": PREPARATION, "launch": LAUNCH, "probe": DEAD}, "failed"),
        ({"preparation": PREPARATION, "launch": LAUNCH, "probe": UNKNOWN, "stale": True}, "lost"),
        # the supervisor
        ({"launch": LAUNCH, "status": STATUS, "probe": ALIVE}, "running"),
        ({"launch": LAUNCH, "status": STATUS, "probe": ALIVE, "stale": True}, "running"),
        ({"launch": LAUNCH, "status": STATUS, "probe": ALIVE, "stop_asked": True}, "stopping"),
        ({"launch": LAUNCH, "status": STOPPING, "probe": ALIVE}, "stopping"),
        ({"launch": LAUNCH, "status": STATUS, "probe": DEAD}, "failed"),
        ({"launch": LAUNCH, "status": STOPPING, "probe": DEAD}, "failed"),
        ({"launch": LAUNCH, "status": STATUS, "probe": UNKNOWN}, "running"),
        ({"launch": LAUNCH, "status": STATUS, "probe": UNKNOWN, "stale": True}, "lost"),
        ({"status": STATUS, "probe": UNKNOWN}, "running"),
        # the exit record outweighs everything
        ({"launch": LAUNCH, "status": STATUS, "probe": DEAD, "exit": ended("finished")}, "finished"),
        ({"launch": LAUNCH, "status": STOPPING, "probe": ALIVE, "exit": ended("stopped")}, "stopped"),
        ({"preparation": PREPARATION, "probe": UNKNOWN, "stale": True, "exit": ended("failed")}, "failed"),
    ],
)
def test_the_state_follows_from_the_evidence(facts: dict[str, Any], state: str) -> None:
    assert decide(Evidence(**facts)) == RunState(state)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"probe": UNKNOWN}, "start.died"),
        ({"preparation": PREPARATION, "probe": DEAD}, "start.died"),
        ({"launch": LAUNCH, "probe": DEAD}, "start.no_supervisor"),
        ({"launch": LAUNCH, "status": STATUS, "probe": DEAD}, "end.supervisor_died"),
        ({"launch": LAUNCH, "status": STATUS, "probe": Exited(137, out_of_memory=True)}, "end.supervisor_memory"),
    ],
)
def test_a_failure_without_a_record_has_a_cause(facts: dict[str, Any], code: str) -> None:
    problem = cause(Evidence(**facts))
    assert problem is not None
    assert problem.code == code
    assert problem.english


def test_a_heartbeat_is_judged_by_the_viewers_own_clock(tmp_path: Path) -> None:
    now = 1000.0
    path = tmp_path / "status.json"
    path.touch()
    os.utime(path, (5e9, 5e9))  # the writer's clock is far ahead
    watch = HeartbeatWatch(clock=lambda: now)
    assert not watch.is_stale(path, 1)
    now += STALE_SECONDS + 1
    assert watch.is_stale(path, 1)
    assert not watch.is_stale(path, 2)
    now += STALE_SECONDS - 1
    assert not watch.is_stale(path, 2)


def test_who_looks_only_once_goes_by_the_files_age(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.touch()
    assert not HeartbeatWatch().is_stale(path, 1)
    assert HeartbeatWatch(wall_clock=lambda: path.stat().st_mtime + STALE_SECONDS + 1).is_stale(path, 1)


def test_a_run_of_another_machine_is_lost_when_it_falls_silent(tmp_path: Path) -> None:
    staged = StagedRun(tmp_path)
    staged.launch()
    now = 0.0
    watch = HeartbeatWatch(clock=lambda: now)

    def elsewhere(_: Any) -> Probe:
        return Unknown("it was started on node7")

    assert state_of(staged.directory, elsewhere, watch).state is RunState.RUNNING
    now += STALE_SECONDS + 1
    view = state_of(staged.directory, elsewhere, watch)
    assert (view.state, view.unknown_reason) == (RunState.LOST, "it was started on node7")


def test_a_stale_heartbeat_of_a_living_supervisor_is_told_but_changes_nothing(tmp_path: Path) -> None:
    staged = StagedRun(tmp_path)
    staged.launch()
    now = 0.0
    watch = HeartbeatWatch(clock=lambda: now)
    state_of(staged.directory, watch=watch)
    now += STALE_SECONDS + 1
    view = state_of(staged.directory, watch=watch)
    assert (view.state, view.stale) == (RunState.RUNNING, True)


def test_a_launch_is_not_judged_while_the_starter_is_still_at_it(tmp_path: Path) -> None:
    staged = StagedRun(tmp_path)
    staged.launch()
    staged.attempt.status.unlink()
    staged.prepare("launch")
    view = settle(state_of(staged.directory, lambda _: Exited(None)))  # created, not started yet
    assert view.state is RunState.PREPARING
    assert not staged.attempt.exit.exists()


def test_nothing_has_failed_while_somebody_holds_the_lock(tmp_path: Path) -> None:
    """A starter killed in handing over: the supervisor it started is already at work."""
    staged = StagedRun(tmp_path)
    staged.launch()
    held = take_lock(staged.attempt, "supervisor")
    view = settle(state_of(staged.directory, lambda _: Exited(None)))
    assert (view.state, view.exit) == (RunState.RUNNING, None)
    held.release()
    assert settle(state_of(staged.directory, lambda _: Exited(None))).state is RunState.FAILED


def test_a_folder_without_an_attempt_is_just_created(tmp_path: Path) -> None:
    assert state_of(RunDirectory(tmp_path)).state is RunState.CREATED


def test_torn_and_foreign_files_read_as_absent(tmp_path: Path) -> None:
    staged = StagedRun(tmp_path)
    staged.launch()
    staged.attempt.status.write_text('{"state": "runn')
    staged.attempt.progress.write_bytes(b"\xff\x00")
    staged.attempt.exit.write_text("[]")
    assert state_of(staged.directory).state is RunState.PREPARING
